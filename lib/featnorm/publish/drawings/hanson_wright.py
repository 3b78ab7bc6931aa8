"""Figures of "Hanson-Wright and the concentration of feature norms"."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from featnorm._validate import Array
from featnorm.concentration import QuadraticForm, relative_sd
from featnorm.publish.figure import COLOURS, drawing, glue_figure
from featnorm.setting import Setting


def bound_at(law: QuadraticForm, deviation: float) -> float:
    """The bound on P(|Q - E Q| > deviation) that `hanson_wright` gives for positive weights: 2 exp(-t) at most.

    >>> round(bound_at(QuadraticForm([1.0, 1.0, 1.0, 1.0]), 16.0), 6)       # 2 exp(-4)
    0.036631
    """
    spread, top = float(np.linalg.norm(law.weights)), float(law.weights.max())
    # 2 spread sqrt(t) + 2 top t = deviation, solved for sqrt(t)
    root = (np.sqrt(spread**2 + 2 * top * deviation) - spread) / (2 * top)
    return float(min(1.0, 2 * np.exp(-(root**2))))


def tails(laws: Mapping[str, QuadraticForm], samples: Mapping[str, Array], made_by: str) -> None:
    """``fig-tails``: chance of a relative deviation of the squared norm: exact, bound and sample, for Phi and Psi."""
    with drawing(1, 2, width=7.6, height=3.5, sharey=True) as (fig, axes):
        words = []
        for axis, (name, law) in zip(axes, laws.items()):
            colour = COLOURS[name]
            deviations = np.linspace(0.01, 2.0 if name == "Phi" else 3.0, 60)
            exact = np.array([law.deviation_tail(y * law.mean, 1e-6) for y in deviations])
            bound = np.array([bound_at(law, y * law.mean) for y in deviations])
            seen = np.sort(np.abs(samples[name] / law.mean - 1.0))
            share = 1.0 - np.arange(len(seen)) / len(seen)
            step = np.unique(np.concatenate([[0], len(seen) - np.geomspace(len(seen), 5, 40).astype(int)]))
            axis.plot(deviations, bound, color=COLOURS["neutral"], ls="--", label="Laurent-Massart")
            axis.plot(deviations, exact, color=colour, label="exact")
            axis.plot(seen[step], share[step], "o", color=colour, ms=3.5, mfc="none", label="sample")
            symbol = {"Phi": "‖Φx‖²", "Psi": "‖Ψx‖²"}[name]
            axis.set(yscale="log", ylim=(1e-12, 2), xlabel="relative deviation", title=symbol)
            at = 2 * float(np.sqrt(law.variance))
            words.append(
                f"{name}: chance of two standard deviations {law.deviation_tail(at):.3f}, bound {bound_at(law, at):.2f}"
            )
        axes[0].set_ylabel("probability")
        axes[0].legend(loc="lower left")
        alt = (
            "Probability of a relative deviation of the squared norm from its mean, logarithmic, down to 1e-12. The "
            f"sample lies on the exact curve, the bound above it. {'; '.join(words)}."
        )
        glue_figure(fig, "fig-tails", alt, made_by)


def phase(points: Mapping[str, tuple[Array, Array]], made_by: str) -> None:
    """``fig-phase``: relative spread of ||Psi x||^2 at the start over (h, h / d); spreads against effective rank.

    ``points`` maps a kind of state to its effective ranks and the relative standard deviations found in samples.
    """
    levels = [0.05, 0.1, 0.2, 0.4, 0.8]
    h = np.unique(np.geomspace(4, 4096, 50).astype(int))
    ratio = 2.0 ** np.linspace(-6, 4, 41)
    spread = np.array([[relative_sd(Setting(h=int(n), d=max(1, round(n / r))))[1] for n in h] for r in ratio])
    with drawing(1, 2, width=7.8, height=3.6) as (fig, (left, right)):
        left.contour(h, ratio, spread, levels=levels, colors=COLOURS["Psi"], linewidths=1.6)
        for level in levels:  # beside the point where the line passes h / d = 1 / 32
            at = 1.08 * 2 * (2 + 1 / 32) / level**2
            left.text(at, 1 / 32, f"{100 * level:.0f} %", color=COLOURS["Psi"], fontsize=9)
        left.plot(64, 64 / 512, "*", color=COLOURS["l2"], ms=11)
        left.annotate("64, 512", (64, 64 / 512), xytext=(7, 5), textcoords="offset points")
        left.set(xscale="log", yscale="log", xlabel="h", ylabel="h / d", title="Relative spread of ‖Ψx‖²")
        left.set_yticks([1 / 64, 1 / 8, 1, 8], ["1/64", "1/8", "1", "8"])
        left.minorticks_off()
        r = np.geomspace(1, 300, 100)
        right.plot(r, np.sqrt(2 / r), color=COLOURS["neutral"], label="√(2 / r)")
        styles = zip(points.items(), (COLOURS["Phi"], COLOURS["Psi"], COLOURS["W"], COLOURS["N_x"]), "o^sD")
        for (name, (ranks, spreads)), colour, marker in styles:
            right.plot(ranks, spreads, marker, color=colour, ms=5, label=name)
        right.set(xscale="log", yscale="log", xlabel="effective rank r", title="The same, in samples")
        right.set_yticks([0.1, 0.2, 0.5, 1], ["0.1", "0.2", "0.5", "1"])
        right.minorticks_off()
        right.legend(loc="lower left")
        here = relative_sd(Setting(h=64, d=512))[1]
        off = max(float(np.max(np.abs(s / np.sqrt(2 / k) - 1))) for k, s in points.values())
        alt = (
            "Left: lines of equal relative spread of the squared norm of Psi x over h and h / d; it falls with h, and "
            f"rises once h exceeds d. At h = 64, d = 512 it is {here:.2f}. Right: spreads in samples lie on the line "
            f"of the root of 2 over the effective rank, within {100 * off:.0f} per cent, whatever the state."
        )
        glue_figure(fig, "fig-phase", alt, made_by)
