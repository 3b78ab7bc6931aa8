"""The figure that a reader can move: Eq. 7 and 8 at frozen norms beside the diagram of the regimes.

Python draws the complete picture, so that it is there without JavaScript and on paper. `explore.js`, inlined, draws the
same picture again when something is moved; it needs no kernel and no network. Tests compare its formulas with
`featnorm.equilibria`, and its first picture with this one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from html import escape
from importlib import resources
from itertools import pairwise
from typing import Literal

import numpy as np

from featnorm._validate import between, one_of, positive
from featnorm.eigen_flow import parabola_velocity
from featnorm.equilibria import (
    FOLD_TOLERANCE,
    critical_rho,
    equilibria,
    fold,
    l2_critical_rho,
    l2_equilibria,
    l2_velocity,
    scaled,
)
from featnorm.provenance import commit
from featnorm.setting import Norms, Setting

Loss = Literal["cosine", "L2"]

#: Ranges of the sliders: logarithms to base 10, but N_x itself. They reach no value that the library refuses.
RANGES: dict[str, tuple[float, float]] = {
    "rho": (-3.0, 1.0),
    "N_Phi": (-1.0, 1.0),
    "N_Psi": (-2.0, 2.0),
    "N_x": (-1.0, 1.0),
}
_SIGNS = {"rho": "ρ", "N_Phi": "N<sub>Φ</sub>", "N_Psi": "N<sub>Ψ</sub>", "N_x": "N<sub>×</sub>"}
_SPOKEN = {
    "rho": "weight decay rho",
    "N_Phi": "norm of Phi",
    "N_Psi": "norm of Psi",
    "N_x": "cosine between Phi and Psi",
}
#: Where things stand in the drawings, both 360 wide and 284 high.
GEOMETRY: dict[str, float] = {
    "left": 46, "right": 350, "top": 12, "bottom": 202, "phase": 226, "ticks": 252, "low": 232,
}  # fmt: skip


@dataclass(frozen=True)
class State:
    """What the figure shows: frozen norms, strengths and the loss. Raises ValueError for what no slider can reach.

    >>> State(N_Phi=1.0, N_Psi=1.0, N_x=0.0, rho=0.0)
    Traceback (most recent call last):
    ...
    ValueError: rho = 0.0: must be a number from 0.001 to 10
    """

    N_Phi: float
    N_Psi: float
    N_x: float
    rho: float
    sigma2: float = 1.0
    loss: Loss = "cosine"

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            rule = between(low, high) if name == "N_x" else between(10.0**low, 10.0**high)
            rule(name, getattr(self, name))
        positive("sigma2", self.sigma2)
        one_of("cosine", "L2")("loss", self.loss)

    @property
    def norms(self) -> Norms:
        """The three frozen norms."""
        return Norms(self.N_Phi, self.N_Psi, self.N_x)

    @property
    def setting(self) -> Setting:
        """The strengths; the sizes h and d do not enter."""
        return Setting(h=1, d=1, sigma2=self.sigma2, rho=self.rho)

    @property
    def critical(self) -> float:
        """The weight decay at which the two positive equilibria meet; under the L2 loss it contains no norm."""
        return l2_critical_rho(self.setting) if self.loss == "L2" else critical_rho(self.norms, self.setting)

    @property
    def side(self) -> Literal["above", "at", "below"]:
        """On which side of `critical` the weight decay lies."""
        gap = self.rho / self.critical - 1.0
        return "at" if abs(gap) <= FOLD_TOLERANCE else "above" if gap > 0 else "below"

    def points(self) -> tuple[tuple[float, str, str], ...]:
        """Every equilibrium as (w, name, stability), in increasing order."""
        found = l2_equilibria(self.setting) if self.loss == "L2" else equilibria(self.norms, self.setting)
        return tuple((e.w, e.name, e.stability) for e in found)

    def velocity(self, w: np.ndarray) -> np.ndarray:
        """dw/dt by Eq. 7 or Eq. 8."""
        if self.loss == "L2":
            return l2_velocity(w, self.setting)
        return parabola_velocity(w, self.norms, self.setting)


def presets(sigma2: float = 1.0) -> dict[str, State]:
    """The paper's regimes as settings of our choice, since those of its Figure 2 were lost.

    N_x = 0, as in the paper's Appendix C.
    Stable itself exists at rho = 0 only, which no logarithmic slider reaches; ``nearly Stable`` lies close to it.

    >>> [state.side for state in presets().values()]
    ['above', 'at', 'below', 'below']
    """
    one = State(1.0, 1.0, 0.0, 1.0, sigma2)
    a = one.setting.a
    return {
        "Collapse": replace(one, rho=1.0 / a),
        "fold": replace(one, rho=one.critical),
        "Acute": replace(one, rho=0.2 / a),
        "nearly Stable": State(0.5, 0.5, 0.0, 0.02 / a, sigma2),
    }


def short(x: float) -> str:
    """Three significant digits, without an exponent.

    >>> short(-0.00123456), short(1.0)
    ('−0.00123', '1')
    """
    return np.format_float_positional(float(f"{x:.3g}"), trim="-").replace("-", "−")


def words(state: State) -> tuple[str, str]:
    """The regime's name and what eigenvalues do in it, in the words that explore.js uses too.

    >>> words(State(1.0, 1.0, 0.0, 0.5))[0]
    'Collapse'
    """
    at = {name: short(w) for w, name, _ in state.points()}
    side, part, limit = state.side, short(state.rho / state.critical), short(state.critical)
    ending = f" ρ is {part} times its critical value {limit}"
    if state.loss == "L2":
        name = {"above": "L2, above the threshold", "at": "L2, at the threshold", "below": "L2, below the threshold"}[
            side
        ]
        high = at.get("w_up")
        text = {
            "above": "One equilibrium: every eigenvalue tends to 0.",
            "at": f"Two equilibria: above {high} an eigenvalue tends to {high}, below it to 0.",
            "below": f"Three equilibria: above {at.get('w_down_plus')} an eigenvalue tends to {high}, below it to 0.",
        }[side]
        return name, f"{text}{ending}, in which no norm appears."
    low, middle, high = (at.get(key) for key in ("w_down_minus", "w_down_plus", "w_up"))
    text = {
        "above": f"Two equilibria: above {low} an eigenvalue tends to 0, below it diverges.",
        "at": f"Three equilibria: above {high} an eigenvalue tends to {high}, from {low} up to there to 0, below it "
        "diverges.",
        "below": f"Four equilibria: above {middle} an eigenvalue tends to {high}, from {low} up to there to 0, below "
        "it diverges.",
    }[side]
    return {"above": "Collapse", "at": "fold", "below": "Acute"}[side], f"{text}{ending} at these norms."


# --- The drawing, step by step as in explore.js ----------------------------------------------------------------------


def _nice(x: float) -> float:
    """The smallest round number that is not below x."""
    unit = 1.0
    while unit > x:
        unit /= 10
    while unit * 10 < x:
        unit *= 10
    return next(step * unit for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * unit >= x)


def _px(x: float) -> str:
    return np.format_float_positional(round(float(x), 2), trim="-")


def _frame(state: State) -> tuple[float, float]:
    """Half widths of the window in w and in dw/dt."""
    points = state.points()
    if state.loss == "L2":
        centre = 1.0 / state.setting.a
    else:
        centre = float(np.sqrt(state.N_Psi)) * fold(scaled(state.norms, state.setting)[0])[0]
    right, low = max(centre, points[-1][0]), points[0][0]
    inside = 1.6 * right
    width = _nice(max(inside, -1.2 * low) if -low <= 2.5 * inside else inside)

    def largest(a: float, b: float) -> float:
        return float(np.abs(state.velocity(np.linspace(a, b, 41))).max())

    positive_side = 1.6 * largest(0.0, right)
    return width, _nice(max(positive_side, min(1.1 * largest(low, 0.0), 4 * positive_side)))


def picture(state: State) -> dict[str, str]:
    """The parts of the two drawings that change, as SVG markup and path data.

    >>> picture(State(1.0, 1.0, 0.0, 0.1))["marks"].count("<title>")
    4
    """
    g, points = GEOMETRY, state.points()
    X, V = _frame(state)

    def sx(w: float) -> float:
        return g["left"] + (g["right"] - g["left"]) * (min(max(w, -X), X) + X) / (2 * X)

    def sy(f: float) -> float:
        return (g["top"] + g["bottom"]) / 2 - (g["bottom"] - g["top"]) / 2 * min(max(f / V, -3), 3)

    grid = X * (np.arange(161) - 80) / 80
    curve = "M" + "L".join(f"{_px(sx(w))} {_px(sy(f))}" for w, f in zip(grid, state.velocity(grid)))
    ticks = "".join(
        f'<text x="{_px(sx(w))}" y="{g["ticks"]:g}" class="fe-mid">{short(w)}</text>' for w in (-X, -X / 2, 0, X / 2, X)
    ) + "".join(
        f'<text x="{g["left"] - 5:g}" y="{_px(sy(f) + 4)}" class="fe-end">{short(f)}</text>' for f in (-V, 0, V)
    )
    line = ""
    edges = [-X, *(w for w, _, _ in points), X]
    for i, (a, b) in enumerate(pairwise(edges)):
        start, end = sx(a), sx(b)
        if end - start < 1:
            continue
        rising = bool(state.velocity(np.array((a + b) / 2)) > 0)
        aim = i if rising else i - 1
        target = points[aim][0] if 0 <= aim < len(points) else None
        kind = "diverges" if target is None else "collapses" if target == 0 else "converges"
        y = g["phase"]
        line += f'<line x1="{_px(start)}" x2="{_px(end)}" y1="{y:g}" y2="{y:g}" class="fe-{kind}"/>'
        if end - start > 22:
            tip = (start + end) / 2 + (6 if rising else -6)
            tail = tip - (10 if rising else -10)
            line += f'<path d="M{_px(tip)} {y:g}L{_px(tail)} {y - 6:g}V{y + 6:g}Z" class="fe-arrow"/>'
    marks = ""
    for w, _, stability in points:
        x, dots = _px(sx(w)), ""
        for y in ((g["top"] + g["bottom"]) / 2, g["phase"]):
            dots += f'<circle cx="{x}" cy="{y:g}" r="5.5"/>'
            if stability == "semi-stable":
                dots += f'<path d="M{x} {y - 5.5:g}a5.5 5.5 0 0 1 0 11Z"/>'
        outside = " fe-outside" if abs(w) > X else ""
        title = f"<title>{short(w)}, {stability}</title>"
        marks += f'<g class="fe-mark fe-{stability}{outside}">{title}{dots}</g>'

    def u(N: float) -> float:
        low, high = RANGES["N_Phi"]
        return float(g["left"] + (g["right"] - g["left"]) * (np.log10(N) - low) / (high - low))

    def v(rho: float) -> float:
        low, high = RANGES["rho"]
        return float(g["low"] - (g["low"] - g["top"]) * (np.log10(rho) - low) / (high - low))

    def border(N: float) -> float:
        return v(state.critical if state.loss == "L2" else state.critical * (state.N_Phi / N) ** 2)

    first, last = (border(10.0**end) for end in RANGES["N_Phi"])
    upper, lower = ("only 0 is left", "0 and two more") if state.loss == "L2" else ("Collapse", "Acute")
    regions = ""
    if last > g["top"] + 24:
        regions += f'<text x="{g["right"] - 8:g}" y="{g["top"] + 18:g}" class="fe-region fe-end">{upper}</text>'
    if first < g["low"] - 22:
        regions += f'<text x="{g["left"] + 8:g}" y="{g["low"] - 10:g}" class="fe-region">{lower}</text>'
    edge = f"M{g['left']:g} {_px(first)}L{g['right']:g} {_px(last)}"
    return {
        "curve": curve,
        "ticks": ticks,
        "line": line,
        "marks": marks,
        "area": f"{edge}V{g['low'] + 900:g}H{g['left']:g}Z",
        "border": edge,
        "regions": regions,
        "x": _px(u(state.N_Phi)),
        "y": _px(v(state.rho)),
    }


def _controls(state: State, uid: str) -> str:
    """The switch, the buttons and the sliders; hidden until the script is there."""
    losses = "".join(
        f'<label><input type="radio" name="{uid}-loss" value="{loss}"{" checked" * (state.loss == loss)}>{loss}</label>'
        for loss in ("cosine", "L2")
    )
    buttons = "".join(f'<button type="button">{name}</button>' for name in presets(state.sigma2))
    sliders = ""
    for name, (low, high) in RANGES.items():
        value = getattr(state, name)
        where = value if name == "N_x" else float(np.log10(value))
        sliders += (
            f'<label><span>{_SIGNS[name]}</span><input type="range" name="{uid}-{name}" min="{low:g}" max="{high:g}" '
            f'step="0.01" value="{where:.2f}" aria-label="{_SPOKEN[name]}" aria-valuetext="{short(value)}">'
            f'<output aria-live="off">{short(value)}</output></label>'
        )
    return (
        f'<div class="fe-controls" hidden><fieldset><legend>Loss:</legend>{losses}</fieldset>'
        f"<fieldset><legend>Settings:</legend>{buttons}</fieldset>{sliders}</div>"
    )


def _velocity_svg(shape: dict[str, str], uid: str, label: str) -> str:
    g = GEOMETRY
    middle = (g["top"] + g["bottom"]) / 2
    box = f'x="{g["left"]:g}" y="{g["top"]:g}" width="{g["right"] - g["left"]:g}" height="{g["bottom"] - g["top"]:g}"'
    return (
        f'<svg class="fe-velocity" viewBox="0 0 360 284" role="img" aria-label="{escape(label, quote=True)}">'
        f'<clipPath id="{uid}-clip-w"><rect {box}/></clipPath>'
        f'<path class="fe-axis" d="M{g["left"]:g} {middle:g}H{g["right"]:g}M{g["left"]:g} {g["top"]:g}'
        f'V{g["bottom"]:g}"/>'
        f'<path class="fe-curve" clip-path="url(#{uid}-clip-w)" d="{shape["curve"]}"/>'
        f'<g class="fe-line">{shape["line"]}</g><g class="fe-marks">{shape["marks"]}</g>'
        f'<g class="fe-ticks">{shape["ticks"]}</g>'
        f'<text x="{g["left"] + 6:g}" y="{g["top"] + 8:g}">dw/dt</text>'
        f'<text x="{(g["left"] + g["right"]) / 2:g}" y="274" class="fe-mid">eigenvalue w</text></svg>'
    )


def _plane_svg(shape: dict[str, str], uid: str) -> str:
    g = GEOMETRY
    width, height = g["right"] - g["left"], g["low"] - g["top"]
    box = f'x="{g["left"]:g}" y="{g["top"]:g}" width="{width:g}" height="{height:g}"'
    labels = ""
    (u0, u1), (v0, v1) = RANGES["N_Phi"], RANGES["rho"]
    for k in range(int(u0), int(u1) + 1):
        x = g["left"] + width * (k - u0) / (u1 - u0)
        labels += f'<text x="{_px(x)}" y="{g["ticks"]:g}" class="fe-mid">{short(10.0**k)}</text>'
    for k in range(int(v0), int(v1) + 1):
        y = g["low"] - height * (k - v0) / (v1 - v0)
        labels += f'<text x="{g["left"] - 5:g}" y="{_px(y + 4)}" class="fe-end">{short(10.0**k)}</text>'
    return (
        '<svg class="fe-plane" viewBox="0 0 360 284" role="img" aria-label="Diagram of the regimes on logarithmic '
        "axes: common scale of both layers across, weight decay upwards, the curve between the regimes and the present "
        'point.">'
        f'<clipPath id="{uid}-clip-r"><rect {box}/></clipPath>'
        f'<rect class="fe-above" {box}/><g clip-path="url(#{uid}-clip-r)"><path class="fe-area fe-mask" '
        f'd="{shape["area"]}"/><path class="fe-area" d="{shape["area"]}"/>'
        f'<path class="fe-border" d="{shape["border"]}"/></g>'
        f'<rect class="fe-axis" {box}/><g class="fe-regions">{shape["regions"]}</g>{labels}'
        f'<text x="4" y="{g["top"] + 40:g}">ρ</text>'
        f'<text x="{g["left"] + width / 2:g}" y="274" class="fe-mid">N<tspan class="fe-sub" dy="3">Φ</tspan>'
        '<tspan dy="-3">, both layers scaled together</tspan></text>'
        f'<g class="fe-handle" transform="translate({shape["x"]} {shape["y"]})" '
        'aria-label="Point: left and right arrows scale both layers, up and down arrows change rho" '
        f'aria-roledescription="movable point" aria-valuemin="{u0:g}" aria-valuemax="{u1:g}">'
        '<circle class="fe-reach" r="18"/><circle class="fe-dot" r="8"/></g></svg>'
    )


class Explorer:
    """The figure, complete as it stands; with the inlined script it can be moved. ``uid`` makes ids unique on a page.

    >>> "<script>" in Explorer(State(1.0, 1.0, 0.0, 0.1))._repr_html_()
    True
    """

    def __init__(self, state: State, uid: str = "explore") -> None:
        self.state = state
        self.uid = uid

    def _repr_html_(self) -> str:
        here = resources.files(__package__)
        style, script = (here.joinpath(f"explore.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
        data = {
            "state": asdict(self.state),
            "geometry": {**GEOMETRY, **RANGES},
            "presets": [asdict(state) for state in presets(self.state.sigma2).values()],
        }
        shape, (name, text) = picture(self.state), words(self.state)
        label = f"dw/dt against the eigenvalue w. {name}. {text}"
        line = f"Made by featnorm.publish.explore.Explorer; sigma2 = {self.state.sigma2:g}; commit {commit()}"
        return (
            f"<style>{style}</style>"
            f'<div class="featnorm-explore" data-loss="{self.state.loss}" '
            f'data-explore="{escape(json.dumps(data), quote=True)}">'
            f'<div class="fe-panels">{_velocity_svg(shape, self.uid, label)}{_plane_svg(shape, self.uid)}</div>'
            f'<p class="fe-says"><strong class="fe-name" role="status" aria-live="polite">{name}</strong>. '
            f'<span class="fe-text">{text}</span></p>'
            f'{_controls(self.state, self.uid)}<p class="featnorm-provenance">{escape(line)}</p></div>'
            f"<script>{script}</script>"
        )

    def __repr__(self) -> str:
        name, text = words(self.state)
        return f"[figure to move: {name}. {text}]"
