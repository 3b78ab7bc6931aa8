"""Equilibria of a mode on the invariant parabola at frozen norms: where they are, their stability, the regime. Eq. 7-8.

In the unit sqrt(N_Psi), w = sqrt(N_Psi) y, the non-zero equilibria of Eq. 7 are the roots of

    p(y) = -2 y^5 - theta y^2 + y - r,    theta = N_x N_Phi / sqrt(N_Psi),    r = rho (1 + sigma2) N_Phi sqrt(N_Psi).

By Descartes' rule p has exactly one negative root and none or two positive ones, whatever the sign of theta. Its
derivative vanishes at exactly one positive point y*, the maximum; the value there decides, and the roots lie on its two
sides. So every root is found inside a bracket and the count is never guessed from rounding errors.

Without the term of degree six, and for the L2 loss (Eq. 8), what is left is a parabola, -theta y^2 + y - r: the leading
cubic has the same theta and r, and Eq. 8 has theta = 1 + sigma2, r = rho and the unit 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import brentq

from featnorm._validate import Array, array, between, in_range
from featnorm.setting import Norms, Setting

Regime = Literal["Collapse", "fold", "Acute", "Stable"]
Stability = Literal["stable", "unstable", "semi-stable"]

_EPS = float(np.finfo(float).eps)
#: Two positive roots are counted as one double root within this relative distance of rho from its critical value.
FOLD_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Equilibrium:
    """A point w where dw/dt = 0: its name in the paper, its multiplicity as a root and what happens beside it."""

    w: float
    name: Literal["w_down_minus", "zero", "w_down_plus", "w_up"]
    stability: Stability
    multiplicity: int = 1


def scaled(N: Norms, setting: Setting) -> tuple[float, float]:
    """The two numbers that decide everything: (theta, r) as in the module's heading, both without unit.

    Raises ValueError unless N_Phi and N_Psi are from 1e-100 to 1e100, and r is zero with rho or from 1e-250 to 1e250:
    beyond, the powers in Eq. 7 leave the floating-point range.

    >>> scaled(Norms(1.0, 1.0, 0.0), Setting(h=1, d=1, sigma2=1.0, rho=0.25))
    (0.0, 0.5)
    """
    for name in ("N_Phi", "N_Psi"):
        between(1e-100, 1e100)(name, getattr(N, name))
    root = float(N.N_Psi) ** 0.5
    r = float(setting.rho * setting.a * (N.N_Phi * root))
    if setting.rho > 0:
        between(1e-250, 1e250)("r = rho (1 + sigma2) N_Phi sqrt(N_Psi)", r)
    return float(N.N_x * N.N_Phi / root), r


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    return float(brentq(f, low, high, xtol=1e-300, rtol=4 * _EPS, maxiter=500))


def _beyond(f: Callable[[float], float], start: float) -> float:
    """A point beyond ``start`` at which f is negative; f tends to minus infinity."""
    step = start
    while f(step) >= 0.0:
        step *= 2.0
    return step


def fold(theta: float) -> tuple[float, float]:
    """The saddle-node at a given theta: (y*, r_c). Below r_c there are two positive equilibria, above it none.

    y* is the positive root of 10 y^4 + 2 theta y = 1, and r_c = y*/2 + 3 y*^5.

    >>> y, r_c = fold(0.0)
    >>> abs(y - 10 ** -0.25) < 1e-15, abs(r_c - 0.8 * y) < 1e-15
    (True, True)
    """
    if not np.isfinite(theta):
        raise ValueError(f"theta = {theta!r}: must be a finite number")

    def falling(y: float) -> float:
        return 1.0 - 10.0 * y**4 - 2.0 * theta * y

    high = _beyond(falling, 1.0)
    y = _root(falling, 0.0, high)
    return y, y / 2.0 + 3.0 * y**5


def critical_rho(N: Norms, setting: Setting) -> float:
    """The weight decay at which the two positive equilibria of Eq. 7 meet and vanish, at frozen norms.

    >>> setting = Setting(h=1, d=1, sigma2=1.0)
    >>> round(critical_rho(Norms(1.0, 1.0, 0.0), setting), 4)
    0.2249
    """
    theta, _ = scaled(N, setting)
    return float(fold(theta)[1] / (setting.a * N.N_Phi * np.sqrt(N.N_Psi)))


def regime(N: Norms, setting: Setting) -> Regime:
    """The paper's regime (Section 5.2): Collapse above the critical weight decay, Acute below it, Stable at rho = 0.

    >>> [regime(Norms(1, 1, 0), Setting(h=1, d=1, sigma2=1.0, rho=rho)) for rho in (0.5, 0.1, 0.0)]
    ['Collapse', 'Acute', 'Stable']
    """
    theta, r = scaled(N, setting)
    if r == 0.0:
        return "Stable"
    gap = r / fold(theta)[1] - 1.0
    return "fold" if abs(gap) <= FOLD_TOLERANCE else "Collapse" if gap > 0 else "Acute"


def equilibria(N: Norms, setting: Setting) -> tuple[Equilibrium, ...]:
    """All real equilibria of Eq. 7 in increasing order, with multiplicity and stability.

    For rho > 0 there are 2 (Collapse), 3 (fold) or 4 (Acute); at rho = 0 (Stable) zero is a double, semi-stable one.

    >>> for e in equilibria(Norms(1, 1, 0), Setting(h=1, d=1, sigma2=1.0, rho=0.1)):
    ...     print(f"{e.name} {e.w:.4f} {e.stability}")
    w_down_minus -0.8848 unstable
    zero 0.0000 stable
    w_down_plus 0.2007 unstable
    w_up 0.7809 stable
    """
    theta, r = scaled(N, setting)
    y_star, _ = fold(theta)
    unit = float(np.sqrt(N.N_Psi))
    kind = regime(N, setting)

    def p(y: float) -> float:
        return -2.0 * y**5 - theta * y**2 + y - r

    def mirrored(y: float) -> float:
        return -p(-y)

    low = 1.0  # a point below the root and above zero, since at rho = 0 zero is a root too
    while mirrored(low) <= 0.0:
        low /= 2.0
    negative = -_root(mirrored, low, _beyond(mirrored, low))
    found = [Equilibrium(unit * negative, "w_down_minus", "unstable")]
    if kind == "Stable":
        high = _root(p, y_star, _beyond(p, 2.0 * y_star))
        found += [Equilibrium(0.0, "zero", "semi-stable", 2), Equilibrium(unit * high, "w_up", "stable")]
        return tuple(found)
    found.append(Equilibrium(0.0, "zero", "stable"))
    if kind == "fold":
        found.append(Equilibrium(unit * y_star, "w_up", "semi-stable", 2))
    elif kind == "Acute":
        found.append(Equilibrium(unit * _root(p, 0.0, y_star), "w_down_plus", "unstable"))
        found.append(Equilibrium(unit * _root(p, y_star, _beyond(p, 2.0 * y_star)), "w_up", "stable"))
    return tuple(found)


@dataclass(frozen=True)
class Intervals:
    """Where the regions of Eq. 7 meet, one entry a moment; NaN where a point does not exist.

    A frozen eigenvalue below ``low`` diverges, between ``low`` and ``middle`` it tends to zero (above ``low`` if there
    is no ``middle``), above ``middle`` it tends to ``high``.
    """

    low: Array
    middle: Array
    high: Array


def intervals(moments: Sequence[Norms], setting: Setting) -> Intervals:
    """The equilibria of Eq. 7 at the norms of each moment, as `Intervals`. At rho = 0 ``middle`` is zero.

    >>> float(intervals([Norms(1, 1, 0)], Setting(h=1, d=1, sigma2=1.0, rho=0.5)).middle[0])
    nan
    """
    rows = []
    for N in moments:
        points = {e.name: e.w for e in equilibria(N, setting)}
        middle = points.get("w_down_plus", 0.0 if setting.rho == 0 else points.get("w_up", np.nan))
        rows.append((points["w_down_minus"], middle, points.get("w_up", np.nan)))
    return Intervals(*np.array(rows).reshape(-1, 3).T)


def _cubic(theta: float, r: float, unit: float) -> tuple[Equilibrium, ...]:
    """The equilibria of dy/dt = y (-theta y^2 + y - r), times ``unit``, without cancellation in the small root."""
    if theta == 0.0:  # the parabola is a line
        if r == 0.0:
            return (Equilibrium(0.0, "zero", "semi-stable", 2),)
        return Equilibrium(0.0, "zero", "stable"), Equilibrium(unit * r, "w_down_plus", "unstable")
    gap = 4.0 * theta * r - 1.0
    if abs(gap) <= FOLD_TOLERANCE:
        return (Equilibrium(0.0, "zero", "stable"), Equilibrium(unit / (2.0 * theta), "w_up", "semi-stable", 2))
    if gap > 0:
        return (Equilibrium(0.0, "zero", "stable"),)
    root = float(np.sqrt(-gap))
    small, large = 2.0 * r / (1.0 + root), (1.0 + root) / (2.0 * theta)
    in_range("N, rho", small, large * unit)
    zero = Equilibrium(0.0, "zero", "stable") if r > 0 else Equilibrium(0.0, "zero", "semi-stable", 2)
    low = (Equilibrium(unit * large, "w_down_minus", "unstable"),) if theta < 0 else ()
    middle = (Equilibrium(unit * small, "w_down_plus", "unstable"),) if r > 0 else ()
    up = (Equilibrium(unit * large, "w_up", "stable"),) if theta > 0 else ()
    return (*low, zero, *middle, *up)


def leading_equilibria(N: Norms, setting: Setting) -> tuple[Equilibrium, ...]:
    """All real equilibria of the leading cubic, Eq. 7 without its term of degree six, in increasing order.

    For N_x > 0 the fold lies at rho = 1 / (4 (1 + sigma2) N_x N_Phi^2), as in Eq. 8; below it there are 0 and two
    positive ones. For N_x <= 0 there is no fold and no stable equilibrium but 0. Raises ValueError as `scaled`.

    >>> for e in leading_equilibria(Norms(1, 1, 1), Setting(h=1, d=1, sigma2=1.0, rho=0.08)):
    ...     print(f"{e.name} {e.w:.4f} {e.stability}")
    zero 0.0000 stable
    w_down_plus 0.2000 unstable
    w_up 0.8000 stable
    """
    theta, r = scaled(N, setting)
    return _cubic(theta, r, float(np.sqrt(N.N_Psi)))


def l2_critical_rho(setting: Setting) -> float:
    """The weight decay 1 / (4 (1 + sigma2)) at which the two positive equilibria of Eq. 8 meet and vanish.

    >>> l2_critical_rho(Setting(h=1, d=1, sigma2=1.0))
    0.125
    """
    return 1.0 / (4.0 * setting.a)


def l2_equilibria(setting: Setting) -> tuple[Equilibrium, ...]:
    """All real equilibria of Eq. 8 in increasing order: 0 alone above `l2_critical_rho`, below it two positive ones.

    They depend on rho and sigma2 alone. At rho = 0 zero is a double, semi-stable one.

    >>> for e in l2_equilibria(Setting(h=1, d=1, sigma2=1.0, rho=0.08)):
    ...     print(f"{e.name} {e.w:.4f} {e.stability}")
    zero 0.0000 stable
    w_down_plus 0.1000 unstable
    w_up 0.4000 stable
    """
    return _cubic(float(setting.a), float(setting.rho), 1.0)


def l2_regime(setting: Setting) -> Regime:
    """The regime of Eq. 8, with the words of Section 5.2; it depends on rho and sigma2 alone.

    >>> [l2_regime(Setting(h=1, d=1, sigma2=1.0, rho=rho)) for rho in (0.2, 0.125, 0.1, 0.0)]
    ['Collapse', 'fold', 'Acute', 'Stable']
    """
    if setting.rho == 0:
        return "Stable"
    gap = 4.0 * setting.a * setting.rho - 1.0
    return "fold" if abs(gap) <= FOLD_TOLERANCE else "Collapse" if gap > 0 else "Acute"


def l2_velocity(w: Array, setting: Setting) -> Array:
    """Eq. 8: dw/dt = w^2 (1 - (1 + sigma2) w) - rho w, a mode on the parabola under the L2 loss.

    >>> float(l2_velocity(np.array(1.0), Setting(h=1, d=1, sigma2=1.0)))
    -1.0
    """
    w = array("w", w, None)
    with np.errstate(all="ignore"):
        out = w**2 * (1.0 - setting.a * w) - float(setting.rho) * w
    in_range("w", out)
    return out
