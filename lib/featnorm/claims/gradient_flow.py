"""Checks of the chapter "Gradient flow": Lemma 1 by autodiff and by Monte Carlo, and the exact laws of the flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from featnorm._validate import Array
from featnorm.claims.model import Check, Evidence, t_threshold
from featnorm.matrix_flow import Loss, MatrixTrajectory, clock, estimate_gradient, estimate_H, gradient_flow
from featnorm.scale import Scale
from featnorm.setting import Setting, initialize

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


def check_eq_4(change: tuple[str, str] | None, scale: Scale, seed: int) -> Evidence:
    """Both equations of Eq. 4 for Gaussian data: gradients from views in d dimensions, H from features in h dimensions.

    The bound on the standard error of a product lets the entries of one row or column be correlated in any way.
    """
    rng = np.random.default_rng(seed)
    h = 3
    setting = Setting(h=h, d=6, sigma2=0.8, rho=0.7)
    W, Phi = np.eye(h) + 0.5 * rng.standard_normal((h, h)), rng.standard_normal((h, 6))
    F = Phi @ Phi.T
    n = scale.pick(smoke=320_000, book=1_280_000, full=6_400_000)
    gradient_W, gradient_Phi = estimate_gradient(W, Phi, setting, n, rng, BLOCKS)
    H = estimate_H(W, Phi, setting, n, rng, BLOCKS)
    back = Phi.T @ W.T
    left = (gradient_W.mean - setting.rho * W) @ W.T, (gradient_Phi.mean - setting.rho * Phi) @ back
    right = lemma_1_right_sides((H.mean, np.zeros((h, h))), W, F, setting.rho, change)
    variances = (
        h * gradient_W.stderr**2 @ W.T**2 + H.stderr**2,
        setting.d * gradient_Phi.stderr**2 @ back**2 + h * W.T**2 @ H.stderr**2,
    )
    worst = max(float(np.max(np.abs(l - r) / np.sqrt(v))) for l, r, v in zip(left, right, variances))
    source = "Student quantile, two times nine entries, false alarm 5e-7"
    return Evidence(worst, t_threshold(2 * h * h, BLOCKS), source, "numerical", 2 * n, seed)


# --- Eq. 3 -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FlowVariant:
    """Which flow gradient descent is compared with."""

    stop_gradient: bool = True
    decay: float = 1.0


def check_eq_3(variant: FlowVariant, scale: Scale, seed: int) -> Evidence:
    """Gradient descent by autodiff approaches the flow at first order: halving the step halves the distance.

    The statistic is the departure of the fitted order from 1; a wrong flow is approached at order 0.
    """
    from featnorm.simsiam.linear import gradients

    rng = np.random.default_rng(seed)
    h, d, rho, t_end = 6, 9, 0.3, 1.0
    W0, Phi0 = rng.standard_normal((h, h)) + 2 * np.eye(h), rng.standard_normal((h, d))
    x, x1 = skewed_sample(100, d, rng)
    flow = gradient_flow(W0, Phi0, x, x1, variant.decay * rho, [0.0, t_end], stop_gradient=variant.stop_gradient)
    steps = np.array(scale.pick(smoke=(20, 40, 80), book=(40, 80, 160, 320), full=(80, 160, 320, 640, 1280)))
    errors = []
    for count in steps:
        W, Phi, eta = W0, Phi0, t_end / count
        for _ in range(count):
            gW, gPhi = gradients(W, Phi, x, x1, "cosine")
            W, Phi = W - eta * (gW + rho * W), Phi - eta * (gPhi + rho * Phi)
        errors.append(np.hypot(np.linalg.norm(W - flow.W[-1]), np.linalg.norm(Phi - flow.Phi[-1])))
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


# --- Exact laws ------------------------------------------------------------------------------------------------------

RTOL = 1e-10
_SOLVER = "integrator tolerance 1e-10 per step, times 1e4 for the steps and the conditioning of the flow"


def _start(rng: np.random.Generator, h: int, d: int) -> tuple[Array, Array]:
    """A start like Assumption 4, then made asymmetric: the laws hold for any W."""
    W, Phi = initialize(Setting(h=h, d=d), rng)
    return W + 0.3 * rng.standard_normal((h, h)), Phi


def _flows(
    scale: Scale, seed: int, rhos: tuple[float, ...], loss: Loss = "cosine", stop_gradient: bool = True
) -> list[tuple[float, MatrixTrajectory]]:
    rng = np.random.default_rng(seed)
    h, d = 8, 13
    W0, Phi0 = _start(rng, h, d)
    x, x1 = skewed_sample(scale.pick(100, 300, 3000), d, rng)
    times = np.linspace(0.0, 2.0, 9)
    return [
        (rho, gradient_flow(W0, Phi0, x, x1, rho, times, loss=loss, stop_gradient=stop_gradient, rtol=RTOL))
        for rho in rhos
    ]


@dataclass(frozen=True)
class NormLaw:
    """The norms shrink like exp(-rate rho t) under this loss."""

    rate: float = 1.0
    loss: Loss = "cosine"


def check_norm_law(variant: NormLaw, scale: Scale, seed: int) -> Evidence:
    """Largest relative departure of ||W||_F and ||Phi||_F from the law along a flow, over three weight decays."""
    worst = 0.0
    for rho, run in _flows(scale, seed, (0.0, 0.2, 0.5), variant.loss):
        for part in (run.W, run.Phi):
            size = np.linalg.norm(part, axis=(1, 2))
            worst = max(worst, float(np.max(np.abs(size / size[0] * np.exp(variant.rate * rho * run.t) - 1.0))))
    return Evidence(worst, 1e4 * RTOL, _SOLVER, "numerical", 3, seed)


def check_clock(variant: Callable[[Array, float], Array], scale: Scale, seed: int) -> Evidence:
    """A flow with weight decay against the flow without, read at the times of the clock, after rescaling."""
    rng = np.random.default_rng(seed)
    h, d, rho = 8, 13, 0.5
    W0, Phi0 = _start(rng, h, d)
    x, x1 = skewed_sample(scale.pick(100, 300, 3000), d, rng)
    t = np.linspace(0.0, 2.0, 9)
    slow = gradient_flow(W0, Phi0, x, x1, rho, t, rtol=RTOL)
    fast = gradient_flow(W0, Phi0, x, x1, 0.0, variant(t, rho), rtol=RTOL)
    scaled = np.exp(-rho * t)[:, None, None]
    worst = max(
        float(np.max(np.linalg.norm(p - scaled * q, axis=(1, 2)) / np.linalg.norm(p, axis=(1, 2))))
        for p, q in ((slow.W, fast.W), (slow.Phi, fast.Phi))
    )
    return Evidence(worst, 1e4 * RTOL, _SOLVER, "numerical", 1, seed)


@dataclass(frozen=True)
class Balance:
    """Which matrix is conserved up to exp(-2 rho t): W^T W minus ``sign`` Phi Phi^T, or W W^T minus it."""

    sign: float = 1.0
    transposed: bool = False
    stop_gradient: bool = True
    rate: float = 2.0


def check_balance(variant: Balance, scale: Scale, seed: int) -> Evidence:
    """Largest departure of the balance matrix from its law, relative to ||W||^2 + ||Phi||^2, cosine and L2 loss."""
    worst = 0.0
    for loss in ("cosine", "l2"):
        for rho, run in _flows(scale, seed, (0.0, 0.4), loss, variant.stop_gradient):
            gram = run.W @ np.swapaxes(run.W, 1, 2) if variant.transposed else np.swapaxes(run.W, 1, 2) @ run.W
            matrix = gram - variant.sign * run.Phi @ np.swapaxes(run.Phi, 1, 2)
            law = np.exp(-variant.rate * rho * run.t)[:, None, None] * matrix[0]
            size = np.sum(run.W**2, axis=(1, 2)) + np.sum(run.Phi**2, axis=(1, 2))
            worst = max(worst, float(np.max(np.linalg.norm(matrix - law, axis=(1, 2)) / size)))
    return Evidence(worst, 1e4 * RTOL, _SOLVER, "numerical", 4, seed)


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
    "beyond-norm-law": Check(
        check_norm_law,
        claimed=NormLaw(),
        wrong={
            "rate 2 rho": NormLaw(rate=2.0),
            "no decay of the norms": NormLaw(rate=0.0),
            "the L2 loss": NormLaw(loss="l2"),
        },
    ),
    "beyond-clock": Check(
        check_clock,
        claimed=clock,
        wrong={
            "the same time": lambda t, rho: t,
            "s = (exp(rho t) - 1) / rho": lambda t, rho: np.expm1(rho * t) / rho,
            "s = (exp(3 rho t) - 1) / (3 rho)": lambda t, rho: np.expm1(3 * rho * t) / (3 * rho),
        },
    ),
    "beyond-balance": Check(
        check_balance,
        claimed=Balance(),
        wrong={
            "the sum instead of the difference": Balance(sign=-1.0),
            "W W^T instead of W^T W": Balance(transposed=True),
            "without stop-gradient": Balance(stop_gradient=False),
            "rate rho": Balance(rate=1.0),
        },
    ),
}
