"""Gradient flow in (W, Phi): the field, the matrix H that drives it, and the closures that replace H by a formula.

Eq. 3 and 4, Lemmas 1 and 4 of the paper. The field exists in three forms: exactly on a finite sample (then the flow is
an ordinary differential equation whose laws can be tested to rounding), by Monte Carlo for Gaussian data, and through
a closure.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.integrate import solve_ivp

from featnorm._validate import Array, array, in_range, nonnegative, one_of, positive, positive_int, sample, symmetric
from featnorm.normalized_moments import cosine_field_expected, matrix_moments
from featnorm.setting import Setting, feature_views, norms, views

Loss = Literal["cosine", "l2"]
Closure = Literal["paper", "leading", "exact"]

#: What multiplies the three terms of Lemma 4 in each closure. ``paper`` is Lemma 4. ``leading`` drops the middle term,
#: which is smaller than the other two by a factor of order 1/h.
CLOSURES: dict[str, tuple[float, float, float]] = {"paper": (1.0, 1.0, 1.0), "leading": (1.0, 0.0, 1.0)}

#: Work limit of `gradient_flow`; regular flows need a few thousand evaluations.
MAX_EVALUATIONS = 100_000


def clock(t: Array | float, rho: float) -> Array:
    """s(t) = (exp(2 rho t) - 1) / (2 rho): when the flow without weight decay shows the directions of time t with it.

    Under the cosine loss (W, Phi)(t; rho) = exp(-rho t) (W, Phi)(s(t); 0), for any data (claim ``beyond-clock``).
    Raises ValueError for rho < 0 and where s leaves the floating-point range.

    >>> clock(np.array([0.0, 1.0]), 0.0).tolist()
    [0.0, 1.0]
    """
    t = np.asarray(t, dtype=np.float64)
    with np.errstate(all="ignore"):
        s = np.expm1(2.0 * rho * t) / (2.0 * rho) if nonnegative("rho", rho) > 0 else t
    in_range("t, rho", s)
    return s


def unclock(s: Array | float, rho: float) -> Array:
    """The time t at which the clock shows s: log(1 + 2 rho s) / (2 rho).

    Raises ValueError for rho < 0 and for s <= -1 / (2 rho), which the clock never shows.

    >>> float(unclock(clock(0.7, 0.3), 0.3))
    0.7
    """
    s = np.asarray(s, dtype=np.float64)
    with np.errstate(all="ignore"):
        t = np.log1p(2.0 * rho * s) / (2.0 * rho) if nonnegative("rho", rho) > 0 else s
    in_range("s, rho", t)
    return t


def _directions(W: Array, Phi: Array, x: Array, x1: Array) -> tuple[Array, Array, Array, Array]:
    """omega, z', and the norms of W Phi x and Phi x' as columns."""
    u, v = x @ (W @ Phi).T, x1 @ Phi.T
    u_norm = np.linalg.norm(u, axis=1, keepdims=True)
    v_norm = np.linalg.norm(v, axis=1, keepdims=True)
    return u / u_norm, v / v_norm, u_norm, v_norm


def cosine_field(W: Array, Phi: Array, x: Array, x1: Array, stop_gradient: bool = True) -> tuple[Array, Array]:
    """Minus the gradient of the cosine loss (Eq. 2) on a sample, by hand.

    With omega = W Phi x / ||W Phi x|| and z' = Phi x' / ||Phi x'||, the derivative of omega^T z' by W Phi x is
    g = (z' - (omega^T z') omega) / ||W Phi x||; the field is (E[g (Phi x)^T], W^T E[g x^T]).

    Parameters: W (h, h), Phi (h, d), views x, x1 (n, d) row by row. ``stop_gradient=False`` lets the gradient pass
    through the target too. Returns (dW, dPhi) of the shapes of (W, Phi), in units of loss over parameter.

    >>> dW, dPhi = cosine_field(np.eye(2), np.eye(2), np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]]))
    >>> dW.tolist()
    [[0.0, 0.0], [1.0, 0.0]]

    Raises ValueError for bad input and where a feature W Phi x or Phi x' is zero.
    """
    W, Phi, x, x1 = _sample_with_directions(W, Phi, x, x1)
    with np.errstate(all="ignore"):
        out = _cosine_field(W, Phi, x, x1, stop_gradient)
    in_range("W, Phi, x, x1", *out)
    return out


def _sample_with_directions(W: Array, Phi: Array, x: Array, x1: Array) -> tuple[Array, Array, Array, Array]:
    W, Phi, x, x1 = sample(W, Phi, x, x1)
    with np.errstate(all="ignore"):
        _, _, u_norm, v_norm = _directions(W, Phi, x, x1)
    for name, norm in (("W Phi x", u_norm), ("Phi x'", v_norm)):
        if not (norm > 0).all():
            raise ValueError(f"W, Phi, x, x1: a feature {name} is zero, so it has no direction")
    in_range("W, Phi, x, x1", u_norm, v_norm)
    return W, Phi, x, x1


def _cosine_field(W: Array, Phi: Array, x: Array, x1: Array, stop_gradient: bool = True) -> tuple[Array, Array]:
    """`cosine_field` without checks, for inner loops."""
    omega, z1, u_norm, v_norm = _directions(W, Phi, x, x1)
    cosine = np.sum(omega * z1, axis=1, keepdims=True)
    g = (z1 - cosine * omega) / u_norm / len(x)
    dW, dPhi = g.T @ (x @ Phi.T), W.T @ (g.T @ x)
    if not stop_gradient:
        dPhi = dPhi + ((omega - cosine * z1) / v_norm / len(x)).T @ x1
    return dW, dPhi


def l2_field(W: Array, Phi: Array, x: Array, x1: Array, stop_gradient: bool = True) -> tuple[Array, Array]:
    """Minus the gradient of the L2 loss (Eq. 1) on a sample; arguments and result as in `cosine_field`."""
    W, Phi, x, x1 = sample(W, Phi, x, x1)
    with np.errstate(all="ignore"):
        out = _l2_field(W, Phi, x, x1, stop_gradient)
    in_range("W, Phi, x, x1", *out)
    return out


def _l2_field(W: Array, Phi: Array, x: Array, x1: Array, stop_gradient: bool = True) -> tuple[Array, Array]:
    """`l2_field` without checks, for inner loops."""
    gap = (x1 @ Phi.T - x @ (W @ Phi).T) / len(x)
    dW, dPhi = gap.T @ (x @ Phi.T), W.T @ (gap.T @ x)
    return dW, dPhi if stop_gradient else dPhi - gap.T @ x1


def l2_field_expected(W: Array, Phi: Array, setting: Setting) -> tuple[Array, Array]:
    """Minus the gradient of the expected L2 loss: (F - a W F, W^T Phi - a W^T W Phi).

    >>> dW, dPhi = l2_field_expected(np.eye(1), np.eye(1), Setting(h=1, d=1, sigma2=1.0))
    >>> dW.item(), dPhi.item()
    (-1.0, -1.0)
    """
    W, Phi = setting.state(W, Phi)
    F = Phi @ Phi.T
    return F - setting.a * W @ F, W.T @ Phi - setting.a * W.T @ W @ Phi


@dataclass(frozen=True)
class Drift:
    """The largest departure of a run from each exact law of the cosine flow; zero but for the integrator's error.

    ``Phi`` and ``W``: of the squared norm times exp(2 rho t), relative to its start (claim ``beyond-norm-law``).
    ``balance``: of W^T W - Phi Phi^T times exp(2 rho t), entry by entry, relative to ||Phi(0)||_F^2
    (``beyond-balance``).
    """

    Phi: float
    W: float
    balance: float

    @classmethod
    def of(cls, t: Array, rho: float, W: Array, squares: Array, offset: Array) -> Drift:
        """From W, the squares whose sum is ||Phi||^2, and the mismatch, along the times t on the first axis."""

        def sums(values: Array) -> Array:
            return values.reshape(len(t), -1).sum(axis=1)

        grown = np.exp(2.0 * rho * (t - t[0]))
        size, head = grown * sums(squares), grown * sums(W**2)
        moved = grown.reshape(-1, *[1] * (offset.ndim - 1)) * offset - offset[0]
        return cls(*(float(np.abs(v / v[0] - 1.0).max()) for v in (size, head)), float(np.abs(moved).max() / size[0]))


@dataclass(frozen=True)
class MatrixTrajectory:
    """States along a flow with weight decay rho: times t (m,), W (m, h, h), Phi (m, h, d)."""

    t: Array
    W: Array
    Phi: Array
    rho: float

    def drift(self) -> Drift:
        """How far the run departs from the exact laws of the cosine flow; the L2 flow keeps only the balance law.

        >>> x = np.random.default_rng(0).standard_normal((50, 3))
        >>> run = gradient_flow(np.eye(2), np.eye(2, 3), x, x + 0.1, rho=0.5, times=[0.0, 1.0])
        >>> max(run.drift().Phi, run.drift().W, run.drift().balance) < 1e-8
        True
        """
        gram = np.swapaxes(self.W, 1, 2) @ self.W - self.Phi @ np.swapaxes(self.Phi, 1, 2)
        return Drift.of(self.t, self.rho, self.W, self.Phi**2, gram)


def gradient_flow(
    W0: Array,
    Phi0: Array,
    x: Array,
    x1: Array,
    rho: float,
    times: Sequence[float] | Array,
    loss: Loss = "cosine",
    stop_gradient: bool = True,
    rtol: float = 1e-10,
) -> MatrixTrajectory:
    """Eq. 3 on a finite sample: dW/dt = -grad_W L - rho W and the same for Phi, from (W0, Phi0) at times[0].

    The sample can follow any law and W0 need not be symmetric. ``rtol`` is the relative accuracy of each step of the
    8th-order Runge-Kutta method used. Raises ValueError for bad input, RuntimeError if the integration breaks down or
    needs more than MAX_EVALUATIONS of the field: that happens where W Phi x passes close to zero for some sample (the
    cosine loss is singular there), as it does late in a flow with few samples and few surviving modes.

    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> run = gradient_flow(np.eye(2), np.eye(2, 3), x, x + 0.1, rho=0.5, times=[0.0, 1.0])
    >>> run.W.shape
    (2, 2, 2)
    """
    W0 = array("W0", W0, (None, None))
    h = W0.shape[0]
    Phi0 = array("Phi0", Phi0, (h, None))
    d = Phi0.shape[1]
    array("W0", W0, (h, h))
    x = array("x", x, (None, d))
    x1 = array("x1", x1, (len(x), d))
    if not len(x):
        raise ValueError("x: has no rows, so there is no sample")
    rho = nonnegative("rho", rho)
    field = {"cosine": _cosine_field, "l2": _l2_field}[one_of("cosine", "l2")("loss", loss)]
    return _follow(lambda W, Phi: field(W, Phi, x, x1, stop_gradient), W0, Phi0, rho, times, rtol)


def population_flow(
    W0: Array,
    Phi0: Array,
    setting: Setting,
    times: Sequence[float] | Array,
    loss: Loss = "cosine",
    rtol: float = 1e-8,
    closure: Closure = "exact",
    symmetrised: bool = False,
    direct: bool = False,
) -> MatrixTrajectory:
    """Eq. 3 for the expected loss over Gaussian data, with no sample: exact moments drive the cosine loss.

    Arguments as for `gradient_flow`; the weight decay is ``setting.rho``. ``closure`` replaces H by a formula, with
    norms taken from the state as it moves. ``symmetrised`` replaces dW/dt by its symmetric part, which is how a flow
    keeps Assumption 1; W0 must then be symmetric. Both are for the cosine loss only.

    The cosine loss is integrated without weight decay, by the clock, and multiplied by exp(-rho t) afterwards (claim
    ``beyond-clock``): sizes then do not shrink, and the time that a run takes does not depend on rho. ``direct``
    integrates the equation as it stands instead; tests of the clock need that. The method is LSODA, implicit where the
    flow is stiff, with the Jacobian of the leading order, which is off by a relative O(1/h) and costs next to nothing.
    In the input only the row space of Phi0 matters, so at most h of its d dimensions are carried along.

    One evaluation costs O(h^3) (milliseconds at h = 16). Raises ValueError for bad input, RuntimeError if the
    integration breaks down.

    >>> run = population_flow(np.eye(2), np.eye(2, 3), Setting(h=2, d=3, rho=0.5), [0.0, 1.0])
    >>> bool(np.allclose(run.W[-1], np.exp(-0.5) * np.eye(2)))   # equal modes only shrink
    True
    """
    W0, Phi0 = setting.state(W0, Phi0)
    if one_of("cosine", "l2")("loss", loss) == "l2":
        if symmetrised or closure != "exact":
            raise ValueError(f"loss = {loss!r}: closure and symmetrised are for the cosine loss")
        return _follow(lambda W, Phi: l2_field_expected(W, Phi, setting), W0, Phi0, setting.rho, times, rtol)
    one_of(*CLOSURES, "exact")("closure", closure)
    W0 = symmetric("W0", W0) if symmetrised else W0
    accuracy = max(1e-2 * positive("rtol", rtol), 1e-12)
    left, sizes, rows = np.linalg.svd(Phi0, full_matrices=False)
    small, a = setting.with_(d=len(sizes)), setting.a

    def field(W: Array, Phi: Array) -> tuple[Array, Array]:
        if closure == "exact":
            dW, dPhi = cosine_field_expected(W, Phi, small, accuracy)
        else:
            dW, dPhi = _closure_field(W, Phi, a, CLOSURES[closure])
        return (dW + dW.T) / 2 if symmetrised else dW, dPhi

    def jacobian(W: Array, Phi: Array) -> Array:
        step = 1e-20j  # complex step: the derivative of an analytic function, without cancellation
        n = W.size
        y = np.concatenate([W.ravel(), Phi.ravel()]) + step * np.eye(n + Phi.size)
        dW, dPhi = _closure_field(y[:, :n].reshape(-1, *W.shape), y[:, n:].reshape(-1, *Phi.shape), a, (1.0, 0.0, 1.0))
        dW = (dW + np.swapaxes(dW, 1, 2)) / 2 if symmetrised else dW
        return np.concatenate([dW.reshape(len(y), -1), dPhi.reshape(len(y), -1)], axis=1).imag.T / 1e-20

    t = _increasing(times)
    rho, at = (setting.rho, t) if direct else (0.0, clock(t - t[0], setting.rho))
    run = _follow(field, W0, left * sizes, rho, at, rtol, jacobian)
    scale = 1.0 if direct else np.exp(-setting.rho * (t - t[0]))[:, None, None]
    return MatrixTrajectory(t, scale * run.W, scale * (run.Phi @ rows), setting.rho)


def _increasing(times: Sequence[float] | Array) -> Array:
    t = array("times", times, (None,))
    if len(t) < 2 or not (np.diff(t) > 0).all():
        raise ValueError("times: must be at least two increasing numbers")
    return t


def _follow(
    field: Callable[[Array, Array], tuple[Array, Array]],
    W0: Array,
    Phi0: Array,
    rho: float,
    times: Sequence[float] | Array,
    rtol: float,
    jacobian: Callable[[Array, Array], Array] | None = None,
) -> MatrixTrajectory:
    """Integrate dW/dt = field - rho W and the same for Phi; with a ``jacobian`` of field, by an implicit method."""
    positive("rtol", rtol)
    t = _increasing(times)
    h, d = Phi0.shape
    evaluations = itertools.count(1)

    def parts(y: Array) -> tuple[Array, Array]:
        return y[: h * h].reshape(h, h), y[h * h :].reshape(h, d)

    def velocity(time: float, y: Array) -> Array:
        count, (W, Phi) = next(evaluations), parts(y)
        if count > MAX_EVALUATIONS:
            raise RuntimeError(f"gradient flow stuck near t = {time:.6g}: a feature W Phi x is close to zero")
        try:
            dW, dPhi = field(W, Phi)
        except ValueError as error:
            if count == 1:  # the start itself
                raise
            raise RuntimeError(f"gradient flow stopped near t = {time:.6g}: {error}") from error
        return np.concatenate([(dW - rho * W).ravel(), (dPhi - rho * Phi).ravel()])

    y0 = np.concatenate([W0.ravel(), Phi0.ravel()])
    with np.errstate(all="ignore"):
        if not np.isfinite(velocity(t[0], y0)).all():
            raise ValueError("W0, Phi0, x, x1: a feature W Phi x or Phi x' is zero or too large: no gradient there")
    # Norms shrink like exp(-rho t), so the absolute tolerance follows the smallest size that is reached.
    atol = rtol * 1e-2 * float(np.abs(y0).max()) * float(np.exp(-rho * (t[-1] - t[0])))
    how: dict[str, Any] = {"method": "DOP853"}
    if jacobian is not None:
        how = {"method": "LSODA", "jac": lambda time, y: jacobian(*parts(y)) - rho * np.eye(len(y))}
    out = solve_ivp(velocity, (t[0], t[-1]), y0, t_eval=t, rtol=rtol, atol=atol, **how)
    if not out.success:
        raise RuntimeError(f"gradient flow stopped at t = {out.t[-1] if len(out.t) else t[0]:.6g}: {out.message}")
    y = out.y.T
    return MatrixTrajectory(out.t, y[:, : h * h].reshape(-1, h, h), y[:, h * h :].reshape(-1, h, d), rho)


# --- H ---------------------------------------------------------------------------------------------------------------


def H_sample(W: Array, Phi: Array, x: Array, x1: Array) -> Array:
    """H of Lemma 1 on a sample: the mean of z' omega^T - (omega^T z') omega omega^T. Shape (h, h); its trace is 0.

    >>> H_sample(np.eye(2), np.eye(2), np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])).tolist()
    [[0.0, 0.0], [1.0, 0.0]]

    Raises ValueError for bad input and where a feature W Phi x or Phi x' is zero.
    """
    return _H_sample(*_sample_with_directions(W, Phi, x, x1))


def _H_sample(W: Array, Phi: Array, x: Array, x1: Array) -> Array:
    """`H_sample` without checks, for inner loops."""
    omega, z1, _, _ = _directions(W, Phi, x, x1)
    cosine = np.sum(omega * z1, axis=1, keepdims=True)
    return (z1 - cosine * omega).T @ omega / len(x)


@dataclass(frozen=True)
class Estimate:
    """A Monte Carlo mean over ``n`` samples with its standard error, entry by entry."""

    mean: Array
    stderr: Array
    n: int


def _from_blocks(blocks: Array, n: int) -> Estimate:
    return Estimate(blocks.mean(axis=0), blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks)), n)


def estimate_H(W: Array, Phi: Array, setting: Setting, n: int, rng: np.random.Generator, blocks: int = 64) -> Estimate:
    """H of Lemma 1 for Gaussian data, by Monte Carlo with standard errors from the spread of ``blocks`` block means.

    Features are drawn in h dimensions (`feature_views`), so the cost does not depend on d. ``n`` is rounded up to a
    multiple of ``blocks``.

    >>> estimate_H(np.eye(2), np.eye(2), Setting(h=2, d=2), n=640, rng=np.random.default_rng(0)).mean.shape
    (2, 2)
    """
    W, Phi = setting.state(W, Phi)
    norms(W, Phi)  # refuses a zero Phi or W Phi
    size = -(-positive_int("n", n) // _several("blocks", blocks))
    eye = np.eye(setting.h)
    with np.errstate(all="ignore"):
        means = [_H_sample(W, eye, *feature_views(Phi @ Phi.T, setting, size, rng)) for _ in range(blocks)]
    in_range("W, Phi", *means)
    return _from_blocks(np.array(means), size * blocks)


def estimate_gradient(
    W: Array, Phi: Array, setting: Setting, n: int, rng: np.random.Generator, blocks: int = 64
) -> tuple[Estimate, Estimate]:
    """Minus the gradient of the expected cosine loss for Gaussian data, from views in d dimensions.

    Returns estimates for W and for Phi with standard errors from ``blocks`` block means.
    """
    W, Phi = setting.state(W, Phi)
    norms(W, Phi)  # refuses a zero Phi or W Phi
    size = -(-positive_int("n", n) // _several("blocks", blocks))
    with np.errstate(all="ignore"):
        pairs = [_cosine_field(W, Phi, *views(setting, size, rng)) for _ in range(blocks)]
    in_range("W, Phi", *(part for pair in pairs for part in pair))
    gradient_W, gradient_Phi = (_from_blocks(np.array(part), size * blocks) for part in zip(*pairs))
    return gradient_W, gradient_Phi


def _several(name: str, value: int) -> int:
    if positive_int(name, value) < 2:
        raise ValueError(f"{name} = {value}: must be >= 2, since a standard error needs at least two blocks")
    return value


def H_diagonal_blocks(
    w: Array, phi: Array, setting: Setting, n: int, rng: np.random.Generator, blocks: int = 64
) -> Array:
    """Monte Carlo block means of the diagonal of H in commuting states, for several states on the same random numbers.

    ``w`` and ``phi`` have shape (states, h): row by row the eigenvalues of W and F of one state. The off-diagonal of H
    is zero there by reflection symmetry. Returns shape (blocks, states, h); ``n`` is rounded up to fill the blocks.

    >>> H_diagonal_blocks(np.ones((1, 2)), np.ones((1, 2)), Setting(h=2, d=2), 640, np.random.default_rng(0)).shape
    (64, 1, 2)
    """
    h = setting.h
    w = array("w", w, (None, h))
    phi = array("phi", phi, (len(w), h))
    if (phi < 0).any():
        raise ValueError(f"phi: must have no negative entry, but the smallest is {phi.min():.3g}")
    if not ((w**2 * phi).sum(axis=1) > 0).all():
        raise ValueError("w, phi: in a state w^2 phi is zero in every mode, so Psi has no direction")
    size = -(-positive_int("n", n) // _several("blocks", blocks))
    piece = max(1, min(size, 60_000 // h))  # half a megabyte: stays in the cache of a core
    out = np.zeros((blocks, len(w), h))
    a = setting.a
    for block in out:
        for start in range(0, size, piece):
            # A pair of views, mode by mode: variance a each, covariance 1.
            x = np.sqrt(a) * rng.standard_normal((min(piece, size - start), h))
            x1 = x / a + np.sqrt(a - 1.0 / a) * rng.standard_normal(x.shape)
            xx, xx1 = x * x, x * x1
            # Norms and cosines of all states at once, shape (samples, states), so that the cost is in matrix products.
            u2, v2 = xx @ (w**2 * phi).T, (x1 * x1) @ phi.T
            inverse = 1.0 / np.sqrt(u2 * v2)
            cosine = (xx1 @ (w * phi).T) * inverse
            block += w * phi * (inverse.T @ xx1) - w**2 * phi * ((cosine / u2).T @ xx)
    return out / size


def closure_terms(W: Array, Phi: Array, setting: Setting) -> Array:
    """The three terms of Lemma 4, shape (3, h, h); their sum is the paper's closure H-hat.

    With the norms frozen, N = N_Phi N_Psi and a = 1 + sigma2, they are Phi Psi^T / (a N),
    -Psi (Psi^T Phi + Phi^T Psi) Psi^T / (a N N_Psi^2) and -N_x Psi Psi^T / (a N_Psi^2). Where W is symmetric the
    middle one is the paper's -2 Psi Phi^T Psi Psi^T / (a N_Phi N_Psi^3).

    >>> closure_terms(np.eye(1), np.eye(1), Setting(h=1, d=1, sigma2=1.0)).ravel().tolist()
    [0.5, -1.0, -0.5]
    """
    W, Phi = setting.state(W, Phi)
    N = norms(W, Phi)
    Psi = W @ Phi
    cross = Psi @ Phi.T  # Psi Phi^T
    gram = Psi @ Psi.T
    scale = N.N_Phi * N.N_Psi
    return (
        np.array(
            [
                cross.T / scale,
                -(gram @ cross.T + cross @ gram) / (scale * N.N_Psi**2),
                -N.N_x * gram / N.N_Psi**2,
            ]
        )
        / setting.a
    )


def H_closure(W: Array, Phi: Array, setting: Setting, closure: Closure = "paper") -> Array:
    """H of Lemma 1 in closed form, or exactly. Shape (h, h).

    ``paper``: all three terms of Lemma 4, which make the eigenvalue dynamics sixth-order. ``leading``: without the
    middle term (third-order). Both have a relative error of order 1/h. ``exact``: by quadrature
    (`featnorm.normalized_moments.matrix_moments`).

    >>> H_closure(np.eye(1), np.eye(1), Setting(h=1, d=1, sigma2=1.0), "leading").item()
    0.0
    """
    if one_of(*CLOSURES, "exact")("closure", closure) == "exact":
        W, Phi = setting.state(W, Phi)
        return matrix_moments(W, Phi @ Phi.T, setting).H
    weights = np.array(CLOSURES[closure])
    return np.tensordot(weights, closure_terms(W, Phi, setting), axes=1)


def closure_field(W: Array, Phi: Array, setting: Setting, closure: Closure = "paper") -> tuple[Array, Array]:
    """Minus the gradient of the cosine loss with a closure for H: (dW, dPhi) without weight decay, for any W.

    All three terms of Lemma 4 end in Psi^T: H = G Psi^T. So dW = G Phi^T and dPhi = W^T G satisfy Eq. 4, and no inverse
    of W is needed. ``exact`` gives `cosine_field_expected`.

    >>> dW, dPhi = closure_field(np.eye(2), 2 * np.eye(2), Setting(h=2, d=2), "leading")
    >>> dW.tolist()   # equal modes do not move
    [[0.0, 0.0], [0.0, 0.0]]
    """
    if one_of(*CLOSURES, "exact")("closure", closure) == "exact":
        return cosine_field_expected(W, Phi, setting)
    W, Phi = setting.state(W, Phi)
    norms(W, Phi)  # refuses a zero Phi or W Phi
    return _closure_field(W, Phi, setting.a, CLOSURES[closure])


def _closure_field(W: Array, Phi: Array, a: float, weights: tuple[float, float, float]) -> tuple[Array, Array]:
    """`closure_field` without checks, for stacks of states (..., h, h) and (..., h, d), complex ones too."""
    Psi = W @ Phi
    Phi_T = np.swapaxes(Phi, -1, -2)
    N_Psi2 = np.sum(Psi * Psi, axis=(-2, -1), keepdims=True)
    scale = np.sqrt(np.sum(Phi * Phi, axis=(-2, -1), keepdims=True) * N_Psi2)
    overlap = np.sum(Phi * Psi, axis=(-2, -1), keepdims=True)
    first, middle, third = weights
    G = first * Phi - third * overlap / N_Psi2 * Psi
    if middle:
        G = G - middle * Psi @ (np.swapaxes(Psi, -1, -2) @ Phi + Phi_T @ Psi) / N_Psi2
    G = G / (a * scale)
    return G @ Phi_T, np.swapaxes(W, -1, -2) @ G


def closed_velocity(W: Array, Phi: Array, setting: Setting, closure: Closure = "paper") -> tuple[Array, Array]:
    """Eq. 4 with H replaced by a closure: (dW/dt, dF/dt) for a non-singular W, F = Phi Phi^T.

    From dW/dt W^T = H - rho W W^T and dPhi/dt Phi^T W^T = W^T H - rho F W^T. Raises numpy.linalg.LinAlgError where W
    is singular: Eq. 4 says nothing there.
    """
    H = H_closure(W, Phi, setting, closure)
    F = Phi @ Phi.T
    K = np.linalg.solve(W, H.T).T  # H W^{-T}
    growth = W.T @ K
    return K - setting.rho * W, growth + growth.T - 2.0 * setting.rho * F
