"""Checks of the chapter "The model": the two losses and what collapse means."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from featnorm.claims.model import Check, Evidence, t_threshold
from featnorm.collapse import measure
from featnorm.normalized_moments import matrix_moments
from featnorm.scale import Scale
from featnorm.setting import Setting, cosine_loss, l2_loss, l2_loss_expected, views

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


_one_sided = np.eye(3, dtype=bool)

CHECKS: dict[str, Check] = {
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
