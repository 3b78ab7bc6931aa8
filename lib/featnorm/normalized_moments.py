"""Exact moments of normalised Gaussian pairs: H, H W^{-T} and the mean cosine of a state, at any size, by quadrature.

For Gaussian data, u = W Phi x and v = Phi x' are jointly Gaussian, and 1/||u|| = (2/sqrt(pi)) int_0^inf exp(-X^2
||u||^2) dX turns every expectation of normalised vectors into an integral over two numbers of Gaussian moments. Where
W and F = Phi Phi^T are diagonal, with eigenvalues w_j and phi_j, l = w^2 phi, s = X^2 and r = Y^2, the rate of a mode,
k_j = H_jj / w_j, is

    k_j = (4 phi_j / pi) int int dX dY Z {1 - 2 s w_j (a + 2 r (a^2 - 1) phi_j) (T + 2 w_j phi_j / D_j)} / D_j,
    D_j = 1 + 2 a (s l_j + r phi_j) + 4 (a^2 - 1) s r l_j phi_j,   Z = prod_j D_j^{-1/2},   T = sum_j w_j phi_j / D_j,

and E cos = (4 / pi) int int dX dY Z T. Not divided by w_j, a rate is finite where a mode crosses zero.

Why few nodes are enough. Every integrand is even and analytic in X, and for every spectrum its singularities lie on the
imaginary axis, at |X| >= (2 a max l)^{-1/2}. The substitution X = (2 a max l)^{-1/2} sinh(t) sends all of them to the
lines |Im t| = pi / 2, so that the trapezoidal rule with step delta errs by about exp(-pi^2 / delta), and by symmetry
half of its nodes are enough. If many modes share the weight, Z is close to a Gaussian and the error is smaller still:
about log(1 / error) / pi nodes an axis. The step follows from the Fourier transform of the integrand on the two axes,
which is that error, and the range from a bound of the integrand; nodes where it is negligible are left out. Each step
is then judged after the fact: the nodes hold the rule of twice the step, the distance to that rule is the error of the
coarser one, and the same transform says by which factor halving the step reduces it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.special import erfcx

from featnorm._validate import Array, array, positive, symmetric
from featnorm.setting import Setting

if TYPE_CHECKING:
    from torch import Tensor

#: Size of the arrays of the inner loop, in numbers: 256 kB, so that a few of them stay in the cache of a core.
BLOCK = 2**15

#: What rounding adds to every error.
ROUNDING = 2e-15


@dataclass(frozen=True)
class DiagonalMoments:
    """What drives the modes of a commuting state: ``k`` (h,), ``H`` = w k (h,), ``cosine`` = E[omega^T z'].

    ``error`` is an estimate of the largest error: of H relative to max_j E[omega_j^2], of k relative to the size of k
    that goes with it, max(max_j E[omega_j^2] ||Phi|| / ||Psi||, max_j phi_j / (a ||Phi|| ||Psi||)), and of the cosine.
    ``nodes`` is the number of quadrature nodes.
    """

    k: Array
    H: Array
    cosine: float
    error: float
    nodes: int


@dataclass(frozen=True)
class MatrixMoments:
    """What drives a state: ``H`` and ``K`` (h, h), with H = K W^T and dW/dt = K - rho W; ``cosine`` = E[omega^T z'].

    ``error`` and ``nodes`` as in `DiagonalMoments`, with H and K for H and k, and the largest eigenvalues of
    E[omega omega^T] and F for the largest E[omega_j^2] and phi_j.
    """

    H: Array
    K: Array
    cosine: float
    error: float
    nodes: int


def diagonal_moments(
    w: Array, phi: Array, setting: Setting | float, accuracy: float = 1e-10, strict: bool = False
) -> DiagonalMoments:
    """k_j = H_jj / w_j, H_jj and E[omega^T z'] where W = diag(w) and F = diag(phi) in one basis (Lemma 1, exactly).

    Parameters
    ----------
    w, phi: eigenvalues of W and of F, shape (h,); phi >= 0. Zeros are allowed in both.
    setting: a Setting, or the variance sigma2 > 0 of the augmentation noise.
    accuracy: largest error wanted, relative as in `DiagonalMoments`, below 1. Rounding limits it to about 1e-14.
    strict: raise where ``accuracy`` is not reached; otherwise the error reached is returned.

    The time is proportional to h times the number of nodes, about 80 for 1e-10 if many modes share the weight. Where
    exactly one w_j^2 phi_j is not zero, E[1 / ||u||] diverges: k_j of a mode with w_j = 0 < phi_j is then infinite.

    Raises ValueError for bad shapes or values, if w^2 phi is zero in every mode, and if strict.

    >>> round(diagonal_moments([1.0], [1.0], 1.0).cosine, 9)   # (2/pi) arcsin(1/2)
    0.333333333
    >>> bool(abs(diagonal_moments([2.0, 2.0], [3.0, 3.0], 1.0).H).max() < 1e-10)   # equal modes do not move
    True
    """
    state = _Diagonal.of(w, phi, setting)
    found, _ = _integrate(state.spectra(), state.rule, state.parts, state.scale, state.sigma2, accuracy, strict)
    return state.result(found)


def diagonal_moments_torch(
    w: Tensor, phi: Tensor, setting: Setting | float, accuracy: float = 1e-10, strict: bool = False
) -> DiagonalMoments:
    """`diagonal_moments` with the sums over modes and nodes on the device of the tensors ``w`` and ``phi``, in float64.

    Arguments, errors and result are the same, but ``k`` and ``H`` are tensors on that device. Which nodes to use is
    decided on the CPU, at a cost that does not grow with h beyond 256 modes except for counting them. Gradients do not
    pass through. One state at a time: states differ in their nodes, so that a batch would be a loop.

    >>> import torch
    >>> moments = diagonal_moments_torch(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0]), 1.0)
    >>> moments.H.dtype, bool(abs(moments.H.sum()) < 1e-10)
    (torch.float64, True)
    """
    import torch

    for name, value in (("w", w), ("phi", phi)):
        if not isinstance(value, torch.Tensor):
            raise ValueError(f"{name}: must be a torch.Tensor, but is a {type(value).__name__}; see diagonal_moments")
        if value.is_complex() or value.layout != torch.strided or value.is_meta:
            raise ValueError(f"{name}: must be a dense tensor of real numbers, but is {value.layout}, {value.dtype}")
    if w.device != phi.device:
        raise ValueError(f"w, phi: must be on one device, but are on {w.device} and {phi.device}")
    state = _Diagonal.of(*(value.detach().cpu().to(torch.float64).numpy() for value in (w, phi)), setting)

    def rule(grid: _Grid) -> tuple[Array, Array]:
        return _diagonal_rule_torch(state, grid, w.device)

    found, _ = _integrate(state.spectra(), rule, state.parts, state.scale, state.sigma2, accuracy, strict)
    on_cpu = state.result(found)
    k, H = (torch.as_tensor(part, device=w.device) for part in (on_cpu.k, on_cpu.H))
    return replace(on_cpu, k=k, H=H)


class FollowedMoments:
    """`diagonal_moments` for states that follow one another slowly, as along a flow, at less than half the cost.

    To choose the nodes takes longer than to sum over them. An object keeps the nodes of an earlier state and uses them
    again as long as the spectra have moved by less than MOVED and the estimate of the error, made afresh for every
    state, stays below ``accuracy``.

    >>> moments = FollowedMoments(1.0)
    >>> [bool(abs(moments(np.array([1.0, w]), np.ones(2)).H.sum()) < 1e-10) for w in (2.0, 2.001)], moments.planned
    ([True, True], 1)
    """

    #: The largest change of the spectra, as a share of their sums, at which nodes are used again.
    MOVED = 0.05

    def __init__(self, setting: Setting | float, accuracy: float = 1e-10) -> None:
        self.setting, self.accuracy = setting, positive("accuracy", accuracy)
        self.planned = 0  #: how often nodes were chosen
        self._last: tuple[Array, Array, _Grid] | None = None

    def __call__(self, w: Array, phi: Array) -> DiagonalMoments:
        """The moments of one state, as `diagonal_moments` gives them."""
        state = _Diagonal.of(w, phi, self.setting)
        if self._last is not None and not state.infinite.any():
            P, Q, grid = self._last
            if len(P) == len(state.P) and _moved(P, state.P) + _moved(Q, state.Q) <= self.MOVED:
                k, cosine, error, nodes = _on(grid, state.rule, state.parts, state.scale)
                # What halving the step gains was worked out for the older state: exp(5 % of a depth of 14) is a two.
                if 2.0 * error <= self.accuracy:
                    return state.result((k, cosine, 2.0 * error, nodes))
        # A little better than asked, so that the nodes serve the next states too.
        arguments = state.spectra(), state.rule, state.parts, state.scale, state.sigma2
        found, grid = _integrate(*arguments, 0.25 * self.accuracy, False)
        self.planned, self._last = self.planned + 1, (state.P, state.Q, grid)
        return state.result(found)


def _moved(before: Array, now: Array) -> float:
    return float(np.abs(now - before).sum() / before.sum())


@dataclass(frozen=True)
class _Diagonal:
    """A commuting state in units in which the largest of P = w^2 phi and of Q = phi are 1, and how to sum over it.

    ``infinite`` marks the modes whose rate diverges.
    """

    sigma2: float
    w: Array
    w_unit: float
    P: Array
    Q: Array
    infinite: NDArray[np.bool_]
    scale: _Scale

    @classmethod
    def of(cls, w: Array, phi: Array, setting: Setting | float) -> _Diagonal:
        sigma2 = _noise(setting)
        w = array("w", w, (setting.h if isinstance(setting, Setting) else None,))
        phi = array("phi", phi, w.shape)
        if (phi < 0).any():
            raise ValueError(f"phi: must have no negative entry, but the smallest is {phi.min():.3g}")
        Q, w_hat = phi / (phi.max(initial=0.0) or 1.0), np.where(phi > 0, w, 0.0)
        w_unit = np.abs(w_hat).max(initial=0.0) or 1.0
        top = ((w_hat / w_unit) ** 2 * Q).max(initial=0.0)
        if top == 0.0:
            raise ValueError("w, phi: w^2 phi is zero in every mode, so Psi has no direction")
        w_unit *= np.sqrt(top)
        w_hat /= w_unit
        P = w_hat**2 * Q
        infinite = (P == 0) & (Q > 0) & (np.count_nonzero(P) == 1)
        return cls(sigma2, w_hat, float(w_unit), P, Q, infinite, _Scale.of(P, Q, 1.0 + sigma2))

    def spectra(self) -> _Spectra:
        return _Spectra.paired(self.P, self.Q, np.where(self.infinite, 0.0, self.Q))

    def rule(self, grid: _Grid) -> tuple[Array, Array]:
        return _diagonal_rule(self.w, self.P, self.Q, _independence(self.sigma2), grid)

    def parts(self, k: Array) -> tuple[Array, Array]:
        return np.where(self.infinite, 0.0, k), self.w * k

    def result(self, found: _Found) -> DiagonalMoments:
        k, *rest = found
        return DiagonalMoments(np.where(self.infinite, np.inf, k / self.w_unit), self.w * k, *rest)


def matrix_moments(
    W: Array, F: Array, setting: Setting | float, accuracy: float = 1e-10, strict: bool = False
) -> MatrixMoments:
    """H and K = E[(I - omega omega^T) z' (Phi x)^T] / ||u|| of any state, exactly: dW/dt = K - rho W, H = K W^T.

    ``W`` (h, h) need not be symmetric nor commute with ``F`` = Phi Phi^T (h, h), and both may be singular; F is known
    up to rounding of its largest eigenvalue, and smaller eigenvalues count as zero. Other arguments as in
    `diagonal_moments`. F follows dF/dt = W^T K + K^T W - 2 rho F; `cosine_field_expected` gives the gradient in Phi.
    The time is that of a few singular value decompositions (h, h), one for each node in r.

    Raises ValueError for bad shapes or values, if W F W^T is zero, if it has rank one where F has not (K diverges),
    and if strict.

    >>> moments = matrix_moments(np.array([[0.0, 1.0], [0.0, 1.0]]), np.eye(2), 1.0)
    Traceback (most recent call last):
    ...
    ValueError: W, F: W F W^T has rank one and F has not, so that E[1 / ||u||] diverges
    >>> round(matrix_moments(np.eye(1), np.eye(1), 1.0).cosine, 9)
    0.333333333
    """
    sigma2 = _noise(setting)
    W = array("W", W, (setting.h, setting.h) if isinstance(setting, Setting) else (None, None))
    array("W", W, (len(W), len(W)))
    F = symmetric("F", F, len(W))
    values, vectors = np.linalg.eigh(F)
    if values.min(initial=0.0) < -1e-12 * values.max(initial=0.0):
        raise ValueError(f"F: must have no negative eigenvalue, but the smallest is {values.min():.3g}")
    G, cosine, error, nodes = _matrix_moments(W, vectors, np.sqrt(np.maximum(values, 0.0)), sigma2, accuracy, strict)
    K = G * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    return MatrixMoments(K @ W.T, K, cosine, error, nodes)


def cosine_field_expected(W: Array, Phi: Array, setting: Setting, accuracy: float = 1e-10) -> tuple[Array, Array]:
    """Minus the gradient of the expected cosine loss: (K, W^T E[g x^T]), what `matrix_flow.cosine_field` estimates.

    Shapes (h, h) and (h, d); raises as `matrix_moments`.

    >>> dW, dPhi = cosine_field_expected(np.eye(2), np.eye(2, 5), Setting(h=2, d=5))
    >>> bool(abs(dW).max() < 1e-10), dPhi.shape
    (True, (2, 5))
    """
    W, Phi = setting.state(W, Phi)
    vectors, root, rows = np.linalg.svd(Phi, full_matrices=False)
    G = _matrix_moments(W, vectors, root, setting.sigma2, accuracy, False)[0]
    return G * root @ vectors.T, W.T @ (G @ rows)


# --- Which nodes -----------------------------------------------------------------------------------------------------


def _noise(setting: Setting | float) -> float:
    return setting.sigma2 if isinstance(setting, Setting) else positive("sigma2", setting)


def _independence(sigma2: float) -> float:
    """1 - 1/a^2, the share of the variance of x' that x does not explain."""
    return sigma2 / (1.0 + sigma2) * ((2.0 + sigma2) / (1.0 + sigma2))


@dataclass(frozen=True)
class _Scale:
    """What errors of H and k are compared with, in units in which the largest of P (W F W^T) and of Q (F) are 1."""

    H: float
    k: float

    @classmethod
    def of(cls, P: Array, Q: Array, a: float) -> _Scale:
        # By Jensen E[omega_j^2] >= E[g^2 / (g^2 + m)] for the largest mode, g standard normal, m the sum of the others.
        m = max(float(P.sum()) - 1.0, 0.0)
        H = 1.0 - np.sqrt(np.pi * m / 2) * erfcx(np.sqrt(m / 2))
        return cls(float(H), float(max(H * np.sqrt(Q.sum() / P.sum()), 1.0 / (a * np.sqrt(Q.sum() * P.sum())))))


@dataclass(frozen=True)
class _Spectra:
    """What decides where the integrand is large: P and Q (n,), and in how many modes the i-th of P meets the j-th of Q.

    ``meet`` has shape (n, n), or (n,) where only pairs with i = j meet; ``count`` (n,) is how many modes share P and Q.
    ``reach`` is Q without the modes that have an infinite rate.
    """

    P: Array
    Q: Array
    reach: Array
    count: Array
    meet: Array

    @classmethod
    def paired(cls, P: Array, Q: Array, reach: Array) -> _Spectra:
        """Mode by mode; many modes are put into bins of half an octave, the last of which goes down to zero."""
        count = np.ones(len(P))
        if len(P) > 256:
            x, y = (np.minimum(-2.0 * np.log2(np.maximum(v, 1e-30)), 127.0).astype(np.intp) for v in (P, Q))
            count, P, Q, reach = (np.bincount(128 * x + y, v, 128**2) for v in (count, P, Q, reach))
            count, P, Q, reach = np.array([count, P, Q, reach])[:, count > 0]
            P, Q, reach = P / count, Q / count, reach / count
        return cls(P, Q, reach, count, count)

    def across(self, u: Array, v: Array) -> Array:
        """Sum over the modes i of W F W^T and j of F that meet of u (n_s, i) v (n_r, j)."""
        return (u * self.meet if self.meet.ndim == 1 else u @ self.meet) @ v.T

    def scan(self, spectrum: Array, depth: float) -> Array:
        """Points t among which the integrand ends: 0, then from well inside it to where every mode has decayed."""
        end = min(2.0 * depth + 10.0 - 0.5 * np.log(spectrum[spectrum > 0].min()), 150.0)
        start = min(0.5, 0.3 * np.sqrt(2.0 * depth / (self.count @ spectrum)))
        return np.append(0.0, start * (end / start) ** np.linspace(0.0, 1.0, 31))

    def step(self, spectrum: Array, end: float, depth: float) -> tuple[float, float]:
        """A step for an error of the trapezoidal rule of exp(-depth), and how much less that is than at twice the step.

        The error is the Fourier transform at the frequency 2 pi / step. It is found here for the parts of the integrand
        at r = 0 (or s = 0): Z times the factors of the largest mode, of the smallest, and of T.
        """
        n = max(64, int(end / 0.09))
        t = np.linspace(0.0, end, n + 1)
        x2 = np.sinh(t) ** 2
        p = np.outer(x2, spectrum)
        Z = np.cosh(t) * np.exp(-0.5 * np.log1p(p) @ self.count)
        share = np.sqrt(self.P * self.Q if self.meet.ndim == 1 else spectrum) * self.count
        top, low, T = 1.0 / (1.0 + x2), 1.0 / (1.0 + x2 * spectrum[spectrum > 0].min()), 1.0 / (1.0 + p) @ share
        transform = np.abs(dct([Z * top, Z * low, Z * T, Z * x2 * top * T, Z * x2 * top**2], type=1))
        size = np.log(np.max(transform / transform[:, :1], axis=0) + 1e-300)
        size = np.maximum.accumulate(size[::-1])
        order = np.arange(n, -1, -1) * np.pi / end
        within = min(depth, 33.0)
        frequency = np.interp(-within, size, order)
        gain = np.exp(-within - np.interp(frequency / 2, order[::-1], size[::-1]))
        return 2.0 * np.pi / frequency * within / depth, float(gain)

    def envelope(self, s: Array, r: Array, scale: _Scale, b: float) -> Array:
        """Logarithm of a bound of the integrand at all pairs of t in s and t in r, relative to what is wanted.

        For each mode D >= max(1 + p, 1 + q, b (1 + p)(1 + q)), p = x^2 P and q = y^2 Q; for Z also the
        convexity of -log(1 - z) on [0, 1 - b] and the Cauchy-Schwarz inequality. The largest of many is bounded by a
        4-norm, which is a sum over modes and therefore a matrix product.
        """
        x2 = np.sinh(s)[:, None] ** 2
        p, q = x2 * self.P, np.sinh(r)[:, None] ** 2 * self.Q
        Z_s, Z_r = -0.5 * (np.log1p(p) @ self.count)[:, None], -0.5 * (np.log1p(q) @ self.count)
        u, v = 1.0 / (1.0 + p), 1.0 / (1.0 + q)
        gap, overlap = min(-np.log(b), 40.0), np.outer((p * u) ** 2 @ self.count, (q * v) ** 2 @ self.count)
        Z = np.minimum(np.minimum(Z_s, Z_r), Z_s + Z_r + 0.5 * gap / max(1.0 - b, 1e-16) * np.sqrt(overlap))
        first = self.across(u**4, (v * self.reach / scale.k) ** 4)
        first += self.across((u**2 * self.P) ** 2, (v**2 * self.Q / scale.H**2) ** 2)
        both = np.sqrt(self.P * (self.Q if self.meet.ndim == 1 else 1.0))
        second = x2 * (u * np.maximum(both / scale.k, self.P / scale.H)).max(axis=1, keepdims=True)
        size = first**0.25 + self.across(u * np.sqrt(self.P), v * np.sqrt(self.Q)) * (1.0 + 3.0 * second)
        return Z + gap + np.log(size + 1e-300) + np.add.outer(np.log(np.cosh(s)), np.log(np.cosh(r)))


@dataclass(frozen=True)
class _Grid:
    """Nodes, as values of x^2, on the axis of s (n_s,) and of r (n_r,), and the weights of their pairs (3, n_s, n_r).

    The three rules use all nodes, every second one in s, and every second one in r. Pairs that do not matter have
    weight zero; ``cut`` bounds what they would add. ``gain`` holds the factors by which the error falls when the
    coarser of the two steps in s, and in r, is halved.
    """

    s: Array
    r: Array
    weights: Array
    gain: tuple[float, float]
    cut: float

    @property
    def nodes(self) -> int:
        return int(np.count_nonzero(self.weights[0]))


def _plan(spectra: _Spectra, scale: _Scale, sigma2: float, accuracy: float) -> _Grid:
    depth = 3.0 - np.log(accuracy)
    unit, b = 2.0 / (np.pi * (1.0 + sigma2)), _independence(sigma2)
    scan = spectra.scan(spectra.P, depth), spectra.scan(spectra.Q, depth)
    guess = unit / np.sqrt((spectra.count @ spectra.P) * (spectra.count @ spectra.Q))
    alive = spectra.envelope(*scan, scale, b) > -depth - 3.0 - np.log(guess)
    ends = [points[min(alive.any(axis=1 - n).nonzero()[0].max(initial=0) + 1, 31)] for n, points in enumerate(scan)]
    steps, gain = zip(*(spectra.step(values, end, depth) for values, end in zip((spectra.P, spectra.Q), ends)))
    unit *= steps[0] * steps[1]
    s, r = (step * np.arange(int(end / step) + 2) for step, end in zip(steps, ends))
    size = unit * np.exp(spectra.envelope(s, r, scale, b))
    ascending = np.sort(size, axis=None)
    cut = np.cumsum(ascending)
    first = min(np.searchsorted(cut, accuracy / 4), cut.size - 1)
    weight = unit * np.outer(np.cosh(s), np.cosh(r)) * (size >= ascending[first])
    weight[0] /= 2
    weight[:, 0] /= 2
    weights = np.stack([weight, weight, weight])
    weights[1, ::2], weights[1, 1::2] = 2 * weight[::2], 0.0
    weights[2, :, ::2], weights[2, :, 1::2] = 2 * weight[:, ::2], 0.0
    return _Grid(np.sinh(s) ** 2, np.sinh(r) ** 2, weights, gain, float(cut[first] - ascending[first]))


#: Rate, cosine, error and number of nodes.
_Found = tuple[Array, float, float, int]
_Rule = Callable[["_Grid"], tuple[Array, Array]]
_Parts = Callable[[Array], tuple[Array, Array]]


def _on(grid: _Grid, rule: _Rule, parts: _Parts, scale: _Scale) -> _Found:
    """What the nodes of a grid give, with the error judged by the rules of twice the step.

    ``rule``: rates and cosines (3, ...) on a grid; ``parts``: k and H of a rate.
    """
    rates, cosines = rule(grid)
    error = grid.cut + ROUNDING
    for gain, rate, cosine in zip(grid.gain, rates[1:] - rates[0], cosines[1:] - cosines[0]):
        k, H = parts(rate)
        error += gain * max(np.abs(k).max() / scale.k, np.abs(H).max() / scale.H, abs(cosine))
    return rates[0], float(cosines[0]), float(error), grid.nodes


def _integrate(
    spectra: _Spectra, rule: _Rule, parts: _Parts, scale: _Scale, sigma2: float, accuracy: float, strict: bool
) -> tuple[_Found, _Grid]:
    """The result at this accuracy, or the best of a few attempts, and its grid; ``rule`` and ``parts`` as in `_on`."""
    if positive("accuracy", accuracy) >= 1:
        raise ValueError(f"accuracy = {accuracy!r}: must be a number between 0 and 1")
    goal, best = max(accuracy, 1e-16), None
    for _ in range(4):
        grid = _plan(spectra, scale, sigma2, goal)
        found = _on(grid, rule, parts, scale)
        error = found[2]
        if best is None or error < best[0][2]:
            best = found, grid
        if error <= accuracy or goal <= 1e-16:
            break
        goal = max(goal * min(0.1, accuracy / error), 1e-16)
    if strict and best[0][2] > accuracy:
        raise ValueError(f"accuracy = {accuracy!r}: not reached, the error is {best[0][2]:.2g}")
    return best


# --- The sums --------------------------------------------------------------------------------------------------------


def _diagonal_rule(w: Array, P: Array, Q: Array, b: float, grid: _Grid) -> tuple[Array, Array]:
    """k (3, h) and the cosine (3,), for Q and P = w^2 Q of unit size. Two passes: one for Z and T, one for k."""
    rates, cosines = np.zeros((3, len(w))), np.zeros(3)
    modes = np.stack([np.ones_like(P), P, Q, b * P * Q], axis=1)
    used = np.stack(grid.weights[0].nonzero())
    for i, j in (used[:, n : n + 1024] for n in range(0, used.shape[1], 1024)):
        x2, y2 = grid.s[i], grid.r[j]
        nodes = np.stack([np.ones_like(x2), x2, y2, x2 * y2])
        rows = max(1, BLOCK // len(x2))
        chunks = [slice(n, n + rows) for n in range(0, len(w), rows)]
        log_Z, T = np.zeros(len(x2)), np.zeros(len(x2))
        for chunk in chunks:
            D = modes[chunk] @ nodes
            # Where the product is so large that it overflows, the integrand is not large enough to be here.
            log_Z -= 0.5 * np.log(np.multiply.reduce(D, axis=0))
            T += (w[chunk] * Q[chunk]) @ np.reciprocal(D, out=D)
        weight = grid.weights[:, i, j] * np.exp(log_Z)
        cosines += weight @ T
        once = np.concatenate([weight, weight * (x2 * T), weight * (x2 * y2 * T)])
        twice = np.concatenate([weight * x2, weight * (x2 * y2)])
        for chunk in chunks:
            D = modes[chunk] @ nodes
            np.reciprocal(D, out=D)
            A, B, Br = (once @ D.T).reshape(3, 3, -1)
            C, Cr = (twice @ np.multiply(D, D, out=D).T).reshape(2, 3, -1)
            wj, qj = w[chunk], Q[chunk]
            rates[:, chunk] += qj * (A - wj * (B + b * qj * Br + 2.0 * wj * qj * (C + b * qj * Cr)))
    return rates, cosines


def _diagonal_rule_torch(state: _Diagonal, grid: _Grid, device: Any) -> tuple[Array, Array]:
    """`_diagonal_rule` on a device; on a GPU blocks hold 32 MB, since a kernel call costs more there than on a CPU."""
    import torch

    def moved(value: Array) -> Tensor:
        return torch.as_tensor(value, dtype=torch.float64, device=device)

    w, P, Q, b = moved(state.w), moved(state.P), moved(state.Q), _independence(state.sigma2)
    rates, cosines = torch.zeros(3, len(w), dtype=w.dtype, device=device), np.zeros(3)
    modes = torch.stack([torch.ones_like(P), P, Q, b * P * Q], dim=1)
    used = np.stack(grid.weights[0].nonzero())
    for i, j in (used[:, n : n + 1024] for n in range(0, used.shape[1], 1024)):
        x2, y2 = moved(grid.s[i]), moved(grid.r[j])
        nodes = torch.stack([torch.ones_like(x2), x2, y2, x2 * y2])
        rows = max(1, (BLOCK if w.device.type == "cpu" else 2**22) // len(x2))
        chunks = [slice(n, n + rows) for n in range(0, len(w), rows)]
        log_Z, T = torch.zeros_like(x2), torch.zeros_like(x2)
        for chunk in chunks:
            D = modes[chunk] @ nodes
            log_Z -= 0.5 * torch.log(D).sum(dim=0)
            T += (w[chunk] * Q[chunk]) @ D.reciprocal_()
        weight = moved(grid.weights[:, i, j]) * torch.exp(log_Z)
        cosines += (weight @ T).cpu().numpy()
        once = torch.cat([weight, weight * (x2 * T), weight * (x2 * y2 * T)])
        twice = torch.cat([weight * x2, weight * (x2 * y2)])
        for chunk in chunks:
            D = (modes[chunk] @ nodes).reciprocal_()
            A, B, Br = (once @ D.T).reshape(3, 3, -1)
            C, Cr = (twice @ D.square_().T).reshape(2, 3, -1)
            wj, qj = w[chunk], Q[chunk]
            rates[:, chunk] += qj * (A - wj * (B + b * qj * Br + 2.0 * wj * qj * (C + b * qj * Cr)))
    return rates.cpu().numpy(), cosines


def _matrix_moments(
    W: Array, vectors: Array, root: Array, sigma2: float, accuracy: float, strict: bool
) -> tuple[Array, float, float, int]:
    """G = E[g y^T] (h, m), cosine, error and nodes, for Phi x = vectors diag(root) y with y ~ N(0, a I).

    At fixed r, x' is integrated out, which leaves x Gaussian with a diagonal precision R, and E[x' | x] = N x / a. The
    singular values of M R^{-1/2}, M = W vectors diag(root), then make the integrand diagonal for every s at once.
    """
    b = _independence(sigma2)
    live = root > len(root) * 2e-16 * root.max(initial=0.0)
    W_unit, unit = np.abs(W).max(initial=0.0) or 1.0, root.max(initial=0.0) or 1.0
    L = vectors[:, live] * (root[live] / unit)
    M = W / W_unit @ L
    values = np.linalg.svd(M, compute_uv=False)
    if not values.max(initial=0.0) > 0.0:
        raise ValueError("W, F: W F W^T is zero, so Psi has no direction")
    if len(values) > 1 and values[1] <= len(root) * 2e-16 * values[0]:
        raise ValueError("W, F: W F W^T has rank one and F has not, so that E[1 / ||u||] diverges")
    M, W_unit = M / values[0], W_unit * values[0]
    P, Q = (values / values[0]) ** 2, (root[live] / unit) ** 2
    triangle, cross, scale = np.linalg.qr(M)[1], M.T @ L, _Scale.of(P, Q, 1.0 + sigma2)

    def rule(grid: _Grid) -> tuple[Array, Array]:
        first, second, cosines = np.zeros((3, *cross.shape)), np.zeros((3, *cross.shape)), np.zeros(3)
        for y2, weights in zip(grid.r, np.moveaxis(grid.weights, 2, 0)):
            used = weights[0] > 0
            x2, weights = grid.s[used], weights[:, used]
            R, N = (1.0 + y2 * Q) / (1.0 + b * y2 * Q), 1.0 / (1.0 + b * y2 * Q)
            _, sigma, V = np.linalg.svd(triangle / np.sqrt(R))
            V = V.T / np.sqrt(R)[:, None]
            D = 1.0 / (1.0 + np.outer(x2, sigma**2))
            Y = V.T @ cross @ (N[:, None] * V)
            T = D @ np.diag(Y)
            weights = weights * np.exp(0.5 * np.log(D).sum(axis=1) - 0.5 * np.log1p(y2 * Q).sum())
            cosines += weights @ T
            first += (N[:, None] * V * (weights @ D)[:, None, :]) @ V.T
            weights = weights * x2
            core = (D.T * weights[:, None, :]) @ D * (Y + Y.T)
            core[:, *np.diag_indices(len(Y))] += (weights * T) @ D
            second += V @ core @ V.T
        return L @ first - M @ second, cosines

    def parts(G: Array) -> tuple[Array, Array]:
        K = G @ L.T
        return K, K @ W.T / W_unit

    spectra = _Spectra(P, Q, Q, np.ones(len(P)), np.ones((len(P), len(P))))
    G = np.zeros((len(W), len(root)))
    (G[:, live], *rest), _ = _integrate(spectra, rule, parts, scale, sigma2, accuracy, strict)
    return G / (W_unit * unit), *rest
