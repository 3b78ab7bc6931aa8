"""Pages about the library, made from its docstrings by ``sphinx.ext.autodoc``.

The docstrings of the library are plain text: a name in single backticks is a reference, a formula is in words, an
indented paragraph is a formula of its own, and a list of arguments stands under a line of hyphens. Here they are turned
into what autodoc reads, so that ``|W|`` or ``y*`` means itself. A name that is public becomes a link, any other stays
code. Where a docstring must not change, its example comes from `featnorm.publish.examples`. Below each public name
stand the claims that use it (`featnorm.publish.library` says what that means).
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Collection
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.inspect import stringify_signature

from featnorm.claims import REGISTRY
from featnorm.publish.examples import EXAMPLES
from featnorm.publish.library import public, public_name, resolve, used_by

# Code and references, which stay whole, and emphasis; what lies between is text.
_WHOLE = re.compile(r"(``.+?``|`[^`]+`|\*\*[A-Z][^*]*\*\*|(?<![\w*])\*[a-z]+\*(?!\w))", re.DOTALL)
_SPECIAL = re.compile(r"[\\*|]|(?<=\w)_(?!\w)")
_ITEM = re.compile(r"[-*] ")
_FIELD = re.compile(r"(\w[\w, ]*): (.*)")
# More claims than this are folded.
MANY = 12
# The value of a constant is left out if it is longer, in characters.
LONG = 500


def reference(name: str, place: str) -> str:
    """A name in a docstring of ``place``: a link if it is public, else code."""
    value = resolve(name, place)
    target = None if value is None else public_name(value)
    return f"``{name}``" if target is None else f":py:obj:`{name} <{target}>`"


def inline(text: str, place: str) -> str:
    """Plain text as reStructuredText that reads the same."""
    parts = _WHOLE.split(text)
    for i, part in enumerate(parts):
        if i % 2 == 0:
            parts[i] = _SPECIAL.sub(r"\\\g<0>", part)
        elif part.startswith("`") and not part.startswith("``"):
            parts[i] = reference(part.strip("`"), place)
    return "".join(parts)


def _names(line: str) -> list[str]:
    field = _FIELD.match(line)
    return [name.strip() for name in field[1].split(",")] if field else []


def fields(lines: list[str], place: str, known: Collection[str] | None = None) -> list[str]:
    """Lines ``name: text``, with the lines that continue them, as a list; only ``known`` names, if given, begin one."""
    found: list[str] = []
    for line in inline("\n".join(lines), place).split("\n"):
        names = _names(line)
        if names and (known is None or set(names) <= set(known)):
            found += ["", f"- {', '.join(f'``{name}``' for name in names)}: {line.partition(': ')[2]}"]
        else:
            found.append(f"  {line.strip()}")
    return found


def _indented(line: str) -> bool:
    return line.startswith("  ")


def paragraph(lines: list[str], place: str, known: Collection[str] = ()) -> list[str]:
    """One paragraph of a docstring: an example, a list of fields or of items, a formula, or text.

    ``known`` are the fields of a class: a paragraph that begins with one of them describes them, one or more a line,
    with two blanks between.
    """
    if lines[0].startswith(">>>"):
        return lines
    if len(lines) > 1 and set(lines[1]) == {"-"}:
        return [f".. rubric:: {lines[0]}", *fields(lines[2:], place)]
    names = _names(lines[0])
    if names and set(names) <= set(known):
        return fields(re.sub(r"(?<=\S)  +(?=\w)", "\n", "\n".join(lines)).split("\n"), place, known)
    if all(map(_indented, lines)):
        return ["::", "", *lines]
    example = next((i for i, line in enumerate(lines) if line.startswith(">>>")), None)
    if example is not None:
        return [*paragraph(lines[:example], place), "", *lines[example:]]
    first = next((i for i, line in enumerate(lines) if _ITEM.match(line)), None)
    if first is None:
        return inline("\n".join(line.strip() for line in lines), place).split("\n")
    items = [part for line in lines[first:] for part in ((["", line]) if _ITEM.match(line) else [line])]
    items = [line[:2] + inline(line[2:], place) if line else "" for line in items]
    return [*(paragraph(lines[:first], place) if first else []), *items]


def readable(lines: list[str], place: str, known: Collection[str] = ()) -> list[str]:
    """A plain docstring as the reStructuredText that autodoc reads."""
    found: list[str] = []
    part: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            part.append(line)
        elif part:
            found += [*paragraph(part, place, known), ""]
            part = []
    return found


def users(name: str) -> list[str]:
    """The claims that use a public name, as links; folded where there are many."""
    ids = used_by().get(name, ())
    if not ids:
        return []
    links = ", ".join(f":ref:`{REGISTRY[id].name} <{id}>`" for id in ids)
    if len(ids) > MANY:
        return [f".. dropdown:: Used by the checks of {len(ids)} claims", "", f"    {links}", ""]
    checks = "check" if len(ids) == 1 else "checks"
    return [".. container:: featnorm-provenance", "", f"    Used by the {checks} of {links}", ""]


def comment(module: str, name: str) -> list[str]:
    """What is said of a constant where it is defined: in the module itself, or below a package that passes it on."""
    for place in (module, *sorted(other for other in sys.modules if other.startswith(f"{module}."))):
        found = ModuleAnalyzer.for_module(place).find_attr_docs().get(("", name))
        if found:
            return found
    return []


def _read(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    # A package shows names that its modules define: their docstrings speak of what is beside them there.
    place = f"{obj.__module__}.{obj.__qualname__}" if what in ("class", "function") else name
    if what == "data":  # where a comment is missing or elsewhere, autodoc describes the type of the value
        lines[:] = comment(*name.rsplit(".", 1))
    example = EXAMPLES.get(name, "").splitlines()
    known = getattr(obj, "__annotations__", ()) if what == "class" else ()
    lines[:] = [*readable([*lines, *example], place, known), *users(name)]


def _sign(
    app: Any, what: str, name: str, obj: Any, options: Any, arguments: str | None, returns: str | None
) -> tuple[str, str] | None:
    """The signature with its annotations as they are written: ``Array``, not what it stands for."""
    if what not in ("class", "function", "method"):
        return None
    signature = inspect.signature(obj)
    if what == "method" and not inspect.ismethod(obj):
        signature = signature.replace(parameters=list(signature.parameters.values())[1:])
    text = stringify_signature(signature)
    arguments, _, returns = text.partition(" -> ")
    return arguments, returns if what != "class" else ""


def _shorten(app: Any, doctree: nodes.document) -> None:
    for note in list(doctree.findall(addnodes.desc_annotation)):
        if len(note.astext()) > LONG:
            note.parent.remove(note)


def _link(app: Any, doctree: nodes.document) -> None:
    """Link the names in annotations to what they mean in their module; Sphinx would take any public name alike."""
    for signature in doctree.findall(addnodes.desc_signature):
        owner = public().get(f"{signature.get('module')}.{signature.get('class') or signature.get('fullname')}")
        for name in list(signature.findall(addnodes.pending_xref)):
            target = public_name(resolve(name["reftarget"], owner.__module__)) if owner else None
            if target:
                name["reftarget"] = target
            else:
                name.replace_self(name.children)


def setup(app: Any) -> dict[str, bool]:
    """Entry point of the Sphinx extension."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", _read)
    app.connect("autodoc-process-signature", _sign)
    app.connect("doctree-read", _link)
    app.connect("doctree-read", _shorten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
