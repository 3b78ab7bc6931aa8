"""Figures of "What survives"."""

from __future__ import annotations

import numpy as np

from featnorm.eigen_flow import EigenTrajectory, TerminalState
from featnorm.matrix_flow import clock
from featnorm.publish.figure import COLOURS, drawing, glue_figure


def survivors(run: EigenTrajectory, end: TerminalState, rho: float, made_by: str) -> None:
    """``fig-survivors``: scale-free eigenvalues by the clock, and the final phi against the prediction."""
    with drawing(1, 2, width=7.8, height=3.6) as (fig, (left, right)):
        s, grown = 1 + clock(run.t, rho), np.exp(rho * run.t)
        alive = end.phi > 0
        left.plot(s, grown[:, None] * run.w[:, ~alive], color=COLOURS["neutral"], lw=1.0)
        left.plot(s, grown[:, None] * run.w[:, alive], color=COLOURS["W"], lw=1.2)
        left.axhline(end.w_bar, color=COLOURS["Phi"], ls="--")
        left.set(xscale="log", xlabel="1 + clock s", title="Eigenvalues of W, scale-free")
        final = grown[-1] ** 2 * run.phi[-1]
        top = 1.05 * max(final.max(), end.phi.max())
        right.plot([0, top], [0, top], color=COLOURS["neutral"], lw=1.0)
        right.plot(end.phi, final, "o", color=COLOURS["Phi"], ms=5)
        right.set(xlabel="φ predicted from the start", ylabel="φ of the exact flow", title="Terminal state")
        glue_figure(
            fig,
            "fig-survivors",
            f"Left: {alive.sum()} eigenvalues run together at {end.w_bar:.2f}, {(~alive).sum()} others stop elsewhere. "
            f"Right: the final phi of the exact flow lie close to the diagonal of the prediction; the largest is "
            f"{final.max():.2f}.",
            made_by,
        )
