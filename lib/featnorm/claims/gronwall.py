"""Checks of the chapter "Gronwall, and how norms really move".

Flows are computed once, without weight decay. A decay rho and a scale c of the start are put back by two exact laws,
(W, Phi)(t; rho) = exp(-rho t) (W, Phi)(s(t); 0) and c (W, Phi)(s / c^2), so that one flow tests a bound at every rho.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from flint import arb

from featnorm._validate import Array
from featnorm.claims.model import Check, Evidence
from featnorm.eigen_flow import integrate
from featnorm.gronwall import (
    Ball,
    decay_bound,
    growth_bound,
    law_bound,
    product_decay_bound,
    product_growth_bound,
    verify,
)
from featnorm.matrix_flow import H_sample, cosine_field, population_flow, unclock
from featnorm.normalized_moments import cosine_field_expected, diagonal_moments, matrix_moments
from featnorm.scale import Scale
from featnorm.setting import Setting, initialize, views
from featnorm.surveys import commuting_start

#: The constant C of Lemmas 10, 11 and 13 that we test: what their proofs give if the constant of Eq. 11 is 1.
C = 2.0

# --- Theorem 1 -------------------------------------------------------------------------------------------------------

#: u, alpha, beta and the end of the interval.
Case = tuple[Ball, Ball, Ball, float]


def gronwall_case(rng: np.random.Generator) -> Case:
    """A random case of Theorem 1, close to equality: u = u0 exp(theta B) and alpha >= u0 (1 + margin), B = int beta.

    beta oscillates and stays positive. A third of the cases have negative u and alpha, a third a growing alpha.
    """
    b, wave, depth, margin = rng.uniform(0.5, 2.0), rng.uniform(1.0, 6.0), rng.uniform(0.0, 0.8), 0.01
    kind = rng.integers(3)
    u0, theta, slope = (-1.0 if kind == 0 else 1.0), (1.0 if kind < 2 else 0.95), (0.5 if kind == 2 else 0.0)

    def beta(t: Any) -> Any:
        return b * (1 + depth * (wave * t).cos())

    def u(t: Any) -> Any:
        return u0 * (theta * b * (t + depth / wave * (wave * t).sin())).exp()

    return u, lambda t: u0 + margin + slope * t, beta, 3.0 / b


def _alpha_falls(rng: np.random.Generator) -> Case:
    """The solution of u = alpha + int u, less a margin, for an alpha that falls."""
    fall = float(rng.uniform(1.0, 1.6))
    return lambda t: fall + (1.99 - fall) * t.exp(), lambda t: 2 - fall * t, lambda t: arb(1), 1.0


def _beta_negative(rng: np.random.Generator) -> Case:
    """A function that is negative at first, so that a negative beta feeds it."""
    low = float(rng.uniform(2.9, 3.5))
    return lambda t: 5 * t * t - low, lambda t: arb(1), lambda t: arb(-1), 1.0


def check_theorem_1(variant: tuple[Callable[[np.random.Generator], Case], float], scale: Scale, seed: int) -> Evidence:
    """Share of random cases with a certified hypothesis whose conclusion is not certified, in ball arithmetic."""
    make, exponent = variant
    rng = np.random.default_rng(seed)
    cases = scale.pick(10, 40, 1000)
    found = [verify(*make(rng), exponent) for _ in range(cases)]
    tested = [f for f in found if f.hypothesis == "certified"]
    refuted = sum(f.conclusion == "refuted" for f in tested)
    open_ = sum(f.conclusion == "undecided" for f in tested) + cases - len(tested)
    numbers = {"refuted": float(refuted), "undecided": float(open_)}
    source = "ball arithmetic: every case is decided"
    return Evidence((refuted + open_) / cases, 0.0, source, "certified", cases, seed, numbers=numbers)


# --- Flows -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Flow:
    """An exact flow without decay: clock s (m,), W (m, h, h), Phi (m, h, d), their velocities, and inputs x (n, d).

    The clock runs over Gauss-Legendre nodes of panels between the entries ``edges``; ``weights`` (edges, m) integrate a
    function of s from 0 to each edge.
    """

    name: str
    s: Array
    W: Array
    Phi: Array
    dW: Array
    dPhi: Array
    x: Array
    edges: Array
    weights: Array


def _panels(s_end: float, count: int = 16, order: int = 4) -> tuple[Array, Array, Array]:
    """Times, indices of the panels' ends among them, and weights of the integrals up to these ends."""
    ends = np.append(0.0, np.geomspace(1e-3 * s_end, s_end, count))
    node, weight = np.polynomial.legendre.leggauss(order)
    half = np.diff(ends) / 2
    s = np.unique(np.concatenate([ends, (ends[:-1, None] + half[:, None] * (1 + node)).ravel()]))
    edges = np.searchsorted(s, ends)
    weights = np.zeros((len(ends), len(s)))
    for k, (first, size) in enumerate(zip(edges[:-1], half)):
        weights[k + 1 :, first + 1 : first + 1 + order] = size * weight
    return s, edges, weights


def _flow(name: str, W: Array, Phi: Array, setting: Setting, s_end: float, rng: np.random.Generator) -> Flow:
    """The flow from (W, Phi) up to s_end; all but those from Assumption 4 start, and stay, diagonal."""
    s, edges, weights = _panels(s_end)
    if name == "Assumption 4":
        run = population_flow(W, Phi, setting, s, rtol=RTOL)
        velocities = [cosine_field_expected(a, b, setting, 1e-8) for a, b in zip(run.W, run.Phi)]
        states = run.W, run.Phi, *(np.array(part) for part in zip(*velocities))
    else:
        modes = integrate(np.diag(W), np.diag(Phi) ** 2, setting, s_end, "exact", extinct=0.0, rtol=RTOL)
        w, phi = (np.array(part) for part in zip(*map(modes.at, s)))
        phi = np.maximum(phi, 1e-30)  # a mode that has died may stand below zero by rounding
        dw = np.array([diagonal_moments(a, b, setting, 1e-8).k for a, b in zip(w, phi)])
        root = np.sqrt(phi)
        states = tuple(part[:, :, None] * np.eye(setting.h) for part in (w, root, dw, w * dw / root))
    # Random inputs, and the one that the flow lengthens most.
    move = states[1][-1].T @ states[1][-1] - states[1][0].T @ states[1][0]
    x = np.vstack([rng.standard_normal((3, setting.d)), np.linalg.eigh(move)[1][:, -1]])
    return Flow(name, s, *states, x, edges, weights)


#: Accuracy of a step of the integrators; a bound may be missed by a hundred times as much.
RTOL = 1e-6
TOLERANCE = 100 * RTOL


@lru_cache(maxsize=2)
def flows(scale: Scale, seed: int) -> tuple[Flow, ...]:
    """Flows from three kinds of start: Assumption 4; its spectra, commuting; equal sizes with random signs."""
    rng, out = np.random.default_rng(seed), []
    for h in scale.pick((10,), (6, 16), (6, 10, 16, 24, 32)):
        setting = Setting(h=h, d=2 * h)
        out.append(_flow("Assumption 4", *initialize(setting, rng), setting, 4.0 * h, rng))
    for h in scale.pick((8,), (8, 24), (8, 16, 32, 64)):
        w, phi = commuting_start(Setting(h=h, d=2 * h), rng)
        out.append(_flow("commuting", np.diag(w), np.diag(np.sqrt(phi)), Setting(h=h, d=h), 10.0 * h, rng))
    for h in scale.pick((4, 8), (4, 12), (4, 8, 16, 32)):
        square = Setting(h=h, d=h)
        signs = np.where(np.arange(h) < (h + 1) // 2, 1.0, -1.0)
        phi = rng.uniform(1.1, 1.3, h)
        out.append(_flow("signs", np.diag(signs), np.diag(np.sqrt(phi)), square, 10.0 * h, rng))
    return tuple(out)


def norm(A: Array) -> Array:
    """Frobenius norm of each matrix of a stack."""
    return np.linalg.norm(A, axis=(-2, -1))


def _T(A: Array) -> Array:
    return np.swapaxes(A, -1, -2)


def _gram(A: Array) -> Array:
    return A @ _T(A)


# --- Lemmas 10 to 16: domination -------------------------------------------------------------------------------------

SCALES = (0.3, 1.0, 5.0)
RATES = (0.001, 0.01, 0.1, 1.0, 10.0)

#: A bound from (start, speed, t, rho) for Lemmas 10 to 13, from (start, head, speed, t, rho) for Lemmas 14 to 16.
Bound = Callable[..., Array]


def sizes(lemma: str, flow: Flow) -> Iterator[tuple[Array, float, float]]:
    """What a lemma is about, along a flow without decay: (size at each s, speed, head), one for each norm or input."""
    length = np.linalg.norm(flow.x, axis=1)
    WW, F = _gram(flow.W), _gram(flow.Phi)
    gram = _T(flow.Phi) @ flow.Phi
    Psi = flow.W @ flow.Phi
    head = float(norm(F)[0] + norm(WW)[0])
    spectral = np.linalg.norm(WW, 2, axis=(1, 2))
    if lemma == "lemma-10":
        yield norm(F), C, 0.0
    elif lemma == "lemma-11":
        yield norm(gram), C, 0.0
    elif lemma == "lemma-12":
        yield norm(WW), 2.0, 0.0
        yield spectral, 2.0, 0.0
    elif lemma == "lemma-13":
        for x, size in zip(flow.x, length):
            yield np.linalg.norm(gram @ x, axis=1), C * size, 0.0
    elif lemma == "lemma-14":
        yield norm(_gram(Psi)), 1.0, head
    elif lemma == "lemma-15":
        yield norm(_T(Psi) @ Psi), 1.0, head
    elif lemma == "lemma-16":
        for x, size in zip(flow.x, length):
            start = float(spectral[0] * size + np.linalg.norm(gram[0] @ x))
            yield np.linalg.norm(_T(Psi) @ Psi @ x, axis=1), size, start


def lemma_check(lemma: str) -> Callable[[Bound, Scale, int], Evidence]:
    """A check of one growth lemma: size over bound, minus one, at its largest over flows, scales, rates and times.

    The tightness is size over bound at its largest among times t >= 1 / rho: before, the bound has hardly left its
    start, where it is an equality. ``needed`` is the smallest constant (C, or c) with which no tested size exceeds it.
    """
    product = lemma in ("lemma-14", "lemma-15", "lemma-16")
    power = 4 if product else 2

    def run(bound: Bound, scale: Scale, seed: int) -> Evidence:
        worst = tight = needed = 0.0
        count = 0
        rates = RATES if product else (0.0, *RATES)
        for flow in flows(scale, seed):
            for size, speed, head in sizes(lemma, flow):
                for rho, c in itertools.product(rates, SCALES):
                    t = unclock(c**2 * flow.s, rho)
                    truth, start = c**power * np.exp(-power * rho * t) * size, c**power * size[0]
                    given = (start, c**2 * head, speed) if product else (start, speed)
                    ratio = truth / bound(*given, t, rho)
                    worst, count = max(worst, float(ratio.max())), count + len(t)
                    late = rho > 0 and rho * t >= 1.0
                    tight = max(tight, float(np.max(ratio, initial=0.0, where=late)))
                    if product:
                        room = (c**2 * head + speed * t) * np.exp(2 * rho * t) / rho
                        needed = max(needed, float(((truth * np.exp(-4 * rho * t) - start) / room).max()))
                    else:
                        gain = truth * np.exp(-2 * rho * t) - start
                        needed = max(needed, float((gain[1:] / t[1:]).max()) * C / speed)
        source = "tolerance 1e-6 a step of the integrators, times 100"
        numbers = {"needed": float(needed)}
        if lemma == "lemma-10":
            numbers["rate"] = largest_rate(scale.pick(10, 200, 4000), seed)
        return Evidence(worst - 1.0, TOLERANCE, source, "numerical", count, seed, tight, numbers=numbers)

    return run


def random_state(rng: np.random.Generator) -> tuple[Array, Array]:
    """(W, F) with h from 2 to 4 and spectra over some decades, W symmetric or not, in bases that do not commute."""
    h = int(rng.integers(2, 5))
    U, V, Q = (np.linalg.qr(rng.standard_normal((h, h)))[0] for _ in range(3))
    w = rng.choice([-1.0, 1.0], h) * np.exp(rng.uniform(-3.0, 1.0, h))
    return U * w @ (U if rng.random() < 0.5 else V).T, Q * np.exp(rng.uniform(-4.0, 2.0, h)) @ Q.T


@lru_cache
def largest_rate(count: int, seed: int) -> float:
    """Largest growth of ||F||_F in a unit of time without decay, 2 <F, W^T K> / ||F||_F, over random states."""
    rng, best = np.random.default_rng(seed), 0.0
    for _ in range(count):
        W, F = random_state(rng)
        K = matrix_moments(W, F, 1.0, 1e-5).K
        best = max(best, float(2 * np.sum(F * (W.T @ K)) / norm(F)))
    return best


# --- Eq. 9, 12, 13, 16: integral inequalities ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Curve:
    """W, Phi and velocities at times t; ``edges`` and ``weights`` as in `Flow`, for integrals over t.

    ``flows`` is False for a curve that is no solution of Eq. 3.
    """

    t: Array
    W: Array
    Phi: Array
    dW: Array
    dPhi: Array
    x: Array
    edges: Array
    weights: Array
    rho: float
    flows: bool = True

    def integral(self, f: Array) -> Array:
        """The integral of f (m,) from 0 to each edge."""
        return self.weights @ f

    def misfit(self) -> float:
        """How far the integrals of the velocities miss the states, relative: the error of integrator and Gauss sums."""
        out = 0.0
        for A, dA in ((self.W, self.dW), (self.Phi, self.dPhi)):
            missed = A[self.edges] - A[0] - np.tensordot(self.weights, dA, axes=1)
            out = max(out, float((norm(missed) / norm(A[self.edges])).max()))
        return out


@lru_cache(maxsize=2)
def curves(scale: Scale, seed: int) -> tuple[Curve, ...]:
    """The flows, with and without decay, and a curve that only grows, where triangle inequalities are equalities."""
    out = []
    for flow, rho in itertools.product(flows(scale, seed), (0.0, 3.0)):
        t = np.asarray(unclock(flow.s, rho))
        shrink = np.exp(-rho * t)[:, None, None]
        W, Phi = shrink * flow.W, shrink * flow.Phi
        # The velocities have degree -1, and ds = exp(2 rho t) dt.
        dW, dPhi = flow.dW / shrink - rho * W, flow.dPhi / shrink - rho * Phi
        weights = flow.weights * shrink[:, 0, 0] ** 2
        out.append(Curve(t, W, Phi, dW, dPhi, flow.x, flow.edges, weights, rho))
    first = flows(scale, seed)[0]
    t, edges, weights = _panels(1.0)
    W, Phi = (np.repeat(A[:1], len(t), axis=0) for A in (first.W, first.Phi))
    up = (1 + t)[:, None, None]
    out.append(Curve(t, up * W, up * Phi, W, Phi, first.x, edges, weights, 0.0, flows=False))
    return tuple(out)


#: From a curve to pairs (left side, right side) of the claimed inequality at the edges.
Sides = Callable[[Curve], Iterator[tuple[Array, Array]]]


def _eq_9(first: float, second: float) -> Sides:
    """||F(t)|| <= ||F(0)|| + first int ||F'|| and that <= ||F(0)|| + second int ||Phi' Phi^T||."""

    def sides(c: Curve) -> Iterator[tuple[Array, Array]]:
        size, half = norm(_gram(c.Phi)), c.dPhi @ _T(c.Phi)
        middle = size[0] + first * c.integral(norm(half + _T(half)))
        yield size[c.edges], middle
        yield middle, size[0] + second * c.integral(norm(half))

    return sides


def _eq_12(constant: float, rate: float) -> Sides:
    """||F(t)|| <= ||F(0)|| + constant t + rate rho int ||F||, along flows from starts of several sizes."""

    def sides(c: Curve) -> Iterator[tuple[Array, Array]]:
        for scale in SCALES if c.flows else ():
            # A flow from a start c times as large is c (W, Phi)(t / c^2) with the decay rho / c^2.
            size, t, rho = scale**2 * norm(_gram(c.Phi)), scale**2 * c.t, c.rho / scale**2
            yield size[c.edges], size[0] + constant * t[c.edges] + rate * rho * scale**2 * c.integral(size)

    return sides


def _eq_13(by_W: float, by_F: float) -> Sides:
    """||Psi Psi^T(t)|| <= ||Psi Psi^T(0)|| + by_W int (A) + by_F int (B)."""

    def sides(c: Curve) -> Iterator[tuple[Array, Array]]:
        F, half = _gram(c.Phi), c.dPhi @ _T(c.Phi)
        size = norm(_gram(c.W @ c.Phi))
        A, B = norm(c.dW @ F @ _T(c.W)), norm(c.W @ (half + _T(half)) @ _T(c.W))
        yield size[c.edges], size[0] + by_W * c.integral(A) + by_F * c.integral(B)

    return sides


def _eq_16(by_W: float, by_Phi: float) -> Sides:
    """||Psi^T Psi(t) x0|| <= ||Psi^T Psi(0) x0|| + by_W int (A) + by_Phi int (B)."""

    def sides(c: Curve) -> Iterator[tuple[Array, Array]]:
        Psi, turn = c.W @ c.Phi, _T(c.dW) @ c.W
        gram, A = _T(Psi) @ Psi, _T(c.Phi) @ (turn + _T(turn)) @ c.Phi
        half = _T(c.dPhi) @ _T(c.W) @ Psi
        for x in c.x:
            size, a, b = (np.linalg.norm(M @ x, axis=1) for M in (gram, A, half + _T(half)))
            yield size[c.edges], size[0] + by_W * c.integral(a) + by_Phi * c.integral(b)

    return sides


def check_integral(sides: Sides, scale: Scale, seed: int) -> Evidence:
    """Largest excess of a left side over its right side, relative, at the ends of the panels."""
    pairs = [pair for curve in curves(scale, seed) for pair in sides(curve)]
    worst = max(float((left / right - 1.0)[1:].max()) for left, right in pairs)
    tight = max(float((left / right)[1:].max()) for left, right in pairs)
    threshold = 4 * max(curve.misfit() for curve in curves(scale, seed))
    source = "how far integrals of the velocities miss the states, measured, times 4 for the degree of Psi Psi^T"
    return Evidence(worst, threshold, source, "numerical", sum(len(a) for a, _ in pairs), seed, tight)


# --- Eq. 10 ----------------------------------------------------------------------------------------------------------

#: A formula for Phi' Phi^T from (W, H, F, rho).
Drive = Callable[[Array, Array, Array, float], Array]


def check_eq_10(variant: tuple[Drive, bool], scale: Scale, seed: int) -> Evidence:
    """Phi' Phi^T by hand on random samples against the formula; W is not symmetric, and singular in one variant."""
    formula, singular = variant
    rng, worst, rho, cases = np.random.default_rng(seed), 0.0, 0.3, scale.pick(10, 100, 1000)
    for _ in range(cases):
        setting = Setting(h=4, d=6)
        W, Phi, (x, x1) = rng.standard_normal((4, 4)), rng.standard_normal((4, 6)), views(setting, 30, rng)
        if singular:
            W[3] = W[2]
        F = Phi @ Phi.T
        truth = cosine_field(W, Phi, x, x1)[1] @ Phi.T - rho * F
        claimed = formula(W, H_sample(W, Phi, x, x1), F, rho)
        # An inverse loses as many digits as W is ill-conditioned, twice: in it and in H, which is divided by ||u||.
        loss = 1.0 if singular else np.linalg.cond(W) ** 2
        worst = max(worst, float(norm(claimed - truth) / norm(truth) / loss))
    source = "rounding 2.2e-16 times 1e3, in units of the squared condition number of W"
    return Evidence(worst, 2.2e-13, source, "numerical", cases, seed)


def _eq_10(W: Array, H: Array, F: Array, rho: float) -> Array:
    return W.T @ H @ np.linalg.pinv(W.T) - rho * F


# --- Eq. 11, 14, 15: the driving terms -------------------------------------------------------------------------------


def turned(L: float) -> tuple[Array, Array]:
    """(W, F) of the counterexample to Eq. 11: eigenvalues (eps, eps, 1) of W, F = diag(L^2, 1, 1), a turn by 0.9 / L.

    eps = 0.45 / L. The one large eigenvector of W leans towards the large one of F by a small angle.
    """
    angle, eps = 0.9 / L, 0.45 / L
    n = np.array([-np.sin(angle), 0.0, np.cos(angle)])
    return eps * np.eye(3) + (1 - eps) * np.outer(n, n), np.diag([L**2, 1.0, 1.0])


def nearly_rank_one(eps: float) -> tuple[Array, Array]:
    """(W, F) of the counterexample to Eq. 14: eigenvalues (1, eps) of W, turned against F = diag(6, 1)."""
    n = np.array([np.cos(1.2), np.sin(1.2)])
    return eps * np.eye(2) + (1 - eps) * np.outer(n, n), np.diag([6.0, 1.0])


LADDER_11 = (10.0, 30.0, 100.0, 300.0, 1000.0)
LADDER_14 = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)


@dataclass(frozen=True)
class Drives:
    """The driving terms of a state and what bounds them: Frobenius norms, all without decay.

    eq_11: ||W^T H W^{-T}||.  eq_14: ||K F W^T||.  eq_15: ||W W^T H||, twice the symmetric part of which is W F' W^T.
    """

    h: int
    H: float
    eq_11: float
    eq_14: float
    eq_15: float
    F: float
    WW: float
    gram: float
    A: Callable[[float], float]
    B: Callable[[float], float]


def drives(W: Array, F: Array, sigma2: float = 1.0) -> Drives:
    """The driving terms of a state, from the exact moments. W^T H W^{-T} = W^T K needs no inverse."""
    K = matrix_moments(W, F, sigma2, 1e-7).K
    gram, half = W @ F @ W.T, W.T @ K
    return Drives(
        len(W),
        *map(float, (norm(K @ W.T), norm(half), norm(K @ F @ W.T), norm(W @ W.T @ K @ W.T))),
        *map(float, (norm(F), norm(W @ W.T), norm(gram))),
        lambda rho: float(norm(K @ F @ W.T - rho * gram)),
        lambda rho: float(norm(W @ (half + half.T - 2 * rho * F) @ W.T)),
    )


@lru_cache(maxsize=8)
def driven(kind: str, scale: Scale, seed: int) -> tuple[Drives, ...]:
    """States: ``paper``, Assumption 4 at several sizes and along flows from it; ``commuting``; ``any``, every kind."""
    rng = np.random.default_rng(seed)
    if kind == "paper":
        settings = [Setting(h=h, d=2 * h) for h in (4, 4, 8, 16, 32, *scale.pick((), (64, 128), (256,)))]
        settings += [Setting(h=8, d=d) for d in (2, 8, 64)]
        starts = [(W, Phi @ Phi.T) for W, Phi in (initialize(s, rng) for s in settings)]
        along = [f for f in flows(scale, seed) if f.name == "Assumption 4"]
        starts += [(f.W[i], _gram(f.Phi[i])) for f in along for i in f.edges[1::2]]
    elif kind == "commuting":
        starts = [(np.diag(w), np.diag(phi)) for w, phi in (commuting_start(Setting(8, 8), rng) for _ in range(5))]
        # The counterexamples without their turn.
        starts += [(np.diag([0.45 / L, 0.45 / L, 1.0]), np.diag([L**2, 1.0, 1.0])) for L in LADDER_11]
        starts += [(np.diag([1.0, eps]), np.diag([6.0, 1.0])) for eps in LADDER_14]
    else:
        starts = [random_state(rng) for _ in range(scale.pick(10, 100, 1000))]
        starts += [*map(turned, LADDER_11), *map(nearly_rank_one, LADDER_14)]
    return tuple(drives(*start) for start in starts)


#: Which states, and the ratio of a driving term to its bound in one of them.
Reading = tuple[str, Callable[[Drives], float]]


def check_drive(reading: Reading, scale: Scale, seed: int) -> Evidence:
    """The driving term over its bound at its largest, over the states of the reading."""
    kind, ratio = reading
    worst = max(map(ratio, driven(kind, scale, seed)))
    source = "a bound: the ratio is at most one; quadrature 1e-7, times 10"
    return Evidence(worst, 1.0 + 1e-6, source, "numerical", len(driven(kind, scale, seed)), seed, worst)


def _eq_14(constant: float, rate: float) -> Callable[[Drives], float]:
    def ratio(d: Drives) -> float:
        return max(d.A(rho) / (constant * d.F + rate * rho * d.gram) for rho in (0.0, 0.1, 1.0, 10.0, 100.0))

    return ratio


def _eq_15(constant: float, rate: float) -> Callable[[Drives], float]:
    """The whole chain: (B) <= 2 ||W W^T H|| + rate rho ||Psi Psi^T|| <= constant ||W W^T|| + rate rho ||Psi Psi^T||."""

    def ratio(d: Drives) -> float:
        out = 0.0
        for rho in (0.0, 0.1, 1.0, 10.0, 100.0):
            decay = rate * rho * d.gram
            middle, end = 2 * d.eq_15 + decay, constant * d.WW + decay
            out = max(out, d.B(rho) / middle, middle / end)
        return out

    return ratio


# --- Beyond ----------------------------------------------------------------------------------------------------------


def growths() -> tuple[float, float]:
    """Exponent of ||W^T H W^{-T}|| in L; last step of ||K F W^T|| / ||F|| by a decade of eps over the step before.

    The second number is 1 for growth like log(1 / eps), below 1 if the values converge and above 1 for a power.
    """
    eleven = [drives(*turned(L)).eq_11 for L in LADDER_11]
    fourteen = [drives(*nearly_rank_one(eps)) for eps in LADDER_14]
    steps = np.diff([d.eq_14 / d.F for d in fourteen])
    return float(np.polyfit(np.log(LADDER_11), np.log(eleven), 1)[0]), float(steps[-1] / steps[-2])


def check_no_constant(claimed: tuple[float, float], scale: Scale, seed: int) -> Evidence:
    """Exponent in L, and ratio of the last two steps by a decade, against the claimed ones."""
    exponent, ratio = found = growths()
    worst = max(abs(a - b) for a, b in zip(found, claimed))
    source = "half the gap to the neighbouring exponents 1/2 and 3/2; a quarter of the step"
    numbers = {"exponent": exponent, "ratio": ratio}
    return Evidence(worst, 0.25, source, "numerical", len(LADDER_11) + len(LADDER_14), None, numbers=numbers)


#: A bound of ||W^T K||_F from W and the feature norms (n,) of q = Phi x and u = W q.
Repair = Callable[[Array, Array, Array], float]


def check_repair(bound: Repair, scale: Scale, seed: int) -> Evidence:
    """||W^T H W^{-T}||_F, which is ||W^T K||_F, over its bound on samples of 2 to 500 inputs, W over six decades."""
    rng, worst, cases = np.random.default_rng(seed), 0.0, scale.pick(40, 400, 4000)
    for i in range(cases):
        W, F = turned(float(LADDER_11[i % 5])) if i % 4 == 0 else random_state(rng)
        h = len(W)
        W, Phi = W * np.exp(rng.uniform(-7.0, 7.0)), np.linalg.cholesky(F)
        x, x1 = views(Setting(h=h, d=h), int(rng.choice([2, 20, 500])), rng)
        K = cosine_field(W, Phi, x, x1)[0]
        q, u = (np.linalg.norm(y, axis=1) for y in (x @ Phi.T, x @ Phi.T @ W.T))
        worst = max(worst, float(norm(W.T @ K)) / bound(W, q, u))
    source = "a bound: the ratio is at most one, up to rounding times 1e4"
    return Evidence(worst, 1.0 + 2.2e-12, source, "numerical", cases, seed, worst)


#: Bounds of ||F||_F, ||Psi Psi^T||_F and ||W W^T|| (Frobenius, then spectral) from a flow's start.
Laws = Callable[[float, float, float, Array, float], tuple[Array, Array, Array]]


def laws(norm_Phi: float, norm_W: float, WW: float, t: Array, rho: float) -> tuple[Array, Array, Array]:
    """The claimed bounds: the norm law, twice, and variation of constants."""
    return faster()(norm_Phi, norm_W, WW, t, rho)


def check_growth(bounds: Laws, scale: Scale, seed: int) -> Evidence:
    """Size over bound at its largest, as in the checks of the lemmas, for all sizes; tightness of the loosest one."""
    worst, tight, count = 0.0, np.zeros(4), 0
    for flow in flows(scale, seed):
        F, Psi, WW = norm(_gram(flow.Phi)), norm(_gram(flow.W @ flow.Phi)), _gram(flow.W)
        truths = F, Psi, norm(WW), np.linalg.norm(WW, 2, axis=(1, 2))
        for rho, c in itertools.product((0.0, *RATES), SCALES):
            t = np.asarray(unclock(c**2 * flow.s, rho))
            late = rho * t >= 1.0
            for i, truth in enumerate(truths):
                power = 4 if i == 1 else 2
                start = float(c**2 * truth[0]) if i > 1 else 0.0
                bound = bounds(c * float(norm(flow.Phi[0])), c * float(norm(flow.W[0])), start, t, rho)[min(i, 2)]
                ratio = c**power * np.exp(-power * rho * t) * truth / bound
                worst, count = max(worst, float(ratio.max())), count + len(t)
                tight[i] = max(tight[i], float(np.max(ratio, initial=0.0, where=late)))
    source = "tolerance 1e-6 a step of the integrators, times 100"
    return Evidence(worst - 1.0, TOLERANCE, source, "numerical", count, seed, float(tight.min()))


def faster(F: float = 1.0, Psi: float = 1.0, WW: float = 1.0, speed: float = 2.0) -> Laws:
    """The claimed bounds with the decay of one of them multiplied, or with another speed."""

    def bounds(norm_Phi: float, norm_W: float, start: float, t: Array, rho: float) -> tuple[Array, Array, Array]:
        return (
            law_bound(norm_Phi, norm_W, t, F * rho)[0],
            law_bound(norm_Phi, norm_W, t, Psi * rho)[1],
            np.minimum(decay_bound(start, speed, t, WW * rho), law_bound(norm_W, norm_Phi, t, rho)[0]),
        )

    return bounds


@dataclass(frozen=True)
class DecayKept:
    """The bounds with decay kept as decay: their exponents, and what the loss adds, each multiplied by a factor."""

    F: float = 1.0
    Psi: float = 1.0
    C: float = 1.0
    c: float = 1.0

    def single(self, start: float, speed: float, t: Array, rho: float) -> Array:
        """For Lemmas 10 to 13."""
        return decay_bound(start, self.C * speed, t, rho) * np.exp((1 - self.F) * 2 * rho * t)

    def product(self, start: float, head: float, speed: float, t: Array, rho: float) -> Array:
        """For Lemmas 14 to 16."""
        return product_decay_bound(start, head, speed, t, rho, 4 * self.c) * np.exp((1 - self.Psi) * 4 * rho * t)


def check_decay_kept(variant: DecayKept, scale: Scale, seed: int) -> Evidence:
    """Size over bound, minus one, at its largest, as for Lemmas 11, 13, 14 and 16; tightness of the loosest one."""
    found = [
        *(lemma_check(lemma)(variant.single, scale, seed) for lemma in ("lemma-11", "lemma-13")),
        *(lemma_check(lemma)(variant.product, scale, seed) for lemma in ("lemma-14", "lemma-16")),
    ]
    worst, tight = max(e.statistic for e in found), min(e.tightness or 0.0 for e in found)
    return Evidence(worst, TOLERANCE, found[0].source, "numerical", sum(e.samples for e in found), seed, tight)


# --- The list --------------------------------------------------------------------------------------------------------


def _growth(speed: float = 1.0, rate: float = 1.0) -> Bound:
    """The bound of Lemmas 10 to 13 with its speed, and the exponent of its last factor, multiplied."""
    return lambda start, v, t, rho: growth_bound(start, speed * v, t, 0.0) * np.exp(rate * 2.0 * rho * t)


def _without_c(rate: float) -> Bound:
    return lambda start, head, speed, t, rho: start * np.exp(rate * rho * t)


_GROWTH = {
    "without C t": _growth(speed=0.0),
    "C t fifty times smaller": _growth(speed=0.02),
    "exp(-2 rho t) for exp(2 rho t), without C t": _growth(speed=0.0, rate=-1.0),
    "exp(-3 rho t) for exp(2 rho t)": _growth(rate=-1.5),
}
_PRODUCT = {
    "without the term of c": _without_c(4.0),
    "without the term of c, exp(-4 rho t) for exp(4 rho t)": _without_c(-4.0),
    "c a hundred thousand times smaller": lambda *given: product_growth_bound(*given, c=4e-5),
}

CHECKS: dict[str, Check] = {
    "theorem-1": Check(
        check_theorem_1,
        claimed=(gronwall_case, 1.0),
        wrong={
            "half the integral in the exponent": (gronwall_case, 0.5),
            "nine tenths of the integral in the exponent": (gronwall_case, 0.9),
            "alpha may fall": (_alpha_falls, 1.0),
            "beta may be negative": (_beta_negative, 1.0),
        },
    ),
    "eq-9": Check(
        check_integral,
        claimed=_eq_9(1.0, 2.0),
        wrong={
            "nine tenths of the first integral": _eq_9(0.9, 2.0),
            "1.9 for the factor 2": _eq_9(1.0, 1.9),
            "without the factor 2": _eq_9(1.0, 1.0),
        },
    ),
    "eq-10": Check(
        check_eq_10,
        claimed=(_eq_10, False),
        wrong={
            "a singular W": (_eq_10, True),
            "H transposed": (lambda W, H, F, rho: _eq_10(W, H.T, F, rho), False),
            "W for its transpose": (lambda W, H, F, rho: _eq_10(W.T, H, F, rho), False),
            "2 rho for rho": (lambda W, H, F, rho: _eq_10(W, H, F, 2 * rho), False),
        },
    ),
    "eq-11": Check(
        check_drive,
        claimed=("paper", lambda d: d.eq_11),
        wrong={
            "1 / h for the constant": ("paper", lambda d: d.h * d.eq_11),
            "a tenth of the constant": ("paper", lambda d: 10 * d.eq_11),
            "nine tenths of ||H||": ("paper", lambda d: d.eq_11 / (0.9 * d.H)),
        },
        readings={
            "for all W and F that commute": ("commuting", lambda d: d.eq_11),
            "for all W and F": ("any", lambda d: d.eq_11),
        },
    ),
    "eq-12": Check(
        check_integral,
        claimed=_eq_12(C, 2.0),
        wrong={
            "without C t": _eq_12(0.0, 2.0),
            "C fifty times smaller": _eq_12(0.02 * C, 2.0),
            "minus 4 rho for 2 rho": _eq_12(C, -4.0),
        },
    ),
    "eq-13": Check(
        check_integral,
        claimed=_eq_13(2.0, 1.0),
        wrong={
            "without the factor 2": _eq_13(1.0, 1.0),
            "1.9 for the factor 2": _eq_13(1.9, 1.0),
            "nine tenths of (B)": _eq_13(2.0, 0.9),
        },
    ),
    "eq-14": Check(
        check_drive,
        claimed=("paper", _eq_14(1.0, 1.0)),
        wrong={
            "rho / 2 for rho": ("paper", _eq_14(1.0, 0.5)),
            "a tenth of the constant": ("paper", _eq_14(0.1, 1.0)),
        },
        readings={
            "for all W and F that commute": ("commuting", _eq_14(1.0, 1.0)),
            "for all W and F": ("any", _eq_14(1.0, 1.0)),
        },
    ),
    "eq-15": Check(
        check_drive,
        claimed=("any", _eq_15(2.0, 2.0)),
        wrong={
            "rho for 2 rho": ("any", _eq_15(2.0, 1.0)),
            "1.9 rho for 2 rho": ("any", _eq_15(2.0, 1.9)),
            "a twentieth of the constant": ("any", _eq_15(0.1, 2.0)),
        },
    ),
    "eq-16": Check(
        check_integral,
        claimed=_eq_16(1.0, 1.0),
        wrong={
            "half of (A)": _eq_16(0.5, 1.0),
            "nine tenths of (A)": _eq_16(0.9, 1.0),
            "half of (B)": _eq_16(1.0, 0.5),
        },
    ),
    **{
        id: Check(lemma_check(id), claimed=growth_bound, wrong=_GROWTH)
        for id in ("lemma-10", "lemma-11", "lemma-12", "lemma-13")
    },
    **{
        id: Check(lemma_check(id), claimed=product_growth_bound, wrong=_PRODUCT)
        for id in ("lemma-14", "lemma-15", "lemma-16")
    },
    "beyond-no-constant": Check(
        check_no_constant,
        claimed=(1.0, 1.0),
        wrong={
            "the first stays bounded": (0.0, 1.0),
            "the first grows like the square root of L": (0.5, 1.0),
            "the second stays bounded": (1.0, 0.0),
            "the second doubles its steps": (1.0, 2.0),
        },
    ),
    "beyond-repair": Check(
        check_repair,
        claimed=lambda W, q, u: float(np.linalg.norm(W, 2) * np.mean(q / u)),
        wrong={
            "an absolute constant": lambda W, q, u: 1.0,
            "without the norm of W": lambda W, q, u: float(np.mean(q / u)),
            "the smallest singular value for the norm of W": lambda W, q, u: float(
                np.linalg.norm(W, -2) * np.mean(q / u)
            ),
        },
    ),
    "beyond-growth": Check(
        check_growth,
        claimed=laws,
        wrong={
            "||F|| decays like exp(-3 rho t)": faster(F=1.5),
            "||Psi Psi^T|| decays like exp(-6 rho t)": faster(Psi=1.5),
            "||W W^T|| decays like exp(-4 rho t) where the loss adds nothing": faster(WW=2.0, speed=0.0),
            "the loss adds nothing to ||W W^T||": faster(speed=0.0),
        },
    ),
    "beyond-decay-kept": Check(
        check_decay_kept,
        claimed=DecayKept(),
        wrong={
            "Phi^T Phi decays like exp(-3 rho t)": DecayKept(F=1.5),
            "Psi Psi^T decays like exp(-6 rho t)": DecayKept(Psi=1.5),
            "the loss adds nothing to Phi^T Phi": DecayKept(C=0.0),
            "the loss adds nothing to Psi Psi^T": DecayKept(c=0.0),
            "C fifty times smaller": DecayKept(C=0.02),
        },
    ),
}
