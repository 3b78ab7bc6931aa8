"""Figures of "What survives"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from featnorm._validate import Array
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


def terminal_errors(ratios: Sequence[int], errors: Mapping[str, Array], made_by: str) -> None:
    """``fig-terminal``: error of the predicted spectrum against h / d, a point for each start, lines through means."""
    styles = (
        (COLOURS["Phi"], "-", "o"),
        (COLOURS["W"], "--", "s"),
        (COLOURS["N_x"], ":", "^"),
        (COLOURS["neutral"], "-.", "v"),
    )
    with drawing(width=6.6, height=3.6) as (fig, axis):
        x = 1.0 / np.array(ratios)
        for shift, ((name, values), (colour, dash, marker)) in enumerate(zip(errors.items(), styles)):
            # the points of different lines stand side by side
            at = x * 1.05 ** (shift - 1.5)
            axis.plot(np.repeat(at, values.shape[1]), values.ravel(), marker, color=colour, ms=3, alpha=0.35)
            axis.plot(at, values.mean(axis=1), ls=dash, marker=marker, color=colour, ms=6, label=name)
        axis.set(xscale="log", yscale="log", xlabel="h / d", ylabel="error of the spectrum of F")
        axis.set_xticks(x, [f"1/{r}" if r > 1 else "1" for r in ratios], minor=False)
        axis.minorticks_off()
        fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        words = "; ".join(
            f"{name}: {values[0].mean():.3f} at h/d = 1/{ratios[0]}, {values[-1].mean():.3f} at 1"
            for name, values in errors.items()
        )
        glue_figure(fig, "fig-terminal", f"Error of the predicted spectrum against h / d. Means, {words}.", made_by)
