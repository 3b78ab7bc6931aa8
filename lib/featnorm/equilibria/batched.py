"""Eq. 7 for many parameter sets at once, each classified with the same certainty as one (`featnorm.equilibria.frozen`).

Every root of p(y) = -2 y^5 - theta y^2 + y - r is the limit of a Newton iteration that moves in one direction only:
where a function is convex (or concave) the tangent stays on one side of it, so a start on the right side never
overshoots. Starts on the right side are known in closed form, and the count follows from r and the fold r_c(theta)
alone, so that no root has to be looked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featnorm._validate import Array, array, in_range
from featnorm.equilibria.frozen import FOLD_TOLERANCE, Regime

#: The regime of a code in `Classified.regime`.
REGIMES: tuple[Regime, ...] = ("Stable", "Acute", "fold", "Collapse")
#: What a column of `Classified.w` holds.
NAMES = ("w_down_minus", "zero", "w_down_plus", "w_up")
# Stability by regime and name: 1 stable, -1 unstable, 0 semi-stable or absent.
_STABILITY = np.array([[-1, 0, 0, 1], [-1, 1, -1, 1], [-1, 1, 0, 0], [-1, 1, 0, 0]], dtype=np.int8)
# How many equilibria each regime has.
_COUNT = np.array([3, 4, 3, 2], dtype=np.int8)

#: Parameter sets of one pass: small enough for its dozen arrays to stay in the cache of a core.
_BLOCK = 2**13
_FOURTH_2, _FOURTH_10 = 2.0**-0.25, 10.0**-0.25

_NewtonStep = Callable[[Array], Array]


@dataclass(frozen=True)
class Classified:
    """Many parameter sets of Eq. 7, flattened: regimes, equilibria and their stability.

    Attributes
    ----------
    regime: (n,), codes of `REGIMES`.
    w: (n, 4), the equilibria `NAMES`; NaN where there is none. At the fold the double one is ``w_up``.
    stability: (n, 4), 1 stable, -1 unstable, 0 semi-stable (or absent, where w is NaN).
    rho_ratio: (n,), rho over its critical value.
    """

    regime: NDArray[np.int8]
    w: Array
    stability: NDArray[np.int8]
    rho_ratio: Array

    @property
    def count(self) -> NDArray[np.int8]:
        """Number of different real equilibria of each set, (n,)."""
        return _COUNT[self.regime]


def _descend(step: _NewtonStep, y: Array) -> Array:
    """Newton's iteration from a start above the root on the right side: it falls until rounding stops it."""
    for _ in range(200):
        new = step(y)
        moved = new < y
        if not moved.any():
            break
        y = np.where(moved, new, y)
    return y


def _fold(theta: Array) -> tuple[Array, Array]:
    """`featnorm.equilibria.fold` for an array. 1 - 2 theta y - 10 y^4 is concave; the start lies above its root."""
    with np.errstate(divide="ignore", over="ignore"):
        start = np.where(
            theta > 0, np.minimum(_FOURTH_10, 0.5 / np.abs(theta)), _FOURTH_10 + np.cbrt(np.maximum(-theta, 0.0) / 5.0)
        )

    def step(y: Array) -> Array:
        y3 = y * y * y
        return y + (1.0 - 2.0 * theta * y - 10.0 * y3 * y) / (2.0 * theta + 40.0 * y3)

    y = _descend(step, start)
    y2 = y * y
    return y, y / 2.0 + 3.0 * y2 * y2 * y


def _upper(theta: Array, r: Array) -> Array:
    """w_up: beyond the fold p is concave and falls; the start has 2 y^4 >= 1 - theta y, so it lies above the root."""
    with np.errstate(divide="ignore", over="ignore"):
        start = np.where(
            theta > 0, np.minimum(_FOURTH_2, 1.0 / np.abs(theta)), _FOURTH_2 + np.cbrt(np.maximum(-theta, 0.0) / 2.0)
        )

    def step(y: Array) -> Array:
        y3 = y * y * y
        return y + (y * (1.0 - theta * y - 2.0 * y3 * y) - r) / (2.0 * theta * y + 10.0 * y3 * y - 1.0)

    return _descend(step, start)


def _lower(theta: Array, r: Array, y_star: Array) -> Array:
    """w_down_plus. Below its inflection p is convex, above it concave: Newton from there moves one way only.

    If p is positive at the start the root lies below, in the convex part; else above, in the concave part. Where the
    inflection lies beyond r the start is r, with p(r) > 0. The iteration runs in a direction fixed by the start.
    """
    start = np.minimum(np.cbrt(np.maximum(-theta, 0.0) / 20.0), r)

    def step(y: Array) -> Array:
        y3 = y * y * y
        return y + (y * (1.0 - theta * y - 2.0 * y3 * y) - r) / (2.0 * theta * y + 10.0 * y3 * y - 1.0)

    sign = np.where(step(start) < start, 1.0, -1.0)
    # Rounding must not carry a root near the fold beyond y*, the point where the two meet.
    return np.minimum(sign * _descend(lambda y: sign * step(sign * y), sign * start), y_star)


def _negative(theta: Array, r: Array) -> Array:
    """-w_down_minus: 2 n^5 = theta n^2 + n + r, convex beyond the root. The start: the smaller of two upper bounds."""
    start = _FOURTH_2 + np.cbrt(np.maximum(theta, 0.0) / 2.0) + np.power(r / 2.0, 0.2)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        other = np.where(theta < 0, 1.0 / np.abs(theta) + np.sqrt(r / np.abs(theta)), np.inf)

    def step(n: Array) -> Array:
        n3 = n * n * n
        return n - (n * (2.0 * n3 * n - theta * n - 1.0) - r) / (10.0 * n3 * n - 2.0 * theta * n - 1.0)

    return _descend(step, np.fmin(start, other))


def classify_scaled(theta: ArrayLike, r: ArrayLike) -> Classified:
    """`classify` in the two numbers without unit, theta and r (`scaled`), with w in units of sqrt(N_Psi).

    ``theta`` and ``r`` >= 0 broadcast against each other. Raises ValueError beyond |theta| = 1e60 or r = 1e120, where
    powers could leave the floating-point range.

    >>> found = classify_scaled(0.0, [0.0, 0.1, 0.8])
    >>> [REGIMES[code] for code in found.regime], found.count.tolist()
    (['Stable', 'Acute', 'Collapse'], [3, 4, 2])
    """
    theta, r = np.broadcast_arrays(array("theta", theta, None), array("r", r, None))
    theta, r = theta.ravel(), r.ravel()
    if (r < 0).any():
        raise ValueError(f"r: must be >= 0, but the smallest is {r.min():.3g}")
    for name, value, most in (("theta", theta, 1e60), ("r", r, 1e120)):
        if (np.abs(value) > most).any():
            raise ValueError(f"{name}: must be at most {most:g} in size, but the largest is {np.abs(value).max():.3g}")
    code = np.empty(len(r), dtype=np.int8)
    y = np.full((len(r), 4), np.nan)
    ratio = np.empty(len(r))
    for first in range(0, len(r), _BLOCK):
        part = slice(first, first + _BLOCK)
        t, q = theta[part], r[part]
        y_star, r_c = _fold(t)
        gap = q / r_c - 1.0
        c = np.where(q == 0, 0, np.where(np.abs(gap) <= FOLD_TOLERANCE, 2, np.where(gap > 0, 3, 1)))
        out = y[part]
        out[:, 0], out[:, 1] = -_negative(t, q), 0.0
        acute, up = c == 1, c <= 1
        out[acute, 2] = _lower(t[acute], q[acute], y_star[acute])
        out[up, 3] = np.maximum(_upper(t[up], q[up]), y_star[up])
        out[c == 2, 3] = y_star[c == 2]
        code[part], ratio[part] = c, gap + 1.0
    return Classified(code, y, _STABILITY[code], ratio)


def classify(N_Phi: ArrayLike, N_Psi: ArrayLike, N_x: ArrayLike, sigma2: ArrayLike, rho: ArrayLike) -> Classified:
    """Regime, equilibria and stabilities of Eq. 7 for arrays of parameters, which broadcast against each other.

    A million sets take about a second. Raises ValueError for norms or sigma2 that are not positive, |N_x| > 1,
    rho < 0, NaN, and what leaves the range of `classify_scaled`.

    >>> found = classify(1.0, 1.0, 0.0, 1.0, [0.5, 0.1, 0.0])
    >>> [REGIMES[code] for code in found.regime]
    ['Collapse', 'Acute', 'Stable']
    >>> found.w[1].round(4).tolist(), found.stability[1].tolist()
    ([-0.8848, 0.0, 0.2007, 0.7809], [-1, 1, -1, 1])
    """
    named = {"N_Phi": N_Phi, "N_Psi": N_Psi, "N_x": N_x, "sigma2": sigma2, "rho": rho}
    values = {name: array(name, value, None) for name, value in named.items()}
    for name in ("N_Phi", "N_Psi", "sigma2"):
        if (values[name] <= 0).any():
            raise ValueError(f"{name}: must be > 0, but the smallest is {values[name].min():.3g}")
    if (np.abs(values["N_x"]) > 1.0 + 1e-12).any():
        raise ValueError(f"N_x: must be from -1 to 1, but the largest size is {np.abs(values['N_x']).max():.3g}")
    if (values["rho"] < 0).any():
        raise ValueError(f"rho: must be >= 0, but the smallest is {values['rho'].min():.3g}")
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        root = np.sqrt(values["N_Psi"])
        theta = values["N_x"] * values["N_Phi"] / root
        r = values["rho"] * (1.0 + values["sigma2"]) * (values["N_Phi"] * root)
    in_range("N_Phi, N_Psi, sigma2, rho", theta, r)
    if (np.broadcast_to(values["rho"] > 0, r.shape) & (r < 1e-250)).any():
        raise ValueError("N_Phi, N_Psi, sigma2, rho: too small, since r = rho (1 + sigma2) N_Phi sqrt(N_Psi) is lost")
    theta, r, root = np.broadcast_arrays(theta, r, root)
    found = classify_scaled(theta, r)
    return Classified(found.regime, found.w * root.reshape(-1, 1), found.stability, found.rho_ratio)
