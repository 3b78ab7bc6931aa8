"""Figures of the chapter "What is learned"."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from featnorm.publish.drawings.heavy_decay import KINDS
from featnorm.publish.figure import COLOURS, drawing, glue_figure


def learned(x: Mapping[str, np.ndarray], pixels: float, made_by: str) -> None:
    """``fig-learned``: both accuracies of each run against the rank of its features.

    ``x`` is `featnorm.claims.heavy_decay.table`; ``pixels`` the kNN accuracy of pixels. A rank of nan is drawn at 0.
    """
    rank = np.nan_to_num(x["rank"])
    with drawing(1, 2, width=7.6, height=3.4, sharey=True) as (fig, axes):
        for axis, probe in zip(axes, ("knn", "linear")):
            for kind, (name, colour, _, marker) in KINDS.items():
                rows = x["kind"] == kind
                axis.plot(rank[rows], x[probe][rows], color=COLOURS[colour], ls="", marker=marker, ms=5, label=name)
            start = x["start"] if probe == "knn" else x["linear_start"]
            axis.axhline(float(start.mean()), color=COLOURS["leading"], ls="--", lw=1, label="untrained")
            axis.set(xlabel="effective rank of the features", ylim=(0, 1.05 * pixels))
        axes[0].axhline(pixels, color=COLOURS["paper"], ls="-.", lw=1, label="pixels")
        axes[0].set(title="Nearest neighbours", ylabel="accuracy")
        axes[1].set(title="Linear classifier")
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        alt = (
            f"One mark a run: ranks from {rank.min():.3g} to {rank.max():.3g}; accuracies of nearest neighbours from "
            f"{x['knn'].min():.3g} to {x['knn'].max():.3g}, of the linear classifier from "
            f"{np.nanmin(x['linear']):.3g} to {np.nanmax(x['linear']):.3g}."
        )
        glue_figure(fig, "fig-learned", alt, made_by)
