"""Figures of the front page."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from featnorm._validate import Array
from featnorm.matrix_flow import MatrixTrajectory, clock
from featnorm.normalized_moments import matrix_moments
from featnorm.publish.figure import COLOURS, DASHES, drawing, glue_figure
from featnorm.setting import Setting

Flows = Mapping[float, MatrixTrajectory]


def sizes(run: MatrixTrajectory) -> Array:
    """||Phi||_F along a run, over its first value."""
    size = np.linalg.norm(run.Phi, axis=(1, 2))
    return size / size[0]


def agreements(run: MatrixTrajectory, setting: Setting) -> Array:
    """The mean cosine of prediction and target along a run, for Gaussian data: minus the loss of Eq. 2, exactly."""
    return np.array([matrix_moments(W, Phi @ Phi.T, setting).cosine for W, Phi in zip(run.W, run.Phi)])


def front_page(cosine: Flows, l2: Flows, setting: Setting, made_by: str) -> None:
    """``fig-front``: size, agreement against time, agreement against the clock; one line style a weight decay."""
    with drawing(1, 3, width=8.4, height=3.3) as (fig, (left, middle, right)):
        # In the last panel the curves cover one another: drawn from wide to narrow, all of them can be seen.
        for (rho, run), dash, lw, alpha in zip(cosine.items(), DASHES, (7.0, 4.0, 1.4), (0.3, 0.5, 1.0)):
            left.plot(run.t, sizes(run), color=COLOURS["cosine"], ls=dash, label=f"cosine, ρ = {rho:g}")
            agreement = agreements(run, setting)
            middle.plot(run.t, agreement, color=COLOURS["cosine"], ls=dash)
            right.plot(1 + clock(run.t, rho), agreement, color=COLOURS["cosine"], lw=lw, alpha=alpha)
        for (rho, run), dash in zip(l2.items(), DASHES):
            left.plot(run.t, sizes(run), color=COLOURS["l2"], ls=dash, label=f"L2, ρ = {rho:g}")
            middle.plot(run.t, agreements(run, setting), color=COLOURS["l2"], ls=dash)
        left.set(yscale="log", xlabel="time t", title="Size of Φ")
        middle.set(xlabel="time t", title="Agreement of views")
        right.set(xscale="log", xlabel="1 + clock s(t)", title="Cosine, by the clock")
        right.set_ylim(middle.get_ylim())
        fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        decays = ", ".join(f"{rho:g}" for rho in cosine)
        glue_figure(
            fig,
            "fig-front",
            f"Three panels for weight decays {decays}. Left: under the cosine loss the size of Phi falls "
            f"exponentially. Under the L2 loss it ends at {', '.join(f'{sizes(run)[-1]:.1g}' for run in l2.values())} "
            "of its start. Middle: under the cosine loss the agreement of the two views rises to the same height for "
            "every decay, soonest for the strongest; under the L2 loss it rises at once and ends at "
            f"{', '.join(f'{agreements(run, setting)[-1]:.3f}' for run in l2.values())}. Right: against the clock, the "
            "three cosine curves lie on one another.",
            made_by,
        )
