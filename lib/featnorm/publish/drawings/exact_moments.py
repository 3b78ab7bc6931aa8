"""Figures of "Exact moments of normalised Gaussians"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from featnorm.publish.figure import DASHES, RAMP, drawing, glue_figure


def accuracy(curves: Mapping[int, tuple[Sequence[int], Sequence[float], Sequence[float]]], made_by: str) -> None:
    """``fig-accuracy``: true and reported error against the number of nodes, for each size of state."""
    with drawing(width=6.2, height=3.4) as (fig, axis):
        for (h, (nodes, true, reported)), colour, dash in zip(curves.items(), RAMP, DASHES):
            axis.plot(nodes, reported, color=colour, ls=dash, label=f"h = {h}")
            axis.plot(nodes, np.maximum(true, 1e-16), "o", color=colour, ms=4)
        axis.set(yscale="log", xlabel="nodes", ylabel="error of the mean cosine", ylim=(1e-16, 1))
        axis.legend()
        words = "; ".join(f"h = {h}: {n[-1]} nodes for {r[-1]:.0e}" for h, (n, _, r) in curves.items())
        alt = f"Error against the number of nodes, falling lines on a logarithmic axis; dots lie below them. {words}."
        glue_figure(fig, "fig-accuracy", alt, made_by)
