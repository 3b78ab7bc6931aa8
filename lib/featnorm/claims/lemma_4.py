"""Checks of the chapter "Lemma 4 and its error": what the closure of H is worth, against the exact H."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import semicircular
from scipy.stats import t as student

from featnorm._validate import Array
from featnorm.claims.model import FALSE_ALARM, Check, Evidence
from featnorm.eigen_flow import EigenClosure, EigenTrajectory, mode_norms, rate, rate_terms
from featnorm.matrix_flow import CLOSURES, H_closure, H_sample
from featnorm.normalized_moments import FollowedMoments, diagonal_moments, matrix_moments
from featnorm.scale import Scale
from featnorm.setting import Setting, initialize, norms, views

EPS = float(np.finfo(float).eps)

#: A formula for k_j = H_jj / w_j in a commuting state: (w, phi, setting) -> (h,).
Rate = Callable[[Array, Array, Setting], Array]

KINDS = ("initialisation", "aligned")
#: Sizes of the fits, all with d = 2h.
SIZES = (64, 128, 256, 512, 1024)
STATES = 24


def by_closure(name: EigenClosure) -> Rate:
    """One of the closures of `featnorm.eigen_flow.rate`."""
    return lambda w, phi, setting: rate(w, phi, setting, name)


def weighted(*weights: float) -> Rate:
    """Lemma 4's closure with its three terms multiplied by ``weights``; (1, 1, 1) is the paper's."""
    return lambda w, phi, setting: np.array(weights) @ rate_terms(w, phi, mode_norms(w, phi), setting)


def start_spectra(h: int) -> tuple[Array, Array]:
    """Eigenvalues of W and of F as Assumption 4 gives them for large h and d = 2h, by quantiles; each (h,), ascending.

    The semicircle of radius 2 and the Marchenko-Pastur law of ratio 1/2. Eigenvalues of random matrices are so rigid
    that quantiles stand for them well, and they need no matrix.

    >>> w, phi = start_spectra(1000)
    >>> round(float(w @ w) / 1000, 3), round(float(phi.sum()) / 1000, 3), round(float(phi @ phi) / 1000, 3)
    (1.0, 1.0, 1.5)
    """
    level = (np.arange(h) + 0.5) / h
    low, high = (1 - np.sqrt(0.5)) ** 2, (1 + np.sqrt(0.5)) ** 2
    # With phi = middle - half cos(angle) the density is smooth in the angle.
    angle = np.linspace(0.0, np.pi, 20001)
    phi = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
    share = np.cumsum(np.sin(angle) ** 2 / phi)
    return 2.0 * semicircular.ppf(level), np.interp(level, share / share[-1], phi)


def commuting_states(h: int, rng: np.random.Generator) -> dict[str, tuple[Array, Array]]:
    """Commuting states of each of KINDS, as eigenvalues (w, phi) of shape (states, h).

    ``initialisation``: STATES states with the spectra of Assumption 4, paired at random. ``aligned``, as late in
    training: one state with w > 0 evenly spaced, a relative spread of about 30 per cent, and phi = w^2.
    """
    w, phi = start_spectra(h)
    even = 1.0 + 0.3 * np.sqrt(3) * np.linspace(-1, 1, h)[None, :]
    return {
        "initialisation": (np.array([rng.permutation(w) for _ in range(STATES)]), np.tile(phi, (STATES, 1))),
        "aligned": (even, even**2),
    }


@lru_cache(maxsize=2)
def exact_states(seed: int) -> tuple[tuple[Setting, dict[str, list[tuple[Array, Array, Array]]]], ...]:
    """For each of SIZES the setting and, kind by kind, commuting states (w, phi, exact H); every formula reads them."""
    rng = np.random.default_rng(seed)
    out = []
    for h in SIZES:
        setting, states = Setting(h=h, d=2 * h, sigma2=1.0), commuting_states(h, rng)
        exact = {
            kind: [(w, phi, diagonal_moments(w, phi, setting, 1e-11).H) for w, phi in zip(*states[kind])]
            for kind in KINDS
        }
        out.append((setting, exact))
    return tuple(out)


@dataclass(frozen=True)
class Errors:
    """||H - formula||^2 and ||H||^2 of single states, each of shape (sizes, states); H by quadrature."""

    off: Array
    size: Array

    def relative(self) -> Array:
        """Root mean square of the error over that of H, size by size, shape (sizes,)."""
        return np.sqrt(self.off.sum(axis=1) / self.size.sum(axis=1))

    def absolute(self) -> Array:
        """Root mean square of the error, size by size, shape (sizes,)."""
        return np.sqrt(self.off.mean(axis=1))

    def order(self, absolute: bool = False) -> Order:
        """The exponent of h, by a straight line through the logarithms; its standard error by leaving out states."""
        states = self.off.shape[1]

        def slope(errors: Errors) -> float:
            values = errors.absolute() if absolute else errors.relative()
            return float(np.polyfit(np.log(SIZES), np.log(values), 1)[0])

        if states == 1:
            return Order(slope(self), 0.0, 0.0)
        left_out = [
            slope(Errors(*(np.delete(part, state, axis=1) for part in (self.off, self.size))))
            for state in range(states)
        ]
        se = float(np.sqrt((states - 1) * np.var(left_out)))
        quantiles = student.isf([0.025, FALSE_ALARM / (2 * len(KINDS))], states - 1)
        return Order(slope(self), *(float(q * se) for q in quantiles))


@dataclass(frozen=True)
class Order:
    """An exponent of h with half the width of its interval at 95 per cent, and at the false alarm of a random check.

    Both are zero where a single state is given, which leaves nothing to chance.
    """

    slope: float
    interval: float
    chance: float


def closure_errors(formula: Rate, seed: int) -> dict[str, Errors]:
    """How far a formula is from H, kind by kind."""
    out = {}
    for kind in KINDS:
        states = [[(setting, *state) for state in found[kind]] for setting, found in exact_states(seed)]
        off = [[np.sum((H - w * formula(w, phi, s)) ** 2) for s, w, phi, H in row] for row in states]
        out[kind] = Errors(np.array(off), np.array([[H @ H for *_, H in row] for row in states]))
    return out


def check_lemma_4(formula: Rate, scale: Scale, seed: int) -> Evidence:
    """As stated: ||H - formula||_F tends to 0. The zero matrix is tested too: if it passes, the statement is empty."""

    def worst(rate: Rate) -> tuple[float, dict[str, float]]:
        fits = {kind: errors.order(absolute=True) for kind, errors in closure_errors(rate, seed).items()}
        return max(fit.slope + fit.chance for fit in fits.values()), {k: fit.slope for k, fit in fits.items()}

    statistic, slopes = worst(formula)
    empty, _ = worst(lambda w, *_: 0.0 * w)
    source = "upper end of the slope's interval, false alarm 5e-7; half of the 1/2 with which H itself falls"
    numbers = {f"slope, {kind}": slope for kind, slope in slopes.items()}
    return Evidence(statistic, -0.25, source, "numerical", len(SIZES), seed, vacuous=empty <= -0.25, numbers=numbers)


def check_lemma_4_relative(formula: Rate, scale: Scale, seed: int) -> Evidence:
    """The relative error of Lemma 4's closure falls like 1/h in states of both kinds, down to the largest size."""
    # The last step alone: a small error that does not fall any more would hide in a fit over all sizes.
    errors = {kind: found.relative() for kind, found in closure_errors(formula, seed).items()}
    slopes = {kind: float(np.log(e[-1] / e[-2]) / np.log(SIZES[-1] / SIZES[-2])) for kind, e in errors.items()}
    source = "half the gap between the exponents 0 and -1, over the last two sizes"
    return Evidence(max(slopes.values()), -0.5, source, "numerical", len(SIZES), seed, numbers=slopes)


def check_consistent_closure(formula: Rate, scale: Scale, seed: int) -> Evidence:
    """The relative error falls like h^-2 in states of both kinds: fitted exponents, against the exact H."""
    fits = {kind: errors.order() for kind, errors in closure_errors(formula, seed).items()}
    worst = max(abs(fit.slope + 2.0) + fit.chance for fit in fits.values())
    source = "half the gap to the neighbouring exponents -1 and -3; the slope's interval, false alarm 5e-7, included"
    numbers = {kind: fit.slope for kind, fit in fits.items()}
    return Evidence(worst, 0.5, source, "numerical", len(SIZES), seed, numbers=numbers)


def check_middle_term(weight: float, scale: Scale, seed: int) -> Evidence:
    """With the middle term times ``weight``: nearer to H than without it at initialisation, farther in aligned states.

    At initialisation a t-test of log(error with the term / error without) over all states of all sizes; the aligned
    state, which is not random, must fit at every size.
    """
    without, with_it = closure_errors(weighted(1, 0, 1), seed), closure_errors(weighted(1, weight, 1), seed)
    gain = 0.5 * np.log(with_it["initialisation"].off / without["initialisation"].off).ravel()
    late = float(np.min(with_it["aligned"].relative() / without["aligned"].relative()))
    spread = float(gain.std(ddof=1))
    t = float(gain.mean()) / (spread / np.sqrt(len(gain))) if spread > 0 else 0.0
    source = "one-sided Student quantile, false alarm 5e-7; a state that is not random must fit at every size"
    numbers = {"gain at initialisation": float(np.exp(-gain.mean())), "loss when aligned": late}
    statistic = t if late > 1.0 else np.inf
    threshold = float(student.ppf(FALSE_ALARM, len(gain) - 1))
    return Evidence(statistic, threshold, source, "numerical", len(gain), seed, numbers=numbers)


def noncommuting_errors(h: int, starts: int, seed: int) -> dict[str, Array]:
    """Relative error of each closure at starts of Assumption 4, which do not commute; shape (starts,) each.

    d = 2h and sigma2 = 1; H by `matrix_moments`.
    """
    rng = np.random.default_rng(seed)
    setting = Setting(h=h, d=2 * h, sigma2=1.0)
    errors: dict[str, list[float]] = {name: [] for name in CLOSURES}
    for _ in range(starts):
        W, Phi = initialize(setting, rng)
        H = matrix_moments(W, Phi @ Phi.T, setting, 1e-8).H
        for name, values in errors.items():
            values.append(float(np.linalg.norm(H - H_closure(W, Phi, setting, name)) / np.linalg.norm(H)))
    return {name: np.array(values) for name, values in errors.items()}


def _without(part: str) -> Rate:
    """The consistent closure without its fluctuation sums G, or without the last sum."""

    def formula(w: Array, phi: Array, setting: Setting) -> Array:
        N, a2 = mode_norms(w, phi), setting.a**2
        A, B, C = w**2 * phi / N.N_Psi**2, phi / N.N_Phi**2, w * phi / (N.N_Phi * N.N_Psi)
        if part == "G":
            G1 = 0.75 * (A @ A + B @ B) + A @ B / (2 * a2)
            G2 = 3.75 * A @ A + 0.75 * B @ B + 1.5 * A @ B / a2
            missing = phi / (N.N_Phi * N.N_Psi) * G1 - w * phi / N.N_Psi**2 * N.N_x * G2
        else:
            missing = w * phi / N.N_Psi**2 * ((3 * A + B) @ C)
        return rate(w, phi, setting, "second_order") - missing / setting.a

    return formula


@dataclass(frozen=True)
class Phases:
    """Along an exact flow: the clock s, N_x, and the relative error of H of each closure, all of shape (m,)."""

    s: Array
    N_x: Array
    errors: dict[str, Array]

    def paper_ahead_until(self) -> tuple[float, float]:
        """The clock and N_x at the last point before Lemma 4's error exceeds that of the leading order for good."""
        ahead = np.flatnonzero(self.errors["paper"] < self.errors["leading"])
        last = int(ahead[-1]) if len(ahead) else 0
        return float(self.s[last]), float(self.N_x[last])


def errors_along(run: EigenTrajectory, setting: Setting, points: int = 60) -> Phases:
    """The error of the closures along an exact flow without weight decay, at times spread over the logarithm."""
    times = np.concatenate([[0.0], np.geomspace(run.t[-1] * 1e-3, run.t[-1], points - 1)])
    moments, N_x = FollowedMoments(setting), []
    errors: dict[str, list[float]] = {name: [] for name in ("leading", "paper", "second_order")}
    for t in times:
        w, phi = run.at(float(t))
        phi = np.maximum(phi, 0.0)
        H = moments(w, phi).H
        N_x.append(mode_norms(w, phi).N_x)
        for name, values in errors.items():
            off = H - w * rate(w, phi, setting, name)
            values.append(float(np.linalg.norm(off) / np.linalg.norm(H)))
    return Phases(times, np.array(N_x), {name: np.array(values) for name, values in errors.items()})


TraceFormula = Callable[[Array, Array, Setting], float]


def trace_formula(factor: float, power: float) -> TraceFormula:
    """tr H-hat = -factor tr(W F W F W) / (a N_Phi N_Psi^power); the claim has factor 2 and power 3."""

    def formula(W: Array, Phi: Array, setting: Setting) -> float:
        N, F = norms(W, Phi), Phi @ Phi.T
        return float(-factor * np.trace(W @ F @ W @ F @ W) / (setting.a * N.N_Phi * N.N_Psi**power))

    return formula


def check_trace(formula: TraceFormula, scale: Scale, seed: int) -> Evidence:
    """The trace of H on samples is zero to rounding, and the trace of the closure follows the formula."""
    rng = np.random.default_rng(seed)
    setting = Setting(h=5, d=9, sigma2=0.7)
    cases, worst, n = scale.pick(5, 50, 500), 0.0, 50
    for _ in range(cases):
        W, Phi = initialize(setting, rng)
        H = H_sample(W, Phi, *views(setting, n, rng))
        closed = H_closure(W, Phi, setting)
        worst = max(worst, abs(np.trace(H)), abs(np.trace(closed) - formula(W, Phi, setting)))
    return Evidence(float(worst), n * setting.h * EPS, "rounding: n h times 2.2e-16", "numerical", cases, seed)


CHECKS: dict[str, Check] = {
    "lemma-4": Check(
        check_lemma_4,
        claimed=by_closure("paper"),
        wrong={
            "norms not divided out": lambda w, phi, setting: phi / setting.a,
            "divided by N_Phi alone": lambda w, phi, s: rate(w, phi, s, "paper") * mode_norms(w, phi).N_Psi,
        },
    ),
    "beyond-trace": Check(
        check_trace,
        claimed=trace_formula(2.0, 3.0),
        wrong={
            "trace zero, as for H": trace_formula(0.0, 3.0),
            "factor 1": trace_formula(1.0, 3.0),
            "N_Psi squared": trace_formula(2.0, 2.0),
        },
    ),
    "beyond-lemma-4-relative": Check(
        check_lemma_4_relative,
        claimed=weighted(1, 1, 1),
        wrong={
            "first term deleted": weighted(0, 1, 1),
            "first term with the wrong sign": weighted(-1, 1, 1),
            "third term deleted": weighted(1, 1, 0),
            "third term with the wrong sign": weighted(1, 1, -1),
            "without the factor 1 / (1 + sigma2)": weighted(2, 2, 2),
            "first term five per cent too large": weighted(1.05, 1, 1),
            "everything five per cent too small": weighted(0.95, 0.95, 0.95),
            "the zero matrix": weighted(0, 0, 0),
        },
    ),
    "beyond-consistent-closure": Check(
        check_consistent_closure,
        claimed=by_closure("second_order"),
        wrong={
            "the leading order alone": by_closure("leading"),
            "Lemma 4": by_closure("paper"),
            "without the fluctuation sums G": _without("G"),
            "without the last sum": _without("last"),
        },
    ),
    "beyond-middle-term": Check(
        check_middle_term,
        claimed=1.0,
        wrong={
            "no middle term": 0.0,
            "the middle term with the wrong sign": -1.0,
            "the middle term three times as large": 3.0,
        },
    ),
}
