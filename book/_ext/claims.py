"""Directives that state claims and collect what the chapters found out about them.

``claim ID`` states a claim of the registry: its name, place, how sure its formula is, and its text. The id becomes an
anchor, so ``{ref}`lemma-1` `` links to it by its name; below its text stand the functions that its check uses.
``claims-dashboard PART`` becomes the summary, the table or the graphs of all claims with the results of this build.
``not-yet-checked`` states every claim that no chapter states. ``claims-beyond`` lists the claims of our own, in the
order of the book. The role ``{outcome}`ID` `` is the outcome of one claim in this build, as a link to its statement;
``{swatch}`NAME` `` shows the colour that a symbol has in every figure.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

from docutils import nodes
from sphinx.domains.std import StandardDomain
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from featnorm.claims import CHECKS, NOT_CHECKED, REGISTRY, Claim
from featnorm.publish import dashboard, library
from featnorm.publish.claim_box import MIME
from featnorm.publish.figure import COLOURS

logger = logging.getLogger(__name__)

_SURE = {
    "exact": "formula restored exactly",
    "constants": "formula restored up to constants",
    "guess": "formula partly guessed",
}


class _Stating(SphinxDirective):
    """What both directives that state claims share."""

    def state_claim(self, claim: Claim) -> nodes.container:
        """The claim as a box with an anchor."""
        domain = cast(StandardDomain, self.env.get_domain("std"))
        known = domain.labels.get(claim.id)
        if known is not None and known[0] != self.env.docname:
            logger.warning("claim %s is stated twice, here and in %s", claim.id, known[0], location=self.get_location())
        domain.note_hyperlink_target(claim.id, self.env.docname, claim.id, claim.name)
        sure = "" if claim.kind == "beyond" else f" · {_SURE[claim.restored]}"
        source = "not in the paper" if claim.kind == "beyond" else f"paper, {claim.place}"
        text = f"**{claim.name}** ({claim.title})\n\n{claim.statement}\n"
        if claim.nearest:
            text += f"\n*Nearest known result:* {claim.nearest} *New here:* {claim.new}\n"
        box = nodes.container(ids=[claim.id], classes=["featnorm-claim", f"featnorm-kind-{claim.kind}"])
        self.state.document.note_explicit_target(box)
        box += self.parse_text_to_nodes(text)
        collapse = f" · collapse meant: {', '.join(claim.collapse)}" if claim.collapse else ""
        unchecked = "" if claim.id in CHECKS else f" · {NOT_CHECKED}"
        box += nodes.paragraph("", f"{source}{sure}{collapse}{unchecked}", classes=["featnorm-provenance"])
        names = library.used(claim.id) if claim.id in CHECKS else ()
        if names:
            links = ", ".join(f"{{py:obj}}`{name.removeprefix('featnorm.')} <{name}>`" for name in names)
            box += nodes.container(
                "", *self.parse_text_to_nodes(f"Checked with {links}"), classes=["featnorm-provenance"]
            )
        return box


class ClaimDirective(_Stating):
    """State one claim of the registry."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        id = self.arguments[0]
        if id not in REGISTRY:
            raise self.error(f"claim {id!r} is not in the registry (lib/featnorm/claims/statements.py)")
        chapter = REGISTRY[id].chapter
        if f"book/{chapter}" != self.env.docname:
            logger.warning(
                "claim %s belongs to %s, not to %s", id, chapter, self.env.docname, location=self.get_location()
            )
        return [self.state_claim(REGISTRY[id])]


class NotYetCheckedDirective(_Stating):
    """State every claim that no chapter states, in the paper's order."""

    def run(self) -> list[nodes.Node]:
        return [self.state_claim(c) for c in REGISTRY.values() if c.chapter is None]


class dashboard_node(nodes.General, nodes.Element):
    """Holds the place of a part of the dashboard until every chapter has been read."""


_PARTS = {
    "summary": lambda claims, results, link, book: dashboard.summary_html(claims, results),
    "table": dashboard.table_html,
    "graphs": dashboard.graphs_html,
}


class DashboardDirective(SphinxDirective):
    """A part of the dashboard."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        if self.arguments[0] not in _PARTS:
            raise self.error(f"claims-dashboard {self.arguments[0]!r}: must be one of {', '.join(_PARTS)}")
        return [dashboard_node(part=self.arguments[0])]


class outcome_node(nodes.Inline, nodes.Element):
    """Holds the place of one claim's outcome until every chapter has been read."""


class OutcomeRole(SphinxRole):
    """The outcome of one claim."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        if self.text not in REGISTRY:
            message = self.inliner.reporter.error(
                f"outcome: claim {self.text!r} is not in the registry", line=self.lineno
            )
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        return [outcome_node(claim=self.text)], []


class SwatchRole(SphinxRole):
    """The colour that a symbol has in every figure."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        if self.text not in COLOURS:
            message = self.inliner.reporter.error(f"swatch: no colour is named {self.text!r}", line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        colour = COLOURS[self.text]
        square = f'<span style="color:{colour}" aria-hidden="true">&#9632;</span>'
        html = f'<span class="featnorm-whole">{square} {colour}</span>'
        return [nodes.raw("", html, format="html")], []


class BeyondDirective(SphinxDirective):
    """List the claims of our own in the order of the book: title, outcome, nearest known result and what is new."""

    def run(self) -> list[nodes.Node]:
        order = re.findall(r"file: book/(\w+)", (Path(self.env.srcdir) / "_toc.yml").read_text(encoding="utf-8"))
        text: list[str] = []
        for chapter in order:
            own = [c for c in REGISTRY.values() if c.kind == "beyond" and c.chapter == chapter]
            if own:
                text.append(f"{{doc}}`{chapter}`")
            for claim in own:
                known = f" *Nearest known result:* {claim.nearest} *New here:* {claim.new}" if claim.nearest else ""
                text.append(f"- {{ref}}`{claim.id}`, {claim.title}: {{outcome}}`{claim.id}`.{known}")
        return self.parse_text_to_nodes("\n\n".join(text))


def outcome_shown(claim: Claim, results: dashboard.Results, address: str | None) -> nodes.Element:
    """A claim's outcome as a coloured word, linked to ``address`` if there is one."""
    word = dashboard.outcome_of(claim, results)
    badge = nodes.inline("", word, classes=["featnorm-outcome", f"featnorm-{word.split()[0]}"])
    return badge if address is None else nodes.reference("", "", badge, refuri=address, internal=True)


def collect(folder: Path, docnames: list[str]) -> dict[str, dict[str, Any]]:
    """The results that the chapters handed over, by the id of the claim.

    MyST-NB writes a chapter's glued outputs beside its executed notebook. The notebook itself will not do: taken from
    the execution cache, it is written without its outputs.
    """
    found: dict[str, dict[str, Any]] = {}
    for docname in docnames:
        path = folder / f"{docname}.glue.json"
        if path.is_file():
            for output in json.loads(path.read_text(encoding="utf-8")).values():
                result = output.get("data", {}).get(MIME)
                if result is not None:
                    found[result["id"]] = result
    return found


def parts(env: Any) -> list[dashboard.Part]:
    """The parts of the table of contents, each with the titles of its pages."""
    # Without `book/` only: a chapter and a page about the library may have the same name.
    return [
        dashboard.Part(
            tree.caption or "", {name.removeprefix("book/"): env.titles[name].astext() for name in tree.items}
        )
        for tree in env.external_site_map.root.subtrees
    ]


def _fill(app: Any, doctree: nodes.document, docname: str) -> None:
    places = list(doctree.findall(dashboard_node))
    outcomes = list(doctree.findall(outcome_node))
    if not places and not outcomes:
        return
    results = collect(Path(app.env.mystnb_config.output_folder), sorted(app.env.found_docs))
    for id in CHECKS if places else ():
        if id not in results:
            logger.warning("claim %s has a check, but no chapter of this build ran it", id, location=docname)
    labels = app.env.get_domain("std").labels

    def link(id: str) -> str:
        target, anchor, _ = labels[id]
        return f"{app.builder.get_relative_uri(docname, target)}#{anchor}"

    for place in places:
        html = _PARTS[place["part"]](list(REGISTRY.values()), results, link, parts(app.env))
        place.replace_self(nodes.raw("", html, format="html"))
    for outcome in outcomes:
        id = outcome["claim"]
        if id not in labels:
            logger.warning("undefined label: %s", id, location=docname)
        outcome.replace_self(outcome_shown(REGISTRY[id], results, link(id) if id in labels else None))


def setup(app: Any) -> dict[str, Any]:
    app.add_node(dashboard_node)
    app.add_node(outcome_node)
    app.add_role("outcome", OutcomeRole())
    app.add_role("swatch", SwatchRole())
    app.add_directive("claims-beyond", BeyondDirective)
    app.add_directive("claim", ClaimDirective)
    app.add_directive("not-yet-checked", NotYetCheckedDirective)
    app.add_directive("claims-dashboard", DashboardDirective)
    app.connect("doctree-resolved", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
