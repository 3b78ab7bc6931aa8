"""Figures of "Weight decay is a clock"."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from featnorm._validate import Array
from featnorm.matrix_flow import MatrixTrajectory
from featnorm.publish.figure import COLOURS, DASHES, RAMP, drawing, glue_figure

Flows = Mapping[float, MatrixTrajectory]


def one_curve(s: Array, runs: Flows, agreement: Mapping[float, Array], made_by: str) -> None:
    """``fig-one-curve``: N_x against time and against the clock, and the size of Phi, one line a weight decay."""
    with drawing(1, 3, width=9.0, height=3.2) as (fig, axes):
        for (rho, run), colour, dash, lw in zip(runs.items(), RAMP, DASHES, (4.0, 2.6, 1.6)):
            size = np.linalg.norm(run.Phi, axis=(1, 2))
            axes[0].plot(1 + run.t, agreement[rho], color=colour, ls=dash, lw=lw, label=f"ρ = {rho:g}")
            axes[1].plot(1 + s, agreement[rho], color=colour, ls=dash, lw=lw)
            axes[2].plot(1 + s, size / size[0], color=colour, ls=dash, lw=lw)
        axes[0].set(xscale="log", xlabel="1 + time t", title="Agreement by time")
        axes[1].set(xscale="log", xlabel="1 + clock s", title="Agreement by the clock")
        axes[2].set(xscale="log", xlabel="1 + clock s", title="Size of Φ by the clock", ylim=(0, None))
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        ends = "; ".join(f"rho = {rho:g} ends at t = {run.t[-1]:.3g}" for rho, run in runs.items())
        last = agreement[0.0][-1]
        alt = (
            f"Agreement N_x for three weight decays: against time three curves ({ends}), against the clock one curve, "
            f"which ends at {last:.3f}. The size of Phi falls faster the stronger the decay."
        )
        glue_figure(fig, "fig-one-curve", alt, made_by)


def flow_laws(cosine: Flows, l2: Flows, made_by: str) -> None:
    """``fig-laws``: the norm against its law, and the balance matrix relative to the size of Phi."""
    with drawing(1, 2, width=7.6, height=3.3) as (fig, (left, right)):
        for (rho, run), colour, dash in zip(cosine.items(), RAMP, DASHES):
            norm = np.linalg.norm(run.W, axis=(1, 2))
            left.plot(run.t, np.exp(rho * run.t) * norm / norm[0], color=colour, ls=dash, label=f"cosine, ρ = {rho:g}")
            offset = np.swapaxes(run.W, 1, 2) @ run.W - run.Phi @ np.swapaxes(run.Phi, 1, 2)
            share = np.linalg.norm(offset, axis=(1, 2)) / np.sum(run.Phi**2, axis=(1, 2))
            right.plot(run.t, share, color=colour, ls=dash)
        for rho, run in l2.items():
            norm = np.linalg.norm(run.W, axis=(1, 2))
            left.plot(
                run.t, np.exp(rho * run.t) * norm / norm[0], color=COLOURS["neutral"], ls="-.", label=f"L2, ρ = {rho:g}"
            )
        left.set(xlabel="time t", title="‖W‖ exp(ρt) / ‖W(0)‖", ylim=(0, 1.1 * left.get_ylim()[1]))
        right.set(xlabel="time t", title="‖WᵀW − ΦΦᵀ‖ / ‖Φ‖²", ylim=(0, 1.3 * right.get_ylim()[1]))
        fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        glue_figure(
            fig,
            "fig-laws",
            "Left: the norm of W times exp(rho t) stays constant under the cosine loss for three weight decays, and "
            "does not for the L2 loss. Right: the mismatch between the layers relative to the size of Phi is a flat "
            "line, the same for the three weight decays.",
            made_by,
        )
