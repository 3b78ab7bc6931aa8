"""The figures of the chapters: each function draws data that a chapter computed and stores it for a caption.

They compute nothing but what is drawn. ``made_by`` names the function, configuration and seed that made the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from featnorm._validate import Array
from featnorm.eigen_flow import EigenTrajectory, TerminalState, parabola_velocity
from featnorm.equilibria import Intervals, equilibria
from featnorm.matrix_flow import MatrixTrajectory, clock
from featnorm.normalized_moments import matrix_moments
from featnorm.publish.figure import COLOURS, DASHES, RAMP, drawing, glue_figure
from featnorm.setting import Norms, Setting

if TYPE_CHECKING:  # PyTorch is not needed to draw
    from featnorm.simsiam.linear import LinearRun

Flows = Mapping[float, MatrixTrajectory]


def sizes(run: MatrixTrajectory) -> Array:
    """||Phi||_F along a run, over its first value."""
    size = np.linalg.norm(run.Phi, axis=(1, 2))
    return size / size[0]


def agreements(run: MatrixTrajectory, setting: Setting) -> Array:
    """The mean cosine of prediction and target along a run, for Gaussian data: minus the loss of Eq. 2, exactly."""
    return np.array([matrix_moments(W, Phi @ Phi.T, setting).cosine for W, Phi in zip(run.W, run.Phi)])


def front_page(cosine: Flows, l2: Flows, setting: Setting, made_by: str) -> None:
    """``fig-front``: size, agreement against time, agreement against the clock; one line style a weight decay."""
    with drawing(1, 3, width=8.4, height=3.3) as (fig, (left, middle, right)):
        # In the last panel the curves cover one another: drawn from wide to narrow, all of them can be seen.
        for (rho, run), dash, lw, alpha in zip(cosine.items(), DASHES, (7.0, 4.0, 1.4), (0.3, 0.5, 1.0)):
            left.plot(run.t, sizes(run), color=COLOURS["cosine"], ls=dash, label=f"cosine, ρ = {rho:g}")
            agreement = agreements(run, setting)
            middle.plot(run.t, agreement, color=COLOURS["cosine"], ls=dash)
            right.plot(1 + clock(run.t, rho), agreement, color=COLOURS["cosine"], lw=lw, alpha=alpha)
        for (rho, run), dash in zip(l2.items(), DASHES):
            left.plot(run.t, sizes(run), color=COLOURS["l2"], ls=dash, label=f"L2, ρ = {rho:g}")
            middle.plot(run.t, agreements(run, setting), color=COLOURS["l2"], ls=dash)
        left.set(yscale="log", xlabel="time t", title="Size of Φ")
        middle.set(xlabel="time t", title="Agreement of views")
        right.set(xscale="log", xlabel="1 + clock s(t)", title="Cosine, by the clock")
        right.set_ylim(middle.get_ylim())
        fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        decays = ", ".join(f"{rho:g}" for rho in cosine)
        glue_figure(
            fig,
            "fig-front",
            f"Three panels for weight decays {decays}. Left: under the cosine loss the size of Phi falls "
            f"exponentially. Under the L2 loss it ends at {', '.join(f'{sizes(run)[-1]:.1g}' for run in l2.values())} "
            "of its start. Middle: under the cosine loss the agreement of the two views rises to the same height for "
            "every decay, soonest for the strongest; under the L2 loss it rises at once and ends at "
            f"{', '.join(f'{agreements(run, setting)[-1]:.3f}' for run in l2.values())}. Right: against the clock, the "
            "three cosine curves lie on one another.",
            made_by,
        )


def flow_laws(cosine: Flows, l2: Flows, made_by: str) -> None:
    """``fig-laws``: the norm against its law, and the balance matrix relative to the size of Phi."""
    with drawing(1, 2, width=7.6, height=3.3) as (fig, (left, right)):
        for (rho, run), colour, dash in zip(cosine.items(), RAMP, DASHES):
            norm = np.linalg.norm(run.W, axis=(1, 2))
            left.plot(run.t, np.exp(rho * run.t) * norm / norm[0], color=colour, ls=dash, label=f"cosine, ρ = {rho:g}")
            offset = np.swapaxes(run.W, 1, 2) @ run.W - run.Phi @ np.swapaxes(run.Phi, 1, 2)
            share = np.linalg.norm(offset, axis=(1, 2)) / np.sum(run.Phi**2, axis=(1, 2))
            right.plot(run.t, share, color=colour, ls=dash)
        for rho, run in l2.items():
            norm = np.linalg.norm(run.W, axis=(1, 2))
            left.plot(
                run.t, np.exp(rho * run.t) * norm / norm[0], color=COLOURS["neutral"], ls="-.", label=f"L2, ρ = {rho:g}"
            )
        left.set(xlabel="time t", title="‖W‖ exp(ρt) / ‖W(0)‖", ylim=(0, None))
        right.set(xlabel="time t", title="‖WᵀW − ΦΦᵀ‖ / ‖Φ‖²", ylim=(0, None))
        fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        glue_figure(
            fig,
            "fig-laws",
            "Left: the norm of W times exp(rho t) stays constant under the cosine loss for three weight decays, and "
            "does not for the L2 loss. Right: the mismatch between the layers relative to the size of Phi is a flat "
            "line, the same for the three weight decays.",
            made_by,
        )


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


_MARKS = {"stable": "full", "unstable": "none", "semi-stable": "left"}


def regimes(panels: Mapping[str, tuple[Norms, Setting]], made_by: str) -> None:
    """``fig-regimes``: dw/dt of Eq. 7 against w, one panel a regime; full dots are stable, open ones unstable."""
    with drawing(1, len(panels), width=9.0, height=3.0, sharey=True) as (fig, axes):
        for axis, (title, (N, setting)) in zip(axes, panels.items()):
            w = np.linspace(-1.15, 1.15, 301) * np.sqrt(N.N_Psi)
            axis.axhline(0, color=COLOURS["neutral"], lw=0.8)
            axis.plot(w, parabola_velocity(w, N, setting), color=COLOURS["W"])
            for e in equilibria(N, setting):
                axis.plot(
                    e.w,
                    0,
                    "o",
                    ms=7,
                    color=COLOURS["W"],
                    fillstyle=_MARKS[e.stability],
                    markerfacecoloralt="none",
                    clip_on=False,
                )
            axis.set(title=f"{title}, ρ = {setting.rho:.3g}", xlabel="eigenvalue w", ylim=(-0.35, 0.35))
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


def first_run_norms(run: LinearRun, made_by: str) -> None:
    """``fig-run-norms``: N_Phi, N_Psi and N_x of a `featnorm.simsiam.linear.LinearRun`; asymmetry and commutator."""
    with drawing(1, 2, width=7.6, height=3.2) as (fig, (left, right)):
        left.plot(run.step, run.N_Phi, color=COLOURS["Phi"], label="N_Φ")
        left.plot(run.step, run.N_Psi, color=COLOURS["Psi"], ls="--", label="N_Ψ")
        left.plot(run.step, run.N_x, color=COLOURS["N_x"], ls="-.", label="N_×")
        left.set(xlabel="step", title="Norms")
        right.plot(run.step, run.asymmetry, color=COLOURS["W"], label="asymmetry of W")
        right.plot(run.step, run.commutator, color=COLOURS["Phi"], ls="--", label="commutator of F and W")
        right.set(xlabel="step", title="Departure from Assumptions 1 and 5", ylim=(0, None))
        left.legend()
        right.legend()
        glue_figure(
            fig,
            "fig-run-norms",
            f"Left: N_Phi falls from {run.N_Phi[0]:.2g} to {run.N_Phi[-1]:.2g}, N_Psi from {run.N_Psi[0]:.2g} to "
            f"{run.N_Psi[-1]:.2g}, N_x rises from {run.N_x[0]:.2g} to {run.N_x[-1]:.2g}. Right: the asymmetry of W has "
            f"its maximum {run.asymmetry.max():.2g}, the commutator falls from {run.commutator[0]:.2g} to "
            f"{run.commutator[-1]:.2g}.",
            made_by,
        )


def first_run_intervals(run: LinearRun, intervals: Intervals, made_by: str) -> None:
    """``fig-run-intervals``: the eigenvalues of W over the regions of Eq. 7 at the norms of each moment."""
    with drawing(width=7.4, height=3.8) as (fig, axis):
        top, bottom = 1.15 * float(run.eig_W.max()), 1.15 * float(run.eig_W.min())
        step = run.step
        axis.fill_between(step, bottom, intervals.low, color=COLOURS["diverges"], alpha=0.25, lw=0, label="diverges")
        edge = np.fmin(intervals.middle, top)  # where there is no positive equilibrium, everything above tends to 0
        axis.fill_between(step, intervals.low, edge, color=COLOURS["collapses"], alpha=0.3, lw=0, label="tends to 0")
        axis.fill_between(
            step, edge, top, color=COLOURS["converges"], alpha=0.25, lw=0, label="tends to the stable point"
        )
        axis.plot(step, intervals.high, color=COLOURS["converges"], ls=":", label="stable point")
        axis.plot(step, run.eig_W[:, 1:], color=COLOURS["neutral"], lw=0.6, alpha=0.8)
        axis.plot(step, run.eig_W[:, 0], color=COLOURS["W"], lw=2.2, label="largest eigenvalue of W")
        axis.set(xlabel="step", ylabel="eigenvalues of W", ylim=(bottom, top), xlim=(step[0], step[-1]))
        fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        first = step[np.isfinite(intervals.high)]
        emerges = f"from step {first[0]} on a positive stable point exists" if len(first) else "no stable point appears"
        glue_figure(
            fig,
            "fig-run-intervals",
            f"Eigenvalues of W against the step over the regions of Eq. 7: {emerges}. The largest eigenvalue goes from "
            f"{run.eig_W[0, 0]:.2g} to {run.eig_W[-1, 0]:.2g}; the stable point ends at {intervals.high[-1]:.2g}.",
            made_by,
        )


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


def survivors(run: EigenTrajectory, end: TerminalState, rho: float, made_by: str) -> None:
    """``fig-survivors``: scale-free eigenvalues by the clock, and the final phi against the prediction."""
    with drawing(1, 2, width=7.8, height=3.6) as (fig, (left, right)):
        s, grown = 1 + clock(run.t, rho), np.exp(rho * run.t)
        alive = end.phi > 0
        left.plot(s, grown[:, None] * run.w[:, ~alive], color=COLOURS["neutral"], lw=1.0)
        left.plot(s, grown[:, None] * run.w[:, alive], color=COLOURS["W"], lw=1.2)
        left.axhline(end.w_bar, color=COLOURS["Phi"], ls="--")
        left.set(xscale="log", xlabel="1 + clock s", title="Eigenvalues of W, scale-free")
        final = grown[-1] ** 2 * run.phi[-1]
        top = 1.05 * max(final.max(), end.phi.max())
        right.plot([0, top], [0, top], color=COLOURS["neutral"], lw=1.0)
        right.plot(end.phi, final, "o", color=COLOURS["Phi"], ms=5)
        right.set(xlabel="φ predicted from the start", ylabel="φ of the exact flow", title="Terminal state")
        glue_figure(
            fig,
            "fig-survivors",
            f"Left: {alive.sum()} eigenvalues run together at {end.w_bar:.2f}, {(~alive).sum()} others stop elsewhere. "
            f"Right: the final phi of the exact flow lie close to the diagonal of the prediction; the largest is "
            f"{final.max():.2f}.",
            made_by,
        )
