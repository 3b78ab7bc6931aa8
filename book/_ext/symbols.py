"""The table of symbols, and on each chapter a folded list of those it uses, linked to the table.

``symbols`` is the directive of the table. The lists need no markup: they stand below the title of every chapter, that
is every page with executed cells but the front page. Both come from `featnorm.publish.symbols`.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from featnorm.publish.symbols import SYMBOLS, Symbol, used_in

PAGE = "book/symbols"


def _anchor(symbol: Symbol) -> str:
    return f"symbol-{symbol.id}"


class SymbolsDirective(SphinxDirective):
    """The table of all symbols."""

    def run(self) -> list[nodes.Node]:
        rows = ["| Symbol | Meaning | Colour | Defined | Only in |", "|---|---|---|---|---|"]
        for s in SYMBOLS:
            colours = " ".join(f"{{swatch}}`{name}`" for name in s.colours)
            chapters = ", ".join(f"{{doc}}`{name}`" for name in s.chapters)
            rows.append(f"| ${s.tex}$ | {s.meaning} | {colours} | {{ref}}`{s.claim}` | {chapters} |")
        table = self.parse_text_to_nodes("\n".join(rows))
        table[0]["classes"].append("featnorm-symbol-table")
        for row, symbol in zip(table[0].findall(nodes.row), (None, *SYMBOLS)):
            if symbol is not None:
                row["ids"].append(_anchor(symbol))
        return table


def _list(app: Any, docname: str, symbols: list[Symbol]) -> nodes.container:
    """A folded list: each symbol, and its meaning as a link to its row."""
    page = app.builder.get_relative_uri(docname, PAGE)
    items = nodes.bullet_list()
    for symbol in symbols:
        # The words are the link: a formula gives it no name that every screen reader can say.
        link = nodes.reference("", "", internal=True, refuri=f"{page}#{_anchor(symbol)}")
        for i, part in enumerate(symbol.meaning.split("$")):
            link += nodes.math("", part) if i % 2 else nodes.Text(part)
        words = nodes.paragraph("", "", nodes.math("", symbol.tex), nodes.Text(" "), link)
        items += nodes.list_item("", words)
    box = nodes.container(classes=["featnorm-symbols"])
    box += nodes.raw("", "<details><summary>Symbols on this page</summary>", format="html")
    box += items
    box += nodes.raw("", "</details>", format="html")
    return box


def _add(app: Any, doctree: nodes.document, docname: str) -> None:
    has_cells = any("cell" in node.get("classes", ()) for node in doctree.findall(nodes.container))
    if docname == app.config.root_doc or not has_cells:
        return
    formulas = [node.astext() for kind in (nodes.math, nodes.math_block) for node in doctree.findall(kind)]
    symbols = used_in(formulas, docname.rpartition("/")[2])
    title = next(iter(doctree.findall(nodes.title)), None)
    if symbols and title is not None:
        title.parent.insert(title.parent.index(title) + 1, _list(app, docname, symbols))


def setup(app: Any) -> dict[str, Any]:
    app.add_directive("symbols", SymbolsDirective)
    app.connect("doctree-resolved", _add)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
