"""Figures of "Lemma 4 and its error"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from featnorm.claims.lemma_4 import Phases
from featnorm.publish.figure import COLOURS, drawing, glue_figure

#: Name, colour, dash and marker of each closure.
CLOSURES = {
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
                    label, colour, dash, marker = CLOSURES[closure]
                    axis.plot(sizes_h, values, color=colour, ls=dash, marker=marker, label=label)
            axis.set(xscale="log", yscale="log", xlabel="h", title=f"States: {kind}")
            axis.set_xticks(list(sizes_h), [str(h) for h in sizes_h], minor=False)
            axis.minorticks_off()
        axes[0].set_ylabel("relative error of H")
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        words = "; ".join(f"{kind}, {CLOSURES[closure][0]}: {v[-1]:.1e}" for (kind, closure), v in errors.items())
        alt = f"Relative error against h on logarithmic axes, falling lines. At h = {sizes_h[-1]}: {words}."
        glue_figure(fig, "fig-orders", alt, made_by)


def phases(found: Phases, made_by: str) -> None:
    """``fig-phases``: relative error of the closures by the clock, and the agreement below."""
    with drawing(2, 1, width=6.4, height=4.6, sharex=True, height_ratios=(2, 1)) as (fig, (upper, lower)):
        for name, values in found.errors.items():
            label, colour, dash, _ = CLOSURES[name]
            upper.plot(1 + found.s, values, color=colour, ls=dash, label=label)
        s, N_x = found.paper_ahead_until()
        for axis in (upper, lower):
            axis.axvline(1 + s, color=COLOURS["neutral"], lw=1.0)
        lower.plot(1 + found.s, found.N_x, color=COLOURS["N_x"])
        upper.set(xscale="log", yscale="log", ylabel="relative error of H")
        lower.set(xlabel="1 + clock s", ylabel="N×", ylim=(min(0.0, float(found.N_x.min())), 1.05))
        fig.legend(*upper.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        words = "; ".join(f"{CLOSURES[n][0]} from {v[0]:.2g} to {v[-1]:.2g}" for n, v in found.errors.items())
        alt = (
            f"Relative error of three closures along an exact flow: {words}. Lemma 4 is ahead of the leading order up "
            f"to s = {s:.0f}, where N_x is {N_x:.2f}. N_x ends at {found.N_x[-1]:.3f}."
        )
        glue_figure(fig, "fig-phases", alt, made_by)
