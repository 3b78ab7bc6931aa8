"""Figures of "From matrices to eigenvalues"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from featnorm.eigen_flow import EigenTrajectory, parabola_velocity
from featnorm.equilibria import equilibria
from featnorm.publish.figure import COLOURS, drawing, glue_figure
from featnorm.setting import Norms, Setting

_MARKS = {"stable": "full", "unstable": "none", "semi-stable": "left"}


def regimes(panels: Mapping[str, tuple[Norms, Setting]], made_by: str) -> None:
    """``fig-regimes``: dw/dt of Eq. 7 against w, one panel a regime; full dots are stable, open ones unstable."""
    with drawing(1, len(panels), width=9.0, height=3.0, sharey=True) as (fig, axes):
        for axis, (title, (N, setting)) in zip(axes, panels.items()):
            w = np.linspace(-1.15, 1.15, 301) * np.sqrt(N.N_Psi)
            axis.axhline(0, color=COLOURS["neutral"], lw=0.8)
            axis.plot(w, parabola_velocity(w, N, setting), color=COLOURS["W"])
            for e in equilibria(N, setting):
                axis.plot(
                    e.w,
                    0,
                    "o",
                    ms=7,
                    color=COLOURS["W"],
                    fillstyle=_MARKS[e.stability],
                    markerfacecoloralt="none",
                    clip_on=False,
                )
            axis.set(title=f"{title}, ρ = {setting.rho:.3g}", xlabel="eigenvalue w", ylim=(-0.35, 0.35))
        axes[0].set_ylabel("dw/dt")
        found = "; ".join(
            f"{title}: " + ", ".join(f"{e.w:.2f} {e.stability}" for e in equilibria(N, setting))
            for title, (N, setting) in panels.items()
        )
        glue_figure(fig, "fig-regimes", f"dw/dt against the eigenvalue w. Equilibria: {found}.", made_by)


def basins(runs: Sequence[EigenTrajectory], N: Norms, setting: Setting, made_by: str) -> None:
    """``fig-basins``: single modes on the parabola at frozen norms, with the equilibria as horizontal lines."""
    with drawing(width=6.2, height=3.4) as (fig, axis):
        end = 3.0 / setting.rho  # three times the time in which weight decay alone divides by e
        for run in runs:
            axis.plot(run.t, run.w[:, 0], color=COLOURS["W"], lw=1.4)
        for e in equilibria(N, setting):
            axis.axhline(e.w, color=COLOURS["neutral"], lw=1.2, ls="-" if e.stability == "stable" else ":")
            below = e.name in ("zero", "w_down_minus")  # the two in the middle may lie close together
            axis.annotate(
                f"{e.w:.2f}, {e.stability}",
                (end, e.w),
                ha="right",
                va="top" if below else "bottom",
                fontsize=8,
                xytext=(0, -2 if below else 2),
                textcoords="offset points",
            )
        reach = 1.3 * max(abs(run.w[0, 0]) for run in runs)
        axis.set(xlabel="time t", ylabel="eigenvalue w", ylim=(-reach, reach), xlim=(0, end))
        where = ", ".join(f"from {run.w[0, 0]:.2f} to {run.w[-1, 0]:.2f}" for run in runs)
        glue_figure(fig, "fig-basins", f"Eigenvalue against time at frozen norms, one curve a start: {where}.", made_by)
