"""Figures of "The commutator"."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from featnorm._validate import Array
from featnorm.publish.figure import COLOURS, drawing, glue_figure


def paths(s: Array, raw: Array, kept: Array, asymmetry: Array, made_by: str) -> None:
    """``fig-commutator``: relative commutators of the two flows by the clock, and the asymmetry of the raw one."""
    with drawing(1, 2, width=7.8, height=3.4) as (fig, (left, right)):
        left.plot(1 + s, raw, color=COLOURS["W"], label="the flow itself")
        left.plot(1 + s, np.maximum(kept, 1e-9), color=COLOURS["Psi"], ls="--", label="W kept symmetric")
        left.set(xscale="log", yscale="log", xlabel="1 + clock s", title="Relative commutator")
        left.legend(loc="lower left")
        right.plot(1 + s, asymmetry, color=COLOURS["W"])
        right.set(xscale="log", xlabel="1 + clock s", ylim=(0, None), title="Asymmetry of W, the flow itself")
        alt = (
            f"Left, logarithmic axes: the relative commutator starts at {raw[0]:.2f}. Under the flow itself it settles "
            f"at {raw[-1]:.3f}; with W kept symmetric it falls to {kept[-1]:.0e}. Right: the asymmetry of W grows from "
            f"0 to {asymmetry[-1]:.2f} and stays there."
        )
        glue_figure(fig, "fig-commutator", alt, made_by)


_FLOWS = {
    "exact": ("exact flow", COLOURS["W"], "-"),
    "leading": ("leading order", COLOURS["leading"], "--"),
    "paper": ("Lemma 4", COLOURS["paper"], ":"),
}


def rates(curves: Mapping[str, tuple[Array, Array]], made_by: str) -> None:
    """``fig-rates``: the smallest eigenvalue of K by the clock, one line a flow."""
    with drawing(width=6.4, height=3.2) as (fig, axis):
        axis.axhline(0.0, color=COLOURS["neutral"], lw=1.0)
        for name, (s, rate) in curves.items():
            label, colour, dash = _FLOWS[name]
            axis.plot(1 + s, rate, color=colour, ls=dash, lw=2.4 if dash == ":" else 1.8, label=label)
        axis.set(xscale="log", xlabel="1 + clock s", title="Smallest eigenvalue of K at ρ = 0")
        axis.legend(loc="lower right")
        words = "; ".join(
            f"{_FLOWS[name][0]}: from {rate[0]:.3f} to {rate[-1]:.3f} at s = {s[-1]:.0f}"
            for name, (s, rate) in curves.items()
        )
        alt = f"Smallest eigenvalue of K against the clock, three lines that start below zero. {words}."
        glue_figure(fig, "fig-rates", alt, made_by)
