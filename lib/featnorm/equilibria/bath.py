"""One mode among very many others: its velocity on the parabola with frozen, self-consistent or exact moments.

The others, the bath, enter through their own N_Phi, N_Psi and N_x alone, because the squared norm of their features
does not fluctuate in the limit of infinitely many. The one mode, u_1 = w^2 x and v_1 = w x' with Gaussian x and x' of
variance a and covariance 1, is kept with its full share:

    ||u||^2 = a N_Psi^2 + w^4 x^2,   ||v||^2 = a N_Phi^2 + w^2 x'^2,   u.v = N_x N_Phi N_Psi + w^3 x x',

    w dw/dt = E[w^3 x x' / (||u|| ||v||) - u.v w^4 x^2 / (||u||^3 ||v||)] - rho w^2.

The substitutions w^2 x = sqrt(a) N_Psi sinh s and w x' = sqrt(a) N_Phi sinh t turn the norms into cosh s and cosh t.
The integrand is then analytic for |Im s| < pi/2, and falls like the exponential of -sinh^2 on the lines with
tan^2(Im s) < 1 - 1/a^2; beyond them it grows. So the trapezoidal rule of step delta errs by about
exp(-2 pi arctan(sqrt(1 - 1/a^2)) / delta), whatever the share of the mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from featnorm._validate import Array, array, between, in_range, one_of
from featnorm.setting import Norms, Setting

Moments = Literal["frozen", "counted", "exact"]
#: How the mode's own share enters: not at all (Eq. 7), into the norms of the same closure, into the moments exactly.
MOMENTS = ("frozen", "counted", "exact")


def _axis(width: float, narrow: float, fine: float) -> tuple[Array, float]:
    """Nodes of one axis and their step. sinh t has standard deviation ``width``, ``narrow`` times it given the other.

    Six tenths of a standard deviation resolve a Gaussian to rounding, and 0.15 times the half-width a strip.
    """
    step = fine * min(0.15 * np.arctan(narrow), 0.6 * narrow * width)
    n = int(np.ceil(np.arcsinh(9.0 * width) / step))
    return step * np.arange(-n, n + 1), step


def _exact_gain(w: float, bath: Norms, a: float, fine: float) -> float:
    """E[...] / w^2 of the heading, by the trapezoidal rule; ``fine`` < 1 refines the step."""
    s, ds = _axis(w * w / bath.N_Psi, np.sqrt(1.0 - a**-2), fine)
    t, dt = _axis(abs(w) / bath.N_Phi, np.sqrt(1.0 - a**-2), fine)
    U, V = np.sqrt(a) * bath.N_Psi, np.sqrt(a) * bath.N_Phi
    x, x1 = U / w**2 * np.sinh(s)[:, None], V / abs(w) * np.sinh(t)
    density = np.exp(-(a * x * x - 2.0 * x * x1 + a * x1 * x1) / (2.0 * (a * a - 1.0)))
    own = w**3 * x * x1
    inner = own - (bath.N_x * bath.N_Phi * bath.N_Psi + own) * np.tanh(s)[:, None] ** 2
    # dx dx' = (U / w^2)(V / |w|) cosh s cosh t, and 1 / (||u|| ||v||) = 1 / (U V cosh s cosh t)
    return float((density * inner).sum() * ds * dt / (2.0 * np.pi * np.sqrt(a * a - 1.0)) / abs(w) ** 5)


def balance(w: Array, bath: Norms, setting: Setting, moments: Moments = "exact", fine: float = 1.0) -> Array:
    """The weight decay at which w is an equilibrium: dw/dt = w (balance(w) - rho). Same shape as ``w``.

    ``frozen`` is Eq. 7 with the norms of the bath, ``counted`` the same closure with the mode counted in the norms,
    ``exact`` the integral of the heading, to about 1e-13 of its largest term. ``setting.rho`` does not enter. ``fine``
    < 1 refines the quadrature, to see its error. Raises ValueError for ``exact`` unless sigma2 is from 1e-3 to 1e6, and
    w zero or from 1e-50 to 1e50 times sqrt(N_Psi) in size.

    >>> bath, setting = Norms(1, 1, 0), Setting(h=1, d=1, sigma2=1.0)
    >>> [round(float(balance(0.5, bath, setting, kind)), 4) for kind in MOMENTS]
    [0.2188, 0.1786, 0.1565]
    """
    one_of(*MOMENTS)("moments", moments)
    w = array("w", w, None)
    if moments == "exact":
        # the strip of the heading narrows like the square root of sigma2, and the nodes would fill the memory
        between(1e-3, 1e6)("sigma2", setting.sigma2)
        for x in np.abs(w[w != 0]).tolist():
            between(1e-50, 1e50)("the size of w / sqrt(N_Psi)", x / float(np.sqrt(bath.N_Psi)))
        out = np.array([_exact_gain(x, bath, setting.a, fine) if x else 0.0 for x in w.ravel().tolist()])
        out = out.reshape(w.shape)
    else:
        N_Phi, N_Psi = bath.N_Phi, bath.N_Psi
        tau = bath.N_x * N_Phi * N_Psi
        if moments == "counted":
            N_Phi, N_Psi, tau = np.hypot(N_Phi, w), np.hypot(N_Psi, w**2), tau + w**3
        out = (w - (tau * w**2 + 2.0 * w**5) / N_Psi**2) / (setting.a * N_Phi * N_Psi)
    in_range("w, bath", out)
    return out


def bath_velocity(w: Array, bath: Norms, setting: Setting, moments: Moments = "exact") -> Array:
    """dw/dt of one mode on the parabola among infinitely many others, by one of `MOMENTS`; ``frozen`` is Eq. 7.

    >>> bath, setting = Norms(1, 1, 0), Setting(h=1, d=1, sigma2=1.0, rho=0.5)
    >>> float(bath_velocity(1.0, bath, setting, "frozen"))
    -1.0
    """
    w = array("w", w, None)
    return w * (balance(w, bath, setting, moments) - setting.rho)


@dataclass(frozen=True)
class Turn:
    """Where a branch of equilibria turns: the eigenvalue and the weight decay above which it does not exist."""

    w: float
    rho: float


def bath_fold(bath: Norms, setting: Setting, moments: Moments = "exact", sign: int = 1) -> Turn | None:
    """The fold of the positive (sign = -1: negative) equilibria, the highest point of `balance`; None if there is none.

    Below ``rho`` there are two equilibria of that sign, above it none. The search covers |w| from 1/50 to 50 units,
    a unit being sqrt(N_Psi) where the mode's share of ||Psi||^2 is one half.

    >>> turn = bath_fold(Norms(1, 1, 0), Setting(h=1, d=1, sigma2=1.0))
    >>> round(turn.rho, 4)
    0.1568
    >>> bath_fold(Norms(1, 1, 0.3), Setting(h=1, d=1, sigma2=1.0), sign=-1) is None
    True
    """
    if sign not in (-1, 1):
        raise ValueError(f"sign = {sign!r}: must be 1 or -1")
    unit = float(np.sqrt(bath.N_Psi))
    u = np.linspace(np.log(0.02), np.log(50.0), 60)

    def height(x: float) -> float:
        return float(balance(np.array(sign * unit * np.exp(x)), bath, setting, moments))

    values = np.array([height(x) for x in u])
    best = int(values.argmax())
    if values[best] <= 0 or best in (0, len(u) - 1):
        return None
    top = minimize_scalar(
        lambda x: -height(x), bounds=(u[best - 1], u[best + 1]), method="bounded", options={"xatol": 1e-9}
    )
    return Turn(sign * unit * float(np.exp(top.x)), -float(top.fun))


def bath_equilibria(bath: Norms, setting: Setting, moments: Moments = "exact") -> tuple[tuple[float, str], ...]:
    """The non-zero equilibria (w, stability) of one mode in a bath for rho > 0, within 50 units, in increasing order.

    >>> found = bath_equilibria(Norms(1, 1, -0.5), Setting(h=1, d=1, sigma2=1.0, rho=0.001))
    >>> [(round(w, 2), stability) for w, stability in found][:2]
    [(-3.56, 'stable'), (-1.42, 'unstable')]
    """
    unit = float(np.sqrt(bath.N_Psi))
    u = np.geomspace(1e-4, 50.0, 160) * unit
    grid = np.concatenate([-u[::-1], u])
    excess = balance(grid, bath, setting, moments) - setting.rho
    found = []
    for i in np.flatnonzero(np.sign(excess[:-1]) * np.sign(excess[1:]) < 0):
        if grid[i] < 0 < grid[i + 1]:
            continue
        root = brentq(lambda x: float(balance(np.array(x), bath, setting, moments)) - setting.rho, grid[i], grid[i + 1])
        # dw/dt = w (balance - rho): it falls through zero where w times the slope of the balance is negative
        falls = (excess[i + 1] - excess[i]) * np.sign(root) < 0
        found.append((float(root), "stable" if falls else "unstable"))
    return tuple(found)
