"""Figures of "The linear experiment"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from featnorm.equilibria import Intervals
from featnorm.publish.figure import COLOURS, RAMP, drawing, glue_figure

if TYPE_CHECKING:  # PyTorch is not needed to draw
    from matplotlib.axes import Axes

    from featnorm.simsiam.linear import LinearRun


def _regions(axis: Axes, step: np.ndarray, intervals: Intervals, bottom: float, top: float) -> None:
    """Where Eq. 7 sends an eigenvalue of W, as background."""
    low = np.fmax(intervals.low, bottom)
    axis.fill_between(step, bottom, low, color=COLOURS["diverges"], alpha=0.25, lw=0, label="diverges")
    edge = np.fmin(intervals.middle, top)  # where there is no positive equilibrium, everything above tends to 0
    axis.fill_between(step, low, edge, color=COLOURS["collapses"], alpha=0.3, lw=0, label="tends to 0")
    axis.fill_between(step, edge, top, color=COLOURS["converges"], alpha=0.25, lw=0, label="tends to the stable point")
    axis.plot(step, intervals.high, color=COLOURS["converges"], ls=":", label="stable point")


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
        _regions(axis, step, intervals, bottom, top)
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


def flow_beside_runs(runs: Mapping[str, LinearRun], times: np.ndarray, eig_W: np.ndarray, made_by: str) -> None:
    """``fig-run-flow``: eigenvalues of W in training (dots) and on the exact flow (lines) from the same start.

    ``times`` (n,) and ``eig_W`` (n, h) are the flow.
    """
    with drawing(1, len(runs), width=7.6, height=3.0, sharey=True) as (fig, axes):
        words = []
        for axis, (title, run) in zip(np.atleast_1d(axes), runs.items()):
            axis.plot(times, eig_W, color=COLOURS["neutral"], lw=1.2)
            axis.plot(run.time, run.eig_W, color=COLOURS["W"], ls="", marker=".", ms=4)
            axis.set(xlabel="time t", title=title)
            gap = np.abs(run.eig_W[-1] - eig_W[-1]).max()
            words.append(f"{title}: at the end the two differ by up to {gap:.2g}")
        np.atleast_1d(axes)[0].set(ylabel="eigenvalues of W")
        alt = f"Eigenvalues of W in training, dots, and on the exact flow, lines. {'; '.join(words)}."
        glue_figure(fig, "fig-run-flow", alt, made_by)


def losses(runs: Mapping[str, Mapping[float, LinearRun]], threshold: float, made_by: str) -> None:
    """``fig-run-control``: largest eigenvalue of W against time for each loss, at two weight decays."""
    with drawing(1, len(runs), width=7.6, height=3.0, sharey=True) as (fig, axes):
        words = []
        for axis, (title, by_rho) in zip(np.atleast_1d(axes), runs.items()):
            for (rho, run), colour, ls in zip(by_rho.items(), (RAMP[0], RAMP[-1]), ("-", "--")):
                largest = np.abs(run.eig_W).max(axis=1)
                axis.plot(run.time, largest, color=colour, ls=ls, label=f"ρ = {rho:g}")
                words.append(f"{title}, rho = {rho:g}: ends at {largest[-1]:.2g}")
            axis.set(xlabel="time t", title=title, yscale="log")
        np.atleast_1d(axes)[0].set(ylabel="largest absolute eigenvalue of W")
        np.atleast_1d(axes)[0].legend()
        alt = f"Largest eigenvalue of W; the L2 loss has its threshold at rho = {threshold:.3g}. {'; '.join(words)}."
        glue_figure(fig, "fig-run-control", alt, made_by)


#: Arrays of `featnorm.simsiam.runs.linear_runs` and the intervals of Eq. 7 along its first run.
Full = tuple[Mapping[str, np.ndarray], Intervals]


def figure_6(settings: Mapping[str, Full], made_by: str) -> None:
    """``fig-6``: a row for each setting; norms, departure from the assumptions, largest eigenvalue on the intervals."""
    with drawing(len(settings), 3, width=8.2, height=2.7 * len(settings), squeeze=False) as (fig, axes):
        words = []
        for (left, centre, right), (title, (x, intervals)) in zip(axes, settings.items()):
            step = x["step"]
            for axis, series in (
                (left, (("N_Phi", "Phi", "-", "N_Φ"), ("N_Psi", "Psi", "--", "N_Ψ"), ("N_x", "N_x", "-.", "N_×"))),
                (centre, (("asymmetry", "W", "-", "asymmetry"), ("commutator", "Phi", "--", "commutator"))),
            ):
                for name, colour, ls, label in series:
                    band = x[name].min(axis=0), x[name].max(axis=0)
                    axis.fill_between(step, *band, color=COLOURS[colour], alpha=0.3, lw=0)
                    axis.plot(step, np.median(x[name], axis=0), color=COLOURS[colour], ls=ls, lw=1.5, label=label)
                axis.set(ylim=(0, None))
            largest = x["eig_W"][0, :, 0]
            top = 1.15 * float(largest.max())
            _regions(right, step, intervals, -0.2 * top, top)
            right.plot(step, largest, color=COLOURS["W"], lw=2.0, label="largest eigenvalue")
            right.set(ylim=(-0.2 * top, top), xlim=(step[0], step[-1]))
            left.set(title=f"{title}: norms")
            centre.set(title="departures")
            right.set(title="largest eigenvalue of W")
            high = intervals.high[-1]
            stable = f"the stable point ends at {high:.2g}" if np.isfinite(high) else "no stable point at the end"
            words.append(
                f"{title}: N_Phi falls from {x['N_Phi'][0, 0]:.2g} to {x['N_Phi'][0, -1]:.2g}, N_Psi from "
                f"{x['N_Psi'][0, 0]:.2g} to {x['N_Psi'][0, -1]:.2g}, N_x rises to {x['N_x'][0, -1]:.2g}; the asymmetry "
                f"reaches {x['asymmetry'].max():.2g}; the largest eigenvalue ends at {largest[-1]:.2g}, {stable}"
            )
        for axis in axes[-1]:
            axis.set(xlabel="step")
        axes[0, 0].legend()
        axes[0, 1].legend()
        fig.legend(*axes[0, 2].get_legend_handles_labels(), loc="outside lower center", ncols=5)
        glue_figure(fig, "fig-6", f"{'. '.join(words)}.", made_by)


def figure_8(settings: Mapping[str, Mapping[str, np.ndarray]], made_by: str) -> None:
    """``fig-8``: quantiles of the absolute eigenvalues of W over the runs of each setting, against the step."""
    quantiles = ((1.0, 0.9, 0.2), (0.9, 0.75, 0.35), (0.75, 0.5, 0.5), (0.5, 0.0, 0.75))
    with drawing(1, len(settings), width=8.2, height=3.2) as (fig, axes):
        words = []
        for axis, (title, x) in zip(np.atleast_1d(axes), settings.items()):
            size = np.abs(x["eig_W"])
            for upper, lower, alpha in quantiles:
                edge = [np.quantile(size, q, axis=(0, 2)) for q in (lower, upper)]
                label = f"{lower:.0%} to {upper:.0%}"
                axis.fill_between(x["step"], *edge, color=COLOURS["W"], alpha=alpha, lw=0, label=label)
            axis.set(xlabel="step", title=title, ylim=(0, None))
            middle = np.quantile(size[:, -1], (0.5, 0.9))
            words.append(
                f"{title}: at the end half of the absolute eigenvalues lie below {middle[0]:.1g}, nine tenths below "
                f"{middle[1]:.1g}, the largest is {size[:, -1].max():.2g}"
            )
        np.atleast_1d(axes)[0].set(ylabel="absolute eigenvalues of W")
        fig.legend(*np.atleast_1d(axes)[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        glue_figure(fig, "fig-8", f"{'. '.join(words)}.", made_by)


def figure_9(settings: Mapping[str, Full], made_by: str) -> None:
    """``fig-9``: a row for each setting; the six leading absolute eigenvalues of its first run on the intervals."""
    with drawing(
        len(settings), 6, width=9.6, height=2.3 * len(settings), sharex="row", sharey="row", squeeze=False
    ) as (
        fig,
        axes,
    ):
        words = []
        for row, (title, (x, intervals)) in zip(axes, settings.items()):
            step, size = x["step"], np.sort(np.abs(x["eig_W"][0]), axis=1)[:, ::-1]
            top = 1.15 * float(size.max())
            for j, axis in enumerate(row):
                _regions(axis, step, intervals, 0.0, top)
                axis.plot(step, size[:, j], color=COLOURS["W"], lw=2.0, label="eigenvalue")
                axis.set(
                    ylim=(0.0, top), xlim=(step[0], step[-1]), title=f"{title}, no. 1" if j == 0 else f"no. {j + 1}"
                )
                axis.locator_params(axis="x", nbins=2)
            ends = ", ".join(f"{value:.2g}" for value in size[-1, :6])
            border = intervals.middle[-1]
            line = f"above {border:.2g} they converge" if np.isfinite(border) else "no interval of convergence then"
            words.append(f"{title}: the six end at {ends}; {line}")
        for axis in axes[-1]:
            axis.set(xlabel="step")
        handles = dict(zip(*reversed(axes[0, 0].get_legend_handles_labels())))
        handles.pop("diverges")  # only negative eigenvalues
        fig.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
        glue_figure(fig, "fig-9", f"{'. '.join(words)}.", made_by)
