"""Figures of "Sub-Weibull variables"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from featnorm._validate import Array
from featnorm.publish.figure import COLOURS, DASHES, RAMP, drawing, glue_figure


def norms(curves: Sequence[tuple[str, float, Array, Array]], made_by: str) -> None:
    """``fig-orlicz``: norm against beta, one line a law (name, index, betas, norms); the colour says the index."""
    colour = dict(zip(sorted({index for _, index, *_ in curves}), RAMP))
    used: dict[float, int] = {}
    with drawing(width=7.0, height=3.6) as (fig, axis):
        for name, index, betas, values in curves:
            dash = DASHES[used.setdefault(index, 0) % len(DASHES)]
            used[index] += 1
            axis.plot(betas, values, color=colour[index], ls=dash, label=name)
            axis.plot(betas[-1], values[-1], "o", color=colour[index], ms=5)
        for index, c in colour.items():
            axis.axvline(index, color=c, lw=0.8, ls=":")
        axis.set(yscale="log", xlabel="β", ylabel="norm", ylim=(0.8, 60))
        axis.set_yticks([1, 3, 10, 30], ["1", "3", "10", "30"])
        axis.minorticks_off()
        fig.legend(loc="outside lower center", ncols=2)
        ends = "; ".join(f"{name} ends at {betas[-1]:g} with {values[-1]:.2f}" for name, _, betas, values in curves)
        glue_figure(fig, "fig-orlicz", f"Norm against beta, each line up to its last finite value: {ends}.", made_by)


def factors(
    betas: Array, lines: Mapping[str, Array], attained: Mapping[str, tuple[Array, Array]], made_by: str
) -> None:
    """``fig-factors``: the factors between the best constants against beta; dots where a variable attains them."""
    with drawing(width=6.8, height=3.6) as (fig, axis):
        for (name, values), colour, dash in zip(lines.items(), RAMP, DASHES):
            axis.plot(betas, values, color=colour, ls=dash, label=name)
            axis.plot(*attained[name], "o", color=colour, ms=5)
        axis.set(xscale="log", yscale="log", xlabel="β", ylabel="factor")
        axis.set_xticks([0.25, 0.5, 1, 2, 3], ["0.25", "0.5", "1", "2", "3"])
        axis.minorticks_off()
        axis.legend()
        words = "; ".join(
            f"{name}: {v[0]:.3g} at {betas[0]:g}, {v[-1]:.3g} at {betas[-1]:g}" for name, v in lines.items()
        )
        glue_figure(
            fig, "fig-factors", f"Factors against beta on logarithmic axes, with dots on them. {words}.", made_by
        )


def summands(
    beta: float, n: Sequence[int], measured: Array, power: Array, constant: float, moments: float, made_by: str
) -> None:
    """``fig-summands``: norm of a sum over the sum of norms against n, for disjoint indicators, with three bounds."""
    with drawing(width=6.8, height=3.4) as (fig, axis):
        axis.plot(n, measured, "o", color=RAMP[0], ms=5, label="disjoint indicators")
        axis.plot(n, power, color=RAMP[2], ls="--", label="two-term constant, iterated")
        axis.axhline(moments, color=COLOURS["neutral"], ls=":", label="from the moments")
        axis.axhline(constant, color=RAMP[1], label="from the convex minorant")
        axis.axhline(1.0, color=COLOURS["neutral"], lw=0.8, label="triangle inequality")
        axis.set(xscale="log", xlabel="number of summands n", ylabel="quotient", ylim=(0, 1.6 * max(moments, constant)))
        axis.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
        axis.minorticks_off()
        axis.legend(ncols=2, loc="upper right")
        best = int(np.argmax(measured))
        alt = (
            f"Norm of a sum over the sum of the norms at beta = {beta:g}. The indicators reach {measured[best]:.3f} at "
            f"n = {n[best]} and fall after it. The line from the convex minorant stands at {constant:.3f}, the one "
            f"from the moments at {moments:.3f}, the triangle inequality at 1. The iterated constant grows to "
            f"{power[-1]:.3g}."
        )
        glue_figure(fig, "fig-summands", alt, made_by)


def deviations(panels: Mapping[str, tuple[Array, Array, Array]], made_by: str) -> None:
    """``fig-deviations``: exact quantile and bound against log10(1/delta); panels name -> (log terms, exact, bound)."""
    with drawing(1, len(panels), width=7.6, height=3.4) as (fig, axes):
        words = []
        for axis, (name, (log_terms, exact, bound)) in zip(np.atleast_1d(axes), panels.items()):
            decades = (log_terms - np.log(2)) / np.log(10)
            axis.plot(decades, bound, color=RAMP[2], ls="--", label="Proposition 5")
            axis.plot(decades, exact, color=RAMP[0], label="exact")
            axis.set(yscale="log", xlabel="−log₁₀ δ", title=name)
            ratio = exact / bound
            words.append(f"{name}: the exact value is between {ratio.min():.3f} and {ratio.max():.3f} of the bound")
        np.atleast_1d(axes)[0].set_ylabel("deviation exceeded with probability δ")
        fig.legend(*np.atleast_1d(axes)[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        glue_figure(fig, "fig-deviations", f"Deviation of a sum against delta. {'; '.join(words)}.", made_by)
