"""The model: data, two linear layers, initialisation, the two losses, and what is measured on a state.

A state is a pair (W, Phi): the projection head W (h x h) and the representation net Phi (h x d). Everything else is
derived from it. Section 3 and Assumptions 2 to 4 of the paper; Eq. 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from featnorm._validate import (
    Array,
    array,
    between,
    in_range,
    nonnegative,
    positive,
    positive_int,
    sample,
    square,
    symmetric,
    weights,
)


@dataclass(frozen=True)
class Setting:
    """Sizes and strengths of the model.

    Parameters
    ----------
    h: representation dimension, a whole number >= 1.
    d: input dimension, a whole number >= 1.
    sigma2: variance of the augmentation noise, > 0.
    rho: strength of the weight decay, >= 0.

    Raises ValueError that names the argument, its value and the rule.

    >>> Setting(h=8, d=16, sigma2=1.0, rho=0.0).a
    2.0
    >>> Setting(h=0, d=16)
    Traceback (most recent call last):
    ...
    ValueError: h = 0: must be a whole number >= 1
    """

    h: int
    d: int
    sigma2: float = 1.0
    rho: float = 0.0

    def __post_init__(self) -> None:
        positive_int("h", self.h)
        positive_int("d", self.d)
        positive("sigma2", self.sigma2)
        nonnegative("rho", self.rho)

    @property
    def a(self) -> float:
        """Variance of one coordinate of a view, 1 + sigma2."""
        return 1.0 + self.sigma2

    def with_(self, **changes: float) -> Setting:
        """The same setting with some values changed, validated again."""
        return replace(self, **changes)

    def state(self, W: Array, Phi: Array) -> tuple[Array, Array]:
        """(W, Phi) as finite float64 arrays of shapes (h, h) and (h, d); raises ValueError otherwise."""
        return array("W", W, (self.h, self.h)), array("Phi", Phi, (self.h, self.d))


def initialize(setting: Setting, rng: np.random.Generator) -> tuple[Array, Array]:
    """Assumption 4: sqrt(d) Phi_ij and, for i <= j, sqrt(h) W_ij are independent standard normal; W is symmetric.

    Returns W (h, h) and Phi (h, d).

    >>> W, Phi = initialize(Setting(h=3, d=5), np.random.default_rng(0))
    >>> W.shape, Phi.shape, bool((W == W.T).all())
    ((3, 3), (3, 5), True)
    """
    h, d = setting.h, setting.d
    upper = np.triu(rng.standard_normal((h, h))) / np.sqrt(h)
    return upper + np.triu(upper, 1).T, rng.standard_normal((h, d)) / np.sqrt(d)


def views(setting: Setting, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Two noisy views of the same n anchors (Section 3): x0 ~ N(0, I), then x, x' ~ N(x0, sigma2 I) independently.

    Returns two arrays of shape (n, d).

    >>> x, x1 = views(Setting(h=2, d=4), 10, np.random.default_rng(0))
    >>> x.shape
    (10, 4)
    """
    shape = (positive_int("n", n), setting.d)
    anchor = rng.standard_normal(shape)
    sigma = np.sqrt(setting.sigma2)
    return anchor + sigma * rng.standard_normal(shape), anchor + sigma * rng.standard_normal(shape)


def feature_views(F: Array, setting: Setting, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """The features Phi x and Phi x' of n pairs of Gaussian views, drawn in h dimensions: their law depends on F alone.

    Jointly Gaussian with covariance a F and cross-covariance F = Phi Phi^T. Returns two arrays of shape (n, h).

    >>> q, v = feature_views(np.eye(2), Setting(h=2, d=9), 5, np.random.default_rng(0))
    >>> q.shape, v.shape
    ((5, 2), (5, 2))
    """
    F = symmetric("F", F, setting.h)
    values, vectors = np.linalg.eigh(F)
    if values[0] < -1e-12 * values[-1]:
        raise ValueError(f"F: must have no negative eigenvalue, but the smallest is {values[0]:.3g}")
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    x, x1 = views(setting.with_(d=setting.h), n, rng)
    return x @ root.T, x1 @ root.T


def _rows_over_norms(name: str, rows: Array) -> Array:
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if not (largest > 0).all():
        raise ValueError(f"{name}: a feature vector is zero, so it has no direction")
    rows = rows / largest  # so that no square leaves the floating-point range
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def l2_loss(W: Array, Phi: Array, x: Array, x1: Array) -> float:
    """Eq. 1 on a sample: half the mean squared distance between W Phi x and Phi x'. Rows of x, x1 (n, d) are views."""
    W, Phi, x, x1 = sample(W, Phi, x, x1)
    with np.errstate(over="ignore", invalid="ignore"):
        loss = float(0.5 * np.mean(np.sum((x @ (W @ Phi).T - x1 @ Phi.T) ** 2, axis=1)))
    in_range("W, Phi, x, x1", loss)
    return loss


def cosine_loss(W: Array, Phi: Array, x: Array, x1: Array) -> float:
    """Eq. 2 on a sample: minus the mean cosine between W Phi x and Phi x'. Rows of x, x1 (n, d) are views.

    Raises ValueError where a feature is exactly zero: there the loss is not defined.

    >>> cosine_loss(np.eye(2), np.eye(2), np.array([[1.0, 0.0]]), np.array([[3.0, 0.0]]))
    -1.0
    """
    W, Phi, x, x1 = sample(W, Phi, x, x1)
    with np.errstate(over="ignore", invalid="ignore"):
        u, v = x @ (W @ Phi).T, x1 @ Phi.T
    in_range("W, Phi, x, x1", u, v)
    omega, z1 = _rows_over_norms("W Phi x", u), _rows_over_norms("Phi x'", v)
    return float(-np.mean(np.sum(omega * z1, axis=1)))


def l2_loss_expected(W: Array, Phi: Array, setting: Setting) -> float:
    """Eq. 1 in expectation: (a ||Psi||^2 - 2 tr(Psi Phi^T) + a ||Phi||^2) / 2, from E[x x^T] = a I and E[x x'^T] = I.

    >>> l2_loss_expected(np.zeros((1, 1)), np.ones((1, 1)), Setting(h=1, d=1, sigma2=1.0))
    1.0
    """
    W, Phi = setting.state(W, Phi)
    Psi = W @ Phi
    return float(0.5 * (setting.a * np.sum(Psi**2) - 2.0 * np.sum(Psi * Phi) + setting.a * np.sum(Phi**2)))


def cosine_loss_equal_modes(k: int, setting: Setting) -> float:
    """Eq. 2 in expectation where W is the identity and k eigenvalues of F are equal, the others zero.

    Closed form for the mean cosine of two k-dimensional Gaussian vectors whose coordinates have correlation 1/a.

    >>> round(cosine_loss_equal_modes(1, Setting(h=1, d=1, sigma2=1.0)), 6)   # -(2/pi) arcsin(1/2)
    -0.333333
    """
    from scipy.special import gammaln, hyp2f1

    k = positive_int("k", k)
    ratio = np.exp(2.0 * gammaln((k + 1) / 2) - gammaln(k / 2) - gammaln(k / 2 + 1))
    if k < 40:
        series = hyp2f1(0.5, 0.5, k / 2 + 1, setting.a**-2)
    else:  # scipy gives NaN for large k and small sigma2; from c = 21 on, 60 terms are exact to rounding
        n = np.arange(60)
        series = 1.0 + np.sum(np.cumprod((n + 0.5) ** 2 / ((k / 2 + 1 + n) * (n + 1)) * setting.a**-2))
    return float(-ratio / setting.a * series)


@dataclass(frozen=True)
class Norms:
    """The three numbers through which the other modes act on one mode: ||Phi||_F, ||Psi||_F and their cosine.

    N_x = tr(Phi^T Psi) / (N_Phi N_Psi) lies in [-1, 1]. It grows from about 0 to about 1 as learning goes on.
    """

    N_Phi: float
    N_Psi: float
    N_x: float

    def __post_init__(self) -> None:
        positive("N_Phi", self.N_Phi)
        positive("N_Psi", self.N_Psi)
        between(-1.0 - 1e-12, 1.0 + 1e-12)("N_x", self.N_x)


def norms(W: Array, Phi: Array) -> Norms:
    """N_Phi, N_Psi and N_x of a state (Section 4). Raises ValueError where Phi or W Phi is zero.

    >>> norms(np.eye(4), np.eye(4))
    Norms(N_Phi=2.0, N_Psi=2.0, N_x=1.0)
    """
    W, Phi = weights(W, Phi)
    with np.errstate(over="ignore", invalid="ignore"):
        Psi = W @ Phi
        N_Phi, N_Psi = float(np.linalg.norm(Phi)), float(np.linalg.norm(Psi))
        overlap = float(np.sum(Phi * Psi))
    return Norms(N_Phi, N_Psi, float(np.clip(overlap / (N_Phi * N_Psi), -1.0, 1.0)) if N_Phi * N_Psi else np.nan)


def _unit(name: str, A: Array, what: str) -> Array:
    """A over its largest entry, so that no product of two entries leaves the floating-point range."""
    if not A.any():
        raise ValueError(f"{name}: is zero, so it has no {what} to measure")
    return A / np.abs(A).max()


def effective_rank(A: Array) -> float:
    """Participation ratio (tr A)^2 / ||A||_F^2 of a positive semi-definite matrix: from 1 (one mode) to h (all equal).

    Raises ValueError where A is zero, not symmetric or of a trace that is not positive.

    >>> effective_rank(np.diag([1.0, 1.0, 0.0]))
    2.0
    """
    A = _unit("A", symmetric("A", A), "rank")
    trace = float(np.trace(A))
    if trace <= 0.0:
        raise ValueError("A: its trace is not positive, so it is not positive semi-definite")
    return float(trace**2 / np.sum(A**2))


def asymmetry(W: Array) -> float:
    """How far W is from symmetric: ||W - W^T||_F / (2 ||W||_F), from 0 (symmetric) to 1 (antisymmetric).

    Raises ValueError where W is zero.

    >>> asymmetry(np.array([[0.0, 1.0], [-1.0, 0.0]]))
    1.0
    """
    W = _unit("W", square("W", W), "asymmetry")
    return float(np.linalg.norm(W - W.T) / (2.0 * np.linalg.norm(W)))


def commutator(F: Array, W: Array) -> float:
    """How far F and W are from commuting: ||FW - WF||_F / (||FW||_F + ||WF||_F), from 0 to 1.

    Raises ValueError where F W and W F are zero.

    >>> commutator(np.diag([1.0, 2.0]), np.diag([3.0, 4.0]))
    0.0
    """
    F = square("F", F)
    W = array("W", W, F.shape)
    F, W = _unit("F", F, "commutator"), _unit("W", W, "commutator")
    FW, WF = F @ W, W @ F
    size = float(np.linalg.norm(FW) + np.linalg.norm(WF))
    if size == 0.0:
        raise ValueError("F, W: their products are zero, so there is no commutator to measure")
    return float(np.linalg.norm(FW - WF) / size)
