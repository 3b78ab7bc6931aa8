"""Figures of the chapter "ResNet-18": archived runs of `featnorm.simsiam.image`, records by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from featnorm.equilibria import Intervals
from featnorm.publish.drawings.linear_experiment import _regions
from featnorm.publish.figure import COLOURS, drawing, glue_figure

#: Records of one run by name, each (n, ...).
Run = Mapping[str, np.ndarray]


def figure_10(runs: Mapping[str, Run], made_by: str) -> None:
    """``fig-10``: quantiles of the absolute eigenvalues of W of each run, against the epoch."""
    quantiles = ((1.0, 0.9, 0.2), (0.9, 0.75, 0.35), (0.75, 0.5, 0.5), (0.5, 0.0, 0.75))
    with drawing(1, len(runs), width=8.2, height=3.2, squeeze=False) as (fig, axes):
        words = []
        for axis, (title, run) in zip(axes[0], runs.items()):
            size = np.abs(run["eig_W"])
            for upper, lower, alpha in quantiles:
                edge = [np.quantile(size, q, axis=1) for q in (lower, upper)]
                label = f"{lower:.0%} to {upper:.0%}"
                axis.fill_between(run["epoch"], *edge, color=COLOURS["W"], alpha=alpha, lw=0, label=label)
            axis.set(xlabel="epoch", title=title, ylim=(0, None))
            ends = size[[0, -1]]
            words.append(
                f"{title}: the median absolute eigenvalue goes from {np.median(ends[0]):.2g} to "
                f"{np.median(ends[1]):.2g}, the largest from {ends[0].max():.2g} to {ends[1].max():.2g}"
            )
        axes[0, 0].set(ylabel="absolute eigenvalues of W")
        fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        glue_figure(fig, "fig-10", f"{'. '.join(words)}.", made_by)


def figure_11(runs: Mapping[str, Run], made_by: str) -> None:
    """``fig-11``: a row for each run; norms, departures from the assumptions, and what collapsed."""
    with drawing(len(runs), 3, width=8.2, height=2.5 * len(runs), squeeze=False, sharex="row") as (fig, axes):
        words = []
        for (left, centre, right), (title, run) in zip(axes, runs.items()):
            for axis, series in (
                (left, (("N_Phi", "Phi", "-", "N_Φ"), ("N_Psi", "Psi", "--", "N_Ψ"), ("N_x", "N_x", "-.", "N_×"))),
                (centre, (("asymmetry", "W", "-", "asymmetry"), ("commutator", "Phi", "--", "commutator"))),
                (right, (("rank", "neutral", "-", "rank"), ("mean_share", "leading", "--", "mean share"))),
            ):
                for name, colour, ls, label in series:
                    axis.plot(run["epoch"], run[name], color=COLOURS[colour], ls=ls, label=label)
                    if f"{name}_se" in run:
                        edge = [run[name] + sign * 2 * run[f"{name}_se"] for sign in (-1, 1)]
                        axis.fill_between(run["epoch"], *edge, color=COLOURS[colour], alpha=0.3, lw=0)
                axis.set(ylim=(min(0.0, float(run["N_x"].min()) if axis is left else 0.0), None))
            left.set(title=f"{title}: norms")
            centre.set(title="departures")
            right.set(title="features")
            words.append(
                f"{title}: N_Phi goes from {run['N_Phi'][0]:.2g} to {run['N_Phi'][-1]:.2g}, N_Psi from "
                f"{run['N_Psi'][0]:.2g} to {run['N_Psi'][-1]:.2g}, N_x to {run['N_x'][-1]:.2g}; the asymmetry ends at "
                f"{run['asymmetry'][-1]:.2g}, the commutator at {run['commutator'][-1]:.2g}, the rank at "
                f"{run['rank'][-1]:.2g}"
            )
        for axis in axes[-1]:
            axis.set(xlabel="epoch")
        for axis in axes[0]:
            axis.legend()
        glue_figure(fig, "fig-11", f"{'. '.join(words)}.", made_by)


def figure_12(runs: Mapping[str, tuple[Run, Intervals]], made_by: str) -> None:
    """``fig-12``: a row for each run; leading absolute eigenvalues of W over the regions of Eq. 7."""
    with drawing(len(runs), 4, width=8.8, height=2.3 * len(runs), sharex="row", sharey="row", squeeze=False) as (
        fig,
        axes,
    ):
        words = []
        for row, (title, (run, at)) in zip(axes, runs.items()):
            epoch, size = run["epoch"], np.sort(np.abs(run["eig_W"]), axis=1)[:, ::-1]
            top = 1.15 * float(size.max())
            for j, axis in enumerate(row):
                _regions(axis, epoch, at, 0.0, top)
                axis.plot(epoch, size[:, j], color=COLOURS["W"], lw=2.0, label="eigenvalue")
                axis.set(ylim=(0.0, top), xlim=(epoch[0], epoch[-1]))
                axis.set(title=f"{title}, no. 1" if j == 0 else f"no. {j + 1}")
            ends = ", ".join(f"{value:.2g}" for value in size[-1, :4])
            words.append(
                f"{title}: the four largest end at {ends}; the border of the interval of convergence ends at "
                f"{at.middle[-1]:.2g}, its stable point at {at.high[-1]:.2g}"
            )
        for axis in axes[-1]:
            axis.set(xlabel="epoch")
        handles = dict(zip(*reversed(axes[0, 0].get_legend_handles_labels())))
        handles.pop("diverges")  # only negative eigenvalues
        fig.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
        glue_figure(fig, "fig-12", f"{'. '.join(words)}.", made_by)
