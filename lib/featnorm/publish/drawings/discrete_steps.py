"""Figures of "Discrete steps"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from featnorm._validate import Array
from featnorm.publish.figure import COLOURS, DASHES, RAMP, drawing, glue_figure


def comparison(products: Array, R: Array, ratio: Array, made_by: str) -> None:
    """``fig-comparison``: R and Eq. 7's upper root over the common eigenvalue, against the decay a step."""
    with drawing(1, 2, width=7.8, height=3.4) as (fig, (left, right)):
        left.plot(products, R, color=COLOURS["Phi"])
        left.axhline(0.25, color=COLOURS["neutral"], ls="--", lw=1.2)
        left.set(xscale="log", yscale="log", xlabel="decay a step ηρ/(1−μ)", title="R at the noise equilibrium")
        there = np.isfinite(ratio)
        right.plot(products[there], ratio[there], color=COLOURS["paper"])
        right.axhline(1.0, color=COLOURS["neutral"], ls="--", lw=1.2)
        right.axvspan(products[there].max(), products[-1], color=COLOURS["neutral"], alpha=0.15, lw=0)
        right.set(
            xscale="log", xlim=(products[0], products[-1]), ylim=(0.0, 1.08), xlabel="decay a step ηρ/(1−μ)",
            title="Stable point of Eq. 7 over w̄",
        )  # fmt: skip
        glue_figure(
            fig,
            "fig-comparison",
            f"Left: R rises from {R[0]:.2g} to {R[-1]:.2g} as the decay a step rises from {products[0]:g} to "
            f"{products[-1]:g}. Right: the stable point over the common eigenvalue falls from {ratio[0]:.3f} to "
            f"{ratio[there].min():.2f}; beyond {products[there].max():.2g} Eq. 7 has no positive equilibrium.",
            made_by,
        )


_LAYERS = (("W", "W", "o"), ("Phi", "Φ", "s"))


def stationary(products: Array, ratio: Array, predicted: Array, measured: Array, made_by: str) -> None:
    """``fig-stationary``: error of the norms against the decay a step, and all measured norms against the predicted.

    ``ratio`` (seeds, products, 2) belongs to the first sweep, ``predicted`` and ``measured`` (cases, 2) to all.
    """
    with drawing(1, 2, width=7.8, height=3.6) as (fig, (left, right)):
        for layer, (symbol, name, marker) in enumerate(_LAYERS):
            errors = ratio[..., layer].mean(axis=0) - 1.0
            bars = ratio[..., layer].std(axis=0, ddof=1) / np.sqrt(len(ratio))
            left.errorbar(products, errors, bars, fmt=marker, color=COLOURS[symbol], ms=5, label=f"‖{name}‖⁴")
            left.plot(products, errors[-1] * np.sqrt(products / products[-1]), color=COLOURS[symbol], lw=1.0)
            right.plot(predicted[:, layer], measured[:, layer], marker, color=COLOURS[symbol], ms=5)
        left.set(xscale="log", yscale="log", xlabel="decay a step ηρ/(1−μ)", title="Measured over predicted, minus 1")
        left.set_xticks([2e-4, 5e-4, 1e-3, 2e-3, 4e-3], ["2e-4", "5e-4", "1e-3", "2e-3", "4e-3"])
        left.minorticks_off()
        ends = np.array([predicted.min(), predicted.max()])
        right.plot(ends, ends, color=COLOURS["neutral"], lw=1.0)
        right.set(xscale="log", yscale="log", xlabel="predicted", ylabel="measured", title="‖W‖⁴ and ‖Φ‖⁴, all sweeps")
        left.legend()
        off = np.abs(ratio.mean(axis=0) - 1.0)
        glue_figure(
            fig,
            "fig-stationary",
            f"Left: as the decay a step falls from {products.max():g} to {products.min():g}, the error of the "
            f"predicted fourth power of the norm of W falls from {off[0, 0]:.3f} to {off[-1, 0]:.3f}, that of Phi from "
            f"{off[0, 1]:.3f} to {off[-1, 1]:.4f}, along lines of slope one half. Right: {len(predicted)} measured "
            f"fourth powers for each layer lie on the diagonal from {ends[0]:.2g} to {ends[1]:.2g}.",
            made_by,
        )


def annealed(lengths: Array, ends: Array, closed: Array, made_by: str) -> None:
    """``fig-annealed``: final fourth powers (seeds, lengths, 2) against the length, with the closed form."""
    with drawing(width=5.2, height=3.4) as (fig, axis):
        for layer, (symbol, name, marker) in enumerate(_LAYERS):
            mean = ends[..., layer].mean(axis=0)
            axis.plot(lengths, mean, marker, color=COLOURS[symbol], ms=5, label=f"‖{name}‖⁴ at the end")
            axis.plot(lengths, closed[:, layer], color=COLOURS[symbol], lw=1.2)
        axis.set(xscale="log", yscale="log", xlabel="length of the run, steps")
        axis.legend()
        off = np.abs(ends.mean(axis=0) / closed - 1.0).max()
        glue_figure(
            fig,
            "fig-annealed",
            f"From {lengths[0]:g} to {lengths[-1]:g} steps the final fourth powers fall along straight lines of slope "
            f"-2/3 and lie within a share of {off:.3f} of the closed form.",
            made_by,
        )


def noise_map(R: Array, predicted: Array, x: Array, modes: Array, curve: tuple[Array, Array], made_by: str) -> None:
    """``fig-map``: R measured against predicted, and Eq. 7's stable point over the common eigenvalue against R.

    Each of the first four is (levels,), x NaN where Eq. 7 has no positive equilibrium; ``curve`` is x over R for many
    modes.
    """
    there = np.isfinite(x)
    with drawing(1, 2, width=7.8, height=3.6) as (fig, (left, right)):
        ends = np.array([predicted.min(), predicted.max()])
        left.plot(ends, ends, color=COLOURS["neutral"], lw=1.0)
        left.plot(predicted[there], R[there], "o", color=COLOURS["Phi"], ms=5, label="(7) has an equilibrium")
        left.plot(predicted[~there], R[~there], "X", color=COLOURS["diverges"], ms=7, label="it has none")
        left.axhline(0.25, color=COLOURS["neutral"], ls="--", lw=1.2)
        left.set(xscale="log", yscale="log", xlabel="R predicted", ylabel="R measured", title="R over the noise")
        left.legend()
        right.plot(*curve, color=COLOURS["paper"], lw=1.2)
        right.plot(R[there], x[there], "o", color=COLOURS["paper"], ms=5)
        for i, at in enumerate(
            np.argsort(R * ~there)[-(~there).sum() :]
        ):  # one above the other, so that none is hidden
            height = 0.06 + 0.12 * i
            right.plot(R[at], height, "X", color=COLOURS["diverges"], ms=7)
            right.annotate(f"{modes[at]:.0f}", (R[at], height), (7, -4), textcoords="offset points")
        right.set(xscale="log", ylim=(0.0, 1.08), xlabel="R measured", title="Stable point of Eq. 7 over w̄")
        glue_figure(
            fig,
            "fig-map",
            f"Left: measured R from {R.min():.3f} to {R.max():.2f} lies on the diagonal of the predicted one. Right: "
            f"the stable point of Eq. 7 over the common eigenvalue falls from {x[there].max():.3f} to "
            f"{x[there].min():.2f}; at the {(~there).sum()} largest R it is gone, while "
            f"{modes[~there].min():.0f} to {modes[~there].max():.0f} modes live.",
            made_by,
        )


def early(times: Array, paths: Mapping[str, tuple[Array, Array, Array]], rates: Sequence[float], made_by: str) -> None:
    """``fig-early``: for each start, its title, means of SGD (rates, times), the exact flow, and Eq. 7 frozen."""
    with drawing(1, 2, width=7.8, height=3.8) as (fig, axes):
        for axis, (title, (sgd, flow, frozen)) in zip(axes, paths.items()):
            for means, colour, dash, rate in zip((sgd[0], sgd[-1]), RAMP[::-1], DASHES[1:], (rates[0], rates[-1])):
                axis.plot(times, means, color=colour, ls=dash, label=f"SGD, η = {rate:g}")
            axis.plot(times, flow, color=COLOURS["neutral"], lw=1.0, label="exact flow")
            axis.plot(times, frozen, color=COLOURS["paper"], ls=(0, (3, 1, 1, 1)), label="Eq. 7, norms of the start")
            low, high = min(flow.min(), sgd.min()), max(flow.max(), sgd.max())
            axis.set(xlabel="time t", title=title, ylim=(low - 0.35 * (high - low), high + 0.2 * (high - low)))
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        words = "; ".join(
            f"{title}: the exact flow goes from {flow[0]:.2f} to {flow[-1]:.2f}, SGD at the smallest rate to "
            f"{sgd[-1, -1]:.2f}, Eq. 7 to {frozen[-1]:.3g}"
            for title, (sgd, flow, frozen) in paths.items()
        )
        glue_figure(fig, "fig-early", f"Eigenvalues of W along time. {words}.", made_by)


def shares(predicted: Array, found: Array, errors: Mapping[str, Array], made_by: str) -> None:
    """``fig-shares``: shares of the modes after SGD against the predicted ones, and the error of every rule."""
    with drawing(1, 2, width=7.8, height=3.6) as (fig, (left, right)):
        top = 1.05 * max(predicted.max(), found.max())
        left.plot([0, top], [0, top], color=COLOURS["neutral"], lw=1.0)
        left.plot(predicted.ravel(), found.ravel(), "o", color=COLOURS["Phi"], ms=3, alpha=0.5)
        left.set(xlabel="predicted from the start", ylabel="after SGD", title="Share of each mode in tr F")
        names, means = list(errors), [float(values.mean()) for values in errors.values()]
        right.barh(names, means, color=[COLOURS["Phi"]] + [COLOURS["neutral"]] * (len(names) - 1))
        right.invert_yaxis()
        right.set(xlabel="mean error, all modes together", title="Rules")
        glue_figure(
            fig,
            "fig-shares",
            f"Left: the shares of {found.size} modes after SGD lie along the diagonal of the prediction. Right: mean "
            "errors of the rules: " + "; ".join(f"{n} {m:.3f}" for n, m in zip(names, means)) + ".",
            made_by,
        )
