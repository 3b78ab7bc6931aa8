"""Figures of "Gronwall, and how norms really move"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from featnorm._validate import Array
from featnorm.publish.figure import COLOURS, RAMP, drawing, glue_figure


def growth(t: Array, panels: Mapping[str, tuple[str, Mapping[str, Array]]], made_by: str) -> None:
    """``fig-growth``: a size, its law and its lemma against time; panels name -> (colour, {truth, law, lemma})."""
    styles = {"truth": ("-", 2.2), "law": ("--", 1.6), "lemma": (":", 2.0)}
    with drawing(1, len(panels), width=8.0, height=3.4) as (fig, axes):
        words = []
        for axis, (title, (colour, curves)) in zip(axes, panels.items()):
            for name, curve in curves.items():
                dash, lw = styles[name]
                ink = COLOURS["neutral"] if name == "lemma" else COLOURS[colour]
                axis.plot(t, curve, color=ink, ls=dash, lw=lw, label="exact flow" if name == "truth" else name)
            axis.set(yscale="log", xlabel="time t", title=title)
            ends = ", ".join(f"{name} {curve[-1]:.1e}" for name, curve in curves.items())
            words.append(f"{title} at t = {t[-1]:.0f}: {ends}")
        # The panels differ in colour only, so one legend serves all.
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        alt = f"Logarithmic axes. The flow and its law fall, the lemma's bound rises. {'; '.join(words)}."
        glue_figure(fig, "fig-growth", alt, made_by)


def no_constant(
    L: Sequence[float], eleven: Sequence[float], eps: Sequence[float], fourteen: Sequence[float], made_by: str
) -> None:
    """``fig-no-constant``: the term of Eq. 11 against L, and that of Eq. 14 against eps, each with the constant one."""
    with drawing(1, 2, width=7.6, height=3.3) as (fig, (left, right)):
        left.plot(L, eleven, "o-", color=COLOURS["W"])
        left.set(xscale="log", yscale="log", xlabel="L", title="Eq. 11: ‖Wᵀ H W⁻ᵀ‖")
        right.plot(eps, fourteen, "s-", color=COLOURS["Psi"])
        right.set(xscale="log", xlabel="ε", title="Eq. 14: ‖H W⁻ᵀ F Wᵀ‖ / ‖F‖", ylim=(0, None))
        right.invert_xaxis()
        for axis in (left, right):
            axis.axhline(1.0, color=COLOURS["neutral"], ls="--", lw=1.2)
        glue_figure(
            fig,
            "fig-no-constant",
            f"Left: from {eleven[0]:.2g} at L = {L[0]:.0f} to {eleven[-1]:.2g} at L = {L[-1]:.0f}, a straight line on "
            f"logarithmic axes. Right: from {fourteen[0]:.2g} at epsilon = {eps[0]:.0e} to {fourteen[-1]:.2g} at "
            f"{eps[-1]:.0e}, a straight line against the logarithm of epsilon. Both cross the dashed line at one.",
            made_by,
        )


def gronwall_case(t: Array, curves: Mapping[str, Array], made_by: str) -> None:
    """``fig-gronwall``: a function, its hypothesis, the theorem's bound, and the bound with half the exponent."""
    styles = {
        "u": (COLOURS["neutral"], "-", 2.6),
        "α + ∫ β u": (RAMP[0], "--", 1.6),
        "α exp ∫ β": (RAMP[1], "-.", 1.6),
        "α exp ½∫ β": (RAMP[2], ":", 2.0),
    }
    with drawing(width=5.6, height=3.2) as (fig, axis):
        for name, curve in curves.items():
            colour, dash, lw = styles[name]
            axis.plot(t, curve, color=colour, ls=dash, lw=lw, label=name)
        axis.set(xlabel="t", ylim=(0, None))
        axis.legend()
        ends = "; ".join(f"{name} {curve[-1]:.3g}" for name, curve in curves.items())
        below = float(t[np.argmax(curves["u"] > curves["α exp ½∫ β"])])
        alt = f"At the end: {ends}. u stays below the first two bounds and crosses the last one at t = {below:.2g}."
        glue_figure(fig, "fig-gronwall", alt, made_by)
