"""How far the norms of features and of the first matrices spread: exact laws, bounds, sharp limits. Lemmas 2, 3, 5-9.

The squared norm of a feature is a quadratic form in Gaussian variables, Q = sum_j weights_j (z_j + b_j)^2. Its law is
computed, not simulated, so that a tail bound can be compared with the truth at any level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from featnorm._validate import Array, array, between, one_of, positive, positive_int, symmetric, weights
from featnorm.setting import Setting

#: Evaluations of one weight at one node (about 50 ms) beyond which an inversion bends its path.
_MOST_WORK = 1_000_000
_BLOCK = 500_000

Side = Literal["upper", "lower"]


# --- The exact law of a Gaussian quadratic form ----------------------------------------------------------------------


@dataclass(frozen=True)
class QuadraticForm:
    """The law of Q = sum_j weights_j (z_j + b_j)^2 with independent standard normal z_j.

    Parameters
    ----------
    weights: (m,), of any sign; those that are zero are dropped.
    shifts2: (m,), the squares b_j^2, on which alone the law depends; zero if left out.

    Raises ValueError for arrays that are not finite or do not match, negative ``shifts2``, or no weight but zero.

    >>> q = QuadraticForm([1.0, 1.0])     # exponential with mean 2
    >>> q.mean, q.variance, round(q.tail(2.0), 12)
    (2.0, 4.0, 0.367879441171)
    """

    weights: Array
    shifts2: Array | None = None

    def __post_init__(self) -> None:
        w = array("weights", self.weights, (None,))
        b2 = np.zeros_like(w) if self.shifts2 is None else array("shifts2", self.shifts2, w.shape)
        if (b2 < 0).any():
            raise ValueError(f"shifts2: must be squares, but the smallest is {b2.min():.3g}")
        if not w.any():
            raise ValueError("weights: none of them differs from zero, so Q is constant")
        object.__setattr__(self, "weights", w[w != 0])
        object.__setattr__(self, "shifts2", b2[w != 0])

    @property
    def mean(self) -> float:
        """E Q."""
        return float(np.sum(self.weights * (1.0 + self.shifts2)))

    @property
    def variance(self) -> float:
        """E (Q - E Q)^2."""
        return float(np.sum(self.weights**2 * (2.0 + 4.0 * self.shifts2)))

    def tail(self, x: float, side: Side = "upper", accuracy: float = 1e-10) -> float:
        """P(Q > x), or P(Q < x) for ``side = "lower"``, to the relative ``accuracy`` (1e-13 to 0.1).

        The tail on whose side of the mean x lies is found by the trapezoidal rule on a vertical line through the saddle
        point, where the integrand has the size of the result, and the other one from it. Both errors of the rule are
        bounded, not estimated, so the accuracy is guaranteed up to rounding, of about 1e-15 for each weight. Where a
        few weights dominate, that rule is slow. The path is then bent, and the accuracy estimated from two rules.

        Raises ValueError where these two rules differ by more than ``accuracy``.

        >>> q = QuadraticForm(np.ones(10))
        >>> f"{q.tail(100.0):.6e}"             # scipy.stats.chi2.sf(100, 10)
        '5.449702e-17'
        """
        one_of("upper", "lower")("side", side)
        x, accuracy = float(array("x", x, ())), between(1e-13, 0.1)("accuracy", accuracy)
        sign = 1.0 if side == "upper" else -1.0
        if sign * (x - self.mean) > 0:
            return _upper_tail(sign * self.weights, self.shifts2, sign * x, accuracy)
        return 1.0 - _upper_tail(-sign * self.weights, self.shifts2, -sign * x, accuracy)

    def deviation_tail(self, deviation: float, accuracy: float = 1e-10) -> float:
        """P(|Q - E Q| > deviation), both tails together.

        >>> round(QuadraticForm([1.0]).deviation_tail(1.0), 6)     # P(z^2 > 2)
        0.157299
        """
        deviation = positive("deviation", deviation)
        upper = self.tail(self.mean + deviation, "upper", accuracy)
        return upper + self.tail(self.mean - deviation, "lower", accuracy)

    def deviation_quantile(self, delta: float) -> float:
        """The deviation that |Q - E Q| exceeds with probability ``delta`` (1e-300 to 0.9).

        >>> round(QuadraticForm([1.0, 1.0]).deviation_quantile(2 * np.exp(-9)), 4)     # 2 (t - 1) with e^-t = delta
        14.6137
        """
        delta, root = between(1e-300, 0.9)("delta", delta), np.sqrt(self.variance)
        # what Hanson-Wright and Hoeffding allow, for the quadratic and the linear part, each at half of delta
        sd_linear = 2.0 * float(np.sqrt(np.sum(self.weights**2 * self.shifts2)))
        top = max(hanson_wright(self.weights, delta / 2)) + sd_linear * np.sqrt(2.0 * np.log(4.0 / delta))

        def excess(log_deviation: float) -> float:
            found = self.deviation_tail(np.exp(log_deviation), 1e-8)
            return np.log(max(found, 1e-307)) - np.log(delta)  # far out the tail leaves the floating-point range

        return float(np.exp(brentq(excess, np.log(1e-3 * root), np.log(top + root), xtol=1e-9)))


def _cumulant(w: Array, b2: Array, s: Array) -> Array:
    """log E exp(s Q) at every s (any shape), in blocks."""
    flat, out = s.ravel(), np.empty(s.size, dtype=complex)
    rows = max(1, _BLOCK // len(w))
    for start in range(0, len(flat), rows):
        u = 1.0 - 2.0 * w * flat[start : start + rows, None]
        # b^2 w s / (1 - 2 w s) = b^2 (1/u - 1) / 2
        out[start : start + rows] = 0.5 * ((1.0 / u - 1.0) @ b2 - np.log(u).sum(axis=1))
    return out.reshape(s.shape)


def _upper_tail(w: Array, b2: Array, x: float, accuracy: float, slack: float = 0.0) -> float:
    """P(Q > x) for x at or above the mean: (1 / 2 pi i) times the integral of exp(K(s) - s x) / s over Re s = c.

    With step D on that line and L = 2 pi / D the trapezoidal sum is, by Poisson's formula, the sum over all integers m
    of exp(m c L) P(Q > x + m L). Its terms m < 0 are at most exp(-|m| c L), those with m > 0 are bounded by Chernoff's
    inequality at a point c1 > c. Beyond T the integrand is at most its modulus at T times (T / t)^(1 + n / 2), with
    n the sum of p^2 T^2 / (1 + p^2 T^2) over the weights, p = 2 |w| / (1 - 2 w c). L and T are chosen for Laplace's
    estimate of the tail times exp(-slack); if the tail turns out to be below half of that, they are chosen again.
    """
    if len(w) == 1:
        return _one_square(w[0], np.sqrt(b2[0]), x)
    top = float(w.max())
    if top < 0 and x >= 0:
        return 0.0
    unit = float(np.abs(w).max())
    w, x = w / unit, x / unit
    end = 0.5 * unit / top if top > 0 else np.inf

    def slope(c: float) -> float:  # of log of the integrand at real s
        u = 1.0 - 2.0 * w * c
        return float(np.sum(w / u + b2 * w / u**2)) - x - 1.0 / c

    spread = float(np.sqrt(np.sum(w**2 * (2 + 4 * b2))))
    low = 1.0 / spread
    while low >= end or slope(low) > 0:
        low *= 0.5
    high = 0.5 * (low + end) if np.isfinite(end) else 2 * low
    while slope(high) < 0:
        high = 0.5 * (high + end) if np.isfinite(end) else 2 * high
    c = float(brentq(slope, low, high, rtol=1e-10))

    def real(value: float) -> float:
        return float(_cumulant(w, b2, np.array([value]))[0].real) - value * x

    u = 1.0 - 2.0 * w * c
    curvature = float(np.sum(2 * w**2 / u**2 + 4 * b2 * w**2 / u**3)) + c**-2
    log_size = real(c) - np.log(c) - 0.5 * np.log(2 * np.pi * curvature)  # Laplace's estimate of the tail
    goal = np.log(accuracy / 8) + log_size - slack

    # The period L: large enough for both kinds of aliasing, the second one at the best of a few points c1.
    gaps = (end - c) * np.array([0.1, 0.3, 0.5, 0.7, 0.9]) if np.isfinite(end) else c * np.array([0.3, 1.0, 3.0])
    period = max(-goal / c, min((real(c + gap) - goal) / gap for gap in gaps), 1.0 / c)
    step = 2.0 * np.pi / period

    p = 2.0 * np.abs(w) / u

    def beyond(T: float) -> float:  # log of the bound on what the sum leaves out
        n = float(np.sum((p * T) ** 2 / (1 + (p * T) ** 2)))
        return float(_cumulant(w, b2, np.array([c + 1j * T]))[0].real) - c * x + np.log(2 / (np.pi * n))

    T = 1.0 / np.sqrt(curvature)
    while beyond(T) > goal:
        T *= 1.4
        if T / step * len(w) > _MOST_WORK:
            return _bent_tail(w, b2, x, c, min(c, end - c), float(np.sqrt(curvature)), log_size, accuracy)
    nodes = T / step
    s = c + 1j * step * np.arange(int(np.ceil(nodes)) + 1)
    terms = np.exp(_cumulant(w, b2, s) - s * x - log_size) / s
    ratio = float(step / np.pi * (terms.real.sum() - 0.5 * terms[0].real))
    if ratio < 0.5 * np.exp(-slack) and slack < 50.0:
        return _upper_tail(unit * w, b2, unit * x, accuracy, slack - np.log(max(ratio, np.exp(-50.0))))
    return float(np.exp(log_size)) * ratio


def _bent_tail(
    w: Array, b2: Array, x: float, c: float, gap: float, root: float, log_size: float, accuracy: float
) -> float:
    """The integral of `_upper_tail` along a path that goes up to T and then turns to where exp(-s x) decays.

    Gauss-Legendre on panels that double from ``gap``, the distance of c to the nearest singularity, then
    Gauss-Laguerre: two rules, whose difference must be within the accuracy.
    """
    x = x or 1e-30  # the tail is continuous at zero where two weights or more are left
    T = max(20.0 / abs(x), 6.0 / root)
    doublings = int(np.ceil(np.log2(T / gap))) if T > gap else 0
    edges = np.concatenate([[0.0], T * 2.0 ** np.arange(-doublings, 1)])

    def integrand(s: Array) -> Array:
        return np.exp(_cumulant(w, b2, s) - s * x - log_size) / s

    def rule(n: int) -> float:
        points, coefficients = np.polynomial.legendre.leggauss(n)
        half = np.diff(edges)[:, None] / 2
        up = 1j * np.sum(half * coefficients * integrand(c + 1j * (edges[:-1, None] + half * (1 + points))))
        y, coefficients = np.polynomial.laguerre.laggauss(n)
        s = c + 1j * T + y / x
        return float((up + np.sum(coefficients * np.exp(y) * integrand(s)) / x).imag / np.pi)

    coarse, fine = rule(50), rule(80)
    if not abs(coarse - fine) <= accuracy * fine:
        raise ValueError(
            f"accuracy = {accuracy:g}: not reached at x = {x:g}; two rules differ by {coarse / fine - 1:.1e}"
        )
    return float(np.exp(log_size)) * fine


def _one_square(w: float, b: float, x: float) -> float:
    """P(w (z + b)^2 > x), in closed form."""
    root = np.sqrt(max(x / w, 0.0))
    inside, outside = ndtr(root - b) - ndtr(-root - b), ndtr(b - root) + ndtr(-b - root)
    if w < 0:
        return float(inside) if x < 0 else 0.0
    return float(outside) if x > 0 else 1.0


def quadratic_form(A: ArrayLike, mean: ArrayLike | None = None) -> QuadraticForm:
    """The law of x^T A x for x ~ N(mean, I); A is symmetric (m, m), mean has shape (m,).

    Raises ValueError for a matrix that is not symmetric, not finite or zero.

    >>> round(quadratic_form(np.diag([1.0, -1.0])).tail(0.0), 12)
    0.5
    """
    values, vectors = np.linalg.eigh(symmetric("A", A))
    return QuadraticForm(values, None if mean is None else (vectors.T @ array("mean", mean, values.shape)) ** 2)


def feature_norm_law(Phi: ArrayLike, setting: Setting, x0: ArrayLike | None = None) -> QuadraticForm:
    """The law of ||Phi x||^2: over everything, x ~ N(0, a I), or for a fixed anchor x0 (d,), x ~ N(x0, sigma2 I).

    Put Psi = W Phi in place of Phi for the prediction. Given x0 the law is a non-central one: its weights are sigma2
    times the eigenvalues of F = Phi Phi^T, its shifts the coordinates of x0 / sigma along the right singular vectors.

    >>> law = feature_norm_law(np.eye(3), Setting(h=3, d=3, sigma2=0.5), x0=[2.0, 0.0, 0.0])
    >>> law.mean, law.variance                     # 4 + 3/2, and 2 * 3 / 4 + 4 * 0.5 * 4
    (5.5, 9.5)
    """
    Phi = array("Phi", Phi, (setting.h, setting.d))
    _, values, right = np.linalg.svd(Phi, full_matrices=False)
    if x0 is None:
        return QuadraticForm(setting.a * values**2)
    along = right @ array("x0", x0, (setting.d,))
    return QuadraticForm(setting.sigma2 * values**2, along**2 / setting.sigma2)


# --- Bounds with explicit constants ----------------------------------------------------------------------------------


def hanson_wright(weights: ArrayLike, delta: float) -> tuple[float, float]:
    """Deviations below and above the mean that Q = sum_j weights_j z_j^2 exceeds with probability at most delta / 2.

    With t = log(2 / delta): 2 |w|_2 sqrt(t) + 2 m t, where m is the largest positive weight for the deviation above
    and the largest of the negative ones, without its sign, for the one below. This is Lemma 1 of Laurent and Massart
    (2000) for weights >= 0; their proof bounds log E exp(u (Q - E Q)) by |w|_2^2 u^2 / (1 - 2 m u), which holds for
    weights of any sign. As a bound of the form C max(|w|_2 sqrt(t), |w|_max t) it has C = 4.

    >>> below, above = hanson_wright([1.0, 1.0, 1.0, 1.0], 2 * np.exp(-4))
    >>> round(below, 12), round(above, 12)
    (8.0, 16.0)
    """
    w = array("weights", weights, (None,))
    if not w.size:
        raise ValueError("weights: has no entries, so there is no sum")
    t = np.log(2.0 / between(0.0, 1.0)("delta", positive("delta", delta)))
    middle = 2.0 * np.linalg.norm(w) * np.sqrt(t)
    return float(middle + 2.0 * max(-w.min(), 0.0) * t), float(middle + 2.0 * max(w.max(), 0.0) * t)


def linear_deviation(sd: float, delta: float) -> tuple[float, float]:
    """What |g| for g ~ N(0, sd^2) exceeds with probability ``delta``: exactly, and Hoeffding's sd sqrt(2 log(2/delta)).

    >>> exact, bound = linear_deviation(1.0, 0.05)
    >>> round(exact, 4), round(bound, 4)
    (1.96, 2.7162)
    """
    sd, delta = positive("sd", sd), between(0.0, 1.0)("delta", positive("delta", delta))
    return float(-sd * ndtri(delta / 2)), float(sd * np.sqrt(2.0 * np.log(2.0 / delta)))


# --- Samples ---------------------------------------------------------------------------------------------------------


def _fits(what: str, bytes_: float, memory: float) -> None:
    if bytes_ > memory * 2**30:
        raise ValueError(f"{what}: takes {bytes_ / 2**30:.3g} GiB, more than memory = {memory:g} GiB")


def sample_norms(
    W: ArrayLike,
    Phi: ArrayLike,
    setting: Setting,
    n: int,
    rng: np.random.Generator,
    x0: ArrayLike | None = None,
    memory: float = 2.0,
) -> tuple[Array, Array]:
    """||Phi x||^2 and ||Psi x||^2 of n views, drawn in d dimensions: the plain way, for comparison with the exact law.

    The views are drawn in blocks and multiplied in float32. That changes a squared norm by a relative error of order
    1e-6, far below the spread of the norms. ``x0`` fixes the anchor. ``memory`` is a limit in GiB: sizes beyond it
    raise ValueError before anything is drawn.

    >>> setting = Setting(h=2, d=3)
    >>> a, b = sample_norms(np.eye(2), np.ones((2, 3)), setting, 5, np.random.default_rng(0))
    >>> a.shape, bool((a == b).all())
    ((5,), True)
    """
    n, memory = positive_int("n", n), positive("memory", memory)
    h, d = setting.h, setting.d
    fixed = 8.0 * (h * d + 2 * h * h + 2 * n) + 4.0 * (h * d + h * h)
    rows = int(min(n, 4096, max(1, (memory * 2**30 - fixed) // (4 * (d + 3 * h)))))
    _fits(f"n = {n}, h = {h}, d = {d}", fixed + 4.0 * rows * (d + 3 * h), memory)
    W, Phi = setting.state(*weights(W, Phi))
    centre = None if x0 is None else array("x0", x0, (d,)).astype(np.float32)
    scale = np.float32(np.sqrt(setting.a if x0 is None else setting.sigma2))
    narrow_Phi, narrow_W = (scale * Phi).astype(np.float32).T, W.astype(np.float32).T
    shift = None if centre is None else Phi.astype(np.float32) @ centre
    out = np.empty((2, n))
    for start in range(0, n, rows):
        stop = min(n, start + rows)
        q = rng.standard_normal((stop - start, d), dtype=np.float32) @ narrow_Phi
        if shift is not None:
            q += shift
        u = q @ narrow_W
        out[0, start:stop], out[1, start:stop] = np.einsum("ij,ij->i", q, q), np.einsum("ij,ij->i", u, u)
    return out[0], out[1]


# --- Norms of the first matrices -------------------------------------------------------------------------------------


def matrix_norms(W: ArrayLike, Phi: ArrayLike, x0: ArrayLike) -> dict[str, float]:
    """The norms of Lemmas 7 to 9, by name, for one state and inputs x0, (d,) or (d, k).

    ``Phi``, ``W``, ``Psi``: spectral norms. ``Phi_F``, ``W_F``, ``Psi_F``: Frobenius norms. ``Gram_Phi``, ``Gram_Psi``:
    Frobenius norms of Phi^T Phi and Psi^T Psi, which are those of F and Psi Psi^T. ``WW``: that of W W^T.
    ``Phi_x0``, ``Psi_x0``: lengths of Phi^T Phi x0 and Psi^T Psi x0, the root mean square of them for k inputs.

    >>> matrix_norms(2 * np.eye(2), np.eye(2), [3.0, 4.0])["Psi_x0"]
    20.0
    """
    W, Phi = weights(W, Phi)
    x0 = array("x0", x0, None)
    x0 = array("x0", x0[:, None] if x0.ndim == 1 else x0, (Phi.shape[1], None))
    Psi, root = W @ Phi, np.sqrt(x0.shape[1])
    F, G = Phi @ Phi.T, Psi @ Psi.T
    return {
        "Phi": float(np.sqrt(np.linalg.eigvalsh(F)[-1])),
        "W": float(np.linalg.norm(W, 2)),
        "Psi": float(np.sqrt(np.linalg.eigvalsh(G)[-1])),
        "Phi_F": float(np.linalg.norm(Phi)),
        "W_F": float(np.linalg.norm(W)),
        "Psi_F": float(np.linalg.norm(Psi)),
        "Gram_Phi": float(np.linalg.norm(F)),
        "Gram_Psi": float(np.linalg.norm(G)),
        "WW": float(np.linalg.norm(W @ W.T)),
        "Phi_x0": float(np.linalg.norm(Phi.T @ (Phi @ x0)) / root),
        "Psi_x0": float(np.linalg.norm(Psi.T @ (Psi @ x0)) / root),
    }


def second_moments(setting: Setting) -> dict[str, float]:
    """Expected squares of the Frobenius norms and lengths of `matrix_norms` under Assumptions 2 and 4: exact, any size.

    >>> second_moments(Setting(h=1, d=1))["Gram_Phi"]      # E z^4
    3.0
    """
    h, d = float(setting.h), float(setting.d)
    gram = h * (1.0 + (h + 1.0) / d)
    squared_W = 2.0 * h + 1.0
    gram_psi = squared_W * (1.0 + 1.0 / d) + (h**2 + 4.0 - 2.0 / h) / d
    return {
        "Phi_F": h, "W_F": h, "Psi_F": h, "WW": squared_W,
        "Gram_Phi": gram, "Gram_Psi": gram_psi, "Phi_x0": gram, "Psi_x0": gram_psi,
    }  # fmt: skip


def spectral_edges(ratio: float) -> dict[str, float]:
    """Limits of the spectral norms of Phi, W and Psi as h and d grow with h / d = ``ratio`` > 0 (Assumption 4).

    1 + sqrt(ratio) (Yin, Bai and Krishnaiah), 2 (the edge of the semicircle), and for Psi the square root of
    (1 + z)^2 (1 + ratio z) / z at z = (sqrt(1 + 8 ratio) - 1) / (4 ratio), the edge of the free product of two laws.

    >>> {name: round(value, 4) for name, value in spectral_edges(0.5).items()}
    {'Phi': 1.7071, 'W': 2.0, 'Psi': 2.3548}
    """
    ratio = positive("ratio", ratio)
    z = 2.0 / (1.0 + np.sqrt(1.0 + 8.0 * ratio))
    return {
        "Phi": float(1.0 + np.sqrt(ratio)),
        "W": 2.0,
        "Psi": float((1.0 + z) * np.sqrt((1.0 + ratio * z) / z)),
    }


def relative_sd(setting: Setting) -> tuple[float, float]:
    """sqrt(2 / r) for F and for Psi Psi^T at initialisation, r from the exact second moments: what Lemmas 2, 3 neglect.

    >>> [round(value, 3) for value in relative_sd(Setting(h=64, d=512))]
    [0.188, 0.259]
    """
    moments = second_moments(setting)
    F, Psi = (float(np.sqrt(2.0 * moments[name]) / setting.h) for name in ("Gram_Phi", "Gram_Psi"))
    return F, Psi
