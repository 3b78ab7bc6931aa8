"""The table and the figures of "How robust"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from featnorm._validate import Array
from featnorm.claims.how_robust import Row, fates, largest_shared
from featnorm.provenance import commit
from featnorm.publish.figure import COLOURS, drawing, glue_figure

_MARKS = {
    "both": (COLOURS["cosine"], "o", "-"),
    "online": (COLOURS["online"], "^", "--"),
    "batch": (COLOURS["batch"], "s", ":"),
    "target": (COLOURS["target"], "D", "-"),
    "neither": (COLOURS["l2"], "v", "--"),
}


class VariationTable:
    """The table as HTML that scrolls in its own box; a plain terminal shows it as lines of text."""

    def __init__(self, rows: Sequence[Row], rho: float, made_by: str) -> None:
        columns = (
            "Changed", "Rule", "Flow", "Start", "Equal", f"Rule, ρ = {rho:g}", "Level of W", f"Eq. 7, ρ = {rho:g}",
            f"Rank share, ρ = 0, {rho:g}", f"Size left, ρ = {rho:g}",
        )  # fmt: skip
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
        body = "".join(self._row(row) for row in rows)
        self._html = (
            '<div class="featnorm-scroll featnorm-result" tabindex="0" role="region" '
            'aria-label="Table of variations, may scroll sideways">'
            f'<table class="featnorm-claims"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
            f'<p class="featnorm-provenance">{escape(f"Made by {made_by}; commit {commit()}")}</p>'
        )
        self._text = "\n".join(" | ".join((row.name, *self._cells(row))) for row in rows)

    @staticmethod
    def _cells(row: Row) -> tuple[str, ...]:
        def number(value: float) -> str:
            return "none" if np.isnan(value) else f"{value:.2f}"

        def with_error(pair: tuple[float, float]) -> str:
            return f"{pair[0]:.3f}\u00a0({1e3 * pair[1]:.0f})"  # the standard error in the last digits

        size = f"{row.size:.2g}" if row.size > 1e-6 else f"{row.size:.0e}"
        return (
            *(with_error(row.error), "none" if np.isnan(row.flow) else f"{row.flow:.3f}", with_error(row.start)),
            *(with_error(row.equal), f"{row.decayed:.3f}", number(row.level), number(row.eq7)),
            *(f"{row.rank[0]:.2f}, {row.rank[1]:.2f}", size),
        )

    @classmethod
    def _row(cls, row: Row) -> str:
        cells = "".join(f"<td>{cell}</td>" for cell in cls._cells(row))
        return f'<tr><th scope="row">{escape(row.name)}</th>{cells}</tr>'

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self._text


def variations(rows: Sequence[Row], made_by: str) -> None:
    """``fig-variations``: the error of the rule beside two null rules, and the rank with and without weight decay."""
    y = np.arange(len(rows))[::-1]
    with drawing(1, 2, width=7.8, height=6.6, sharey=True, width_ratios=(3, 2)) as (fig, (left, right)):
        for label, field, colour, marker in (
            ("the rule", "error", COLOURS["Phi"], "o"),
            ("the start", "start", COLOURS["neutral"], "s"),
            ("equal", "equal", COLOURS["N_x"], "^"),
        ):
            values = np.array([getattr(row, field) for row in rows])
            left.errorbar(values[:, 0], y, xerr=values[:, 1], fmt=marker, color=colour, ms=5, lw=1.2, label=label)
        left.set(xscale="log", xlabel="error of the spectrum of F", title="Predicted, without weight decay")
        left.set_yticks(y, [row.name for row in rows], fontsize=8)
        ranks = np.array([row.rank for row in rows])
        right.plot(ranks[:, 0], y, "o", color=COLOURS["Phi"], mfc="none", ms=5, label="no decay")
        right.plot(ranks[:, 1], y, "x", color=COLOURS["l2"], ms=6, label="with decay")
        right.set(xlabel="effective rank / h", xlim=(0, 1), title="Directions left")
        for axis in (left, right):
            axis.grid(axis="y", lw=0.4, alpha=0.4)
        fig.legend(
            *[a + b for a, b in zip(left.get_legend_handles_labels(), right.get_legend_handles_labels())],
            loc="outside lower center", ncols=5, fontsize=8,
        )  # fmt: skip
        best = sum(row.error[0] < min(row.start[0], row.equal[0]) for row in rows)
        lowest = min(rows, key=lambda row: row.rank[1])
        glue_figure(
            fig,
            "fig-variations",
            f"For {best} of {len(rows)} variations the rule has a smaller error than both null rules; its error is "
            f"{rows[0].error[0]:.3f} for the paper's model. With weight decay the rank is lowest for "
            f"{lowest.name}, {lowest.rank[1]:.2f} of h.",
            made_by,
        )


def normalisations(
    rhos: Sequence[float], size: Mapping[str, Array], modes: Mapping[str, Array], a: float, made_by: str
) -> None:
    """``fig-normalisations``: what is left of |Phi|, and living modes, against weight decay; means over the starts.

    ``modes`` may be nan where a run has collapsed completely, so that its modes mean nothing.
    """
    with drawing(1, 2, width=7.8, height=3.7) as (fig, (left, right)):
        for name, (colour, marker, dash) in _MARKS.items():
            for axis, values in ((left, np.maximum(size[name], 1e-18)), (right, modes[name])):
                axis.plot(rhos, values, marker=marker, color=colour, ls=dash, ms=5, label=name)
        for kind in ("neither", "target"):
            left.axvline(fates(a)[kind], color=_MARKS[kind][0], lw=1.0, ls=(0, (1.5, 1.5)))
        grid = np.linspace(0.06, max(rhos), 400)
        right.plot(grid, [largest_shared(rho, a) for rho in grid], color=COLOURS["target"], lw=1.0, ls=(0, (1.5, 1.5)))
        left.set(yscale="log", xlabel="weight decay ρ", title="|Φ| over its start", ylim=(3e-19, 10))
        right.set(
            xlabel="weight decay ρ", title="Living modes", ylim=(0, 1.1 * max(np.nanmax(v) for v in modes.values()))
        )
        fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5)
        last = "; ".join(f"{name} {size[name][-1]:.1g}" for name in _MARKS)
        glue_figure(
            fig,
            "fig-normalisations",
            f"Left: at the largest weight decay |Φ| over its start is: {last}. Dotted lines at "
            f"{fates(a)['neither']:.3f} and {fates(a)['target']:.3f} are the thresholds. Right: with the "
            f"target only, living modes fall from {modes['target'][1]:.1f} at ρ = {rhos[1]:g} to "
            f"{modes['target'][-2]:.1f} at {rhos[-2]:g}, below the dotted limit; with both they fall to "
            f"{modes['both'][-2]:.1f}.",
            made_by,
        )
