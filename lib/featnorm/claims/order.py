"""Checks of the chapter "Which order are the dynamics?": degrees, the fold without the middle term, extinction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy as sp
from scipy.optimize import minimize_scalar

from featnorm._validate import Array
from featnorm.claims.model import Check, Evidence
from featnorm.eigen_flow import EigenClosure, FlowEnded, integrate, rate
from featnorm.equilibria import fold
from featnorm.scale import Scale
from featnorm.setting import Setting

# --- Degrees ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Degrees:
    """The claimed degrees in w of the two laws, and the weights of Lemma 4's three terms in the first."""

    cosine: int = 6
    l2: int = 3
    weights: tuple[int, int, int] = (1, 1, 1)


def check_order_six(variant: Degrees, scale: Scale, seed: int) -> Evidence:
    """The degrees in w of Eq. 5 on the parabola with frozen norms, and of the L2 law, by computer algebra."""
    w, N_Phi, N_Psi, N_x, rho, a = sp.symbols("w N_Phi N_Psi N_x rho a", positive=True)
    phi = w**2
    terms = (phi / (N_Phi * N_Psi), -2 * w**2 * phi**2 / (N_Phi * N_Psi**3), -N_x * w * phi / N_Psi**2)
    cosine = sum(c * term for c, term in zip(variant.weights, terms)) / a - rho * w
    # The expected L2 loss of one mode is (a w^2 phi - 2 w phi + a phi) / 2 with the target's phi held fixed.
    W, P = sp.symbols("W P", positive=True)
    l2 = -sp.diff(a * W**2 * P / 2 - W * P, W).subs({W: w, P: phi}) - rho * w
    off = abs(sp.degree(cosine, w) - variant.cosine) + abs(sp.degree(l2, w) - variant.l2)
    return Evidence(float(off), 0.0, "the degrees are whole numbers", "symbolic", 1, None)


# --- The fold of the cubic law ---------------------------------------------------------------------------------------

#: From theta to the threshold of Eq. 7 over that of the cubic law.
Ratio = Callable[[float], float]


@dataclass(frozen=True)
class CubicFold:
    """rho_c of the cubic law, 1 / (4 a N_x N_Phi^power), times ``factor``; the ratio to Eq. 7 beside it."""

    power: float = 2.0
    factor: float = 1.0
    ratio: Ratio = lambda theta: 1.0 - 0.25 / theta**4
    order: float = 8.0


def cubic_roots(a: float, N_Phi: float, N_Psi: float, N_x: float, rho: float) -> int:
    """Number of positive equilibria of the frozen law without its middle term; a double root counts as two."""
    roots = np.roots([-N_x / (a * N_Psi**2), 1.0 / (a * N_Phi * N_Psi), -rho])
    return int(np.sum((np.abs(roots.imag) <= 1e-9 * np.abs(roots)) & (roots.real > 0)))


def check_cubic_fold(variant: CubicFold, scale: Scale, seed: int) -> Evidence:
    """Root counts on both sides of the cubic threshold, and the order at which Eq. 7's threshold approaches it.

    For N_x <= 0 the cubic law must have one positive equilibrium at every rho, so no fold. The statistic is the
    departure of the fitted order in theta from the claimed one, infinite if a count is wrong.
    """
    rng = np.random.default_rng(seed)
    wrong, cases = 0, scale.pick(40, 400, 4000)
    for _ in range(cases):
        a, N_Phi, N_Psi = 1.0 + 10.0 ** rng.uniform(-1, 1), *(10.0 ** rng.uniform(-1, 1, 2))
        N_x = rng.uniform(0.01, 1.0)
        rho_c = variant.factor / (4 * a * N_x * N_Phi**variant.power)
        wrong += cubic_roots(a, N_Phi, N_Psi, N_x, 0.999 * rho_c) != 2
        wrong += cubic_roots(a, N_Phi, N_Psi, N_x, 1.001 * rho_c) != 0
        wrong += cubic_roots(a, N_Phi, N_Psi, -N_x, rho_c) != 1
    thetas = np.geomspace(3.0, 8.0, 5)
    left = [abs(4 * t * fold(t)[1] - variant.ratio(t)) for t in thetas]
    order = -float(np.polyfit(np.log(thetas), np.log(left), 1)[0])
    source = "half the gap to the neighbouring orders of the remainder, which go in steps of four; counts must be right"
    statistic = abs(order - variant.order) if wrong == 0 else np.inf
    return Evidence(statistic, 2.0, source, "numerical", cases, seed, numbers={"order": order})


# --- The fold from a mode's own share --------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnShare:
    """w*^4 = N_Psi^2 / ``divisor`` and rho_c = c w* / (a N_Phi N_Psi), c = (1 + 1 / divisor)^-power."""

    divisor: float = 5.0
    power: float = 1.5

    def critical(self, a: float, N_Phi: float, N_Psi: float) -> tuple[float, float]:
        """(w*, rho_c)."""
        w = (N_Psi**2 / self.divisor) ** 0.25
        return w, (1.0 + 1.0 / self.divisor) ** -self.power * w / (a * N_Phi * N_Psi)


def growth_in_bath(
    w: float, a: float, N_Phi: float, N_Psi: float, closure: EigenClosure, modes: int, tau: float = 0.0
) -> float:
    """k / w of one mode on the parabola beside ``modes`` others of norms N_Phi and N_Psi, half of them with negative w.

    The equilibria of that mode are where this equals rho. ``tau`` in [-1, 1] is the N_x of the others.
    """
    up = round(modes * (1 + tau) / 2)
    signs = np.repeat([1.0, -1.0], [up, modes - up])
    heads, sizes = np.append(signs * N_Psi / N_Phi, w), np.append(np.full(modes, N_Phi**2 / modes), w * w)
    setting = Setting(h=modes + 1, d=modes + 1, sigma2=a - 1.0)
    return float(rate(heads, sizes, setting, closure)[-1] / w)


def fold_in_bath(a: float, N_Phi: float, N_Psi: float, closure: EigenClosure, modes: int = 2000) -> tuple[float, float]:
    """(w*, rho_c) of one mode in a bath with N_x = 0, its own share counted in the norms: the largest growth."""
    found = minimize_scalar(
        lambda y: -growth_in_bath(y * np.sqrt(N_Psi), a, N_Phi, N_Psi, closure, modes),
        bounds=(0.2, 1.5),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return float(found.x) * np.sqrt(N_Psi), -float(found.fun)


def check_own_share(variant: OwnShare, scale: Scale, seed: int) -> Evidence:
    """The cubic law of a whole state, one mode of it free, against the closed form; N_Phi is large beside the mode."""
    rng = np.random.default_rng(seed)
    cases, worst = scale.pick(3, 10, 100), 0.0
    for _ in range(cases):
        a, N_Psi = 1.0 + 10.0 ** rng.uniform(-1, 1), 10.0 ** rng.uniform(-1, 1)
        N_Phi = 1e4 * np.sqrt(N_Psi)
        _, found = fold_in_bath(a, N_Phi, N_Psi, "leading", modes=200)
        _, claimed = variant.critical(a, N_Phi, N_Psi)
        worst = max(worst, abs(found / claimed - 1.0))
    source = "the mode's share w^2 / N_Phi^2 in the norm of Phi, below 1e-8, and 1e-12 for the search"
    return Evidence(worst, 1e-8, source, "numerical", cases, seed)


# --- Extinction ------------------------------------------------------------------------------------------------------

ExtinctionTime = Callable[[float, float, int, float], float]


def extinction_time(a: float, rho: float, k: int, w0: float) -> float:
    """t* of the claim: when k equal modes on the parabola reach zero under the paper's closure with coupled norms."""
    return float(np.log1p(0.5 * rho * a * k**2 * w0**2) / (2 * rho))


def check_extinction(formula: ExtinctionTime, scale: Scale, seed: int) -> Evidence:
    """Integrated extinction times against the formula, and the exact flow, which only shrinks by its norm law."""
    rng = np.random.default_rng(seed)
    cases, worst = scale.pick(1, 8, 40), 0.0
    for _ in range(cases):
        k, rho, w0 = int(rng.integers(2, 9)), float(rng.uniform(0.02, 0.5)), float(rng.uniform(0.5, 2.0))
        setting = Setting(h=k, d=k, sigma2=float(rng.uniform(0.3, 2.0)), rho=rho)
        start = np.full(k, w0), np.full(k, w0**2)
        claimed = formula(setting.a, rho, k, w0)
        t_end = 2 * extinction_time(setting.a, rho, k, w0)
        run = integrate(*start, setting, t_end, "paper", extinct=1e-4, rtol=1e-10)
        found = run.extinct_at if run.extinct_at is not None else np.inf
        exact = integrate(*start, setting, t_end, "exact", rtol=1e-10).w[-1]
        worst = max(worst, abs(found / claimed - 1), float(np.max(np.abs(exact / (w0 * np.exp(-rho * t_end)) - 1))))
    source = "stop at 1e-4 of the start, whose square is missing from t*, times 100"
    return Evidence(worst, 1e-6, source, "numerical", cases, seed)


def coupled_sizes(
    w: Array, phi: Array, setting: Setting, t_end: float, closure: EigenClosure
) -> tuple[Array, Array, str]:
    """Times, the norm of Phi over its start, and how the run ended, along a flow with norms taken from the modes.

    A closure without the norm law may end before ``t_end``, where Psi vanishes; the run is then followed up to there.
    """
    try:
        run = integrate(w, phi, setting, t_end, closure, extinct=0.0, rtol=1e-8)
        ended = "the end of the run"
    except FlowEnded as end:
        run, ended = integrate(w, phi, setting, 0.999 * end.t, closure, extinct=0.0, rtol=1e-8), end.why
    size = np.sqrt(run.phi.sum(axis=1))
    return run.t, size / size[0], ended


CHECKS: dict[str, Check] = {
    "order-six": Check(
        check_order_six,
        claimed=Degrees(),
        wrong={
            "degree five": Degrees(cosine=5),
            "the middle term left out": Degrees(weights=(1, 0, 1)),
            "degree two for the L2 loss": Degrees(l2=2),
        },
    ),
    "beyond-cubic-fold": Check(
        check_cubic_fold,
        claimed=CubicFold(),
        wrong={
            "N_Phi instead of its square": CubicFold(power=1.0),
            "twice the threshold": CubicFold(factor=2.0),
            "half a per cent too high": CubicFold(factor=1.005),
            "the two thresholds equal up to theta^-8": CubicFold(ratio=lambda theta: 1.0),
            "half the correction": CubicFold(ratio=lambda theta: 1.0 - 0.125 / theta**4),
            "a correction of order theta^-2": CubicFold(ratio=lambda theta: 1.0 - 0.25 / theta**2),
        },
    ),
    "beyond-own-share": Check(
        check_own_share,
        claimed=OwnShare(),
        wrong={
            "the fold of Eq. 7 at frozen norms": OwnShare(divisor=10.0, power=float(np.log(1.25) / np.log(1.1))),
            "w^4 a quarter": OwnShare(divisor=4.0),
            "the exponent 1 for 3/2": OwnShare(power=1.0),
            "one mode counted half": OwnShare(power=1.25),
        },
    ),
    "beyond-self-consistent-extinction": Check(
        check_extinction,
        claimed=extinction_time,
        wrong={
            "k instead of its square": lambda a, rho, k, w0: extinction_time(a, rho, 1, w0 * k**0.5),
            "the time of rho = 0 for every rho": lambda a, rho, k, w0: a * k**2 * w0**2 / 4,
            "without sigma2": lambda a, rho, k, w0: extinction_time(1.0, rho, k, w0),
        },
    ),
}
