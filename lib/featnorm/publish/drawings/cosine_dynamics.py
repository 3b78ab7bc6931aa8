"""Figures of "Cosine dynamics on the parabola"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from featnorm.eigen_flow import parabola_velocity
from featnorm.equilibria import Equilibrium, equilibria, regime
from featnorm.publish.figure import COLOURS, drawing, glue_figure
from featnorm.setting import Norms, Setting

#: How a dot says stability: full is stable, open unstable, half semi-stable.
MARKS = {"stable": "full", "unstable": "none", "semi-stable": "left"}


def dots(axis: Axes, points: Sequence[Equilibrium], colour: str, height: float = 0.0) -> None:
    """Equilibria on a line: full dots are stable, open ones unstable, half ones attract from one side."""
    for e in points:
        axis.plot(
            e.w,
            height,
            "o",
            ms=7,
            color=colour,
            fillstyle=MARKS[e.stability],
            markerfacecoloralt="none",
            clip_on=False,
            zorder=5,
        )


def figure_2(sets: Sequence[tuple[Norms, Setting]], made_by: str) -> None:
    """``fig-figure-2``: dw/dt of Eq. 7 against w, one panel a parameter set, with its equilibria."""
    with drawing(2, 2, width=7.4, height=4.8) as (fig, axes):
        words = []
        for axis, (N, setting) in zip(axes.flat, sets):
            points = equilibria(N, setting)
            reach = 1.12 * max(abs(e.w) for e in points)
            w = np.linspace(-reach, reach, 401)
            axis.axhline(0, color=COLOURS["neutral"], lw=0.8)
            velocity = parabola_velocity(w, N, setting)
            inner = np.abs(w) <= max(abs(e.w) for e in points)
            top = 1.3 * np.abs(velocity[inner]).max()
            axis.plot(w, velocity, color=COLOURS["cosine"])
            dots(axis, points, COLOURS["cosine"])
            title = f"$N_Φ$ = {N.N_Phi:g}, $N_Ψ$ = {N.N_Psi:g}, ρ = {setting.rho:g}: {regime(N, setting)}"
            axis.set(title=title, xlabel="eigenvalue w", ylim=(-top, top))
            words.append(
                f"{regime(N, setting)} at N_Phi = N_Psi = {N.N_Phi:g}, rho = {setting.rho:g}: "
                + ", ".join(f"{e.w:.2f} {e.stability}" for e in points)
            )
        for axis in axes[:, 0]:
            axis.set_ylabel("dw/dt")
        glue_figure(fig, "fig-figure-2", f"dw/dt against w in four panels. Equilibria: {'; '.join(words)}.", made_by)
