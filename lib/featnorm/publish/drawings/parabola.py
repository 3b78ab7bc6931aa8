"""Figures of "The invariant parabola"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featnorm._validate import Array
from featnorm.eigen_flow import EigenTrajectory, mode_norms
from featnorm.publish.figure import COLOURS, DASHES, drawing, glue_figure


def planes(run: EigenTrajectory, rho: float, times: Array, made_by: str) -> None:
    """``fig-planes``: modes in the (w, phi) plane, as they are and with the common shrinking divided out."""
    states = [run.at(float(t)) for t in times]
    w, phi = (np.array(part) for part in zip(*states))
    grown = np.exp(rho * times)[:, None]
    with drawing(1, 2, width=7.8, height=3.9) as (fig, (left, right)):
        for axis, x, y, title in (
            (left, w, phi, "As they are"),
            (right, grown * w, grown**2 * phi, "In units of the shrinking scale"),
        ):
            edge = 1.1 * float(np.abs(x).max())
            grid = np.linspace(-edge, edge, 121)
            axis.plot(grid, grid**2, color=COLOURS["neutral"], ls="--", lw=1.4, label="parabola φ = w²")
            axis.plot(x, y, color=COLOURS["W"], lw=1.0)
            axis.plot(x[0], y[0], "o", ms=5, color=COLOURS["W"], fillstyle="none", ls="", label="start")
            axis.plot(x[-1], y[-1], "o", ms=5, color=COLOURS["W"], ls="", label="end")
            axis.set(xlabel="w", title=title, ylim=(-0.05 * y.max(), 1.1 * y.max()), xlim=(-edge, edge))
        left.set(ylabel="φ")
        right.set(xlabel="w times exp(ρt)", ylabel="φ times exp(2ρt)")
        fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        gap, moved = np.abs(phi - w**2).max(axis=1), float(np.abs(phi[-1]).max() / np.abs(phi[0]).max())
        constant = np.abs(grown**2 * (phi - w**2) - (phi[0] - w[0] ** 2)).max()
        glue_figure(
            fig,
            "fig-planes",
            f"{w.shape[1]} modes in the plane of w and phi. Left: the largest distance from the parabola falls from "
            f"{gap[0]:.2g} to {gap[-1]:.2g}, and the largest phi to {moved:.2g} of its start: all shrink to the "
            f"origin. Right: with the shrinking divided out each mode moves on its own shifted parabola; the distances "
            f"change by no more than {constant:.1g}.",
            made_by,
        )


def drifts(runs: Sequence[tuple[str, float, EigenTrajectory]], made_by: str) -> None:
    """``fig-drift``: distance from the parabola, norms and N_x against 2 rho t; one panel a weight decay."""
    with drawing(1, len(runs), width=7.8, height=3.5, sharey=True) as (fig, axes):
        ends = []
        for axis, (title, rho, run) in zip(axes, runs):
            t = np.linspace(0.0, min(run.t[-1], 1.5 / rho), 200)
            N = [mode_norms(*run.at(float(time))) for time in t]
            clock_time = 2 * rho * t
            distance = np.exp(-clock_time)
            axis.plot(clock_time, distance, color=COLOURS["W"], label="distance from the parabola")
            for name, label, dash in (("N_Phi", "N_Φ", DASHES[1]), ("N_Psi", "N_Ψ", DASHES[2])):
                values = np.array([getattr(n, name) for n in N])
                colour = COLOURS[name.removeprefix("N_")]
                axis.plot(clock_time, values / values[0], color=colour, ls=dash, label=f"{label}, of its start")
            axis.plot(clock_time, [n.N_x for n in N], color=COLOURS["N_x"], ls="-.", label="N_×")
            axis.axvline(1.0, color=COLOURS["neutral"], lw=0.8)
            axis.set(xlabel="2ρt", title=title)
            then = mode_norms(*run.at(0.5 / rho))
            ends.append(
                f"{title}: when the distance has fallen to {np.exp(-1):.2f}, N_Phi is at "
                f"{then.N_Phi / N[0].N_Phi:.2f} and N_Psi at {then.N_Psi / N[0].N_Psi:.2f} of the start, and N_x has "
                f"gone from {N[0].N_x:.2f} to {then.N_x:.2f}"
            )
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        glue_figure(fig, "fig-drift", "; ".join(ends) + ".", made_by)
