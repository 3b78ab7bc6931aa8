r"""What the theory's numbers are for an encoder that is not linear, estimated from features of two views.

Write q = f(x) and v = f(x') for the features of two views of one image, W for the linear head, and

    C = E[q q^T],    X = E[q v^T] (symmetric, since the views may be exchanged).

For the paper's linear model on isotropic Gaussian data C = a F and X = F = Phi Phi^T, with a = 1 + sigma2: the view
noise inflates C and is absent from X. With frozen norms the cosine loss moves W by

    X W^T / sqrt(tr C tr WCW^T) - tr(WX) W C W^T / (sqrt(tr C) (tr WCW^T)^(3/2)),

to leading order. Put N_Phi^2 = tr X, N_Psi^2 = tr WXW^T, N_x = tr(WX) / (N_Phi N_Psi), a_Phi = tr C / tr X,
a_Psi = tr WCW^T / tr WXW^T and a = sqrt(a_Phi a_Psi). If WCW^T = a_Psi WXW^T, that is the law from which Eq. 7 comes,

    (1/a) (X W^T / (N_Phi N_Psi) - N_x W X W^T / N_Psi^2),

and in the linear model every one of these is the paper's. ``departure`` measures how far C is from a multiple of X:
where it is large, the effective a is a summary, and Eq. 7 is not a prediction.

Eq. 7 further lives on the parabola, eigenvalues w^2 of Phi Phi^T. If the last layer of f is linear, f = P g, it is
P P^T and not X that is balanced against W^T W. With ``last`` = P the unit of the features is therefore chosen so that
tr X = ||P||_F^2 (``gain`` is the divisor). The cosine loss cannot see this unit, but weight decay can.

Nothing but ``feature_std`` is centred: the loss turns features about zero, not about their mean, so a representation
that has collapsed onto one point must read as rank 1. ``mean_share`` says how much of a feature the mean makes up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from featnorm import setting
from featnorm._validate import Array, array, nonnegative, square
from featnorm.equilibria import Intervals, intervals

_NAMES = ("N_Phi", "N_Psi", "N_x", "a_Phi", "a_Psi", "a")


@dataclass(frozen=True)
class Estimate:
    """An estimate with its standard error by the jackknife over images.

    >>> round(Estimate(2.0, 0.1).error, 2)
    0.1
    """

    value: float
    error: float


def _jackknife(columns: Array, function: Callable[[Array], Array]) -> list[Estimate]:
    """Of functions of means: ``columns`` (n, c) holds a sample's contributions, ``function`` takes means (..., c)."""
    n = len(columns)
    mean = columns.mean(axis=0)
    whole = function(mean)
    without = function(mean + (mean - columns) / (n - 1))
    errors = np.sqrt((n - 1) * without.var(axis=0))
    return [Estimate(float(value), float(error)) for value, error in zip(whole, errors)]


def _pairs(q: ArrayLike, v: ArrayLike) -> tuple[Array, Array, float]:
    """Both views over their largest entry, so that no product of four leaves the floating-point range."""
    q = array("q", q, (None, None))
    v = array("v", v, q.shape)
    if len(q) < 3 or not q.shape[1]:
        raise ValueError(f"q: has shape {q.shape}, must have at least 3 rows and 1 column")
    unit = float(max(np.abs(q).max(), np.abs(v).max())) or 1.0
    return q / unit, v / unit, unit


@dataclass(frozen=True)
class Theory:
    """The numbers of Eq. 7 for features, defined at the top of this module, each an `Estimate`; `theory` makes them.

    ``gain``: what X was divided by (1 without a last layer).  ``departure``: ||C - a_Phi X||_F / ||C||_F, from 0.

    >>> x = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    >>> round(theory(x, x, np.eye(2)).N_x.value, 12)
    1.0
    """

    N_Phi: Estimate
    N_Psi: Estimate
    N_x: Estimate
    a_Phi: Estimate
    a_Psi: Estimate
    a: Estimate
    gain: float
    departure: float

    def norms(self) -> setting.Norms:
        """N_Phi, N_Psi and N_x as `featnorm.setting.Norms`; raises ValueError where one does not exist."""
        return setting.Norms(self.N_Phi.value, self.N_Psi.value, float(np.clip(self.N_x.value, -1.0, 1.0)))


def theory(q: ArrayLike, v: ArrayLike, W: ArrayLike, last: ArrayLike | None = None) -> Theory:
    """N_Phi, N_Psi, N_x and the effective a from the features ``q``, ``v`` (n, h) of two views of the same n images.

    ``W`` is the head (h, h), ``last`` the weights (h, m) of a last layer that is linear. The rows must be independent:
    one pair of views an image. A number is nan where the features of the two views do not agree (tr X <= 0).
    ``departure`` carries its own sampling noise, of relative size about sqrt(h / n), which only adds to it.
    Raises ValueError for wrong shapes, values that are not finite, and ``last`` of zero.

    >>> x = np.random.default_rng(0).standard_normal((2000, 3))
    >>> one = theory(x, x, np.eye(3))
    >>> round(one.a.value, 6), round(one.departure, 6), bool(abs(one.N_Phi.value - 3**0.5) < 4 * one.N_Phi.error)
    (1.0, 0.0, True)
    """
    q, v, unit = _pairs(q, v)
    W = array("W", W, (q.shape[1], q.shape[1]))
    top = float(np.abs(W).max()) or 1.0
    Wq, Wv = q @ (W / top).T, v @ (W / top).T

    def dot(left: Array, right: Array) -> Array:
        return np.einsum("ij,ij->i", left, right)

    columns = np.stack(
        [
            (dot(q, q) + dot(v, v)) / 2,
            dot(q, v),
            (dot(Wq, Wq) + dot(Wv, Wv)) / 2,
            dot(Wq, Wv),
            (dot(Wq, v) + dot(Wv, q)) / 2,
        ],
        axis=1,
    )
    # N_Phi^2 is tr X in the features' unit, or ||P||^2 exactly: then only the other numbers are estimated
    size, gain = unit, 1.0
    if last is not None:
        last = array("last", last, (q.shape[1], None))
        size = float(np.linalg.norm(last))
        if size == 0.0:
            raise ValueError("last: is zero, so the features have no unit")
        gain = float(columns[:, 1].mean()) * (unit / size) ** 2

    def numbers(mean: Array) -> Array:
        trC, trX, trWCW, trWXW, trWX = np.moveaxis(mean, -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            N_Phi, N_Psi = np.sqrt(trX), np.sqrt(trWXW)
            N_x, a_Phi, a_Psi = trWX / (N_Phi * N_Psi), trC / trX, trWCW / trWXW
            scale = size / N_Phi if last is not None else size
            out = (N_Phi * scale, N_Psi * scale * top, N_x, a_Phi, a_Psi, np.sqrt(a_Phi * a_Psi))
        return np.stack([np.where((trX > 0) & (trWXW > 0), part, np.nan) for part in out], axis=-1)

    C = (q.T @ q + v.T @ v) / 2
    X = (q.T @ v + v.T @ q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        departure = float(np.linalg.norm(C - np.trace(C) / np.trace(X) * X) / np.linalg.norm(C))
    return Theory(**dict(zip(_NAMES, _jackknife(columns, numbers))), gain=gain, departure=departure)


def predicted(measured: Theory, rho: float) -> Intervals:
    """The regions of Eq. 7 for the eigenvalues of W at the measured norms, effective a and weight decay ``rho``.

    All nan where a norm does not exist or a is not above 1: views without noise are outside of Eq. 7.

    >>> x = np.random.default_rng(0).standard_normal((500, 4))
    >>> noise = np.random.default_rng(1).standard_normal((2, 500, 4))
    >>> measured = theory(x + noise[0], x + noise[1], np.eye(4))
    >>> bool(0.0 < predicted(measured, 0.01).middle[0] < predicted(measured, 0.01).high[0])
    True
    """
    nonnegative("rho", rho)
    a = measured.a.value
    values = (measured.N_Phi.value, measured.N_Psi.value, measured.N_x.value, a)
    if not all(map(math.isfinite, values)) or min(values[0], values[1]) <= 0 or a <= 1.0:
        return Intervals(*np.full((3, 1), np.nan))
    return intervals([measured.norms()], setting.Setting(h=1, d=1, sigma2=a - 1.0, rho=rho))


@dataclass(frozen=True)
class Spread:
    """How far features are from having collapsed; `spread` makes it.

    feature_std: standard deviation of the coordinates of q / ||q||, averaged over coordinates: 0 when all features
    point one way, 1 / sqrt(h) when they are isotropic.  rank: (tr C)^2 / ||C||_F^2 of C = E[q q^T], as in
    `featnorm.setting.effective_rank`.  mean_share: ||E q||^2 / E||q||^2.

    >>> spread(np.eye(4)[[0, 1, 2, 3] * 50]).feature_std.value < 0.5
    True
    """

    feature_std: Estimate
    rank: Estimate
    mean_share: Estimate


def spread(q: ArrayLike) -> Spread:
    """`Spread` of features (n, h), n >= 3 independent rows, with standard errors by the jackknife.

    rank and mean_share are ratios of U-statistics (products of different images only): the plain estimate of the rank
    is lower, as it adds 1 / n to 1 / rank. So mean_share may come out slightly below 0. A feature of exactly zero has
    direction zero; if all are zero, all numbers are nan. Raises ValueError for wrong shapes and values not finite.

    >>> q = np.random.default_rng(0).standard_normal((2000, 8))
    >>> out = spread(q)
    >>> bool(abs(out.rank.value - 8) < 4 * out.rank.error), round(out.feature_std.value * 8**0.5, 1)
    (True, 1.0)
    """
    q, _, _ = _pairs(q, q)
    n = len(q)
    square_norm = np.einsum("ij,ij->i", q, q)
    norm = np.sqrt(square_norm)
    if not norm.any():
        nothing = Estimate(math.nan, math.nan)
        return Spread(nothing, nothing, nothing)
    directions = q / np.where(norm > 0, norm, 1.0)[:, None]
    first, second = directions.mean(axis=0), (directions**2).mean(axis=0)

    def std(mean: Array, square_mean: Array, count: int) -> Array:
        return np.sqrt(np.maximum(square_mean - mean**2, 0.0) * count / (count - 1)).mean(axis=-1)

    left_out = std(first + (first - directions) / (n - 1), second + (second - directions**2) / (n - 1), n - 1)
    # sums over pairs i != j, and the same without the pairs of one image
    M, S, total = q.T @ q, square_norm.sum(), q.sum(axis=0)
    fourth = np.sum(square_norm**2)
    overlaps, traces, means = np.sum(M**2) - fourth, S**2 - fourth, total @ total - S
    less_overlaps = overlaps - 2.0 * (np.einsum("ij,ij->i", q @ M, q) - square_norm**2)
    less_traces = traces - 2.0 * square_norm * (S - square_norm)
    less_means = means - 2.0 * (q @ total - square_norm)

    def estimate(value: float, without: Array) -> Estimate:
        return Estimate(float(value), float(np.sqrt((n - 1) * without.var())))

    with np.errstate(divide="ignore", invalid="ignore"):
        return Spread(
            estimate(std(first, second, n), left_out),
            estimate(traces / overlaps, less_traces / less_overlaps),
            estimate(means / (S * (n - 1)), less_means / ((S - square_norm) * (n - 2))),
        )


@dataclass(frozen=True, eq=False)
class Head:
    """The linear head W beside features (n, h); `head` makes it.

    eig_W: eigenvalues of (W + W^T) / 2, descending, (h,).  asymmetry, commutator: of `featnorm.setting`, the latter
    with C = E[q q^T]; nan where W or all features are zero.  balance: ||W^T W - P P^T||_F / (||W||_F^2 + ||P||_F^2)
    for a last layer P, else nan.

    >>> head(np.eye(3), np.eye(3)).eig_W.tolist()
    [1.0, 1.0, 1.0]
    """

    eig_W: Array
    asymmetry: float
    commutator: float
    balance: float


def head(W: ArrayLike, q: ArrayLike, last: ArrayLike | None = None) -> Head:
    """`Head` of ``W`` (h, h), features ``q`` (n, h) and, where the last layer is linear, its weights ``last`` (h, m).

    Raises ValueError for wrong shapes and values that are not finite.

    >>> out = head(np.diag([2.0, 1.0]), np.eye(2), np.diag([2.0, 1.0]))
    >>> out.commutator, out.balance
    (0.0, 0.0)
    """
    W = square("W", array("W", W, (None, None)))
    q = array("q", q, (None, len(W)))
    eig_W = np.linalg.eigvalsh(0.5 * (W + W.T))[::-1]
    if last is not None:
        last = array("last", last, (len(W), None))
    q = q / (np.abs(q).max(initial=0.0) or 1.0)
    C = q.T @ q
    balance = math.nan
    if last is not None and (W.any() or last.any()):
        balance = float(np.linalg.norm(W.T @ W - last @ last.T) / (np.sum(W**2) + np.sum(last**2)))
    try:
        commutator = setting.commutator(C, W)
    except ValueError:  # one of them, or their product, is zero
        commutator = math.nan
    return Head(eig_W, setting.asymmetry(W) if W.any() else math.nan, commutator, balance)
