"""Checks of the chapter "Discrete steps": what step size, momentum and gradient noise do that the flow does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from scipy.integrate import solve_ivp
from scipy.stats import wilcoxon

from featnorm import results
from featnorm._validate import Array
from featnorm.claims.model import FALSE_ALARM, Check, Evidence, t_threshold
from featnorm.claims.survivors import level_rule
from featnorm.eigen_flow import parabola_velocity
from featnorm.equilibria import equilibria
from featnorm.matrix_flow import population_flow
from featnorm.scale import Scale
from featnorm.setting import Norms, Setting, initialize, norms, views
from featnorm.simsiam import noise_surveys
from featnorm.simsiam.noise import (
    SgdPath,
    annealed_end,
    annealed_norms,
    gradient_noise,
    load,
    next_norms,
    pair_power,
    predicted_load,
    sgd_path,
    upper_over_common,
)

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


def _by_ratio(k: int, d: int, sigma2: float) -> tuple[float, float]:
    noise = gradient_noise(k, d, sigma2, 1)
    return noise.W, d / k * noise.W


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


# --- Archived runs ---------------------------------------------------------------------------------------------------


@lru_cache  # the hash of its code is slow, and a check reads it once a variant
def survey(name: str) -> results.Archive:
    """The archived survey of this name (`featnorm.simsiam.noise_surveys`)."""
    return results.load(f"noise-{name}")


def source(name: str) -> str:
    """Where an archived survey comes from, for the line under its figure."""
    archive = survey(name)
    state = "STALE: code changed since" if archive.stale else "code unchanged"
    manifest = archive.manifest
    return (
        f"{manifest['made_by']}; made again by: {manifest['command']}; seed {manifest['seed']}; archived, commit "
        f"{manifest['commit']}, {state}"
    )


def _half_width(values: Array, comparisons: int) -> Array:
    """Half the width of the interval of a mean over the first axis, which holds independent runs."""
    n = len(values)
    return t_threshold(comparisons, n) * values.std(axis=0, ddof=1) / np.sqrt(n)


@dataclass(frozen=True)
class NormLaw:
    """||.||_F^power = lr gamma^2 / (decay rho keep(mu)); ``noise`` gives gamma^2 of both layers for one pair a step."""

    power: float = 4.0
    decay: float = 2.0
    keep: Callable[[float], float] = lambda mu: 1.0 - mu
    noise: Callable[[int, int, float], tuple[float, float]] = _noise


@dataclass(frozen=True, eq=False)
class Stationary:
    """Norms of archived runs over a law: predicted (cases, 2) and ratio (seeds, cases, 2), for W and Phi."""

    predicted: Array
    ratio: Array

    def of(self, sweep: str) -> tuple[Array, Array]:
        """The part that belongs to a sweep."""
        rows = [i for i, case in enumerate(noise_surveys.CASES) if case.sweep == sweep]
        return self.predicted[rows], self.ratio[:, rows]


SWEEPS = ("product", "d", "batch", "momentum")


def stationary(law: NormLaw | None = None) -> Stationary:
    """Archived stationary norms to the power of the law, over what the law says."""
    law, arrays = law or NormLaw(), survey("stationary").arrays
    measured = np.stack([arrays["W4"].T, arrays["Phi4"].T], axis=-1) ** (law.power / 4)
    rows = []
    for c in noise_surveys.CASES:
        factor = noise_surveys.RATE / (law.decay * c.rho * law.keep(c.momentum))
        rows.append(factor / c.batch * np.array(law.noise(noise_surveys.K, c.d, 1.0)))
    predicted = np.array(rows)
    return Stationary(predicted, measured / predicted)


def products(sweep: str = "product") -> Array:
    """The decay a step of the cases of a sweep."""
    return np.array([case.product for case in noise_surveys.CASES if case.sweep == sweep])


#: A constant is told from its neighbours, half and twice of it, where its interval lies within half that gap.
HALF_GAP = np.log(2.0) / 2


def check_noise_equilibrium(law: NormLaw, scale: Scale, seed: int) -> Evidence:
    """Archived runs over four sweeps: exponents, constants, and the limit of weak noise, for both layers.

    Three kinds of intervals, over independent runs. The slope of the measured over the predicted, on log scales, within
    a quarter of 1: half the gap to the slope that the square root would have. Each ratio within half the gap to the
    factor 2. And the ratio of the first sweep, with terms of order (lr rho)^(1/2) and lr rho fitted, has the limit 1.
    The statistic is the largest of the three, each over what is allowed.
    """
    found, worst = stationary(law), []
    comparisons = 2 * (len(noise_surveys.CASES) + len(SWEEPS) + 1)
    slopes, orders = {}, {}
    for layer, name in enumerate(("W", "Phi")):
        for sweep in SWEEPS:
            predicted, ratio = (part[..., layer] for part in found.of(sweep))
            logs, x = np.log(ratio), np.log(predicted)
            worst += list((np.abs(logs.mean(axis=0)) + _half_width(logs, comparisons)) / HALF_GAP)
            if np.ptp(x) > np.log(2.0):  # the norm of W does not depend on d
                slope = np.polyfit(x, (logs + x).T, 1)[0]
                slopes[f"{name} over {sweep}"] = float(slope.mean())
                worst.append((abs(slope.mean() - 1.0) + _half_width(slope, comparisons)) / 0.25)
        ratio = found.of("product")[1][..., layer]
        limit = np.polyfit(np.sqrt(products()), ratio.T, 2)[-1]
        worst.append(abs(limit.mean() - 1.0) / _half_width(limit, comparisons))
        orders[f"order {name}"] = float(np.polyfit(np.log(products()), np.log(np.abs(ratio.mean(axis=0) - 1.0)), 1)[0])
    source = "the slope rule, half the gap to the factor 2, and Student's quantile for the limit, false alarm 5e-7"
    off = np.abs(found.ratio.mean(axis=0) - 1.0)
    numbers = {**slopes, **orders, "off W": float(off[:, 0].max()), "off Phi": float(off[:, 1].max())}
    return Evidence(
        max(worst), 1.0, source, "archived", found.ratio.size, survey("stationary").manifest["seed"], numbers=numbers
    )


#: Decay a step of the survey of overlaps.
OVERLAP_PRODUCT = 2e-3


@dataclass(frozen=True)
class Excess:
    """What the balance of the norms of one layer consists of at one momentum, in units of gamma^2 of equal modes.

    ``power`` is ||.||^2 E ||g||^2 minus 1, ``overlap`` 2 mu ||.||^2 E <V, g>, ``norm`` the excess of the measured
    ||.||^4; ``errors`` are their standard errors.
    """

    momentum: float
    layer: str
    power: float
    overlap: float
    norm: float
    errors: tuple[float, float, float]


def excesses() -> list[Excess]:
    """The archived overlaps of gradient and buffer, for W and then Phi."""
    arrays, out = survey("overlap").arrays, []
    d, batch = 2 * noise_surveys.K, 64
    noise = gradient_noise(noise_surveys.K, d, 1.0, batch)
    for layer, (name, gamma2) in enumerate((("W", noise.W), ("Phi", noise.Phi))):
        for i, mu in enumerate(noise_surveys.MOMENTA):
            size, power, overlap = (arrays[key][i, :, layer] for key in ("size", "power", "overlap"))
            keep = 2 * OVERLAP_PRODUCT * (1 - mu) ** 2 / noise_surveys.RATE**2
            parts = size * power / gamma2 - 1, 2 * mu * size * overlap / gamma2, keep * size**2 / gamma2 - 1
            errors = tuple(float(v.std(ddof=1) / np.sqrt(len(v))) for v in parts)
            out.append(Excess(mu, name, *(float(v.mean()) for v in parts), errors))
    return out


# --- Annealed runs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Annealing:
    """||.||^4 at the end goes like length^exponent; along a run it obeys n' = -fade rho n + 2 eta gamma^2."""

    exponent: float = -2 / 3
    fade: float = 4.0


def annealed(fade: float = 4.0) -> tuple[Array, Array]:
    """Ends ||.||^4 of the archived annealed runs (seeds, lengths, 2), and over the prediction along the run."""
    s, arrays = noise_surveys, survey("annealed").arrays
    noise, rho = gradient_noise(s.K, s.ANNEALED_D, 1.0, s.ANNEALED_BATCH), s.ANNEALED_PRODUCT / s.RATE
    lr = s.RATE / 2 * (1 + np.cos(np.pi * np.arange(s.ANNEALED_EPOCHS) / s.ANNEALED_EPOCHS))
    ends = np.stack([arrays["W"][..., -1].T, arrays["Phi"][..., -1].T], axis=-1) ** 4

    def predicted(gamma2: float, steps: int) -> float:
        start = (s.RATE * gamma2 / (2 * rho)) ** 0.25
        return float(annealed_norms(gamma2, start, lr, fade / 4 * rho, each=steps // len(lr))[-1] ** 4)

    return ends, ends / np.array([[predicted(noise.W, steps), predicted(noise.Phi, steps)] for steps in s.LENGTHS])


def annealed_start() -> Array:
    """||.||^4 of W and Phi at the constant rate at which the annealed runs start, predicted, (2,)."""
    s = noise_surveys
    noise, factor = gradient_noise(s.K, s.ANNEALED_D, 1.0, s.ANNEALED_BATCH), s.RATE**2 / (2 * s.ANNEALED_PRODUCT)
    return factor * np.array([noise.W, noise.Phi])


def annealed_closed() -> Array:
    """The closed form of the final ||.||^4 of the archived annealed runs, (lengths, 2)."""
    s = noise_surveys
    ends = np.array([annealed_end(s.RATE, s.ANNEALED_PRODUCT / s.RATE, 0.0, steps) for steps in s.LENGTHS])
    return ends[:, None] / s.RATE * annealed_start()


def check_annealed(variant: Annealing, scale: Scale, seed: int) -> Evidence:
    """Archived runs of growing length: the exponent of their final norms, and the limit of measured over predicted.

    The interval of the slope lies within half the gap to the exponent -1/2. The ratio of the final norms to the
    equation, with terms of order length^(-1/3) and length^(-2/3) fitted, has the limit 1.
    """
    ends, ratio = annealed(variant.fade)
    lengths, worst, numbers = np.array(noise_surveys.LENGTHS, dtype=float), [], {}
    for layer, name in enumerate(("W", "Phi")):
        slope = np.polyfit(np.log(lengths), np.log(ends[..., layer]).T, 1)[0]
        limit = np.polyfit(lengths ** (-1 / 3), ratio[..., layer].T, 2)[-1]
        worst.append((abs(slope.mean() - variant.exponent) + _half_width(slope, 4)) / (1 / 12))
        worst.append(abs(limit.mean() - 1.0) / _half_width(limit, 4))
        numbers[f"slope {name}"] = float(slope.mean())
        numbers[f"last {name}"] = float(ratio[:, -1, layer].mean())
    source = "half the gap to the exponent -1/2, and Student's quantile for the limit, false alarm 5e-7"
    return Evidence(
        max(worst), 1.0, source, "archived", ends.size, survey("annealed").manifest["seed"], numbers=numbers
    )


# --- Early eigenvalues -----------------------------------------------------------------------------------------------


def _exploded(t: float, w: Array) -> float:
    return abs(w[0]) - 1e3


_exploded.terminal = True  # where this happens, `solve_ivp` stops


@lru_cache(maxsize=16)
def early_path(kind: str, law: str) -> Array:
    """The followed eigenvalue at EARLY_TIMES by a law: ``exact``, ``leading``, ``no decay`` or ``frozen``.

    ``frozen`` is Eq. 7 with the norms of the start; its path is infinite from where it explodes.
    """
    s, which = noise_surveys, -1 - noise_surveys.EARLY_STARTS[kind]
    flow = survey("early").arrays[f"{kind}_flow"]
    if law == "exact":
        return flow
    if law == "no decay":
        return flow * np.exp(s.EARLY.rho * s.EARLY_TIMES)
    start = s.early_start(kind)
    if law == "frozen":
        N = norms(*start)
        run = solve_ivp(
            lambda t, w: parabola_velocity(w, N, s.EARLY), (0.0, s.EARLY_TIMES[-1]), flow[:1], rtol=1e-8,
            events=_exploded, t_eval=s.EARLY_TIMES,
        )  # fmt: skip
        return np.append(run.y[0], np.full(len(s.EARLY_TIMES) - run.y.shape[1], np.sign(flow[0]) * np.inf))
    run = population_flow(*start, s.EARLY, s.EARLY_TIMES, rtol=1e-8, closure="leading")
    return np.linalg.eigvalsh((run.W + np.swapaxes(run.W, 1, 2)) / 2)[:, which]


def early_limits(kind: str) -> tuple[Array, float]:
    """Archived early eigenvalues extrapolated to the rate 0, (blocks, times), and the order of their distance to it.

    The distance is that to the exact flow, root mean square over the times; a sharp first order is fitted together with
    the second.
    """
    arrays, rates = survey("early").arrays, np.array(noise_surveys.RATES)
    found = arrays[kind]
    limits = np.polyfit(rates, found.reshape(len(rates), -1), 2)[-1].reshape(found.shape[1:])
    apart = np.sqrt(np.mean((found.mean(axis=1) - arrays[f"{kind}_flow"]) ** 2, axis=1))
    return limits, float(np.polyfit(np.log(rates), np.log(apart), 1)[0])


def check_early(kind: str, law: str, scale: Scale, seed: int) -> Evidence:
    """Means of SGD, extrapolated to the rate 0, against a path that is predicted from the start alone."""
    limits, order = early_limits(kind)
    limits, path = limits[:, 1:], early_path(kind, law)[1:]
    se = limits.std(axis=0, ddof=1) / np.sqrt(len(limits))
    z = np.abs(limits.mean(axis=0) - path) / se
    source = "Student quantile over the times, false alarm 5e-7, after a fit of first and second order in the rate"
    numbers = {"order": order, "end": float(path[-1])}
    return Evidence(
        float(z.max()), t_threshold(len(z), len(limits)), source, "archived", noise_surveys.BLOCK * len(limits),
        survey("early").manifest["seed"], numbers=numbers,
    )  # fmt: skip


# --- Who survives SGD ------------------------------------------------------------------------------------------------

#: Rules for the final shares of the modes, from w and phi at the start.
SHARES: dict[str, Callable[[Array, Array], Array]] = {
    "the terminal rule": level_rule(),
    "without the sign rule": level_rule(sign_rule=False),
    "half the offset": level_rule(offset=0.5),
    "the offset with the wrong sign": level_rule(offset=-1.0),
    "the shares of the start": lambda w, phi: phi,
    "all modes equal": lambda w, phi: np.ones_like(phi),
    "the positive eigenvalues alike": lambda w, phi: np.where(w > 0, 1.0, 0.0),
}


def predicted_shares(rule: str) -> Array:
    """The final shares of the modes of the archived starts by a rule, (starts, h)."""
    arrays = survey("ends").arrays
    predicted = np.array([SHARES[rule](w, phi) for w, phi in zip(arrays["w0"], arrays["phi0"])])
    return predicted / predicted.sum(axis=1, keepdims=True)


@lru_cache
def share_errors(rule: str) -> Array:
    """Sum over the modes of |share - predicted share| at the end of each archived run, (starts,)."""
    return np.abs(survey("ends").arrays["phi"] - predicted_shares(rule)).sum(axis=1)


def check_sgd_survivors(rule: str, scale: Scale, seed: int) -> Evidence:
    """Is this rule nearer to the end of SGD than each of the others? Signed-rank tests over archived starts.

    The statistic is the largest probability, over the other rules, of a lead like the one found if both were equal.
    """
    mine = share_errors(rule)
    leads = [wilcoxon(mine - share_errors(name), alternative="less").pvalue for name in SHARES if name != rule]
    numbers = {name: float(share_errors(name).mean()) for name in SHARES}
    source = "signed-rank test against every other rule, false alarm 5e-7"
    return Evidence(
        max(leads), FALSE_ALARM, source, "archived", len(mine), survey("ends").manifest["seed"], numbers=numbers
    )


# --- Eq. 7 over the noise level --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class NoiseMap:
    """Archived runs over levels of noise, each (seeds, levels).

    R and the ratio x of Eq. 7's stable point to the common eigenvalue, from the measured norms (NaN where there is
    none); ``predicted`` R from step size, decay, batch and the measured effective rank; ``modes`` alive and ``rank``.
    """

    R: Array
    x: Array
    predicted: Array
    modes: Array
    rank: Array


LoadLaw = Callable[[float, int, float, int, float], float]


def load_law(k: float, d: int, sigma2: float, batch: int, product: float) -> float:
    """R of k equal modes at the noise equilibrium; ``product`` is lr rho / (1 - momentum)."""
    return predicted_load(k, d, sigma2, batch, product, 1.0)[0]


@lru_cache
def noise_map(law: LoadLaw = load_law) -> NoiseMap:
    """The archived map, with R predicted by a law."""
    a = {name: values.T for name, values in survey("comparison").arrays.items()}
    R = 2.0 * a["rho"] * a["N_x"] * a["N_Phi"] ** 2
    x = upper_over_common(R, a["N_x"] * a["N_Phi"] / np.sqrt(a["N_Psi"]))
    d = noise_surveys.MAP_SIZES[1]
    predicted = [
        [law(k, d, 1.0, batch, product) for k, (product, batch) in zip(row, noise_surveys.LEVELS)] for row in a["rank"]
    ]
    return NoiseMap(R, x, np.array(predicted), a["modes"], a["rank"])


def by_noise(noise: Callable[[float, int, float], tuple[float, float]]) -> LoadLaw:
    """`load_law` with the noise of Phi from another formula."""
    return lambda k, d, s, B, p: load_law(k, d, s, B, p) * math.sqrt(noise(k, d, s)[1] / _noise(k, d, s)[1])


def with_modes(count: Callable[[float], float]) -> LoadLaw:
    """`load_law` of another number of modes than the measured effective rank k: of ``count(k)``.

    >>> half = with_modes(lambda k: k / 2)
    >>> half(8.0, 64, 1.0, 64, 1e-4) == load_law(4.0, 64, 1.0, 64, 1e-4)
    True
    """
    return lambda k, d, s, B, p: load_law(count(k), d, s, B, p)


@dataclass(frozen=True)
class MapClaim:
    """R by a law, and no positive equilibrium where the predicted R is above ``border``."""

    law: LoadLaw = load_law
    border: float = 0.25


def check_noise_map(variant: MapClaim, scale: Scale, seed: int) -> Evidence:
    """R over the law has the limit 1 at weak noise and the slope 1 over all of it; above 1/4 Eq. 7 has no equilibrium.

    The limit is taken for each batch, with terms of order (lr rho)^(1/2) and lr rho fitted. In each run either the
    predicted R is above the border, Eq. 7 has no positive equilibrium, and at least three modes live; or it is below
    and Eq. 7 has one.
    """
    found = noise_map(variant.law)
    products, batches = np.array(noise_surveys.LEVELS).T
    ratio, x, worst = found.R / found.predicted, np.log(found.predicted), []
    comparisons = len(set(batches)) + 1
    for batch in set(batches):
        at = batches == batch
        limit = np.polyfit(np.sqrt(products[at]), ratio[:, at].T, 2)[-1]
        worst.append(abs(limit.mean() - 1.0) / _half_width(limit, comparisons))
    slope = np.array([np.polyfit(p, np.log(q) + p, 1)[0] for p, q in zip(x, ratio)])
    worst.append((abs(slope.mean() - 1.0) + _half_width(slope, comparisons)) / 0.25)
    above = found.predicted > variant.border
    agrees = (np.isfinite(found.x) != above).all() and (found.modes[above] >= 3).all()
    worst.append(0.0 if agrees else np.inf)
    off, none = np.abs(ratio.mean(axis=0) - 1.0).max(), above.all(axis=0).sum()
    numbers = {"slope": float(slope.mean()), "off": float(off), "none": float(none)}
    source = "Student's quantile for the limits, half the gap to the slope 1/2, false alarm 5e-7"
    return Evidence(
        max(worst), 1.0, source, "archived", ratio.size, survey("comparison").manifest["seed"], numbers=numbers
    )


#: Near misses of the exact flow, for both starts of the early runs.
WRONG_PATHS: Mapping[str, str] = {
    "Eq. 7 with the norms of the start": "frozen",
    "the leading order": "leading",
    "without weight decay's factor": "no decay",
}

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
            "Phi's by the ratio d / k": _by_ratio,
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
    "beyond-noise-equilibrium": Check(
        check_noise_equilibrium,
        claimed=NormLaw(),
        wrong={
            "the second power": NormLaw(power=2.0),
            "without 1 - mu": NormLaw(keep=lambda mu: 1.0),
            "1 - mu^2": NormLaw(keep=lambda mu: 1.0 - mu**2),
            "4 rho": NormLaw(decay=4.0),
            "rho": NormLaw(decay=1.0),
            "the noise of many modes": NormLaw(noise=_many_modes),
            "Phi's noise by the ratio d / k": NormLaw(noise=_by_ratio),
            "the noise of one order of the views": NormLaw(noise=_one_order),
            "one mode fewer": NormLaw(noise=lambda k, d, s: _noise(k - 1, d, s)),
        },
    ),
    "beyond-annealed-norms": Check(
        check_annealed,
        claimed=Annealing(),
        wrong={
            "the exponent -1/2": Annealing(exponent=-1 / 2),
            "the exponent -1": Annealing(exponent=-1.0),
            "the norm stays behind": Annealing(exponent=0.0),
            "2 rho": Annealing(fade=2.0),
            "8 rho": Annealing(fade=8.0),
        },
    ),
    "beyond-early-eigenvalue": Check(
        partial(check_early, "assumption_4"),
        claimed="exact",
        wrong=WRONG_PATHS,
    ),
    "beyond-below-root": Check(
        partial(check_early, "below"),
        claimed="exact",
        wrong=WRONG_PATHS,
    ),
    "beyond-sgd-survivors": Check(
        check_sgd_survivors,
        claimed="the terminal rule",
        wrong={name: name for name in SHARES if name != "the terminal rule"},
    ),
    "beyond-noise-map": Check(
        check_noise_map,
        claimed=MapClaim(),
        wrong={
            "proportional to lr rho": MapClaim(lambda k, d, s, B, p: load_law(k, d, s, B, p * p)),
            "the noise of W": MapClaim(lambda k, d, s, B, p: load_law(k, int(np.ceil(k)), s, B, p)),
            "without 1 + sigma2": MapClaim(lambda k, d, s, B, p: load_law(k, d, s, B, p) / (1 + s)),
            "the noise of one pair": MapClaim(lambda k, d, s, B, p: load_law(k, d, s, 1, p)),
            "lr rho / (1 - mu) without its 1/2": MapClaim(lambda k, d, s, B, p: load_law(k, d, s, B, 2 * p)),
            # these agree on which runs have an equilibrium, and fail in the size of R
            "Phi's noise by the ratio d / k": MapClaim(by_noise(_by_ratio)),
            "the noise of many modes": MapClaim(by_noise(_many_modes)),
            "1 - mu^2": MapClaim(lambda k, d, s, B, p: load_law(k, d, s, B, p / (1 + noise_surveys.MAP_MOMENTUM))),
            "a twentieth more": MapClaim(lambda k, d, s, B, p: 1.05 * load_law(k, d, s, B, p)),
            "no equilibrium beyond 1/8": MapClaim(border=0.125),
            "equilibria up to 1/2": MapClaim(border=0.5),
        },
    ),
}
