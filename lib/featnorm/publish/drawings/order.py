"""Figures of "Which order are the dynamics?"."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from featnorm._validate import Array
from featnorm.claims.order import OwnShare
from featnorm.equilibria import fold
from featnorm.matrix_flow import clock
from featnorm.publish.drawings.lemma_4 import CLOSURES
from featnorm.publish.figure import COLOURS, drawing, glue_figure


def thresholds(t: Array, rho: float, theta: Array, made_by: str) -> None:
    """``fig-cubic-thresholds``: scaled thresholds against theta, and theta along an exact flow."""
    with drawing(1, 2, width=7.8, height=3.4) as (fig, (left, right)):
        axis_theta = np.linspace(-0.5, max(3.0, float(theta.max())), 200)
        full = [fold(value)[1] for value in axis_theta]
        above = axis_theta[axis_theta > 0.25]
        own = OwnShare().critical(1.0, 1.0, 1.0)[1]
        left.plot(axis_theta, full, color=COLOURS["paper"], label="Eq. 7")
        left.plot(above, 0.25 / above, color=COLOURS["leading"], ls="--", label="cubic law")
        left.plot(0.0, own, "s", color=COLOURS["leading"], label="cubic law, own share")
        left.set(xlabel="θ", title="Scaled threshold of ρ", ylim=(0, 1.0))
        left.legend()
        right.plot(1 + clock(t, rho), theta, color=COLOURS["N_x"])
        right.set(xscale="log", xlabel="1 + clock s", title="θ along the exact flow")
        alt = (
            f"Left: the thresholds of Eq. 7 and of the cubic law against theta run together as theta grows; at "
            f"theta = 0 Eq. 7 has {fold(0.0)[1]:.3f} and the cubic law with the own share {own:.3f}. Right: theta "
            f"along the exact flow goes from {theta[0]:.2f} to {theta[-1]:.2f}."
        )
        glue_figure(fig, "fig-cubic-thresholds", alt, made_by)


def closure_sizes(curves: Mapping[str, tuple[Array, Array]], made_by: str) -> None:
    """``fig-sizes``: the norm of Phi over its start against time, one line a closure."""
    with drawing(width=6.4, height=3.2) as (fig, axis):
        # Three of the curves lie on one another: from wide to narrow, all of them can be seen.
        for (closure, (t, size)), lw in zip(curves.items(), (7.0, 4.0, 2.0, 2.0)):
            label, colour, dash, _ = CLOSURES[closure]
            axis.plot(1 + t, size, color=colour, ls=dash, lw=lw, alpha=0.8, label=label)
        axis.set(xscale="log", xlabel="1 + time t", ylabel="‖Φ‖ over its start", ylim=(0, None))
        axis.legend(loc="lower left")
        words = "; ".join(
            f"{CLOSURES[name][0]}: {size[-1]:.2g} at t = {t[-1]:.0f}" for name, (t, size) in curves.items()
        )
        glue_figure(fig, "fig-sizes", f"Norm of Phi over its start against time. At the end, {words}.", made_by)
