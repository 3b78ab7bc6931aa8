"""Figures of the chapter "Does heavy weight decay collapse SimSiam?"."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from featnorm.publish.figure import COLOURS, drawing, glue_figure

#: Of each kind of run: its name, colour, line style and marker.
KINDS = {
    "cosine": ("cosine", "cosine", "-", "o"),
    "l2": ("L2", "l2", "--", "s"),
    "nostop": ("cosine, no stop-gradient", "neutral", "", "^"),
}
FLOOR = 1e-6  # what is below is drawn there


def decay(x: Mapping[str, np.ndarray], pixels: float, default: float, collapsed: float, made_by: str) -> None:
    """``fig-decay``: accuracy, spread and size against the decay time, mean over seeds with their range.

    ``x`` is `featnorm.claims.heavy_decay.table`; ``pixels`` the kNN accuracy of pixels; ``default`` the default decay.
    """
    titles = {"knn": "kNN accuracy", "spread": "Spread, share of untrained", "size": "Length of the features"}
    with drawing(1, 3, width=7.6, height=3.4) as (fig, axes):
        words = []
        smallest = x["decay_time"][x["decay_time"] > 0].min()
        for axis, (measure, title) in zip(axes, titles.items()):
            for kind, (name, colour, ls, marker) in KINDS.items():
                rows = x["kind"] == kind
                times = np.unique(x["decay_time"][rows])
                values = [x[measure][rows & (x["decay_time"] == t)] for t in times]
                if measure != "knn":
                    values = [np.maximum(v, FLOOR) for v in values]
                mean = np.array([v.mean() for v in values])
                ranges = np.array([[v.min(), v.max()] for v in values]).T
                at = np.where(times > 0, times, smallest / 4)  # no decay is drawn at the left end
                style = {"color": COLOURS[colour], "ls": ls, "marker": marker, "ms": 4, "capsize": 2}
                # the mean of equal values may differ from them by rounding
                axis.errorbar(at, mean, yerr=np.abs(ranges - mean), label=name, **style)
                if measure == "spread":
                    words.append(f"{name}: from {mean[0]:.2g} to {mean[-1]:.2g}")
            own = x["decay_time"][(x["rho"] == default) & (x["kind"] == "cosine")][0]
            axis.axvline(float(own), color=COLOURS["neutral"], ls=":", lw=1)
            axis.set(title=title, xscale="log", xlabel="decay time (left end: none)")
            if measure != "knn":
                axis.set(yscale="log", ylim=(FLOOR / 2, None))
        axes[0].axhline(pixels, color=COLOURS["paper"], ls="-.", lw=1, label="pixels")
        axes[0].axhline(float(x["start"].mean()), color=COLOURS["leading"], ls="--", lw=1, label="untrained")
        axes[0].set(ylim=(0, None))
        axes[1].axhline(collapsed, color=COLOURS["neutral"], lw=1, ls="-.")
        handles, labels = axes[0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=3)
        alt = (
            f"kNN accuracy, spread and size against decay time. Spread as a share of the untrained net's, from the "
            f"weakest decay to the strongest: {'; '.join(words)}. Pixels have an accuracy of {pixels:.3f}, the "
            f"untrained net {x['start'].mean():.3f}."
        )
        glue_figure(fig, "fig-decay", alt, made_by)
