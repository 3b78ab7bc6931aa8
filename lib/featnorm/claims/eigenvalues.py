"""Checks of the chapter "From matrices to eigenvalues": Lemma 4 and Eq. 5."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from featnorm._validate import Array
from featnorm.claims.model import Check, Evidence
from featnorm.eigen_flow import mode_norms, rate_terms
from featnorm.matrix_flow import H_closure, H_diagonal_blocks, H_sample, closed_velocity
from featnorm.scale import Scale
from featnorm.setting import Norms, Setting, initialize, norms, views

EPS = float(np.finfo(float).eps)

# --- Lemma 4 ---------------------------------------------------------------------------------------------------------

#: A formula for the diagonal of H in commuting states: (w, phi, norms, setting) -> (h,).
Formula = Callable[[Array, Array, Norms, Setting], Array]
KINDS = ("initialisation", "aligned")


def closure_formula(*weights: float) -> Formula:
    """Lemma 4's formula with its three terms multiplied by ``weights``; (1, 1, 1) is the paper's."""
    return lambda w, phi, N, setting: w * (np.array(weights) @ rate_terms(w, phi, N, setting))


def commuting_states(setting: Setting, rng: np.random.Generator) -> dict[str, tuple[Array, Array]]:
    """Commuting states of each of KINDS, as eigenvalues (w, phi) of shape (states, h).

    ``initialisation``: eight states with the eigenvalues of W and F under Assumption 4, paired at random. ``aligned``,
    as late in training: one state with w > 0 evenly spaced, a relative spread of about 30 per cent, and phi = w^2.
    """
    starts = [initialize(setting, rng) for _ in range(8)]
    w = np.array([rng.permutation(np.linalg.eigvalsh(W)) for W, _ in starts])
    phi = np.array([np.linalg.eigvalsh(Phi @ Phi.T) for _, Phi in starts])
    even = 1.0 + 0.3 * np.sqrt(3) * np.linspace(-1, 1, setting.h)[None, :]
    return {"initialisation": (w, phi), "aligned": (even, even**2)}


@dataclass(frozen=True)
class SquaredError:
    """||H - formula||^2 and ||H||^2 with leave-one-block-out replicates, from which intervals follow.

    Each is a mean over pairs of *different* blocks of samples: within a pair the noise is independent and has mean
    zero. The square of one mean would measure its own noise.
    """

    error: float
    size: float
    error_without: Array
    size_without: Array

    def relative(self) -> tuple[float, float, float]:
        """||H - formula|| / ||H|| with its 95 per cent jackknife interval; the low end is 0 where noise covers it."""
        ratio, without = self.error / self.size, self.error_without / self.size_without
        blocks = len(without)
        se = float(np.sqrt((blocks - 1) / blocks * np.sum((without - without.mean()) ** 2)))
        low, mid, high = np.sqrt(np.maximum([ratio - 1.96 * se, ratio, ratio + 1.96 * se], 0.0))
        return float(low), float(mid), float(high)

    def log_error(self) -> tuple[float, float]:
        """log of the error and its standard error; NaN where the noise covers the error."""
        if self.error <= 0 or (self.error_without <= 0).any():
            return float("nan"), float("inf")
        value = np.log(self.error_without)
        blocks = len(value)
        se = float(np.sqrt((blocks - 1) / blocks * np.sum((value - value.mean()) ** 2))) / 2
        return 0.5 * float(np.log(self.error)), se


def squared_error(blocks: Array, formula: Array) -> SquaredError:
    """`SquaredError` of a formula (h,) from block means (blocks, h)."""

    def pairs(e: Array) -> tuple[float, Array]:
        total, each = e.sum(axis=0), np.sum(e**2, axis=1)
        B = len(e)
        # leaving block b out changes the total by e_b
        without = np.sum((total - e) ** 2, axis=1) - (each.sum() - each)
        return float((total @ total - each.sum()) / (B * (B - 1))), without / ((B - 1) * (B - 2))

    error, error_without = pairs(blocks - formula)
    size, size_without = pairs(blocks)
    return SquaredError(error, size, error_without, size_without)


@dataclass(frozen=True)
class Lemma4Data:
    """Monte Carlo for one size h: `commuting_states` and, kind by kind, block means (blocks, states, h) of diag H."""

    setting: Setting
    states: dict[str, tuple[Array, Array]]
    blocks: dict[str, Array]
    samples: int

    def error(self, kind: str, formula: Formula) -> SquaredError:
        """How far a formula is from H, summed over the states of this kind."""
        values = [formula(w, phi, mode_norms(w, phi), self.setting) for w, phi in zip(*self.states[kind])]
        blocks = self.blocks[kind]
        return squared_error(blocks.reshape(len(blocks), -1), np.concatenate(values))


@lru_cache(maxsize=2)
def lemma_4_data(scale: Scale, seed: int) -> tuple[Lemma4Data, ...]:
    """Monte Carlo for Lemma 4 at several sizes with d = 2 h and sigma2 = 1; cached, since every variant reads it."""
    rng = np.random.default_rng(seed)
    n = scale.pick(smoke=40_000, book=1_000_000, full=8_000_000)
    out = []
    for h in scale.pick(smoke=(16, 48, 144), book=(16, 64, 256), full=(16, 64, 256, 1024)):
        setting = Setting(h=h, d=2 * h, sigma2=1.0)
        states = commuting_states(setting, rng)
        w, phi = (np.concatenate(part) for part in zip(*states.values()))
        blocks = H_diagonal_blocks(w, phi, setting, n, rng, blocks=50)
        last = len(states["initialisation"][0])
        out.append(Lemma4Data(setting, states, dict(zip(KINDS, (blocks[:, :last], blocks[:, last:]))), n))
    return tuple(out)


def error_slope(data: tuple[Lemma4Data, ...], kind: str, formula: Formula) -> tuple[float, float]:
    """Slope of log error against log h and its standard error; NaN where an error is lost in the noise."""
    x = np.log([d.setting.h for d in data])
    points = [d.error(kind, formula).log_error() for d in data]
    y, se = np.array(points).T
    centred = x - x.mean()
    weights = centred / (centred @ centred)
    return float(weights @ y), float(np.sqrt(weights**2 @ se**2))


def check_lemma_4(formula: Formula, scale: Scale, seed: int) -> Evidence:
    """As stated: ||H - formula||_F tends to 0. The zero matrix is tested too: if it passes, the statement is empty."""
    data = lemma_4_data(scale, seed)
    numbers: dict[str, float] = {}
    worst, empty = -np.inf, -np.inf
    for kind in KINDS:
        slope, se = error_slope(data, kind, formula)
        zero, zero_se = error_slope(data, kind, lambda w, *_: 0.0 * w)
        worst = max(worst, slope + 4.9 * se) if np.isfinite(slope) else np.inf
        empty = max(empty, zero + 4.9 * zero_se)
        numbers[f"slope, {kind}"] = slope
    source = "upper end of the slope's interval (4.9 standard errors); half of the 1/2 with which H itself falls"
    return Evidence(worst, -0.25, source, "numerical", data[0].samples, seed, vacuous=empty <= -0.25, numbers=numbers)


def _not_normalised(w: Array, phi: Array, N: Norms, setting: Setting) -> Array:
    return w * phi / setting.a  # the first term without its division by N_Phi N_Psi


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


# --- Eq. 5 -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Eq5:
    """dw = h/w - decay_w rho w, dphi = factor h - decay_phi rho phi, with h from three weighted terms."""

    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    factor: float = 2.0
    decay_w: float = 1.0
    decay_phi: float = 2.0


def check_eq_5(variant: Eq5, scale: Scale, seed: int) -> Evidence:
    """The eigenvalue equations against Eq. 4 with Lemma 4's matrix, in random commuting states of random eigenvectors.

    Off-diagonal entries count too: if the eigenvectors moved, the eigenvalue equations would not be the whole story.
    """
    rng = np.random.default_rng(seed)
    h, d = 6, 9
    setting = Setting(h=h, d=d, sigma2=0.6, rho=0.3)
    cases, worst = scale.pick(10, 100, 1000), 0.0
    for _ in range(cases):
        U = np.linalg.qr(rng.standard_normal((h, h)))[0]
        V = np.linalg.qr(rng.standard_normal((d, h)))[0]
        w, phi = rng.choice([-1, 1], h) * rng.uniform(0.3, 1.5, h), rng.uniform(0.1, 2.0, h)
        dW, dF = closed_velocity(U * w @ U.T, U * np.sqrt(phi) @ V.T, setting)
        hat = w * (np.array(variant.weights) @ rate_terms(w, phi, mode_norms(w, phi), setting))
        dw = hat / w - variant.decay_w * setting.rho * w
        dphi = variant.factor * hat - variant.decay_phi * setting.rho * phi
        for matrix, rates in ((dW, dw), (dF, dphi)):
            worst = max(worst, float(np.max(np.abs(U.T @ matrix @ U - np.diag(rates)))))
    bound = 100 * h**2 * EPS / 0.3  # 1/0.3 bounds the norm of the inverse of W, which Eq. 4 divides by
    return Evidence(worst, bound, "rounding: 100 h^2 times 2.2e-16 over min |w|", "numerical", cases, seed)


CHECKS: dict[str, Check] = {
    "lemma-4": Check(check_lemma_4, claimed=closure_formula(1, 1, 1), wrong={"norms not divided out": _not_normalised}),
    "beyond-trace": Check(
        check_trace,
        claimed=trace_formula(2.0, 3.0),
        wrong={
            "trace zero, as for H": trace_formula(0.0, 3.0),
            "factor 1": trace_formula(1.0, 3.0),
            "N_Psi squared": trace_formula(2.0, 2.0),
        },
    ),
    "eq-5": Check(
        check_eq_5,
        claimed=Eq5(),
        wrong={
            "first term deleted": Eq5(weights=(0, 1, 1)),
            "middle term deleted": Eq5(weights=(1, 0, 1)),
            "middle term with factor 1": Eq5(weights=(1, 0.5, 1)),
            "third term deleted": Eq5(weights=(1, 1, 0)),
            "third term with the wrong sign": Eq5(weights=(1, 1, -1)),
            "phi moves at half the rate": Eq5(factor=1.0),
            "phi decays like w": Eq5(decay_phi=1.0),
            "w does not decay": Eq5(decay_w=0.0),
        },
    ),
}
