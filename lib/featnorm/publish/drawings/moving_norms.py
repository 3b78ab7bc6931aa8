"""Figures of "Frozen norms, moving norms"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from featnorm._validate import Array
from featnorm.eigen_flow import EigenTrajectory, mode_norms
from featnorm.equilibria import intervals
from featnorm.matrix_flow import clock, unclock
from featnorm.passage import barrier
from featnorm.publish.figure import COLOURS, DASHES, RAMP, drawing, glue_figure
from featnorm.setting import Setting


def frozen_and_coupled(
    frozen: Mapping[float, EigenTrajectory], coupled: Mapping[float, EigenTrajectory], mode: int, made_by: str
) -> None:
    """``fig-frozen-coupled``: one eigenvalue under several decays, at frozen norms and with norms that move."""
    with drawing(1, 2, width=7.8, height=3.6) as (fig, (left, right)):
        ends = {}
        for (rho, run), colour, dash in zip(frozen.items(), RAMP, DASHES):
            left.plot(run.t, run.w[:, 0], color=colour, ls=dash, label=f"ρ = {rho:.3g}")
            ends[rho] = float(run.w[-1, 0])
        curves = []
        for (rho, run), colour, dash in zip(coupled.items(), RAMP, DASHES):
            s = clock(run.t, rho)
            right.plot(s, np.exp(rho * run.t) * run.w[:, mode], color=colour, ls=dash)
            times = np.minimum(unclock(np.linspace(0.0, s[-1], 50), rho), run.t[-1])
            curves.append([np.exp(rho * t) * run.at(float(t))[0][mode] for t in times])
        left.set(xlabel="time t", ylabel="eigenvalue w", title="Norms frozen at the start")
        right.set(xlabel="clock s", ylabel="w times exp(ρt)", title="Norms that move, scale-free")
        fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        fates = ", ".join(f"{end:.2f} for rho = {rho:.3g}" for rho, end in ends.items())
        glue_figure(
            fig,
            "fig-frozen-coupled",
            f"Left: at frozen norms the eigenvalue ends at {fates}. Right: in units of the shrinking scale and "
            f"against the clock the three curves of the coupled flow are one; they differ by no more than "
            f"{np.ptp(curves, axis=0).max():.1g}.",
            made_by,
        )


def barriers(runs: Mapping[str, EigenTrajectory], setting: Setting, decays: Sequence[float], made_by: str) -> None:
    """``fig-barrier``: f(s) by three closures, and 1/rho for several decays; above the curve the regime is Acute."""
    styles = {"exact": ("W", "-"), "leading": ("leading", DASHES[1]), "paper": ("paper", DASHES[2])}
    with drawing(width=7.2, height=3.8) as (fig, axis):
        shown = {}
        for name, run in runs.items():
            f = barrier(run, setting)
            s = np.linspace(0.0, run.t[-1], 240)
            shown[name] = np.array([f(float(x)) for x in s])
            colour, dash = styles[name]
            axis.plot(s, shown[name], color=COLOURS[colour], ls=dash, label=f"f(s), {name} flow")
        top = 1.5 * shown["exact"].max()
        end = float(runs["exact"].t[-1])
        s = np.linspace(0.0, end, 240)
        axis.fill_between(s, np.maximum(shown["exact"], 0), top, color=COLOURS["converges"], alpha=0.15, lw=0)
        axis.fill_between(s, 0, np.maximum(shown["exact"], 0), color=COLOURS["collapses"], alpha=0.25, lw=0)
        for rho in decays:
            axis.axhline(1 / rho, color=COLOURS["neutral"], lw=1.2)
            axis.annotate(
                f"1/ρ, ρ = {rho:.3g}", (end, 1 / rho), ha="right", va="bottom", fontsize=8, xytext=(0, 1),
                textcoords="offset points",
            )  # fmt: skip
        axis.annotate("Acute", (0.5 * end, 0.92 * top), ha="center")
        axis.annotate("Collapse", (0.03 * end, 0.04 * top))
        axis.set(xlabel="clock s", ylabel="1/ρ", ylim=(0, top), xlim=(0, end))
        fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        f = shown["exact"]
        glue_figure(
            fig,
            "fig-barrier",
            f"The curve f(s) of the exact flow starts at {f[0]:.3g}, rises to {f.max():.3g} and falls below zero. A "
            f"horizontal line 1/rho above the maximum stays in the Acute region; one between start and maximum leaves "
            f"it and comes back; one below the start begins in Collapse.",
            made_by,
        )


def sweep(
    run: EigenTrajectory, setting: Setting, bounds: tuple[float, float], changes: Sequence[float], made_by: str
) -> None:
    """``fig-sweep``: all eigenvalues along a coupled flow, shrinking divided out, over the regions of Eq. 7."""
    t = np.array(unclock(np.linspace(0.0, float(clock(run.t[-1], setting.rho)), 240), setting.rho))
    states = [run.at(float(time)) for time in np.minimum(t, run.t[-1])]
    grown = np.exp(setting.rho * t)
    w = grown[:, None] * np.array([state[0] for state in states])
    regions = intervals([mode_norms(*state) for state in states], setting)
    with drawing(width=7.4, height=4.0) as (fig, axis):
        top, bottom = 1.15 * float(w.max()), 1.25 * float(w.min())
        low, middle, high = (grown * edge for edge in (regions.low, regions.middle, regions.high))
        axis.fill_between(t, bottom, low, where=low > bottom, color=COLOURS["diverges"], alpha=0.25, lw=0)
        edge = np.fmin(middle, top)  # where there is no positive equilibrium, everything above tends to 0
        axis.fill_between(t, np.maximum(low, bottom), edge, color=COLOURS["collapses"], alpha=0.3, lw=0,
                          label="tends to 0")  # fmt: skip
        axis.fill_between(t, edge, top, color=COLOURS["converges"], alpha=0.25, lw=0, label="tends to the stable point")
        axis.plot(t, w, color=COLOURS["W"], lw=0.9)
        axis.plot(t, high, color=COLOURS["Phi"], ls=":", lw=2.2, label="stable point of Eq. 7")
        for time, dash in zip(bounds, (DASHES[1], DASHES[2])):
            axis.axvline(time, color=COLOURS["neutral"], lw=1.4, ls=dash)
        axis.set(xlabel="time t (lines: the two bounds)", ylabel="eigenvalues of W times exp(ρt)",
                 ylim=(bottom, top), xlim=(0, t[-1]))  # fmt: skip
        fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        when = ", ".join(f"{time:.3g}" for time in changes) or "none"
        glue_figure(
            fig,
            "fig-sweep",
            f"Eigenvalues of W in units of the shrinking scale over the regions of Eq. 7 at the norms of each moment. "
            f"The regime changes at t = {when}; the bounds are {bounds[0]:.3g} and {bounds[1]:.3g}. Afterwards the "
            f"basin of the stable point widens downwards until it holds every positive eigenvalue.",
            made_by,
        )


def passing(ratios: Array, times: Mapping[str, Array], low: Array, high: Array, made_by: str) -> None:
    """``fig-passing``: 2 rho t of the last change of regime against rho over its first critical value; bounds."""
    marks = {"exact": ("W", "o"), "leading": ("leading", "s")}
    with drawing(width=6.6, height=3.6) as (fig, axis):
        axis.fill_between(ratios, low, high, color=COLOURS["neutral"], alpha=0.2, lw=0, label="between the bounds")
        for name, values in times.items():
            colour, marker = marks[name]
            fill, size = ("full", 6) if name == "exact" else ("none", 4)
            axis.plot(ratios, values, marker, ms=size, color=COLOURS[colour], fillstyle=fill, label=f"{name} flow")
        axis.set(xscale="log", xlabel="ρ over its critical value at the start", ylabel="2ρt of the passage",
                 ylim=(0, None))  # fmt: skip
        axis.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
        axis.minorticks_off()
        axis.legend()
        near = (times["exact"] / high).min()
        glue_figure(
            fig,
            "fig-passing",
            f"The passage lies between the bounds for every weight decay from {ratios[0]:.2g} to {ratios[-1]:.2g} "
            f"times the critical value, and at no less than {near:.2f} of the upper one.",
            made_by,
        )
