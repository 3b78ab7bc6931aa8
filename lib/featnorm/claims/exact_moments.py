"""Checks of the chapter "Exact moments": the integral, its quadrature, and states that stay diagonal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from featnorm._validate import Array
from featnorm.claims.lemma_4 import Rate, by_closure
from featnorm.claims.model import Check, Evidence, t_threshold
from featnorm.matrix_flow import H_diagonal_blocks
from featnorm.normalized_moments import diagonal_moments
from featnorm.scale import Scale
from featnorm.setting import Setting

BLOCKS = 64

# --- The quadrature --------------------------------------------------------------------------------------------------


def check_exact_moments(formula: Rate, scale: Scale, seed: int) -> Evidence:
    """H_jj against Monte Carlo in small states, where every closure is far off; one has a zero in w, one in phi."""
    rng = np.random.default_rng(seed)
    h = 6
    setting = Setting(h=h, d=h, sigma2=0.7)
    w, phi = rng.standard_normal((3, h)), rng.exponential(size=(3, h))
    w[1, 0] = phi[2, 0] = 0.0
    n = scale.pick(smoke=200_000, book=800_000, full=40_000_000)
    blocks = H_diagonal_blocks(w, phi, setting, n, rng, BLOCKS)
    stderr = blocks.std(axis=0, ddof=1) / np.sqrt(BLOCKS)
    claimed = np.array([a * formula(a, b, setting) for a, b in zip(w, phi)])
    live = stderr > 0  # H_jj is zero in every sample where w_j or phi_j is zero
    z = np.abs(blocks.mean(axis=0) - claimed)[live] / stderr[live]
    exactly_zero = float(np.max(np.abs(claimed[~live])))
    statistic = max(float(z.max()), np.inf if exactly_zero > 1e-12 else 0.0)
    source = "Student quantile over all modes, false alarm 5e-7"
    return Evidence(statistic, t_threshold(int(live.sum()), BLOCKS), source, "numerical", n, seed)


#: E cos of a state by a rule of this step: (w, phi, a, step) -> value.
Rule = Callable[[Array, Array, float, float], float]


def mean_cosine(first: float = 0.5, substitution: Literal["sinh", "algebraic", "none"] = "sinh") -> Rule:
    """E cos by the trapezoidal rule on both axes; ``first`` is the weight of the nodes at zero.

    ``sinh``: X = sinh(t) over the square root of 2 a times the largest of the spectrum, which is what the library does.
    """

    def nodes(spectrum: Array, a: float, step: float) -> tuple[Array, Array]:
        if substitution == "algebraic":
            u = np.arange(0.0, 1.0, step / 8)
            x, weight = u / (1 - u), step / 8 / (1 - u) ** 2
        elif substitution == "none":
            x = np.arange(0.0, 8.0, step)
            weight = np.full(len(x), step)
        else:
            t = np.arange(0.0, 20.0, step)
            x, weight = np.sinh(t), step * np.cosh(t)
        weight[0] *= first
        unit = np.sqrt(2 * a * spectrum.max())
        return (x / unit) ** 2, weight / unit

    def rule(w: Array, phi: Array, a: float, step: float) -> float:
        (s, weight_s), (r, weight_r) = nodes(w**2 * phi, a, step), nodes(phi, a, step)
        p, q = 2 * s[:, None] * w**2 * phi, 2 * r[:, None] * phi
        D = 1 + a * (p[:, None] + q) + (a**2 - 1) * p[:, None] * q
        Z = np.exp(-0.5 * np.log(D).sum(axis=2))
        return float(4 / np.pi * weight_s @ (Z * ((w * phi) / D).sum(axis=2)) @ weight_r)

    return rule


def check_quadrature(rule: Rule, scale: Scale, seed: int) -> Evidence:
    """Halving the step squares the error: the local order doubles each time, where a rule of fixed order keeps it.

    Errors are the largest over random states of one to four modes, the hard ones; the order between two steps is log2
    of their ratio. The statistic is minus the order from step 1 to 1/2 over the order from 2 to 1.
    """
    rng = np.random.default_rng(seed)
    cases, errors = scale.pick(2, 6, 30), np.full(3, 1e-15)
    for h in np.tile([1, 2, 3, 4], cases):
        w, phi, sigma2 = rng.uniform(0.5, 1.5, h), rng.uniform(0.5, 1.5, h), float(rng.uniform(0.5, 2.0))
        exact = diagonal_moments(w, phi, sigma2, 1e-14).cosine
        found = [abs(rule(w, phi, 1 + sigma2, step) - exact) for step in (2.0, 1.0, 0.5)]
        errors = np.maximum(errors, found)
    first, then = np.log2(errors[:-1] / errors[1:])
    ratio = float(then / first) if first > 0 else 0.0
    source = "half the gap between the ratios 2 (geometric) and 1 (a fixed order)"
    return Evidence(-ratio, -1.5, source, "numerical", 4 * cases, seed, numbers={"ratio": ratio})


CHECKS: dict[str, Check] = {
    "beyond-exact-moments": Check(
        check_exact_moments,
        claimed=by_closure("exact"),
        wrong={
            "Lemma 4 presented as exact": by_closure("paper"),
            "the leading order presented as exact": by_closure("leading"),
            "the consistent closure presented as exact": by_closure("second_order"),
            "sigma2 for a": lambda w, phi, setting: diagonal_moments(w, phi, setting.sigma2**2).k,
        },
    ),
    "beyond-quadrature": Check(
        check_quadrature,
        claimed=mean_cosine(),
        wrong={
            "the node at zero with full weight": mean_cosine(first=1.0),
            "the axis mapped by x = u / (1 - u)": mean_cosine(substitution="algebraic"),
            "nodes even in x itself, cut off": mean_cosine(substitution="none"),
        },
    ),
}
