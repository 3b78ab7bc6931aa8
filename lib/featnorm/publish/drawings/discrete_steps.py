"""Figures of "Discrete steps"."""

from __future__ import annotations

import numpy as np

from featnorm._validate import Array
from featnorm.publish.figure import COLOURS, drawing, glue_figure


def comparison(products: Array, R: Array, ratio: Array, made_by: str) -> None:
    """``fig-comparison``: R and Eq. 7's upper root over the common eigenvalue, against the decay a step."""
    with drawing(1, 2, width=7.8, height=3.4) as (fig, (left, right)):
        left.plot(products, R, color=COLOURS["Phi"])
        left.axhline(0.25, color=COLOURS["neutral"], ls="--", lw=1.2)
        left.set(xscale="log", yscale="log", xlabel="decay a step ηρ/(1−μ)", title="R at the noise equilibrium")
        there = np.isfinite(ratio)
        right.plot(products[there], ratio[there], color=COLOURS["paper"])
        right.axhline(1.0, color=COLOURS["neutral"], ls="--", lw=1.2)
        right.axvspan(products[there].max(), products[-1], color=COLOURS["neutral"], alpha=0.15, lw=0)
        right.set(
            xscale="log", xlim=(products[0], products[-1]), ylim=(0.0, 1.08), xlabel="decay a step ηρ/(1−μ)",
            title="Stable point of Eq. 7 over w̄",
        )  # fmt: skip
        glue_figure(
            fig,
            "fig-comparison",
            f"Left: R rises from {R[0]:.2g} to {R[-1]:.2g} as the decay a step rises from {products[0]:g} to "
            f"{products[-1]:g}. Right: the stable point over the common eigenvalue falls from {ratio[0]:.3f} to "
            f"{ratio[there].min():.2f}; beyond {products[there].max():.2g} Eq. 7 has no positive equilibrium.",
            made_by,
        )
