"""Figures of the chapter "Does heavy weight decay collapse SimSiam?"."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from featnorm.publish.figure import COLOURS, drawing, glue_figure

_KINDS = {
    "cosine": ("cosine", "cosine", "-", "o"),
    "l2": ("L2", "l2", "--", "s"),
    "nostop": ("cosine, no stop-gradient", "neutral", "", "^"),
}


def decay(x: Mapping[str, np.ndarray], pixels: float, default: float, collapsed: float, made_by: str) -> None:
    """``fig-decay``: kNN accuracy and spread against the decay time, mean over seeds with their range.

    ``x`` is `featnorm.claims.heavy_decay.table`; ``pixels`` the kNN accuracy of pixels; ``default`` the default decay.
    """
    with drawing(1, 2, width=7.6, height=3.6) as (fig, axes):
        words = []
        smallest = x["decay_time"][x["decay_time"] > 0].min()
        for axis, measure in zip(axes, ("knn", "spread")):
            for kind, (name, colour, ls, marker) in _KINDS.items():
                rows = x["kind"] == kind
                times = np.unique(x["decay_time"][rows])
                values = [x[measure][rows & (x["decay_time"] == t)] for t in times]
                mean = np.array([v.mean() for v in values])
                ranges = np.array([[v.min(), v.max()] for v in values]).T
                at = np.where(times > 0, times, smallest / 4)  # no decay is drawn at the left end
                style = {"color": COLOURS[colour], "ls": ls, "marker": marker, "ms": 5, "capsize": 2}
                # the mean of equal values may differ from them by rounding
                axis.errorbar(at, mean, yerr=np.abs(ranges - mean), label=name, **style)
                if measure == "spread":
                    words.append(f"{name}: from {mean[0]:.2g} to {mean[-1]:.2g}")
            axis.axvline(float(x["decay_time"][x["rho"] == default][0]), color=COLOURS["neutral"], ls=":", lw=1)
            axis.set(xscale="log", xlabel="decay time (left end: no decay)")
        axes[0].axhline(pixels, color=COLOURS["paper"], ls="-.", lw=1, label="pixels")
        axes[0].axhline(float(x["start"].mean()), color=COLOURS["leading"], ls="--", lw=1, label="untrained")
        axes[0].set(title="kNN accuracy", ylim=(0, None))
        axes[1].axhline(collapsed, color=COLOURS["neutral"], lw=1, ls="-.")
        axes[1].set(title="Spread, as a share of the untrained", yscale="log")
        handles, labels = axes[0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=3)
        alt = (
            f"kNN accuracy and spread against decay time. Spread as a share of the untrained net's, from no decay "
            f"to the strongest: {'; '.join(words)}. Pixels have an accuracy of {pixels:.3f}, the untrained net "
            f"{x['start'].mean():.3f}."
        )
        glue_figure(fig, "fig-decay", alt, made_by)


def learned(x: Mapping[str, np.ndarray], made_by: str) -> None:
    """``fig-learned``: kNN accuracy of each run against the rank of its features; ``x`` as in `decay`."""
    with drawing(width=6.4, height=3.6) as (fig, axis):
        for kind, (name, colour, _, marker) in _KINDS.items():
            rows = x["kind"] == kind
            axis.plot(x["rank"][rows], x["knn"][rows], color=COLOURS[colour], ls="", marker=marker, ms=5, label=name)
        axis.set(xlabel="effective rank of the features", ylabel="kNN accuracy")
        fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        alt = (
            f"One dot a run: ranks from {x['rank'].min():.3g} to {x['rank'].max():.3g}, accuracies from "
            f"{x['knn'].min():.3g} to {x['knn'].max():.3g}."
        )
        glue_figure(fig, "fig-learned", alt, made_by)
