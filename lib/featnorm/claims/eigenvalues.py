"""Checks of the chapter "From matrices to eigenvalues": Eq. 5 to 7 and the saddle-node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import sympy as sp

from featnorm.claims.model import Check, Evidence
from featnorm.eigen_flow import mode_norms, rate_terms
from featnorm.equilibria import critical_rho, equilibria
from featnorm.matrix_flow import closed_velocity
from featnorm.scale import Scale
from featnorm.setting import Norms, Setting

EPS = float(np.finfo(float).eps)

# --- Eq. 5, 6, 7 -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Eq5:
    """dw = h/w - decay_w rho w, dphi = factor h - decay_phi rho phi, with h from three weighted terms."""

    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    factor: float = 2.0
    decay_w: float = 1.0
    decay_phi: float = 2.0


def check_eq_5(variant: Eq5, scale: Scale, seed: int) -> Evidence:
    """The eigenvalue equations against Eq. 4 with Lemma 4's matrix, in random commuting states of random eigenvectors.

    Off-diagonal entries count too: if the eigenvectors moved, the eigenvalue equations would not be the whole story.
    """
    rng = np.random.default_rng(seed)
    h, d = 6, 9
    setting = Setting(h=h, d=d, sigma2=0.6, rho=0.3)
    cases, worst = scale.pick(10, 100, 1000), 0.0
    for _ in range(cases):
        U = np.linalg.qr(rng.standard_normal((h, h)))[0]
        V = np.linalg.qr(rng.standard_normal((d, h)))[0]
        w, phi = rng.choice([-1, 1], h) * rng.uniform(0.3, 1.5, h), rng.uniform(0.1, 2.0, h)
        dW, dF = closed_velocity(U * w @ U.T, U * np.sqrt(phi) @ V.T, setting)
        hat = w * (np.array(variant.weights) @ rate_terms(w, phi, mode_norms(w, phi), setting))
        dw = hat / w - variant.decay_w * setting.rho * w
        dphi = variant.factor * hat - variant.decay_phi * setting.rho * phi
        for matrix, rates in ((dW, dw), (dF, dphi)):
            worst = max(worst, float(np.max(np.abs(U.T @ matrix @ U - np.diag(rates)))))
    bound = 100 * h**2 * EPS / 0.3  # 1/0.3 bounds the norm of the inverse of W, which Eq. 4 divides by
    return Evidence(worst, bound, "rounding: 100 h^2 times 2.2e-16 over min |w|", "numerical", cases, seed)


def _symbolic(residual: sp.Expr) -> Evidence:
    """A symbolic identity: the statistic is 0 if the residual simplifies to zero, else 1."""
    return Evidence(float(sp.simplify(residual) != 0), 0.0, "the difference simplifies to zero", "symbolic", 1, None)


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
    return _symbolic(sp.diff(offset, w) * dw + sp.diff(offset, phi) * dphi + variant.rate * rho * offset)


@dataclass(frozen=True)
class Eq7:
    """dw = (-c6 w^p6 / (N_Phi N_Psi^3) - N_x w^3 / N_Psi^e3 + w^2 / (N_Phi N_Psi)) / a - rho w."""

    c6: int = 2
    p6: int = 6
    e3: int = 2
    sign3: int = 1


def check_eq_7(variant: Eq7, scale: Scale, seed: int) -> Evidence:
    """Eq. 7 from Eq. 5 by putting phi = w^2, symbolically."""
    w, N_Phi, N_Psi, N_x, rho, sigma2 = sp.symbols("w N_Phi N_Psi N_x rho sigma2", real=True)
    a = 1 + sigma2
    phi = w**2
    hat = (w * phi / (N_Phi * N_Psi) - 2 * w**3 * phi**2 / (N_Phi * N_Psi**3) - N_x * w**2 * phi / N_Psi**2) / a
    from_eq_5 = hat / w - rho * w
    claimed = (
        -variant.c6 * w**variant.p6 / (N_Phi * N_Psi**3)
        - variant.sign3 * N_x * w**3 / N_Psi**variant.e3
        + w**2 / (N_Phi * N_Psi)
    ) / a - rho * w
    return _symbolic(from_eq_5 - claimed)


# --- The saddle-node -------------------------------------------------------------------------------------------------


def _polynomial(N: Norms, setting: Setting) -> sp.Poly:
    """The right side of Eq. 7 over w, with the floating-point parameters taken as the exact rationals they are."""
    N_Phi, N_Psi, N_x, rho, sigma2 = map(sp.Rational, (N.N_Phi, N.N_Psi, N.N_x, setting.rho, setting.sigma2))
    scale = N_Phi * N_Psi
    coefficients = [-2 / (scale * N_Psi**2), 0, 0, -N_x / N_Psi**2, 1 / scale, -rho * (1 + sigma2)]
    return sp.Poly(coefficients, sp.Symbol("w"), domain="QQ")


def positive_roots_exactly(N: Norms, setting: Setting) -> int:
    """Number of positive equilibria of Eq. 7 by Sturm's theorem over the rationals: no rounding anywhere."""
    return int(_polynomial(N, setting).count_roots(0, None))


def _classified_as_claimed(N: Norms, setting: Setting, rho_c: float) -> bool:
    """One negative root, two or no positive ones as rho < rho_c, and signs of dw/dt that alternate as claimed."""
    p = _polynomial(N, setting)
    if p.count_roots(None, 0) != 1 or p.count_roots(0, None) != (2 if setting.rho < rho_c else 0):
        return False
    # dw/dt = w p(w) / (1 + sigma2): its sign between neighbours, exactly, at rational points.
    points = [sp.Rational(e.w) for e in equilibria(N, setting)]
    between = [2 * points[0], *((a + b) / 2 for a, b in pairwise(points)), points[-1] + 1 - points[0]]
    signs = [sp.sign(x * p.eval(x)) for x in between]
    return signs == ([-1, 1, -1, 1, -1] if len(points) == 4 else [-1, 1, -1])


CriticalRho = Callable[[Norms, Setting], float]


def check_saddle_node(formula: CriticalRho, scale: Scale, seed: int) -> Evidence:
    """Share of random parameter sets classified wrongly, counted in exact arithmetic.

    The sets spread over decades in the norms. Their distances from the threshold run from a millionth to a factor two,
    evenly in the logarithm, so that a threshold one per cent off shows. A set counts as wrong if the number of
    negative or of positive roots or the stabilities are not as claimed, or if the closed form at N_x = 0 is off.
    """
    rng = np.random.default_rng(seed)
    cases = scale.pick(smoke=40, book=300, full=3000)
    wrong = 0
    for _ in range(cases):
        N = Norms(*(10.0 ** rng.uniform(-1.5, 1.5, 2)), rng.uniform(-1, 1))
        setting = Setting(h=1, d=1, sigma2=float(10.0 ** rng.uniform(-1, 1)))
        distance = rng.choice([-1, 1]) * np.exp(rng.uniform(np.log(1e-6), np.log(0.7)))
        setting = setting.with_(rho=float(critical_rho(N, setting) * np.exp(distance)))
        at_zero = Norms(N.N_Phi, N.N_Psi, 0.0)
        closed = 0.8 * 10**-0.25 / (setting.a * N.N_Phi * np.sqrt(N.N_Psi))
        wrong += not _classified_as_claimed(N, setting, formula(N, setting))
        wrong += abs(formula(at_zero, setting) / closed - 1) > 1e-14
    source = "Sturm counts and signs over the rationals: none may differ"
    return Evidence(wrong / cases, 0.0, source, "numerical", cases, seed)


CHECKS: dict[str, Check] = {
    "eq-5": Check(
        check_eq_5,
        claimed=Eq5(),
        wrong={
            "first term deleted": Eq5(weights=(0, 1, 1)),
            "middle term deleted": Eq5(weights=(1, 0, 1)),
            "middle term with factor 1": Eq5(weights=(1, 0.5, 1)),
            "third term deleted": Eq5(weights=(1, 1, 0)),
            "third term with the wrong sign": Eq5(weights=(1, 1, -1)),
            "phi moves at half the rate": Eq5(factor=1.0),
            "phi decays like w": Eq5(decay_phi=1.0),
            "w does not decay": Eq5(decay_w=0.0),
        },
    ),
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
    "eq-7": Check(
        check_eq_7,
        claimed=Eq7(),
        wrong={
            "coefficient 1 instead of 2": Eq7(c6=1),
            "w^5 instead of w^6": Eq7(p6=5),
            "N_Psi^3 under the cubic term": Eq7(e3=3),
            "cubic term with the wrong sign": Eq7(sign3=-1),
        },
    ),
    "beyond-saddle-node": Check(
        check_saddle_node,
        claimed=critical_rho,
        wrong={
            "the threshold of the L2 loss": lambda N, setting: 1 / (4 * setting.a),
            "the closed form of N_x = 0 for every N_x": lambda N, s: critical_rho(Norms(N.N_Phi, N.N_Psi, 0.0), s),
            "one per cent too high": lambda N, s: 1.01 * critical_rho(N, s),
            "N_Psi instead of its square root": lambda N, s: critical_rho(N, s) / np.sqrt(N.N_Psi),
        },
    ),
}
