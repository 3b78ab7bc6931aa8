"""Validated parameters for the chapters.

papermill only prints a line when it is given a name that a chapter does not have, and goes on with the defaults. So a
chapter checks its parameters itself, in the cell after the one tagged ``parameters``.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Iterator, MutableMapping
from types import ModuleType, SimpleNamespace
from typing import Any

from featnorm._validate import between, natural, nonnegative, one_of, positive, positive_int

__all__ = ["between", "checked", "natural", "nonnegative", "one_of", "positive", "positive_int"]

Rule = Callable[[str, Any], Any]

# What IPython puts into a kernel's namespace, besides modules, and the types it may have there.
_IPYTHON: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("In", "_ih", "_dh"), list),
    **dict.fromkeys(("Out", "_oh"), dict),
    **dict.fromkeys(("_i", "_ii", "_iii"), str),
    **dict.fromkeys(("_", "__", "___", "exit", "quit", "open", "get_ipython"), object),
    **dict.fromkeys(("__name__", "__doc__", "__package__", "__loader__", "__spec__"), object),
    **dict.fromkeys(("__builtin__", "__builtins__", "__file__", "__annotations__", "_exit_code"), object),
}
_NUMBERED = re.compile(r"_i?\d+")  # _1, _i1: results and inputs of cells
_CHECKED = "_featnorm_parameters_checked"


def _is_expected(name: str, value: Any) -> bool:
    """Whether a name beside the parameters is IPython's own, a module, or a function or class of this package."""
    if name in _IPYTHON:
        return isinstance(value, _IPYTHON[name])
    if _NUMBERED.fullmatch(name) or isinstance(value, ModuleType):
        return True
    return callable(value) and str(getattr(value, "__module__", "")).partition(".")[0] == "featnorm"


def _assigned_before(namespace: MutableMapping[str, Any]) -> Iterator[str]:
    """Names that earlier cells assign: some are seen only here, since IPython or an import then took the name over."""
    history = namespace.get("In")
    for cell in history[:-1] if isinstance(history, list) else ():
        try:
            statements = ast.parse(cell).body
        except SyntaxError:
            continue
        for statement in statements:
            targets = getattr(statement, "targets", [getattr(statement, "target", None)])
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                yield from (target.id for target in targets if isinstance(target, ast.Name))


def checked(namespace: MutableMapping[str, Any], **rules: Rule) -> SimpleNamespace:
    """The chapter's parameters, each passed through its rule.

    The parameters cell is the first of a chapter, so at the first call every name in ``namespace`` (the chapter's
    ``globals()``) is a parameter, unless it is IPython's own, a module, or a function or class of featnorm; one without
    a rule is a misspelt name that papermill injected. Later calls in the same kernel, when a reader runs a cell again,
    do not look for such names, since the chapter has made its own.

    Parameters
    ----------
    namespace: the chapter's ``globals()``; it receives one private name that records the call.
    rules: for every parameter a function ``rule(name, value)`` that returns the value to use or raises ValueError.

    Raises
    ------
    ValueError: a parameter is unknown, is not set in the parameters cell, or is refused by its rule.

    Examples
    --------
    >>> p = checked({"h": 8, "rho": 0.02}, h=positive_int, rho=nonnegative)
    >>> p.h, p.rho
    (8, 0.02)
    >>> checked({"h": 8, "rho": 0.02, "roh": 0.1}, h=positive_int, rho=nonnegative)
    Traceback (most recent call last):
        ...
    ValueError: unknown parameter 'roh' (did you mean 'rho'?); the parameters are h = 8, rho = 0.02
    """
    valid = "the parameters are " + ", ".join(f"{name} = {namespace.get(name, 'not set')!r}" for name in rules)
    if _CHECKED not in namespace:
        found = [name for name, value in namespace.items() if not _is_expected(name, value)]
        for name in (*found, *_assigned_before(namespace)):
            if name in rules:
                continue
            close = difflib.get_close_matches(name, rules, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ValueError(f"unknown parameter {name!r}{hint}; {valid}")
    values = {}
    for name, rule in rules.items():
        if name not in namespace:
            raise ValueError(f"parameter {name!r} is not set in the parameters cell; {valid}")
        try:
            values[name] = rule(name, namespace[name])
        except ValueError as error:
            raise ValueError(f"{error}; {valid}") from error
    namespace[_CHECKED] = True
    return SimpleNamespace(**values)
