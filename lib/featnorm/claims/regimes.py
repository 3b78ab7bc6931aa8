"""Checks of the chapter "Three regimes": Section 5.2, Figures 3, 5 and 7, the saddle-node, one mode in a bath."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import sympy as sp
from scipy.stats import t as student

from featnorm._validate import Array
from featnorm.claims.cosine_dynamics import exact_folds, random_sets, symbolic_evidence
from featnorm.claims.model import FALSE_ALARM, Check, Evidence
from featnorm.eigen_flow import parabola_velocity
from featnorm.equilibria import (
    MOMENTS,
    NEARLY_STABLE,
    Enclosed,
    Regime,
    Starts,
    balance,
    bath_equilibria,
    bath_fold,
    certified_equilibria,
    classify_scaled,
    critical_rho,
    equilibria,
    exact_regime,
    fold,
    fold_point,
    near_stable_mass,
    rational_field,
    scaled,
    sign_changes,
    starts,
    sturm_counts,
)
from featnorm.normalized_moments import diagonal_moments
from featnorm.scale import Scale
from featnorm.setting import Norms, Setting, initialize, norms

Stabilities = tuple[str, ...]
#: What the paper says of each regime, from the lowest equilibrium to the highest.
PATTERNS: dict[str, Stabilities] = {
    "Collapse": ("unstable", "stable"),
    "fold": ("unstable", "stable", "semi-stable"),
    "Acute": ("unstable", "stable", "unstable", "stable"),
    "Stable": ("unstable", "semi-stable", "stable"),
}


def pattern(N: Norms, setting: Setting) -> Stabilities:
    """The stabilities of all equilibria of Eq. 7 from left to right, certified.

    >>> pattern(Norms(1, 1, 0), Setting(h=1, d=1, sigma2=1.0))
    ('unstable', 'semi-stable', 'stable')
    """
    return tuple(e.stability for e in certified_equilibria(rational_field(N, setting)))


def shrunk(N: Norms, c: Fraction) -> Norms:
    """The norms after both layers were multiplied by c, in rational numbers."""
    return Norms(c * Fraction(N.N_Phi), c**2 * Fraction(N.N_Psi), Fraction(N.N_x))


# --- The three regimes -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CollapseRegime:
    """The equilibria above the fold; the regime ends where both layers are (rho_c / rho)^(1 / power) times as large."""

    points: Stabilities = PATTERNS["Collapse"]
    power: float = 2.0
    after: Regime = "Acute"


def check_collapse(variant: CollapseRegime, scale: Scale, seed: int) -> Evidence:
    """Certified equilibria above the fold; then the layers shrink, at fixed N_x, until the regime changes.

    Around the predicted factor, a thousandth above and below it, the regime is decided by exact arithmetic.
    """
    cases, wrong = scale.pick(30, 250, 4000), 0
    for N, setting in random_sets(cases, seed, side=1):
        wrong += exact_regime(N, setting) != "Collapse" or pattern(N, setting) != variant.points
        c = (critical_rho(N, setting) / setting.rho) ** (1.0 / variant.power)
        before, after = (exact_regime(shrunk(N, Fraction(c * f)), setting) for f in (1.001, 0.999))
        wrong += (before, after) != ("Collapse", variant.after)
    source = "certified equilibria and exact regimes: none may differ"
    return Evidence(wrong / cases, 0.0, source, "certified", cases, seed)


@dataclass(frozen=True)
class AcuteRegime:
    """The equilibria below the fold, and where a start ends: (name of the border, end below it, end above it)."""

    points: Stabilities = PATTERNS["Acute"]
    border: int = 2
    ends: tuple[float, int, int] = (-np.inf, 1, 3)


def check_acute(variant: AcuteRegime, scale: Scale, seed: int) -> Evidence:
    """Certified equilibria below the fold, and where random starts end.

    On a line a solution moves to the next equilibrium in the direction of the field, whose sign at the start is
    computed exactly. Starts lie on both sides of every equilibrium, from a millionth away to a factor of ten.
    """
    rng = np.random.default_rng(seed)
    cases, wrong, total = scale.pick(30, 250, 4000), 0, 0
    for N, setting in random_sets(cases, seed, side=-1):
        field = rational_field(N, setting)
        points = certified_equilibria(field)
        wrong += tuple(e.stability for e in points) != variant.points
        total += 1
        if len(points) != 4:
            continue
        for start, true in _ends(field, points, rng):
            below, middle, above = variant.ends
            says = below if start < points[0].low else middle if start < points[variant.border].low else above
            wrong += true != says
            total += 1
    source = "certified equilibria and exact signs of the field: none may differ"
    return Evidence(wrong / total, 0.0, source, "certified", total, seed)


def _ends(
    field: list[Fraction], points: tuple[Enclosed, ...], rng: np.random.Generator
) -> Iterator[tuple[float, float]]:
    """Starts beside every equilibrium and where each ends: the number of an equilibrium, or minus or plus infinity."""
    scale_w = max(points[-1].high, -points[0].low)
    for e in points:
        away = float(np.exp(rng.uniform(np.log(1e-6), np.log(10.0)))) * scale_w * rng.choice([-1, 1])
        start = (e.low if away < 0 else e.high) + away
        if any(p.low <= start <= p.high for p in points):
            continue
        left = [i for i, p in enumerate(points) if p.high < start]
        right = [i for i, p in enumerate(points) if p.low > start]
        falls = _horner(field, Fraction(start)) < 0
        yield start, (left[-1] if left else -np.inf) if falls else (right[0] if right else np.inf)


def _horner(field: list[Fraction], x: Fraction) -> Fraction:
    value = Fraction(0)
    for c in reversed(field):
        value = value * x + c
    return value


@dataclass(frozen=True)
class StableRegime:
    """The equilibria at rho = 0 with multiplicities; w_down_plus tends to zero like (rho N_Phi N_Psi)^power.

    A start above the equilibrium with the number ``border`` tends to w_up.
    """

    points: tuple[tuple[str, int], ...] = (("unstable", 1), ("semi-stable", 2), ("stable", 1))
    power: float = 1.0
    factor_a: bool = True
    border: int = 1


def check_stable(variant: StableRegime, scale: Scale, seed: int) -> Evidence:
    """Certified equilibria at rho = 0 and where starts end; w_down_plus = (1 + sigma^2) rho N_Phi N_Psi in the limit.

    The next term of w_down_plus / sqrt(N_Psi) = r + theta r^2 + ... is below |theta| r relative to the first, which
    bounds the statistic at the smallest r.
    """
    rng = np.random.default_rng(seed)
    cases, wrong, worst = scale.pick(20, 300, 3000), 0, 0.0
    for N, setting in random_sets(cases, seed):
        free = setting.with_(rho=0.0)
        field = rational_field(N, free)
        points = certified_equilibria(field)
        found = tuple((e.stability, e.multiplicity) for e in points)
        wrong += found != variant.points or exact_regime(N, free) != "Stable"
        for start, end in _ends(field, points, rng):
            wrong += start > points[variant.border].high and end != 2
            wrong += start < points[0].low and end != -np.inf
        rho = 1e-9 * min(critical_rho(N, setting), 1 / (setting.a * N.N_Phi**2))
        theta, r = scaled(N, setting.with_(rho=rho))
        lower = equilibria(N, setting.with_(rho=rho))[2]
        predicted = (rho * N.N_Phi * N.N_Psi) ** variant.power * (setting.a if variant.factor_a else 1.0)
        allowed = 2.0 * (abs(theta) * r + r**4) + 1e-14
        worst = max(worst, abs(lower.w / predicted - 1) / allowed)
    source = "next term of the expansion, 2 (|theta| r + r^4); certified equilibria at rho = 0"
    return Evidence(max(worst, float(2 * wrong)), 1.0, source, "numerical", cases, seed)


@dataclass(frozen=True)
class Remark3:
    """At rho > 0 zero is a simple, stable root; the field grows like c^-power as the layers shrink by c."""

    multiplicity: int = 1
    power: int = 7
    rho: float = 1e-4


def check_remark_3(variant: Remark3, scale: Scale, seed: int) -> Evidence:
    """Zero stays simple down to a weight decay of 1e-300; the divergence as a power; the share that is not yet Stable.

    The share is that of the eigenvalues of Assumption 4 between 0 and w_down_plus, at h = 64, d = 512, for the default
    weight decay of the public SimSiam code. The cut-off for "nearly" is `NEARLY_STABLE`.
    """
    rng = np.random.default_rng(seed)
    cases, wrong = scale.pick(20, 200, 2000), 0
    for N, setting in random_sets(cases, seed):
        tiny = setting.with_(rho=float(10.0 ** -rng.uniform(3, 300)))
        zero = next(e for e in certified_equilibria(rational_field(N, tiny)) if e.low == 0 == e.high)
        wrong += (zero.multiplicity, zero.stability) != (variant.multiplicity, "stable")
    # the largest power of 1 / c in Eq. 7 at a fixed w, over four decades
    setting = Setting(h=1, d=1, sigma2=1.0, rho=0.1)
    c = 10.0 ** -np.arange(2, 7)
    size = [abs(float(parabola_velocity(np.array(0.5), Norms(x, x**2, 0.2), setting))) for x in c]
    slope = float(np.polyfit(np.log(c), np.log(size), 1)[0])
    wrong += abs(slope + variant.power) > 0.5
    W, Phi = initialize(Setting(h=64, d=512), rng)
    mass = near_stable_mass(norms(W, Phi), Setting(h=64, d=512, sigma2=1.0, rho=variant.rho), np.linalg.eigvalsh(W))
    wrong += mass > NEARLY_STABLE
    numbers = {"slope": slope, "mass": mass}
    source = "certified roots; power within half of the gap to its neighbours; cut-off 0.05 of the eigenvalues"
    return Evidence(float(wrong), 0.0, source, "numerical", cases, seed, numbers=numbers)


@dataclass(frozen=True)
class Emergence:
    """A positive stable equilibrium appears when both layers, or one, are (rho_c / rho)^(1 / power) times as large."""

    power: float = 2.0
    encoder_only: bool = False
    first: Stabilities = PATTERNS["Collapse"]


def check_emergence(variant: Emergence, scale: Scale, seed: int) -> Evidence:
    """From starts of Assumption 4 with a weight decay up to ten times the critical one, shrinking both layers.

    At the predicted factor, a thousandth above and below it, the equilibria are certified.
    """
    rng = np.random.default_rng(seed)
    cases, wrong = scale.pick(10, 60, 600), 0
    for _ in range(cases):
        setting = Setting(h=12, d=24, sigma2=1.0)
        N = norms(*initialize(setting, rng))
        over = float(np.exp(rng.uniform(0.1, np.log(10.0))))
        setting = setting.with_(rho=over * critical_rho(N, setting))
        wrong += pattern(N, setting) != variant.first
        c = over ** (-1.0 / variant.power)
        for factor, points in ((1.001, variant.first), (0.999, PATTERNS["Acute"])):
            s = Fraction(c * factor)
            smaller = shrunk(N, s) if not variant.encoder_only else Norms(s * Fraction(N.N_Phi), N.N_Psi, N.N_x)
            wrong += pattern(smaller, setting) != points
    source = "certified equilibria: none may differ"
    return Evidence(wrong / cases, 0.0, source, "certified", cases, seed)


# --- Figures 3 and 7 -------------------------------------------------------------------------------------------------


def figure_3_panels(N: Norms, sigma2: float) -> dict[str, tuple[Norms, Setting]]:
    """The three panels: one weight decay, twice its critical value at N, while both layers shrink; then rho = 0."""
    setting = Setting(h=1, d=1, sigma2=sigma2)
    rho = 2.0 * critical_rho(N, setting)
    half = Norms(N.N_Phi / 2, N.N_Psi / 4, N.N_x)
    return {
        "Collapse": (N, setting.with_(rho=rho)),
        "Acute": (half, setting.with_(rho=rho)),
        "Stable": (half, setting.with_(rho=0.0)),
    }


def check_figure_3(points: dict[str, Stabilities], scale: Scale, seed: int) -> Evidence:
    """The stabilities of the panels, certified; and the gap between 0 and w_down_plus closes as the layers shrink on.

    The gap, over w_up, is r to leading order and falls with the square of the factor: the power, fitted over five
    factors far down, is 2 within half of the distance to its neighbours.
    """
    N = Norms(1.0, 1.0, 0.0)
    panels = figure_3_panels(N, 1.0)
    wrong = sum(pattern(*panels[name]) != wanted for name, wanted in points.items())
    setting = panels["Collapse"][1]
    c = 2.0 ** -np.arange(3, 8)
    gaps = []
    for x in c:
        found = {e.name: e.w for e in equilibria(Norms(x, x**2, 0.0), setting)}
        gaps.append(found["w_down_plus"] / found["w_up"])
    power = float(np.polyfit(np.log(c), np.log(gaps), 1)[0])
    wrong += abs(power - 2.0) > 0.5
    source = "certified equilibria; power within half of the gap to its neighbours"
    return Evidence(float(wrong), 0.0, source, "numerical", len(points), None, numbers={"power": power})


def check_figure_7(counts: tuple[int, int, int], scale: Scale, seed: int) -> Evidence:
    """How often f and -g = rho w meet at N_x = 0: w (f / w - rho) has that many different zeros, certified."""
    N = Norms(1.0, 1.0, 0.0)
    setting = Setting(h=1, d=1, sigma2=1.0)
    rho_c = critical_rho(N, setting)
    found = [
        len(certified_equilibria(rational_field(N, setting.with_(rho=rho)))) for rho in (2.0 * rho_c, 0.5 * rho_c, 0.0)
    ]
    wrong = sum(a != b for a, b in zip(found, counts, strict=True))
    return Evidence(float(wrong), 0.0, "certified enclosures of all real roots", "certified", 3, None)


# --- Initial eigenvalues ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def drawn_starts(h: int, draws: int, seed: int) -> Starts:
    """Starts of Assumption 4 with d = 2h, each against w_down_minus at its own norms and rho = 0."""
    return starts(Setting(h=h, d=2 * h), draws, np.random.default_rng([seed, h]))


@dataclass(frozen=True)
class InitialEigenvalues:
    """|w_down_minus| over the lowest |eigenvalue| grows like h^power; from ``safe`` on no start lies beyond it."""

    power: float = 0.25
    safe: int = 64


def check_initial(variant: InitialEigenvalues, scale: Scale, seed: int) -> Evidence:
    """The ratio of w_down_minus to the lowest eigenvalue over five sizes, each start at its own norms and rho = 0.

    Weight decay pushes w_down_minus outwards, so rho = 0 is the hardest case. The power is fitted to the sizes with
    the edge's own law, 2 - 1.21 h^(-2/3), divided out (the mean of the Tracy-Widom law of order one). The interval of
    the slope may not leave the half-gap 1/8 to its neighbours, and no eigenvalue of a size from ``safe`` on may lie
    beyond.
    """
    sizes = scale.pick((24, 32, 64, 96, 128), (32, 64, 128, 192, 256), (32, 64, 128, 256, 512))
    draws = scale.pick(24, 24, 200)
    ratios, beyond = [], 0
    for h in sizes:
        drawn = drawn_starts(h, draws, seed)
        lowest = -drawn.eigenvalues[:, 0]
        edge = 2.0 - 1.2065 * h ** (-2.0 / 3.0)
        ratios.append(-drawn.lowest_root / lowest * (edge / 2.0))
        beyond += int((drawn.below > 0).sum()) if h >= variant.safe else 0
    x, y = np.log(np.repeat(sizes, draws)), np.log(np.concatenate(ratios))
    (slope, _), cov = np.polyfit(x, y, 1, cov=True)
    half = float(student.isf(FALSE_ALARM / 2, len(x) - 2) * np.sqrt(cov[0, 0]))
    statistic = max(abs(slope - variant.power) + half, float(beyond))
    numbers = {"slope": float(slope), "half": half, "beyond": float(beyond)}
    source = "half of the gap between the powers 1/4 and 0 or 1/2, with the interval of the slope inside"
    return Evidence(statistic, 0.125, source, "numerical", len(x), seed, numbers=numbers)


def check_figure_5(variant: str, scale: Scale, seed: int) -> Evidence:
    """All eigenvalues of starts with h = 64, d = 512 lie above the named point, at the start's own norms."""
    rng = np.random.default_rng(seed)
    draws = scale.pick(10, 40, 400)
    setting = Setting(h=64, d=512)
    beyond = 0
    for _ in range(draws):
        W, Phi = initialize(setting, rng)
        N = norms(W, Phi)
        low = {e.name: e.w for e in equilibria(N, setting.with_(rho=0.5 * critical_rho(N, setting)))}
        edge = {
            "w_down_minus": low["w_down_minus"],
            "fold": -fold_point(N, setting).w,
            "N_Psi^(1/4)": -(N.N_Psi**0.25),
            "zero": 0.0,
        }
        beyond += int((np.linalg.eigvalsh(W) < edge[variant]).sum())
    source = "counted: none may lie beyond"
    return Evidence(float(beyond), 0.0, source, "numerical", draws * setting.h, seed)


# --- The saddle-node -------------------------------------------------------------------------------------------------

CriticalRho = Callable[[Norms, Setting], float]


def uncovered_signs() -> int:
    """For how many signs of theta the classification by r_c is not proved. Zero means: for every parameter set.

    With r > 0 the signs of the coefficients of p(y) = -2 y^5 - theta y^2 + y - r are those of theta. By Descartes'
    rule p has two positive roots or none, p(-y) one and p' one, which is the maximum; its height there is r_c - r.

    >>> uncovered_signs()
    0
    """
    missed = 0
    for sign in (-1, 0, 1):
        quintic = [Fraction(c) for c in (-1, 1, -sign, 0, 0, -2)]
        mirrored = [c * (-1) ** k for k, c in enumerate(quintic)]
        slope = [k * c for k, c in enumerate(quintic)][1:]
        missed += tuple(map(sign_changes, (quintic, mirrored, slope))) != (2, 1, 1)
    y = sp.Symbol("y", positive=True)
    theta, r_c = (1 - 10 * y**4) / (2 * y), y / 2 + 3 * y**5  # from p'(y) = 0
    return missed + 3 * (sp.simplify(-2 * y**5 - theta * y**2 + y - r_c) != 0)


@lru_cache(maxsize=2)
def exactly_classified(
    cases: int, sturm: int, seed: int
) -> list[tuple[Norms, Setting, Stabilities, tuple[int, int] | None]]:
    """Random sets with their certified stabilities, the first of them with their Sturm counts too."""
    return [
        (N, setting, pattern(N, setting), sturm_counts(rational_field(N, setting)) if n < sturm else None)
        for n, (N, setting) in enumerate(random_sets(cases, seed))
    ]


def check_saddle_node(formula: CriticalRho, scale: Scale, seed: int) -> Evidence:
    """Share of parameter sets classified wrongly, counted in exact arithmetic; `uncovered_signs` covers all others.

    Sets spread over six decades of the norms and lie from a relative 1e-9 to a factor of e beside the threshold:
    certified enclosures for all, Sturm's theorem for some. Others lie on the fold exactly, made from a rational double
    root. A set is wrong if count, multiplicities or stabilities are not as claimed, by the formula's threshold.
    """
    cases, sturm = scale.pick(40, 4000, 100_000), scale.pick(10, 1000, 1000)
    wrong = 0
    for n, (N, setting, points, counts) in enumerate(exactly_classified(cases, sturm, seed)):
        below = setting.rho < formula(N, setting)
        wrong += points != PATTERNS["Acute" if below else "Collapse"]
        if n < sturm:
            wrong += counts != (1, 2 if below else 0)
            at_zero = Norms(N.N_Phi, N.N_Psi, 0.0)
            closed = 0.8 * 10**-0.25 / (setting.a * N.N_Phi * np.sqrt(N.N_Psi))
            wrong += abs(formula(at_zero, setting) / closed - 1) > 1e-14
    for N, setting in exact_folds(scale.pick(10, 200, 1000), seed):
        wrong += pattern(N, setting) != PATTERNS["fold"] or exact_regime(N, setting) != "fold"
        plain = Norms(float(N.N_Phi), float(N.N_Psi), float(N.N_x))
        floats = Setting(h=1, d=1, sigma2=float(setting.sigma2), rho=float(setting.rho))
        wrong += abs(formula(plain, floats) / floats.rho - 1) > 1e-13
    wrong += uncovered_signs()
    source = "certified roots, Sturm counts and Descartes' rule: none may differ"
    return Evidence(wrong / cases, 0.0, source, "certified", cases, seed)


_Y, _THETA, _R = sp.symbols("y theta r")


@lru_cache(maxsize=1)
def discriminant() -> sp.Expr:
    """The discriminant of -2 y^5 - theta y^2 + y - r in y, by SymPy."""
    return sp.expand(sp.discriminant(-2 * _Y**5 - _THETA * _Y**2 + _Y - _R, _Y))


@dataclass(frozen=True)
class Discriminant:
    """The coefficients of the curve, its two ends, and the one point where a complex pair is double."""

    coefficients: tuple[int, ...] = (12500, -4500, 108, 3200, -27, -512)
    plus: sp.Expr = 1 / (4 * _THETA)
    minus_power: Fraction = Fraction(5, 3)
    point: tuple[Fraction, Fraction] = (Fraction(5, 4), Fraction(9, 32))


@lru_cache(maxsize=2)
def _counted(cases: int, seed: int) -> list[tuple[Fraction, Fraction, int]]:
    """Rational (theta, r), half of them near the isolated point, with the number of positive roots by Sturm."""
    rng = np.random.default_rng(seed)
    out = []
    for k in range(cases):
        centre, reach = ((2.2066, 0.7252), 0.01) if k % 2 else ((0.0, 1.0), 3.0)
        t, q = (Fraction(float(v)) for v in rng.uniform(-1, 1, 2) * reach + centre)
        quintic = [-abs(q), Fraction(1), -t, Fraction(0), Fraction(0), Fraction(-2)]
        out.append((t, abs(q), sturm_counts(quintic)[1]))
    return out


def check_discriminant(variant: Discriminant, scale: Scale, seed: int) -> Evidence:
    """The curve from SymPy's discriminant, on the fold, at both ends, and the isolated point; then signs and regimes.

    A double root y gives theta = (1 - 10 y^4) / (2 y) and r = y / 2 + 3 y^5, where the curve must vanish identically.
    A quintic with a double complex pair is -2 (y + n)(y^2 + b y + c)^2: comparing coefficients leaves one positive n.
    On random rational (theta, r), some of them around that point, a negative sign must mean two positive roots by
    Sturm's theorem, a positive sign none.
    """
    monomials = (_R**4, _R**2 * _THETA**2, _R * _THETA**5, _R * _THETA, _THETA**4, sp.Integer(1))
    curve = sum(c * m for c, m in zip(variant.coefficients, monomials, strict=True))
    y = sp.Symbol("y", positive=True)
    theta, r = (1 - 10 * y**4) / (2 * y), y / 2 + 3 * y**5
    residuals = [sp.expand(4 * curve - discriminant()), sp.together(curve.subs({_THETA: theta, _R: r}))]
    residuals.append(sp.limit(sp.simplify(r / variant.plus.subs(_THETA, theta)), y, 0) - 1)
    ratio = sp.simplify(r**3 / (27 * (-theta / 5) ** int(3 * variant.minus_power)))
    residuals.append(sp.limit(ratio, y, sp.oo) - 1)
    n = sp.root(sp.Rational(32, 15), 4)
    b, c = -n / 2, 3 * n**2 / 8
    double = -2 * (_Y + n) * (_Y**2 + b * _Y + c) ** 2
    first, second = (sp.Rational(v.numerator, v.denominator) for v in variant.point)
    point = {_THETA: first * n**3, _R: second * n**5}
    residuals.append(sp.expand(double - (-2 * _Y**5 - _THETA * _Y**2 + _Y - _R).subs(point)))
    evidence = symbolic_evidence(residuals)
    cases, wrong = scale.pick(10, 200, 1000), 0
    for t, q, positive in _counted(cases, seed):
        terms = (q**4, q**2 * t**2, q * t**5, q * t, t**4, Fraction(1))
        sign = sum(c * m for c, m in zip(variant.coefficients, terms, strict=True))
        wrong += positive != (2 if sign < 0 else 0)
    source = "differences simplify to zero; signs against Sturm counts, none may differ"
    return Evidence(evidence.statistic + wrong, 0.0, source, "symbolic", cases, seed)


@dataclass(frozen=True)
class FoldLaw:
    """d2(dw/dt)/dw2 = -kappa (1 + factor w*^4 / N_Psi^2) at the fold, and branches like (rho_c - rho)^power."""

    factor: int = 30
    power: float = 0.5
    speed: int = -1


def check_fold(variant: FoldLaw, scale: Scale, seed: int) -> Evidence:
    """The coefficients of the fold symbolically, and the distance of the branches: its power, fitted, and its size.

    For each of ten theta the exponent is fitted over five distances from 1e-8 to 1e-4, where the next term, relative
    to the first of the order of the distance, is below 1e-3: the 95 per cent interval must hold the power and lie
    within 1e-3 of it. The prefactor comes from the coefficients.
    """
    w, N_Psi, kappa, rho, tau = sp.symbols("w N_Psi kappa rho tau", positive=True)
    field = kappa * (w**2 - tau * w**3 / N_Psi**2 - 2 * w**6 / N_Psi**2) - rho * w
    at = {tau: (N_Psi**2 - 10 * w**4) / (2 * w), rho: kappa * (w / 2 + 3 * w**5 / N_Psi**2)}
    curvature = -kappa * (1 + variant.factor * w**4 / N_Psi**2)
    residuals = [
        field.subs(at),
        sp.diff(field, w).subs(at),
        sp.diff(field, w, 2).subs(at) - curvature,
        sp.diff(field, rho) - variant.speed * w,
    ]
    wrong = symbolic_evidence([sp.simplify(x) for x in residuals]).statistic
    rng = np.random.default_rng(seed)
    gaps = 10.0 ** -np.linspace(4, 8, 5)
    cases, worst = scale.pick(10, 100, 1000), 0.0
    for theta in rng.uniform(-5, 5, cases):
        y, r_c = fold(theta)
        found = classify_scaled(theta, r_c * (1 - gaps)).w
        distance = found[:, 3] - found[:, 2]
        (slope, _), cov = np.polyfit(np.log(gaps), np.log(distance), 1, cov=True)
        half = float(student.isf(0.025, len(gaps) - 2) * np.sqrt(cov[0, 0]))
        # in the unit sqrt(N_Psi), with kappa = 1 / y: w* = y, N_Psi = 1
        law = 2.0 * np.sqrt(2.0 * r_c * gaps * y / (1 + variant.factor * y**4))
        worst = max(worst, abs(slope - variant.power) + half, float(np.max(np.abs(distance / law - 1))))
    source = "next term of the expansion at a distance of 1e-4: 1e-3; symbolic coefficients"
    return Evidence(max(worst, wrong), 1e-3, source, "numerical", cases, seed)


# --- One mode in a bath ----------------------------------------------------------------------------------------------


def finite_bath(k: int, overlap: float) -> tuple[Array, Array]:
    """k modes with N_Phi = N_Psi = 1 and N_x = overlap: w = +1 and -1 in turn, phi such that the sums come out.

    >>> w, phi = finite_bath(4, 0.5)
    >>> float(phi.sum()), float((w**2 * phi).sum()), round(float((w * phi).sum()), 12)
    (1.0, 1.0, 0.5)
    """
    w = np.tile([1.0, -1.0], k // 2)
    phi = np.tile([1.0 + overlap, 1.0 - overlap], k // 2) / k
    return w, phi


def check_bath(moments: str, scale: Scale, seed: int) -> Evidence:
    """The velocity of one mode among k others, exactly (`diagonal_moments`), against the limit k to infinity.

    The error must fall like 1 / k: over five sizes the fitted power is -1 within half of the gap to its neighbours,
    for modes of several sizes and overlaps, positive and negative.
    """
    setting = Setting(h=1, d=1, sigma2=1.0)
    sizes = np.array(scale.pick((32, 64, 128, 256, 512), (64, 128, 256, 512, 1024), (64, 256, 1024, 4096, 16384)))
    rng = np.random.default_rng(seed)
    cases, worst = scale.pick(4, 12, 40), 0.0
    for _ in range(cases):
        w, overlap = float(rng.choice([-1, 1]) * rng.uniform(0.4, 2.5)), float(rng.uniform(-0.8, 0.8))
        limit = w * float(balance(np.array(w), Norms(1.0, 1.0, overlap), setting, moments))
        errors = []
        for k in sizes:
            bath_w, bath_phi = finite_bath(int(k), overlap)
            got = diagonal_moments(np.append(w, bath_w), np.append(w * w, bath_phi), 1.0, 1e-11)
            errors.append(abs(got.k[0] - limit))
        slopes = np.polyfit(np.log(sizes[1:]), np.log(errors[1:]), 1)
        worst = max(worst, abs(float(slopes[0]) + 1.0))
    source = "half of the gap between the powers -1 and -2 or 0"
    return Evidence(worst, 0.5, source, "numerical", cases * len(sizes), seed)


@dataclass(frozen=True)
class BathFolds:
    """Which closure overestimates the fold, and for which sign of the overlap there are negative equilibria."""

    order: tuple[str, str, str] = ("exact", "counted", "frozen")
    negative_below: float = 0.0
    outer: str = "stable"


@lru_cache(maxsize=2)
def bath_branches(n: int, seed: int) -> list[tuple[float, dict[str, float], list[str] | None]]:
    """For n overlaps: the folds by each closure, and the stabilities of the negative equilibria, or None."""
    setting = Setting(h=1, d=1, sigma2=1.0)
    shift = np.random.default_rng(seed).uniform(-0.02, 0.02)
    out = []
    for overlap in np.linspace(-0.95, 0.95, n) + shift:
        bath = Norms(1.0, 1.0, float(overlap))
        folds = {kind: bath_fold(bath, setting, kind) for kind in MOMENTS}
        negative, low = bath_fold(bath, setting, sign=-1), None
        if negative is not None:
            low = [s for w, s in bath_equilibria(bath, setting.with_(rho=negative.rho / 10)) if w < 0]
        out.append((float(overlap), {kind: turn.rho for kind, turn in folds.items() if turn}, low))
    return out


def check_bath_folds(variant: BathFolds, scale: Scale, seed: int) -> Evidence:
    """Folds of one mode in a bath for overlaps from -1 to 1, and its negative equilibria.

    The negative ones are listed at a tenth of the weight decay of their own fold.
    """
    overlaps = scale.pick(6, 20, 100)
    wrong = 0
    for overlap, heights, low in bath_branches(overlaps, seed):
        ordered = [heights[kind] for kind in variant.order if kind in heights]
        wrong += len(ordered) != 3 or ordered != sorted(ordered)
        wrong += (low is not None) != (overlap < variant.negative_below)
        wrong += low is not None and (len(low) != 2 or low[0] != variant.outer)
    source = "counted over the overlaps: none may differ"
    return Evidence(float(wrong), 0.0, source, "numerical", overlaps, seed)


CHECKS: dict[str, Check] = {
    "regime-collapse": Check(
        check_collapse,
        claimed=CollapseRegime(),
        wrong={
            "zero unstable": CollapseRegime(points=("stable", "unstable")),
            "four equilibria": CollapseRegime(points=PATTERNS["Acute"]),
            "leaves in proportion to rho": CollapseRegime(power=1.0),
            "leaves with the cube root": CollapseRegime(power=3.0),
            "never leaves": CollapseRegime(after="Collapse"),
        },
    ),
    "regime-acute": Check(
        check_acute,
        claimed=AcuteRegime(),
        wrong={
            "stable and unstable exchanged": AcuteRegime(points=("stable", "unstable", "stable", "unstable")),
            "zero is the border": AcuteRegime(border=1),
            "w_up is the border": AcuteRegime(border=3),
            "a very negative start tends to zero": AcuteRegime(ends=(1, 1, 3)),
        },
    ),
    "regime-stable": Check(
        check_stable,
        claimed=StableRegime(),
        wrong={
            "zero simple and unstable": StableRegime(points=(("unstable", 1), ("unstable", 1), ("stable", 1))),
            "zero a triple root": StableRegime(points=(("unstable", 1), ("stable", 3), ("stable", 1))),
            "w_down_plus like a square root": StableRegime(power=0.5),
            "without the factor 1 + sigma^2": StableRegime(factor_a=False),
            "all starts above the lowest point are saved": StableRegime(border=0),
        },
    ),
    "remark-3": Check(
        check_remark_3,
        claimed=Remark3(),
        wrong={
            "zero double at rho > 0": Remark3(multiplicity=2),
            "divergence with c^-6": Remark3(power=6),
            "divergence with c^-8": Remark3(power=8),
            "a hundred times the default weight decay": Remark3(rho=1e-2),
        },
    ),
    "equilibrium-emerges": Check(
        check_emergence,
        claimed=Emergence(),
        wrong={
            "in proportion to rho": Emergence(power=1.0),
            "with the cube root": Emergence(power=3.0),
            "the encoder alone shrinks": Emergence(encoder_only=True),
            "it is there from the start": Emergence(first=PATTERNS["Acute"]),
        },
    ),
    "figure-3": Check(
        check_figure_3,
        claimed={name: PATTERNS[name] for name in ("Collapse", "Acute", "Stable")},
        wrong={
            "Collapse and Acute exchanged": {"Collapse": PATTERNS["Acute"], "Acute": PATTERNS["Collapse"]},
            "the Stable point unstable": {"Stable": ("unstable", "unstable", "stable")},
        },
    ),
    "figure-7": Check(
        check_figure_7,
        claimed=(2, 4, 3),
        wrong={"no difference": (4, 4, 4), "Collapse touches": (3, 4, 3), "Stable as Acute": (2, 4, 4)},
    ),
    "initial-above-root": Check(
        check_initial,
        claimed=InitialEigenvalues(),
        wrong={
            "no growth": InitialEigenvalues(power=0.0),
            "like the square root of h": InitialEigenvalues(power=0.5),
            "safe at every size": InitialEigenvalues(safe=1),
        },
    ),
    "figure-5": Check(
        check_figure_5,
        claimed="w_down_minus",
        wrong={
            "the mirror image of the fold": "fold",
            "the fourth root of N_Psi": "N_Psi^(1/4)",
            "zero": "zero",
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
    "beyond-discriminant": Check(
        check_discriminant,
        claimed=Discriminant(),
        wrong={
            "4050 instead of 4500": Discriminant(coefficients=(12500, -4050, 108, 3200, -27, -512)),
            "+27": Discriminant(coefficients=(12500, -4500, 108, 3200, 27, -512)),
            "1 / (2 theta) at one end": Discriminant(plus=1 / (2 * _THETA)),
            "the power 4/3 at the other": Discriminant(minus_power=Fraction(4, 3)),
            "another isolated point": Discriminant(point=(Fraction(5, 4), Fraction(3, 32))),
        },
    ),
    "beyond-fold-law": Check(
        check_fold,
        claimed=FoldLaw(),
        wrong={
            "curvature 20": FoldLaw(factor=20),
            "exponent 1/3": FoldLaw(power=1 / 3),
            "exponent 1": FoldLaw(power=1.0),
            "speed +w": FoldLaw(speed=1),
        },
    ),
    "beyond-bath": Check(
        check_bath,
        claimed="exact",
        wrong={"the norms of the others alone": "frozen", "the closure with the mode counted": "counted"},
    ),
    "beyond-bath-folds": Check(
        check_bath_folds,
        claimed=BathFolds(),
        wrong={
            "counting the mode raises the fold": BathFolds(order=("exact", "frozen", "counted")),
            "the exact fold is the highest": BathFolds(order=("counted", "frozen", "exact")),
            "negative equilibria at every overlap": BathFolds(negative_below=2.0),
            "no negative equilibria": BathFolds(negative_below=-2.0),
            "the outer one unstable": BathFolds(outer="unstable"),
        },
    ),
}
