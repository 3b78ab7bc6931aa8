"""What discrete steps and gradient noise do to the norms, which the flow of Eq. 3 can only shrink.

The gradient of the cosine loss is orthogonal to W and to Phi on every batch. So a step of SGD adds to a squared norm
what Pythagoras says, weight decay takes from it, and both balance at a norm that step size and noise decide. Small
functions of numbers and arrays: the exact recursion of the norms, the exact noise of k equal modes, the norms at which
noise and decay balance, their course under a schedule, and what becomes of Eq. 7 there. No PyTorch.

Units: learning rates are those of the optimiser, not multiplied by batch / 256; momentum is that of PyTorch's SGD,
V' = momentum V + gradient + rho W and W' = W - lr V'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gamma, hyp2f1

from featnorm._validate import Array, array, in_range, nonnegative, one_of, positive, positive_int, sample
from featnorm.equilibria import classify_scaled, scaled
from featnorm.matrix_flow import cosine_field, l2_field
from featnorm.setting import Norms, Setting


def _momentum(value: float) -> float:
    if nonnegative("momentum", value) >= 1.0:
        raise ValueError(f"momentum = {value!r}: must be a number >= 0 and < 1")
    return float(value)


# --- One step --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SgdPath:
    """A run of SGD on given batches: the states before and after each of K steps, and what each step was made of.

    W (K + 1, h, h), Phi (K + 1, h, d); buffer_W and buffer_Phi of the same shapes, the momentum buffers; grad_W
    (K, h, h) and grad_Phi (K, h, d), the gradients of the symmetrised loss without weight decay; lr (K,).
    """

    W: Array
    Phi: Array
    buffer_W: Array
    buffer_Phi: Array
    grad_W: Array
    grad_Phi: Array
    lr: Array


def sgd_path(
    start: tuple[Array, Array],
    batches: Array,
    lr: ArrayLike,
    rho: float,
    momentum: float = 0.0,
    loss: str = "cosine",
    buffers: tuple[Array, Array] | None = None,
) -> SgdPath:
    """SGD with momentum and weight decay on the symmetrised loss, on the batches given: `linear.train` in plain sight.

    Parameters
    ----------
    start: W (h, h) and Phi (h, d).
    batches: (K, 2, n, d), the two views of every step.
    lr: one learning rate, or K of them.
    buffers: the momentum buffers at the start, of the shapes of W and Phi; zero by default, as in PyTorch.

    Raises ValueError for shapes that do not fit, numbers out of range, where a feature is zero, and where the run
    leaves the floating-point range, as it can with the L2 loss.

    >>> x = np.random.default_rng(0).standard_normal((3, 2, 5, 4))
    >>> path = sgd_path((np.eye(2), np.eye(2, 4)), x, 0.1, rho=0.0)
    >>> bool(abs((path.grad_W[0] * path.W[0]).sum()) < 1e-15)   # orthogonal on every batch
    True
    """
    W, Phi = array("W", start[0], (None, None)), array("Phi", start[1], (None, None))
    batches = array("batches", batches, (None, 2, None, Phi.shape[1]))
    rates = np.broadcast_to(array("lr", lr, None), len(batches))
    rho, momentum = nonnegative("rho", rho), _momentum(momentum)
    field = {"cosine": cosine_field, "l2": l2_field}[one_of("cosine", "l2")("loss", loss)]
    V_W, V_Phi = (np.zeros_like(W), np.zeros_like(Phi)) if buffers is None else buffers
    V_W, V_Phi = array("buffers[0]", V_W, W.shape), array("buffers[1]", V_Phi, Phi.shape)
    states, gradients = [(W, Phi, V_W, V_Phi)], []
    for (x, x1), rate in zip(batches, rates):
        one, other = field(W, Phi, x, x1), field(W, Phi, x1, x)  # minus the gradients
        with np.errstate(all="ignore"):
            g_W, g_Phi = (-0.5 * (p + q) for p, q in zip(one, other))
            V_W, V_Phi = momentum * V_W + g_W + rho * W, momentum * V_Phi + g_Phi + rho * Phi
            W, Phi = W - rate * V_W, Phi - rate * V_Phi
        in_range("start, batches, lr, rho", W, Phi)
        states.append((W, Phi, V_W, V_Phi))
        gradients.append((g_W, g_Phi))
    return SgdPath(*map(np.array, zip(*states)), *map(np.array, zip(*gradients)), np.array(rates))


def next_norms(
    size: ArrayLike,
    cross: ArrayLike,
    buffer: ArrayLike,
    power: ArrayLike,
    overlap: ArrayLike,
    lr: ArrayLike,
    rho: float,
    momentum: float,
) -> tuple[Array, Array, Array]:
    """One step of SGD in three numbers, exact because the gradient g is orthogonal to the weights W.

    ``size`` ||W||^2, ``cross`` <W, V> and ``buffer`` ||V||^2 with the momentum buffer V before the step; ``power``
    ||g||^2 and ``overlap`` <V, g> of its gradient. Returns size, cross and buffer after the step. The arguments
    broadcast. Without momentum this is Pythagoras: size' = (1 - lr rho)^2 size + lr^2 power.

    >>> [float(v) for v in next_norms(4.0, 0.0, 0.0, 1.0, 0.0, lr=0.5, rho=0.5, momentum=0.0)]   # 0.75^2 4 + 0.25
    [2.5, 1.0, 2.0]
    """
    size, cross, buffer, power, overlap, rate = (
        array(name, value, None)
        for name, value in (
            ("size", size), ("cross", cross), ("buffer", buffer), ("power", power), ("overlap", overlap), ("lr", lr)
        )
    )  # fmt: skip
    rho, momentum = nonnegative("rho", rho), _momentum(momentum)
    grown = momentum**2 * buffer + power + rho**2 * size + 2 * momentum * (overlap + rho * cross)
    along = momentum * cross + rho * size  # <W, V'>
    return size - 2 * rate * along + rate**2 * grown, along - rate * grown, grown


# --- The noise of equal modes ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GradientNoise:
    """gamma^2 of both layers: the mean squared norm of the batch gradient times the squared norm of the layer."""

    W: float
    Phi: float


def gradient_noise(k: float, d: int, sigma2: float, batch: int, symmetrised: bool = True) -> GradientNoise:
    """The exact gamma_W^2 and gamma_Phi^2 of the cosine loss in a state of k equal modes, where the mean gradient is 0.

    k modes share one eigenvalue of W and one of F; the others are dead. The value does not depend on the eigenvalues.
    With z = (1 + sigma2)^-2 it is k m / (2 batch) for W and k (m + (d - k) n) / (2 batch) for Phi, where m is
    E (1 - cos^2)^2 and n what the views' components outside the k modes add; both are Gauss hypergeometric functions.

    Parameters: k > 2 (below, the second moment of Phi's gradient is infinite), d >= k, sigma2 > 0, batch >= 1. An
    effective rank may stand for k. ``symmetrised=False`` is for the loss in one order of the views. Raises ValueError
    for other values.

    >>> noise = gradient_noise(8, 32, 1.0, batch=64)
    >>> round(noise.W, 4), round(noise.Phi / noise.W, 3)
    (0.0332, 5.621)
    """
    k, d, batch = positive("k", k), positive_int("d", d), positive_int("batch", batch)
    if k <= 2:
        raise ValueError(f"k = {k:g}: must be above 2, since 1 / ||Phi x||^2 has no mean otherwise")
    if d < k:
        raise ValueError(f"d = {d}: must be at least k = {k:g}")
    z = (1.0 + positive("sigma2", sigma2)) ** -2
    c = k / 2
    square = (k * k - 1) / (k * (k + 2)) * (1 - z) ** 2 * float(hyp2f1(2, 2, c + 2, z))  # E (1 - cos^2)^2
    one = (k - 1) / k * (1 - z) * float(hyp2f1(1, 1, c + 1, z))  # E (1 - cos^2)
    far = (k - 1) / (k * (k - 2)) * (1 - z) * float(hyp2f1(1, 2, c + 1, z))  # E (1 - cos^2) / r^2
    mixed = z * (k - 1) / (k * (k + 2)) * (1 - z) * float(hyp2f1(2, 2, c + 2, z))  # E rho cos (1 - cos^2) / (r r')
    if not symmetrised:
        return GradientNoise(k * one / batch, k * (one + (d - k) * far) / batch)
    return GradientNoise(k * square / (2 * batch), k * (square + (d - k) * (far - mixed)) / (2 * batch))


def pair_power(W: Array, Phi: Array, x: Array, x1: Array) -> tuple[Array, Array]:
    """||g_W||^2 and ||g_Phi||^2 of the symmetrised cosine loss for every single pair of views, each of shape (n,).

    W is (h, h), Phi (h, d), the rows of x and x1 (n, d) are the views. Each gradient is the sum of two matrices of rank
    one, so no matrix is formed. Raises ValueError for bad input and where a feature is zero.

    >>> one = np.array([[3.0, 0.0]])
    >>> pair_power(np.eye(2), np.eye(2), one, one)[0].tolist()   # equal views: the cosine is at its largest
    [0.0]
    """
    W, Phi, x, x1 = sample(W, Phi, x, x1)
    q, q1 = x @ Phi.T, x1 @ Phi.T

    def errors(online: Array, target: Array) -> Array:
        u = online @ W.T
        sizes = np.linalg.norm(u, axis=1, keepdims=True), np.linalg.norm(target, axis=1, keepdims=True)
        if not all((size > 0).all() for size in sizes):
            raise ValueError("W, Phi, x, x1: a feature is zero, so it has no direction")
        omega, z = u / sizes[0], target / sizes[1]
        return (z - np.sum(omega * z, axis=1, keepdims=True) * omega) / sizes[0]

    def power(left: Array, left1: Array, right: Array, right1: Array) -> Array:
        own = np.sum(left**2, axis=1) * np.sum(right**2, axis=1) + np.sum(left1**2, axis=1) * np.sum(right1**2, axis=1)
        return 0.25 * (own + 2.0 * np.sum(left * left1, axis=1) * np.sum(right * right1, axis=1))

    A, A1 = errors(q, q1), errors(q1, q)
    return power(A, A1, q, q1), power(A @ W, A1 @ W, x, x1)


# --- Where noise and decay balance -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Equilibrium:
    """Norms at which noise and decay balance: ||W||_F and ||Phi||_F."""

    W: float
    Phi: float


def noise_equilibrium(noise: GradientNoise, lr: float, rho: float, momentum: float = 0.0) -> Equilibrium:
    """||W||_F^4 = lr gamma_W^2 / (2 rho (1 - momentum)) and the same for Phi, at constant lr > 0 and rho > 0.

    Raises ValueError for other numbers.

    >>> noise_equilibrium(GradientNoise(2.0, 32.0), lr=0.1, rho=0.1)
    Equilibrium(W=1.0, Phi=2.0)
    """
    factor = positive("lr", lr) / (2.0 * positive("rho", rho) * (1.0 - _momentum(momentum)))
    return Equilibrium((factor * noise.W) ** 0.25, (factor * noise.Phi) ** 0.25)


def annealed_norms(
    gamma2: float, start: float, lr: ArrayLike, rho: float, momentum: float = 0.0, each: int = 1
) -> Array:
    """The norm of one layer under a schedule: d n / dt = -4 rho n + 2 eta gamma^2 for n = ||.||^4.

    eta = lr / (1 - momentum) is the effective rate and dt = eta a step.
    The equation is linear, so a stretch of constant rate is solved exactly.

    Parameters: ``gamma2`` of the layer, ``start`` its norm at step 0, ``lr`` (K,) the rates, >= 0, each kept for
    ``each`` steps. Returns the norms (K + 1,) between the stretches. Raises ValueError for numbers out of range.

    >>> annealed_norms(2.0, 3.0, np.full(2000, 0.1), rho=0.1)[[0, -1]].round(6).tolist()   # as noise_equilibrium
    [3.0, 1.0]
    """
    rates = array("lr", lr, (None,))
    if (rates < 0).any():
        raise ValueError(f"lr: must be >= 0, but the smallest is {rates.min():.3g}")
    rho, keep = positive("rho", rho), 1.0 - _momentum(momentum)
    target, n = rates * (positive("gamma2", gamma2) / (2.0 * rho * keep)), positive("start", start) ** 4
    out = [n]
    for level, fade in zip(target, np.exp(-4.0 * rho / keep * positive_int("each", each) * rates)):
        n = level + (n - level) * fade
        out.append(n)
    return np.array(out) ** 0.25


def annealed_end(lr: float, rho: float, momentum: float, steps: int) -> float:
    """The constant rate whose equilibrium an annealed run ends at: lr pi^2 / 4 (3 / (pi^2 lr rho K / (1 - mu)))^(2/3)
    Gamma(5/3), for cosine annealing from ``lr`` to 0 in K = ``steps`` steps with lr rho K / (1 - mu) large.

    Raises ValueError for numbers out of range.

    >>> round(annealed_end(0.1, 0.01, 0.9, 10_000) / 0.1, 4)
    0.0467
    """
    spent = positive("lr", lr) * positive("rho", rho) * positive_int("steps", steps) / (1.0 - _momentum(momentum))
    return float(lr * math.pi**2 / 4 * (3 / (math.pi**2 * spent)) ** (2 / 3) * gamma(5 / 3))


# --- Eq. 7 at the noise equilibrium ----------------------------------------------------------------------------------


def load(N: Norms, setting: Setting) -> float:
    """R = rho (1 + sigma2) N_x N_Phi^2, the one number that decides how far Eq. 7's upper root lies below w_bar.

    w_bar = N_Psi^2 / tr(W F) is the common eigenvalue of equal survivors. Raises ValueError as `equilibria.scaled`.

    >>> load(Norms(N_Phi=2.0, N_Psi=1.0, N_x=0.5), Setting(h=1, d=1, sigma2=1.0, rho=0.05))
    0.2
    """
    theta, r = scaled(N, setting)
    return theta * r


def predicted_load(
    k: float, d: int, sigma2: float, batch: int, lr: float, rho: float, momentum: float = 0.0
) -> tuple[float, float]:
    """(R, theta) of k equal modes at the noise equilibrium, to be handed to `upper_over_common`.

    R = (1 + sigma2) sqrt(lr rho gamma_Phi^2 / (2 (1 - momentum))), which for many modes is
    (a - 1 / a) sqrt(lr rho d / (4 batch (1 - momentum))) with a = 1 + sigma2, whatever k. theta^4 = k gamma_Phi /
    gamma_W. Raises ValueError as `gradient_noise` and `noise_equilibrium`.

    >>> R, theta = predicted_load(64, 512, 1.0, 512, lr=0.1, rho=0.01, momentum=0.9)
    >>> round(R, 4), round(float(upper_over_common(R, theta)), 3)
    (0.0766, 0.908)
    """
    noise = gradient_noise(k, d, sigma2, batch)
    at = noise_equilibrium(noise, lr, rho, momentum)
    return rho * (1.0 + sigma2) * at.Phi**2, (k * math.sqrt(noise.Phi / noise.W)) ** 0.25


def upper_over_common(R: ArrayLike, theta: ArrayLike = math.inf) -> Array:
    """Eq. 7's upper positive equilibrium over w_bar, as a function of R and theta = N_x N_Phi / N_Psi^(1/2) > 0.

    It is the larger positive root of x (1 - x) = R + 2 x^5 / theta^4, NaN where there is none; for theta = inf
    (1 + sqrt(1 - 4 R)) / 2 up to R = 1/4. Never above 1. Raises ValueError for R < 0 or theta <= 0.

    >>> upper_over_common([0.0, 0.16, 0.26]).round(3).tolist()
    [1.0, 0.8, nan]
    """
    R, theta = np.broadcast_arrays(array("R", R, None), np.asarray(theta, dtype=np.float64))
    if (R < 0).any():
        raise ValueError(f"R: must be >= 0, but the smallest is {R.min():.3g}")
    if not (theta > 0).all():
        raise ValueError(f"theta: must be > 0, but the smallest is {theta.min():.3g}")
    with np.errstate(invalid="ignore"):
        out = np.where(R <= 0.25, (1.0 + np.sqrt(1.0 - 4.0 * R)) / 2.0, np.nan)
    finite = np.isfinite(theta)
    if finite.any():
        out = np.array(out)
        out[finite] = classify_scaled(theta[finite], R[finite] / theta[finite]).w[:, 3] * theta[finite]
    return np.asarray(out)
