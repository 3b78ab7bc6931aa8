"""Figures of "Three regimes"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from featnorm._validate import Array
from featnorm.eigen_flow import EigenTrajectory, parabola_velocity
from featnorm.equilibria import (
    MOMENTS,
    Branch,
    Starts,
    Turn,
    balance,
    classify,
    critical_rho,
    equilibria,
    fold_point,
)
from featnorm.publish.drawings.cosine_dynamics import dots
from featnorm.publish.figure import COLOURS, DASHES, RAMP, drawing, glue_figure
from featnorm.setting import Norms, Setting


def three_regimes(panels: Mapping[str, tuple[Norms, Setting]], made_by: str) -> None:
    """``fig-regimes``: dw/dt of Eq. 7 against w, one panel a regime, with arrows along the line of w."""
    with drawing(1, len(panels), width=9.0, height=3.0) as (fig, axes):
        for axis, (title, (N, setting)) in zip(axes, panels.items()):
            points = equilibria(N, setting)
            reach = 1.2 * max(abs(e.w) for e in points)
            w = np.linspace(-reach, reach, 401)
            velocity = parabola_velocity(w, N, setting)
            top = 1.4 * np.abs(velocity[np.abs(w) <= reach / 1.2]).max()
            axis.axhline(0, color=COLOURS["neutral"], lw=0.8)
            axis.plot(w, velocity, color=COLOURS["cosine"])
            ends = [-reach, *(e.w for e in points), reach]
            for left, right in pairwise(ends):
                middle, half = (left + right) / 2, 0.22 * (right - left)
                way = float(np.sign(parabola_velocity(np.array(middle), N, setting)))
                axis.annotate(
                    "",
                    (middle + way * half, 0.0),
                    (middle - way * half, 0.0),
                    arrowprops={"arrowstyle": "-|>", "color": COLOURS["neutral"], "lw": 1.4},
                )
            dots(axis, points, COLOURS["cosine"])
            axis.set(title=f"{title}: $N_Φ$ = {N.N_Phi:g}, ρ = {setting.rho:.3g}", xlabel="eigenvalue w")
            axis.set_ylim(-top, top)
        axes[0].set_ylabel("dw/dt")
        found = "; ".join(
            f"{title}: " + ", ".join(f"{e.w:.2f} {e.stability}" for e in equilibria(N, setting))
            for title, (N, setting) in panels.items()
        )
        glue_figure(fig, "fig-regimes", f"dw/dt against the eigenvalue w. Equilibria: {found}.", made_by)


def basins(runs: Sequence[EigenTrajectory], N: Norms, setting: Setting, made_by: str) -> None:
    """``fig-basins``: single modes on the parabola at frozen norms, with the equilibria as horizontal lines."""
    with drawing(width=6.2, height=3.4) as (fig, axis):
        end = 3.0 / setting.rho  # three times the time in which weight decay alone divides by e
        for run in runs:
            axis.plot(run.t, run.w[:, 0], color=COLOURS["W"], lw=1.4)
        for e in equilibria(N, setting):
            axis.axhline(e.w, color=COLOURS["neutral"], lw=1.2, ls="-" if e.stability == "stable" else ":")
            below = e.name in ("zero", "w_down_minus")  # the two in the middle may lie close together
            axis.annotate(
                f"{e.w:.2f}, {e.stability}",
                (end, e.w),
                ha="right",
                va="top" if below else "bottom",
                fontsize=8,
                xytext=(0, -2 if below else 2),
                textcoords="offset points",
            )
        reach = 1.3 * max(abs(run.w[0, 0]) for run in runs)
        axis.set(xlabel="time t", ylabel="eigenvalue w", ylim=(-reach, reach), xlim=(0, end))
        where = ", ".join(f"from {run.w[0, 0]:.2f} to {run.w[-1, 0]:.2f}" for run in runs)
        glue_figure(fig, "fig-basins", f"Eigenvalue against time at frozen norms, one curve a start: {where}.", made_by)


def figure_7(N: Norms, setting: Setting, made_by: str) -> None:
    """``fig-figure-7``: f and rho w at N_x = 0, at twice and half the critical weight decay and at none."""
    rho_c = critical_rho(N, setting)
    with drawing(1, 3, width=9.0, height=2.8, sharey=True) as (fig, axes):
        words = []
        for axis, (title, rho) in zip(axes, {"Collapse": 2 * rho_c, "Acute": rho_c / 2, "Stable": 0.0}.items()):
            here = setting.with_(rho=rho)
            points = equilibria(N, here)
            w = np.linspace(-1.15, 1.15, 301) * np.sqrt(N.N_Psi)
            f = parabola_velocity(w, N, setting.with_(rho=0.0))
            axis.axhline(0, color=COLOURS["neutral"], lw=0.8)
            axis.plot(w, f, color=COLOURS["cosine"], label="f(w)")
            axis.plot(w, rho * w, color=COLOURS["Phi"], ls="--", label="−g(w) = ρw")
            for e in points:
                dots(axis, [e], COLOURS["cosine"], rho * e.w)
            axis.set(title=f"{title}, ρ = {rho:.3g}", xlabel="eigenvalue w")
            words.append(f"{title}: they meet {len(points)} times")
        top = 1.5 * float(np.max(f))
        axes[0].set_ylim(-2.2 * top, 2.2 * top)
        axes[0].set_ylabel("velocity")
        axes[0].legend(loc="upper left")
        glue_figure(fig, "fig-figure-7", f"f and the line rho w against w. {'; '.join(words)}.", made_by)


def diagram(N: Norms, setting: Setting, made_by: str) -> None:
    """``fig-diagram``: regimes over the common scale of the layers and rho, the boundary in closed form and counted."""
    rho_c = critical_rho(N, setting)
    c = np.geomspace(0.25, 4.0, 160)
    rho = np.geomspace(rho_c / 20, 20 * rho_c, 160)
    C, R = np.meshgrid(c, rho)
    found = classify(C * N.N_Phi, C**2 * N.N_Psi, N.N_x, setting.sigma2, R).count.reshape(C.shape)
    # the counted boundary, by bisection in log rho on the number of equilibria alone
    few = c[5::15]
    low, high = np.full(len(few), np.log(rho[0] / 50)), np.full(len(few), np.log(50 * rho[-1]))
    for _ in range(60):
        middle = (low + high) / 2
        four = classify(few * N.N_Phi, few**2 * N.N_Psi, N.N_x, setting.sigma2, np.exp(middle)).count == 4
        low, high = np.where(four, middle, low), np.where(four, high, middle)
    counted = np.exp(low)
    worst = float(np.max(np.abs(counted / (rho_c / few**2) - 1)))
    with drawing(width=5.8, height=3.8) as (fig, axis):
        tints = [COLOURS["collapses"], COLOURS["converges"]]
        axis.contourf(c, rho, found, levels=[1.0, 3.0, 5.0], colors=tints, alpha=0.25)
        axis.plot(c, rho_c / c**2, color=COLOURS["W"], label="closed form")
        axis.plot(few, counted, "o", ms=5, color=COLOURS["Phi"], label="counted")
        axis.set(xscale="log", yscale="log", xlabel="common scale c of both layers", ylabel="weight decay ρ")
        axis.set(ylim=(rho[0], rho[-1]), xlim=(c[0], c[-1]))
        axis.set_xticks([0.25, 0.5, 1, 2, 4], ["1/4", "1/2", "1", "2", "4"], minor=False)
        axis.minorticks_off()
        axis.text(2.2, 6 * rho_c, "Collapse: 2 equilibria", ha="center")
        axis.text(0.45, 0.5 * rho_c, "Acute: 4 equilibria", ha="center")
        axis.legend(loc="lower left")
        glue_figure(
            fig,
            "fig-diagram",
            f"Regimes over the scale of the layers and the weight decay. The boundary falls like the inverse square of "
            f"the scale; the counted points lie on it within {worst:.1g}, relative.",
            made_by,
        )


def branches(rho: Branch, scale: Branch, N: Norms, setting: Setting, made_by: str) -> None:
    """``fig-branches``: positive equilibria by continuation against rho and against the scale, with the fold's law."""
    point = fold_point(N, setting)
    with drawing(1, 2, width=7.8, height=3.2) as (fig, (left, right)):
        near = np.linspace(0.6 * point.rho, point.rho, 100)
        reach = np.sqrt(2 * point.speed * (near - point.rho) / -point.curvature)
        for sign in (-1, 1):
            left.plot(near, point.w + sign * reach, color=COLOURS["neutral"], ls=DASHES[1], lw=1.4)
        for axis, branch in ((left, rho), (right, scale)):
            turn = branch.folds[0]
            w_down = branch.parameter.argmax()
            axis.plot(branch.parameter[: w_down + 1], branch.w[: w_down + 1], color=COLOURS["cosine"])
            axis.plot(branch.parameter[w_down:], branch.w[w_down:], color=COLOURS["cosine"], ls=DASHES[2])
            axis.plot(turn[1], turn[0], "o", color=COLOURS["Phi"], ms=6)
        left.set(xlabel="weight decay ρ", ylabel="equilibrium w", title="at frozen norms")
        right.set(xlabel="common scale c of both layers", title=f"at ρ = {setting.rho:.3g}")
        glue_figure(
            fig,
            "fig-branches",
            f"Positive equilibria of Eq. 7. Left, against rho: a stable and an unstable one meet at rho = "
            f"{rho.folds[0, 1]:.4f}. Right, against the scale of the layers: at c = {scale.folds[0, 1]:.3f}.",
            made_by,
        )


def figure_5(drawn: Starts, shares: Mapping[int, float], semicircle: Mapping[int, float], made_by: str) -> None:
    """``fig-figure-5``: eigenvalues of W(0) with w_down_minus, and the share of starts with one beyond it against h."""
    with drawing(1, 2, width=7.8, height=3.2) as (fig, (left, right)):
        values = drawn.eigenvalues.ravel()
        left.hist(values, bins=40, density=True, color=COLOURS["W"], alpha=0.55)
        x = np.linspace(-2, 2, 201)
        left.plot(x, np.sqrt(4 - x**2) / (2 * np.pi), color=COLOURS["W"], label="semicircle law")
        left.axvspan(drawn.lowest_root.min(), drawn.lowest_root.max(), color=COLOURS["diverges"], alpha=0.5, lw=0)
        root = float(drawn.lowest_root.mean())
        left.axvline(root, color=COLOURS["diverges"], ls="--", label="lowest equilibrium")
        left.set(xlabel="eigenvalue of W(0)", ylabel="density", title=f"h = {drawn.eigenvalues.shape[1]}")
        left.legend(loc="upper right", fontsize=8)
        left.set_ylim(0, 0.55)
        sizes = list(shares)
        right.plot(sizes, list(shares.values()), "o-", color=COLOURS["diverges"], label="a start with one beyond")
        right.plot(sizes, list(semicircle.values()), "s--", color=COLOURS["neutral"], label="semicircle law beyond")
        right.axvline(32, color=COLOURS["neutral"], lw=0.8, ls=":")
        right.set(xscale="log", xlabel="h", title="Share beyond the lowest equilibrium", ylim=(-0.02, 1))
        right.set_xticks(sizes, [str(h) for h in sizes], minor=False)
        right.minorticks_off()
        right.legend(loc="upper right", fontsize=8)
        found = ", ".join(f"{share:.2f} at h = {h}" for h, share in shares.items())
        glue_figure(
            fig,
            "fig-figure-5",
            f"Left: eigenvalues of W(0) from {values.min():.2f} to {values.max():.2f}, the lowest equilibrium at "
            f"{root:.2f}. Right: share of starts with an eigenvalue beyond it, {found}.",
            made_by,
        )


def bath(
    setting: Setting,
    overlaps: Array,
    folds: Mapping[str, Sequence[Turn | None]],
    negative: Sequence[Turn | None],
    made_by: str,
) -> None:
    """``fig-bath``: the weight decay that balances each w, by three closures; their folds; the negative ones."""
    names = {"frozen": "Eq. 7, norms frozen", "counted": "mode counted in the norms", "exact": "exact"}
    with drawing(1, 3, width=9.6, height=3.3) as (fig, (left, middle, right)):
        w = np.linspace(0.01, 1.1, 120)
        here = Norms(1.0, 1.0, 0.0)
        for kind, colour, dash in zip(MOMENTS, RAMP, DASHES):
            left.plot(w, balance(w, here, setting, kind), color=colour, ls=dash, label=names[kind])
            middle.plot(overlaps, [turn.rho if turn else np.nan for turn in folds[kind]], color=colour, ls=dash)
        left.set(xlabel="equilibrium w", ylabel="weight decay ρ", ylim=(0, None), title="Positive branches, $N_×$ = 0")
        middle.set(xlabel="overlap $N_×$ of the bath", title="Their folds", ylim=(0, None))
        lows = [(x, turn) for x, turn in zip(overlaps, negative) if turn]
        right.plot([x for x, _ in lows], [turn.rho for _, turn in lows], color=RAMP[2])
        right.fill_between(
            [x for x, _ in lows], 1e-7, [turn.rho for _, turn in lows], color=COLOURS["converges"], alpha=0.2, lw=0
        )
        right.set(yscale="log", xlabel="overlap $N_×$ of the bath", title="Two negative equilibria", ylim=(1e-7, 0.1))
        right.set_xlim(-1, 1)
        right.text(-0.62, 3e-6, "exist", ha="center")
        right.text(0.5, 1e-4, "none found", ha="center")
        fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        at = int(np.argmin(np.abs(overlaps)))
        heights = ", ".join(f"{names[kind]} {folds[kind][at].rho:.3f}" for kind in MOMENTS if folds[kind][at])
        glue_figure(
            fig,
            "fig-bath",
            f"Left: weight decay that balances each w; highest points at overlap {overlaps[at]:.1f}: {heights}. "
            f"Centre: these heights fall with the overlap. Right: two negative equilibria exist below a curve that "
            f"ends at overlap zero.",
            made_by,
        )
