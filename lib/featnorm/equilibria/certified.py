"""Counts, multiplicities, stabilities and regimes in exact arithmetic: no rounding can change an answer of this module.

Parameters may be floats, which are taken as the rational numbers they are, or `fractions.Fraction`, so that a double
root can be hit exactly. Three methods that share nothing: the discriminant (integers only), Sturm's theorem (SymPy),
and isolating enclosures of all complex roots (FLINT).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import inf, nextafter
from typing import Literal

import flint
import sympy as sp

from featnorm._validate import one_of
from featnorm.equilibria.frozen import Regime, Stability
from featnorm.setting import Norms, Setting

Law = Literal["cosine", "leading", "l2"]

_W = sp.Symbol("w")


def rational_field(N: Norms, setting: Setting, law: Law = "cosine") -> list[Fraction]:
    """Coefficients of dw/dt times a positive number, from degree 0 upwards, as exact rationals.

    ``cosine`` is Eq. 7 (times (1 + sigma2) N_Phi N_Psi^3), ``leading`` the same without w^6, ``l2`` Eq. 8.

    >>> [str(c) for c in rational_field(Norms(1.0, 1.0, 0.5), Setting(h=1, d=1, sigma2=1.0, rho=0.25))]
    ['0', '-1/2', '1', '-1/2', '0', '0', '-2']
    """
    one_of("cosine", "leading", "l2")("law", law)
    N_Phi, N_Psi, N_x, rho, sigma2 = map(Fraction, (N.N_Phi, N.N_Psi, N.N_x, setting.rho, setting.sigma2))
    a, zero = 1 + sigma2, Fraction(0)
    if law == "l2":
        return [zero, -rho, Fraction(1), -a]
    cubic = [zero, -rho * a * N_Phi * N_Psi**3, N_Psi**2, -N_x * N_Phi * N_Psi]
    return [*cubic, zero, zero, Fraction(-2)] if law == "cosine" else cubic


def sturm_counts(field: Sequence[Fraction]) -> tuple[int, int]:
    """How many different negative and positive zeros a `rational_field` has, by Sturm's theorem over the rationals.

    >>> sturm_counts(rational_field(Norms(1.0, 1.0, 0.0), Setting(h=1, d=1, sigma2=1.0, rho=0.1)))
    (1, 2)
    """
    if not any(field):
        raise ValueError("field: all its coefficients are zero")
    first = next(n for n, c in enumerate(field) if c)  # divide by the power of w, so that zero is no root
    rational = [sp.Rational(c.numerator, c.denominator) for c in field[first:]]
    poly = sp.Poly(rational[::-1], _W, domain="QQ")
    return int(poly.count_roots(None, 0)), int(poly.count_roots(0, None))


def sign_changes(coefficients: Sequence[Fraction]) -> int:
    """Descartes' rule: positive zeros, each as often as its multiplicity, are this many, or fewer by an even number.

    >>> sign_changes([Fraction(-1), Fraction(3), Fraction(0), Fraction(-2)])
    2
    """
    signs = [c > 0 for c in coefficients if c]
    return sum(a != b for a, b in pairwise(signs))


@dataclass(frozen=True)
class Enclosed:
    """One real equilibrium between ``low`` and ``high``, certainly and alone; equal where it is known exactly."""

    low: float
    high: float
    multiplicity: int
    stability: Stability


def certified_equilibria(field: Sequence[Fraction]) -> tuple[Enclosed, ...]:
    """All real zeros of a `rational_field` in increasing order, enclosed, with multiplicity and stability.

    The multiplicity comes from an exact factorisation. The stability is the sign of the first derivative that does not
    vanish, whose order is the multiplicity m: m odd and negative is stable, m odd and positive unstable, m even
    semi-stable. The end points of an enclosure are rounded to floats, outwards by one unit of the last place.

    >>> e = certified_equilibria(rational_field(Norms(1.0, 1.0, 0.0), Setting(h=1, d=1, sigma2=1.0)))
    >>> [(round(x.low, 6), x.multiplicity, x.stability) for x in e]
    [(-0.840896, 1, 'unstable'), (0.0, 2, 'semi-stable'), (0.840896, 1, 'stable')]
    """
    poly = flint.fmpq_poly([flint.fmpq(c.numerator, c.denominator) for c in field])
    derivatives = [poly]
    found: list[tuple[float, Enclosed]] = []
    for root, multiplicity in poly.numer().complex_roots():
        if root.imag != 0:
            continue
        while len(derivatives) <= multiplicity:
            derivatives.append(derivatives[-1].derivative())
        x = root.real
        value = _evaluate(derivatives[multiplicity], x)
        if not (value > 0 or value < 0):
            raise ArithmeticError("the enclosure of a root is too wide for the sign of a derivative")
        stability: Stability = "semi-stable" if multiplicity % 2 == 0 else "stable" if value < 0 else "unstable"
        exact = x.rad() == 0
        low, high = float(x.lower()), float(x.upper())
        ends = (low, high) if exact else (nextafter(low, -inf), nextafter(high, inf))
        found.append((float(x.mid()), Enclosed(*ends, int(multiplicity), stability)))
    return tuple(e for _, e in sorted(found, key=lambda pair: pair[0]))


def _evaluate(poly: flint.fmpq_poly, x: flint.arb) -> flint.arb:
    """Horner's scheme in ball arithmetic."""
    value = flint.arb(0)
    for c in reversed(poly.coeffs()):
        value = value * x + flint.arb(c)
    return value


def exact_regime(N: Norms, setting: Setting) -> Regime:
    """The regime of Eq. 7 by the sign of a discriminant in rational arithmetic (claim ``beyond-discriminant``).

    Negative is Acute, zero the fold, positive Collapse. `regime` does the same in floating point and calls everything
    within 1e-12 of the fold a fold; here only the fold is one.

    >>> exact_regime(Norms(1.0, 1.0, 0.0), Setting(h=1, d=1, sigma2=1.0, rho=0.2))
    'Acute'
    >>> exact_regime(Norms(1, 1, Fraction(3, 8)), Setting(h=1, d=1, sigma2=1, rho=Fraction(11, 64)))   # w = 1/2 twice
    'fold'
    """
    P, S, X, rho, sigma2 = (
        flint.fmpq(*Fraction(v).as_integer_ratio()) for v in (N.N_Phi, N.N_Psi, N.N_x, setting.rho, setting.sigma2)
    )
    if rho == 0:
        return "Stable"
    q, P2, S2 = rho * (1 + sigma2), P * P, S * S
    P4, X2, q2 = P2 * P2, X * X, q * q
    value = (
        12500 * q2 * q2 * P4 * S2 * S2
        - 4500 * q2 * X2 * P4 * S2
        + 108 * q * X2 * X2 * X * P4 * P2
        + 3200 * q * X * P2 * S2
        - 27 * X2 * X2 * P4
        - 512 * S2
    )
    return "fold" if value == 0 else "Collapse" if value > 0 else "Acute"


def double_root(w: Fraction, N_Psi: Fraction, a: Fraction) -> tuple[Norms, Setting]:
    """Rational parameters at which Eq. 7 has a double zero at the rational w > 0, exactly (``beyond-saddle-node``).

    >>> N, setting = double_root(Fraction(1, 2), Fraction(1), Fraction(2))
    >>> exact_regime(N, setting), str(N.N_x)
    ('fold', '3/8')
    """
    for name, value in (("w", w), ("N_Psi", N_Psi)):
        if value <= 0:
            raise ValueError(f"{name} = {value}: must be > 0")
    tau = (N_Psi**2 - 10 * w**4) / (2 * w)
    N_Phi = max(Fraction(1), abs(tau) / N_Psi)  # so that N_x = tau / (N_Phi N_Psi) is a cosine
    rho = (w / 2 + 3 * w**5 / N_Psi**2) / (a * N_Phi * N_Psi)
    return Norms(N_Phi, N_Psi, tau / (N_Phi * N_Psi)), Setting(h=1, d=1, sigma2=a - 1, rho=rho)
