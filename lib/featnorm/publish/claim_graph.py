"""What rests on what: the claims behind each claim, and drawings of them in layers.

The drawings follow the method of Sugiyama: layers by depth, bends where a line passes a layer, the order within a layer
by the mean place of the neighbours, and places as near to the neighbours as the order allows. A bend belongs to a claim
and a layer, so that all lines from one claim share a trunk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from html import escape
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

from featnorm.claims import Claim
from featnorm.publish.claim_box import sign, word

#: A place in a layer: a claim by its id, or the bend of a claim's trunk at a layer it passes.
Place = str | tuple[str, int]
Rows = list[list[Place]]
Neighbours = Mapping[Place, list[Place]]

#: In pixels: height of a box, space beside it, from layer to layer, around everything, and boxes of one layer at most.
_BOX, _GAP, _PITCH, _MARGIN, _WIDEST = 24, 10, 56, 6, 720
#: Rounds of sorting and of placing; weight of the drawing's middle among the neighbours, to be narrow.
_SWEEPS, _PULL = 24, 0.5


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


def rests_on(claims: Sequence[Claim]) -> dict[str, set[str]]:
    """For each claim all those it rests on, directly or through others."""
    found: dict[str, set[str]] = {}
    for layer in layers(claims):
        for claim in layer:
            found[claim.id] = set(claim.uses).union(*(found[used] for used in claim.uses))
    return found


def carries(claims: Sequence[Claim]) -> dict[str, set[str]]:
    """For each claim all those that rest on it: `rests_on` the other way round."""
    below = rests_on(claims)
    return {claim.id: {id for id, used in below.items() if claim.id in used} for claim in claims}


def with_context(claims: Sequence[Claim], own: Collection[str]) -> list[Claim]:
    """The claims ``own`` and those they use directly, the latter as claims that rest on nothing."""
    used = {id for c in claims if c.id in own for id in c.uses}
    return [c if c.id in own else replace(c, uses=()) for c in claims if c.id in own or c.id in used]


def implied(claims: Sequence[Claim]) -> set[tuple[str, str]]:
    """The pairs (used, claim) that follow from longer ways: the claim uses another one that rests on the used one."""
    below = rests_on(claims)
    return {(used, c.id) for c in claims for used in c.uses if any(used in below[other] for other in c.uses)}


# --- The drawing -----------------------------------------------------------------------------------------------------


class Drawing(NamedTuple):
    """Where things stand: the middle of each box (x and layer), its width, the bends of each line, and the size."""

    x: dict[Place, float]
    layer: dict[str, int]
    box: dict[str, float]
    width: float
    height: float


def _levels(claims: Sequence[Claim], box: Mapping[str, float]) -> dict[str, int]:
    """The layer of each claim: after what it uses, near its users if it has more of those, not in a full layer."""
    level = {c.id: n for n, layer in enumerate(layers(claims)) for c in layer}
    users: dict[str, list[str]] = {c.id: [d.id for d in claims if c.id in d.uses] for c in claims}
    for claim in sorted(claims, key=lambda c: -level[c.id]):
        if len(users[claim.id]) > len(claim.uses):
            level[claim.id] = min(level[user] for user in users[claim.id]) - 1
    room: dict[int, float] = defaultdict(lambda: _WIDEST)
    for claim in sorted(claims, key=lambda c: level[c.id]):
        n = max([level[claim.id], *(level[used] + 1 for used in claim.uses)])
        while room[n] < min(box[claim.id], _WIDEST):
            n += 1
        level[claim.id] = n
        room[n] -= box[claim.id] + _GAP
    return level


def _crossings(rows: Rows, links: Neighbours) -> int:
    """How often two lines between neighbouring layers cross, for the given order of the layers."""
    total = 0
    for upper, lower in pairwise(rows):
        at = {place: n for n, place in enumerate(lower)}
        ends = np.array([(n, at[to]) for n, place in enumerate(upper) for to in links[place]])
        if len(ends):
            total += int(np.sum((ends[:, None, 0] < ends[None, :, 0]) & (ends[:, None, 1] > ends[None, :, 1])))
    return total


def _ordered(rows: Rows, up: Neighbours, down: Neighbours) -> Rows:
    """The layers with few crossings: each in the order of the mean place of its neighbours, over and over."""
    best, fewest = rows, _crossings(rows, down)
    for sweep in range(_SWEEPS):
        rows = [list(row) for row in rows]
        neighbours, path = (up, range(1, len(rows))) if sweep % 2 == 0 else (down, range(len(rows) - 2, -1, -1))
        for n in path:
            beside = rows[n - 1 if sweep % 2 == 0 else n + 1]
            at = {place: i / len(beside) for i, place in enumerate(beside)}
            now = {place: i / len(rows[n]) for i, place in enumerate(rows[n])}
            rows[n].sort(key=lambda p: np.mean([at[q] for q in neighbours[p]]) if neighbours[p] else now[p])
        crossings = _crossings(rows, down)
        if crossings < fewest:
            best, fewest = rows, crossings
    return best


def _places(rows: Rows, up: Neighbours, down: Neighbours, box: Mapping[Place, float]) -> dict[Place, float]:
    """The middle of each place: as near to the mean of its neighbours as order and widths allow, by least squares."""
    x: dict[Place, float] = {}
    offsets = []
    for row in rows:
        half = np.array([(box[place] + _GAP if place in box else _GAP / 2) / 2 for place in row])
        offsets.append(np.concatenate([[0.0], np.cumsum(half[1:] + half[:-1])]))
        x.update(zip(row, offsets[-1] - offsets[-1][-1] / 2))
    for sweep in range(2 * _SWEEPS + 1):
        for n in range(len(rows)) if sweep % 2 == 0 else range(len(rows) - 1, -1, -1):
            row = rows[n]
            beside = [[x[q] for q in up[p] + down[p]] for p in row]
            wanted = np.array([sum(near) / (len(near) + _PULL) for near in beside])
            x.update(zip(row, isotonic_regression(wanted - offsets[n]).x + offsets[n]))
    return x


def drawing(claims: Sequence[Claim], box: Mapping[str, float]) -> Drawing:
    """Place boxes of the given widths, from the claims that rest on nothing, at the top, down to what rests on them."""
    level, skip = _levels(claims, box), implied(claims)
    rows: Rows = [[] for _ in range(1 + max(level.values()))]
    up: dict[Place, list[Place]] = {}
    down: dict[Place, list[Place]] = {}
    for claim in claims:
        users = [c.id for c in claims if claim.id in c.uses and (claim.id, c.id) not in skip]
        last = max((level[user] for user in users), default=0)
        trunk: list[Place] = [claim.id, *((claim.id, n) for n in range(level[claim.id] + 1, last))]
        for n, place in enumerate(trunk, start=level[claim.id]):
            rows[n].append(place)
            ends = [user for user in users if level[user] == n + 1]
            down[place] = ends + trunk[n - level[claim.id] + 1 : n - level[claim.id] + 2]
            up.setdefault(place, [])
            for end in down[place]:
                up.setdefault(end, []).append(place)
    rows = _ordered(rows, up, down)
    x = _places(rows, up, down, box)
    left = min(x[p] - box.get(p, 0.0) / 2 for p in x) - _MARGIN
    x = {p: value - left for p, value in x.items()}
    width = max(x[p] + box.get(p, 0.0) / 2 for p in x) + _MARGIN
    return Drawing(x, level, dict(box), width, (len(rows) - 1) * _PITCH + _BOX + 2 * _MARGIN)


def _line(drawn: Drawing, used: str, id: str, direct: bool) -> str:
    """The path from a claim to one that uses it: through the trunk's bends, or ``direct``."""
    bends = () if direct else range(drawn.layer[used] + 1, drawn.layer[id])
    x, y = drawn.x[used], drawn.layer[used] * _PITCH + _MARGIN + _BOX
    text = f"M{x:.0f} {y}"
    for n, place in [*((n, (used, n)) for n in bends), (drawn.layer[id], id)]:
        to, top = drawn.x[place], n * _PITCH + _MARGIN
        text += f"C{x:.0f} {(y + top) / 2:.0f} {to:.0f} {(y + top) / 2:.0f} {to:.0f} {top}"
        x, y = to, top + _BOX
        text += f"V{y}" if place != id else ""
    return text


def svg(
    claims: Sequence[Claim],
    own: Collection[str],
    outcomes: Mapping[str, str],
    carried: Mapping[str, int],
    link: Callable[[str], str],
    label: str,
) -> str:
    """The claims as boxes with their lines, foundations at the top.

    A box shows the sign of the outcome, the name, and how many claims rest on it in all; it links to the statement.
    Claims that are not in ``own`` are context and have a broken border. A line that a longer way implies is pale.
    """
    texts = {c.id: f"{sign(outcomes[c.id])} {c.name}" for c in claims}
    counts = {c.id: str(carried[c.id]) if carried[c.id] else "" for c in claims}
    box = {c.id: 6.8 * (len(texts[c.id]) + len(counts[c.id])) + (24 if counts[c.id] else 14) for c in claims}
    drawn, pale = drawing(claims, box), implied(claims)
    lines, boxes = [], []
    for claim in claims:
        for used in claim.uses:
            direct = (used, claim.id) in pale
            shade = ' class="featnorm-implied"' if direct else ""
            path = _line(drawn, used, claim.id, direct)
            lines.append(f'<path d="{path}" data-from="{used}" data-to="{claim.id}"{shade}/>')
        x, y = drawn.x[claim.id] - box[claim.id] / 2, drawn.layer[claim.id] * _PITCH + _MARGIN
        outcome = outcomes[claim.id]
        rests = f"{carried[claim.id]} {'claim rests' if carried[claim.id] == 1 else 'claims rest'} on it"
        context = "" if claim.id in own else " featnorm-context"
        boxes.append(
            f'<a href="{escape(link(claim.id))}" data-claim="{claim.id}" data-name="{escape(claim.name)}" '
            f'class="featnorm-node featnorm-{word(outcome).split()[0]}{context}">'
            f"<title>{escape(f'{claim.name}: {claim.title} ({outcome}). {rests}.')}</title>"
            f'<rect x="{x:.0f}" y="{y}" width="{box[claim.id]:.0f}" height="{_BOX}" rx="4"/>'
            f'<text x="{x + 7:.0f}" y="{y + 16}">{escape(texts[claim.id])}</text>'
            f'<text x="{x + box[claim.id] - 6:.0f}" y="{y + 16}" class="featnorm-carried">{counts[claim.id]}</text></a>'
        )
    return (
        f'<div class="featnorm-scroll full-width" tabindex="0" role="region" '
        f'aria-label="{escape(label)}, may scroll sideways">'
        f'<svg xmlns="http://www.w3.org/2000/svg" class="featnorm-graph" role="group" aria-label="{escape(label)}" '
        f'viewBox="0 0 {drawn.width:.0f} {drawn.height}" width="{drawn.width:.0f}" height="{drawn.height}">'
        f'<g class="featnorm-lines">{"".join(lines)}</g>{"".join(boxes)}</svg></div>'
    )
