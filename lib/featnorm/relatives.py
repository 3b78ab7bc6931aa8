"""Relatives of SimSiam on the paper's model: BYOL, DirectPred, IsoLoss, Barlow Twins and VICReg, mode by mode.

In a commuting state, Phi = U diag(p) V^T, W = U diag(w) U^T and the target Phi_a = U diag(r) V^T, the methods with a
predictor share one force on each mode, the derivative of minus the loss by the mode's output w_j p_j:

    L2      g_j = r_j - a w_j p_j
    cosine  g_j = kappa (r_j - lambda w_j p_j) to leading order; exactly by quadrature.

They differ in what the force acts on (`Relative`). Barlow Twins and VICReg have no predictor and no target; their
population losses depend on F = Phi Phi^T and on the basis.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.integrate import solve_ivp

from featnorm._validate import Array, array, in_range, nonnegative, one_of, positive
from featnorm.matrix_flow import MAX_EVALUATIONS
from featnorm.normalized_moments import diagonal_moments
from featnorm.setting import Setting

Method = Literal["simsiam", "byol", "directpred", "isoloss"]
METHODS = ("simsiam", "byol", "directpred", "isoloss")
Loss = Literal["l2", "leading", "exact"]
LOSSES = ("l2", "leading", "exact")


# --- Methods with a predictor ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Predictor:
    """A predictor that is set from the features: w_j = s_j^power + epsilon max_i s_i.

    s_j = a phi_j are the eigenvalues of the correlation E[q q^T] of the online features, divided by the largest if
    ``normalised``. Power 1/2 is DirectPred (Tian, Chen and Ganguli 2021), power 1 is DirectCopy (Wang et al. 2021).
    Both take the correlation from a moving average; here it is the instantaneous one.

    >>> Predictor().of(np.array([4.0, 1.0]), 1.0).tolist()
    [2.0, 1.0]
    >>> Predictor(epsilon=0.5, normalised=True).of(np.array([4.0, 1.0]), 1.0).tolist()
    [1.5, 1.0]
    """

    power: float = 0.5
    epsilon: float = 0.0
    normalised: bool = False

    def __post_init__(self) -> None:
        positive("power", self.power)
        nonnegative("epsilon", self.epsilon)

    def of(self, phi: Array, a: float) -> Array:
        """The eigenvalues w of the predictor at eigenvalues phi >= 0 of F, both (h,); a = 1 + sigma2."""
        s = a * np.asarray(phi, dtype=float)
        if self.normalised:
            s = s / s.max()
        return s**self.power + self.epsilon * s.max()


@dataclass(frozen=True)
class Relative:
    """A method with a predictor: what the force of a mode acts on, and how the target follows.

    ``simsiam``: w' = p g - rho w, p' = w g - rho p, target r = p. ``byol``: the same, and r' = beta (p - r).
    ``directpred``: w is set by ``predictor``, p' = w g - rho p, r = p. ``isoloss``: the same with p' = g - rho p.
    ``loss``: ``l2``, or the cosine loss to ``leading`` order in 1/h or ``exact``. ``beta`` is read by byol only,
    ``predictor`` by directpred and isoloss only.

    Raises ValueError that names the argument.

    >>> Relative("byol", "l2", beta=-1.0)
    Traceback (most recent call last):
    ...
    ValueError: beta = -1.0: must be a finite number > 0
    """

    method: Method
    loss: Loss
    beta: float = 1.0
    predictor: Predictor = field(default_factory=Predictor)

    def __post_init__(self) -> None:
        one_of(*METHODS)("method", self.method)
        one_of(*LOSSES)("loss", self.loss)
        positive("beta", self.beta)

    @property
    def trained(self) -> bool:
        """Whether the predictor is trained; else it is set."""
        return self.method in ("simsiam", "byol")


def force(w: Array, p: Array, r: Array, setting: Setting, loss: Loss) -> Array:
    """g_j, the derivative of minus the expected loss by the mode's output w_j p_j, shape (h,).

    ``w``, ``p``, ``r`` have shape (h,): eigenvalues of W, singular values of Phi and of the target; p and r may be
    negative. ``exact`` needs every r_j != 0. Raises ValueError for a wrong shape or a state without direction.

    >>> force(np.ones(2), np.ones(2), np.ones(2), Setting(h=2, d=2, sigma2=1.0), "l2").tolist()
    [-1.0, -1.0]
    >>> force(np.ones(2), np.ones(2), np.ones(2), Setting(h=2, d=2), "leading").tolist()   # equal modes do not move
    [0.0, 0.0]
    """
    w, p, r = (array(name, v, (setting.h,)) for name, v in (("w", w), ("p", p), ("r", r)))
    one_of(*LOSSES)("loss", loss)
    if loss != "l2" and not ((w * p).any() and r.any()):
        raise ValueError("w, p, r: w p or r is zero in every mode, so a feature has no direction")
    if loss == "exact" and not r.all():
        raise ValueError("r: must have no zero entry for the exact cosine loss")
    with np.errstate(all="ignore"):
        g = _force(w, p, r, setting, loss)
    in_range("w, p, r", g)
    return g


def _force(w: Array, p: Array, r: Array, setting: Setting, loss: Loss) -> Array:
    """`force` without checks, for inner loops."""
    a, u = setting.a, w * p
    if loss == "l2":
        return r - a * u
    if loss == "leading":
        return (r - (r @ u) / (u @ u) * u) / (a * np.linalg.norm(r) * np.linalg.norm(u))
    # A pair of vectors with coordinates u_j x_j and r_j x'_j is that of a SimSiam state with eigenvalues u / r and r^2.
    return diagonal_moments(u / r, r**2, setting).k / r


def mode_velocity(kind: Relative, w: Array, p: Array, r: Array, setting: Setting) -> tuple[Array, Array, Array]:
    """(dw/dt, dp/dt, dr/dt) of a `Relative`, each of shape (h,).

    Where the predictor is set, ``w`` must be what it gives and dw is zero, since nothing trains it; where there is no
    moving target, ``r`` must be p and dr is dp.

    >>> dw, dp, dr = mode_velocity(Relative("byol", "l2", beta=2.0), *np.array([[1.0], [1.0], [0.5]]),
    ...                            Setting(h=1, d=1, sigma2=1.0))
    >>> dw.item(), dp.item(), dr.item()
    (-1.5, -1.5, 1.0)
    """
    g = force(w, p, r, setting, kind.loss)
    return _mode_velocity(kind, np.asarray(w, float), np.asarray(p, float), np.asarray(r, float), g, setting.rho)


def _mode_velocity(kind: Relative, w: Array, p: Array, r: Array, g: Array, rho: float) -> tuple[Array, Array, Array]:
    dp = (g if kind.method == "isoloss" else w * g) - rho * p
    if not kind.trained:
        return np.zeros_like(w), dp, dp
    return p * g - rho * w, dp, kind.beta * (p - r) if kind.method == "byol" else dp


@dataclass(frozen=True)
class ModeTrajectory:
    """Modes along time: t (m,), and w, p, r of shape (m, h)."""

    t: Array
    w: Array
    p: Array
    r: Array


def follow_modes(
    kind: Relative,
    p0: Array,
    setting: Setting,
    times: Sequence[float] | Array,
    w0: Array | None = None,
    r0: Array | None = None,
    rtol: float = 1e-9,
) -> ModeTrajectory:
    """Integrate a `Relative` from p0 (h,) at the given times, which increase from the start.

    ``w0`` is required where the predictor is trained and refused where it is set; ``r0`` (byol only) is p0 unless
    given: the target starts as a copy. Raises ValueError for bad input, RuntimeError if the integration breaks down.

    >>> run = follow_modes(Relative("isoloss", "l2"), np.array([0.1]), Setting(h=1, d=1, sigma2=1.0), [0.0, 40.0])
    >>> round(run.w[-1].item(), 6)                                   # the equilibrium 1 / a
    0.5
    """
    h = setting.h
    p0 = array("p0", p0, (h,))
    t = _increasing(times)
    if kind.trained == (w0 is None):
        raise ValueError(f"w0: must {'be given' if kind.trained else 'not be given'} for {kind.method}")
    if r0 is not None and kind.method != "byol":
        raise ValueError(f"r0: must not be given for {kind.method}, whose target has no state of its own")
    parts = [p0]
    if kind.trained:
        parts.append(array("w0", w0, (h,)))
    if kind.method == "byol":
        parts.append(array("r0", p0 if r0 is None else r0, (h,)))

    def unpack(y: Array) -> tuple[Array, Array, Array]:
        p = y[:h]
        w = y[h : 2 * h] if kind.trained else kind.predictor.of(p**2, setting.a)
        return w, p, y[2 * h :] if kind.method == "byol" else p

    def slope(_: float, y: Array) -> Array:
        w, p, r = unpack(y)
        dw, dp, dr = _mode_velocity(kind, w, p, r, _force(w, p, r, setting, kind.loss), setting.rho)
        return np.concatenate([dp] + [dw] * kind.trained + [dr] * (kind.method == "byol"))

    force(*unpack(np.concatenate(parts)), setting, kind.loss)  # refuses a start without direction
    y = _solve(slope, np.concatenate(parts), t, setting.rho, rtol)
    states = [unpack(row) for row in y]
    return ModeTrajectory(t, *(np.array(column) for column in zip(*states)))


def _increasing(times: Sequence[float] | Array) -> Array:
    t = array("times", times, (None,))
    if len(t) < 2 or not (np.diff(t) > 0).all():
        raise ValueError("times: must be at least two increasing numbers")
    return t


def _solve(slope: Callable[[float, Array], Array], y0: Array, t: Array, rho: float, rtol: float) -> Array:
    # Sizes may shrink like exp(-rho t); the absolute tolerance follows, down to where nothing is left to see.
    atol = rtol * 1e-2 * float(np.abs(y0).max()) * max(float(np.exp(-rho * (t[-1] - t[0]))), 1e-9)
    evaluations = itertools.count(1)

    def counted(time: float, y: Array) -> Array:
        if next(evaluations) > MAX_EVALUATIONS:
            raise RuntimeError(f"the flow could not be integrated beyond t = {time:.6g}: too many steps")
        return slope(time, y)

    with np.errstate(all="ignore"):
        out = solve_ivp(counted, (t[0], t[-1]), y0, method="LSODA", t_eval=t, rtol=rtol, atol=atol)
    if not out.success or not np.isfinite(out.y).all():
        raise RuntimeError(f"the flow could not be integrated: {out.message}")
    return out.y.T


def momentum_field(W: Array, Phi: Array, Target: Array, x: Array, x1: Array) -> tuple[Array, Array]:
    """Minus the gradient of the cosine loss on a sample with another network as target: BYOL, for any data.

    With omega = W Phi x / ||W Phi x|| and z' = Target x' / ||Target x'||: (E[g (Phi x)^T], W^T E[g x^T]) for
    g = (z' - (omega^T z') omega) / ||W Phi x||. W (h, h), Phi and Target (h, d), views x, x1 (n, d). Raises ValueError
    where a feature is zero.

    >>> dW, dPhi = momentum_field(np.eye(2), np.eye(2), 9 * np.eye(2), np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]]))
    >>> dW.tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    W, Phi, x = array("W", W, (None, None)), array("Phi", Phi, (None, None)), array("x", x, (None, None))
    Target, x1 = array("Target", Target, Phi.shape), array("x1", x1, x.shape)
    q, v = x @ Phi.T, x1 @ Target.T
    u = q @ W.T
    u_norm, v_norm = (np.linalg.norm(rows, axis=1, keepdims=True) for rows in (u, v))
    if not (u_norm.all() and v_norm.all()):
        raise ValueError("W, Phi, Target: a feature is zero, so it has no direction")
    omega, z1 = u / u_norm, v / v_norm
    g = (z1 - np.sum(omega * z1, axis=1, keepdims=True) * omega) / u_norm / len(x)
    return g.T @ q, W.T @ (g.T @ x)


# --- Equilibria of the L2 losses -------------------------------------------------------------------------------------


def l2_equilibria(setting: Setting) -> tuple[float, float]:
    """(w_minus, w_plus): the non-zero equilibria under the L2 loss, a w^2 - w + rho = 0; NaN above rho = 1 / (4 a).

    The same for SimSiam, for BYOL and for every predictor set from the features.

    >>> l2_equilibria(Setting(h=1, d=1, sigma2=1.0, rho=0.0))
    (0.0, 0.5)
    """
    gap = 1.0 - 4.0 * setting.a * setting.rho
    if gap < 0:
        return np.nan, np.nan
    plus = (1.0 + float(np.sqrt(gap))) / (2.0 * setting.a)
    return setting.rho / (setting.a * plus), plus  # the product of the roots is rho / a: no cancellation


def byol_rates(w: float, setting: Setting, beta: float) -> tuple[float, float]:
    """Both eigenvalues of BYOL's L2 flow (w, r) on the parabola p = w, linearised at a non-zero equilibrium w = r.

    The matrix is [[-2 a w^2, w], [beta, -beta]]; its discriminant (2 a w^2 - beta)^2 + 4 beta w is positive, so both
    are real: no oscillation. Returns (fast, slow), fast < slow; slow < 0 where the equilibrium is stable.

    >>> fast, slow = byol_rates(0.5, Setting(h=1, d=1, sigma2=1.0), beta=1e9)   # SimSiam's rate is -w (2 a w - 1)
    >>> round(slow, 6)
    -0.5
    """
    w, beta = positive("w", w), positive("beta", beta)
    b, c = 2.0 * setting.a * w**2 + beta, beta * w * (2.0 * setting.a * w - 1.0)
    fast = -0.5 * (b + float(np.sqrt(b**2 - 4.0 * c)))
    return fast, c / fast


# --- Barlow Twins ----------------------------------------------------------------------------------------------------


def barlow_loss(Phi: Array, setting: Setting, off_diagonal: float = 1.0, normalised: bool = True) -> float:
    """Barlow Twins in expectation: sum_i (1 - C_ii)^2 + off_diagonal sum_{i != j} C_ij^2.

    C is the cross-correlation of the two views' features: F_ij / (a sqrt(F_ii F_jj)) with batch normalisation
    (``normalised``), F_ij without. Phi (h, d); with normalisation no row may be zero.

    >>> barlow_loss(np.eye(2), Setting(h=2, d=2, sigma2=1.0))      # C_ii = 1 / a whatever Phi is
    0.5
    """
    C = _cross_correlation(Phi, setting, normalised)
    diagonal = np.diag(C)
    return float(np.sum((1 - diagonal) ** 2) + off_diagonal * (np.sum(C**2) - np.sum(diagonal**2)))


def _cross_correlation(Phi: Array, setting: Setting, normalised: bool) -> Array:
    Phi = array("Phi", Phi, (setting.h, setting.d))
    F = Phi @ Phi.T
    if not normalised:
        return F
    size = np.sqrt(np.diag(F))
    if not size.all():
        raise ValueError("Phi: has a zero row, so a feature has no variance to divide by")
    return F / (setting.a * np.outer(size, size))


def barlow_field(Phi: Array, setting: Setting, off_diagonal: float = 1.0, normalised: bool = True) -> Array:
    """Minus the gradient of `barlow_loss`, shape (h, d).

    With normalisation, rows phi_i = n_i xi_i, R_ij = xi_i . xi_j: (4 off_diagonal / a^2) / n_i times
    ((R^2)_ii xi_i - sum_j R_ij xi_j), orthogonal to each row. Without: -4 (F o M - I) Phi, M = 1 on the diagonal and
    off_diagonal elsewhere.

    >>> barlow_field(2 * np.eye(2), Setting(h=2, d=2)).tolist()       # orthogonal rows do not move
    [[0.0, 0.0], [0.0, 0.0]]
    """
    C = _cross_correlation(Phi, setting, normalised)
    Phi = np.asarray(Phi, dtype=float)
    if not normalised:
        weight = np.where(np.eye(setting.h, dtype=bool), 1.0, off_diagonal)
        return -4.0 * (weight * C - np.eye(setting.h)) @ Phi
    R, size = setting.a * C, np.linalg.norm(Phi, axis=1, keepdims=True)
    Xi = Phi / size
    return 4.0 * off_diagonal / setting.a**2 * (np.sum(R**2, axis=1, keepdims=True) * Xi - R @ Xi) / size


def barlow_rate(theta: Array, size: float, setting: Setting, off_diagonal: float = 1.0) -> Array:
    """d theta_j / dt of the eigenvalues of R where all rows of Phi have one size and R is circulant, shape (h,).

    (8 off_diagonal / (a^2 size^2)) theta_j (sum_k theta_k^2 / h - theta_j); R is the correlation matrix, sum theta = h.
    ``size`` is the common row norm. The eigenvalues move towards each other; a zero stays zero.

    >>> barlow_rate(np.array([1.5, 0.5]), 1.0, Setting(h=2, d=2, sigma2=1.0)).tolist()
    [-0.75, 0.75]
    """
    theta = array("theta", theta, (setting.h,))
    mean_square = float(np.mean(theta**2))
    return 8.0 * off_diagonal / (setting.a * positive("size", size)) ** 2 * theta * (mean_square - theta)


# --- VICReg ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vicreg:
    """Weights of the three terms of VICReg and the number under its square root, as in the authors' public code."""

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    epsilon: float = 1e-4

    def __post_init__(self) -> None:
        for name in ("invariance", "variance", "covariance", "epsilon"):
            positive(name, getattr(self, name))


def vicreg_loss(Phi: Array, setting: Setting, weights: Vicreg = Vicreg()) -> float:
    """VICReg in expectation, with S_i = sqrt(a F_ii + epsilon) and the three weights m, v, c.

    (1/h) (2 m sigma2 tr F + v sum_i max(0, 1 - S_i) + 2 c sum_{i != j} (a F_ij)^2): the mean square between the views,
    the mean of both branches' hinges, the sum of both branches' squared covariances, each over h.

    >>> round(vicreg_loss(np.eye(2), Setting(h=2, d=2, sigma2=1.0)), 6)
    50.0
    """
    F = _gram(Phi, setting)
    S = np.sqrt(setting.a * np.diag(F) + weights.epsilon)
    off = np.sum(F**2) - np.sum(np.diag(F) ** 2)
    terms = (
        2.0 * weights.invariance * setting.sigma2 * np.trace(F),
        weights.variance * np.sum(np.maximum(1.0 - S, 0.0)),
        2.0 * weights.covariance * setting.a**2 * off,
    )
    return float(sum(terms)) / setting.h


def _gram(Phi: Array, setting: Setting) -> Array:
    Phi = array("Phi", Phi, (setting.h, setting.d))
    return Phi @ Phi.T


def vicreg_field(Phi: Array, setting: Setting, weights: Vicreg = Vicreg()) -> Array:
    """Minus the gradient of `vicreg_loss`, shape (h, d); the hinge pushes where S_i < 1.

    >>> vicreg_field(np.eye(2), Setting(h=2, d=2, sigma2=1.0)).tolist()      # no hinge: only the views pull
    [[-50.0, 0.0], [0.0, -50.0]]
    """
    F = _gram(Phi, setting)
    S = np.sqrt(setting.a * np.diag(F) + weights.epsilon)
    push = np.where(S < 1.0, weights.variance * setting.a / S, 0.0)
    pull = 8.0 * weights.covariance * setting.a**2 * (F - np.diag(np.diag(F)))
    return (np.diag(push - 4.0 * weights.invariance * setting.sigma2) - pull) @ np.asarray(Phi, float) / setting.h


def vicreg_rate(p: Array, setting: Setting, weights: Vicreg = Vicreg()) -> Array:
    """dp/dt, shape (h,), where F = diag(p^2) in the basis of the features: each mode by itself.

    h dp_j/dt = p_j (v a / sqrt(a p_j^2 + epsilon) [below 1] - 4 m sigma2 - h rho).

    >>> vicreg_rate(np.array([1.0, 0.0]), Setting(h=2, d=2, sigma2=1.0)).tolist()
    [-50.0, 0.0]
    """
    p = array("p", p, (setting.h,))
    S = np.sqrt(setting.a * p**2 + weights.epsilon)
    push = np.where(S < 1.0, weights.variance * setting.a / S, 0.0)
    return p * (push - 4.0 * weights.invariance * setting.sigma2) / setting.h - setting.rho * p


def vicreg_equilibrium(setting: Setting, weights: Vicreg = Vicreg()) -> float:
    """The stable p >= 0 of `vicreg_rate`: S = v a / (4 m sigma2 + h rho), at most 1 (the hinge) and zero below epsilon.

    >>> round(vicreg_equilibrium(Setting(h=2, d=2, sigma2=1.0), Vicreg(epsilon=1e-12)), 6)   # S = 1/2
    0.353553
    """
    pull = 4.0 * weights.invariance * setting.sigma2 + setting.h * setting.rho
    S = min(weights.variance * setting.a / pull, 1.0)
    return float(np.sqrt(max(S**2 - weights.epsilon, 0.0) / setting.a))


def follow_features(
    field: Callable[[Array], Array], Phi0: Array, rho: float, times: Sequence[float] | Array, rtol: float = 1e-9
) -> Array:
    """Integrate dPhi/dt = field(Phi) - rho Phi at the given times; returns (len(times), h, d).

    >>> setting = Setting(h=2, d=2)
    >>> Phi = follow_features(lambda Phi: barlow_field(Phi, setting), np.eye(2), 0.5, [0.0, 1.0])[-1]
    >>> bool(np.allclose(Phi, np.exp(-0.5) * np.eye(2)))
    True
    """
    Phi0 = array("Phi0", Phi0, (None, None))
    t, shape = _increasing(times), Phi0.shape

    def slope(_: float, y: Array) -> Array:
        Phi = y.reshape(shape)
        return (field(Phi) - rho * Phi).ravel()

    return _solve(slope, Phi0.ravel(), t, nonnegative("rho", rho), rtol).reshape(-1, *shape)


# --- Which weight decay is too much ----------------------------------------------------------------------------------


def critical_decay(method: str, setting: Setting, weights: Vicreg = Vicreg()) -> float:
    """The weight decay above which the only stable state is zero; infinity for losses that do not see the size.

    ``method``: ``simsiam l2``, ``byol l2``, ``directpred l2``: 1 / (4 a). ``isoloss l2``: 1. ``barlow plain``: 4.
    ``vicreg``: (v a / sqrt(epsilon) - 4 m sigma2) / h. ``simsiam cosine``, ``byol cosine``, ``directpred cosine``,
    ``isoloss cosine``, ``barlow``: infinity, since there size and direction part: the size follows the decay, whatever
    it is, and the directions do not collapse.

    >>> critical_decay("byol l2", Setting(h=1, d=1, sigma2=1.0)), critical_decay("isoloss l2", Setting(h=1, d=1))
    (0.125, 1.0)
    """
    push = weights.variance * setting.a / float(np.sqrt(weights.epsilon))
    known = {
        **dict.fromkeys(("simsiam l2", "byol l2", "directpred l2"), 1.0 / (4.0 * setting.a)),
        "isoloss l2": 1.0,
        "barlow plain": 4.0,
        "vicreg": (push - 4.0 * weights.invariance * setting.sigma2) / setting.h,
        **dict.fromkeys((f"{m} cosine" for m in METHODS), np.inf),
        "barlow": np.inf,
    }
    return float(known[one_of(*known)("method", method)])
