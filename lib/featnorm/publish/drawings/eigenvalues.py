"""Figures of "From matrices to eigenvalues"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from featnorm.publish.figure import COLOURS, drawing, glue_figure


def closure_errors(
    sizes_h: Sequence[int], errors: Mapping[tuple[str, str], Sequence[tuple[float, float, float]]], made_by: str
) -> None:
    """``fig-closure``: relative error with its interval against h; one panel a kind of state, one line a closure."""
    kinds = list(dict.fromkeys(kind for kind, _ in errors))
    with drawing(1, len(kinds), width=7.6, height=3.4, sharey=True) as (fig, axes):
        for axis, kind in zip(np.atleast_1d(axes), kinds):
            for (where, closure), values in errors.items():
                if where != kind:
                    continue
                low, mid, high = np.array(values).T
                mid = np.where(mid > 0, mid, np.nan)  # an error lost in the noise has no place on a logarithmic axis
                axis.errorbar(
                    sizes_h,
                    mid,
                    yerr=(mid - np.maximum(low, 0.1 * mid), high - mid),
                    color=COLOURS[closure],
                    marker={"paper": "o", "leading": "s"}[closure],
                    ls={"paper": "-", "leading": "--"}[closure],
                    capsize=3,
                    label={"paper": "Lemma 4, three terms", "leading": "without its middle term"}[closure],
                )
            axis.set(xscale="log", yscale="log", xlabel="h", title=f"States: {kind}")
            axis.set_xticks(list(sizes_h), [str(h) for h in sizes_h], minor=False)
            axis.minorticks_off()
        first = np.atleast_1d(axes)[0]
        first.set_ylabel("relative error of H")
        fig.legend(*first.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        last = {key: values[-1][1] for key, values in errors.items()}
        words = "; ".join(
            f"{kind}: {last[kind, 'paper']:.2g} with three terms, {last[kind, 'leading']:.2g} without the middle one"
            for kind in kinds
        )
        glue_figure(
            fig,
            "fig-closure",
            f"Relative error of the closure against h on logarithmic axes; it falls in both kinds of state. At "
            f"h = {sizes_h[-1]}: {words}.",
            made_by,
        )
