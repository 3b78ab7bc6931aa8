"""Checks of the chapter "Cosine dynamics on the parabola": Eq. 7, Figure 2, Appendix C."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import sympy as sp

from featnorm.claims.model import Check, Evidence
from featnorm.equilibria import (
    certified_equilibria,
    critical_rho,
    double_root,
    equilibria,
    exact_regime,
    rational_field,
)
from featnorm.scale import Scale
from featnorm.setting import Norms, Setting


def symbolic_evidence(residuals: list[sp.Expr], source: str = "the difference simplifies to zero") -> Evidence:
    """How many residuals do not simplify to zero; none may."""
    wrong = sum(sp.simplify(residual) != 0 for residual in residuals)
    return Evidence(float(wrong), 0.0, source, "symbolic", len(residuals), None)


# --- Eq. 7 -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Eq7:
    """dw = (-c6 w^p6 / (N_Phi N_Psi^3) - N_x w^3 / N_Psi^e3 + w^2 / (N_Phi N_Psi)) / a - rho w; ``most`` equilibria."""

    c6: int = 2
    p6: int = 6
    e3: int = 2
    sign3: int = 1
    fewest: int = 2
    most: int = 4


def check_eq_7(variant: Eq7, scale: Scale, seed: int) -> Evidence:
    """Eq. 7 from Eq. 5 by putting phi = w^2, symbolically; then 0 is an equilibrium, and two to four are counted.

    The counts are certified, over sets on both sides of the fold and on it; the extremes must both occur.
    """
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
    wrong = int(sp.simplify(from_eq_5 - claimed) != 0) + int(claimed.subs(w, 0) != 0)
    cases = scale.pick(20, 300, 3000)
    counts = [len(certified_equilibria(rational_field(*s))) for s in random_sets(cases, seed)]
    wrong += (min(counts), max(counts)) != (variant.fewest, variant.most)
    source = "the difference simplifies to zero; certified counts"
    return Evidence(float(wrong), 0.0, source, "symbolic", cases, seed)


def random_sets(
    cases: int, seed: int, side: int | None = None, nearest: float = 1e-9, overlap: float | None = None
) -> list[tuple[Norms, Setting]]:
    """Parameter sets over six decades of the norms, two of sigma2, and distances from the fold from 1e-9 to e.

    ``side`` 1 lies above the critical weight decay, -1 below it, None on both in turn. ``overlap`` fixes N_x.
    """
    rng = np.random.default_rng(seed)
    sets = []
    for n in range(cases):
        N = Norms(*(10.0 ** rng.uniform(-3, 3, 2)), rng.uniform(-1, 1) if overlap is None else overlap)
        setting = Setting(h=1, d=1, sigma2=float(10.0 ** rng.uniform(-1, 1)))
        distance = (side or 1 - 2 * (n % 2)) * np.exp(rng.uniform(np.log(nearest), 0.0))
        sets.append((N, setting.with_(rho=float(critical_rho(N, setting) * np.exp(distance)))))
    return sets


# --- Figure 2 --------------------------------------------------------------------------------------------------------

#: The panels of our Figure 2: (N_Phi, N_Psi, rho), with N_x = 0 and sigma2 = 1; the paper's values are lost.
FIGURE_2: tuple[tuple[float, float, float], ...] = (
    (1.0, 1.0, 0.5),
    (1.0, 1.0, 0.1),
    (0.5, 0.5, 0.5),
    (0.5, 0.5, 0.01),
)


def figure_2_sets() -> list[tuple[Norms, Setting]]:
    """The parameter sets of FIGURE_2."""
    return [(Norms(P, S, 0.0), Setting(h=1, d=1, sigma2=1.0, rho=rho)) for P, S, rho in FIGURE_2]


def check_figure_2(counts: tuple[int, ...], scale: Scale, seed: int) -> Evidence:
    """The number of equilibria of each panel, by certified enclosures."""
    found = [len(certified_equilibria(rational_field(*s))) for s in figure_2_sets()]
    wrong = sum(a != b for a, b in zip(found, counts, strict=True))
    return Evidence(float(wrong), 0.0, "certified enclosures of all real roots", "certified", len(found), None)


# --- Appendix C ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AppendixC:
    """Roots of f at +-(N_Psi^power / divisor)^(1/4); counts for small and large rho, and at rho = 0 counted with 0."""

    power: int = 2
    divisor: int = 2
    small: int = 4
    large: int = 2
    double_zero: bool = True


def check_appendix_c(variant: AppendixC, scale: Scale, seed: int) -> Evidence:
    """At N_x = 0: the roots of f symbolically, the counts beyond the fold and below it certified.

    "Small" and "large" are taken at their word: each rho below the fold has ``small`` equilibria, each above it
    ``large``. At rho = 0 zero is a double root, by an exact factorisation.
    """
    w, N_Psi = sp.symbols("w N_Psi", positive=True)
    f = -2 * w**6 / N_Psi**3 + w**2 / N_Psi  # times (1 + sigma2) N_Phi
    root = (N_Psi**variant.power / variant.divisor) ** sp.Rational(1, 4)
    wrong = int(sp.simplify(f.subs(w, root)) != 0) + int(sp.simplify(f - f.subs(w, -w)) != 0)
    cases = scale.pick(20, 300, 3000)
    for side, count in ((-1, variant.small), (1, variant.large)):
        sets = random_sets(cases, seed, side, overlap=0.0)
        wrong += sum(len(certified_equilibria(rational_field(*s))) != count for s in sets)
    for N, setting in random_sets(cases, seed + 1, overlap=0.0):
        points = certified_equilibria(rational_field(N, setting.with_(rho=0.0)))
        wrong += [e.multiplicity for e in points] != ([1, 2, 1] if variant.double_zero else [1, 1, 1])
    source = "symbolic roots; certified counts, none may differ"
    return Evidence(float(wrong), 0.0, source, "certified", 3 * cases, seed)


# --- Two numbers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwoNumbers:
    """theta = N_x N_Phi^p / N_Psi^(s / 2), r = q N_Phi^t N_Psi^(u / 2), in the unit N_Psi^(v / 2) for w."""

    p: int = 1
    s: int = 1
    t: int = 1
    u: int = 1
    v: int = 1


def check_scaling(variant: TwoNumbers, scale: Scale, seed: int) -> Evidence:
    """Eq. 7 divided by w, in the unit claimed, is a multiple of -2 y^5 - theta y^2 + y - r: symbolically."""
    y, P, S, q, a = sp.symbols("y N_Phi N_Psi q a", positive=True)
    X = sp.Symbol("N_x", real=True)
    half = sp.Rational(1, 2)
    w = S ** (half * variant.v) * y
    theta = X * P**variant.p / S ** (half * variant.s)
    r = q * P**variant.t * S ** (half * variant.u)
    field = (-2 * w**6 / (P * S**3) - X * w**3 / S**2 + w**2 / (P * S)) / a - q / a * w
    scaled = -2 * y**5 - theta * y**2 + y - r
    return symbolic_evidence([sp.expand(sp.simplify(field / (w / (a * P * sp.sqrt(S)))) - scaled)])


# --- Exact counts ----------------------------------------------------------------------------------------------------


def certified_scan(cases: int, seed: int) -> dict[str, float]:
    """Floating point against certified enclosures on random sets: sets, disagreements, and the largest excess.

    The excess is how far a root in floating point lies outside its enclosure, relative to its size. It is bounded by
    the bracket's tolerance times the condition of the root, 1e-16 / sqrt(distance from the fold).
    """
    different, worst = 0, 0.0
    for N, setting in random_sets(cases, seed):
        exact, ours = certified_equilibria(rational_field(N, setting)), equilibria(N, setting)
        same = [(e.multiplicity, e.stability) for e in exact] == [(e.multiplicity, e.stability) for e in ours]
        different += not same or exact_regime(N, setting) != ("Acute" if len(exact) == 4 else "Collapse")
        if same:
            gaps = [max(e.low - o.w, o.w - e.high, 0.0) / abs(o.w) for e, o in zip(exact, ours) if o.w]
            worst = max(worst, *gaps)
    return {"sets": cases, "different": different, "excess": worst}


def exact_folds(cases: int, seed: int) -> list[tuple[Norms, Setting]]:
    """Rational parameter sets that lie on the fold exactly, made from a rational double root."""
    rng = np.random.default_rng(seed)

    def rational() -> Fraction:
        return Fraction(int(rng.integers(1, 200)), int(rng.integers(1, 200)))

    return [double_root(rational(), rational(), 1 + rational()) for _ in range(cases)]


CHECKS: dict[str, Check] = {
    "eq-7": Check(
        check_eq_7,
        claimed=Eq7(),
        wrong={
            "coefficient 1 instead of 2": Eq7(c6=1),
            "w^5 instead of w^6": Eq7(p6=5),
            "N_Psi^3 under the cubic term": Eq7(e3=3),
            "cubic term with the wrong sign": Eq7(sign3=-1),
            "at most three equilibria": Eq7(most=3),
            "possibly one equilibrium": Eq7(fewest=1),
        },
    ),
    "figure-2": Check(
        check_figure_2,
        claimed=(2, 4, 4, 4),
        wrong={"always four": (4, 4, 4, 4), "the norms alone decide": (2, 2, 4, 4), "rho alone decides": (2, 4, 2, 4)},
    ),
    "appendix-c": Check(
        check_appendix_c,
        claimed=AppendixC(),
        wrong={
            "root (N_Psi / 2)^(1/4)": AppendixC(power=1),
            "root (N_Psi^2 / 10)^(1/4), where the fold is": AppendixC(divisor=10),
            "three equilibria for small rho": AppendixC(small=3),
            "three equilibria for large rho": AppendixC(large=3),
            "a simple zero at rho = 0": AppendixC(double_zero=False),
        },
    ),
    "beyond-two-numbers": Check(
        check_scaling,
        claimed=TwoNumbers(),
        wrong={
            "theta over N_Psi": TwoNumbers(s=2),
            "theta without N_Phi": TwoNumbers(p=0),
            "r with N_Psi": TwoNumbers(u=2),
            "r with N_Phi^2": TwoNumbers(t=2),
            "w in units of N_Psi": TwoNumbers(v=2),
        },
    ),
}
