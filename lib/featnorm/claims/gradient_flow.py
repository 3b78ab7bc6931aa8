"""Checks of the chapter "Gradient flow": Lemma 1 by autodiff and by Monte Carlo, and the flow by small steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from featnorm._validate import Array
from featnorm.claims.model import Check, Evidence, t_threshold
from featnorm.matrix_flow import Estimate, estimate_gradient, estimate_H, gradient_flow
from featnorm.scale import Scale
from featnorm.setting import Setting

EPS = float(np.finfo(float).eps)
BLOCKS = 64


def skewed_sample(n: int, d: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Two views of a law that is neither Gaussian nor isotropic nor centred: the exact laws must not care."""
    anchor = rng.exponential(size=(n, d)) * np.arange(1, d + 1) / d - 0.3
    return anchor + 0.5 * rng.uniform(-1, 1, (n, d)), anchor + 0.5 * rng.uniform(-1, 1, (n, d))


# --- Lemma 1 and Eq. 4 -----------------------------------------------------------------------------------------------

#: The terms of Lemma 1. ``attraction`` and ``projection`` make up H; the others stand in the two equations.
TERMS = ("attraction", "projection", "H", "decay of W", "W^T H", "decay of Phi")
_OPERATIONS: Mapping[str, Callable[[Array], Array]] = {
    "deleted": lambda A: 0.0 * A,
    "with the wrong sign": lambda A: -A,
    "transposed": lambda A: np.swapaxes(A, -1, -2),
}
#: omega omega^T and W W^T equal their transposes, so transposing them is not a mistake.
_SYMMETRIC = ("projection", "decay of W")


def lemma_1_right_sides(
    parts: tuple[Array, Array], W: Array, F: Array, rho: float, change: tuple[str, str] | None
) -> tuple[Array, Array]:
    """The right sides of the two equations of Eq. 4, with one term changed by (term, operation) or none.

    ``parts`` are E[z' omega^T] and E[(omega^T z') omega omega^T], each (h, h).
    """

    def put(term: str, value: Array) -> Array:
        return _OPERATIONS[change[1]](value) if change and change[0] == term else value

    H = put("attraction", parts[0]) - put("projection", parts[1])
    return (
        put("H", H) - rho * put("decay of W", W @ W.T),
        put("W^T H", W.T @ H) - rho * put("decay of Phi", F @ W.T),
    )


def _parts(W: Array, Phi: Array, x: Array, x1: Array) -> tuple[Array, Array]:
    u, v = x @ (W @ Phi).T, x1 @ Phi.T
    omega, z1 = u / np.linalg.norm(u, axis=1, keepdims=True), v / np.linalg.norm(v, axis=1, keepdims=True)
    cosine = np.sum(omega * z1, axis=1, keepdims=True)
    return z1.T @ omega / len(x), (cosine * omega).T @ omega / len(x)


def check_lemma_1(change: tuple[str, str] | None, scale: Scale, seed: int) -> Evidence:
    """Eq. 4 against automatic differentiation of the loss, on samples of a law that is not Gaussian; h and d differ."""
    from featnorm.simsiam.linear import gradients  # PyTorch is loaded only where it is needed

    rng = np.random.default_rng(seed)
    n, rho, worst = 200, 0.7, 0.0
    cases = scale.pick(smoke=3, book=20, full=200)
    for _ in range(cases):
        h, d = int(rng.integers(2, 6)), int(rng.integers(6, 11))
        W, Phi = rng.standard_normal((h, h)), rng.standard_normal((h, d))
        x, x1 = skewed_sample(n, d, rng)
        dW, dPhi = (-g - rho * p for g, p in zip(gradients(W, Phi, x, x1, "cosine"), (W, Phi)))
        left = dW @ W.T, dPhi @ Phi.T @ W.T
        right = lemma_1_right_sides(_parts(W, Phi, x, x1), W, Phi @ Phi.T, rho, change)
        # Rounding is relative to what is added up: the summands z' omega^T / n have norm 1 / n.
        size = np.linalg.norm(W) * (1.0 + rho * np.linalg.norm(W) + rho * np.linalg.norm(Phi @ Phi.T))
        condition = float(np.linalg.cond(Phi) * np.linalg.cond(W))
        worst = max(worst, *(float(np.linalg.norm(l - r)) / size / condition for l, r in zip(left, right)))
    return Evidence(worst, n * EPS, "rounding of a sum of n = 200 terms, n times 2.2e-16", "numerical", cases, seed)


@lru_cache(maxsize=1)
def _gaussian_estimates(scale: Scale, seed: int) -> tuple[Setting, Array, Array, Estimate, Estimate, Estimate]:
    """Setting, W, Phi and the Monte Carlo gradients by W and by Phi and H, drawn independently of each other."""
    rng = np.random.default_rng(seed)
    h = 3
    setting = Setting(h=h, d=6, sigma2=0.8, rho=0.7)
    W, Phi = np.eye(h) + 0.5 * rng.standard_normal((h, h)), rng.standard_normal((h, 6))
    n = scale.pick(smoke=320_000, book=480_000, full=6_400_000)
    gradients = estimate_gradient(W, Phi, setting, n, rng, BLOCKS)
    return setting, W, Phi, *gradients, estimate_H(W, Phi, setting, n, rng, BLOCKS)


def check_eq_4(change: tuple[str, str] | None, scale: Scale, seed: int) -> Evidence:
    """Both equations of Eq. 4 for Gaussian data: gradients from views in d dimensions, H from features in h dimensions.

    The bound on the standard error of a product lets the entries of one row or column be correlated in any way.
    """
    setting, W, Phi, gradient_W, gradient_Phi, H = _gaussian_estimates(scale, seed)
    h, F = setting.h, Phi @ Phi.T
    back = Phi.T @ W.T
    left = (gradient_W.mean - setting.rho * W) @ W.T, (gradient_Phi.mean - setting.rho * Phi) @ back
    right = lemma_1_right_sides((H.mean, np.zeros((h, h))), W, F, setting.rho, change)
    variances = (
        h * gradient_W.stderr**2 @ W.T**2 + H.stderr**2,
        setting.d * gradient_Phi.stderr**2 @ back**2 + h * W.T**2 @ H.stderr**2,
    )
    worst = max(float(np.max(np.abs(l - r) / np.sqrt(v))) for l, r, v in zip(left, right, variances))
    source = "Student quantile, two times nine entries, false alarm 5e-7"
    return Evidence(worst, t_threshold(2 * h * h, BLOCKS), source, "numerical", 2 * H.n, seed)


# --- Eq. 3 -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FlowVariant:
    """Which flow gradient descent is compared with."""

    stop_gradient: bool = True
    decay: float = 1.0


def descend(W: Array, Phi: Array, x: Array, x1: Array, rho: float, t_end: float, count: int) -> tuple[Array, Array]:
    """(W, Phi) after ``count`` steps of gradient descent of length t_end / count, by automatic differentiation."""
    from featnorm.simsiam.linear import gradients

    eta = t_end / count
    for _ in range(count):
        gW, gPhi = gradients(W, Phi, x, x1, "cosine")
        W, Phi = W - eta * (gW + rho * W), Phi - eta * (gPhi + rho * Phi)
    return W, Phi


def distance(one: tuple[Array, Array], other: tuple[Array, Array]) -> float:
    """The Frobenius distance of two states (W, Phi)."""
    return float(np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(one, other))))


def check_eq_3(variant: FlowVariant, scale: Scale, seed: int) -> Evidence:
    """Gradient descent by autodiff approaches the flow at first order: halving the step halves the distance.

    The statistic is the departure of the fitted order from 1; a wrong flow is approached at order 0.
    """
    rng = np.random.default_rng(seed)
    h, d, rho, t_end = 6, 9, 0.3, 1.0
    W0, Phi0 = rng.standard_normal((h, h)) + 2 * np.eye(h), rng.standard_normal((h, d))
    x, x1 = skewed_sample(100, d, rng)
    flow = gradient_flow(W0, Phi0, x, x1, variant.decay * rho, [0.0, t_end], stop_gradient=variant.stop_gradient)
    steps = np.array(scale.pick(smoke=(20, 40, 80), book=(40, 80, 160), full=(80, 160, 320, 640, 1280)))
    ends = [descend(W0, Phi0, x, x1, rho, t_end, int(count)) for count in steps]
    errors = [distance(end, (flow.W[-1], flow.Phi[-1])) for end in ends]
    order = float(-np.polyfit(np.log(steps), np.log(errors), 1)[0])
    return Evidence(
        abs(order - 1.0),
        0.5,
        "half the distance to the neighbouring orders 0 and 2",
        "numerical",
        len(steps),
        seed,
        numbers={"order": order},
    )


_TERM_ERRORS = {
    f"{term} {operation}": (term, operation)
    for term in TERMS
    for operation in _OPERATIONS
    if not (operation == "transposed" and term in _SYMMETRIC)
}

CHECKS: dict[str, Check] = {
    "eq-3": Check(
        check_eq_3,
        claimed=FlowVariant(),
        wrong={
            "without stop-gradient": FlowVariant(stop_gradient=False),
            "without weight decay": FlowVariant(decay=0.0),
            "weight decay twice as strong": FlowVariant(decay=2.0),
        },
    ),
    "eq-4": Check(
        check_eq_4,
        claimed=None,
        # H is estimated as a whole, so its two terms are not changed one by one here; Lemma 1's check does that.
        wrong={name: change for name, change in _TERM_ERRORS.items() if change[0] not in ("attraction", "projection")},
    ),
    "lemma-1": Check(check_lemma_1, claimed=None, wrong=_TERM_ERRORS),
}
