"""Checks of the chapter "Where concentration stops"."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.integrate import quad
from scipy.special import gammaln
from scipy.stats import t as student

from featnorm._validate import Array
from featnorm.claims.gronwall import flows
from featnorm.claims.model import FALSE_ALARM, Check, Evidence, t_threshold
from featnorm.eigen_flow import integrate
from featnorm.gronwall import window
from featnorm.matrix_flow import clock
from featnorm.scale import Scale
from featnorm.setting import Setting, effective_rank, initialize
from featnorm.surveys import commuting_start

BLOCKS = 64

# --- Effective rank --------------------------------------------------------------------------------------------------

#: A formula for the relative variance of ||Phi x||^2 from the eigenvalues (h,) of F = Phi Phi^T.
Spread = Callable[[Array], float]


def spread_blocks(values: Array, n: int, rng: np.random.Generator) -> Array:
    """Block means of (||Phi x||^2 / E - 1)^2, one column a spectrum: ``values`` (spectra, h) of F, n samples in blocks.

    In the eigenbasis of F, ||Phi x||^2 / E is the mean of squared standard normals, weighted by the eigenvalues.
    Returns (BLOCKS, spectra).
    """
    weights = values / values.sum(axis=1, keepdims=True)
    size = -(-n // BLOCKS)
    blocks = [(rng.standard_normal((size, values.shape[1])) ** 2 @ weights.T - 1.0) ** 2 for _ in range(BLOCKS)]
    return np.array([block.mean(axis=0) for block in blocks])


def check_effective_rank(formula: Spread, scale: Scale, seed: int) -> Evidence:
    """Relative variance by Monte Carlo against the formula, for F and Psi Psi^T at several times of an exact flow."""
    rng = np.random.default_rng(seed)
    flow = next(f for f in flows(Scale.SMOKE, seed) if f.name == "Assumption 4")  # one flow is enough at any scale
    at = flow.edges[::5]
    Psi = flow.W[at] @ flow.Phi[at]
    values = np.vstack([np.linalg.svd(A, compute_uv=False) ** 2 for A in (flow.Phi[at], Psi)])
    n = scale.pick(100_000, 400_000, 10_000_000)
    blocks = spread_blocks(values, n, rng)
    stderr = blocks.std(axis=0, ddof=1) / np.sqrt(BLOCKS)
    z = np.abs(blocks.mean(axis=0) - [formula(v) for v in values]) / stderr
    source = "Student quantile over all states, false alarm 5e-7"
    return Evidence(float(z.max()), t_threshold(len(values), BLOCKS), source, "numerical", n, seed)


def _entropy_rank(values: Array) -> float:
    p = values / values.sum()
    return float(np.exp(-np.sum(p * np.log(p))))


#: From lambda = h / d to the limits of r_F / h and of r_Psi / h.
Shares = Callable[[float], tuple[float, float]]

START_SIZES = (16, 32, 48, 64, 96)


def check_initial_rank(shares: Shares, scale: Scale, seed: int) -> Evidence:
    """r / h under Assumption 4 over five sizes, continued to h = infinity by a line in 1 / h, against the limit."""
    rng, cases, z = np.random.default_rng(seed), scale.pick(12, 30, 200), []
    inverse = np.repeat(1.0 / np.array(START_SIZES), cases)
    for ratio in (1, 4):
        found = []
        for h in START_SIZES:
            for _ in range(cases):
                W, Phi = initialize(Setting(h=h, d=ratio * h), rng)
                found.append([effective_rank(A @ A.T) / h for A in (Phi, W @ Phi)])
        for column, claimed in zip(np.array(found).T, shares(1.0 / ratio)):
            # All sizes scatter: the line's end at 1/h = 0 and its standard error, by least squares with 1/h weights.
            A = np.stack([np.ones_like(inverse), inverse], axis=1) / inverse[:, None]
            solution, residual, *_ = np.linalg.lstsq(A, column / inverse, rcond=None)
            variance = residual[0] / (len(column) - 2) * np.linalg.inv(A.T @ A)[0, 0]
            z.append(abs(solution[0] - claimed) / np.sqrt(variance))
    threshold = float(student.isf(FALSE_ALARM / (2 * len(z)), len(inverse) - 2))
    # A line leaves out 1 / h^2, which at these sizes is worth about a hundredth of the limit.
    source = "Student quantile of the continued line, false alarm 5e-7"
    return Evidence(float(max(z)), threshold, source, "numerical", 2 * len(inverse), seed)


# --- Few modes -------------------------------------------------------------------------------------------------------


def frozen_error(k: int) -> float:
    """sqrt(k) E[1 / chi_k]: the exact mean of 1 / ||Phi x|| over its value at the mean square, for k equal modes.

    >>> [round(frozen_error(k), 2) for k in (2, 3, 5, 10)]
    [1.77, 1.38, 1.19, 1.08]
    """
    return float(np.sqrt(k / 2) * np.exp(gammaln((k - 1) / 2) - gammaln(k / 2))) if k > 1 else np.inf


def check_few_modes(formula: Callable[[int], float], scale: Scale, seed: int) -> Evidence:
    """The formula against E[1 / ||g||] = (2 / sqrt(pi)) int_0^inf (1 + 2 x^2)^(-k/2) dx, for k from 2 on."""
    ks = [*range(2, 13), 20, 50, 200]
    worst = 0.0
    for k in ks:
        # x = y / sqrt(k): the integrand then falls on a scale of order one whatever k is.
        integral = quad(lambda y, k=k: (1 + 2 * y * y / k) ** (-k / 2), 0, np.inf, epsabs=0, epsrel=1e-11, limit=200)[0]
        worst = max(worst, abs(formula(k) / (2 / np.sqrt(np.pi) * integral) - 1))
    return Evidence(worst, 1e-9, "tolerance 1e-11 of the quadrature, times 100", "numerical", len(ks), None)


# --- The window ------------------------------------------------------------------------------------------------------

WINDOW_SIZES = (16, 32, 64, 128, 256)
#: For flows far beyond the window, which cost more.
LATE_SIZES = (8, 11, 14, 18, 22)


@lru_cache(maxsize=8)
def moved(power: float, rho: float, sizes: tuple[int, ...], draws: int, seed: int) -> tuple[Array, Array]:
    """Where t exp(2 rho t) = h^power, from commuting starts: relative deviations, and how far the modes have moved.

    The deviations (sizes, 2) are sqrt(2 / r_F) and sqrt(2 / r_Psi), the motion (sizes,) is the largest
    |phi_j(t) e^{2 rho t} / phi_j(0) - 1|. All are means over ``draws`` starts, one row a size h of ``sizes``.
    """
    out = []
    for h in sizes:
        rng = np.random.default_rng((seed, h))
        setting, t = Setting(h=h, d=2 * h), float(window(h**power, rho))
        rows = []
        for _ in range(draws):
            w, phi = commuting_start(setting, rng)
            # By the clock, without decay: directions and shares are those of the flow with decay at time t.
            run = integrate(w, phi, setting, float(clock(t, rho)), "exact", extinct=0.0, rtol=1e-5)
            end = np.maximum(run.phi[-1], 0.0)
            spreads = [np.sqrt(2 / effective_rank(np.diag(v))) for v in (end, run.w[-1] ** 2 * end)]
            rows.append([*spreads, np.max(np.abs(end / phi - 1))])
        out.append(np.mean(rows, axis=0))
    found = np.array(out)
    return found[:, :2], found[:, 2]


def _exponent(sizes: tuple[int, ...], values: Array) -> float:
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def check_remark_1(variant: tuple[float, tuple[int, ...], float], scale: Scale, seed: int) -> Evidence:
    """Exponents in h of sqrt(2 / r_F) and sqrt(2 / r_Psi) at t exp(2 rho t) = h^power, against the claimed one.

    Two rates; at rho = 10 the window is short in t, and exp(2 rho t) is what fills it.
    """
    power, sizes, claimed = variant
    draws = scale.pick(1, 4, 40) if sizes == WINDOW_SIZES else scale.pick(1, 1, 10)
    found = [_exponent(sizes, d) for rho in (0.1, 10.0) for d in moved(power, rho, sizes, draws, seed)[0].T]
    worst = max(abs(e - claimed) for e in found)
    source = "half the gap to the neighbouring exponents 0 and -1"
    return Evidence(worst, 0.25, source, "numerical", len(sizes) * draws, seed)


def check_window(claimed: float, scale: Scale, seed: int) -> Evidence:
    """The exponent in h of the largest relative motion of a mode at t exp(2 rho t) = sqrt(h), against the claimed one.

    ``share``: that motion over 4 / (a sqrt(h)), the claim's leading order, at the largest size.
    """
    motion = moved(0.5, 0.0, WINDOW_SIZES, scale.pick(4, 6, 40), seed)[1]
    exponent, share = _exponent(WINDOW_SIZES, motion), float(motion[-1] / (2.0 / np.sqrt(WINDOW_SIZES[-1])))
    source = "half the gap to the neighbouring exponents 0 and -1"
    numbers = {"exponent": exponent, "share": share}
    return Evidence(abs(exponent - claimed), 0.25, source, "numerical", len(WINDOW_SIZES), seed, numbers=numbers)


CHECKS: dict[str, Check] = {
    "beyond-effective-rank": Check(
        check_effective_rank,
        claimed=lambda v: 2 * float(v @ v) / float(v.sum()) ** 2,
        wrong={
            "without the 2": lambda v: float(v @ v) / float(v.sum()) ** 2,
            "the dimension for the effective rank": lambda v: 2 / len(v),
            "the stable rank for the effective rank": lambda v: 2 * float(v.max() / v.sum()),
            "the rank by entropy for the effective rank": lambda v: 2 / _entropy_rank(v),
        },
    ),
    "beyond-initial-rank": Check(
        check_initial_rank,
        claimed=lambda ratio: (1 / (1 + ratio), 1 / (2 + ratio)),
        wrong={
            "full rank": lambda ratio: (1.0, 1.0),
            "without h / d": lambda ratio: (1.0, 0.5),
            "r_F for r_Psi": lambda ratio: (1 / (1 + ratio), 1 / (1 + ratio)),
            "2 h / d for h / d": lambda ratio: (1 / (1 + 2 * ratio), 1 / (2 + 2 * ratio)),
        },
    ),
    "beyond-few-modes": Check(
        check_few_modes,
        claimed=frozen_error,
        wrong={
            "frozen norms are exact": lambda k: 1.0,
            "the large-k correction as exact": lambda k: 1 + 3 / (4 * k),
            "k + 1 for k": lambda k: frozen_error(k + 1),
            "E[chi] for E[1 / chi]": lambda k: float(np.sqrt(2 / k) * np.exp(gammaln((k + 1) / 2) - gammaln(k / 2))),
        },
    ),
    "remark-1": Check(
        check_remark_1,
        claimed=(0.5, WINDOW_SIZES, -0.5),
        wrong={
            "the remainders stay": (0.5, WINDOW_SIZES, 0.0),
            "the remainders fall like 1 / h": (0.5, WINDOW_SIZES, -1.0),
        },
        readings={"only as long as: beyond it they stay (here at h^(3/2))": (1.5, LATE_SIZES, 0.0)},
    ),
    "beyond-window": Check(
        check_window,
        claimed=-0.5,
        wrong={"the modes move by a fixed share": 0.0, "the modes move by 1 / h": -1.0},
    ),
}
