"""The dashboard: a table of all claims with outcome and evidence, and the graph of what rests on what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from featnorm.claims import NOT_CHECKED, Claim
from featnorm.publish.claim_box import outcome_badge, result_html

Results = Mapping[str, Mapping[str, Any]]
Link = Callable[[str], str]


def outcome_of(claim: Claim, results: Results) -> str:
    """The outcome recorded for a claim, or "not yet checked"."""
    return str(results[claim.id]["outcome"]) if claim.id in results else NOT_CHECKED


def counts(claims: Sequence[Claim], results: Results) -> dict[str, int]:
    """How many claims have each outcome, the most frequent first; assumptions that depart count as one kind."""
    words = (outcome_of(c, results) for c in claims)
    return dict(Counter("departs" if word.startswith("departs") else word for word in words).most_common())


def summary_html(claims: Sequence[Claim], results: Results) -> str:
    """One line: how many claims, and how many of each outcome."""
    parts = [f"{outcome_badge(name)} {n}" for name, n in counts(claims, results).items()]
    return f'<p class="featnorm-summary">{len(claims)} claims: {" &ensp; ".join(parts)}</p>'


def table_html(claims: Sequence[Claim], results: Results, link: Link) -> str:
    """The table: claim, place in the paper, how sure its formula is, outcome, evidence. ``link(id)`` is an address."""
    rows = []
    for claim in claims:
        found = (
            f"<details><summary>evidence</summary>{result_html(dict(results[claim.id]), open_=True)}</details>"
            if claim.id in results
            else ""
        )
        cells = (
            f'<a href="{escape(link(claim.id))}">{escape(claim.name)}</a>',
            outcome_badge(outcome_of(claim, results)),
            f'{escape(claim.title)} <span class="featnorm-provenance">({escape(claim.place)})</span>',
            escape(claim.restored),
            found,
        )
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    columns = ("Claim", "Outcome", "About", "Formula", "Evidence")
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    return (
        '<div class="featnorm-scroll" tabindex="0" role="region" aria-label="Table of claims, may scroll sideways">'
        f'<table class="featnorm-claims"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def layers(claims: Sequence[Claim]) -> list[list[Claim]]:
    """The claims by depth: layer 0 rests on nothing, each other claim stands one layer above the highest it uses.

    Raises ValueError where the claims rest on each other in a circle.
    """
    by_id = {c.id: c for c in claims}
    depth: dict[str, int] = {}

    def visit(id: str, path: tuple[str, ...]) -> int:
        if id in path:
            raise ValueError(f"uses: these claims rest on each other: {' -> '.join((*path, id))}")
        if id not in depth:
            depth[id] = 1 + max((visit(used, (*path, id)) for used in by_id[id].uses), default=-1)
        return depth[id]

    out: list[list[Claim]] = [[] for _ in range(1 + max(visit(c.id, ()) for c in claims))]
    for claim in claims:
        out[depth[claim.id]].append(claim)
    return out


def graph_svg(claims: Sequence[Claim], results: Results, link: Link) -> str:
    """The dependency graph as SVG: a box a claim, linked to its statement; lines run from a claim to what it uses."""
    box_w, box_h, gap_x, gap_y, top = 128, 24, 46, 8, 6
    order: list[list[Claim]] = []
    place: dict[str, tuple[float, float]] = {}
    for x, layer in enumerate(layers(claims)):
        # Within a layer, claims stand near what they use: sorted by the mean height of those.
        def height(claim: Claim) -> float:
            used = [place[u][1] for u in claim.uses]
            return sum(used) / len(used) if used else 0.0

        order.append(sorted(layer, key=height))
        for y, claim in enumerate(order[-1]):
            place[claim.id] = (x * (box_w + gap_x) + 2.0, top + y * (box_h + gap_y))
    width = len(order) * (box_w + gap_x) - gap_x + 4
    total = max(len(layer) for layer in order) * (box_h + gap_y) + 2 * top
    lines, boxes = [], []
    for claim in claims:
        x, y = place[claim.id]
        for used in claim.uses:
            x0, y0 = place[used][0] + box_w, place[used][1] + box_h / 2
            y1, mid = y + box_h / 2, (place[used][0] + box_w + x) / 2
            lines.append(f'<path d="M{x0:.0f} {y0:.0f}C{mid:.0f} {y0:.0f} {mid:.0f} {y1:.0f} {x:.0f} {y1:.0f}"/>')
        outcome = outcome_of(claim, results)
        boxes.append(
            f'<a href="{escape(link(claim.id))}" class="featnorm-node featnorm-{escape(outcome.split()[0])}">'
            f"<title>{escape(f'{claim.name}: {claim.title} ({outcome})')}</title>"
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{box_w}" height="{box_h}" rx="4"/>'
            f'<text x="{x + box_w / 2:.0f}" y="{y + 16:.0f}">{escape(claim.name)}</text></a>'
        )
    return (
        '<div class="featnorm-scroll" tabindex="0" role="region" aria-label="Dependency graph, may scroll sideways">'
        f'<svg xmlns="http://www.w3.org/2000/svg" class="featnorm-graph" viewBox="0 0 {width} {total}" '
        f'width="{width}" height="{total}" role="group" '
        'aria-label="Dependency graph of all claims; the table lists the same claims in words">'
        f'<g class="featnorm-lines">{"".join(lines)}</g>{"".join(boxes)}</svg></div>'
    )
