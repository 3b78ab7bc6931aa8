"""Figures of "How many modes survive"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from featnorm._validate import Array
from featnorm.claims.how_many_survive import Cells, rank_under_noise
from featnorm.publish.figure import COLOURS, DASHES, RAMP, drawing, glue_figure

_MARKERS = ("o", "s", "^", "v", "D", "P")


def over_time(time: Array, ranks: Mapping[str, Array], flow_rank: float, flow_modes: float, made_by: str) -> None:
    """``fig-many-time``: effective rank of F against time in decays, from the same starts under more and more noise."""
    with drawing(width=6.8, height=3.8) as (fig, axis):
        for (name, rank), colour, dash in zip(ranks.items(), RAMP, DASHES):
            axis.plot(time[1:], rank[1:], color=colour, ls=dash, label=name)
        axis.axhline(flow_modes, color=COLOURS["neutral"], lw=1.2, ls="-.", label="flow: modes alive at its end")
        axis.axhline(flow_rank, color=COLOURS["neutral"], lw=1.2, ls=":", label="flow: effective rank at its end")
        axis.set(xscale="log", xlabel="time in decays, s × steps", ylabel="effective rank of F")
        axis.set_ylim(bottom=0)
        fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=1)
        words = "; ".join(f"{name}: lowest {rank.min():.1f}, at the end {rank[-1]:.1f}" for name, rank in ranks.items())
        glue_figure(
            fig,
            "fig-many-time",
            f"Effective rank along training, from {next(iter(ranks.values()))[0]:.1f} at the start. {words}. The flow "
            f"ends at effective rank {flow_rank:.1f} with {flow_modes:.1f} modes alive.",
            made_by,
        )


def phase(points: Cells, limits: Mapping[int, float], made_by: str) -> None:
    """``fig-many-phase``: rank against s / B, a line for each sigma2, at one h and d; rank against X for every h."""
    small, sizes = points.small_steps(), sorted(limits)
    h = 32 if 32 in sizes else sizes[-1]
    here = small.where((small.h == h) & (small.d == 4 * h))
    colours = dict(zip(sizes, (COLOURS["neutral"], *RAMP)))
    with drawing(1, 2, width=8.2, height=4.7, sharey=True) as (fig, (left, right)):
        for sigma2, marker in zip(np.unique(here.sigma2), _MARKERS):
            row = here.where(here.sigma2 == sigma2)
            y = row.decay / row.batch
            at = np.unique(y.round(12))
            mean = [row.rank[np.isclose(y, value)].mean() for value in at]
            left.plot(at, mean, color=COLOURS["Phi"], lw=0.9, marker=marker, ms=4, label=f"σ² = {sigma2:g}")
        left.axhline(limits[h], color=colours[h], lw=0.9, ls=":")
        left.set(
            xscale="log", yscale="log", xlabel="s / B", ylabel="effective rank of F", title=f"h = {h}, d = {4 * h}"
        )
        left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3)
        for size, marker in zip(sizes, _MARKERS):
            row = small.where(small.h == size)
            right.plot(row.X, row.rank, marker, color=colours[size], ms=3, alpha=0.5, label=f"h = {size}")
            right.axhline(limits[size], color=colours[size], lw=0.9, ls=":")
            order = np.argsort(row.X)
            right.plot(row.X[order], rank_under_noise(row.X[order], size), color=colours[size], lw=1.2, ls="--")
        right.set(xscale="log", xlabel="X = (s / B) (a − 1/a)²", title="All sizes")
        right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
        for axis in (left, right):
            axis.set_yticks([2, 4, 8, 16, 32, 64], ["2", "4", "8", "16", "32", "64"])
            axis.minorticks_off()
        spread = ", ".join(
            f"{small.rank[small.h == size].max():.0f} to {small.rank[small.h == size].min():.1f} at h = {size}"
            for size in sizes
        )
        glue_figure(
            fig,
            "fig-many-phase",
            f"Left: effective rank against s / B at h = {h}: a separate falling curve for each of "
            f"{len(np.unique(here.sigma2))} values of sigma2. Right: against X all points of one h fall on one curve, "
            f"and from X = 0.01 on those of all h do. The ranks fall from {spread}.",
            made_by,
        )


def held_out(errors: Mapping[str, Array], made_by: str) -> None:
    """``fig-many-held-out``: root mean square error of log rank on held-out settings, a bar for each variable."""
    names = list(errors)
    rms = np.array([np.sqrt(np.mean(errors[name] ** 2)) for name in names])
    with drawing(width=7.0, height=0.34 * len(names) + 1.0) as (fig, axis):
        colours = [COLOURS["Phi"]] + [COLOURS["neutral"]] * (len(names) - 1)
        axis.barh(np.arange(len(names)), rms, color=colours, height=0.7)
        for i, value in enumerate(rms):
            axis.text(value, i, f" {value:.2f}", va="center", fontsize=9)
        axis.set_yticks(np.arange(len(names)), names)
        axis.invert_yaxis()
        axis.set(xlabel="held-out error of log rank", xlim=(0, 1.12 * rms.max()))
        words = "; ".join(f"{name}: {value:.2f}" for name, value in zip(names, rms))
        glue_figure(fig, "fig-many-held-out", f"Error of the log rank on held-out settings. {words}.", made_by)


def heat_map(points: Cells, h: int, d: int, made_by: str) -> None:
    """``fig-many-map``: the rank at every setting of one h and d; rows sigma2, columns (s, B) by s / B."""
    here = points.where((points.h == h) & (points.d == d))
    columns = sorted({(s / B, s, int(B)) for s, B in zip(here.decay, here.batch)})
    rows = np.unique(here.sigma2)
    table = np.array(
        [
            [here.rank[(here.sigma2 == sg) & (here.decay == s) & (here.batch == B)][0] for _, s, B in columns]
            for sg in rows
        ]
    )
    with drawing(width=7.6, height=3.9) as (fig, axis):
        axis.pcolormesh(np.log(table), cmap="cividis", edgecolors="face")
        for (i, j), value in np.ndenumerate(table):
            dark = np.log(table[i, j]) < np.log(table).mean()
            axis.text(
                j + 0.5,
                i + 0.5,
                f"{value:.0f}" if value >= 9.95 else f"{value:.1f}",
                ha="center",
                va="center",
                color="white" if dark else "black",
                fontsize=9,
            )
        axis.set_xticks(np.arange(len(columns)) + 0.5, [f"{B}\n{s:g}" for _, s, B in columns])
        axis.set_yticks(np.arange(len(rows)) + 0.5, [f"{sg:g}" for sg in rows])
        axis.set(
            xlabel="batch B (above) and decay a step s (below)", ylabel="σ²", title=f"Effective rank, h = {h}, d = {d}"
        )
        axis.tick_params(length=0)
        top = rows[np.unravel_index(table.argmax(), table.shape)[0]]
        glue_figure(
            fig,
            "fig-many-map",
            f"Effective rank of F at h = {h}, d = {d}: from {table.max():.0f} at sigma2 = {top:g} with weak noise down "
            f"to {table.min():.1f} with strong noise. It falls with sigma2 and with s / B.",
            made_by,
        )


def spectra(found: Sequence[tuple[str, Array]], made_by: str) -> None:
    """``fig-many-spectra``: eigenvalues of W at the end over the largest, descending; a line for each setting."""
    with drawing(width=6.8, height=3.8) as (fig, axis):
        for (name, eigenvalues), colour, marker in zip(found, RAMP, _MARKERS):
            sizes = np.sort(np.abs(eigenvalues))[::-1]
            axis.plot(
                np.arange(1, len(sizes) + 1), sizes / sizes[0], marker, color=colour, ms=4, ls="-", lw=0.8, label=name
            )
        axis.set(xscale="log", xlabel="rank of the eigenvalue", ylabel="|w| over the largest", ylim=(0, 1.05))
        axis.set_xticks([1, 2, 4, 8, 16, 32, 64], ["1", "2", "4", "8", "16", "32", "64"])
        axis.minorticks_off()
        fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=1)
        words = "; ".join(
            f"{name}: {int((np.abs(v) > np.abs(v).max() / 2).sum())} of {len(v)} above half the largest"
            for name, v in found
        )
        glue_figure(fig, "fig-many-spectra", f"Eigenvalues of W after training. {words}.", made_by)
