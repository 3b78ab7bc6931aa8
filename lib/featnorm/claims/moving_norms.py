"""Checks of the chapter "Frozen norms, moving norms": when the regime changes, and whether anything collapses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from featnorm._validate import Array
from featnorm.claims.model import Check, Evidence
from featnorm.eigen_flow import EigenClosure, EigenTrajectory, integrate, mode_norms
from featnorm.equilibria import critical_rho
from featnorm.matrix_flow import MatrixTrajectory, clock, population_flow, unclock
from featnorm.passage import barrier, highest_barrier, lowest_critical_rho, passages
from featnorm.scale import Scale
from featnorm.setting import Norms, Setting, effective_rank, norms
from featnorm.surveys import commuting_start

# --- Between which times the boundary is passed ----------------------------------------------------------------------

#: Weight decays of the checks, in units of the critical value at the start: all begin in Collapse.
DECAYS = (1.5, 4.0, 10.0)
RTOL = 1e-6


def undamped(w: Array, phi: Array, setting: Setting, closure: EigenClosure) -> EigenTrajectory:
    """The flow without weight decay, up to the clock time after which every weight decay has led to Acute."""
    return integrate(w, phi, setting, 0.51 / lowest_critical_rho(w, phi, setting), closure, extinct=0.0, rtol=RTOL)


def as_far_as_it_goes(w: Array, phi: Array, setting: Setting, closure: EigenClosure, s_end: float) -> EigenTrajectory:
    """The flow without weight decay up to ``s_end``, or up to within a fifth of where the closure breaks down.

    For drawings: to four digits, since an integrator spends its time on the breakdown itself.

    >>> setting = Setting(h=16, d=32)
    >>> start = commuting_start(setting, np.random.default_rng(0))
    >>> bool(as_far_as_it_goes(*start, setting, "paper", 1000.0).t[-1] < 100.0)
    True
    """
    while True:
        try:
            return integrate(w, phi, setting, s_end, closure, extinct=0.0, rtol=1e-4)
        except RuntimeError:
            s_end *= 0.8


@lru_cache(maxsize=2)
def passing_runs(scale: Scale, seed: int) -> tuple[tuple[EigenTrajectory, Setting], ...]:
    """Random commuting starts, a mostly negative one, a state of equal modes and one of a single mode, without decay.

    The random ones by the exact flow, at smoke scale by the closure of second order. In the mostly negative one three
    of four modes die before the passage, and N_Psi doubles.
    """
    rng = np.random.default_rng(seed)
    h = scale.pick(8, 12, 24)
    closure: EigenClosure = scale.pick("second_order", "exact", "exact")
    setting = Setting(h=h, d=2 * h, sigma2=1.0)
    runs = [(undamped(*commuting_start(setting, rng), setting, closure), setting) for _ in range(scale.pick(1, 5, 30))]
    negative = Setting(h=4, d=4, sigma2=1.0)
    w = np.repeat([1.0, -1.0], [1, 3]) * rng.uniform(0.9, 1.1, 4)
    runs.append((undamped(w, w**2, negative, "exact"), negative))
    for k in (1, 4):
        equal = Setting(h=k, d=k, sigma2=float(rng.uniform(0.3, 3.0)))
        w, phi = np.full(k, rng.uniform(0.3, 2.0)), np.full(k, rng.uniform(0.3, 2.0))
        runs.append((undamped(w, phi, equal, "exact"), equal))
    return tuple(runs)


@dataclass(frozen=True)
class Passing:
    """log(rho / rho_c(0)) / (rate rho) before, log(rho / least) / (2 rho) after, each times a factor.

    ``least`` is the critical value at N_x = 1 (or the first N_x) and N_Psi = ||W|| ||Phi|| (or the first N_Psi).
    """

    rate: float = 2.0
    before: float = 1.0
    after: float = 1.0
    aligned: bool = True
    grown: bool = True

    def bounds(self, run: EigenTrajectory, setting: Setting) -> tuple[float, float]:
        """The two times, for ``setting.rho``."""
        rho, N = setting.rho, mode_norms(run.w[0], run.phi[0])
        largest = float(np.linalg.norm(run.w[0])) * N.N_Phi if self.grown else N.N_Psi
        least = critical_rho(Norms(N.N_Phi, largest, 1.0 if self.aligned else N.N_x), setting)
        first = critical_rho(N, setting)
        return (
            self.before * float(np.log(rho / first)) / (self.rate * rho),
            self.after * float(np.log(rho / least)) / (2.0 * rho),
        )


def check_passing_time(variant: Passing, scale: Scale, seed: int) -> Evidence:
    """The first and the last change of the regime against the two bounds, relative to the times themselves.

    The lower bound counts where its condition holds, that is where g has not risen above g(0) before it.
    """
    worst, tight_before, tight_after, cases = -np.inf, 0.0, 0.0, 0
    for run, free in passing_runs(scale, seed):
        first_critical = critical_rho(mode_norms(run.w[0], run.phi[0]), free)
        f = barrier(run, free)
        for decay in DECAYS:
            setting = free.with_(rho=decay * first_critical)
            low, high = variant.bounds(run, setting)
            changes = passages(run, setting)
            worst = max(worst, changes[-1] / high - 1.0)
            tight_after = max(tight_after, changes[-1] / high)
            grid = np.linspace(0.0, float(clock(changes[0], setting.rho)), 9)
            if all(1.0 / (f(s) + 2.0 * s) <= first_critical * (1.0 + 1e2 * RTOL) for s in map(float, grid)):
                worst = max(worst, low / changes[0] - 1.0)
                tight_before = max(tight_before, low / changes[0])
            cases += 1
    return Evidence(
        worst,
        1e2 * RTOL,
        "integrator tolerance 1e-6, times 100 for the steps",
        "numerical",
        cases,
        seed,
        tightness=min(tight_before, tight_after),
        numbers={"tight before": tight_before, "tight after": tight_after},
    )


# --- One function of the clock decides -------------------------------------------------------------------------------


def dampings(scale: Scale) -> tuple[float, ...]:
    """Weight decays of `matrix_flows`, in units of the critical value of each loss at the start."""
    return scale.pick(smoke=(0.2, 20.0), book=(0.2, 2.0, 20.0), full=(0.2, 2.0, 20.0))


#: From (rho, t, f at a clock time) to the critical value at time t.
Moving = Callable[[float, float, Callable[[float], float]], float]


@lru_cache(maxsize=2)
def matrix_flows(scale: Scale, seed: int) -> tuple[tuple[str, EigenTrajectory, Setting, MatrixTrajectory], ...]:
    """Exact flows of matrices with weight decay, from commuting starts, beside the eigenvalues without it.

    The matrices are integrated in time and not by the clock. Each cosine run goes to the same clock time; the L2 runs
    have decays in the same ratios to their own threshold.
    """
    rng = np.random.default_rng(seed)
    h = scale.pick(2, 3, 4)
    out = []
    for _ in range(scale.pick(1, 1, 10)):
        setting = Setting(h=h, d=2 * h, sigma2=1.0)
        # far from aligned, but so that every mode lives: where Psi has rank one the gradient is infinite
        w, phi = np.linspace(0.15, 1.2, h), np.linspace(2.0, 1.0, h)
        w, phi = w * rng.uniform(0.8, 1.1, h), phi * rng.uniform(0.9, 1.2, h)
        U, V = (np.linalg.qr(rng.standard_normal((n, h)))[0] for n in (h, 2 * h))
        s_end = 1.5 * setting.a * h
        run = integrate(w, phi, setting, s_end, "exact", extinct=0.0, rtol=RTOL)
        for loss, unit in (("cosine", critical_rho(mode_norms(w, phi), setting)), ("l2", 0.25 / setting.a)):
            for decay in dampings(scale):
                damped = setting.with_(rho=decay * unit)
                times = np.array(unclock(np.linspace(0.0, s_end, 4), damped.rho))
                path = population_flow(U * w @ U.T, U * np.sqrt(phi) @ V.T, damped, times, loss, rtol=RTOL, direct=True)
                out.append((loss, run, damped, path))
    return tuple(out)


def by_the_clock(power: float = 2.0, double: float = 2.0, ticking: bool = True) -> Moving:
    """exp(power rho t) g(s(t)) with g = 1 / (f + double s); the claim has 2 and 2, and a clock that ticks."""

    def critical(rho: float, t: float, f: Callable[[float], float]) -> float:
        s = float(clock(t, rho)) if ticking else t
        return float(np.exp(power * rho * t)) / (f(s) + double * s)

    return critical


def check_regime_clock(variant: tuple[Moving, str], scale: Scale, seed: int) -> Evidence:
    """The critical value at the norms of the matrices along time, against the one from the flow without decay."""
    moving, wanted = variant
    worst, cases = 0.0, 0
    for loss, run, setting, path in matrix_flows(scale, seed):
        if loss != wanted:
            continue
        f = barrier(run, setting)
        for t, W, Phi in zip(path.t[1:], path.W[1:], path.Phi[1:]):
            if float(clock(t, setting.rho)) <= run.t[-1]:
                measured = critical_rho(norms(W, Phi), setting)
                worst = max(worst, abs(moving(setting.rho, float(t), f) / measured - 1.0))
                cases += 1
    source = "integrator tolerance 1e-6, times 1e3 for the steps"
    return Evidence(worst, 1e3 * RTOL, source, "numerical", cases, seed)


@dataclass(frozen=True)
class RegimeSurvey:
    """How often the regime changes along flows from random starts, for decays below, between and above.

    ``below``: 1/rho above max f; ``between``: between f(0) and max f; ``above``: 1/rho below f(0). Each counts the
    number of changes. ``ratio`` holds max f / f(0) of every start.
    """

    below: Counter[int]
    between: Counter[int]
    above: Counter[int]
    ratio: Array


def regime_survey(starts: int, h: int, sigma2: float, seed: int) -> RegimeSurvey:
    """`RegimeSurvey` of commuting starts with d = 2 h, by the closure of second order.

    >>> survey = regime_survey(3, 8, 1.0, 0)
    >>> survey.below == Counter({0: 3})
    True
    """
    rng = np.random.default_rng(seed)
    free = Setting(h=h, d=2 * h, sigma2=sigma2)
    below, between, above, ratio = Counter[int](), Counter[int](), Counter[int](), []
    for _ in range(starts):
        run = undamped(*commuting_start(free, rng), free, "second_order")
        first = critical_rho(mode_norms(run.w[0], run.phi[0]), free)
        top = highest_barrier(run, free)[1]
        ratio.append(top * first)
        middle = float(np.sqrt(first / top))
        for count, rho in ((below, 0.8 / top), (between, middle), (above, 2.0 * first)):
            count[len(passages(run, free.with_(rho=rho)))] += 1
    return RegimeSurvey(below, between, above, np.array(ratio))


# --- No collapse for any weight decay --------------------------------------------------------------------------------


def _spread(paths: list[MatrixTrajectory]) -> float:
    """Largest difference in N_x and relative effective rank of F between flows, moment by moment."""
    rows = []
    for path in paths:
        F = [Phi @ Phi.T for Phi in path.Phi]
        N_x = [norms(W, Phi).N_x for W, Phi in zip(path.W, path.Phi)]
        rows.append(np.array([N_x, [effective_rank(f) / len(f) for f in F]]))
    return float(np.ptp(np.array(rows), axis=0).max())


def check_no_collapse(variant: str, scale: Scale, seed: int) -> Evidence:
    """Exact flows of matrices under weight decays that are a hundredfold apart.

    ``relative``: do agreement and effective rank differ between them at equal clock times? ``l2``: the same for the L2
    loss. ``complete``: does the size of W stop falling? The statistic is then the last slope of log ||W|| over -rho.
    ``same time``: as ``relative``, but at equal times t, not by the clock.
    """
    flows, many = matrix_flows(scale, seed), len(dampings(scale))
    loss = "l2" if variant == "l2" else "cosine"
    paths = [path for kind, _, _, path in flows if kind == loss]
    if variant == "complete":
        slopes = []
        for kind, _, setting, path in flows:
            if kind == "cosine":
                size = np.log([np.linalg.norm(W) for W in path.W[-2:]])
                slopes.append(float((size[0] - size[1]) / (setting.rho * (path.t[-1] - path.t[-2]))))
        source = "half the slope with which everything would vanish"
        return Evidence(max(slopes), 0.5, source, "numerical", len(slopes), seed)
    if variant == "same time":  # moment k of the slowest decay against an earlier moment of the others
        paths = [
            MatrixTrajectory(path.t[k % many :][:2], path.W[k % many :][:2], path.Phi[k % many :][:2], path.rho)
            for k, path in enumerate(paths)
        ]
    worst = max(_spread(paths[i : i + many]) for i in range(0, len(paths), many))
    source = "integrator tolerance 1e-6, times 1e3 for the steps"
    return Evidence(worst, 1e3 * RTOL, source, "numerical", len(paths), seed)


CHECKS: dict[str, Check] = {
    "beyond-regime-clock": Check(
        check_regime_clock,
        claimed=(by_the_clock(), "cosine"),
        wrong={
            "the size of one layer": (by_the_clock(power=1.0), "cosine"),
            "s instead of 2 s": (by_the_clock(double=1.0), "cosine"),
            "time instead of the clock": (by_the_clock(ticking=False), "cosine"),
            "the L2 loss": (by_the_clock(), "l2"),
        },
    ),
    "beyond-passing-time": Check(
        check_passing_time,
        claimed=Passing(),
        wrong={
            "rate rho in the lower bound": Passing(rate=1.0),
            "a lower bound one per cent later": Passing(before=1.01),
            "an upper bound one per cent earlier": Passing(after=0.99),
            "an upper bound for the first N_x": Passing(aligned=False),
            "an upper bound for the first N_Psi": Passing(grown=False),
        },
    ),
    "no-collapse-any-rho": Check(
        check_no_collapse,
        claimed="relative",
        wrong={"the L2 loss": "l2", "at equal times instead of equal clock": "same time"},
        readings={"complete collapse, in absolute size under the flow": "complete"},
    ),
}
