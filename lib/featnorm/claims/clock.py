"""Checks of the chapter "Weight decay is a clock": the exact laws of the flow, and two ways in which they break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from featnorm._validate import Array
from featnorm.claims.gradient_flow import EPS, skewed_sample
from featnorm.claims.model import Check, Evidence
from featnorm.matrix_flow import Loss, MatrixTrajectory, clock, cosine_field, gradient_flow
from featnorm.scale import Scale
from featnorm.setting import Setting, initialize

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


# --- A weight decay for each layer -----------------------------------------------------------------------------------

#: The learning rates of W and Phi at a time, from the two weight decays and the time.
Rates = Callable[[float, float, float], tuple[float, float]]


def _end(
    start: tuple[Array, Array], sample: tuple[Array, Array], decays: tuple[float, float], rates: Rates, t_end: float
) -> tuple[Array, Array]:
    """(W, Phi) at t_end of dW/dt = r_W (-grad_W L) - decay_W W and the same for Phi, rates by ``rates(0, 0, t)``."""
    h, d = start[1].shape

    def velocity(t: float, y: Array) -> Array:
        W, Phi = y[: h * h].reshape(h, h), y[h * h :].reshape(h, d)
        dW, dPhi = cosine_field(W, Phi, *sample)
        r_W, r_Phi = rates(*decays, t)
        return np.concatenate([(r_W * dW - decays[0] * W).ravel(), (r_Phi * dPhi - decays[1] * Phi).ravel()])

    y = solve_ivp(velocity, (0.0, t_end), np.concatenate([p.ravel() for p in start]), "DOP853", rtol=RTOL, atol=1e-12)
    return y.y[: h * h, -1].reshape(h, h), y.y[h * h :, -1].reshape(h, d)


@dataclass(frozen=True)
class TwoDecays:
    """The rates at which the flow without decay is followed, and the exponents of the norms, from the two decays."""

    rates: Rates = lambda rho_W, rho_Phi, t: (np.exp(2 * rho_W * t), np.exp(2 * rho_Phi * t))
    norms: Callable[[float, float], tuple[float, float]] = lambda rho_W, rho_Phi: (rho_W, rho_Phi)


def check_two_decays(variant: TwoDecays, scale: Scale, seed: int) -> Evidence:
    """The flow with two decays against the flow without decay at two learning rates, after rescaling; and the norms."""
    rng = np.random.default_rng(seed)
    h, d, t_end, decays, worst = 5, 8, 1.5, (0.5, 0.1), 0.0
    cases = scale.pick(1, 2, 10)
    for _ in range(cases):
        start, sample = _start(rng, h, d), skewed_sample(scale.pick(60, 150, 1000), d, rng)
        real = _end(start, sample, decays, lambda *_: (1.0, 1.0), t_end)
        still = _end(start, sample, (0.0, 0.0), lambda _W, _Phi, t: variant.rates(*decays, t), t_end)
        for part, plain, first, rho, claimed in zip(real, still, start, decays, variant.norms(*decays)):
            size = np.linalg.norm(part)
            off = np.linalg.norm(part - np.exp(-rho * t_end) * plain) / size
            worst = max(worst, off, abs(size * np.exp(claimed * t_end) / np.linalg.norm(first) - 1.0))
    return Evidence(float(worst), 1e4 * RTOL, _SOLVER, "numerical", cases, seed)


# --- A floor under the norms -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Floor:
    """What multiplies the cosine, that is u^T z / floor, of the samples below the floor and of those above it.

    ``through_norm`` multiplies |u| / floor where the code differentiates the norm as if there were no floor.
    """

    below: float = 1.0
    above: float = 0.0
    through_norm: float = 1.0

    def growth(self, u_norm: Array, cosine: Array, floor: float, through: bool) -> float:
        """Half the rate at which the squared norm of a layer grows, from cosines that were divided by the floor."""
        missing = 1.0 - self.through_norm * u_norm / floor if through else 1.0
        return float(np.mean(np.where(u_norm < floor, self.below * cosine * missing, self.above * cosine)))


def check_floor(variant: Floor, scale: Scale, seed: int) -> Evidence:
    """PyTorch's ``normalize`` and ``cosine_similarity``, differentiated at states around a floor of 1e-8."""
    import torch
    from torch.nn.functional import cosine_similarity, normalize

    rng = np.random.default_rng(seed)
    h, d, n, floor, worst = 4, 7, 200, 1e-8, 0.0
    scales = np.geomspace(1e-10, 1e-7, scale.pick(7, 25, 100))
    for size in scales:
        W, Phi = _start(rng, h, d)
        x, x1 = (torch.as_tensor(part) for part in skewed_sample(n, d, rng))
        head, net = (torch.as_tensor(part).requires_grad_() for part in (size * W, Phi))
        for through in (False, True):
            online, target = x @ (head @ net).T, (x1 @ net.T).detach()
            if through:
                cosine = cosine_similarity(online, target, dim=1, eps=floor)
            else:
                cosine = (normalize(online, dim=1, eps=floor) * normalize(target, dim=1, eps=floor)).sum(dim=1)
            gradient = torch.autograd.grad(-cosine.mean(), (head, net))
            u_norm = np.linalg.norm(online.detach().numpy(), axis=1)
            claimed = variant.growth(u_norm, cosine.detach().numpy(), floor, through)
            inner = (-float((g * p.detach()).sum()) for g, p in zip(gradient, (head, net)))
            worst = max(worst, *(abs(value - claimed) for value in inner))
    return Evidence(worst, n * EPS, "rounding of a mean of n = 200 terms, n times 2.2e-16", "numerical", n, seed)


CHECKS: dict[str, Check] = {
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
    "beyond-two-decays": Check(
        check_two_decays,
        claimed=TwoDecays(),
        wrong={
            "one clock for both layers, by the decay of W": TwoDecays(rates=lambda w, p, t: (np.exp(2 * w * t),) * 2),
            "one clock for both layers, by the mean decay": TwoDecays(rates=lambda w, p, t: (np.exp((w + p) * t),) * 2),
            "the rates of the two layers exchanged": TwoDecays(
                rates=lambda w, p, t: (np.exp(2 * p * t), np.exp(2 * w * t))
            ),
            "exp(rho t) instead of its square": TwoDecays(rates=lambda w, p, t: (np.exp(w * t), np.exp(p * t))),
            "both norms shrink at the mean decay": TwoDecays(norms=lambda w, p: ((w + p) / 2,) * 2),
        },
    ),
    "beyond-floor": Check(
        check_floor,
        claimed=Floor(),
        wrong={
            "the norm law below the floor too": Floor(below=0.0),
            "all samples instead of those below the floor": Floor(above=1.0),
            "samples above the floor instead": Floor(below=0.0, above=1.0),
            "half the effect": Floor(below=0.5),
            "both functions of PyTorch alike": Floor(through_norm=0.0),
        },
    ),
}
