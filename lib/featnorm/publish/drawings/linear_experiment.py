"""Figures of "The linear experiment"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from featnorm.equilibria import Intervals
from featnorm.publish.figure import COLOURS, drawing, glue_figure

if TYPE_CHECKING:  # PyTorch is not needed to draw
    from featnorm.simsiam.linear import LinearRun


def norms(run: LinearRun, made_by: str) -> None:
    """``fig-run-norms``: N_Phi, N_Psi and N_x of a `featnorm.simsiam.linear.LinearRun`; asymmetry and commutator."""
    with drawing(1, 2, width=7.6, height=3.2) as (fig, (left, right)):
        left.plot(run.step, run.N_Phi, color=COLOURS["Phi"], label="N_Φ")
        left.plot(run.step, run.N_Psi, color=COLOURS["Psi"], ls="--", label="N_Ψ")
        left.plot(run.step, run.N_x, color=COLOURS["N_x"], ls="-.", label="N_×")
        left.set(xlabel="step", title="Norms")
        right.plot(run.step, run.asymmetry, color=COLOURS["W"], label="asymmetry of W")
        right.plot(run.step, run.commutator, color=COLOURS["Phi"], ls="--", label="commutator of F and W")
        right.set(xlabel="step", title="Departure from Assumptions 1 and 5", ylim=(0, None))
        left.legend()
        right.legend()
        glue_figure(
            fig,
            "fig-run-norms",
            f"Left: N_Phi falls from {run.N_Phi[0]:.2g} to {run.N_Phi[-1]:.2g}, N_Psi from {run.N_Psi[0]:.2g} to "
            f"{run.N_Psi[-1]:.2g}, N_x rises from {run.N_x[0]:.2g} to {run.N_x[-1]:.2g}. Right: the asymmetry of W has "
            f"its maximum {run.asymmetry.max():.2g}, the commutator falls from {run.commutator[0]:.2g} to "
            f"{run.commutator[-1]:.2g}.",
            made_by,
        )


def intervals_of_eq_7(run: LinearRun, intervals: Intervals, made_by: str) -> None:
    """``fig-run-intervals``: the eigenvalues of W over the regions of Eq. 7 at the norms of each moment."""
    with drawing(width=7.4, height=3.8) as (fig, axis):
        top, bottom = 1.15 * float(run.eig_W.max()), 1.15 * float(run.eig_W.min())
        step = run.step
        axis.fill_between(step, bottom, intervals.low, color=COLOURS["diverges"], alpha=0.25, lw=0, label="diverges")
        edge = np.fmin(intervals.middle, top)  # where there is no positive equilibrium, everything above tends to 0
        axis.fill_between(step, intervals.low, edge, color=COLOURS["collapses"], alpha=0.3, lw=0, label="tends to 0")
        axis.fill_between(
            step, edge, top, color=COLOURS["converges"], alpha=0.25, lw=0, label="tends to the stable point"
        )
        axis.plot(step, intervals.high, color=COLOURS["converges"], ls=":", label="stable point")
        axis.plot(step, run.eig_W[:, 1:], color=COLOURS["neutral"], lw=0.6, alpha=0.8)
        axis.plot(step, run.eig_W[:, 0], color=COLOURS["W"], lw=2.2, label="largest eigenvalue of W")
        axis.set(xlabel="step", ylabel="eigenvalues of W", ylim=(bottom, top), xlim=(step[0], step[-1]))
        fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        first = step[np.isfinite(intervals.high)]
        emerges = f"from step {first[0]} on a positive stable point exists" if len(first) else "no stable point appears"
        glue_figure(
            fig,
            "fig-run-intervals",
            f"Eigenvalues of W against the step over the regions of Eq. 7: {emerges}. The largest eigenvalue goes from "
            f"{run.eig_W[0, 0]:.2g} to {run.eig_W[-1, 0]:.2g}; the stable point ends at {intervals.high[-1]:.2g}.",
            made_by,
        )


def full_length(runs: Mapping[str, Mapping[str, np.ndarray]], made_by: str) -> None:
    """``fig-full-length``: for each archived setting the absolute eigenvalues of its first run, the four largest apart.

    ``runs`` maps a title to the arrays of `featnorm.simsiam.runs.linear_runs`.
    """
    with drawing(1, len(runs), width=7.8, height=3.2) as (fig, axes):
        words = []
        for axis, (title, arrays) in zip(np.atleast_1d(axes), runs.items()):
            size = np.sort(np.abs(arrays["eig_W"][0]), axis=1)[:, ::-1]
            axis.plot(arrays["step"], size[:, 4:], color=COLOURS["neutral"], lw=0.5, alpha=0.7)
            axis.plot(arrays["step"], size[:, :4], color=COLOURS["W"], lw=1.6)
            axis.set(xlabel="step", title=title, ylim=(0, None))
            alive = int(np.sum(size[-1] > 0.1 * size[-1, 0]))
            words.append(f"{title}: the largest goes from {size[0, 0]:.2g} to {size[-1, 0]:.2g}, {alive} stay large")
        glue_figure(fig, "fig-full-length", f"Absolute eigenvalues of W against the step. {'; '.join(words)}.", made_by)
