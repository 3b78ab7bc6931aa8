"""Figures of "Random matrices at initialisation"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from featnorm._validate import Array
from featnorm.concentration import second_moments, spectral_edges
from featnorm.publish.figure import COLOURS, DASHES, RAMP, drawing, glue_figure
from featnorm.setting import Setting

_SPECTRAL = {"Phi": ("‖Φ‖", COLOURS["Phi"], "o"), "W": ("‖W‖", COLOURS["W"], "s"), "Psi": ("‖Ψ‖", COLOURS["Psi"], "^")}
_GRAM = {
    "Gram_Phi": ("‖ΦᵀΦ‖", COLOURS["Phi"], "o"),
    "WW": ("‖WWᵀ‖", COLOURS["W"], "s"),
    "Gram_Psi": ("‖ΨᵀΨ‖", COLOURS["Psi"], "^"),
}


def first_norms(sizes: Sequence[int], data: Mapping[str, Sequence[Array]], made_by: str) -> None:
    """``fig-first-norms``: spectral norms and their limits; Frobenius norms over sqrt(h), exact values and limits."""
    edges = spectral_edges(0.5)
    h = np.array(sizes, dtype=float)
    with drawing(1, 2, width=7.6, height=3.6) as (fig, (left, right)):
        for name, (label, colour, marker) in _SPECTRAL.items():
            low, mid, high = np.array([np.quantile(v, [0.1, 0.5, 0.9]) for v in data[name]]).T
            left.fill_between(h, low, high, color=colour, alpha=0.2, lw=0)
            left.plot(h, mid, color=colour, marker=marker, label=label)
            left.axhline(edges[name], color=colour, ls="--", lw=1.2)
        left.set(title="Spectral norms", ylim=(1.2, None))
        for name, (label, colour, marker) in _GRAM.items():
            low, mid, high = np.array([np.quantile(v, [0.1, 0.5, 0.9]) for v in data[name]]).T / np.sqrt(h)
            exact = [np.sqrt(second_moments(Setting(h=n, d=2 * n))[name] / n) for n in sizes]
            right.fill_between(h, low, high, color=colour, alpha=0.2, lw=0)
            right.plot(h, mid, color=colour, marker=marker, ls="none", label=label)
            right.plot(h, exact, color=colour)
            limit = {"Gram_Phi": 1.5, "WW": 2.0, "Gram_Psi": 2.5}[name]
            right.axhline(np.sqrt(limit), color=colour, ls="--", lw=1.2)
        right.set(title="Frobenius norms over √h", ylim=(1.0, None))
        for axis in (left, right):
            axis.set(xscale="log", xlabel="h")
            axis.set_xticks(list(sizes), [str(n) for n in sizes], minor=False)
            axis.minorticks_off()
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, handlelength=1.5, columnspacing=1.0)
        words = "; ".join(
            f"{name}: median {np.median(data[name][-1]):.2f}, limit {edges[name]:.2f}" for name in _SPECTRAL
        )
        grams = "; ".join(f"{name} {np.median(data[name][-1]) / np.sqrt(h[-1]):.2f}" for name in _GRAM)
        alt = (
            f"Left: spectral norms against h rise slowly to dashed lines; at h = {sizes[-1]}, {words}. Right: "
            f"Frobenius norms over the root of h lie on the exact curves and are flat; at the largest h {grams}."
        )
        glue_figure(fig, "fig-first-norms", alt, made_by)


def dependence(sizes: Sequence[int], ratios: Mapping[str, Sequence[float]], made_by: str) -> None:
    """``fig-dependence``: median of ||A|| over K sqrt(m + n) for Gaussian entries, one line a kind of dependence."""
    with drawing(width=6.4, height=3.2) as (fig, axis):
        for (name, values), colour, dash, marker in zip(ratios.items(), RAMP, DASHES, "os^"):
            axis.plot(sizes, values, color=colour, ls=dash, marker=marker, label=name)
        axis.set(xscale="log", yscale="log", xlabel="n (and m = n / 2)", ylabel="‖A‖ / (K √(m + n))")
        axis.set_xticks(list(sizes), [str(n) for n in sizes], minor=False)
        axis.minorticks_off()
        axis.set_yticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])
        axis.legend(loc="upper left")
        words = "; ".join(f"{name}: {v[0]:.2f} to {v[-1]:.2f}" for name, v in ratios.items())
        alt = f"Spectral norm over the rate of the bound against n, from the smallest to the largest n. {words}."
        glue_figure(fig, "fig-dependence", alt, made_by)
