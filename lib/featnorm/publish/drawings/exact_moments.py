"""Figures of "Exact moments of normalised Gaussians"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from featnorm._validate import Array
from featnorm.publish.figure import COLOURS, drawing, glue_figure

_CLOSURES = {
    "exact": ("exact", COLOURS["W"], "-", "o"),
    "leading": ("leading order", COLOURS["leading"], "--", "s"),
    "paper": ("Lemma 4", COLOURS["paper"], "-", "o"),
    "second_order": ("consistent", COLOURS["Psi"], ":", "^"),
}


def closure_orders(sizes_h: Sequence[int], errors: Mapping[tuple[str, str], Sequence[float]], made_by: str) -> None:
    """``fig-orders``: relative error against h; one panel a kind of state, one line a closure."""
    kinds = list(dict.fromkeys(kind for kind, _ in errors))
    with drawing(1, len(kinds), width=7.6, height=3.4, sharey=True) as (fig, axes):
        for axis, kind in zip(axes, kinds):
            for (where, closure), values in errors.items():
                if where == kind:
                    label, colour, dash, marker = _CLOSURES[closure]
                    axis.plot(sizes_h, values, color=colour, ls=dash, marker=marker, label=label)
            axis.set(xscale="log", yscale="log", xlabel="h", title=f"States: {kind}")
            axis.set_xticks(list(sizes_h), [str(h) for h in sizes_h], minor=False)
            axis.minorticks_off()
        axes[0].set_ylabel("relative error of H")
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        words = "; ".join(f"{kind}, {_CLOSURES[closure][0]}: {v[-1]:.1e}" for (kind, closure), v in errors.items())
        alt = f"Relative error against h on logarithmic axes, falling lines. At h = {sizes_h[-1]}: {words}."
        glue_figure(fig, "fig-orders", alt, made_by)


def closure_sizes(curves: Mapping[str, tuple[Array, Array]], made_by: str) -> None:
    """``fig-sizes``: the norm of Phi over its start against time, one line a closure."""
    with drawing(width=6.4, height=3.2) as (fig, axis):
        # Three of the curves lie on one another: from wide to narrow, all of them can be seen.
        for (closure, (t, size)), lw in zip(curves.items(), (7.0, 4.0, 2.0, 2.0)):
            label, colour, dash, _ = _CLOSURES[closure]
            axis.plot(1 + t, size, color=colour, ls=dash, lw=lw, alpha=0.8, label=label)
        axis.set(xscale="log", xlabel="1 + time t", ylabel="‖Φ‖ over its start", ylim=(0, None))
        axis.legend(loc="lower left")
        words = "; ".join(
            f"{_CLOSURES[name][0]}: {size[-1]:.2g} at t = {t[-1]:.0f}" for name, (t, size) in curves.items()
        )
        glue_figure(fig, "fig-sizes", f"Norm of Phi over its start against time. At the end, {words}.", made_by)
