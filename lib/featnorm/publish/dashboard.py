"""The dashboard: a table of all claims with outcome and evidence, and the graphs of what rests on what.

All of it is HTML that is complete without JavaScript. `dashboard.js`, inlined under the table, adds the filters, which
are hidden until it runs, and shows in a graph what the claim under the pointer rests on and what rests on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any

from featnorm.claims import NOT_CHECKED, Claim
from featnorm.publish import claim_graph
from featnorm.publish.claim_box import SIGNS, anchor, comparison, outcome_badge, result_html, word

Results = Mapping[str, Mapping[str, Any]]
Link = Callable[[str], str]

#: The page that states the claims which no chapter states.
UNCHECKED_PAGE = "not_yet_checked"
COLUMNS = ("Claim", "Outcome", "Check", "Nearest wrong variant")


@dataclass(frozen=True)
class Part:
    """A part of the book: its caption and the titles of its chapters by their names."""

    caption: str
    chapters: Mapping[str, str]


def outcome_of(claim: Claim, results: Results) -> str:
    """The outcome recorded for a claim, or "not yet checked"."""
    return str(results[claim.id]["outcome"]) if claim.id in results else NOT_CHECKED


def counts(claims: Sequence[Claim], results: Results) -> dict[str, int]:
    """How many claims have each outcome, the most frequent first; assumptions that depart count as one kind."""
    return dict(Counter(word(outcome_of(c, results)) for c in claims).most_common())


def summary_html(claims: Sequence[Claim], results: Results) -> str:
    """One line: how many claims, and how many of each outcome."""
    parts = [f"{outcome_badge(name)} {n}" for name, n in counts(claims, results).items()]
    return f'<p class="featnorm-summary">{len(claims)} claims: {" &ensp; ".join(parts)}</p>'


def _page(claim: Claim) -> str:
    return claim.chapter or UNCHECKED_PAGE


def _select(name: str, label: str, options: Mapping[str, str]) -> str:
    rows = "".join(f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in options.items())
    return f'<label>{label} <select name="{name}"><option value="">all</option>{rows}</select></label>'


def filters_html(claims: Sequence[Claim], results: Results, book: Sequence[Part]) -> str:
    """The controls that choose rows, hidden until the script runs; only values that occur can be chosen."""
    outcomes, pages = counts(claims, results), {_page(c) for c in claims}
    formulas = {c.restored for c in claims}
    chapters = {name: title for part in book for name, title in part.chapters.items() if name in pages}
    return (
        '<form class="featnorm-filters" aria-label="Choose claims" hidden>'
        + _select("outcome", "Outcome", {name: name for name in SIGNS if name in outcomes})
        + _select("chapter", "Chapter", chapters)
        + _select("formula", "Formula", {name: name for name in ("exact", "constants", "guess") if name in formulas})
        + '<label>Text <input type="search" name="text" autocomplete="off"></label>'
        '<button type="reset">Show all</button>'
        f'<output aria-live="polite">{len(claims)} of {len(claims)} claims</output></form>'
    )


def nearest(result: Mapping[str, Any]) -> str:
    """The wrong variant that came nearest to its threshold; a statistic that is not finite is the farthest."""

    def excess(name: str) -> float:
        e = result["falsifiers"][name]
        return float("inf") if e["statistic"] is None else e["statistic"] - e["threshold"]

    return min(result["falsifiers"], key=excess)


def _names(ids: Sequence[str], by_id: Mapping[str, Claim], link: Link) -> str:
    return ", ".join(f'<a href="{escape(link(id))}">{escape(by_id[id].name)}</a>' for id in ids) or "none"


def table_html(claims: Sequence[Claim], results: Results, link: Link, book: Sequence[Part]) -> str:
    """The filters, the table and the script. ``link(id)`` is the address of a claim's statement.

    A claim has two rows: what is claimed, the outcome, the measurement against its threshold and the nearest wrong
    variant against its own; and, folded, all the evidence, what the claim rests on, and what rests on it.
    """
    titles = {name: title for part in book for name, title in part.chapters.items()}
    by_id = {c.id: c for c in claims}
    below, above = claim_graph.rests_on(claims), claim_graph.carries(claims)
    users: dict[str, list[str]] = {c.id: [d.id for d in claims if c.id in d.uses] for c in claims}
    bodies = []
    for claim in claims:
        statement = link(claim.id)
        page = statement.partition("#")[0]
        outcome = outcome_of(claim, results)
        check = variant = more = ""
        if claim.id in results:
            result = results[claim.id]
            measured, wrong = result["evidence"], result["falsifiers"]
            name = nearest(result)
            rejected = sum(not e["passed"] for e in wrong.values())
            check = (
                f'<a href="{escape(page)}#{anchor(claim.id)}">{comparison(measured)}</a> '
                f'<span class="featnorm-provenance">{measured["kind"]}</span>'
            )
            variant = (
                f'<span class="featnorm-compared">{comparison(wrong[name])}</span> '
                f'<span class="featnorm-provenance">{escape(name)}; {rejected} of {len(wrong)} rejected</span>'
            )
            more = result_html(dict(result), open_=True)
        more += (
            f"<p>Rests on: {_names(claim.uses, by_id, link)} ({len(below[claim.id])} in all).</p>"
            f"<p>Carries: {_names(users[claim.id], by_id, link)} ({len(above[claim.id])} in all).</p>"
        )
        chapter = f'<a href="{escape(page)}">{escape(titles.get(_page(claim), _page(claim)))}</a>'
        head = (
            f'<a href="{escape(statement)}">{escape(claim.name)}</a>: {escape(claim.title)} <span class='
            f'"featnorm-provenance">{escape(claim.place)} · {chapter} · formula: {claim.restored}</span>'
        )
        cells = zip(COLUMNS[1:], (outcome_badge(outcome), check, variant))
        row = "".join(f'<td data-label="{label}">{html}</td>' for label, html in cells)
        fold = f"rests on {len(below[claim.id])}, carries {len(above[claim.id])}"
        if claim.id in results:
            fold = f"all evidence; {fold}"
        bodies.append(
            f'<tbody data-outcome="{word(outcome)}" data-chapter="{_page(claim)}" data-formula="{claim.restored}">'
            f'<tr><th scope="row">{head}</th>{row}</tr><tr><td colspan="{len(COLUMNS)}">'
            f"<details><summary>{fold}</summary>{more}</details></td></tr></tbody>"
        )
    heads = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    script = resources.files(__package__).joinpath("dashboard.js").read_text(encoding="utf-8")
    return (
        filters_html(claims, results, book) + '<div class="featnorm-scroll full-width" tabindex="0" role="region" '
        'aria-label="Table of claims, may scroll sideways">'
        f'<table class="featnorm-claims featnorm-dashboard"><thead><tr>{heads}</tr></thead>'
        f"{''.join(bodies)}</table></div>"
        f"<script>{script}</script>"
    )


def graphs_html(claims: Sequence[Claim], results: Results, link: Link, book: Sequence[Part]) -> str:
    """One graph of the paper's claims, and for each part of the book one of ours, with the claims they use.

    Every claim is drawn as its own in one graph, and every line in the graph of the claim that uses the other.
    """
    outcomes = {c.id: outcome_of(c, results) for c in claims}
    carried = {id: len(above) for id, above in claim_graph.carries(claims).items()}
    groups = {"Statements of the paper": [c.id for c in claims if c.kind != "beyond"]}
    for part in book:
        groups[f"Ours: {part.caption}"] = [c.id for c in claims if c.kind == "beyond" and _page(c) in part.chapters]
    out = []
    for caption, own in groups.items():
        if own:
            shown = claim_graph.with_context(claims, own)
            drawn = claim_graph.svg(shown, own, outcomes, carried, link, f"{caption}: what rests on what")
            said = '<p class="featnorm-traced" aria-live="polite"></p>'
            out.append(f'<section class="featnorm-part"><p>{escape(caption)}</p>{drawn}{said}</section>')
    return "".join(out)
