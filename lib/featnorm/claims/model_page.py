"""Checks of the chapter "The model": the starting point, the two losses and what collapse means."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from featnorm.claims.model import Check, Evidence, t_threshold
from featnorm.collapse import measure
from featnorm.concentration import relative_sd
from featnorm.normalized_moments import matrix_moments
from featnorm.scale import Scale
from featnorm.setting import Setting, cosine_loss, initialize, l2_loss, l2_loss_expected, views

BLOCKS = 64

#: The state in which both losses are checked: fixed, so that every wrong variant is far off whatever the seed; W is not
#: symmetric, does not commute with F, and is far from the identity.
STATE_SETTING = Setting(h=3, d=5, sigma2=0.5)
STATE_W = np.array([[1.5, 0.8, 0.0], [-0.4, 0.5, 0.9], [0.3, -0.7, 1.1]])
STATE_PHI = np.array([[1.0, 0.2, 0.0, -0.3, 0.5], [0.0, 1.2, 0.4, 0.0, -0.6], [0.3, 0.0, 0.7, 0.2, 0.1]])
_SOURCE = "Student quantile of the block means, false alarm 5e-7"


def _block_z(draw: Callable[[], float], truth: float) -> float:
    """|mean - truth| in standard errors, over BLOCKS independent draws."""
    means = np.array([draw() for _ in range(BLOCKS)])
    return float(abs(means.mean() - truth) / (means.std(ddof=1) / np.sqrt(BLOCKS)))


def check_eq_1(loss: Callable[..., float], scale: Scale, seed: int) -> Evidence:
    """The L2 loss on samples against its expectation in closed form, in the fixed state."""
    rng = np.random.default_rng(seed)
    n = scale.pick(smoke=2_000, book=20_000, full=200_000)
    truth = l2_loss_expected(STATE_W, STATE_PHI, STATE_SETTING)
    statistic = _block_z(lambda: loss(STATE_W, STATE_PHI, *views(STATE_SETTING, n, rng)), truth)
    return Evidence(statistic, t_threshold(1, BLOCKS), _SOURCE, "numerical", n * BLOCKS, seed)


def check_eq_2(loss: Callable[..., float], scale: Scale, seed: int) -> Evidence:
    """The cosine loss on samples against its exact expectation by quadrature, in the fixed state."""
    rng = np.random.default_rng(seed)
    truth = -matrix_moments(STATE_W, STATE_PHI @ STATE_PHI.T, STATE_SETTING).cosine
    n = scale.pick(smoke=2_000, book=20_000, full=200_000)
    statistic = _block_z(lambda: loss(STATE_W, STATE_PHI, *views(STATE_SETTING, n, rng)), truth)
    return Evidence(statistic, t_threshold(1, BLOCKS), _SOURCE, "numerical", n * BLOCKS, seed)


def check_collapse_metrics(pattern: np.ndarray, scale: Scale, seed: int) -> Evidence:
    """Three states, each collapsed in one sense only; ``pattern[state, measure]`` says which measure sees which.

    States: Phi = 1e-6 I; Phi of rank one; Phi = I on inputs with a large common mean. A measure "sees" a collapse when
    it lies within 1e-3 of its collapsed value (0 for size and spread, 1 for rank).
    """
    rng = np.random.default_rng(seed)
    d = 4
    x = rng.standard_normal((scale.pick(2_000, 20_000, 200_000), d))
    states = [(1e-6 * np.eye(d), x), (np.diag([1.0, 0.0, 0.0, 0.0]), x), (np.eye(d), x + 1e4)]
    seen, centred = [], 0
    for Phi, inputs in states:
        found = measure(Phi, inputs)
        seen.append([found.size < 1e-3, found.rank < 1 + 1e-3, found.spread < 1e-3])
        # For centred inputs E z = 0, so the spread is 1 up to ||mean z||^2, whose expectation is 1 / n.
        centred += inputs is x and not 1.0 - 100.0 / len(x) < found.spread <= 1.0
    wrong = float(np.sum(np.array(seen) != pattern) + centred)
    source = "nine answers must agree, and the spread of centred inputs be 1 within 100 / n"
    return Evidence(wrong, 0.0, source, "numerical", len(x), seed)


# --- Assumptions 2 to 4 -----------------------------------------------------------------------------------------------

#: A way to draw n pairs of views: (setting, n, rng) -> x, x'. A way to draw a start: (setting, rng) -> W, Phi.
Views = Callable[[Setting, int, np.random.Generator], tuple[np.ndarray, np.ndarray]]
Start = Callable[[Setting, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def _moments(samples: dict[str, tuple[np.ndarray, float]], seed: int) -> Evidence:
    """Means of independent terms against what the law says: the largest z-score, and the largest relative deviation."""
    worst, departure, n = 0.0, 0.0, 0
    for values, truth in samples.values():
        blocks = values.reshape(BLOCKS, -1).mean(axis=1)
        off = abs(float(blocks.mean()) - truth)
        worst = max(worst, off / float(blocks.std(ddof=1) / np.sqrt(BLOCKS)))
        departure, n = max(departure, off / max(truth, 1.0)), n + values.size
    return Evidence(
        worst, t_threshold(len(samples), BLOCKS), _SOURCE, "numerical", n, seed, numbers={"departure": departure}
    )


def check_assumption_2(draw: Views, scale: Scale, seed: int) -> Evidence:
    """The sampler of views against the law: mean, variance, fourth moment, covariances. The departure is relative."""
    rng = np.random.default_rng(seed)
    setting = Setting(h=1, d=2, sigma2=0.5)
    x, x1 = draw(setting, BLOCKS * scale.pick(500, 5_000, 50_000), rng)
    a = setting.a
    return _moments(
        {
            "mean": (x[:, 0], 0.0),
            "variance": (x[:, 0] ** 2, a),
            "variance of the second view": (x1[:, 0] ** 2, a),
            "fourth moment": (x[:, 0] ** 4, 3 * a**2),
            "fourth moment of the anchor": (x[:, 0] ** 2 * x1[:, 0] ** 2, a**2 + 2),
            "covariance of the views": (x[:, 0] * x1[:, 0], 1.0),
            "covariance of two coordinates": (x[:, 0] * x[:, 1], 0.0),
            "covariance of two coordinates across views": (x[:, 0] * x1[:, 1], 0.0),
        },
        seed,
    )


def _views_from(anchor: Callable[..., np.ndarray], noise: float = 0.5, shared: bool = False) -> Views:
    """Views of anchors of the given law, with noise of variance sigma2^(2 noise), shared by both views or not."""

    def draw(setting: Setting, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        shape = (n, setting.d)
        x0, sd = anchor(rng, shape), setting.sigma2**noise
        first = rng.standard_normal(shape)
        return x0 + sd * first, x0 + sd * (first if shared else rng.standard_normal(shape))

    return draw


def _gaussian(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.standard_normal(shape)


def check_assumption_3(grow: Callable[[int], Setting], scale: Scale, seed: int) -> Evidence:
    """What the limit neglects, the relative spread of ||Psi x||^2 at the start: the exponent with which it vanishes.

    The spread follows from exact second moments. The departure is its value at the sizes h = 64, d = 512.
    """
    sizes = (256, 1024, 4096, 16384, 65536)
    spreads = [relative_sd(grow(n))[1] for n in sizes]
    slope = float(np.polyfit(np.log(sizes), np.log(spreads), 1)[0])
    source = "half the gap of 1/4 to the neighbouring exponent of -1/2; exact second moments"
    departure = relative_sd(Setting(h=64, d=512))[1]
    numbers = {"departure": departure, "slope": slope}
    return Evidence(abs(slope + 0.5), 0.125, source, "numerical", len(sizes), None, numbers=numbers)


def check_assumption_4(draw: Start, scale: Scale, seed: int) -> Evidence:
    """The sampler of starts against the law: variances of d Phi, h W on and off the diagonal, symmetry, fourth moments.

    The departure is the largest relative deviation.
    """
    rng = np.random.default_rng(seed)
    h, d = 4, 6
    starts = [draw(Setting(h=h, d=d), rng) for _ in range(BLOCKS * scale.pick(30, 300, 3_000))]
    W, Phi = (np.array(part) for part in zip(*starts))
    off = W[:, *np.triu_indices(h, 1)] * np.sqrt(h)
    diagonal = np.diagonal(W, axis1=1, axis2=2) * np.sqrt(h)
    entries = Phi * np.sqrt(d)
    found = _moments(
        {
            "variance of W": (off**2, 1.0),
            "variance of the diagonal of W": (diagonal**2, 1.0),
            "variance of Phi": (entries**2, 1.0),
            "fourth moment of W": (off**4, 3.0),
            "fourth moment of Phi": (entries**4, 3.0),
            "two entries of a row of Phi": (entries[:, :, 0] * entries[:, :, 1], 0.0),
            "two entries of a row of W": (off[:, 0] * off[:, 1], 0.0),
        },
        seed,
    )
    if (W != np.swapaxes(W, 1, 2)).any():
        return Evidence(np.inf, found.threshold, "W is not symmetric", "numerical", found.samples, seed,
                        numbers={"departure": 1.0})  # fmt: skip
    return found


def _start(head: Callable[[np.random.Generator, int], np.ndarray], width: Callable[[Setting], int]) -> Start:
    return lambda setting, rng: (
        head(rng, setting.h) / np.sqrt(setting.h),
        rng.standard_normal((setting.h, setting.d)) / np.sqrt(width(setting)),
    )


def _symmetric(rng: np.random.Generator, h: int) -> np.ndarray:
    return initialize(Setting(h=h, d=1), rng)[0] * np.sqrt(h)


def _averaged(divisor: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    def head(rng: np.random.Generator, h: int) -> np.ndarray:
        A = rng.standard_normal((h, h))
        return (A + A.T) / divisor

    return head


_one_sided = np.eye(3, dtype=bool)

CHECKS: dict[str, Check] = {
    "assumption-2": Check(
        check_assumption_2,
        claimed=views,
        wrong={
            "views that share their noise": _views_from(_gaussian, shared=True),
            "noise of standard deviation sigma2": _views_from(_gaussian, noise=1.0),
            "uniform anchors of variance 1": _views_from(lambda rng, shape: rng.uniform(-(3**0.5), 3**0.5, shape)),
            "anchors on a sphere": _views_from(
                lambda rng, shape: 2**0.5 * (x := rng.standard_normal(shape)) / np.linalg.norm(x, axis=1)[:, None]
            ),
            "anchors of mean 1/10": _views_from(lambda rng, shape: 0.1 + rng.standard_normal(shape)),
        },
    ),
    "assumption-3": Check(
        check_assumption_3,
        claimed=lambda n: Setting(h=n, d=8 * n),
        wrong={
            "d fixed": lambda n: Setting(h=n, d=512),
            "h fixed": lambda n: Setting(h=64, d=n),
            "d growing like the square root of h": lambda n: Setting(h=n, d=8 * int(n**0.5)),
        },
    ),
    "assumption-4": Check(
        check_assumption_4,
        claimed=initialize,
        wrong={
            "(A + A^T) / 2 of an independent A": _start(_averaged(2.0), lambda s: s.d),
            "(A + A^T) / sqrt(2) of an independent A": _start(_averaged(2**0.5), lambda s: s.d),
            "W not symmetric": _start(lambda rng, h: rng.standard_normal((h, h)), lambda s: s.d),
            "Phi of variance 1 / h": _start(_symmetric, lambda s: s.h),
            "Phi of variance 1 / (h + d) times 2": lambda s, rng: (
                initialize(s, rng)[0],
                rng.standard_normal((s.h, s.d)) * (2 / (s.h + s.d)) ** 0.5,
            ),
        },
    ),
    "eq-1": Check(
        check_eq_1,
        claimed=l2_loss,
        wrong={
            "without the factor 1/2": lambda W, Phi, x, x1: 2.0 * l2_loss(W, Phi, x, x1),
            "views of different anchors": lambda W, Phi, x, x1: l2_loss(W, Phi, x, np.roll(x1, 1, axis=0)),
            "the same view on both sides": lambda W, Phi, x, x1: l2_loss(W, Phi, x, x),
            "W on the target side too": lambda W, Phi, x, x1: l2_loss(np.eye(len(W)), W @ Phi, x, x1),
        },
    ),
    "eq-2": Check(
        check_eq_2,
        claimed=cosine_loss,
        wrong={
            "plus instead of minus": lambda W, Phi, x, x1: -cosine_loss(W, Phi, x, x1),
            "views of different anchors": lambda W, Phi, x, x1: cosine_loss(W, Phi, x, np.roll(x1, 1, axis=0)),
            "W left out": lambda W, Phi, x, x1: cosine_loss(np.eye(3), Phi, x, x1),
            "W transposed": lambda W, Phi, x, x1: cosine_loss(W.T, Phi, x, x1),
            "W on the target side too": lambda W, Phi, x, x1: cosine_loss(np.eye(3), W @ Phi, x, x1),
            "target not normalised": lambda W, Phi, x, x1: _half_normalised(W, Phi, x, x1),
        },
    ),
    "beyond-collapse-metrics": Check(
        check_collapse_metrics,
        claimed=_one_sided,
        wrong={
            "size and rank measure the same": _one_sided | _one_sided[:, [1, 0, 2]],
            "low rank means constant normalised features": _one_sided | _one_sided[:, [0, 2, 1]],
        },
    ),
}


def _half_normalised(W: np.ndarray, Phi: np.ndarray, x: np.ndarray, x1: np.ndarray) -> float:
    u, v = x @ (W @ Phi).T, x1 @ Phi.T
    return float(-np.mean(np.sum(u * v, axis=1) / np.linalg.norm(u, axis=1)))
