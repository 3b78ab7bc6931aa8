"""Checks of the chapter "The commutator": Lemma 17, Eq. 23, Propositions 1 and 2, Assumptions 1 and 5."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from typing import Any

import numpy as np
import sympy as sp

from featnorm import results
from featnorm._validate import Array
from featnorm.claims.model import Check, Evidence, t_threshold
from featnorm.commutator import bracket, generator, kronecker_sum, slowest_rate
from featnorm.matrix_flow import closed_velocity, population_flow
from featnorm.normalized_moments import matrix_moments
from featnorm.scale import Scale
from featnorm.setting import Setting, initialize, norms
from featnorm.surveys import RATIOS

# --- Identities ------------------------------------------------------------------------------------------------------

#: The rules of Lemma 17, each as left side minus right side.
Rules = Mapping[str, Callable[[Any, Any, Any], Any]]
LEMMA_17: Rules = {
    "[A,A]": lambda A, B, C: _of(A, A),
    "[A,B]": lambda A, B, C: _of(A, B) + _of(B, A),
    "[A,BC]": lambda A, B, C: _of(A, B * C) - _of(A, B) * C - B * _of(A, C),
    "[AB,C]": lambda A, B, C: _of(A * B, C) - A * _of(B, C) - _of(A, C) * B,
}


def _of(A: Any, B: Any) -> Any:
    return A * B - B * A


def _identities(residuals: list[Any]) -> Evidence:
    """Symbolic identities of symbols that do not commute: the statistic counts those that do not expand to zero."""
    wrong = sum(sp.expand(residual) != 0 for residual in residuals)
    return Evidence(wrong, 0.0, "identities that do not expand to zero", "symbolic", len(residuals), None)


def check_lemma_17(rules: Rules, scale: Scale, seed: int) -> Evidence:
    """The four rules for symbols that do not commute."""
    symbols = sp.symbols("A B C", commutative=False)
    return _identities([rule(*symbols) for rule in rules.values()])


def check_eq_23(derivative: Callable[[Any, Any, Any, Any], Any], scale: Scale, seed: int) -> Evidence:
    """d/dt [F + t F', W + t W'] at t = 0 against a formula (F, W, F', W'), for symbols that do not commute."""
    F, W, dF, dW = sp.symbols("F W dF dW", commutative=False)
    t = sp.Symbol("t")
    moved = sp.expand(_of(F + t * dF, W + t * dW))
    return _identities([sp.diff(moved, t).subs(t, 0) - derivative(F, W, dF, dW)])


# --- Proposition 1 ---------------------------------------------------------------------------------------------------

#: K of Proposition 1 without decay: words A and B of a Kronecker sum A (+) B, the term of Lemma 4 it comes from, and
#: its factor. The terms stand for 1 / (a N_Phi N_Psi), 1 / (a N_Phi N_Psi^3) and N_x / (a N_Psi^2).
PIECES: dict[str, tuple[str, str, int, float]] = {
    "W": ("W", "", 0, -1.0),
    "WWFW": ("WWFW", "", 1, 2.0),
    "FW, WW": ("FW", "WW", 1, 2.0),
    "FWF": ("FWF", "", 1, 1.0),
    "F, WF": ("F", "WF", 1, 1.0),
    "WW": ("WW", "", 2, 1.0),
    "F": ("F", "", 2, 0.5),
}


#: Where dW/dt is not symmetrised, these stand with one order of their Kronecker product only, twice.
ONE_SIDED = ("FWF", "F, WF", "F")


@dataclass(frozen=True)
class Generator:
    """K with some of its `PIECES` multiplied by a factor, the decay rate in units of rho, and how dW/dt is read."""

    factors: Mapping[str, float] = field(default_factory=dict)
    decay: float = 3.0
    symmetrised: bool = True

    def matrix(self, W: Array, Phi: Array, setting: Setting) -> Array:
        """K as numbers, from the library's `generator`."""
        K = generator(W, Phi, setting, symmetrised=self.symmetrised)
        N, letters = norms(W, Phi), {"W": W, "F": Phi @ Phi.T}
        scale = np.array([1 / (N.N_Phi * N.N_Psi), 1 / (N.N_Phi * N.N_Psi**3), N.N_x / N.N_Psi**2]) / setting.a
        for name, factor in self.factors.items():
            *words, term, share = PIECES[name]
            A, B = (reduce(np.matmul, [letters[c] for c in word], np.eye(setting.h)) for word in words)
            product = kronecker_sum(A, B) if self.two_sided(name) else 2.0 * np.kron(A, B)
            K = K + (factor - 1.0) * share * scale[term] * product
        return K + (self.decay - 3.0) * setting.rho * np.eye(len(K))

    def two_sided(self, name: str) -> bool:
        """Whether a piece stands with both orders of its Kronecker product."""
        return self.symmetrised or name not in ONE_SIDED

    def residual(self) -> Any:
        """dL/dt + K L for Hermitian symbols that do not commute; zero if K is right."""
        W, F = sp.symbols("W F", commutative=False, hermitian=True)
        rho, *scale = sp.symbols("rho c0 c1 c2", real=True)
        letters = {"W": W, "F": F}
        growth = scale[0] * F - 2 * scale[1] * W * F * W * F - scale[2] * W * F  # H W^{-1} of Lemma 4
        dF = W * growth + sp.adjoint(growth) * W - 2 * rho * F
        dW = ((growth + sp.adjoint(growth)) / 2 if self.symmetrised else growth) - rho * W
        L, out = _of(F, W), _of(dF, W) + _of(F, dW)
        for name, (*words, term, share) in PIECES.items():
            A, B = (reduce(lambda x, y: x * y, [letters[c] for c in word], sp.Integer(1)) for word in words)
            weight = sp.nsimplify(self.factors.get(name, 1.0) * share) * scale[term]
            other = A * L * sp.adjoint(B) if self.two_sided(name) else B * L * sp.adjoint(A)
            out = out + weight * (B * L * sp.adjoint(A) + other)
        return sp.expand(out + sp.nsimplify(self.decay) * rho * L)


#: Steps of the difference quotient along the flow, and the accuracy of the flow.
STEP, FLOW_RTOL = 0.01, 1e-11


def check_proposition_1(variant: Generator, scale: Scale, seed: int) -> Evidence:
    """dL/dt by a fourth-order difference along the flow of the closure, against -K vec L; then the same symbolically.

    Where dW/dt is not symmetrised, W is symmetric at the start only, so the difference is a forward one from there.
    Where it is, the norm of L must also fall at least as fast as the smallest eigenvalue of K says.
    """
    rng = np.random.default_rng(seed)
    cases, worst = scale.pick(2, 6, 30), 0.0
    for _ in range(cases):
        h = int(rng.integers(3, 7))
        setting = Setting(h=h, d=2 * h, sigma2=float(rng.uniform(0.3, 2.0)), rho=float(rng.uniform(0.1, 0.5)))
        W0, Phi0 = initialize(setting, rng)
        W0 = W0 + np.eye(h)
        times = np.arange(5) * STEP
        run = population_flow(W0, Phi0, setting, times, "cosine", FLOW_RTOL, "paper", variant.symmetrised, direct=True)
        L = np.array([bracket(Phi @ Phi.T, w) for w, Phi in zip(run.W, run.Phi)])
        at, stencil = (2, (1, -8, 0, 8, -1)) if variant.symmetrised else (0, (-25, 48, -36, 16, -3))
        found, state = np.tensordot(stencil, L, axes=1) / (12 * STEP), (run.W[at], run.Phi[at])
        if variant.symmetrised:
            rates = [slowest_rate(variant.matrix(w, Phi, setting)) for w, Phi in zip(run.W, run.Phi)]
            fall = np.diff([np.log(np.linalg.norm(part)) for part in L]) / STEP
            # between two times the rate moves by less than between neighbours
            slack = float(np.max(np.abs(np.diff(rates))))
            if (fall > -np.array(rates[1:]) + slack).any():
                worst = np.inf
        claimed = -(variant.matrix(*state, setting) @ L[at].ravel(order="F"))
        gap = np.linalg.norm(found.ravel(order="F") - claimed) / np.linalg.norm(found)
        worst = max(worst, float(gap))
    if worst <= 1e-6 and variant.residual() != 0:
        worst = np.inf
    source = "fourth-order difference with step 0.01, whose error is of order 1e-8, times 100"
    return Evidence(worst, 1e-6, source, "numerical", cases, seed)


def threshold_rho(setting: Setting, seeds: int, seed: int) -> float:
    """The weight decay from which K of Proposition 1 is positive definite at Assumption 4's start: median of starts."""
    rng = np.random.default_rng(seed)
    still = setting.with_(rho=0.0)
    starts = [initialize(still, rng) for _ in range(seeds)]
    return float(np.median([-slowest_rate(generator(*start, still)) / 3.0 for start in starts]))


# --- States that stay diagonal ---------------------------------------------------------------------------------------


def _off_diagonal(matrix: Array, U: Array) -> float:
    turned = U.T @ matrix @ U
    return float(np.max(np.abs(turned - np.diag(np.diag(turned)))) / np.max(np.abs(turned)))


def _commuting_pairs(angle: float, count: int, seed: int, singular: bool) -> Iterator[tuple[Array, Array, Array]]:
    """Random (W, F, U), with W's eigenvectors turned by ``angle`` in one plane against the eigenvectors U of F."""
    rng = np.random.default_rng(seed)
    h = 5
    for i in range(count):
        U = np.linalg.qr(rng.standard_normal((h, h)))[0]
        w, phi = rng.choice([-1, 1], h) * rng.uniform(0.3, 1.5, h), rng.uniform(0.1, 2.0, h)
        if singular and i % 2:
            w[0] = 0.0
        turn = np.eye(h)
        turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        V = U @ turn
        yield V * w @ V.T, U * phi @ U.T, U


def check_exact_commuting(angle: float, scale: Scale, seed: int) -> Evidence:
    """Off-diagonal part of the exact velocities in the common eigenbasis; every second W is singular."""
    setting, cases, worst = Setting(h=5, d=5, sigma2=0.7, rho=0.2), scale.pick(4, 40, 400), 0.0
    for W, F, U in _commuting_pairs(angle, cases, seed, singular=True):
        K = matrix_moments(W, F, setting).K
        dF = W.T @ K + K.T @ W - 2 * setting.rho * F
        worst = max(worst, _off_diagonal(K - setting.rho * W, U), _off_diagonal(dF, U))
    return Evidence(worst, 1e-8, "accuracy 1e-10 of the quadrature, times 100", "numerical", cases, seed)


def check_proposition_2(angle: float, scale: Scale, seed: int) -> Evidence:
    """Off-diagonal part of the velocities of Eq. 4 with the closure of Lemma 4, W not singular."""
    setting, cases, worst = Setting(h=5, d=5, sigma2=0.7, rho=0.2), scale.pick(10, 100, 1000), 0.0
    for W, F, U in _commuting_pairs(angle, cases, seed, singular=False):
        dW, dF = closed_velocity(W, np.linalg.cholesky(F), setting)
        worst = max(worst, _off_diagonal(dW, U), _off_diagonal(dF, U))
    source = "rounding: 2.2e-16 times 1e4 for the inverse of W and the cancellation of terms"
    return Evidence(worst, 2.2e-12, source, "numerical", cases, seed)


# --- The start -------------------------------------------------------------------------------------------------------

BLOCKS = 64


def start_share(h: int, d: int) -> float:
    """E ||[F, W]||^2 / (4 E ||F W||^2) at Assumption 4: the square of the relative commutator there.

    >>> round(start_share(64, 512) ** 0.5, 4)
    0.2355
    """
    return (h * h - 1) / (2.0 * h * (h + d + 1))


@lru_cache(maxsize=8)
def commutator_blocks(h: int, d: int, draws: int, seed: int) -> tuple[Array, Array]:
    """Block means of ||[F, W]||^2 and of 4 ||F W||^2 over starts of Assumption 4, each of shape (BLOCKS,)."""
    rng, size = np.random.default_rng((seed, h, d)), -(-draws // BLOCKS)
    out = np.zeros((2, BLOCKS))
    for b in range(BLOCKS):
        upper = np.triu(rng.standard_normal((size, h, h))) / np.sqrt(h)
        W = upper + np.swapaxes(np.triu(upper, 1), 1, 2)
        Phi = rng.standard_normal((size, h, d)) / np.sqrt(d)
        FW = Phi @ np.swapaxes(Phi, 1, 2) @ W
        out[0, b] = np.sum((FW - np.swapaxes(FW, 1, 2)) ** 2) / size  # W F is the transpose of F W
        out[1, b] = 4.0 * np.sum(FW**2) / size
    return out[0], out[1]


def check_commutator_start(share: Callable[[int, int], float], scale: Scale, seed: int) -> Evidence:
    """The mean of ||[F, W]||^2 minus the claimed share of 4 ||F W||^2 over random starts is zero, at four sizes."""
    sizes, draws, worst = ((4, 4), (4, 16), (8, 8), (6, 48)), scale.pick(20_000, 100_000, 1_000_000), 0.0
    for h, d in sizes:
        above, below = commutator_blocks(h, d, draws, seed)
        gap = above - share(h, d) * below
        worst = max(worst, abs(float(gap.mean() / gap.std(ddof=1) * np.sqrt(BLOCKS))))
    source = "Student quantile over four sizes, false alarm 5e-7"
    return Evidence(worst, t_threshold(len(sizes), BLOCKS), source, "numerical", draws, seed)


# --- Along the flow --------------------------------------------------------------------------------------------------

ARCHIVE = "assumption-4-ends-h16"


@lru_cache(maxsize=2)
def ends(name: str = ARCHIVE) -> results.Archive:
    """An archived survey `featnorm.surveys.assumption_4_ends`; the axes of its arrays are d / h and start."""
    return results.load(name)


def medians(name: str, time: int = -1) -> Array:
    """Median over starts of an archived quantity at one time of its clock, for each d / h in `RATIOS`."""
    return np.median(ends().arrays[name][..., time], axis=1)


#: What makes W asymmetric, dW/dt - its transpose, in a state with symmetric W: (W, F, a) -> (h, h).
Asymmetry = Callable[[Array, Array, float], Array]


def leading_asymmetry(W: Array, F: Array, a: float) -> Array:
    """kappa lambda [F, W], with kappa = 1 / (a N_Phi N_Psi) and lambda = tr(W F) / N_Psi^2."""
    N_Psi2 = float(np.trace(W @ F @ W))
    return float(np.trace(W @ F)) / N_Psi2 / (a * np.sqrt(np.trace(F) * N_Psi2)) * bracket(F, W)


def check_assumption_1(formula: Asymmetry, scale: Scale, seed: int) -> Evidence:
    """The exact antisymmetric part of dW/dt against the leading order in growing states that do not commute.

    Departure: the median asymmetry of W that the archived exact flows reach, at the d / h where it is largest.
    """
    rng = np.random.default_rng(seed)
    sizes = scale.pick(smoke=(8, 12, 16, 24, 32), book=(8, 16, 32, 64, 128), full=(8, 16, 32, 64, 128, 256))
    errors = []
    for h in sizes:
        setting, off, size = Setting(h=h, d=2 * h, sigma2=1.0), 0.0, 0.0
        for _ in range(3):
            W, Phi = initialize(setting, rng)
            W, F = W + np.eye(h), Phi @ Phi.T
            K = matrix_moments(W, F, setting, 1e-8).K
            off += float(np.sum((K - K.T - formula(W, F, setting.a)) ** 2))
            size += float(np.sum((K - K.T) ** 2))
        errors.append(np.sqrt(off / size))
    slope = float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])
    source = "half the gap between the exponents 0 and -1 of the relative error in h"
    numbers = {"departure": float(medians("asymmetry").max()), "slope": slope}
    return Evidence(slope, -0.5, source, "numerical", len(sizes), seed, numbers=numbers)


#: Of a state that the flow ended in, what its commutator [F, W] should be: (W, F) -> (h, h).
Ending = Callable[[Array, Array], Array]


def check_assumption_5(ending: Ending, scale: Scale, seed: int) -> Evidence:
    """The commutator at the end of the archived flows against F (W - W^T), the median over all starts.

    Departure: the relative commutator at the start, root mean square, at the d / h where it is largest.
    """
    arrays = ends().arrays
    gaps = []
    for W, F in zip(arrays["W"].reshape(-1, *arrays["W"].shape[2:]), arrays["F"].reshape(-1, *arrays["F"].shape[2:])):
        L = bracket(F, W)
        gaps.append(np.linalg.norm(L - ending(W, F)) / np.linalg.norm(L))
    departure = float(np.sqrt(np.mean(arrays["commutator"][..., 0] ** 2, axis=1)).max())
    source = "integrator tolerance 1e-7 per step, times 1e3 for the steps"
    numbers = {"departure": departure, "end": float(medians("commutator").max())}
    return Evidence(float(np.median(gaps)), 1e-4, source, "archived", len(gaps), 0, numbers=numbers)


def check_raw_commutator(offset: Callable[[Array, Array], Array], scale: Scale, seed: int) -> Evidence:
    """P W (I - P) at the end of the archived flows against -P C (I - P) / w_bar: median of the starts that lost modes.

    ``offset`` makes the conserved matrix C from the start (W, F); P projects on the modes that survive.
    """
    gaps = []
    arrays = {name: ends().arrays[name].reshape(-1, *ends().arrays[name].shape[2:]) for name in ("W0", "F0", "W", "F")}
    for W0, F0, W, F in zip(*arrays.values()):
        phi, U = np.linalg.eigh(F)
        alive = phi > 1e-6 * phi.mean()
        if alive.all():
            continue
        S, D = U[:, alive], U[:, ~alive]
        w_bar = np.trace(S.T @ W @ S) / alive.sum()
        block = S.T @ W @ D
        gaps.append(np.linalg.norm(block + S.T @ offset(W0, F0) @ D / w_bar) / np.linalg.norm(block))
    h = arrays["W"].shape[-1]
    source = "2 / h, as terms of relative order 1 / h are left out"
    return Evidence(float(np.median(gaps)), 2 / h, source, "archived", len(gaps), 0)


def check_kept_symmetric(path: Callable[[Mapping[str, Array]], Array], scale: Scale, seed: int) -> Evidence:
    """How the relative commutator falls over the archived flows, as a power of the clock: the slowest of all starts.

    What lies below the accuracy of the integration counts as that accuracy.
    """
    values = path(ends().arrays)
    falls = np.log(np.maximum(values[..., -1], 1e-7) / values[..., 0]) / np.log(ends().arrays["s"][-1])
    source = "half way between the exponents 0 and -1"
    numbers = {"end": float(values[..., -1].max())}
    return Evidence(float(falls.max()), -0.5, source, "archived", falls.size, 0, numbers=numbers)


CHECKS: dict[str, Check] = {
    "lemma-17": Check(
        check_lemma_17,
        claimed=LEMMA_17,
        wrong={
            "[A,B] = [B,A]": LEMMA_17 | {"[A,B]": lambda A, B, C: _of(A, B) - _of(B, A)},
            "[A,BC] = [A,B]C + [A,C]B": LEMMA_17
            | {"[A,BC]": lambda A, B, C: _of(A, B * C) - _of(A, B) * C - _of(A, C) * B},
            "[A,BC] = [A,B]C": LEMMA_17 | {"[A,BC]": lambda A, B, C: _of(A, B * C) - _of(A, B) * C},
            "[AB,C] = A[B,C] - [A,C]B": LEMMA_17
            | {"[AB,C]": lambda A, B, C: _of(A * B, C) - A * _of(B, C) + _of(A, C) * B},
        },
    ),
    "eq-23": Check(
        check_eq_23,
        claimed=lambda F, W, dF, dW: _of(dF, W) + _of(F, dW),
        wrong={
            "without the motion of W": lambda F, W, dF, dW: _of(dF, W),
            "without the motion of F": lambda F, W, dF, dW: _of(F, dW),
            "the second term with its factors exchanged": lambda F, W, dF, dW: _of(dF, W) + _of(dW, F),
        },
    ),
    "proposition-1": Check(
        check_proposition_1,
        claimed=Generator(),
        wrong={
            **{f"without the piece of {name}": Generator({name: 0.0}) for name in PIECES},
            "F (+) I instead of half of it": Generator({"F": 2.0}),
            "the first term with the wrong sign": Generator({"W": -1.0}),
            "decay 2 rho": Generator(decay=2.0),
        },
        readings={"dW/dt as in (4), not symmetrised": Generator(symmetrised=False)},
    ),
    "proposition-2": Check(
        check_proposition_2,
        claimed=0.0,
        wrong={"eigenvectors a millionth of a radian apart": 1e-6, "eigenvectors at random": 1.0},
    ),
    "beyond-exact-commuting": Check(
        check_exact_commuting,
        claimed=0.0,
        wrong={"eigenvectors a hundredth of a radian apart": 0.01, "eigenvectors at random": 1.0},
    ),
    "beyond-commutator-start": Check(
        check_commutator_start,
        claimed=start_share,
        wrong={
            "the limit for large sizes": lambda h, d: h / (2.0 * (h + d)),
            "h^2 for h^2 - 1": lambda h, d: h * h / (2.0 * h * (h + d + 1)),
            "h + d for h + d + 1": lambda h, d: (h * h - 1) / (2.0 * h * (h + d)),
            "without the one half": lambda h, d: (h * h - 1) / (h * (h + d + 1)),
        },
    ),
    "assumption-1": Check(
        check_assumption_1,
        claimed=leading_asymmetry,
        wrong={
            "with the wrong sign": lambda W, F, a: -leading_asymmetry(W, F, a),
            "half as large": lambda W, F, a: leading_asymmetry(W, F, a) / 2,
            "without sigma2": lambda W, F, a: leading_asymmetry(W, F, 1.0),
            "no asymmetry, as the assumption says": lambda W, F, a: 0.0 * F,
        },
    ),
    "assumption-5": Check(
        check_assumption_5,
        claimed=lambda W, F: F @ (W - W.T),
        wrong={
            "with the wrong sign": lambda W, F: F @ (W.T - W),
            "the factors exchanged": lambda W, F: (W - W.T) @ F,
            "one per cent too large": lambda W, F: 1.01 * F @ (W - W.T),
            "no commutator, as the assumption says": lambda W, F: 0.0 * F,
        },
    ),
    "beyond-raw-commutator": Check(
        check_raw_commutator,
        claimed=lambda W, F: F - W.T @ W,
        wrong={
            "the sum for the difference": lambda W, F: F + W.T @ W,
            "with the wrong sign": lambda W, F: W.T @ W - F,
            "F alone": lambda W, F: F,
            "a quarter too large": lambda W, F: 1.25 * (F - W.T @ W),
            "zero": lambda W, F: 0.0 * F,
        },
    ),
    "beyond-kept-symmetric": Check(
        check_kept_symmetric,
        claimed=lambda arrays: arrays["commutator_kept"],
        wrong={
            **{
                f"the raw flow with d = {ratio} h": lambda arrays, i=i: arrays["commutator"][i : i + 1]
                for i, ratio in enumerate(RATIOS)
            },
        },
    ),
}
