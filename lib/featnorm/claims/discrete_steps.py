"""Checks of the chapter "Discrete steps": what step size, momentum and gradient noise do that the flow does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from featnorm._validate import Array
from featnorm.claims.model import Check, Evidence, t_threshold
from featnorm.equilibria import equilibria
from featnorm.scale import Scale
from featnorm.setting import Norms, Setting, initialize, views
from featnorm.simsiam.noise import SgdPath, gradient_noise, load, next_norms, pair_power, sgd_path

EPS = float(np.finfo(float).eps)

# --- The symmetry ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scaling:
    """What is multiplied by which power of c. ``buffers``: those at the start, or None where they are zero."""

    lr: float = 1.0
    rho: float = -1.0
    W: float = 0.5
    Phi: float = 0.5
    buffers: float | None = -0.5
    loss: str = "cosine"


def _batches(setting: Setting, steps: int, n: int, rng: np.random.Generator) -> Array:
    return np.array([views(setting, n, rng) for _ in range(steps)])


def _apart(path: SgdPath, base: SgdPath, W: float = 1.0, Phi: float = 1.0) -> float:
    """The largest distance of two runs over the size of the second, the first divided by the factors W and Phi."""
    pairs = ((path.W / W, base.W), (path.Phi / Phi, base.Phi))
    return max(float((np.linalg.norm(A - B, axis=(1, 2)) / np.linalg.norm(B, axis=(1, 2))).max()) for A, B in pairs)


def check_sgd_symmetry(variant: Scaling, scale: Scale, seed: int) -> Evidence:
    """SGD on the same batches before and after the change, with and without momentum, constant and annealed.

    At c = 4 every factor is a power of two and no rounding differs, so the runs have to agree to the last bit. At other
    c a rounding error of one part in 2^53 enters at every step; how far it grows is measured with a start that is
    disturbed by one part in 10^9.
    """
    rng = np.random.default_rng(seed)
    setting = Setting(h=3, d=5, sigma2=0.8, rho=0.05)
    steps = scale.pick(20, 300, 3000)
    batches, start = _batches(setting, steps, 6, rng), initialize(setting, rng)
    buffers = tuple(0.3 * rng.standard_normal(A.shape) for A in start)
    constant, annealed = np.full(steps, 0.05), 0.025 * (1 + np.cos(np.pi * np.arange(steps) / steps))
    cases = [(0.0, constant, None), (0.9, 0.2 * annealed, None if variant.buffers is None else buffers)]
    worst, allowed, exact = 0.0, 0.0, True
    for momentum, lr, V in cases:
        how = {"momentum": momentum, "loss": variant.loss}
        base = sgd_path(start, batches, lr, setting.rho, buffers=V, **how)
        disturbed = tuple(A + 1e-9 * np.linalg.norm(A) * _unit(A.shape, rng) for A in start)
        growth = _apart(sgd_path(disturbed, batches, lr, setting.rho, buffers=V, **how), base) / 1e-9
        allowed = max(allowed, 100 * steps * EPS * max(growth, 1.0))
        for c in (0.1, 4.0, 10.0, 100.0):
            W, Phi = c**variant.W, c**variant.Phi
            moved = None if V is None else tuple(c ** (variant.buffers or 0.0) * A for A in V)
            try:
                path = sgd_path(
                    (W * start[0], Phi * start[1]), batches, c**variant.lr * lr, c**variant.rho * setting.rho,
                    buffers=moved, **how,
                )  # fmt: skip
                gap = _apart(path, base, W, Phi)
            except ValueError:  # the run leaves the floating-point range
                gap = np.inf
            worst = max(worst, gap)
            exact = exact and (c != 4.0 or gap == 0.0)
    source = "rounding: 100 of 2.2e-16 a step, times the growth of a small disturbance of the start"
    numbers = {"equal to the last bit at c = 4": float(exact)}
    worst = worst if exact else max(worst, 2 * allowed)
    return Evidence(worst, allowed, source, "numerical", steps, seed, numbers=numbers)


def _unit(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    out = rng.standard_normal(shape)
    return out / np.linalg.norm(out)


# --- Pythagoras ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _paths(steps: int, seed: int, loss: str) -> tuple[tuple[SgdPath, float, float], ...]:
    """Runs with and without momentum: (path, rho, momentum)."""
    rng = np.random.default_rng(seed)
    setting = Setting(h=3, d=5, sigma2=0.8)
    batches, start = _batches(setting, steps, 6, rng), initialize(setting, rng)
    lr = (0.2 + 0.1 * np.cos(np.arange(steps))) * (1.0 if loss == "cosine" else 0.1)  # where the L2 loss is stable
    cases = ((0.0, 1.0), (0.5, 0.5), (0.9, 0.1))
    return tuple((sgd_path(start, batches, f * lr, 0.4, mu, loss), 0.4, mu) for mu, f in cases)


@dataclass(frozen=True)
class Recursion:
    """A step of the norms; ``next`` as `featnorm.simsiam.noise.next_norms`."""

    next: Callable[..., tuple[Array, Array, Array]] = next_norms
    loss: str = "cosine"


def _inner(A: Array, B: Array) -> Array:
    return np.sum(A * B, axis=(1, 2))


def check_pythagoras(variant: Recursion, scale: Scale, seed: int) -> Evidence:
    """The three numbers of both layers, followed over many steps from the start alone and the gradients' norms."""
    steps, worst = scale.pick(20, 200, 2000), 0.0
    for path, rho, momentum in _paths(steps, seed, variant.loss):
        layers = ((path.W, path.buffer_W, path.grad_W), (path.Phi, path.buffer_Phi, path.grad_Phi))
        for weights, buffers, gradients in layers:
            true = np.stack([_inner(weights, weights), _inner(weights, buffers), _inner(buffers, buffers)], axis=1)
            power, overlap = _inner(gradients, gradients), _inner(gradients, buffers[:-1])
            now = tuple(true[0])
            for k in range(steps):
                now = variant.next(*now, power[k], overlap[k], path.lr[k], rho, momentum)
                worst = max(worst, float(np.max(np.abs(np.array(now) - true[k + 1]) / np.abs(true).max(axis=0))))
    source = "rounding: 100 of 2.2e-16 a step"
    return Evidence(worst, 100 * steps * EPS, source, "numerical", 3 * steps, seed)


def without(**flags: bool) -> Callable[..., tuple[Array, Array, Array]]:
    """`next_norms` with something left out: the overlap, the square of the decay, or the power itself."""

    def step(size, cross, buffer, power, overlap, lr, rho, momentum):
        if flags.get("overlap"):
            overlap = 0.0 * overlap
        if flags.get("power"):
            power = 0.0 * power
        size1, cross1, buffer1 = next_norms(size, cross, buffer, power, overlap, lr, rho, momentum)
        if flags.get("square"):
            size1 = size1 - (lr * rho) ** 2 * size
        if flags.get("first power"):
            size1 = size1 + (lr - lr**2) * power
        return size1, cross1, buffer1

    return step


@dataclass(frozen=True)
class Balance:
    """2 rho (1 - mu) (1 - lr rho / (2 (1 + mu))) <||W||^2> / lr = <||g||^2> + 2 mu <V, g>, with factors to change."""

    keep: Callable[[float], float] = lambda mu: 1.0 - mu
    second: Callable[[float], float] = lambda mu: 1.0 / (2.0 * (1.0 + mu))
    overlap: float = 2.0
    decay: float = 2.0


def check_balance(variant: Balance, scale: Scale, seed: int) -> Evidence:
    """Averages over a run at constant rate: both sides agree up to what start and end contribute, which is known.

    Summing the recursion over K steps leaves the differences of the three numbers between end and start, over K. These
    are taken off, so that the identity holds to rounding for every run, stationary or not.
    """
    rng = np.random.default_rng(seed)
    setting = Setting(h=3, d=5, sigma2=0.8, rho=0.4)
    steps, worst = scale.pick(30, 300, 3000), 0.0
    rho = setting.rho
    for mu, lr in ((0.0, 0.5), (0.5, 0.3), (0.9, 0.1)):
        path = sgd_path(initialize(setting, rng), _batches(setting, steps, 6, rng), lr, rho, mu)
        for weights, buffers, gradients in (
            (path.W, path.buffer_W, path.grad_W), (path.Phi, path.buffer_Phi, path.grad_Phi),
        ):  # fmt: skip
            sizes, crosses, powers = _inner(weights, weights), _inner(weights, buffers), _inner(buffers, buffers)
            d_size, d_cross, d_power = (v[-1] - v[0] for v in (sizes, crosses, powers))
            total = sizes[:-1].sum()
            cross = -(d_size / lr + d_cross) / (1 + mu)  # what the ends add to the sum of <W, V>
            grown = (d_size / lr + 2 * mu * cross) / lr  # and to that of ||V'||^2
            ends = (1 - mu**2) * grown + mu**2 * d_power - 2 * mu * rho * cross
            left = variant.decay * rho * variant.keep(mu) * (1 - lr * rho * variant.second(mu)) / lr * total + ends
            right = _inner(gradients, gradients).sum() + variant.overlap * mu * _inner(gradients, buffers[:-1]).sum()
            worst = max(worst, abs(left - right) / (abs(right) + rho / lr * total))
    source = "rounding: 100 of 2.2e-16 a step"
    return Evidence(worst, 100 * steps * EPS, source, "numerical", steps, seed)


# --- The noise of equal modes ----------------------------------------------------------------------------------------

BLOCKS = 64
#: (k, d, sigma2), far from the limit of many modes.
STATES = ((4, 4, 0.5), (5, 12, 1.0), (8, 40, 1.5))


@lru_cache(maxsize=2)
def _powers(pairs: int, seed: int) -> tuple[tuple[Array, Array], ...]:
    """Means over blocks of pairs of ||g||^2 ||.||^2 for W and Phi, each (BLOCKS,), for each of STATES."""
    rng, out = np.random.default_rng(seed), []
    for k, d, sigma2 in STATES:
        setting, dead = Setting(h=k + 1, d=d, sigma2=sigma2), np.zeros((k + 1, d))
        dead[:k, :k] = 1.7 * np.eye(k)  # the last mode is dead
        W = 0.6 * np.diag(np.append(np.ones(k), 0.0))
        turn = np.linalg.qr(rng.standard_normal((k + 1, k + 1)))[0]
        W, Phi = turn @ W @ turn.T, turn @ dead
        power = pair_power(W, Phi, *views(setting, pairs, rng))
        sizes = np.sum(W**2), np.sum(Phi**2)
        out.append(tuple(size * p.reshape(BLOCKS, -1).mean(axis=1) for size, p in zip(sizes, power)))
    return tuple(out)


def check_gradient_noise(
    formula: Callable[[int, int, float], tuple[float, float]], scale: Scale, seed: int
) -> Evidence:
    """The two second moments against those of single pairs of views, in states of few equal modes and a dead one."""
    pairs = BLOCKS * scale.pick(400, 4000, 200_000)
    z = []
    for (k, d, sigma2), blocks in zip(STATES, _powers(pairs, seed)):
        for found, claimed in zip(blocks, formula(k, d, sigma2)):
            z.append(abs(found.mean() - claimed) / (found.std(ddof=1) / np.sqrt(BLOCKS)))
    source = "Student quantile over both layers of three states, false alarm 5e-7"
    return Evidence(max(z), t_threshold(len(z), BLOCKS), source, "numerical", pairs, seed)


def _noise(k: int, d: int, sigma2: float) -> tuple[float, float]:
    noise = gradient_noise(k, d, sigma2, 1)
    return noise.W, noise.Phi


def _one_order(k: int, d: int, sigma2: float) -> tuple[float, float]:
    noise = gradient_noise(k, d, sigma2, 1, symmetrised=False)
    return noise.W, noise.Phi


def _many_modes(k: int, d: int, sigma2: float) -> tuple[float, float]:
    z = (1 + sigma2) ** -2
    return k / 2 * (1 - z) ** 2, d / 2 * (1 - z) ** 2


# --- The comparison with Eq. 7 ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """x (1 - x) = R + factor x^power / theta^theta_power for x = w_up / w_bar; ``R`` from (N, setting)."""

    power: int = 5
    factor: float = 2.0
    theta_power: int = 4
    R: Callable[[Norms, Setting], float] = load
    last: float = 0.25


def check_comparison(variant: Comparison, scale: Scale, seed: int) -> Evidence:
    """Random norms with N_x > 0: Eq. 7's own upper root over N_Psi / (N_x N_Phi) against the equation for x alone.

    The roots of Eq. 7 are bracketed; those of the equation are eigenvalues of its companion matrix. Where one side has
    no root the other must have none, no root may lie above 1, and none may exist for R > 1/4.
    """
    rng = np.random.default_rng(seed)
    cases, worst = scale.pick(60, 600, 20_000), 0.0
    for _ in range(cases):
        N = Norms(*(float(v) for v in rng.uniform(0.5, 3.0, 2)), float(rng.uniform(0.2, 1.0)))
        setting = Setting(h=1, d=1, sigma2=float(rng.uniform(0.2, 2.0)), rho=float(10.0 ** rng.uniform(-3, -0.5)))
        up = [e.w for e in equilibria(N, setting) if e.name == "w_up"]
        theta, R = N.N_x * N.N_Phi / N.N_Psi**0.5, variant.R(N, setting)
        coefficients = np.zeros(variant.power + 1)
        coefficients[[0, -3, -2, -1]] = variant.factor / theta**variant.theta_power, 1.0, -1.0, R
        roots = np.roots(coefficients)
        real = roots.real[(np.abs(roots.imag) < 1e-7) & (roots.real > 0)]
        if bool(up) != bool(len(real)):
            return Evidence(np.inf, 1e-7, "one side has a root and the other has none", "numerical", cases, seed)
        if up:
            x = up[0] * N.N_x * N.N_Phi / N.N_Psi
            worst = max(worst, abs(float(real.max()) - x), x - 1.0, np.inf if R > variant.last else 0.0)
    source = "square root of 2.2e-16, to which a nearly double root is exact, times 10"
    return Evidence(worst, 10 * EPS**0.5, source, "numerical", cases, seed)


CHECKS: dict[str, Check] = {
    "beyond-sgd-symmetry": Check(
        check_sgd_symmetry,
        claimed=Scaling(),
        wrong={
            "weights times c": Scaling(W=1.0, Phi=1.0),
            "the same weights": Scaling(W=0.0, Phi=0.0),
            "weight decay not divided": Scaling(rho=0.0),
            "momentum buffer kept as it is": Scaling(buffers=0.0),
            "momentum buffer scaled as the weights": Scaling(buffers=0.5),
            "only W scaled": Scaling(Phi=0.0),
            "the L2 loss": Scaling(loss="l2"),
        },
    ),
    "beyond-pythagoras": Check(
        check_pythagoras,
        claimed=Recursion(),
        wrong={
            "the overlap of gradient and buffer left out": Recursion(without(overlap=True)),
            "lr^2 rho^2 left out": Recursion(without(square=True)),
            "the gradient's part left out": Recursion(without(power=True)),
            "lr for lr^2": Recursion(without(**{"first power": True})),
            "the L2 loss": Recursion(loss="l2"),
        },
    ),
    "beyond-norm-balance": Check(
        check_balance,
        claimed=Balance(),
        wrong={
            "without 1 - mu": Balance(keep=lambda mu: 1.0),
            "1 - mu^2": Balance(keep=lambda mu: 1.0 - mu**2),
            "without the overlap": Balance(overlap=0.0),
            "the overlap once": Balance(overlap=1.0),
            "4 rho": Balance(decay=4.0),
            "without the second order in lr rho": Balance(second=lambda mu: 0.0),
            "1 / 2 for 1 / (2 (1 + mu))": Balance(second=lambda mu: 0.5),
        },
    ),
    "beyond-gradient-noise": Check(
        check_gradient_noise,
        claimed=_noise,
        wrong={
            "the limit of many modes": _many_modes,
            "Phi's by the ratio d / k": lambda k, d, s: (_noise(k, d, s)[0], d / k * _noise(k, d, s)[0]),
            "one order of the views": _one_order,
            "sigma2 for 1 + sigma2": lambda k, d, s: _noise(k, d, s - 0.4),
            "one mode more": lambda k, d, s: _noise(k + 1, max(d, k + 1), s),
        },
    ),
    "beyond-common-eigenvalue": Check(
        check_comparison,
        claimed=Comparison(),
        wrong={
            "x^6 for x^5": Comparison(power=6),
            "x^4 for x^5": Comparison(power=4),
            "factor 1": Comparison(factor=1.0),
            "theta^3": Comparison(theta_power=3),
            "N_x left out of R": Comparison(R=lambda N, s: load(N, s) / N.N_x),
            "N_Phi N_Psi for N_Phi^2": Comparison(R=lambda N, s: load(N, s) * N.N_Psi / N.N_Phi),
            "no root beyond R = 1/8": Comparison(last=0.125),
        },
    ),
}
