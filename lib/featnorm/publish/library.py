"""What the pages about the library need: which names are public, and which claims are checked with them.

Public are the names of ``__all__`` where a module or package has it; elsewhere the functions and classes that a module
defines under a name without a leading underscore. `PLUMBING` is left out: the command, and what only this book needs.

A claim *uses* a function or class if the code of its check names it. That code is what `featnorm.claims` itself holds:
the function that measures, the variant that is claimed, and the helpers they name in turn. What a library function
calls in turn does not count, and neither do the wrong variants.
"""

from __future__ import annotations

import dis
import functools
import importlib
import inspect
import pkgutil
import pydoc
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

import featnorm
from featnorm.claims import CHECKS

#: Modules without public names, with all below them.
PLUMBING = ("__main__", "archives", "cli", "commands", "provenance", "publish")


@functools.cache
def modules() -> tuple[str, ...]:
    """The modules and packages that have public names.

    >>> [name for name in modules() if name.startswith("featnorm.e")]
    ['featnorm.eigen_flow', 'featnorm.equilibria']
    """
    found: list[str] = []
    closed: list[str] = []  # packages that say themselves what is public
    for info in pkgutil.walk_packages(featnorm.__path__, "featnorm."):
        inside = info.name.split(".")[1:]
        if inside[0] in PLUMBING or inside[-1].startswith("_") or info.name.startswith(tuple(closed)):
            continue
        names = _names(importlib.import_module(info.name))
        if names:
            found.append(info.name)
        if info.ispkg and names:
            closed.append(f"{info.name}.")
    return tuple(found)


def _names(module: ModuleType) -> list[str]:
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if _is_code(getattr(module, name))]
    own = ((n, value) for n, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__)
    return [name for name, value in own if not name.startswith("_") and _is_code(value)]


def _is_code(value: Any) -> bool:
    return inspect.isclass(value) or (callable(value) and inspect.isfunction(inspect.unwrap(value)))


@functools.cache
def public() -> Mapping[str, Any]:
    """Every public function and class, by the name under which a user imports it.

    >>> public()["featnorm.equilibria.regime"].__module__
    'featnorm.equilibria.frozen'
    """
    loaded = {name: importlib.import_module(name) for name in modules()}
    return {f"{name}.{part}": getattr(module, part) for name, module in loaded.items() for part in _names(module)}


@functools.cache
def _public_names() -> Mapping[int, str]:
    return {id(value): name for name, value in public().items()}


def public_name(value: Any) -> str | None:
    """The name under which a user imports a function or class; None for what is not public.

    >>> from featnorm.equilibria.frozen import regime
    >>> public_name(regime), public_name(len)
    ('featnorm.equilibria.regime', None)
    """
    return _public_names().get(id(value))


def resolve(name: str, place: str) -> Any:
    """What a name in the docstring of ``place`` means: something beside it or further out; None if nothing.

    >>> resolve("cosine_field", "featnorm.matrix_flow.gradient_flow") is public()["featnorm.matrix_flow.cosine_field"]
    True
    >>> resolve("linear.train", "featnorm.simsiam.fast").__module__, resolve("no such name", "featnorm.setting")
    ('featnorm.simsiam.linear', None)
    """
    parts = place.split(".")
    if not all(part.isidentifier() for part in name.split(".")):
        return None
    inside = (".".join([*parts[:n], name]) for n in range(len(parts), -1, -1))
    return next((value for value in map(pydoc.locate, inside) if value is not None), None)


# --- Which claims use what -------------------------------------------------------------------------------------------


def _loads(code: CodeType) -> dict[str, set[str]]:
    """The names that a function's code loads, by the kind of instruction; the functions inside it count too."""
    found: dict[str, set[str]] = defaultdict(set)
    for instruction in dis.get_instructions(code):
        if isinstance(instruction.argval, str):
            found[instruction.opname].add(instruction.argval)
    for inner in filter(lambda constant: isinstance(constant, CodeType), code.co_consts):
        for kind, names in _loads(inner).items():
            found[kind] |= names
    return found


def _named(function: FunctionType) -> Iterator[Any]:
    """What a function names: globals, what it imports, members of modules it names; and what it was made with."""
    yield from inspect.getclosurevars(function).nonlocals.values()
    yield from (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    loads = _loads(function.__code__)
    found = [function.__globals__[name] for name in loads["LOAD_GLOBAL"] if name in function.__globals__]
    members = loads["IMPORT_FROM"] | loads["LOAD_ATTR"] | loads["LOAD_METHOD"]
    found += [importlib.import_module(name) for name in loads["IMPORT_NAME"] if name.startswith("featnorm")]
    while found:
        value = found.pop()
        if not isinstance(value, ModuleType):
            yield value
        elif value.__name__.startswith("featnorm"):
            found += [vars(value)[name] for name in members if name in vars(value)]


def _parts(value: Any) -> Iterator[Any]:
    """What belongs to a value that checks hold: code of `featnorm.claims`, and what its containers contain."""
    if isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, (tuple, list)):
        yield from value
    elif isinstance(value, (staticmethod, classmethod, functools.cached_property)):
        yield value.func if isinstance(value, functools.cached_property) else value.__func__
    elif isinstance(value, property):
        yield value.fget
    elif not getattr(value, "__module__", "").startswith("featnorm.claims"):
        return
    elif inspect.isclass(value):
        yield from (*value.__bases__, *vars(value).values())
    elif callable(value) and isinstance(inner := inspect.unwrap(value), FunctionType):
        yield from _named(inner)
    elif is_dataclass(value):
        yield from (type(value), *vars(value).values())


def names_used(*values: Any) -> set[str]:
    """The public names that code of `featnorm.claims` uses: a function, a variant, a container of them.

    >>> from featnorm.claims.exact_moments import by_closure
    >>> names_used(by_closure("exact"))
    {'featnorm.eigen_flow.rate'}
    """
    found: set[str] = set()
    seen: dict[int, Any] = {}  # holds what it has seen, so that no id is given out twice
    todo = list(values)
    while todo:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        name = public_name(value)
        if name is None:
            todo += _parts(value)
        elif not name.startswith("featnorm.claims"):
            found.add(name)
    return found


@functools.cache
def used(id: str) -> tuple[str, ...]:
    """The public names that the check of a claim uses, sorted.

    >>> used("eq-1")
    ('featnorm.setting.l2_loss', 'featnorm.setting.l2_loss_expected', 'featnorm.setting.views')
    """
    return tuple(sorted(names_used(CHECKS[id].run, CHECKS[id].claimed)))


@functools.cache
def used_by() -> Mapping[str, tuple[str, ...]]:
    """For every public name the claims that use it, in the order of the checks.

    >>> used_by()["featnorm.setting.l2_loss"], used_by()["featnorm.results.names"]
    (('eq-1',), ())
    """
    return {name: tuple(id for id in CHECKS if name in used(id)) for name in public()}
