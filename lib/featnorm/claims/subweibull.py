"""Checks of the chapter "Sub-Weibull variables": norms, equivalent conditions, closure, sums of independents."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import bdtr, gammainc, gammaincc, k0e

from featnorm._validate import Array
from featnorm.claims.model import Check, Evidence
from featnorm.scale import Scale
from featnorm.subweibull import (
    ACCURACY,
    Law,
    chi_square,
    deviation_bound,
    deviation_constant,
    estimate_norm,
    exponential,
    gaussian,
    gaussian_product,
    indicator,
    moment_constant,
    moment_to_norm,
    norm,
    norm_to_moment,
    sample_norm,
    sum_constant,
    tail_constant,
    tail_to_norm,
    weibull,
)

# --- Definition 1 ----------------------------------------------------------------------------------------------------

#: A rule for the norm of a law at an index.
Norm = Callable[[Law, float], float]


def _densities(rng: np.random.Generator) -> Iterator[tuple[Law, Callable[[float], float]]]:
    """Laws with random parameters, each with the logarithm of the density of |X|, written down independently."""
    sigma, mean, shape = rng.uniform(0.2, 5.0), rng.uniform(0.2, 5.0), rng.uniform(0.4, 3.0)
    k = int(rng.integers(2, 9))

    def chi(q: float) -> float:
        return (k / 2 - 1) * math.log(q) - q / 2 - k / 2 * math.log(2) - math.lgamma(k / 2) if q > 0 else -math.inf

    yield gaussian(sigma), lambda x: math.log(2 / (sigma * math.sqrt(2 * math.pi))) - (x / sigma) ** 2 / 2
    yield exponential(mean), lambda x: -math.log(mean) - x / mean
    yield weibull(shape), lambda x: math.log(shape) + (shape - 1) * math.log(x) - x**shape
    yield gaussian_product(), lambda x: math.log(2 / math.pi * k0e(x)) - x
    yield chi_square(k), chi
    yield chi_square(k, centred=True), lambda x: float(np.logaddexp(chi(k + x), chi(k - x)))


def check_definition_1(formula: Norm, scale: Scale, seed: int) -> Evidence:
    """E exp((|X| / eta)^beta) is 2 at eta = ``formula``; just above the index there is no eta.

    The integral is taken from the density, by SciPy; it shares nothing with the library's, which uses the tail. The
    statistic is the largest distance from 2, over the error that SciPy reports plus 1e-9.
    """
    rng, worst, cases = np.random.default_rng(seed), 0.0, 0
    for _ in range(scale.pick(1, 6, 60)):
        for law, log_density in _densities(rng):
            beta = law.index * float(rng.choice([1.0, rng.uniform(0.4, 0.9)]))
            eta = formula(law, beta)
            cases += 1
            if not math.isfinite(eta) or math.isfinite(formula(law, 1.001 * law.index)):
                worst = math.inf
                continue
            # In u = log x; from where x^beta has no weight to where the tail of the summand has none.
            cut = math.log(law.breaks[0]) if law.breaks else math.log(eta)

            def summand(u: float, beta=beta, eta=eta, log_density=log_density) -> float:
                x = math.exp(u)
                power = (x / eta) ** beta
                log = log_density(x) + power + u
                return math.exp(min(log, 300.0)) if log > -700 else 0.0

            edge = cut
            while edge < cut + 20 and summand(edge) > 1e-14 * (summand(cut) + 1e-300):
                edge += 0.25
            parts = [
                quad(summand, a, b, epsabs=1e-11, epsrel=1e-11, limit=200, full_output=1)[:2]
                for a, b in ((cut - 60 / min(1.0, law.index), cut - 3), (cut - 3, cut), (cut, cut + 1), (cut + 1, edge))
                if b > a
            ]
            total, error = (sum(values) for values in zip(*parts))
            worst = max(worst, abs(total - 2) / (error + 1e-9))
    source = "the error that the integrator reports, plus 1e-9 for the accuracy 1e-11 of eta and the cut-off"
    return Evidence(worst, 1.0, source, "numerical", cases, seed)


# --- Proposition 3 ---------------------------------------------------------------------------------------------------


def largest_tail(beta: float) -> Law:
    """P(|X| >= x) = min(1, 2 exp(-x^beta)): equality in condition 1 with K1 = 1, hence the largest norm K3."""
    corner = math.log(2) ** (1 / beta)
    return Law("largest tail", lambda x: np.minimum(0.0, math.log(2) - x**beta), beta, 1.0, breaks=(corner,))


def even_moments(beta: float) -> Law:
    r"""||X||_p = (p / beta)^(1/beta) for every p > 0: equality in condition 2 at every order at once.

    |X|^beta is the product of two independent variables: a standard exponential and V = (sin v / v) exp(v cot v) with v
    uniform on (0, pi), whose moments are p^p / Gamma(p + 1).
    """
    nodes, weights = np.polynomial.legendre.leggauss(200)
    v = (nodes + 1) * np.pi / 2
    log_V = np.log(np.sin(v) / v) + v / np.tan(v)  # at most 1

    def log_tail(x: Array) -> Array:
        log_y = beta * np.log(np.asarray(x))
        # y / V may leave the floating-point range, where exp(-y / V) is zero in any case
        ratio = np.exp(np.minimum(log_y[..., None] - log_V, 700.0))
        least = np.exp(log_y - 1)
        return np.log(np.exp(least[..., None] - ratio) @ (weights / 2)) - least

    return Law("even moments", log_tail, beta, math.e ** (1 / beta))


@dataclass(frozen=True)
class Equivalence:
    """K1 <= tail K3, K3 <= norm K1, K2 <= moment K3, K3 <= back K2, each constant a function of beta.

    ``tail_index`` and ``moment_index`` are the indices in conditions 1 and 2, as multiples of beta.
    """

    norm: Callable[[float], float] = tail_to_norm
    moment: Callable[[float], float] = norm_to_moment
    back: Callable[[float], float] = moment_to_norm
    tail: Callable[[float], float] = field(default=lambda beta: 1.0)
    tail_index: float = 1.0
    moment_index: float = 1.0


@lru_cache(maxsize=1024)
def best_constants(law: Law, beta: float) -> tuple[float, float, float]:
    """(K1, K2, K3) of Proposition 3; cached, since every variant of a check reads the same ones."""
    return tail_constant(law, beta), moment_constant(law, beta), norm(law, beta)


def equivalence_ratios(law: Law, beta: float, claim: Equivalence | None = None) -> tuple[float, float, float, float]:
    """The four quotients of `Equivalence`, measured over allowed: K1 / K3, K3 / K1, K2 / K3, K3 / K2."""
    c = claim or Equivalence()
    K1, K2, K3 = best_constants(law, beta)
    if c.tail_index != 1:
        K1 = tail_constant(law, c.tail_index * beta)
    if c.moment_index != 1:
        K2 = moment_constant(law, c.moment_index * beta)
    return K1 / K3 / c.tail(beta), K3 / K1 / c.norm(beta), K2 / K3 / c.moment(beta), K3 / K2 / c.back(beta)


@lru_cache(maxsize=2)
def _pairs(scale: Scale, seed: int) -> tuple[tuple[Law, float], ...]:
    """Laws with random parameters, each at its index (three for a bounded one) and at an exponent below.

    A random sign attains two of the four factors at once, on both sides of exponent 0.72, where one changes its form.
    """
    rng, out = np.random.default_rng(seed), []
    for _ in range(scale.pick(1, 3, 40)):
        laws = (
            gaussian(), exponential(), gaussian_product(), weibull(float(rng.uniform(0.3, 3.0))),
            chi_square(int(rng.integers(1, 9))), chi_square(int(rng.integers(1, 9)), centred=True),
            indicator(float(rng.uniform(0.1, 1.0))),
        )  # fmt: skip
        for law in laws:
            index = min(law.index, 3.0)
            out += [(law, index), (law, index * float(rng.uniform(0.5, 0.9)))]
    sign = indicator(1.0)
    return (*out, (sign, 0.9), (sign, 2.0))


def check_proposition_3(claim: Equivalence, scale: Scale, seed: int) -> Evidence:
    """The best constants of seven laws, at their index and below, against the claimed factors."""
    ratios = np.array([equivalence_ratios(law, beta, claim) for law, beta in _pairs(scale, seed)])
    worst = ratios.max(axis=0)
    source = "accuracy of the best constants, 1e-11 each, twice"
    return Evidence(float(worst.max()), 1 + 2 * ACCURACY, source, "numerical", len(ratios), seed, tightness=worst.min())


@lru_cache(maxsize=2)
def _extremes(scale: Scale, seed: int) -> tuple[tuple[int, Law, float], ...]:
    """(which of the four quotients, the law made to attain it, beta) at random exponents below and above 1."""
    rng, out = np.random.default_rng(seed), []
    for _ in range(scale.pick(1, 6, 40)):
        low, high = float(rng.uniform(0.25, 0.7)), float(rng.uniform(1.0, 3.0))
        for beta in (low, high):
            p = 1 / math.expm1(max(math.log(2), _best_y(1 / beta)))
            out += [(0, indicator(1.0), beta), (1, largest_tail(beta), beta), (2, indicator(min(p, 1.0)), beta)]
        out.append((3, even_moments(high), high))
    return tuple(out)


def check_sharp_equivalence(claim: Equivalence, scale: Scale, seed: int) -> Evidence:
    """Each factor is attained: the largest distance from 1 of the four quotients at the laws made for them."""
    cases = _extremes(scale, seed)
    worst = max(abs(equivalence_ratios(law, beta, claim)[which] - 1) for which, law, beta in cases)
    source = "accuracy of the best constants, 1e-11 each, twice"
    return Evidence(worst, 2 * ACCURACY, source, "numerical", len(cases), seed)


def _best_y(r: float) -> float:
    """Where y^r / (e^y - 1) is largest, r > 1; 0 for r <= 1, where it falls from the start."""
    return brentq(lambda y: y / -math.expm1(-y) - r, 1e-12, r + 1.0) if r > 1 else 0.0


# --- Proposition 4 ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Closure:
    """||XY|| <= product ||X|| ||Y|| at the index ``index(beta1, beta2)``; ||X + Y|| <= total(beta) (||X|| + ||Y||)."""

    index: Callable[[float, float], float] = field(default=lambda b1, b2: 1 / (1 / b1 + 1 / b2))
    total: Callable[[float], float] = field(default=lambda beta: max(1.0, 2 ** (1 / beta - 1)))
    product: float = 1.0


def check_proposition_4(claim: Closure, scale: Scale, seed: int) -> Evidence:
    """Random dependent pairs on eight points, and the pairs that attain the bounds or come near.

    Finite laws, so norms of products and sums are exact. Tightness is the largest quotient for sums below exponent 1;
    the quotient for products is 1, at X = Y.
    """
    rng, worst, sums = np.random.default_rng(seed), 0.0, 0.0
    cases = scale.pick(40, 400, 4000)
    for i in range(cases):
        p = rng.dirichlet(np.full(8, 0.5))
        x, y = rng.standard_normal((2, 8)) * np.exp(rng.uniform(-2, 2, (2, 8)))
        b1, b2 = np.exp(rng.uniform(math.log(0.25), math.log(3.0), 2))
        if i % 4 == 0:  # equality in Hoelder's inequality
            y = np.abs(x) ** (b1 / b2)
        allowed = claim.product * sample_norm(x, b1, p) * sample_norm(y, b2, p)
        worst = max(worst, sample_norm(x * y, claim.index(b1, b2), p) / allowed)
        if i % 4 == 1:  # disjoint supports, where sums are largest below exponent 1
            x[:4], y[4:] = 0.0, 0.0
        ratio = sample_norm(x + y, b1, p) / (sample_norm(x, b1, p) + sample_norm(y, b1, p))
        worst, sums = max(worst, ratio / claim.total(b1)), max(sums, ratio / claim.total(b1) if b1 < 1 else 0.0)
    # Continuous laws, one of them the product that Appendix A.3 needs, and the square of a Gaussian.
    worst = max(
        worst,
        norm(gaussian_product(), claim.index(2, 2)) / (claim.product * norm(gaussian(), 2) ** 2),
        norm(chi_square(1), claim.index(2, 2)) / (claim.product * norm(gaussian(), 2) ** 2),
    )
    for beta in (0.3, 0.5, 0.9):  # two disjoint indicators of probability one half
        ratio = two_indicators(beta)
        worst, sums = max(worst, ratio / claim.total(beta)), max(sums, ratio / claim.total(beta))
    source = "rounding and root finding, 1e-12"
    return Evidence(worst, 1 + 1e-12, source, "numerical", cases, seed, tightness=sums, numbers={"sums": sums})


def two_indicators(beta: float) -> float:
    """||X + Y|| / (||X|| + ||Y||) for the indicators of an event of probability one half and of its complement."""
    return disjoint_indicators(beta, 2)


def disjoint_indicators(beta: float, n: int) -> float:
    """||X_1 + ... + X_n|| / (||X_1|| + ... + ||X_n||) for the indicators of n disjoint events of probability 1/n."""
    each = sample_norm([1.0, 0.0], beta, [1 / n, 1 - 1 / n])
    return sample_norm([1.0], beta) / (n * each)


def covering_events(beta: float) -> float:
    """The quotient of `disjoint_indicators` for events that cover each point equally often, of the best probability.

    Attained in the limit of many events; no smaller constant than this can serve sums of any length.
    """
    y = max(math.log(2), _best_y(1 / beta))
    return (y / math.log(2)) ** (1 / beta) / math.expm1(y)


def two_values(beta: float) -> float:
    """K2 / K3 of the variable with two values, one of them zero, that makes it largest."""
    law = indicator(min(1.0, 1 / math.expm1(max(math.log(2), _best_y(1 / beta)))))
    return moment_constant(law, beta) / norm(law, beta)


def sharp_up_to() -> float:
    """The largest exponent up to which the constant for sums of any length is attained, to two digits."""
    betas = np.arange(0.3, 0.7, 0.01)
    return float(max(b for b in betas if sum_constant(float(b)) <= covering_events(float(b)) * (1 + 1e-9)))


def largest_sum_gap() -> float:
    """The largest quotient, over exponents below 1, of the constant for sums of any length and an attained value."""
    return max(sum_constant(float(b)) / covering_events(float(b)) for b in np.arange(0.1, 1.0, 0.01))


SumConstant = Callable[[float], float]


def check_many_summands(formula: SumConstant, scale: Scale, seed: int) -> Evidence:
    """Sums of 2 to 64 summands, random and as made for the purpose, against a constant that knows beta only."""
    rng, worst, cases = np.random.default_rng(seed), 0.0, 0
    closest = 0.0
    for _ in range(scale.pick(20, 100, 2000)):
        n, beta = int(rng.integers(2, 65)), float(rng.uniform(0.2, 0.99))
        p = rng.dirichlet(np.full(16, 1.0))
        X = rng.exponential(size=(n, 16)) ** float(rng.uniform(0.5, 4.0)) * (rng.random((n, 16)) < rng.uniform(0.05, 1))
        X = X[X.any(axis=1)]
        if len(X):
            worst = max(worst, sample_norm(X.sum(0), beta, p) / sum(sample_norm(x, beta, p) for x in X) / formula(beta))
            cases += 1
    for beta in (0.25, 0.35, 0.5):
        ratio = covering_events(beta)
        closest = max(closest, abs(ratio / formula(beta) - 1))
        worst = max(worst, ratio / formula(beta))
        cases += 1
    statistic = max(worst - 1, closest)
    source = "rounding and root finding, 1e-12, in domination and in the distance of the worst case from the bound"
    return Evidence(statistic, 1e-12, source, "numerical", cases, seed, tightness=min(1.0, worst))


# --- Proposition 5 ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SumCase:
    """|sum b_i (X_i - E X_i)| exceeds ``quantile`` with probability delta; ``b_2`` and ``b_inf`` are the norms of b.

    ``log_term`` is log(2/delta). For a sum of whole numbers ``quantile`` is the smallest one that is exceeded with
    probability at most delta.
    """

    name: str
    b_2: float
    b_inf: float
    beta: float
    K: float
    log_term: float
    quantile: float


#: What a bound allows in a case.
Bound = Callable[[SumCase], float]


def _weibull_alone(beta: float, log_term: float) -> SumCase:
    """One symmetric Weibull variable: the quantile is log(1/delta)^(1/beta), at any delta, however small."""
    quantile = (log_term - math.log(2)) ** (1 / beta)
    return SumCase("one Weibull variable", 1.0, 1.0, beta, 2 ** (1 / beta), log_term, quantile)


def _gamma_sum(n: int, log_term: float) -> SumCase:
    """n exponential variables with equal weights: the sum has a gamma law."""
    delta = 2 * math.exp(-log_term)

    def excess(log_x: float) -> float:
        x = math.exp(log_x)
        below = gammainc(n, n - x) if x < n else 0.0
        return float(gammaincc(n, n + x) + below) - delta

    high = math.log(10 * math.sqrt(n) * log_term + 10 * log_term)
    quantile = math.exp(brentq(excess, -60.0, high, xtol=1e-10))
    return SumCase(f"{n} exponentials", math.sqrt(n), 1.0, 1.0, 2.0, log_term, quantile)


def _weighted_sum(n: int, log_term: float) -> SumCase:
    """Exponential variables with weights 1, 1/2, 1/4, ...: the tail is a sum of exponentials (partial fractions)."""
    b, delta = 0.5 ** np.arange(n), 2 * math.exp(-log_term)
    apart = b[:, None] / (b[:, None] - b[None, :] + np.eye(n))
    np.fill_diagonal(apart, 1.0)
    share = apart.prod(axis=1)
    mean = b.sum()

    def excess(x: float) -> float:
        below = 1 - share @ np.exp(-(mean - x) / b) if x < mean else 0.0
        return float(share @ np.exp(-(mean + x) / b) + below) - delta

    quantile = brentq(excess, 0.0, 10 * log_term + 10, xtol=1e-10)
    return SumCase(f"{n} weighted exponentials", float(np.linalg.norm(b)), 1.0, 1.0, 2.0, log_term, quantile)


def _sign_sum(n: int, log_term: float) -> SumCase:
    """n random signs: a binomial law. The quantile is the smallest x with P(|S| > x) <= delta."""
    delta = 2 * math.exp(-log_term)
    sizes = np.arange(n % 2, n + 1, 2)
    beyond = np.array([2 * bdtr((n - x) / 2 - 1, n, 0.5) if x < n else 0.0 for x in sizes])
    quantile = float(sizes[np.argmax(beyond <= delta)])
    return SumCase(f"{n} random signs", math.sqrt(n), 1.0, 1.0, 1 / math.log(2), log_term, quantile)


def _two_sided(characteristic: Array, length: int) -> tuple[Array, Array]:
    """0, 1, ... and P(|S| > value) of a symmetric whole number, from its characteristic function at 2 pi j / length."""
    law = np.fft.irfft(characteristic, length)
    half = length // 2
    sizes = law[:half] + np.append(0.0, law[:half:-1])
    return np.arange(half), np.append(np.cumsum(sizes[::-1])[::-1][1:], 0.0)


@lru_cache(maxsize=8)
def _lattice(beta: float, n: int, top: int) -> tuple[float, Array, Array]:
    """K, the values 0, 1, ... and P(|S| > value) for n symmetric variables on whole numbers.

    P(|X| >= k) = exp(-k^beta) for k <= top, then zero. The law of the sum is the n-th power of a Fourier transform,
    exact to rounding.
    """
    k = np.arange(top + 1)
    size = np.exp(-(k.astype(float) ** beta)) - np.append(np.exp(-(k[1:].astype(float) ** beta)), 0.0)
    K = sample_norm(k, beta, size)
    length = 1 << (2 * n * top + 1).bit_length()
    one = np.zeros(length)
    one[: top + 1] += size / 2
    one[-k] += size / 2
    return K, *_two_sided(np.fft.rfft(one).real ** n, length)


def _lattice_sum(beta: float, n: int, log_term: float) -> SumCase:
    K, values, beyond = _lattice(beta, n, top=600)
    quantile = float(values[np.argmax(beyond <= 2 * math.exp(-log_term))])
    return SumCase(f"{n} lattice variables", math.sqrt(n), 1.0, beta, K, log_term, quantile)


@lru_cache(maxsize=8)
def _rare(beta: float, n: int) -> tuple[float, Array, Array]:
    """As `_lattice`, for variables with the values 0 and +-1 and the largest variance for their norm, n very many."""
    p = 1 / math.expm1(_best_y(2 / beta))
    K = sample_norm([1.0, 0.0], beta, [p, 1 - p])
    length = 1 << int(40 * math.sqrt(n * p)).bit_length()  # 20 standard deviations on each side
    t = 2 * np.pi * np.arange(length // 2 + 1) / length
    return K, *_two_sided(np.exp(n * np.log1p(-2 * p * np.sin(t / 2) ** 2)), length)


def _rare_sum(beta: float, n: int, log_term: float) -> SumCase:
    K, values, beyond = _rare(beta, n)
    quantile = float(values[np.argmax(beyond <= 2 * math.exp(-log_term))])
    return SumCase(f"{n:.0e} rare signs", math.sqrt(n), 1.0, beta, K, log_term, quantile)


def sum_cases(scale: Scale) -> Iterator[SumCase]:
    """Sums whose law is known exactly, from delta close to 1 to delta far below any sample's reach."""
    ordinary = [math.log(2 / delta) for delta in (0.999, 0.9, 0.5, 0.1, 1e-2, 1e-4, 1e-8)]
    for beta in (0.3, 0.5, 0.75, 1.0):
        yield from (_weibull_alone(beta, L) for L in (*ordinary, 1e2, 1e4, 1e8))
    for n in scale.pick((1, 16, 10**6), (1, 4, 16, 256, 4096, 10**6), (1, 4, 16, 64, 256, 1024, 4096, 10**6)):
        yield from (_gamma_sum(n, L) for L in ordinary)
    yield from (_weighted_sum(10, L) for L in ordinary)
    for n in (1, 2, 25):
        yield from (_sign_sum(n, L) for L in (math.log(2) + 1e-9, *ordinary))
    for beta, n in scale.pick(((0.5, 16),), ((0.5, 16), (0.5, 64), (0.7, 64)), ((0.5, 16), (0.5, 256), (0.7, 256))):
        yield from (_lattice_sum(beta, n, L) for L in ordinary)
    for beta in (0.3, 0.5, 0.75, 1.0):
        yield from (_rare_sum(beta, 10**8, L) for L in ordinary)


def check_proposition_5(bound: Bound, scale: Scale, seed: int) -> Evidence:
    """Exact quantiles of sums over the bound, the largest quotient over all cases; nothing is sampled."""
    ratios: dict[str, float] = {}
    for case in sum_cases(scale):
        allowed = bound(case)
        name = f"{case.name}, beta {case.beta:g}"
        ratios[name] = max(ratios.get(name, 0.0), case.quantile / allowed if allowed > 0 else math.inf)
    worst = max(ratios.values())
    source = "the exact quantile may not exceed the bound; root finding 1e-9"
    return Evidence(worst, 1 + 1e-9, source, "numerical", len(ratios), None, tightness=worst, numbers=ratios)


def as_bound(
    first: Callable[[SumCase, float], float] = lambda case, L: case.b_2 * math.sqrt(L),
    second: Callable[[SumCase, float], float] = lambda case, L: case.b_inf * L ** (1 / case.beta),
    shift: float = 0.0,
) -> Bound:
    """C_beta K (first + second) with L = log(2/delta) - shift; as it stands the bound of Proposition 5.

    It takes L and not delta, which is below the floating-point range in some cases.
    """

    def bound(case: SumCase) -> float:
        L = case.log_term - shift
        return deviation_constant(case.beta) * case.K * (first(case, L) + second(case, L))

    return bound


def tightest(scale: Scale) -> dict[float, float]:
    """For each exponent the largest quotient of truth and bound over the cases of the check."""
    out: dict[float, float] = {}
    for case in sum_cases(scale):
        out[case.beta] = max(out.get(case.beta, 0.0), case.quantile / as_bound()(case))
    return dict(sorted(out.items()))


# --- For the chapter -------------------------------------------------------------------------------------------------


def norm_curves(points: int) -> list[tuple[str, float, Array, Array]]:
    """(name, index, betas, norms) of five laws, beta from 0.2 to the index, beyond which the norm is infinite."""
    out = []
    for law in (gaussian(), exponential(), chi_square(3, centred=True), gaussian_product(), weibull(0.5)):
        betas = np.append(np.arange(0.2, law.index - 1e-9, 1.8 / points), law.index)
        out.append((law.name, law.index, betas, np.array([norm(law, float(beta)) for beta in betas])))
    return out


def deviation_curves(n: int, beta: float, points: int) -> dict[str, tuple[Array, Array, Array]]:
    """Exact quantiles of two sums of n and the bound, against log(2/delta): exponentials, and lattice variables."""
    log_terms = np.linspace(2 * math.log(2), math.log(2) + 10 * math.log(10), points)  # delta from 1/2 to 1e-10
    out = {}
    for name, make in (
        (f"{n} exponentials, β = 1", _gamma_sum),
        (f"{n} lattice variables, β = {beta:g}", lambda n, L: _lattice_sum(beta, n, L)),
    ):
        cases = [make(n, float(L)) for L in log_terms]
        bounds = [deviation_bound(np.ones(n), c.beta, 2 * math.exp(-c.log_term), c.K) for c in cases]
        out[name] = log_terms, np.array([c.quantile for c in cases]), np.array(bounds)
    return out


@dataclass(frozen=True)
class Coverage:
    """How often the interval of `estimate_norm` held the norm, and how often it had two ends."""

    name: str
    beta: float
    norm: float
    held: float
    two_sided: float


def coverage(n: int, repeats: int, seed: int, level: float = 0.95) -> list[Coverage]:
    """Coverage of the interval for n samples; laws with and without a central limit theorem, and one made to fool it.

    The last law is a Gaussian with rare large values, one in 10 n draws: nine samples of ten do not show any.
    """
    rng, large = np.random.default_rng(seed), 4 * math.log(10 * n)

    def rare(size: int) -> Array:
        return rng.standard_normal(size) * np.where(rng.random(size) < 0.1 / n, large, 1.0)

    tail = gaussian().log_tail
    mixture = Law(
        "Gaussian with rare large values",
        lambda x: np.logaddexp(math.log1p(-0.1 / n) + tail(x), math.log(0.1 / n) + tail(x / large)),
        2.0,
        large * math.sqrt(2),
    )
    cases: list[tuple[Law, float, Callable[[int], Array]]] = [
        (gaussian(), 1.0, rng.standard_normal),
        (exponential(), 0.5, rng.standard_exponential),
        (chi_square(10), 1.0, lambda size: rng.chisquare(10, size)),
        (gaussian(), 2.0, rng.standard_normal),
        (exponential(), 1.0, rng.standard_exponential),
        (gaussian_product(), 1.0, lambda size: rng.standard_normal(size) * rng.standard_normal(size)),
        (mixture, 1.0, rare),
    ]
    out = []
    for law, beta, draw in cases:
        true = norm(law, beta)
        found = [estimate_norm(draw(n), beta, level) for _ in range(repeats)]
        held = float(np.mean([e.low <= true <= e.high for e in found]))
        out.append(Coverage(law.name, beta, true, held, float(np.mean([e.normal for e in found]))))
    return out


CHECKS: dict[str, Check] = {
    "definition-1": Check(
        check_definition_1,
        claimed=norm,
        wrong={
            "a millionth too large": lambda law, beta: 1.000001 * norm(law, beta),
            "a millionth too small": lambda law, beta: norm(law, beta) / 1.000001,
            "the power on eta left out": lambda law, beta: norm(law, beta) ** beta,
            "the inverse convention for the index": lambda law, beta: norm(law, 1 / beta),
            "finite at every index": lambda law, beta: norm(law, min(beta, law.index)),
        },
    ),
    "proposition-3": Check(
        check_proposition_3,
        claimed=Equivalence(),
        wrong={
            "moments that grow like p^(1/beta) replaced by p^(1/(1.1 beta))": Equivalence(moment_index=1.1),
            "tails with index 1.1 beta": Equivalence(tail_index=1.1),
            "K1 <= 0.99 K3": Equivalence(tail=lambda beta: 0.99),
            "the factor for exponent 1 at every exponent": Equivalence(moment=lambda beta: math.log(2)),
            "one absolute factor 1 for all": Equivalence(
                norm=lambda beta: 1.0, moment=lambda beta: 1.0, back=lambda beta: 1.0
            ),
        },
    ),
    "beyond-sharp-equivalence": Check(
        check_sharp_equivalence,
        claimed=Equivalence(),
        wrong={
            "three for the number near 2.79": Equivalence(norm=lambda beta: 3 ** (1 / beta)),
            "without the power 1/beta": Equivalence(norm=lambda beta: tail_to_norm(1.0)),
            "the first moment of a constant at every exponent": Equivalence(
                moment=lambda beta: math.log(2) ** (1 / beta)
            ),
            "without the factor beta": Equivalence(back=lambda beta: (2 * math.sqrt(math.e)) ** (1 / beta)),
            "e instead of its square root": Equivalence(back=lambda beta: (2 * beta * math.e) ** (1 / beta)),
        },
    ),
    "proposition-4": Check(
        check_proposition_4,
        claimed=Closure(),
        wrong={
            "triangle inequality at every exponent": Closure(total=lambda beta: 1.0),
            "the constant one per cent too small for products": Closure(product=0.99),
            "the index of a product ten per cent too high": Closure(index=lambda b1, b2: 1.1 / (1 / b1 + 1 / b2)),
            "the smaller index for a product": Closure(index=min),
            "a constant for sums above 1 only below exponent 1/2": Closure(
                total=lambda beta: 2 ** (0.5 / beta - 1) if beta < 0.5 else 1.0
            ),
        },
    ),
    "beyond-many-summands": Check(
        check_many_summands,
        claimed=sum_constant,
        wrong={
            "triangle inequality": lambda beta: 1.0,
            "the two-term value of the two indicators": two_indicators,
            "one per cent too small": lambda beta: 0.99 * sum_constant(beta),
            "one per cent too large": lambda beta: 1.01 * sum_constant(beta),
            "the constant of the moment form": lambda beta: moment_to_norm(beta) * norm_to_moment(beta),
        },
    ),
    "proposition-5": Check(
        check_proposition_5,
        claimed=as_bound(),
        wrong={
            "log(1/delta) for delta near 1": as_bound(shift=math.log(2)),
            "no second term": as_bound(second=lambda case, L: 0.0),
            "no first term": as_bound(first=lambda case, L: 0.0),
            "Bernstein's log to the power 1 at every exponent": as_bound(second=lambda case, L: case.b_inf * L),
            "log to the power 1/beta - 1/4": as_bound(second=lambda case, L: case.b_inf * L ** (1 / case.beta - 0.25)),
            "the largest weight for the norm of all": as_bound(first=lambda case, L: case.b_inf * math.sqrt(L)),
        },
    ),
}
