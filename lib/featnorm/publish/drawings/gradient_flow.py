"""Figures of "Gradient flow"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from featnorm.publish.figure import COLOURS, drawing, glue_figure


def small_steps(steps: Sequence[int], curves: Mapping[str, Sequence[float]], made_by: str) -> None:
    """``fig-steps``: distance of gradient descent from two flows against the number of steps."""
    styles = ((COLOURS["cosine"], "-", "o"), (COLOURS["l2"], "--", "s"))
    with drawing(width=5.6, height=3.1) as (fig, axis):
        for (name, distances), (colour, dash, marker) in zip(curves.items(), styles):
            axis.plot(steps, distances, color=colour, ls=dash, marker=marker, label=f"flow {name}")
        axis.set(xscale="log", yscale="log", xlabel="number of steps", ylabel="distance from the flow")
        axis.set_xticks(list(steps), [str(n) for n in steps], minor=False)
        axis.minorticks_off()
        axis.legend()
        words = "; ".join(f"flow {name}: from {d[0]:.2g} to {d[-1]:.2g}" for name, d in curves.items())
        alt = f"Distance of gradient descent from a flow, from {steps[0]} to {steps[-1]} steps; {words}."
        glue_figure(fig, "fig-steps", alt, made_by)
