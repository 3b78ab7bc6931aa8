"""Figures of "Where concentration stops"."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from featnorm._validate import Array
from featnorm.publish.figure import COLOURS, drawing, glue_figure


def ranks(
    flow: tuple[Array, Array, Array],
    runs: Mapping[str, tuple[Array, Array]],
    measured: tuple[Array, Array],
    h: int,
    made_by: str,
) -> None:
    """``fig-ranks``: ranks in time, of a flow (t, r_F, r_Psi) and of SGD (t, r_F); relative s.d. against rank."""
    with drawing(1, 2, width=7.8, height=3.6) as (fig, (left, right)):
        t, r_F, r_Psi = flow
        left.plot(1 + t, r_F, color=COLOURS["Phi"], label="flow, r_F")
        left.plot(1 + t, r_Psi, color=COLOURS["Psi"], ls="--", label="flow, r_Ψ")
        for (name, (time, rank)), dash in zip(runs.items(), ("-.", ":")):
            left.plot(1 + time, rank, color=COLOURS["neutral"], ls=dash, label=f"{name}, r_F")
        left.set(xscale="log", xlabel="1 + time t", ylabel="effective rank", ylim=(0, h))
        rank, spread = measured
        line = np.array([0.8 * rank.min(), 1.2 * rank.max()])
        right.plot(line, np.sqrt(2 / line), color=COLOURS["neutral"], lw=1.2, label="√(2 / r)")
        right.plot(rank, spread, "o", color=COLOURS["Phi"], ms=5, label="measured")
        right.set(xscale="log", yscale="log", xlabel="effective rank r", ylabel="relative s.d. of ‖Φx‖²")
        ticks = [tick for tick in (1, 2, 4, 8, 16, 32, 64, 128) if line[0] <= tick <= line[1]]
        right.set_xticks(ticks, [str(tick) for tick in ticks])
        low, high = np.sqrt(2 / line[::-1])
        ticks = [tick for tick in (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2) if low <= tick <= high]
        right.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        right.minorticks_off()
        right.legend()
        fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        ends = "; ".join(f"{name}: {rank[0]:.1f} to {rank[-1]:.1f}" for name, (_, rank) in runs.items())
        glue_figure(
            fig,
            "fig-ranks",
            f"Left: along the flow r_F goes from {r_F[0]:.1f} to {r_F[-1]:.1f} and r_Psi from {r_Psi[0]:.1f} to "
            f"{r_Psi[-1]:.1f}; r_F of SGD, {ends}. Right: measured relative standard deviations from "
            f"{spread.min():.2f} to {spread.max():.2f} lie on the line of slope minus one half.",
            made_by,
        )


def moving_modes(s: Array, shares: Array, end: float, made_by: str) -> None:
    """``fig-window``: eigenvalues of F over their start against the clock; the window of Remark 1 is shaded."""
    with drawing(width=6.2, height=3.3) as (fig, axis):
        axis.axvspan(1.0, 1 + end, color=COLOURS["N_x"], alpha=0.2, lw=0, label="window of Remark 1")
        axis.plot(1 + s, shares, color=COLOURS["Phi"], lw=1.0)
        axis.set(xscale="log", xlabel="1 + clock s", ylabel="φ over its start, scale-free", xlim=(1, 1 + s[-1]))
        axis.legend(loc="upper left")
        inside = float(np.max(np.abs(shares[s <= end] - 1)))
        glue_figure(
            fig,
            "fig-window",
            f"The window ends at clock {end:.1f}; inside it no mode moves by more than a share of {inside:.2f}. Later "
            f"they spread from {shares[-1].min():.2f} to {shares[-1].max():.2f} of their start.",
            made_by,
        )
