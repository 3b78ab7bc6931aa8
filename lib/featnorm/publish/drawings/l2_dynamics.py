"""Figures of "L2 cannot escape"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from featnorm.equilibria import critical_rho, l2_critical_rho, l2_equilibria, l2_regime, l2_velocity
from featnorm.publish.drawings.cosine_dynamics import dots
from featnorm.publish.figure import COLOURS, DASHES, drawing, glue_figure
from featnorm.setting import Norms, Setting

if TYPE_CHECKING:
    from featnorm.simsiam.linear import LinearRun


def figure_4(settings: Sequence[Setting], made_by: str) -> None:
    """``fig-figure-4``: dw/dt of Eq. 8 against w, one panel a weight decay, with its equilibria."""
    with drawing(1, len(settings), width=9.0, height=2.8, sharey=True) as (fig, axes):
        top = 1.0 / settings[0].a
        words = []
        for axis, setting in zip(axes, settings):
            w = np.linspace(-0.25 * top, 1.1 * top, 301)
            points = l2_equilibria(setting)
            axis.axhline(0, color=COLOURS["neutral"], lw=0.8)
            axis.plot(w, l2_velocity(w, setting), color=COLOURS["l2"])
            dots(axis, points, COLOURS["l2"])
            axis.set(title=f"ρ = {float(setting.rho):.4g}: {l2_regime(setting)}", xlabel="eigenvalue w")
            words.append(f"rho = {float(setting.rho):.4g}: " + ", ".join(f"{e.w:.3f} {e.stability}" for e in points))
        axes[0].set_ylabel("dw/dt")
        size = 1.5 * float(np.abs(l2_velocity(np.linspace(0, top, 101), settings[-1])).max())
        axes[0].set_ylim(-size, 0.6 * size)
        glue_figure(fig, "fig-figure-4", f"dw/dt of the L2 loss. Equilibria: {'; '.join(words)}.", made_by)


def thresholds(N: Norms, setting: Setting, made_by: str) -> None:
    """``fig-thresholds``: the weight decay above which only 0 is stable, for both losses, as both layers shrink."""
    c = np.geomspace(0.1, 2.0, 100)
    cosine = critical_rho(N, setting) / c**2
    with drawing(width=5.4, height=3.2) as (fig, axis):
        axis.plot(c, cosine, color=COLOURS["cosine"], label="cosine loss, frozen norms")
        axis.axhline(l2_critical_rho(setting), color=COLOURS["l2"], ls=DASHES[1], label="L2 loss")
        axis.set(xscale="log", yscale="log", xlabel="common scale c of both layers", ylabel="threshold ρ")
        axis.set_xticks([0.1, 0.25, 0.5, 1, 2], ["1/10", "1/4", "1/2", "1", "2"], minor=False)
        axis.minorticks_off()
        axis.invert_xaxis()
        axis.legend(loc="upper left")
        glue_figure(
            fig,
            "fig-thresholds",
            f"Threshold of the weight decay against the scale of the layers, shrinking to the right. L2: constant at "
            f"{l2_critical_rho(setting):.3f}. Cosine: rises from {cosine[-1]:.3f} to {cosine[0]:.3g}.",
            made_by,
        )


def training(runs: Mapping[str, LinearRun], made_by: str) -> None:
    """``fig-training``: size of W and alignment N_x in training, with both losses."""
    styles = {"cosine": (COLOURS["cosine"], "-"), "l2": (COLOURS["l2"], DASHES[1])}
    with drawing(1, 2, width=7.8, height=3.2) as (fig, (left, right)):
        for name, run in runs.items():
            colour, dash = styles[name]
            label = {"cosine": "cosine loss", "l2": "L2 loss"}[name]
            left.plot(run.time, run.norm_W / run.norm_W[0], color=colour, ls=dash, label=label)
            right.plot(run.time, run.N_x, color=colour, ls=dash, label=label)
        first = next(iter(runs.values()))
        decay = np.exp(-first.config.rho * first.time)
        left.plot(first.time, decay, color=COLOURS["neutral"], lw=1.0, ls=DASHES[2], label="weight decay alone")
        left.set(yscale="log", xlabel="time t", title="Size of W, relative to its start")
        left.legend(loc="lower left", fontsize=8)
        right.set(xlabel="time t", title="Alignment $N_×$")
        words = "; ".join(
            f"{name}: size {run.norm_W[-1] / run.norm_W[0]:.2g}, alignment {run.N_x[-1]:.2f}"
            for name, run in runs.items()
        )
        glue_figure(fig, "fig-training", f"Size of W and alignment in training. At the end: {words}.", made_by)
