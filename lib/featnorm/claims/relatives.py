"""Checks of the chapter "Relatives of SimSiam on the same model"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import solve_ivp

from featnorm._validate import Array
from featnorm.claims.model import Check, Evidence, t_threshold
from featnorm.eigen_flow import mode_norms, rate, terminal_state
from featnorm.matrix_flow import clock
from featnorm.relatives import (
    Predictor,
    Relative,
    Vicreg,
    barlow_field,
    barlow_rate,
    byol_rates,
    critical_decay,
    follow_features,
    follow_modes,
    l2_equilibria,
    momentum_field,
    vicreg_equilibrium,
    vicreg_field,
    vicreg_rate,
)
from featnorm.scale import Scale
from featnorm.setting import Setting, effective_rank
from featnorm.surveys import commuting_start

if TYPE_CHECKING:  # the theory must start without PyTorch
    from featnorm.relatives import Method
    from featnorm.simsiam.relatives import Replicas

# --- Laws against SGD ------------------------------------------------------------------------------------------------

#: Model and diagonal start of all comparisons with SGD.
SGD_SETTING = Setting(h=4, d=6, sigma2=1.0, rho=0.05)
START_W = np.array([0.5, 0.8, 0.4, 0.6])
START_P = np.array([0.7, 0.5, 0.35, 0.25])
SET = Predictor(epsilon=0.1, normalised=True)
#: Each method with the L2 and with the cosine loss; the predictor of the cosine forms is normalised.
KINDS = {
    "byol": (Relative("byol", "l2", beta=1.0), Relative("byol", "exact", beta=1.0)),
    "directpred": (Relative("directpred", "l2"), Relative("directpred", "exact", predictor=SET)),
    "isoloss": (Relative("isoloss", "l2"), Relative("isoloss", "exact", predictor=SET)),
}
SGD_TIME = 2.0
#: An orthonormal basis of the circulant matrices of size 4, and a spectrum with the trace of a correlation matrix.
CIRCULANT = np.array(
    [[0.5, 0.5, 0.5**0.5, 0], [0.5, -0.5, 0, 0.5**0.5], [0.5, 0.5, -(0.5**0.5), 0], [0.5, -0.5, 0, -(0.5**0.5)]]
)
THETA = np.array([1.9, 0.5, 0.8, 0.8])
BARLOW_TIME = 0.3
VICREG = Vicreg(invariance=1.0, variance=1.0, covariance=1.0, epsilon=0.05)

SGD_SOURCE = (
    "Student quantile of the mean over replicas, false alarm 5e-7 over all entries; rates eta, eta / 2 and batches "
    "B, 2 B are extrapolated; what is left of both errors is of second order and below one standard error"
)


def _extended(square: Array) -> Array:
    """A (4, 4) matrix as Phi of `SGD_SETTING`, with zero columns beyond."""
    return np.pad(square, ((0, 0), (0, SGD_SETTING.d - SGD_SETTING.h)))


@dataclass(frozen=True)
class Plan:
    """How much SGD a comparison does: the coarse step and batch, and the number of replicas."""

    lr: float
    batch: int
    replicas: int


def _plan(scale: Scale, lr: float, batch: int) -> Plan:
    return Plan(lr, batch, scale.pick(32, 48, 192))


def _extrapolated(
    kind: object, Phi0: Array, time: float, plan: Plan, seed: int, read: Callable[[object], Array]
) -> Array:
    """``read(state)`` of every replica, extrapolated to zero step and infinite batch, shape (replicas, entries).

    The error of SGD against the flow is of first order in the step eta, and that of batch statistics in 1 / B. With
    eta halved and B doubled both halve, so twice the finer result minus the coarser is free of both.
    """
    from featnorm.simsiam.relatives import train_replicas

    steps = round(time / plan.lr)
    ends = [
        read(
            train_replicas(
                kind, np.diag(START_W), Phi0, SGD_SETTING, time / steps / m, m * plan.batch, m * steps, plan.replicas,
                seed=3 * seed + m,
            )
        )
        for m in (1, 2)
    ]  # fmt: skip
    return 2.0 * ends[1] - ends[0]


@lru_cache(maxsize=12)
def _sgd_modes(kind: Relative, plan: Plan, seed: int) -> Array:
    """The diagonals of Phi, and of W and the target where they are trained, shape (replicas, entries)."""
    names = ["Phi", *(["W"] if kind.trained else []), *(["Target"] if kind.method == "byol" else [])]
    i = np.arange(SGD_SETTING.h)
    return _extrapolated(
        kind, _extended(np.diag(START_P)), SGD_TIME, plan, seed,
        lambda end: np.concatenate([getattr(end, name)[:, i, i] for name in names], axis=1),
    )  # fmt: skip


def flow_modes(kind: Relative, setting: Setting, like: Relative) -> Array:
    """The end of the flow of ``kind``, with the entries that are read from the SGD of ``like``."""
    run = follow_modes(kind, START_P, setting, [0.0, SGD_TIME], w0=START_W if kind.trained else None, rtol=1e-7)
    parts = [run.p[-1], *([run.w[-1]] if like.trained else []), *([run.r[-1]] if like.method == "byol" else [])]
    return np.concatenate(parts)


def _compare(pairs: list[tuple[Array, Array]], seed: int, samples: int) -> Evidence:
    """Largest |mean over replicas - prediction| in standard errors, over all entries of all pairs."""
    z = [
        np.abs(sample.mean(axis=0) - predicted) / (sample.std(axis=0, ddof=1) / np.sqrt(len(sample)))
        for sample, predicted in pairs
    ]
    threshold = t_threshold(sum(len(part) for part in z), len(pairs[0][0]))
    return Evidence(float(np.concatenate(z).max()), threshold, SGD_SOURCE, "numerical", samples, seed)


#: From the true method and setting to those that a variant of the law uses.
Law = Callable[[Relative, Setting], tuple[Relative, Setting]]


def check_modes(method: str) -> Callable[[Law, Scale, int], Evidence]:
    """The check of a law for the modes of ``method``, with the L2 and the exact cosine loss, against SGD."""

    def check(law: Law, scale: Scale, seed: int) -> Evidence:
        plan = _plan(scale, lr=0.1, batch=scale.pick(96, 192, 384))
        pairs = [
            (_sgd_modes(kind, plan, seed), flow_modes(*law(kind, SGD_SETTING), like=kind)) for kind in KINDS[method]
        ]
        return _compare(pairs, seed, 2 * len(pairs) * plan.replicas)

    return check


def true_law(kind: Relative, setting: Setting) -> tuple[Relative, Setting]:
    """The law as claimed."""
    return kind, setting


def changed(**parts: object) -> Law:
    """The law with some parts of the method changed; functions are applied to the true part."""

    def law(kind: Relative, setting: Setting) -> tuple[Relative, Setting]:
        new = {name: part(getattr(kind, name)) if callable(part) else part for name, part in parts.items()}
        return replace(kind, **new), setting

    return law


def with_setting(**parts: float) -> Law:
    """The law with some parts of the setting changed."""
    return lambda kind, setting: (kind, setting.with_(**parts))


WRONG_EVERYWHERE: dict[str, Law] = {
    "twice the weight decay": with_setting(rho=0.1),
    "a = 1: the views' noise left out of the pull": with_setting(sigma2=1e-9),
}

# --- BYOL: equilibria, clock, terminal state -------------------------------------------------------------------------


@dataclass(frozen=True)
class BasinClaim:
    """Which copied starts survive (w(0) above ``border``), and the slow rate at the stable equilibrium."""

    border: Callable[[Setting, float], float] = lambda setting, beta: l2_equilibria(setting)[0]
    slow: Callable[[float, Setting, float], float] = lambda w, setting, beta: byol_rates(w, setting, beta)[1]


def check_byol_equilibria(claim: BasinClaim, scale: Scale, seed: int) -> Evidence:
    """BYOL's L2 flow from copied starts 1 per cent below and above the border, and its last rate, at random parameters.

    The statistic is the number of wrong endings plus the largest relative error of the rate over its tolerance. The
    rate is the slope of log |w - w_plus| along the slow direction, from a relative distance of 1e-5.
    """
    rng = np.random.default_rng(seed)
    wrong, worst, cases = 0, 0.0, scale.pick(3, 6, 100)
    for beta in np.geomspace(0.05, 3.0, cases):
        a = 1.0 + rng.uniform(0.3, 3.0)
        setting = Setting(h=1, d=1, sigma2=a - 1.0, rho=rng.uniform(0.3, 0.9) / (4 * a))
        kind = Relative("byol", "l2", beta=float(beta))
        low, high = l2_equilibria(setting)
        for factor in (0.99, 1.01):
            start = np.array([factor * claim.border(setting, beta)])
            end = follow_modes(kind, start, setting, [0.0, 3e4], w0=start).w[-1, 0]
            wrong += (end > low) != (factor > 1)
        # A start on the slow direction itself, so that one exponential is left.
        _, slow = byol_rates(high, setting, beta)
        away = 1e-5 * high * np.array([1.0, (2 * a * high**2 + slow) / high])
        span = 2.0 / abs(slow)
        start = high + away
        run = follow_modes(kind, start[:1], setting, [0.0, span], w0=start[:1], r0=start[1:], rtol=1e-12)
        rate_found = np.log((run.w[-1, 0] - high) / away[0]) / span
        worst = max(worst, abs(claim.slow(high, setting, beta) / rate_found - 1.0))
    statistic = wrong + worst / 1e-3
    source = "no wrong ending; slow rate to 1e-3: the linearisation at a relative distance of 1e-5, and the integrator"
    return Evidence(statistic, 1.0 - 1e-12, source, "numerical", cases, seed)


#: When the flows with and without weight decay are compared.
DECAYED = 2.0
#: (s, rho, beta) -> (rate of the pull, rate of the leak) of the scale-free target by the clock.
TargetLaw = Callable[[float, float, float], tuple[float, float]]


@lru_cache(maxsize=4)
def _byol_sample(seed: int) -> tuple[Array, Array, Array, Array, float, float]:
    """A non-Gaussian sample, a non-symmetric start, and a weight decay and a rate of the target of similar size.

    Six features: with fewer, a flow may pass close to a zero feature of some view, where the loss is singular.
    """
    rng = np.random.default_rng(seed)
    anchor = rng.exponential(size=(40, 7)) - 1.0
    x, x1 = (anchor + 0.7 * rng.standard_normal(anchor.shape) for _ in range(2))
    W0 = np.eye(6) + 0.3 * rng.standard_normal((6, 6))
    return W0, rng.standard_normal((6, 7)) / 3, x, x1, rng.uniform(0.2, 0.4), rng.uniform(0.3, 0.9)


def _byol_flow(
    seed: int, end: float, rho: Callable[[float], float], target: Callable[[float], tuple[float, float]]
) -> tuple[Array, Array, Array]:
    """W, Phi and the target at time ``end`` from the start of `_byol_sample`, the target a copy of Phi."""
    W0, Phi0, x, x1, _, _ = _byol_sample(seed)

    def split(y: Array) -> tuple[Array, Array, Array]:
        return y[:36].reshape(6, 6), y[36:78].reshape(6, 7), y[78:].reshape(6, 7)

    def slope(t: float, y: Array) -> Array:
        W, Phi, Target = split(y)
        dW, dPhi = momentum_field(W, Phi, Target, x, x1)
        pull, leak = target(t)
        parts = dW - rho(t) * W, dPhi - rho(t) * Phi, pull * Phi - leak * Target
        return np.concatenate([part.ravel() for part in parts])

    y0 = np.concatenate([W0.ravel(), Phi0.ravel(), Phi0.ravel()])
    y = solve_ivp(slope, (0.0, end), y0, method="DOP853", rtol=1e-8, atol=1e-10).y[:, -1]
    return split(y)


@lru_cache(maxsize=4)
def _byol_decaying(seed: int) -> tuple[Array, Array, Array]:
    *_, rho, beta = _byol_sample(seed)
    return _byol_flow(seed, DECAYED, lambda t: rho, lambda t: (beta, beta))


def clocked_target(s: float, rho: float, beta: float) -> tuple[float, float]:
    """The scale-free target by the clock: dT/ds = (beta Phi - (beta - rho) T) / (1 + 2 rho s)."""
    return beta / (1 + 2 * rho * s), (beta - rho) / (1 + 2 * rho * s)


def _clock_gap(law: TargetLaw, key: int) -> float:
    """Largest relative difference between e^(rho t) (W, Phi, target) with decay and the flow without, by the clock."""
    *_, rho, beta = _byol_sample(key)
    free = _byol_flow(key, float(clock(DECAYED, rho)), lambda s: 0.0, lambda s: law(s, rho, beta))
    gaps = [
        np.linalg.norm(np.exp(rho * DECAYED) * shrunk - scale_free) / np.linalg.norm(scale_free)
        for shrunk, scale_free in zip(_byol_decaying(key), free)
    ]
    return float(max(gaps))


def check_byol_clock(law: TargetLaw, scale: Scale, seed: int) -> Evidence:
    """BYOL with weight decay against the flow without, by the clock, with the target's law changed; any data.

    The statistic is the largest relative difference of e^(rho t) (W, Phi, target).
    """
    cases = scale.pick(1, 4, 30)
    worst = max(_clock_gap(law, cases * seed + case) for case in range(cases))
    source = "integrator tolerance 1e-8 per step, times 100 for the steps"
    return Evidence(worst, 1e-6, source, "numerical", cases, seed)


@lru_cache(maxsize=2)
def _byol_ends(cases: int, seed: int) -> list[tuple[Array, Array, Array]]:
    """(w, phi, final phi) of random commuting starts under BYOL's leading-order cosine flow, target a copy."""
    rng = np.random.default_rng(seed)
    setting = Setting(h=8, d=16, sigma2=1.0)
    out = []
    for beta in np.geomspace(0.03, 3.0, cases):
        w, phi = commuting_start(setting, rng)
        kind = Relative("byol", "leading", beta=float(beta))
        p = follow_modes(kind, np.sqrt(phi), setting, [0.0, 1e7], w0=w, rtol=1e-10).p[-1]
        out.append((w, phi, p**2))
    return out


def check_byol_terminal(predict: Callable[[Array, Array], Array], scale: Scale, seed: int) -> Evidence:
    """Where BYOL's leading-order flow ends, against the terminal state of SimSiam from the same start."""
    runs = _byol_ends(scale.pick(4, 10, 200), seed)
    worst = max(float(np.abs(end - predict(w, phi)).sum() / phi.sum()) for w, phi, end in runs)
    source = "integrator tolerance 1e-10 per step, times 1e4 for the steps"
    return Evidence(worst, 1e-6, source, "numerical", len(runs), seed)


# --- Implicit variance regularisation --------------------------------------------------------------------------------


def pairwise(w: Array, phi: Array, setting: Setting, weight: Callable[[Array, Array], Array]) -> Array:
    """(kappa / N_Psi^2) phi_j sum_k ``weight``_k (w_k - w_j), the differences between the modes; shape (h,)."""
    N = mode_norms(w, phi)
    kappa = 1.0 / (setting.a * N.N_Phi * N.N_Psi)
    m = weight(w, phi)
    return kappa / N.N_Psi**2 * phi * (m @ w - m.sum() * w)


def check_variance(weight: Callable[[Array, Array], Array], scale: Scale, seed: int) -> Evidence:
    """The leading-order law of SimSiam against the sum over pairs; the statistic is relative to the largest rate."""
    rng = np.random.default_rng(seed)
    worst, cases = 0.0, scale.pick(20, 200, 2000)
    for _ in range(cases):
        h = int(rng.integers(2, 30))
        setting = Setting(h=h, d=h, sigma2=rng.uniform(0.1, 3.0))
        w, phi = rng.uniform(-0.5, 2.0, h), rng.exponential(size=h)
        law = rate(w, phi, setting, "leading")
        size = np.abs(phi).max() / (setting.a * np.prod([mode_norms(w, phi).N_Phi, mode_norms(w, phi).N_Psi]))
        worst = max(worst, float(np.abs(law - pairwise(w, phi, setting, weight)).max() / size))
    return Evidence(worst, 1e-11, "rounding of sums of 30 terms, ill-conditioned up to 1e3", "numerical", cases, seed)


# --- Barlow Twins and VICReg -----------------------------------------------------------------------------------------


def _spectra(end: Replicas) -> Array:
    """The diagonal of the correlation matrix of the rows in the circulant basis, for every replica."""
    Phi = end.Phi
    Xi = Phi / np.linalg.norm(Phi, axis=-1, keepdims=True)
    return np.einsum("ij,rik,kj->rj", CIRCULANT, Xi @ Xi.transpose(0, 2, 1), CIRCULANT)


def _diagonals(end: Replicas) -> Array:
    i = np.arange(SGD_SETTING.h)
    return end.Phi[:, i, i]


@lru_cache(maxsize=4)
def _sgd_barlow(plan: Plan, seed: int) -> tuple[Array, Array]:
    from featnorm.simsiam.relatives import Features

    root = _extended((CIRCULANT * np.sqrt(THETA)) @ CIRCULANT.T)
    plain = _extended(np.diag(START_P))
    return (
        _extrapolated(Features("barlow"), root, BARLOW_TIME, plan, seed, _spectra),
        _extrapolated(Features("barlow", normalised=False), plain, BARLOW_TIME, plan, seed, _diagonals),
    )


@dataclass(frozen=True)
class BarlowLaw:
    """The law of the eigenvalues of R with factors on its two terms, and that of p without normalisation."""

    gain: float = 1.0
    loss: float = 1.0
    shrinks: bool = True  # the row size in the rate follows the weight decay
    plain: Callable[[Array, float], Array] = lambda p, rho: 4.0 * p * (1 - p**2) - rho * p


def _ode(slope: Callable[[float, Array], Array], y0: Array, end: float) -> Array:
    return solve_ivp(slope, (0.0, end), y0, method="DOP853", rtol=1e-9, atol=1e-12).y[:, -1]


def check_barlow(law: BarlowLaw, scale: Scale, seed: int) -> Evidence:
    """Barlow Twins with and without batch normalisation, trained by SGD, against the law of its eigenvalues."""
    plan = _plan(scale, lr=0.03, batch=192)
    normalised, plain = _sgd_barlow(plan, seed)
    rho = SGD_SETTING.rho

    def slope(t: float, theta: Array) -> Array:
        size = np.exp(-rho * t) if law.shrinks else 1.0
        gain = barlow_rate(theta, size, SGD_SETTING) + 8.0 * theta**2 / (SGD_SETTING.a * size) ** 2
        return law.gain * gain - law.loss * 8.0 * theta**2 / (SGD_SETTING.a * size) ** 2

    pairs = [
        (normalised, _ode(slope, THETA, BARLOW_TIME)),
        (plain, _ode(lambda t, p: law.plain(p, rho), START_P, BARLOW_TIME)),
    ]
    return _compare(pairs, seed, 4 * plan.replicas)


#: (p, setting, weights) -> dp/dt.
VicregLaw = Callable[[Array, Setting, Vicreg], Array]


@lru_cache(maxsize=4)
def _sgd_vicreg(plan: Plan, seed: int) -> Array:
    from featnorm.simsiam.relatives import Features

    start = _extended(np.diag(0.7 * START_P))
    return _extrapolated(Features("vicreg", weights=VICREG), start, 1.5, plan, seed, _diagonals)


def check_vicreg(law: VicregLaw, scale: Scale, seed: int) -> Evidence:
    """VICReg trained by SGD from orthogonal rows, against the law of each mode."""
    plan = _plan(scale, lr=0.15, batch=192)
    predicted = _ode(lambda t, p: law(p, SGD_SETTING, VICREG), 0.7 * START_P, 1.5)
    return _compare([(_sgd_vicreg(plan, seed), predicted)], seed, 2 * plan.replicas)


def vicreg_terms(invariance: float = 4.0, h: bool = True, epsilon: bool = True) -> VicregLaw:
    """VICReg's law with another factor before the invariance, without the 1 / h, or without epsilon."""

    def law(p: Array, setting: Setting, weights: Vicreg) -> Array:
        S = np.sqrt(setting.a * p**2 + (weights.epsilon if epsilon else 0.0))
        pull = invariance * weights.invariance * setting.sigma2
        return p * (weights.variance * setting.a / S - pull) / (setting.h if h else 1.0) - setting.rho * p

    return law


# --- Clock and thresholds --------------------------------------------------------------------------------------------

#: Methods whose loss does not see the size of Phi, as flows from (p, setting, times); beta and decay in the setting.
SCALE_FREE = (
    Relative("simsiam", "exact"),
    Relative("directpred", "exact", predictor=SET),
    Relative("isoloss", "exact", predictor=SET),
)


@lru_cache(maxsize=64)
def _scale_free(kind: Relative | str, rho: float, end: float) -> tuple[float, ...]:
    """The singular values (or entries) of Phi at time ``end``, for Barlow Twins or a method with a predictor."""
    setting = SGD_SETTING.with_(rho=rho)
    if isinstance(kind, str):
        Phi0 = np.random.default_rng(5).standard_normal((setting.h, setting.d))
        Phi = follow_features(lambda Phi: barlow_field(Phi, setting), Phi0, rho, [0.0, end], rtol=1e-8)[-1]
        return tuple(Phi.ravel())
    w0 = START_W if kind.trained else None
    return tuple(follow_modes(kind, START_P, setting, [0.0, end], w0=w0, rtol=1e-8).p[-1])


@dataclass(frozen=True)
class ClockClaim:
    """Which methods follow the clock, and which clock."""

    kinds: tuple[Relative | str, ...] = (*SCALE_FREE, "barlow")
    clock: Callable[[float, float], float] = lambda t, rho: float(clock(t, rho))


def check_clock(claim: ClockClaim, scale: Scale, seed: int) -> Evidence:
    """Each flow with weight decay, times e^(rho t), against the flow without at the time of the clock."""
    rng = np.random.default_rng(seed)
    worst, end, decays = 0.0, 3.0, rng.uniform(0.2, 0.5, scale.pick(1, 1, 20))
    for rho in decays:
        for kind in claim.kinds:
            shrunk = np.exp(rho * end) * np.array(_scale_free(kind, float(rho), end))
            free = np.array(_scale_free(kind, 0.0, claim.clock(end, float(rho))))
            worst = max(worst, float(np.linalg.norm(shrunk - free) / np.linalg.norm(free)))
    source = "integrator tolerance 1e-8 per step, times 1e3 for the steps and the exact moments"
    return Evidence(worst, 1e-5, source, "numerical", len(decays) * len(claim.kinds), seed)


#: Methods with a finite critical weight decay, and the predictor or rate they are tested with.
L2_KINDS = {
    "simsiam l2": (Relative("simsiam", "l2"),),
    "byol l2": (Relative("byol", "l2", beta=0.2), Relative("byol", "l2", beta=5.0)),
    "directpred l2": (Relative("directpred", "l2"), Relative("directpred", "l2", predictor=Predictor(power=1.0))),
    "isoloss l2": (Relative("isoloss", "l2"), Relative("isoloss", "l2", predictor=Predictor(power=1.0))),
}
FINITE = (*L2_KINDS, "barlow plain", "vicreg")


@lru_cache(maxsize=512)
def survives(method: str, setting: Setting) -> bool:
    """Whether a large start keeps a size under the flow of ``method``, in every variant of it; long after."""
    times = [0.0, 3000.0]
    if method in L2_KINDS:
        p0 = np.full(setting.h, 1.0 / setting.a)
        ends = [
            follow_modes(kind, p0, setting, times, w0=p0 if kind.trained else None).p[-1] for kind in L2_KINDS[method]
        ]
        return bool(min(end.max() for end in ends) > 1e-4)
    start = np.eye(setting.h, setting.d)
    if method == "barlow plain":
        end = follow_features(lambda Phi: barlow_field(Phi, setting, 1.0, False), start, setting.rho, times)[-1]
    else:
        end = follow_features(lambda Phi: vicreg_field(Phi, setting, VICREG), 0.3 * start, setting.rho, times)[-1]
    return bool(np.abs(end).max() > 1e-4)


def check_thresholds(formula: Callable[[str, Setting, Vicreg], float], scale: Scale, seed: int) -> Evidence:
    """Each method just below and just above its critical weight decay; the statistic counts wrong verdicts."""
    rng = np.random.default_rng(seed)
    wrong, cases = 0, scale.pick(1, 2, 20)
    for _ in range(cases):
        setting = Setting(h=2, d=3, sigma2=rng.uniform(0.5, 1.5))
        for method in FINITE:
            rho = formula(method, setting, VICREG)
            wrong += not survives(method, setting.with_(rho=0.97 * rho))
            wrong += survives(method, setting.with_(rho=1.03 * rho))
    source = "no wrong verdict 3 per cent below and above"
    return Evidence(float(wrong), 0.0, source, "numerical", 2 * cases * len(FINITE), seed)


def other_threshold(method: str, value: Callable[[Setting, Vicreg], float]) -> Callable[[str, Setting, Vicreg], float]:
    """`critical_decay` with another formula for one method."""
    return lambda name, setting, weights: (
        value(setting, weights) if name == method else critical_decay(name, setting, weights)
    )


CHECKS: dict[str, Check] = {
    "beyond-relatives-byol": Check(
        check_modes("byol"),
        claimed=true_law,
        wrong={
            "no lag of the target": changed(method="simsiam"),
            "the target at twice the rate": changed(beta=lambda beta: 2 * beta),
            "the target at half the rate": changed(beta=lambda beta: beta / 2),
            "the leading order of the cosine loss taken for exact": changed(
                loss=lambda loss: "leading" if loss == "exact" else loss
            ),
            **WRONG_EVERYWHERE,
        },
    ),
    "beyond-relatives-byol-equilibria": Check(
        check_byol_equilibria,
        claimed=BasinClaim(),
        wrong={
            "the border moves with the target's rate": BasinClaim(
                border=lambda setting, beta: l2_equilibria(setting)[0] * (1 + setting.rho / beta)
            ),
            "the border at the fold": BasinClaim(border=lambda setting, beta: 1 / (2 * setting.a)),
            "the rate of SimSiam": BasinClaim(slow=lambda w, setting, beta: -w * (2 * setting.a * w - 1)),
            "the rate of the target": BasinClaim(slow=lambda w, setting, beta: -beta),
        },
    ),
    "beyond-relatives-byol-clock": Check(
        check_byol_clock,
        claimed=clocked_target,
        wrong={
            "the target keeps its rate by the clock": lambda s, rho, beta: (beta, beta),
            "the target does not feel the shrinking": lambda s, rho, beta: (clocked_target(s, rho, beta)[0],) * 2,
            "beta + rho": lambda s, rho, beta: (beta / (1 + 2 * rho * s), (beta + rho) / (1 + 2 * rho * s)),
            "1 + rho s": lambda s, rho, beta: (beta / (1 + rho * s), (beta - rho) / (1 + rho * s)),
        },
    ),
    "beyond-relatives-byol-terminal": Check(
        check_byol_terminal,
        claimed=lambda w, phi: terminal_state(w, phi).phi,
        wrong={
            "all modes end equal": lambda w, phi: np.full(len(phi), phi.mean()),
            "nothing moves": lambda w, phi: phi,
            "half the offset": lambda w, phi: terminal_state(w, w**2 + np.maximum(0.5 * (phi - w**2), 1e-3 - w**2)).phi,
        },
    ),
    "beyond-relatives-directpred": Check(
        check_modes("directpred"),
        claimed=true_law,
        wrong={
            "the eigenvalue does not multiply the force": changed(method="isoloss"),
            "DirectCopy's power": changed(predictor=lambda rule: replace(rule, power=1.0)),
            **WRONG_EVERYWHERE,
        },
    ),
    "beyond-relatives-isoloss": Check(
        check_modes("isoloss"),
        claimed=true_law,
        wrong={
            "the eigenvalue multiplies the force": changed(method="directpred"),
            "DirectCopy's power": changed(predictor=lambda rule: replace(rule, power=1.0)),
            **WRONG_EVERYWHERE,
        },
    ),
    "beyond-relatives-variance": Check(
        check_variance,
        claimed=lambda w, phi: w * phi,
        wrong={
            "pairs weighted by w^2 phi": lambda w, phi: w**2 * phi,
            "pairs weighted by phi": lambda w, phi: phi,
            "differences with the wrong sign": lambda w, phi: -w * phi,
        },
    ),
    "beyond-relatives-barlow": Check(
        check_barlow,
        claimed=BarlowLaw(),
        wrong={
            "half the pull": BarlowLaw(loss=0.5),
            "no gain from the normalisation": BarlowLaw(gain=0.0),
            "both terms doubled": BarlowLaw(gain=2.0, loss=2.0),
            "without normalisation: half the rate": BarlowLaw(plain=lambda p, rho: 2 * p * (1 - p**2) - rho * p),
            "without normalisation: p for p^2": BarlowLaw(plain=lambda p, rho: 4 * p * (1 - p) - rho * p),
        },
    ),
    "beyond-relatives-vicreg": Check(
        check_vicreg,
        claimed=vicreg_rate,
        wrong={
            "half the pull of the views": vicreg_terms(invariance=2.0),
            "the hinge without its share 1 / h": vicreg_terms(h=False),
            "epsilon = 0": vicreg_terms(epsilon=False),
        },
    ),
    "beyond-relatives-clock": Check(
        check_clock,
        claimed=ClockClaim(),
        wrong={
            "BYOL follows the same clock": ClockClaim(kinds=(Relative("byol", "exact", beta=1.0),)),
            "IsoLoss with a predictor that is not normalised": ClockClaim(kinds=(Relative("isoloss", "exact"),)),
            "the L2 loss": ClockClaim(kinds=(Relative("simsiam", "l2"),)),
            "a clock at rate rho": ClockClaim(clock=lambda t, rho: float(np.expm1(rho * t) / rho)),
            "a clock at rate 3 rho": ClockClaim(clock=lambda t, rho: float(np.expm1(3 * rho * t) / (3 * rho))),
        },
    ),
    "beyond-relatives-thresholds": Check(
        check_thresholds,
        claimed=critical_decay,
        wrong={
            "a moving target doubles the threshold": other_threshold("byol l2", lambda s, v: 1 / (2 * s.a)),
            "DirectPred: without the noise": other_threshold("directpred l2", lambda s, v: 0.25),
            "IsoLoss as SimSiam": other_threshold("isoloss l2", lambda s, v: 1 / (4 * s.a)),
            "Barlow Twins: 2 for 4": other_threshold("barlow plain", lambda s, v: 2.0),
            "VICReg: the pull of the views left out": other_threshold(
                "vicreg", lambda s, v: v.variance * s.a / np.sqrt(v.epsilon) / s.h
            ),
        },
    ),
}

# --- The table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One method in the table: what a flow from one start does at a weak and at a strong weight decay.

    ``size`` and ``rank``: ||Phi|| over its start and effective rank of F over h, at the end, weak and strong.
    ``norm_error``: how far e^(rho t) ||Phi|| is from its start under the strong decay at rho t = 1. ``clock_error``:
    how far e^(rho t) times the singular values are then from the flow without decay at the time of the clock.
    ``equilibrium``: the size of a mode at the weak decay (w, p or S as the law says), NaN where only ratios are fixed.
    """

    name: str
    critical: float
    equilibrium: float
    size: tuple[float, float]
    rank: tuple[float, float]
    norm_error: float
    clock_error: float


def table_rows(setting: Setting, weak: float, strong: float, beta: float, seed: int) -> list[Row]:
    """The table of the chapter: every method from one random start, at two weight decays and without."""
    rng = np.random.default_rng(seed)
    h, d = setting.h, setting.d
    p0 = rng.uniform(0.4, 0.9, h)
    w0 = p0 * rng.uniform(0.8, 1.2, h)
    Phi0 = rng.standard_normal((h, d))
    Phi0 /= 2.0 * np.linalg.norm(Phi0, axis=1, keepdims=True)  # below VICReg's hinge, which no integrator likes
    weights = Vicreg()
    end_weak, end_strong, early = 4.0 / weak, 4.0 / strong, 1.0 / strong

    def modes(kind: Relative) -> Callable[[float, float], Array]:
        def run(rho: float, end: float) -> Array:
            at = setting.with_(rho=rho)
            return follow_modes(kind, p0, at, [0.0, end], w0=w0 if kind.trained else None, rtol=1e-7).p[-1]

        return run

    def matrix(field: Callable[[Array], Array]) -> Callable[[float, float], Array]:
        def run(rho: float, end: float) -> Array:
            return np.linalg.svd(follow_features(field, Phi0, rho, [0.0, end], rtol=1e-7)[-1], compute_uv=False)

        return run

    at_weak = setting.with_(rho=weak)
    S = float(np.sqrt(setting.a * vicreg_equilibrium(at_weak, weights) ** 2 + weights.epsilon))
    flows: list[tuple[str, str, float, Callable[[float, float], Array]]] = []
    names: dict[Method, str] = {
        "simsiam": "SimSiam", "byol": "BYOL", "directpred": "DirectPred", "isoloss": "IsoLoss",
    }  # fmt: skip
    for method, name in names.items():
        fixed = (1 - weak) / setting.a if method == "isoloss" else l2_equilibria(at_weak)[1]
        flows.append((f"{name}, L2", f"{method} l2", fixed, modes(Relative(method, "l2", beta))))
        cosine = Relative(method, "exact", beta, SET)
        flows.append((f"{name}, cosine", f"{method} cosine", np.nan, modes(cosine)))
    flows.append(("Barlow Twins, raw features", "barlow plain", float(np.sqrt(max(1 - weak / 4, 0.0))),
                  matrix(lambda Phi: barlow_field(Phi, setting, 1.0, False))))  # fmt: skip
    flows.append(("Barlow Twins", "barlow", np.nan, matrix(lambda Phi: barlow_field(Phi, setting))))
    flows.append(("VICReg", "vicreg", S, matrix(lambda Phi: vicreg_field(Phi, setting, weights))))
    rows = []
    for name, key, fixed, run in flows:
        start = Phi0 if key in ("barlow plain", "barlow", "vicreg") else p0
        ends = run(weak, end_weak), run(strong, end_strong)
        free, decayed = run(0.0, float(clock(early, strong))), run(strong, early)
        sizes = [float(np.linalg.norm(end) / np.linalg.norm(start)) for end in ends]
        ranks = [effective_rank(np.diag((end / np.abs(end).max()) ** 2)) / h for end in ends]
        rows.append(
            Row(
                name,
                critical_decay(key, setting, weights),
                fixed,
                (sizes[0], sizes[1]),
                (ranks[0], ranks[1]),
                abs(float(np.e * np.linalg.norm(decayed) / np.linalg.norm(start)) - 1.0),
                float(np.linalg.norm(np.e * decayed - free) / np.linalg.norm(free)),
            )
        )
    return rows


@dataclass(frozen=True)
class OffManifold:
    """What Barlow Twins or VICReg do to two starts of one spectrum, along the axes of the features and turned.

    ``gap``: distance of their spectra of F at the end, relative to the spectrum. ``off_start``, ``off_end``: share of
    ||F||_F^2 that is off the diagonal, for the turned start.
    """

    gap: float
    off_start: float
    off_end: float


def off_manifold(method: str, setting: Setting, end: float, seed: int) -> OffManifold:
    """Follow ``barlow`` or ``vicreg`` (the weights of the checks) without weight decay from both starts."""
    fields: dict[str, Callable[[Array], Array]] = {
        "barlow": lambda Phi: barlow_field(Phi, setting),
        "vicreg": lambda Phi: vicreg_field(Phi, setting, VICREG),
    }
    rng = np.random.default_rng(seed)
    along = np.diag(rng.uniform(0.2, 0.6, setting.h)) @ np.eye(setting.h, setting.d)
    turn = np.linalg.qr(rng.standard_normal((setting.h, setting.h)))[0]
    ends = [follow_features(fields[method], Phi, 0.0, [0.0, end])[-1] for Phi in (along, turn @ along)]
    spectra = [np.linalg.eigvalsh(Phi @ Phi.T) for Phi in ends]

    def off(Phi: Array) -> float:
        F = Phi @ Phi.T
        return float(1.0 - np.sum(np.diag(F) ** 2) / np.sum(F**2))

    gap = float(np.linalg.norm(spectra[0] - spectra[1]) / np.linalg.norm(spectra[0]))
    return OffManifold(gap, off(turn @ along), off(ends[1]))
