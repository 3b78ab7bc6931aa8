"""Branches of equilibria of Eq. 7, followed through the fold by pseudo-arclength continuation.

A branch is a curve in the plane of the eigenvalue and a parameter. At the fold it turns back in the parameter, so it
is parametrised by its own length: predict along the tangent, then correct at right angles to it by Newton's method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import brentq

from featnorm._validate import Array, one_of, positive, positive_int
from featnorm.equilibria.batched import classify_scaled
from featnorm.equilibria.frozen import critical_rho, fold, scaled
from featnorm.setting import Norms, Setting

#: From a point (2,) to the value of a function and its gradient (2,).
Curve = Callable[[Array], tuple[float, Array]]


@dataclass(frozen=True)
class Branch:
    """Points along a branch: ``w`` (m,), the parameter (m,), and where it turns: ``folds`` (k, 2) as (w, parameter)."""

    w: Array
    parameter: Array
    folds: Array


def _tangent(gradient: Array, before: Array) -> Array:
    """The unit vector at right angles to the gradient, on the side of the last one."""
    t = np.array([-gradient[1], gradient[0]]) / np.hypot(*gradient)
    return t if t @ before >= 0 else -t


def _correct(curve: Curve, start: Array, t: Array) -> tuple[Array, Array]:
    """The point of the curve on the line through ``start`` at right angles to t, and the gradient there."""
    x = start
    for _ in range(20):
        value, gradient = curve(x)
        move = np.linalg.solve(np.array([gradient, t]), [-value, -(t @ (x - start))])
        x = x + move
        if np.hypot(*move) <= 4e-16 * np.hypot(*x):
            break
    return x, curve(x)[1]


def _turn(curve: Curve, x: Array, t: Array, step: float) -> Array:
    """The point within one step of x at which the tangent has no second coordinate."""

    def climb(s: float) -> float:
        return float(_tangent(_correct(curve, x + s * t, t)[1], t)[1])

    return _correct(curve, x + brentq(climb, 0.0, step, xtol=1e-15) * t, t)[0]


def follow(curve: Curve, start: Array, direction: Array, step: float, steps: int) -> tuple[Array, Array]:
    """Follow value = 0 from a point near ``start``, first towards ``direction``, by steps of the given length.

    Returns the points (steps + 1, 2) and the points (k, 2) at which the second coordinate turns, each located to
    rounding along the arc.

    >>> circle = lambda x: (x @ x - 1.0, 2.0 * x)
    >>> points, turns = follow(circle, np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.1, 60)
    >>> bool(np.allclose(np.hypot(*points.T), 1.0)), turns[:, 1].round(6).tolist()
    (True, [1.0, -1.0])
    """
    positive("step", step)
    positive_int("steps", steps)
    t = np.asarray(direction, dtype=np.float64)
    x, gradient = _correct(curve, np.asarray(start, dtype=np.float64), t)
    t = _tangent(gradient, t)
    points, turns = [x], []
    for _ in range(steps):
        new, gradient = _correct(curve, x + step * t, t)
        turned = _tangent(gradient, t)
        if turned[1] * t[1] < 0:
            turns.append(_turn(curve, x, t, step))
        x, t = new, turned
        points.append(x)
    return np.array(points), np.array(turns).reshape(-1, 2)


def continued_branch(
    N: Norms, setting: Setting, parameter: Literal["rho", "scale"] = "rho", step: float = 0.02, steps: int = 200
) -> Branch:
    """The positive equilibria of Eq. 7 from w_up near rho = 0 over the fold and down to w_down_plus.

    ``rho``: at frozen norms, against rho. ``scale``: against c, where both layers are c times as large, which makes the
    norms c N_Phi and c^2 N_Psi; ``setting.rho`` > 0 is then fixed. Steps are in the plane of w over its value at the
    fold and the parameter over its value there.

    >>> setting = Setting(h=1, d=1, sigma2=1.0)
    >>> branch = continued_branch(Norms(1, 1, 0), setting)
    >>> bool(abs(branch.folds[0, 1] / critical_rho(Norms(1, 1, 0), setting) - 1) < 1e-14)
    True
    """
    one_of("rho", "scale")("parameter", parameter)
    theta, r = scaled(N, setting)
    unit = float(np.sqrt(N.N_Psi))
    y_star, r_c = fold(theta)
    if parameter == "rho":
        units = np.array([unit * y_star, critical_rho(N, setting)])

        def curve(x: Array) -> tuple[float, Array]:
            y = y_star * x[0]
            value = y - theta * y**2 - 2.0 * y**5 - r_c * x[1]
            return value, np.array([y_star * (1.0 - 2.0 * theta * y - 10.0 * y**4), -r_c])
    else:
        positive("rho", setting.rho)
        c_star = float(np.sqrt(r_c / r))
        units = np.array([unit * y_star * c_star, c_star])

        def curve(x: Array) -> tuple[float, Array]:
            y = y_star * x[0] / x[1]  # w in the unit c sqrt(N_Psi)
            slope = 1.0 - 2.0 * theta * y - 10.0 * y**4
            value = y - theta * y**2 - 2.0 * y**5 - r_c * x[1] ** 2
            return value, np.array([slope * y_star / x[1], -slope * y / x[1] - 2.0 * r_c * x[1]])

    part = 0.1  # the start on the upper branch, as a part of the way to the fold in the parameter
    y_up = float(classify_scaled(theta, r_c * (part if parameter == "rho" else part**2)).w[0, 3])
    first = np.array([y_up / y_star * (1.0 if parameter == "rho" else part), part])
    points, folds = follow(curve, first, np.array([0.0, 1.0]), step, steps)
    keep = np.cumprod((points > 0).all(axis=1)).astype(bool)  # the branch ends at w = 0
    return Branch(points[keep, 0] * units[0], points[keep, 1] * units[1], folds[(folds > 0).all(axis=1)] * units)


@dataclass(frozen=True)
class FoldPoint:
    """The saddle-node of Eq. 7 and its normal form dw/dt = speed (rho - rho_c) + curvature (w - w*)^2 / 2 + ...

    ``residual`` and ``slope`` are dw/dt and its derivative in w at the computed point, zero up to rounding; a fold is
    not degenerate if ``curvature`` (second derivative in w) and ``speed`` (derivative in rho) are not zero.
    """

    w: float
    rho: float
    residual: float
    slope: float
    curvature: float
    speed: float


def fold_point(N: Norms, setting: Setting) -> FoldPoint:
    """The fold at frozen norms with its coefficients, from Eq. 7 term by term.

    >>> point = fold_point(Norms(1, 1, 0), Setting(h=1, d=1, sigma2=1.0))
    >>> point.curvature < 0, point.speed == -point.w
    (True, True)
    """
    y, _ = fold(scaled(N, setting)[0])
    w, rho = float(np.sqrt(N.N_Psi)) * y, critical_rho(N, setting)
    degree = np.array([6, 3, 2, 1])
    terms = np.array(
        [-2.0 * w**6 / (N.N_Phi * N.N_Psi**3), -N.N_x * w**3 / N.N_Psi**2, w**2 / (N.N_Phi * N.N_Psi), 0.0]
    )
    terms = terms / setting.a - np.array([0.0, 0.0, 0.0, rho * w])
    first, second = degree * terms / w, degree * (degree - 1) * terms / w**2
    return FoldPoint(w, rho, float(terms.sum()), float(first.sum()), float(second.sum()), -w)
