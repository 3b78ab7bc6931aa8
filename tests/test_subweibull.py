"""Sub-Weibull laws: closed forms, other integrators, best constants, closure, an explicit tail bound, intervals."""

import itertools
import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import binom
from scipy.stats import norm as normal

from featnorm import subweibull
from featnorm.claims import subweibull as claims
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
    lower_index,
    moment,
    moment_constant,
    moment_to_norm,
    norm,
    norm_to_moment,
    product_index,
    sample_norm,
    sum_constant,
    tail_constant,
    tail_to_norm,
    weibull,
)

LAWS = [gaussian(), exponential(), chi_square(1), chi_square(5), chi_square(1, True), chi_square(5, True),
        gaussian_product(), weibull(0.4), weibull(3.0), indicator(0.2), indicator(1.0)]  # fmt: skip
INDICES = st.floats(0.2, 3.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def exact(value):
    return pytest.approx(value, rel=ACCURACY)


# --- Norms against closed forms --------------------------------------------------------------------------------------


def test_gaussian_norms():
    assert norm(gaussian(3.0), 2) == exact(3 * math.sqrt(8 / 3))
    # E exp(|g| / eta) = 2 exp(1 / (2 eta^2)) Phi(1 / eta)
    at_one = brentq(lambda eta: 2 * math.exp(0.5 / eta**2) * normal.cdf(1 / eta) - 2, 0.5, 5.0, xtol=1e-14)
    assert norm(gaussian(), 1) == exact(at_one)


@pytest.mark.parametrize("shape", [0.2, 0.5, 1.0, 1.7, 4.0])
def test_weibull_norm_at_its_index(shape):
    assert norm(weibull(shape, 0.3), shape) == exact(0.3 * 2 ** (1 / shape))


@pytest.mark.parametrize("k", [1, 2, 7, 100, 10_000])
def test_chi_square_norms_at_one(k):
    # E exp(Q / eta) = (1 - 2 / eta)^(-k/2); for the centred one by incomplete gamma functions, in logarithms
    assert norm(chi_square(k), 1) == exact(2 / -math.expm1(-2 * math.log(2) / k))

    def excess(eta):
        q = 2 / eta
        upper = math.exp(-k / 2 * math.log1p(-q) - k / eta) * special.gammaincc(k / 2, k * (1 - q) / 2)
        lower = math.exp(-k / 2 * math.log1p(q) + k / eta) * special.gammainc(k / 2, k * (1 + q) / 2)
        return upper + lower - 2

    assert norm(chi_square(k, centred=True), 1) == exact(
        brentq(excess, max(2.05, 1.2 * math.sqrt(k)), 9 * math.sqrt(k), xtol=1e-13)
    )


def test_the_norm_of_a_product_of_gaussians_at_one():
    # (2 / pi) int K_0(x) exp(q x) dx = (2 / pi) arccos(-q) / sqrt(1 - q^2)
    q = brentq(lambda q: 2 / math.pi * math.acos(-q) / math.sqrt(1 - q * q) - 2, 0.1, 0.99, xtol=1e-15)
    assert norm(gaussian_product(), 1) == exact(1 / q)


@pytest.mark.parametrize("beta", [0.2, 0.7, 1.0, 2.0])
def test_the_norm_of_a_square_is_the_square_of_the_norm(beta):
    assert norm(chi_square(1), beta / 2) == exact(norm(gaussian(), beta) ** 2)


@pytest.mark.parametrize("probability", [1e-6, 0.2, 1.0])
@pytest.mark.parametrize("beta", [0.02, 0.2, 1.0, 5.0])  # the smaller, the nearer to zero the integrand begins
def test_indicators_have_a_closed_form(probability, beta):
    assert norm(indicator(probability, 2.5), beta) == exact(2.5 * math.log1p(1 / probability) ** (-1 / beta))
    assert moment(indicator(probability, 2.5), 3.0) == exact(2.5 * probability ** (1 / 3))


@pytest.mark.parametrize("low", [0.1, 0.6, 0.9])
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_a_law_on_two_values_has_closed_forms(low, beta):
    """|X| = 2 with probability 1/100, 2 low with 1/2, else 0: the sample with these weights, and sums over it."""
    values, p = np.array([2.0 * low, 2.0]), np.array([0.5, 0.01])
    beyond = np.log([0.51, 0.01])  # log P(|X| >= x) up to the first value, and up to the second
    law = Law("two values", lambda x: np.select([x <= values[0], x <= 2.0], beyond, -np.inf), math.inf, 2.0, (*values,))
    assert norm(law, beta) == exact(sample_norm([0.0, *values], beta, [0.49, *p]))
    assert moment(law, 3.0) == exact(float(p @ values**3) ** (1 / 3))
    assert tail_constant(law, beta) == exact(max(values / (math.log(2) - beyond) ** (1 / beta)))


@pytest.mark.parametrize("breaks", [(0.7,), (0.3, 1.9), (0.1, 1.0, 3.0)])
def test_where_the_integral_is_cut_does_not_matter(breaks):
    law = gaussian()
    assert norm(replace(law, breaks=breaks), 1) == exact(norm(law, 1))
    assert moment(replace(law, breaks=breaks), 3.0) == exact(moment(law, 3.0))


@settings(max_examples=30, deadline=None)
@given(INDICES, st.floats(1e-3, 1e3), INDICES)
def test_norms_are_homogeneous(shape, scale, beta):
    one, scaled = norm(weibull(shape), beta), norm(weibull(shape, scale), beta)
    assert scaled == (exact(scale * one) if beta <= shape else math.inf)


@pytest.mark.parametrize(
    "law, beta", [(gaussian(), 2.0001), (exponential(), 2), (chi_square(3), 1.01), (gaussian_product(), 1.5)]
)
def test_beyond_the_index_everything_is_infinite(law, beta):
    assert norm(law, beta) == tail_constant(law, beta) == moment_constant(law, beta) == math.inf


# --- The integral ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [0.0, 1e-8, 0.3, 1.0, 30.0, 690.0])
def test_the_tail_of_a_product_of_gaussians_against_mpmath(x):
    with mpmath.workdps(25):
        cuts = mpmath.linspace(0, 45 / mpmath.sqrt(max(x, 1)), 31)
        bickley = mpmath.quad(lambda t: mpmath.exp(-x * (mpmath.cosh(t) - 1)) / mpmath.cosh(t), cuts)
        true = mpmath.log(2 / mpmath.pi * bickley) - x
    found = gaussian_product().log_tail(np.array([x]))[0]
    assert found == pytest.approx(float(true), abs=1e-14 * max(1.0, x))


@pytest.mark.parametrize("p", [0.3, 1.0, 2.5, 40.0])
def test_moments_against_closed_forms(p):
    half = math.log(2) / 2 + (special.gammaln((p + 1) / 2) - special.gammaln(0.5)) / p
    assert moment(gaussian(), p) == exact(math.exp(half))
    assert moment(gaussian_product(), p) == exact(math.exp(2 * half))
    assert moment(weibull(0.4), p) == exact(math.exp(special.gammaln(1 + p / 0.4) / p))
    assert moment(chi_square(5), p) == exact(2 * math.exp((special.gammaln(2.5 + p) - special.gammaln(2.5)) / p))
    assert moment(chi_square(5, centred=True), 2.0) == exact(math.sqrt(10))


def test_the_quadrature_converges_faster_than_any_power(monkeypatch):
    true, errors = math.sqrt(8 / 3), []
    for nodes in (24, 48, 96):
        monkeypatch.setattr(subweibull, "_settled", lambda value, nodes=nodes: value(nodes))
        errors.append(abs(norm(gaussian(), 2) / true - 1))
    rates = -np.diff(np.log(errors)) / math.log(2)
    assert errors[-1] < 1e-10 and rates[1] > rates[0] + 2 > 6  # the order grows with the number of nodes


def test_a_tail_with_a_jump_that_was_not_announced_is_refused():
    jump = Law("jump", lambda x: np.where(x < 1.0, 0.0, -1.0 - x), 1.0, 1.0)
    with pytest.raises(ValueError, match="its tail is not smooth enough"):
        norm(jump, 0.7)


# --- Proposition 3 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("share", [0.4, 1.0])
def test_best_constants_hold_and_are_nearly_attained(law, share):
    beta = share * min(law.index, 2.0)
    K1, K2, K3 = tail_constant(law, beta), moment_constant(law, beta), norm(law, beta)
    x = np.geomspace(1e-4, 40.0, 20_000) ** (1 / min(law.index, 2.0)) * K1
    gap = math.log(2) - (x / K1) ** beta - law.log_tail(x)
    assert gap.min() > -1e-9
    orders = np.geomspace(1.0, 60.0, 200)
    moments = np.array([moment(law, float(p)) for p in orders[::20]])
    assert (moments <= K2 * orders[::20] ** (1 / beta) * (1 + 1e-10)).all()
    # a constant one per cent smaller fails, at some x up to 1e8 or some order
    far = np.geomspace(1e-4, 1e8, 20_000)
    deep = law.log_tail(far) > -700
    assert (math.log(2) - (far / (0.99 * K1)) ** beta < law.log_tail(far))[deep].any() or beta == law.index
    assert K1 <= K3 * (1 + 1e-12) and K3 <= tail_to_norm(beta) * K1 * (1 + 1e-12)
    assert K2 <= norm_to_moment(beta) * K3 * (1 + 1e-12) and K3 <= moment_to_norm(beta) * K2 * (1 + 1e-12)


def test_factors_against_brute_force():
    q = tail_to_norm(1.0)
    assert 2 ** (1 / q) * q == pytest.approx(2 * (q - 1), rel=1e-13)
    y = np.linspace(math.log(2), 20.0, 200_000)
    for beta in (0.2, 0.6, 0.8, 1.0, 3.0):
        assert norm_to_moment(beta) == pytest.approx((y ** (1 / beta) / np.expm1(y)).max(), rel=1e-8)
        z = moment_to_norm(beta) ** -beta
        total = (
            mpmath.nsum(
                lambda k, z=z, beta=beta: (mpmath.mpf(z) * max(1, beta * k)) ** k / mpmath.factorial(k) if k else 0,
                [1, mpmath.inf],
            )
            if beta >= 1
            else sum((z * max(1.0, beta * k)) ** k / math.factorial(k) for k in range(1, 120))
        )
        assert float(total) == pytest.approx(1.0, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), INDICES, st.floats(1.0, 30.0))
def test_no_finite_law_has_larger_moments_than_the_factor_allows(seed, beta, p):
    generator = rng(seed)
    weights, x = generator.dirichlet(np.full(6, 0.4)), generator.exponential(size=6) ** 3
    K2 = float(np.sum(weights * x**p)) ** (1 / p) * p ** (-1 / beta)
    assert K2 <= norm_to_moment(beta) * sample_norm(x, beta, weights) * (1 + 1e-12)


def test_the_law_with_even_moments_has_them():
    for beta in (0.5, 1.0, 2.0):
        law = claims.even_moments(beta)
        for p in (0.5, 1.0, 7.0):
            assert moment(law, p) == exact((p / beta) ** (1 / beta))


# --- Proposition 4 ---------------------------------------------------------------------------------------------------


def test_indices_of_products():
    assert product_index(2, 2) == 1 and product_index(2, 2, 2, 2) == 0.5
    assert product_index(1, 2) == pytest.approx(2 / 3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 3.0), st.floats(0.05, 1.0))
def test_passing_to_a_smaller_index_costs_at_most_its_factor(seed, beta, share):
    generator = rng(seed)
    weights, x = generator.dirichlet(np.full(5, 0.5)), generator.standard_normal(5)
    c = lower_index(beta, to=share * beta)
    assert sample_norm(x, share * beta, weights) <= c * sample_norm(x, beta, weights) * (1 + 1e-12)
    assert sample_norm([1.0], share * beta) == pytest.approx(c * sample_norm([1.0], beta))  # attained


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 1.5), st.integers(2, 20))
def test_sums_obey_the_constant_of_their_length(seed, beta, n):
    generator = rng(seed)
    weights = generator.dirichlet(np.full(8, 0.7))
    X = generator.exponential(size=(n, 8)) ** 2 * (generator.random((n, 8)) < 0.5) + 1e-3
    whole, parts = sample_norm(X.sum(0), beta, weights), [sample_norm(x, beta, weights) for x in X]
    assert whole <= sum_constant(beta, n) * sum(parts) * (1 + 1e-12)
    if beta < 1:  # what the two-term constant comes from
        assert whole**beta <= sum(part**beta for part in parts) * (1 + 1e-12)


@pytest.mark.parametrize("beta", [0.2, 0.4, 0.5, 0.6, 0.72, 0.8, 0.95])
def test_the_constant_for_many_summands_meets_its_condition(beta):
    """phi(x / c) <= 1 + m (phi~(x) - 1) on a grid of its own: some m fits, none for a c 0.1 per cent smaller."""

    def slopes(c):
        # phi~ as a lower hull of phi, without knowing where it touches
        r = 1 / beta
        y = np.concatenate([[0.0], np.geomspace(1e-4, 30.0, 6000)])
        touch = y[1 + np.argmin(np.expm1(y[1:]) / y[1:] ** r)]
        line = np.expm1(touch) / touch**r
        hull = np.where(y < touch, line * y**r, np.expm1(y))
        h = np.expm1(y / c**beta)
        low, high = hull < 1 - 1e-9, hull > 1 + 1e-9
        return ((h[high] - 1) / (hull[high] - 1)).max(), ((1 - h[low]) / (1 - hull[low])).min()

    c = sum_constant(beta)
    asked, allowed = slopes(c)
    assert asked <= allowed + 1e-3
    asked, allowed = slopes(0.999 * c)
    assert asked > allowed
    assert claims.covering_events(beta) <= c * (1 + 1e-12)


def test_the_constant_for_many_summands_is_below_the_others_and_ends_at_one():
    for beta in (0.1, 0.3, 0.5, 0.7, 0.9):
        assert 1 <= sum_constant(beta) <= moment_to_norm(beta) * norm_to_moment(beta)
        assert sum_constant(beta, 2) <= 2 ** (1 / beta - 1)
        assert claims.two_indicators(beta) <= sum_constant(beta, 2)
    assert sum_constant(0.999) == pytest.approx(1.0, abs=1e-5)
    assert sum_constant(0.5) == pytest.approx(norm_to_moment(0.5) / math.log(2) ** 2, rel=1e-12)


# --- Proposition 5 ---------------------------------------------------------------------------------------------------


def test_the_bound_of_the_check_is_that_of_the_library():
    b = np.array([1.0, -0.5, 2.0])
    for beta, delta in ((0.4, 0.9), (1.0, 1e-6)):
        case = claims.SumCase("", float(np.linalg.norm(b)), 2.0, beta, 3.0, math.log(2 / delta), 0.0)
        assert claims.as_bound()(case) == pytest.approx(deviation_bound(b, beta, delta, 3.0))


@pytest.mark.parametrize("beta", [0.25, 0.5, 0.75, 1.0])
def test_the_constant_is_as_derived(beta):
    """The derivation again, written plainly: the best theta on a grid, for every delta the best even p."""
    best = subweibull._log_best_moment
    k = np.arange(2, 1500)
    log_m = np.array([best(j / beta) for j in k]) + np.where(k > 2, k * math.log(2), 0.0) - special.gammaln(k + 1)
    L = np.concatenate([np.linspace(math.log(2), 12, 300), np.geomspace(12, 150, 100)])
    smallest = math.inf
    for theta in np.geomspace(0.02, 0.85, 60) * (math.e * beta) ** (1 / beta) / (2 * math.e):
        A = np.exp(log_m + (k - 2) * np.log(theta * k ** (1 - 1 / beta))).sum()
        p = np.arange(2.0, 320.0, 2.0)[:, None]
        first = np.exp((special.gammaln(p + 1) + p / 2 + L - math.log(2)) / p)
        f = first * np.maximum(np.sqrt(2 * A / (p * L)), p ** (1 / beta - 1) / (theta * L ** (1 / beta)))
        chebyshev = np.sqrt(math.exp(best(2 / beta)) * np.exp(L) / (2 * L))
        smallest = min(smallest, float(np.minimum(f.min(axis=0), chebyshev).max()))
    assert deviation_constant(beta) == pytest.approx(smallest, rel=0.03)


def test_even_moments_of_a_sum_obey_the_step_that_carries_the_bound():
    """E (sum of n)^p <= p! z^-p exp(n sum m_k z^k / k!) for symmetric lattice variables, p = 4 and 8, any z."""
    beta, n = 0.5, 6
    K, values, beyond = claims._lattice(beta, n, 60)
    law = np.append(1.0, beyond[:-1]) - beyond
    m = {k: math.exp(subweibull._log_best_moment(k / beta)) * (2**k if k > 2 else 1) * K**k for k in range(2, 9)}
    for p in (4, 8):
        true = float(np.sum(law * values.astype(float) ** p))
        for z in np.geomspace(1e-3, 1e-1, 9) / K:
            log_bound = (
                math.lgamma(p + 1) - p * math.log(z) + n * sum(m[k] * z**k / math.factorial(k) for k in range(2, p + 1))
            )
            assert math.log(true) <= log_bound


def test_exact_sums_agree_with_other_ways_to_compute_them():
    log_term = math.log(2 / 0.05)
    two = claims._gamma_sum(1, log_term).quantile
    # one exponential: P(|X - 1| > x) = exp(-1 - x) + (1 - exp(x - 1)) for x < 1
    tail = math.exp(-1 - two) + max(0.0, 1 - math.exp(two - 1))
    assert tail == pytest.approx(0.05, rel=1e-8)
    weighted = claims._weighted_sum(10, log_term)
    draws = (rng(1).exponential(size=(400_000, 10)) - 1) @ 0.5 ** np.arange(10)
    hits = int(np.sum(np.abs(draws) > weighted.quantile))
    assert 1e-6 < binom.cdf(hits, len(draws), 0.05) < 1 - 1e-6
    *_, beyond = claims._lattice(0.5, 3, 40)
    x = rng(2).integers(0, 2, size=(200_000, 3)) * 2 - 1
    size = np.minimum(np.floor(rng(3).exponential(size=x.shape) ** 2), 40)
    share = np.mean(np.abs((x * size).sum(axis=1)) > 5)
    assert share == pytest.approx(beyond[5], abs=6 * math.sqrt(0.25 / len(x)))


# --- Samples ---------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3).filter(lambda x: abs(x) > 1e-6), min_size=1, max_size=30), INDICES)
def test_sample_norm_solves_its_equation_and_scales(x, beta):
    eta = sample_norm(x, beta)
    assert np.mean(np.exp((np.abs(x) / eta) ** beta)) == pytest.approx(2.0, rel=1e-9)
    assert sample_norm(-3 * np.array(x), beta) == pytest.approx(3 * eta, rel=1e-11)
    assert sample_norm([*x, *x], beta) == pytest.approx(eta, rel=1e-11)


def test_weights_are_repetitions():
    x, repeats = np.array([0.0, 1.0, -2.0, 5.0]), np.array([4, 3, 2, 1])
    assert sample_norm(x, 0.7, repeats / 10) == pytest.approx(sample_norm(np.repeat(x, repeats), 0.7), rel=1e-12)
    assert sample_norm([0.0, 2.0], 1.3, [0.8, 0.2]) == exact(norm(indicator(0.2, 2.0), 1.3))


def test_the_sample_norm_converges_to_the_norm():
    for n, allowed in ((10_000, 0.03), (1_000_000, 0.003)):
        assert sample_norm(rng(n).standard_normal(n), 1.0) == pytest.approx(norm(gaussian(), 1), rel=allowed)


@pytest.mark.parametrize(
    "law, beta, draw, two_ends",
    [
        (gaussian(), 1.0, lambda g, n: g.standard_normal(n), True),
        (exponential(), 0.5, lambda g, n: g.exponential(size=n), True),
        (chi_square(10), 1.0, lambda g, n: g.chisquare(10, n), True),
        (gaussian(), 2.0, lambda g, n: g.standard_normal(n), False),
        (exponential(), 1.0, lambda g, n: g.exponential(size=n), False),
        (gaussian_product(), 1.0, lambda g, n: g.standard_normal(n) * g.standard_normal(n), False),
    ],
)
def test_the_interval_covers(law, beta, draw, two_ends):
    """Level 0.9: with two ends between 0.85 and 0.95, up to chance; where no limit theorem holds never below 0.9."""
    generator, true, repeats = rng(4), norm(law, beta), 300
    found = [estimate_norm(draw(generator, 4000), beta, level=0.9) for _ in range(repeats)]
    held = sum(e.low <= true <= e.high for e in found)
    assert np.mean([e.normal for e in found]) == pytest.approx(float(two_ends), abs=0.1)
    assert binom.cdf(held, repeats, 0.85 if two_ends else 0.9) > 1e-4
    if two_ends:
        assert binom.sf(held, repeats, 0.95) > 1e-4
        wide = np.median([math.log(e.high / e.low) for e in found])
        assert wide < 0.2


def test_the_tail_index_of_the_summand():
    sample = rng(5).standard_normal(200_000)
    e = estimate_norm(sample, 2.0)
    assert e.tail_index == pytest.approx(4 / 3, rel=0.15)
    assert not e.normal and e.high == math.inf and 0 < e.low < norm(gaussian(), 2)
    assert estimate_norm(sample, 1.0).tail_index > 3


def test_the_tail_index_is_hill_s_estimate():
    """Written with the summands themselves: the mean of log(X_(i) / X_(k + 1)) over the k = sqrt(n) largest."""
    sample = rng(7).exponential(size=500)
    e = estimate_norm(sample, 1.0)
    summands = np.sort(np.exp(sample / e.value))
    k = math.isqrt(500)
    assert 1 / e.tail_index == pytest.approx(np.mean(np.log(summands[-k:] / summands[-k - 1])), rel=1e-12)


def test_an_interval_has_two_ends_where_the_index_is_above_two_by_two_standard_errors():
    """Hill's estimate from k summands has the relative standard error 1 / sqrt(k)."""
    found = [estimate_norm(rng(s).exponential(size=n) ** 0.8, 1.0) for s in range(40) for n in (100, 400)]
    errors = [e.tail_index / math.sqrt(k) for e, k in zip(found, itertools.cycle((10, 20)))]
    above = np.array([(e.tail_index - 2) / error for e, error in zip(found, errors)])
    assert ((1.5 < above) & (above < 2)).any() and ((2 < above) & (above < 2.5)).any()
    assert [e.normal for e in found] == (above > 2).tolist()
    assert all(e.normal == math.isfinite(e.high) for e in found)


def test_twenty_samples_are_enough():
    e = estimate_norm(rng(8).random(20), 1.0)
    assert e.low <= e.value <= e.high


def test_the_lower_end_of_few_samples_is_zero_only_where_chance_explains_every_mean():
    """That is where n log(cap) <= log(1 / alpha), with the cap sqrt(n): for n = 20 at alpha = 1e-13."""
    sample = rng(8).standard_normal(20)
    low = [estimate_norm(sample, 2.0, 1 - alpha).low for alpha in (1e-2, 1e-6, 1e-11, 1e-14)]
    assert low[0] > low[1] > low[2] > low[3] == 0.0


@pytest.mark.parametrize("probability", [1.0, 0.3, 0.01])
def test_bounded_samples_with_many_ties(probability):
    x = (rng(6).random(3000) < probability).astype(float)
    e = estimate_norm(x, 1.0)
    assert e.low <= e.value <= e.high
    assert e.low <= norm(indicator(probability), 1.0) * (1 + 1e-12)


def test_a_law_that_fools_every_sample_is_shown_as_such():
    *others, fooled = claims.coverage(2000, 60, seed=3)
    assert fooled.held < 0.5 < min(row.held for row in others)


# --- Checks ----------------------------------------------------------------------------------------------------------


def test_proposition_5_fails_with_log_one_over_delta_whatever_the_constant():
    case = claims._sign_sum(1, math.log(2) + 1e-9)
    assert case.quantile == 1.0
    assert 1e6 * claims.as_bound(shift=math.log(2) + 1e-9 * (1 - 1e-14))(case) < 1.0


def test_rare_signs_follow_the_binomial_law():
    """n signs that are zero but for a share p: given their number N the sum is 2 B - N, B binomial(N, 1/2)."""
    *_, beyond = claims._rare(1.0, 40)
    p = 1 / math.expm1(claims._best_y(2.0))
    N = np.arange(41)
    for x in (0, 3, 9):
        given_N = 2 * binom.cdf(np.ceil((N - x) / 2) - 1, N, 0.5)
        assert beyond[x] == pytest.approx(float(binom.pmf(N, 40, p) @ given_N), abs=1e-13)


def test_the_bound_is_within_a_factor_of_ten_at_every_exponent():
    found = claims.tightest(Scale.SMOKE)
    assert set(found) == {0.3, 0.5, 0.75, 1.0}
    assert all(0.1 < ratio < 1 for ratio in found.values())


def test_the_worst_case_of_the_tail_bound_is_named():
    found = claims.check_proposition_5(claims.as_bound(), Scale.SMOKE, 0)
    assert found.tightness == pytest.approx(max(found.numbers.values()))
    assert 0.1 < found.tightness < 1


# --- Bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan, math.inf, "1", True])
@pytest.mark.parametrize(
    "function",
    [
        lambda beta: norm(gaussian(), beta),
        lambda beta: tail_constant(gaussian(), beta),
        lambda beta: moment_constant(gaussian(), beta),
        tail_to_norm,
        norm_to_moment,
        moment_to_norm,
        sum_constant,
        deviation_constant,
        lambda beta: sample_norm([1.0], beta),
        lambda beta: estimate_norm(np.ones(30), beta),
    ],
)
def test_bad_exponents_are_refused(function, beta):
    with pytest.raises(ValueError, match=r"beta = .*: must be"):
        function(beta)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: sample_norm([], 1.0), "x: has no entries"),
        (lambda: sample_norm([1.0, math.nan], 1.0), "x: has 1 entries that are not finite"),
        (lambda: sample_norm([1.0, math.inf], 1.0), "x: has 1 entries that are not finite"),
        (lambda: sample_norm([[1.0]], 1.0), r"x: has shape \(1, 1\)"),
        (lambda: sample_norm([0.0, 0.0], 1.0), "x: is zero everywhere"),
        (lambda: sample_norm([1.0, 2.0], 1.0, [0.5, 0.6]), "probabilities: must be >= 0 and sum to 1"),
        (lambda: sample_norm([1.0, 2.0], 1.0, [1.5, -0.5]), "probabilities: must be >= 0 and sum to 1"),
        (lambda: sample_norm([1.0, 2.0], 1.0, [1.0]), r"probabilities: has shape \(1,\)"),
        (lambda: estimate_norm([], 1.0), "x: has no entries"),
        (lambda: estimate_norm(np.ones(19), 1.0), "x: has 19 entries, must have at least 20"),
        (lambda: estimate_norm(np.ones(30), 1.0, level=1.0), "level = 1.0: must lie between 0 and 1"),
        (lambda: gaussian(0.0), "sigma = 0.0"),
        (lambda: exponential(-1.0), "mean = -1.0"),
        (lambda: chi_square(2.5), "k = 2.5"),
        (lambda: weibull(0.0), "shape = 0.0"),
        (lambda: indicator(0.0), "probability = 0.0: must be above 0"),
        (lambda: indicator(1.5), "probability = 1.5"),
        (lambda: moment(gaussian(), 0.0), "p = 0.0"),
        (lambda: lower_index(1.0, to=2.0), "to = 2.0: must be at most beta = 1.0"),
        (lambda: sum_constant(0.5, 0), "n = 0"),
        (lambda: sum_constant(0.001), "beta = 0.001: must be at least 0.01"),
        (lambda: lower_index(1.0, to=0.001), "to = 0.001: must be at least 0.01"),
        (lambda: product_index(), "betas: has no entries"),
        (lambda: deviation_constant(1.5), "beta = 1.5: must be at most 1"),
        (lambda: deviation_bound([], 1.0, 0.1), "b: has no entries"),
        (lambda: deviation_bound([1.0], 1.0, 0.0), "delta = 0.0: must be above 0"),
        (lambda: deviation_bound([1.0], 1.0, 1.5), "delta = 1.5: must be a number from 0 to 1"),
        (lambda: deviation_bound([1.0], 1.0, 0.1, K=0.0), "K = 0.0"),
        (lambda: Law("x", np.log, 0.0, 1.0), "index = 0.0"),
        (lambda: Law("x", np.log, 1.0, 1.0, breaks=(2.0, 1.0)), "must be positive and increase"),
        (lambda: Law("x", np.log, math.inf, 1.0), "must end at scale = 1.0"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_norms_against_scipys_integrator():
    """The definition at the norm, from the density of |X|, for laws that the checks do not draw."""
    for law, log_density, beta in (
        (gaussian(), lambda x: 0.5 * math.log(2 / math.pi) - x * x / 2, 1.3),
        (weibull(3.0), lambda x: math.log(3) + 2 * math.log(x) - x**3, 2.9),
        (gaussian_product(), lambda x: math.log(2 / math.pi * special.k0e(x)) - x, 0.3),
    ):
        eta = norm(law, beta)
        value = quad(
            lambda u, eta=eta, beta=beta, log_density=log_density: math.exp(
                log_density(math.exp(u)) + (math.exp(u) / eta) ** beta + u
            ),
            -40.0,
            5.0,
            points=[-5.0, 0.0, 1.5],
            limit=400,
            epsabs=1e-12,
        )[0]
        assert value == pytest.approx(2.0, abs=1e-9)
