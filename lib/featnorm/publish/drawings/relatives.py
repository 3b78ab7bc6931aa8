"""Figures and the table of "Relatives of SimSiam on the same model"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from featnorm.claims.relatives import Row
from featnorm.provenance import commit
from featnorm.publish.figure import COLOURS, DASHES, RAMP, drawing, glue_figure
from featnorm.relatives import ModeTrajectory, Vicreg
from featnorm.setting import Setting

#: The law of a mode in TeX, by the name of its row.
LAWS = {
    "SimSiam, L2": r"\dot w=w^2(1-aw)-\rho w",
    "SimSiam, cosine": r"\dot w_j\approx\kappa\varphi_j(1-\lambda w_j)-\rho w_j",
    "BYOL, L2": r"\dot w=wr-aw^3-\rho w,\ \dot r=\beta(w-r)",
    "BYOL, cosine": r"\dot w_j\approx\kappa_a p_j(r_j-\lambda_aw_jp_j)-\rho w_j,\ \dot r_j=\beta(p_j-r_j)",
    "DirectPred, L2": r"\dot w=2\alpha\{w^2(1-aw)-\rho w\}",
    "DirectPred, cosine": r"\dot p_j/p_j\approx\kappa w_j(1-\lambda w_j)-\rho",
    "IsoLoss, L2": r"\dot p/p=1-aw-\rho",
    "IsoLoss, cosine": r"\dot p_j/p_j\approx\kappa(1-\lambda w_j)-\rho",
    "Barlow Twins, raw features": r"\dot p=4p(1-p^2)-\rho p",
    "Barlow Twins": r"\dot\theta_j=\frac{8}{a^2n^2}\theta_j(\overline{\theta^2}-\theta_j)",
    "VICReg": r"h\dot p=p(va/S-4m\sigma^2-h\rho)",
}
#: What the column "equilibrium" holds for methods that see the size.
AT_REST = {"Barlow Twins, raw features": "p", "VICReg": "S"}


def growth(setting: Setting, weights: Vicreg, decays: tuple[float, float], made_by: str) -> None:
    """``fig-relatives-growth``: relative growth of a mode against its size, for the losses that see the size."""
    a = setting.a
    w = np.linspace(0.0, 1.1 / a, 400)[1:]
    p = np.linspace(0.0, 1.1, 400)[1:]
    S = np.linspace(np.sqrt(weights.epsilon), 1.1, 400)
    push = np.where(S < 1, weights.variance * a / S, 0.0) - 4 * weights.invariance * setting.sigma2
    panels = (
        ("SimSiam, BYOL, DirectPred (L2)", "eigenvalue w", w, w * (1 - a * w)),
        ("IsoLoss (L2)", "eigenvalue w", w, 1 - a * w),
        ("Barlow Twins, raw features", "singular value p", p, 4 * (1 - p**2)),
        ("VICReg", "standard deviation S", S, push / setting.h),
    )  # fmt: skip
    crossings = []
    with drawing(2, 2, width=7.8, height=5.4) as (fig, axes):
        for axis, (title, label, x, y) in zip(axes.flat, panels):
            axis.plot(x, y, color=COLOURS["W"])
            for rho, dash in zip(decays, DASHES[1:]):
                axis.axhline(rho, color=COLOURS["neutral"], lw=1.2, ls=dash, label=f"decay ρ = {rho:g}")
                for i in np.flatnonzero((y[:-1] - rho) * (y[1:] - rho) < 0):
                    stable = y[i + 1] < y[i]
                    crossings.append(stable)
                    axis.plot(x[i], rho, "o", ms=6, color=COLOURS["Phi"], mfc=COLOURS["Phi"] if stable else "none")
            axis.set(xlabel=label, title=title, ylim=(-0.3 * y.max(), 1.15 * y.max()))
        axes[0, 0].set(ylabel="growth dlog p/dt")
        axes[1, 0].set(ylabel="growth dlog p/dt")
        axes[0, 1].legend(loc="upper right")
        glue_figure(
            fig,
            "fig-relatives-growth",
            f"Four curves of the growth of a mode against its size, with horizontal lines at the decays {decays[0]:g} "
            f"and {decays[1]:g}. {sum(crossings)} crossings are stable, {len(crossings) - sum(crossings)} unstable. "
            f"For SimSiam, BYOL and DirectPred the curve starts at 0 and peaks at {1 / (4 * a):.3f}; the others fall "
            f"from their largest value at size zero.",
            made_by,
        )


def shares(runs: Mapping[str, ModeTrajectory], lags: Mapping[float, ModeTrajectory], rho: float, made_by: str) -> None:
    """``fig-relatives-shares``: the modes' shares under the cosine loss, and how far BYOL's target lags behind."""
    with drawing(2, 2, width=7.8, height=5.4) as (fig, axes):
        ends = []
        for axis, (name, run) in zip(axes.flat, runs.items()):
            part = run.p / np.linalg.norm(run.p, axis=1, keepdims=True)
            axis.plot(rho * run.t, part, color=COLOURS["Phi"], lw=1.2)
            axis.axhline(part.shape[1] ** -0.5, color=COLOURS["neutral"], ls="--", lw=1.2)
            axis.set(title=f"{name}, cosine", xlabel="ρt", ylim=(0, None))
            ends.append(f"{name} from {part[-1].min():.2f} to {part[-1].max():.2f}")
        axes[0, 0].set(ylabel="p / ‖Φ‖")
        axes[1, 0].set(ylabel="p / ‖Φ‖")
        last, cosines = axes[1, 1], []
        for (ratio, run), colour, dash in zip(lags.items(), RAMP, DASHES):
            cosine = np.sum(run.p * run.r, axis=1) / np.linalg.norm(run.p, axis=1) / np.linalg.norm(run.r, axis=1)
            last.plot(rho * run.t, 1 - cosine, color=colour, ls=dash, label=f"β = {ratio:g} ρ")
            cosines.append(f"{1 - cosine[-1]:.1e} at beta = {ratio:g} rho")
        last.set(title="BYOL: 1 − cos(Φ, Φₐ)", xlabel="ρt", yscale="log", ylim=(1e-9, 1))
        last.legend()
        glue_figure(
            fig,
            "fig-relatives-shares",
            f"Shares of the modes at the end: {'; '.join(ends)}; equal shares are dashed. Last panel: the angle "
            f"between BYOL's target and the online net ends at 1 minus cosine = {', '.join(cosines)}.",
            made_by,
        )


class MethodTable:
    """The table of the methods as HTML that scrolls in its own box; a plain terminal shows it as lines of text."""

    def __init__(self, rows: Sequence[Row], weak: float, strong: float, made_by: str) -> None:
        columns = (
            "Method", "Law of a mode", "Equilibrium", "Critical decay", f"Size left, ρ = {weak:g}, {strong:g}",
            f"Rank share, ρ = {weak:g}, {strong:g}", "Norm law", "Clock",
        )  # fmt: skip
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
        body = "".join(self._row(row) for row in rows)
        line = escape(f"Made by {made_by}; commit {commit()}")
        self._html = (
            '<div class="featnorm-scroll featnorm-result" tabindex="0" role="region" '
            'aria-label="Table of methods, may scroll sideways">'
            f'<table class="featnorm-claims"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
            f'<p class="featnorm-provenance">{line}</p>'
        )
        self._text = "\n".join(
            f"{row.name}: critical decay {row.critical:.4g}, size {row.size[0]:.3g} {row.size[1]:.3g}, rank share "
            f"{row.rank[0]:.3f} {row.rank[1]:.3f}, norm law {row.norm_error:.1e}, clock {row.clock_error:.1e}"
            for row in rows
        )

    @staticmethod
    def _row(row: Row) -> str:
        def holds(error: float) -> str:
            return f"{'holds' if error < 1e-4 else 'fails'} ({error:.1e})"

        rest = "ratios only" if np.isnan(row.equilibrium) else f"{AT_REST.get(row.name, 'w')} = {row.equilibrium:.3f}"
        critical = "none" if np.isinf(row.critical) else f"{row.critical:.3g}"
        cells = (
            f'<span class="math notranslate nohighlight">\\({LAWS[row.name]}\\)</span>',
            rest,
            critical,
            f"{row.size[0]:.2g}, {row.size[1]:.2g}",
            f"{row.rank[0]:.2f}, {row.rank[1]:.2f}",
            holds(row.norm_error),
            holds(row.clock_error),
        )
        return f'<tr><th scope="row">{escape(row.name)}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self._text
