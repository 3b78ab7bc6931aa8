r"""Sub-Weibull variables (Appendix A.1): Orlicz norms, what is equivalent to them, closure, and sums of independents.

A variable enters only through the tail of its size, x -> P(|X| >= x), so a law is that function (`Law`). With beta the
index, ``norm(law, beta)`` is the smallest eta with E exp((|X| / eta)^beta) <= 2, and

    E exp((|X| / eta)^beta) - 1 = int_0^inf d/dx[exp((x / eta)^beta)] P(|X| >= x) dx

is one integral that serves every law. It is taken by the trapezoidal rule after a double-exponential substitution,
piece by piece between the points where the tail is not smooth, in logarithms so that nothing overflows. The nodes are
doubled until the answer no longer moves; the relative error of a norm is then below `ACCURACY`.

Constants that the paper calls "absolute" are explicit here. Their derivations are in the chapter "Sub-Weibull
variables".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, minimize_scalar
from scipy.special import gammaln, log_ndtr
from scipy.stats import chi2
from scipy.stats import norm as normal

from featnorm._validate import Array, array, between, positive, positive_int

#: Relative accuracy of the norms and best constants below.
ACCURACY = 1e-11

_DEEP = -700.0  # log of the tail probability beyond which a law is not evaluated: the edge of the floating-point range
_FAR = 1e300
_MOST_NODES = 8192

# --- Laws ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Law:
    """The law of |X|: its tail, and how fast that tail ends.

    Attributes
    ----------
    name: for tables and figures.
    log_tail: x (n,) >= 0 -> log P(|X| >= x), (n,); -inf beyond the support.
    index: tau such that log P(|X| >= x) / x^tau tends to -scale^-tau; inf for a bounded variable.
    scale: see ``index``; the largest value of a bounded variable.
    breaks: increasing positive points where the tail is not smooth; the last one of a bounded variable is ``scale``.

    >>> law = Law("exponential of mean 2", lambda x: -x / 2, index=1.0, scale=2.0)
    >>> round(norm(law, 1.0), 6)   # as `exponential` has it
    4.0
    """

    name: str
    log_tail: Callable[[Array], Array]
    index: float
    scale: float
    breaks: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        positive("scale", self.scale)
        if not self.index > 0:
            raise ValueError(f"index = {self.index!r}: must be above 0, or inf for a bounded variable")
        if any(b <= a for a, b in zip((0.0, *self.breaks), self.breaks)):
            raise ValueError(f"breaks = {self.breaks!r}: must be positive and increase")
        if self.index == math.inf and self.breaks[-1:] != (self.scale,):
            raise ValueError(f"breaks = {self.breaks!r}: must end at scale = {self.scale!r} for a bounded variable")


def gaussian(sigma: float = 1.0) -> Law:
    """A centred Gaussian of standard deviation ``sigma``; its index is 2.

    >>> round(norm(gaussian(), 2) ** 2, 10) == round(8 / 3, 10)
    True
    """
    sigma = positive("sigma", sigma)
    return Law("Gaussian", lambda x: math.log(2) + log_ndtr(-x / sigma), 2.0, math.sqrt(2) * sigma)


def weibull(shape: float, scale: float = 1.0) -> Law:
    """P(|X| >= x) = exp(-(x / scale)^shape), of either sign; its index is ``shape``.

    >>> norm(weibull(0.5), 0.5)  # scale * 2^(1 / shape)
    4.0
    """
    shape, scale = positive("shape", shape), positive("scale", scale)
    return Law(f"Weibull, shape {shape:g}", lambda x: -((x / scale) ** shape), shape, scale)


def exponential(mean: float = 1.0) -> Law:
    """An exponential variable, or a Laplace variable, with E|X| = ``mean``; its index is 1.

    >>> round(norm(exponential(), 1), 12), norm(exponential(), 2)
    (2.0, inf)
    """
    law = weibull(1.0, positive("mean", mean))
    return Law("exponential", law.log_tail, 1.0, law.scale)


def chi_square(k: int, centred: bool = False) -> Law:
    """Q, or Q - k if ``centred``, where Q is the sum of k squared standard Gaussians; its index is 1.

    Appendix A adds up squares as they are; Bernstein's inequality is about the centred ones.

    >>> round(norm(chi_square(2), 1), 12), round(norm(chi_square(2, centred=True), 1), 6)
    (4.0, 3.062694)
    """
    k = positive_int("k", k)
    if not centred:
        return Law(f"chi-square, {k}", lambda x: _log(chi2.sf(x, k)), 1.0, 2.0)

    def log_tail(x: Array) -> Array:
        return _log(chi2.sf(k + x, k) + chi2.cdf(k - x, k))

    return Law(f"chi-square, {k}, centred", log_tail, 1.0, 2.0, breaks=(float(k),))


def gaussian_product() -> Law:
    r"""g g' with g, g' independent standard Gaussians; its index is 1.

    The density is K_0(|x|) / pi, so P(|X| >= x) = (2 / pi) int_0^inf exp(-x cosh t) / cosh t dt.

    >>> round(norm(gaussian_product(), 1), 6)
    1.478296
    """
    return Law("product of Gaussians", _log_tail_product, 1.0, 1.0)


def indicator(probability: float, value: float = 1.0) -> Law:
    """|X| = ``value`` with the given probability, else 0; a random sign if the probability is 1.

    >>> round(norm(indicator(0.5), 1) * math.log(3), 12)
    1.0
    """
    p, value = between(0.0, 1.0)("probability", probability), positive("value", value)
    if p == 0:
        raise ValueError("probability = 0.0: must be above 0, since a variable that is zero has no law to speak of")
    name = "random sign" if p == 1 else f"indicator, {p:g}"
    return Law(name, lambda x: np.where(x <= value, math.log(p), -np.inf), math.inf, value, breaks=(value,))


def _log(x: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(x)


# Nodes of the trapezoidal rule in t, in units of the width min(1, x^-1/2) of the integrand, which is even and analytic
# up to distance pi / 2 from the real axis in these units: a step of 0.2 leaves an error of exp(-pi^2 / 0.2) = 4e-22.
_T = 0.2 * np.arange(201)
_T_WEIGHT = np.where(_T == 0, 0.1, 0.2)


def _log_tail_product(x: Array) -> Array:
    x = np.asarray(x, dtype=float)
    width = np.maximum(x, 1.0) ** -0.5
    t = np.multiply.outer(width, _T)
    rise = 2 * np.sinh(t / 2) ** 2  # cosh t - 1 without cancellation
    total = (np.exp(-x[..., None] * rise) / (1 + rise)) @ _T_WEIGHT * width
    return math.log(2 / math.pi) - x + np.log(total)


# --- One grid for every integral over a law --------------------------------------------------------------------------


def _log_sum(terms: Array) -> float:
    """log of the sum of exp(terms); several times faster here than SciPy's, which serves many more shapes."""
    top = float(terms.max())
    return top + math.log(float(np.exp(terms - top).sum()))


def _end(law: Law) -> float:
    """Where the tail of an unbounded law is as small as it is followed."""
    x = law.scale
    while x < _FAR and law.log_tail(np.array([x]))[0] > _DEEP:
        x *= 2
    return x


@lru_cache(maxsize=64)
def _grid(law: Law, beta: float, nodes: int) -> tuple[Array, Array]:
    """log x (n,) and log(weight * P(|X| >= x)) (n,) for integrals over d log x; ``nodes`` a piece."""
    log_x, log_weight = [], []
    a = 0.0
    for b in law.breaks:
        # tanh-sinh; towards x = 0 the integrand falls like x^beta only, so that more of the logarithm of x is needed
        t, step = np.linspace(-math.asinh(60 / beta) if a == 0.0 else -4.5, 4.5, nodes, retstep=True)
        s = np.pi / 2 * np.sinh(t)
        left = -np.logaddexp(0.0, -2 * s)  # log of (x - a) / (b - a)
        x_log = math.log(b) + left if a == 0.0 else np.log(a + (b - a) * np.exp(left))
        # dx = (b - a) * 2 * share * (1 - share) ds and d log x = dx / x
        log_x.append(x_log)
        log_weight.append(
            math.log(step * np.pi * (b - a)) + np.log(np.cosh(t)) + left - np.logaddexp(0.0, 2 * s) - x_log
        )
        a = b
    if law.index < math.inf:
        # exp-sinh around the middle of what is left, in units in which that middle is 1
        end = _end(law)
        at = np.geomspace(law.scale * 1e-6, end, 200)
        tail = law.log_tail(a + at)
        middle = at[np.searchsorted(-tail, -tail[0] + 1.0)]
        t, step = np.linspace(-math.asinh(60 / min(beta, 1.0)), math.asinh(math.log(end / middle)), nodes, retstep=True)
        u = math.log(middle) + np.sinh(t)
        x_log = u if a == 0.0 else np.log(a + np.exp(u))
        log_x.append(x_log)
        log_weight.append(math.log(step) + np.log(np.cosh(t)) + u - x_log)
    out = np.concatenate(log_x)
    return out, np.concatenate(log_weight) + law.log_tail(np.exp(out))


def _settled(value: Callable[[int], float]) -> float:
    """``value(nodes)`` with the nodes doubled until it moves by less than a hundredth of `ACCURACY`."""
    nodes = 128
    old = value(nodes)
    while nodes < _MOST_NODES:
        nodes *= 2
        new = value(nodes)
        if abs(new - old) <= 0.01 * ACCURACY * abs(new):
            return new
        old = new
    raise ValueError(f"law: its tail is not smooth enough, the integral still moves with {nodes} nodes a piece")


# --- Definition 1 and Proposition 3 ----------------------------------------------------------------------------------


def norm(law: Law, beta: float) -> float:
    """Definition 1: the smallest eta with E exp((|X| / eta)^beta) <= 2; inf if no eta will do.

    The norm is infinite exactly if beta exceeds the index of the law. Relative error below `ACCURACY`.

    Raises ValueError if beta is not a finite number above 0.

    >>> norm(gaussian(), 2.1)
    inf
    """
    beta = positive("beta", beta)
    if beta > law.index:
        return math.inf

    def solve(nodes: int) -> float:
        log_x, log_w = _grid(law, beta, nodes)

        def excess(log_eta: float) -> float:
            y = beta * (log_x - log_eta)
            with np.errstate(over="ignore"):
                exponent = np.exp(np.minimum(y, 700.0))
            return _log_sum(np.where(np.isneginf(log_w), -np.inf, math.log(beta) + y + exponent + log_w))

        # At the index no eta up to the scale will do, and just above it the integral is followed only so far.
        floor = math.log(law.scale) if beta == law.index else -math.inf
        low = high = math.log(law.scale) + 1.0
        while excess(high) > 0:
            low, high = high, high + 1.0
        while low > floor and excess(low) <= 0:
            low, high = max(low - 1.0, floor), low
        if excess(low) <= 0:
            return law.scale
        return math.exp(brentq(excess, low, high, xtol=1e-15, rtol=1e-15))

    return _settled(solve)


def moment(law: Law, p: float) -> float:
    """(E|X|^p)^(1/p) for p > 0; relative error below `ACCURACY`.

    >>> round(moment(exponential(), 3) ** 3, 9)
    6.0
    """
    p = positive("p", p)
    return _settled(lambda nodes: math.exp(_log_moment(law, p, nodes)))


def _log_moment(law: Law, p: float, nodes: int) -> float:
    log_x, log_w = _grid(law, min(p, 1.0), nodes)
    return _log_sum(math.log(p) + p * log_x + log_w) / p


def _highest(f: Callable[[float], float], at: Array) -> float:
    """The largest value of a function: on the points ``at``, then refined between the neighbours of the best one."""
    values = [f(float(x)) for x in at]
    best = int(np.argmax(values))
    low, high = at[max(best - 1, 0)], at[min(best + 1, len(at) - 1)]
    refined = minimize_scalar(lambda x: -f(float(x)), bounds=(low, high), method="bounded", options={"xatol": 1e-9})
    return max(values[best], -float(refined.fun))


def tail_constant(law: Law, beta: float) -> float:
    """Condition 1 of Proposition 3: the smallest K1 with P(|X| >= x) <= 2 exp(-(x / K1)^beta) for all x; or inf.

    >>> round(tail_constant(exponential(), 1), 9)
    1.0
    """
    beta = positive("beta", beta)
    if beta > law.index:
        return math.inf

    def log_ratio(u: float) -> float:
        tail = float(law.log_tail(np.array([math.exp(u)]))[0])
        return u - math.log(math.log(2) - tail) / beta if tail > -math.inf else -1e3  # below all others, but finite

    corners = [log_ratio(math.log(b)) for b in law.breaks]
    limit = math.log(law.scale) if beta == law.index else -math.inf
    top = law.scale if law.index == math.inf else _end(law)
    grid = np.linspace(math.log(law.scale) - 14.0, math.log(top), 400)
    return math.exp(max(_highest(log_ratio, grid), limit, *corners))


def moment_constant(law: Law, beta: float) -> float:
    """Condition 2 of Proposition 3: the smallest K2 with (E|X|^p)^(1/p) <= K2 p^(1/beta) for all p >= 1; or inf.

    >>> round(moment_constant(exponential(), 1), 9)
    1.0
    """
    beta = positive("beta", beta)
    if beta > law.index:
        return math.inf
    # At the index the ratio tends to a limit. Moments of order 200 tau are as high as the grid reaches; a bounded
    # variable has its largest ratio at an order of about beta.
    tau = law.index if law.index < math.inf else beta
    limit = math.log(law.scale) - math.log(math.e * tau) / tau if beta == law.index else -math.inf

    def best(nodes: int) -> float:
        orders = np.linspace(0.0, max(math.log(200 * tau), 0.1), 60)
        highest = _highest(lambda u: _log_moment(law, math.exp(u), nodes) - u / beta, orders)
        return math.exp(max(highest, limit))

    return _settled(best)


def _moderate(beta: float, name: str = "beta") -> float:
    """An index whose constants stay within the floating-point range: they grow like the power 1 / beta, or faster."""
    if positive(name, beta) < 0.01:
        raise ValueError(f"{name} = {beta!r}: must be at least 0.01; below, constants leave the floating-point range")
    return float(beta)


def tail_to_norm(beta: float) -> float:
    """The smallest c with K3 <= c K1 for every variable: lambda^(1/beta), where 2^(1/lambda) lambda = 2 (lambda - 1).

    >>> round(tail_to_norm(1.0), 4)
    2.787
    """
    beta = _moderate(beta)
    return brentq(lambda q: math.log(q / (q - 1)) + math.log(2) * (1 / q - 1), 1.5, 5.0, xtol=1e-15) ** (1 / beta)


def norm_to_moment(beta: float) -> float:
    """The smallest c with K2 <= c K3 for every variable: the largest y^(1/beta) / (e^y - 1) over y >= log 2.

    >>> round(norm_to_moment(1.0), 6)
    0.693147
    """
    return math.exp(_log_best_moment(1 / _moderate(beta)))


def _log_best_moment(r: float) -> float:
    """log of the largest E Y^r that Y >= 0 can have if E e^Y <= 2: the largest y^r / (e^y - 1) over y >= log 2."""
    # The derivative vanishes where y / (1 - e^-y) = r; the left side grows with y and lies above y.
    y = math.log(2)
    if y / -math.expm1(-y) < r:
        y = brentq(lambda s: s / -math.expm1(-s) - r, y, r + 1.0, xtol=1e-14)
    return r * math.log(y) - y - math.log(-math.expm1(-y))


def moment_to_norm(beta: float) -> float:
    """A c with K3 <= c K2 for every variable: z^(-1/beta) where the sum of z^k max(1, beta k)^k / k! over k >= 1 is 1.

    For beta >= 1 it is (2 beta sqrt(e))^(1/beta), and no smaller c will do.

    >>> round(moment_to_norm(1.0) - 2 * math.sqrt(math.e), 12)
    0.0
    """
    beta = _moderate(beta)
    if beta >= 1:
        return (2 * beta * math.sqrt(math.e)) ** (1 / beta)
    # Term by term the sum is at most the one for beta = 1 in beta z, once k >= 1/beta; 2/beta + 400 terms leave 1e-20.
    k = np.arange(1, math.ceil(2 / beta) + 400)
    fixed = k * np.log(np.maximum(1.0, beta * k)) - gammaln(k + 1)
    log_z = brentq(lambda u: _log_sum(fixed + k * u), -8.0 - math.log(1 + beta), 0.0, xtol=1e-15)
    return math.exp(-log_z / beta)


# --- Proposition 4 ---------------------------------------------------------------------------------------------------


def product_index(*betas: float) -> float:
    """The index of a product: 1 / beta is the sum of the 1 / beta_i. The norms multiply, with constant 1.

    >>> product_index(2, 2), product_index(1, 2)
    (1.0, 0.6666666666666666)
    """
    if not betas:
        raise ValueError("betas: has no entries, so there is no product")
    return 1 / sum(1 / positive("betas", b) for b in betas)


def lower_index(beta: float, to: float) -> float:
    """The smallest c with ||X||_psi_to <= c ||X||_psi_beta for every X, 0 < to <= beta: (log 2)^(1/beta - 1/to).

    A sum of variables of different indices has the smaller one; this is what it costs to pass to it.

    >>> round(lower_index(2, to=1), 6)
    1.201122
    """
    beta, to = positive("beta", beta), _moderate(to, "to")
    if to > beta:
        raise ValueError(f"to = {to!r}: must be at most beta = {beta!r}")
    return math.log(2) ** (1 / beta - 1 / to)


def sum_constant(beta: float, n: int | None = None) -> float:
    """A c with ||X_1 + ... + X_n|| <= c (||X_1|| + ... + ||X_n||) in the norm psi_beta, dependent or not.

    1 for beta >= 1. Below, the smaller of n^(1/beta - 1), which is 2^(1/beta - 1) for two, and a constant that serves
    every n (``n=None`` gives it). Write phi(x) = exp(x^beta) - 1 and let phi~ be the largest convex function below phi.
    If phi(x / c) <= 1 + m (phi~(x) - 1) for some m and all x, then c is such a constant. The smallest of them is found
    on a grid, with a relative accuracy of 1e-6. For beta up to about 0.52 it is `norm_to_moment` (log 2)^(-1/beta), and
    no smaller constant serves every n.

    >>> sum_constant(1.5), round(sum_constant(0.25, 2), 9), round(sum_constant(0.5), 4)
    (1.0, 8.0, 1.3479)
    """
    beta = _moderate(beta)
    if beta >= 1:
        return 1.0
    any_n = _any_sum_constant(beta)
    return any_n if n is None else min(float(positive_int("n", n)) ** (1 / beta - 1), any_n)


@lru_cache(maxsize=256)
def _any_sum_constant(beta: float) -> float:
    """The smallest c of `sum_constant` for every n, 0 < beta < 1."""
    r = 1 / beta
    # phi~ is the tangent through zero up to where y = x^beta solves y / (1 - e^-y) = 1/beta, and phi beyond.
    touch = brentq(lambda y: y / -math.expm1(-y) - r, 1e-12, r + 1.0, xtol=1e-14)
    # v = phi~(x) on both sides of 1; log x, since x itself may leave the floating-point range.
    far = 1 + np.geomspace(1e-3, 1e9, 4000)
    v = np.concatenate([np.linspace(0.0, 1.0, 2001)[1:-1], far])
    log_slope = math.log(math.expm1(touch)) - r * math.log(touch)
    log_x = np.where(v <= math.expm1(touch), np.log(v) - log_slope, r * np.log(np.log1p(v)))
    below = v < 1

    def gap(log_c: float) -> float:
        """How far the slopes m that the points beyond 1 ask for lie above those that the points below 1 allow."""
        h = np.expm1(np.minimum(np.exp(beta * (log_x - log_c)), 700.0))
        asked, allowed = (h[~below] - 1) / (v[~below] - 1), (1 - h[below]) / (1 - v[below])
        return max(float(asked.max()) - float(allowed.min()), float(asked.max()) - 1.0)  # at x = 0: 0 <= 1 - m

    # phi(x / c) <= 1 where phi~(x) = 1 is necessary.
    at_one = -log_slope if math.expm1(touch) >= 1 else r * math.log(math.log(2))
    low = at_one - r * math.log(math.log(2))
    if gap(low) <= 0:
        return math.exp(low)
    return math.exp(brentq(gap, low, low + 1.0, xtol=1e-9) + 1e-6)  # so that the grid does not make it too small


# --- Proposition 5 ---------------------------------------------------------------------------------------------------


def deviation_bound(b: ArrayLike, beta: float, delta: float, K: float = 1.0) -> float:
    """Proposition 5: |sum b_i (X_i - E X_i)| stays below this with probability at least 1 - delta.

    C K (||b||_2 sqrt(log(2/delta)) + ||b||_inf log(2/delta)^(1/beta)) for independent X_i whose psi_beta norms are at
    most K, with C = `deviation_constant`.

    Parameters
    ----------
    b: (n,), n >= 1, finite. beta: in (0, 1]. delta: in (0, 1]. K: above 0.

    >>> round(deviation_bound([1.0, 1.0], 1.0, 0.05) / deviation_constant(1.0), 4)
    6.4051
    """
    b, K, delta = array("b", b, (None,)), positive("K", K), between(0.0, 1.0)("delta", delta)
    if not b.size:
        raise ValueError("b: has no entries, so there is no sum")
    if delta == 0:
        raise ValueError("delta = 0.0: must be above 0")
    log_term = math.log(2 / delta)
    size = float(np.linalg.norm(b)) * math.sqrt(log_term) + float(np.max(np.abs(b))) * log_term ** (1 / beta)
    return deviation_constant(beta) * K * size


def deviation_constant(beta: float) -> float:
    """A constant C_beta for Proposition 5, 0 < beta <= 1, derived in the chapter from moments of even order.

    With M(r) the largest E Y^r under E e^Y <= 2, let m_2 = M(2/beta) and m_k = 2^k M(k/beta); these bound the central
    moments of X / K. For a free theta > 0 let A be the sum over k >= 2 of (m_k / k!) (theta k^(1 - 1/beta))^(k - 2).
    With L = log(2/delta), Markov's inequality at the even order p gives Proposition 5 with the factor

        f_p(L) = (p! e^(p/2) e^L / 2)^(1/p) max(sqrt(2 A / (p L)), p^(1/beta - 1) / (theta L^(1/beta))),

    at p = 2 also with sqrt(m_2 e^L / (2 L)), which is Chebyshev. C_beta is the largest value over L >= log 2 of the
    smallest one over p, made small by theta.

    Raises ValueError if beta is not in (0, 1].

    >>> 4 < deviation_constant(1.0) < 6
    True
    """
    beta = _moderate(beta)
    if beta > 1:
        raise ValueError(f"beta = {beta!r}: must be at most 1; above, the last norm of b is a dual one")
    return _deviation_constant(beta)


@lru_cache(maxsize=64)
def _deviation_constant(beta: float) -> float:
    """The optimisation of `deviation_constant`."""
    k = np.arange(2, 1500)
    best = np.array([_log_best_moment(j / beta) for j in k])
    log_m = np.where(k == 2, best, k * math.log(2) + best) - gammaln(k + 1)
    # The terms of A fall like (theta / theta_0)^k up to powers of k.
    theta_0 = math.exp((math.log(beta) + 1) / beta - 1) / 2
    p = 2.0 * np.arange(1, 201)[:, None]
    L = np.linspace(math.log(2), 200.0, 4000)
    stirling = gammaln(p + 1) / p

    def largest(share: float) -> float:
        log_theta = math.log(theta_0 * share)
        log_A = _log_sum(log_m + (k - 2) * (log_theta + (1 - 1 / beta) * np.log(k)))
        gauss = 0.5 * (math.log(2) + log_A - np.log(p) - np.log(L))
        heavy = (1 / beta - 1) * np.log(p) - log_theta - np.log(L) / beta
        f = stirling + 0.5 + (L - math.log(2)) / p + np.maximum(gauss, heavy)
        chebyshev = 0.5 * (best[0] + L - math.log(2) - np.log(L))
        f[0] = np.minimum(f[0], chebyshev)
        # At fixed p each factor is largest at an end of an interval, so the intervals leave nothing out.
        inside = np.max(np.min(np.maximum(f[:, 1:], f[:, :-1]), axis=0))
        # Beyond the last L take p = 2 ceil(L / 2): every factor is below its value at p = L + 2.
        last, q = L[-1], L[-1] + 2
        tail_gauss = 0.5 * (math.log(2) + log_A - math.log(last) - math.log(last))
        tail_heavy = (1 / beta - 1) * math.log(q / last) - log_theta - math.log(last)
        beyond = float(gammaln(q + 1) / q) + 1.5 + max(tail_gauss, tail_heavy)
        return max(float(inside), beyond)

    found = minimize_scalar(largest, bounds=(0.02, 0.85), method="bounded", options={"xatol": 1e-3})
    return math.exp(float(found.fun))


# --- From samples ----------------------------------------------------------------------------------------------------


def sample_norm(x: ArrayLike, beta: float, probabilities: ArrayLike | None = None) -> float:
    """The psi_beta norm of the finite law that puts equal weights, or ``probabilities``, on the values ``x`` (n,).

    Raises ValueError if x is empty, not finite or all zero, or if the probabilities are not probabilities.

    >>> sample_norm([1.0, 0.0], 1.0) == 1 / math.log(3)
    True
    """
    beta, size = positive("beta", beta), _sizes(x)
    if probabilities is None:
        p = np.full(size.shape, 1 / len(size))
    else:
        p = array("probabilities", probabilities, size.shape)
        if (p < 0).any() or abs(p.sum() - 1) > 1e-12:
            raise ValueError(f"probabilities: must be >= 0 and sum to 1, they sum to {p.sum()!r}")
    top = float(size.max())
    powers = (size / top) ** beta  # in (0, 1], so eta^-beta is searched in units of the largest value

    def excess(q: float) -> float:
        return q + math.log(float(np.exp(q * (powers - 1)) @ p)) - math.log(2)

    high = 1.0
    while excess(high) < 0:
        high *= 2
    return top * brentq(excess, 0.0, high, xtol=1e-15, rtol=1e-14) ** (-1 / beta)


def _sizes(x: ArrayLike) -> Array:
    size = np.abs(array("x", x, (None,)))
    if not size.size:
        raise ValueError("x: has no entries, so there is no sample")
    if not size.any():
        raise ValueError("x: is zero everywhere, and so is its norm")
    return size


@dataclass(frozen=True)
class NormEstimate:
    """What a sample says about a psi_beta norm.

    Attributes
    ----------
    value: the norm of the sample: mean exp((|x| / value)^beta) = 2.
    low, high: the confidence interval; ``high`` is inf where no central limit theorem is in sight.
    tail_index: estimated index a of the summand, P(exp((|X| / eta)^beta) > w) ~ w^-a at eta = value. Its variance
        is finite only if a > 2.
    normal: whether a lies above 2 by two of its standard errors, so that the interval is the one of the delta method.

    >>> e = estimate_norm(np.random.default_rng(0).uniform(size=4000), 1.0)
    >>> e.low < e.value < e.high, e.normal
    (True, True)
    """

    value: float
    low: float
    high: float
    tail_index: float
    normal: bool


def estimate_norm(x: ArrayLike, beta: float, level: float = 0.95) -> NormEstimate:
    """The psi_beta norm from independent samples ``x`` (n,), n >= 20, with a confidence interval.

    At the norm the summand exp((|X| / eta)^beta) has tail index (eta / scale)^index if beta is the index of the law,
    and inf below. A Gaussian at beta = 2 has 4/3, so that its errors are not Gaussian however many samples; an
    exponential variable at beta = 1 has 2, the border. The index is estimated (Hill, sqrt(n) largest summands).

    * Tail index above 2: the delta method on the logarithm of the norm.
    * Otherwise the interval has no upper end, since any sample can come from a law of arbitrarily large norm. The lower
      end is valid for every law and every n: eta lies below the norm if the mean of min(summand - 1, sqrt(n)) exceeds
      what Hoeffding's inequality in its entropy form allows a mean of 1.

    Raises ValueError for fewer than 20 samples, samples that are not finite, or a level outside (0, 1).

    >>> sample = np.random.default_rng(0).standard_normal(4000)
    >>> e = estimate_norm(sample, 1.0)
    >>> e.low < norm(gaussian(), 1) < e.high, estimate_norm(sample, 2.0).high
    (True, inf)
    """
    beta, size = positive("beta", beta), _sizes(x)
    n = len(size)
    if n < 20:
        raise ValueError(f"x: has {n} entries, must have at least 20 for an interval")
    if not 0 < positive("level", level) < 1:
        raise ValueError(f"level = {level!r}: must lie between 0 and 1")
    value = sample_norm(size, beta)
    y = (size / value) ** beta
    top = np.sort(y)[-(math.isqrt(n) + 1) :]
    spacing = float(np.mean(top[1:] - top[0]))
    index = 1 / spacing if spacing > 0 else math.inf
    is_normal = index * (1 - 2 / math.sqrt(len(top) - 1)) > 2
    if is_normal:
        w = np.exp(y)
        half = float(normal.isf((1 - level) / 2)) * float(w.std(ddof=1)) / (math.sqrt(n) * beta * float(np.mean(y * w)))
        half = min(half, 700.0)  # a tiny beta: the interval leaves the floating-point range
        return NormEstimate(value, value * math.exp(-half), value * math.exp(half), index, True)
    return NormEstimate(value, _lower_end(size, beta, 1 - level, value), math.inf, index, False)


def _lower_end(size: Array, beta: float, alpha: float, value: float) -> float:
    """The largest eta at which the capped mean is too large for E exp((|X| / eta)^beta) <= 2; see `estimate_norm`."""
    n = len(size)
    cap = math.sqrt(n)
    room = math.log(1 / alpha) / n

    def divergence(mean: float) -> float:
        s = mean / cap
        rest = (1 - s) * math.log((1 - s) / (1 - 1 / cap)) if s < 1 else 0.0
        return s * math.log(mean) + rest - room

    if divergence(cap) <= 0:
        return 0.0  # even the largest mean is explained by chance
    allowed = brentq(divergence, 1.0, cap)

    def excess(log_eta: float) -> float:
        y = np.minimum((size / math.exp(log_eta)) ** beta, 700.0)
        return float(np.mean(np.minimum(np.expm1(y), cap))) - allowed

    low = high = math.log(value)
    for _ in range(200):
        if excess(low) > 0:
            return math.exp(brentq(excess, low, high, xtol=1e-12))
        low -= 0.5
    return 0.0  # too many zeros among the samples
