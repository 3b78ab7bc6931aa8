"""Keep on one line what belongs together: a formula in a line of text, and what stands beside it without a space.

A browser may break a line on both sides of a formula, since to it a formula is a picture. A full stop would then begin
the next line, and the number of ``$c={}$`` {glue:text}`c` would stand apart from its name.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes

WHOLE = "featnorm-whole"  # the style sheet does the rest


def _spaced(text: str) -> bool:
    return re.search(r"\s", text) is not None


def hold(formula: nodes.math) -> None:
    """Put a formula and its neighbours, up to the next space on either side, into one inline element."""
    parent, whole = formula.parent, nodes.inline(classes=[WHOLE])
    if WHOLE in parent.get("classes", ()):  # a neighbour of the formula before it
        return
    parent.replace(formula, whole)
    whole += formula
    at = parent.index(whole)
    if at and isinstance(parent[at - 1], nodes.Text):
        text = parent[at - 1].astext()
        touching = re.search(r"\S*$", text)[0]
        if touching:
            parent[at - 1] = nodes.Text(text.removesuffix(touching))
            whole.insert(0, nodes.Text(touching))
    while at + 1 < len(parent) and not _spaced(parent[at + 1].astext()):
        neighbour = parent.pop(at + 1)
        whole += neighbour
    if at + 1 < len(parent) and isinstance(parent[at + 1], nodes.Text):
        text = parent[at + 1].astext()
        touching = re.match(r"\S*", text)[0]
        if touching:
            parent[at + 1] = nodes.Text(text.removeprefix(touching))
            whole += nodes.Text(touching)


def _hold_all(app: Any, doctree: nodes.document, docname: str) -> None:
    for formula in list(doctree.findall(nodes.math)):
        hold(formula)


def setup(app: Any) -> dict[str, bool]:
    """Entry point of the Sphinx extension."""
    app.connect("doctree-resolved", _hold_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
