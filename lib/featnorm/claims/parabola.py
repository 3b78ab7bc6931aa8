"""Checks of the chapter "The invariant parabola": Eq. 6, in which sense the parabola attracts, and how fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sympy as sp

from featnorm._validate import Array
from featnorm.claims.model import Check, Evidence
from featnorm.eigen_flow import EigenClosure, EigenTrajectory, integrate, mode_norms
from featnorm.matrix_flow import clock, population_flow
from featnorm.scale import Scale
from featnorm.setting import Setting
from featnorm.surveys import commuting_start

# --- Eq. 6 -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Eq6:
    """phi - w^power decays like exp(-rate rho t)."""

    rate: float = 2
    power: int = 2
    sign: int = 1


def check_eq_6(variant: Eq6, scale: Scale, seed: int) -> Evidence:
    """Eq. 6 from Eq. 5 for any h-hat: the time derivative of phi - w^2 plus 2 rho (phi - w^2) vanishes identically."""
    w, phi, rho, hat = sp.symbols("w phi rho hhat", real=True)
    dw, dphi = hat / w - rho * w, 2 * hat - 2 * rho * phi
    offset = phi - variant.sign * w**variant.power
    residual = sp.diff(offset, w) * dw + sp.diff(offset, phi) * dphi + variant.rate * rho * offset
    statistic = float(sp.simplify(residual) != 0)
    return Evidence(statistic, 0.0, "the difference simplifies to zero", "symbolic", 1, None)


# --- In which sense the parabola attracts ----------------------------------------------------------------------------

RTOL = 1e-7


@dataclass(frozen=True)
class ModeRun:
    """The eigenvalues of a commuting state along the exact flow of the matrices: t (m,), w and phi (m, h)."""

    t: Array
    w: Array
    phi: Array
    rho: float
    loss: str


@lru_cache(maxsize=2)
def matrix_runs(scale: Scale, seed: int) -> tuple[ModeRun, ...]:
    """Commuting starts with random eigenvectors, by the exact flow of W and Phi: Eq. 5 is not used. Both losses."""
    rng = np.random.default_rng(seed)
    h = scale.pick(2, 3, 4)
    d = 2 * h
    runs = []
    for _ in range(scale.pick(1, 3, 20)):
        U = np.linalg.qr(rng.standard_normal((h, h)))[0]
        V = np.linalg.qr(rng.standard_normal((d, h)))[0]
        w, phi = rng.uniform(0.3, 1.5, h), rng.uniform(0.2, 2.0, h)
        for rho in scale.pick((0.5,), (0.05, 0.5), (0.05, 0.5)):
            setting = Setting(h=h, d=d, sigma2=1.0, rho=rho)
            for loss in ("cosine", "l2"):
                start = U * w @ U.T, U * np.sqrt(phi) @ V.T
                run = population_flow(*start, setting, np.linspace(0.0, 2.0, 5), loss, rtol=RTOL, direct=True)
                F = run.Phi @ np.swapaxes(run.Phi, 1, 2)
                diagonal = [np.einsum("ij,mik,kj->mj", U, matrix, U) for matrix in (run.W, F)]
                runs.append(ModeRun(run.t, *diagonal, rho, loss))
    return tuple(runs)


#: From a run to what is claimed to stay constant, shape (m, h).
Constant = Callable[[ModeRun], Array]


def check_parabola_share(constant: Constant, scale: Scale, seed: int, loss: str = "cosine") -> Evidence:
    """How much a constant of motion moves along exact flows of the matrices."""
    runs = [run for run in matrix_runs(scale, seed) if run.loss == loss]
    worst = max(float(np.abs(constant(run) - constant(run)[0]).max()) for run in runs)
    return Evidence(
        worst, 1e3 * RTOL, "integrator tolerance 1e-7, times 1e3 for the steps", "numerical", len(runs), seed
    )


def offset_share(run: ModeRun) -> Array:
    """(phi_j - w_j^2) / ||Phi||^2 along a run, (m, h)."""
    return (run.phi - run.w**2) / run.phi.sum(axis=1, keepdims=True)


def _over_psi(run: ModeRun) -> Array:
    return (run.phi - run.w**2) / (run.w**2 * run.phi).sum(axis=1, keepdims=True)


def _run_share(variant: tuple[Constant, str], scale: Scale, seed: int) -> Evidence:
    return check_parabola_share(variant[0], scale, seed, variant[1])


# --- Parabola before drift -------------------------------------------------------------------------------------------

#: Weight decays, in units of 1 / ((1 + sigma2) h), the rate at which modes learn.
DECAYS = (0.2, 1.0, 5.0)


def drift(first: tuple[Array, Array], then: tuple[Array, Array]) -> dict[str, float]:
    """How far a state (w, phi) has moved: |log| of the ratio, but for N_x the plain change.

    The modes enter twice: ``w`` and ``phi`` are the medians over them, ``every w`` and ``every phi`` the largest.
    """
    found: dict[str, float] = {}
    for name, before, after in zip(("w", "phi"), first, then):
        tiny = np.finfo(float).tiny  # a mode that dies leaves no logarithm
        logs = np.abs(np.log(np.maximum(np.abs(after), tiny) / np.abs(before)))
        found |= {name: float(np.median(logs)), f"every {name}": float(logs.max())}
    a, b = mode_norms(*first), mode_norms(*then)
    found |= {name: abs(float(np.log(getattr(b, name) / getattr(a, name)))) for name in ("N_Phi", "N_Psi")}
    return found | {"N_x": abs(b.N_x - a.N_x)}


@lru_cache(maxsize=2)
def flow_runs(scale: Scale, seed: int) -> tuple[EigenTrajectory, ...]:
    """The flow without weight decay from commuting starts, for as long as the weakest decay needs by the clock.

    Exact, but at smoke scale with the closure of second order, which is exact to 1/h^2.
    """
    rng = np.random.default_rng(seed)
    h = scale.pick(12, 12, 24)
    setting = Setting(h=h, d=2 * h, sigma2=1.0)
    s_end = np.expm1(1.0) / (2.0 * min(DECAYS)) * setting.a * h
    starts = [commuting_start(setting, rng) for _ in range(scale.pick(4, 8, 20))]
    closure: EigenClosure = scale.pick("second_order", "exact", "exact")
    return tuple(integrate(*start, setting, s_end, closure, extinct=0.0, rtol=1e-5) for start in starts)


def measured_drifts(runs: Sequence[EigenTrajectory], rate: float) -> list[dict[str, float]]:
    """`drift` by the time t = 1 / (rate rho) at which exp(-rate rho t) = 1/e; an entry a run and weight decay."""
    found = []
    for run in runs:
        unit = 2.0 * run.w.shape[1]  # (1 + sigma2) h
        for decay in DECAYS:
            rho = decay / unit
            t = 1.0 / (rate * rho)
            shrunk = np.exp(-rho * t)
            w, phi = run.at(float(clock(t, rho)))
            found.append(drift(run.at(0.0), (shrunk * w, shrunk**2 * phi)))
    return found


@dataclass(frozen=True)
class Drift:
    """While the distance falls by e, at rate ``rate`` rho, ``what`` moves by at most 1 over ``times``."""

    what: tuple[str, ...] = ("w", "phi")
    times: float = 10.0
    rate: float = 2.0


def check_parabola_before_drift(variant: Drift, scale: Scale, seed: int) -> Evidence:
    """The largest drift over starts and weight decays, in the time in which the distance falls by e.

    "Much faster" is read as ten times faster; the threshold is that reading, and nothing is tuned. What drifts is lost
    in the text: the claimed variant takes the typical mode, the readings every mode and the norms.
    """
    found = measured_drifts(flow_runs(scale, seed), variant.rate)
    worst = max(moved[name] for moved in found for name in variant.what)
    numbers = {
        f"{name}, decay {decay:g}": max(moved[name] for moved in found[i :: len(DECAYS)])
        for i, decay in enumerate(DECAYS)
        for name in found[0]
    }
    source = f"the words: {variant.times:g} times as fast means a drift of at most 1/{variant.times:g}"
    return Evidence(worst, 1.0 / variant.times, source, "numerical", len(found), seed, numbers=numbers)


CHECKS: dict[str, Check] = {
    "eq-6": Check(
        check_eq_6,
        claimed=Eq6(),
        wrong={
            "rate rho": Eq6(rate=1),
            "phi = w": Eq6(power=1),
            "phi = w^3": Eq6(power=3),
            "phi + w^2": Eq6(sign=-1),
        },
    ),
    "beyond-parabola-share": Check(
        _run_share,
        claimed=(offset_share, "cosine"),
        wrong={
            "not divided by the norm of Phi": (lambda run: run.phi - run.w**2, "cosine"),
            "divided by the norm of Psi": (_over_psi, "cosine"),
            "the ratio phi / w^2": (lambda run: run.phi / run.w**2, "cosine"),
            "half the square of w": (lambda run: (run.phi - run.w**2 / 2) / run.phi.sum(1, keepdims=True), "cosine"),
            "the L2 loss": (offset_share, "l2"),
        },
    ),
    "parabola-before-drift": Check(
        check_parabola_before_drift,
        claimed=Drift(),
        wrong={
            "the distance falls at rate 4 rho": Drift(rate=4.0),
            "a hundred times as fast": Drift(times=100.0),
        },
        readings={
            "much faster than w alone": Drift(what=("w",)),
            "faster at all than every w and phi": Drift(what=("every w", "every phi"), times=1.0),
            "much faster than N_Phi and N_Psi": Drift(what=("N_Phi", "N_Psi")),
            "much faster than N_Phi alone": Drift(what=("N_Phi",)),
            "faster at all than N_Phi and N_Psi": Drift(what=("N_Phi", "N_Psi"), times=1.0),
            "faster at all than all three norms": Drift(what=("N_Phi", "N_Psi", "N_x"), times=1.0),
        },
    ),
}
