"""Laws of quadratic forms against closed forms and other methods; bounds that hold; norms of the first matrices."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from featnorm import claims
from featnorm.concentration import (
    QuadraticForm,
    feature_norm_law,
    hanson_wright,
    linear_deviation,
    matrix_norms,
    quadratic_form,
    relative_sd,
    sample_norms,
    second_moments,
    spectral_edges,
)
from featnorm.scale import Scale
from featnorm.setting import Setting, effective_rank, initialize


def rng(seed=0):
    return np.random.default_rng(seed)


def ruben(weights, x, terms=4000):
    """P(Q > x) for positive weights as a mixture of chi-square tails with Ruben's coefficients: all terms positive."""
    low, m = weights.min(), len(weights)
    rest = 1 - low / weights
    g = np.array([np.sum(rest**k) for k in range(1, terms)])
    a = np.zeros(terms)
    a[0] = np.prod(np.sqrt(low / weights))
    for k in range(1, terms):
        a[k] = np.dot(g[:k][::-1], a[:k]) / (2 * k)
    assert a.sum() == pytest.approx(1.0, abs=1e-12), "more terms are needed"
    return float(a @ special.chdtrc(m + 2 * np.arange(terms), x / low))


def convolved(first, second, x):
    """P(P + R > x) for independent P, R >= 0, from the density of P and the tail of R, by adaptive quadrature."""
    value, _ = integrate.quad(lambda s: first.pdf(s) * second.sf(x - s), 0, x, epsabs=0, epsrel=1e-11, limit=400)
    return value + first.sf(x)


# --- The exact law ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modes", [1, 2, 3, 4, 7, 30, 300])
@pytest.mark.parametrize("factor", [0.2, 0.9, 1.0, 1.2, 3.0, 8.0])
def test_equal_modes_are_chi_square(modes, factor):
    q, x = QuadraticForm(np.full(modes, 0.7)), 0.7 * factor * modes
    assert q.tail(x) == pytest.approx(stats.chi2.sf(x / 0.7, modes), rel=2e-10, abs=1e-300)
    assert q.tail(x, "lower") == pytest.approx(stats.chi2.cdf(x / 0.7, modes), rel=2e-10, abs=1e-300)


@pytest.mark.parametrize("modes", [1, 2, 5, 40])
@pytest.mark.parametrize("shift", [0.1, 4.0, 60.0])
def test_shifted_modes_are_non_central_chi_square(modes, shift):
    q = QuadraticForm(np.ones(modes), np.full(modes, shift / modes))
    for z in (-3.0, -1.0, 0.5, 3.0, 6.0):
        x = q.mean + z * np.sqrt(q.variance)
        if x > 0:
            assert q.tail(x) == pytest.approx(stats.ncx2.sf(x, modes, shift), rel=1e-9)
            assert q.tail(x, "lower") == pytest.approx(stats.ncx2.cdf(x, modes, shift), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_unequal_modes_agree_with_the_series_of_ruben(seed):
    weights = rng(seed).uniform(0.2, 2.0, 12)
    q = QuadraticForm(weights)
    for x in (0.1 * q.mean, 0.7 * q.mean, 2 * q.mean, 5 * q.mean, 12 * q.mean):
        assert q.tail(x) == pytest.approx(ruben(weights, x), rel=1e-9)
    assert q.tail(12 * q.mean) < 1e-12


def test_two_groups_with_shifts_agree_with_a_convolution():
    q = QuadraticForm([1, 1, 1, 0.3, 0.3], [0.5, 0.5, 0, 1, 1])
    first, second = stats.ncx2(3, 1.0), stats.ncx2(2, 2.0, scale=0.3)
    for x in (4.0, 8.0, 20.0, 40.0):
        assert q.tail(x) == pytest.approx(convolved(first, second, x), rel=1e-9)


def test_differences_have_the_tails_of_laplace_and_of_a_bessel_function():
    laplace = QuadraticForm([1, 1, -1, -1])
    bessel = QuadraticForm([1, -1])  # density K_0(|x| / 2) / (2 pi)
    for x in (1e-3, 0.5, 5.0, 40.0):
        assert laplace.tail(x) == pytest.approx(0.5 * np.exp(-x / 2), rel=1e-9)
        truth, _ = integrate.quad(lambda s: special.k0(s / 2) / (2 * np.pi), x, np.inf, epsabs=0, epsrel=1e-11)
        assert bessel.tail(x) == pytest.approx(truth, rel=1e-9)
        assert bessel.tail(-x, "lower") == pytest.approx(bessel.tail(x), rel=1e-9)
    assert laplace.tail(0.0) == pytest.approx(0.5, rel=1e-9)


def test_spread_spectra_and_far_tails():
    q = QuadraticForm([1.0, 1e-3, 1e-6, 0.0])
    assert len(q.weights) == 3
    assert q.tail(60.0) == pytest.approx(stats.chi2.sf(60.0, 1), rel=0.01)
    assert q.tail(60.0) > stats.chi2.sf(60.0 - 1e-6, 1)
    assert QuadraticForm([-1.0, -1.0]).tail(0.0) == 0.0
    assert QuadraticForm([-1.0, -1.0]).tail(-2.0) == pytest.approx(1 - np.exp(-1.0), rel=1e-9)
    assert QuadraticForm([-2.0]).tail(1.0) == 0.0 and QuadraticForm([2.0]).tail(-1.0) == 1.0


def given_the_rest(weights, shifts2, x):
    """P(Q > x) for a largest weight at index 0 and two small ones, by Gauss-Hermite over what the small ones add."""
    z, c = np.polynomial.hermite_e.hermegauss(60)
    second, third = (w * (z + np.sqrt(b2)) ** 2 for w, b2 in zip(weights[1:], shifts2[1:]))
    root, b = np.sqrt((x - np.add.outer(second, third)) / weights[0]), np.sqrt(shifts2[0])
    return float(c @ (special.ndtr(b - root) + special.ndtr(-b - root)) @ c / (2 * np.pi))


@pytest.mark.parametrize("small", [1e-2, 1e-5, 1e-9, 1e-100, 1e-200])
@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, -1)])
def test_a_dominant_weight_agrees_with_a_quadrature_over_the_others(small, signs):
    """Where the straight path is slow: from weights a hundredth of the largest to such whose squares underflow."""
    weights = np.array([1.0, 0.7 * small * signs[0], 0.2 * small * signs[1]])
    for shifts in (np.zeros(3), np.array([1.5, 0.3, 2.0])):
        q = QuadraticForm(weights, shifts)
        for x in (3.0, 8.0, 40.0):
            truth = given_the_rest(weights, shifts, x)
            side = "upper" if x > q.mean else "lower"
            assert q.tail(x, side) == pytest.approx(truth if side == "upper" else 1 - truth, rel=1e-11)
            assert QuadraticForm(-weights, shifts).tail(-x, "lower") == pytest.approx(truth, rel=1e-11)


def test_hundreds_of_small_weights_take_little_memory():
    """They move the tail by their mean and spread, to second order in their size; a straight path takes 1e6 nodes."""
    small = 1e-4 * rng().uniform(0.5, 1.0, 300)
    q = QuadraticForm(np.append(1.0, small))
    for x in (2.0, 30.0):
        tracemalloc.start()
        found, peak = q.tail(x), tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        y = x - small.sum()
        bend = stats.chi2.pdf(y, 1) * (1 + 1 / y) / 2  # the second derivative of the tail
        assert found == pytest.approx(stats.chi2.sf(y, 1) + np.sum(small**2) * bend, rel=1e-9)
        assert peak < 4 * 16 * 500_000  # a few complex blocks


@given(st.lists(st.floats(0.05, 5) | st.floats(-5, -0.05), min_size=2, max_size=8), st.floats(-4, 8), st.data())
@settings(max_examples=40, deadline=None)
def test_tails_add_up_scale_and_fall(weights, z, data):
    shifts = data.draw(st.lists(st.floats(0, 3), min_size=len(weights), max_size=len(weights)))
    q = QuadraticForm(weights, shifts)
    x = q.mean + z * np.sqrt(q.variance)
    upper = q.tail(x)
    assert 0 <= upper <= 1 + 1e-9
    assert upper + q.tail(x, "lower") == pytest.approx(1.0, abs=1e-9)
    assert QuadraticForm(1e6 * np.array(weights), shifts).tail(1e6 * x) == pytest.approx(upper, rel=1e-8, abs=1e-300)
    assert QuadraticForm(-np.array(weights), shifts).tail(-x, "lower") == pytest.approx(upper, rel=1e-8, abs=1e-300)
    assert q.tail(x + 0.1 * np.sqrt(q.variance)) <= upper * (1 + 1e-9)


def test_what_is_promised_as_accuracy_is_kept():
    q = QuadraticForm(rng().uniform(0.1, 1, 40))
    fine = q.tail(3 * q.mean, accuracy=1e-13)
    for accuracy in (1e-2, 1e-5, 1e-8):
        assert abs(q.tail(3 * q.mean, accuracy=accuracy) / fine - 1) <= accuracy


@pytest.mark.parametrize("deviation", [0.5, 3.0, 20.0])
def test_a_deviation_is_one_to_either_side(deviation):
    """The sum of the two tails to rounding, so with the accuracy that a tail has by itself."""
    q = QuadraticForm(rng().uniform(-1, 1, 20), rng(1).uniform(0, 2, 20))
    sides = q.tail(q.mean + deviation), q.tail(q.mean - deviation, "lower")
    assert q.deviation_tail(deviation) == pytest.approx(sum(sides), rel=1e-15)


@pytest.mark.parametrize("delta", [0.5, 1e-3, 1e-12, 1e-200, 1e-300])
def test_quantile_inverts_the_tail(delta):
    q = QuadraticForm(rng().uniform(0.1, 1, 20), rng(1).uniform(0, 2, 20))
    assert q.deviation_tail(q.deviation_quantile(delta)) == pytest.approx(delta, rel=1e-6)


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_quantiles_have_the_unit_of_the_weights_whatever_their_signs(unit):
    """Shifts far larger than one, so that the linear part of the deviation decides."""
    weights, shifts2 = rng().uniform(-1, 1, 8), 1e4 * rng(1).uniform(1, 2, 8)
    for delta in (0.3, 1e-6):
        one = QuadraticForm(weights, shifts2).deviation_quantile(delta)
        assert QuadraticForm(unit * weights, shifts2).deviation_quantile(delta) == pytest.approx(unit * one, rel=1e-7)


# --- Feature norms ---------------------------------------------------------------------------------------------------


def test_quadratic_form_diagonalises_and_shifts():
    A, mean = rng().standard_normal((6, 6)), rng(1).standard_normal(6)
    q = quadratic_form(A + A.T, mean)
    x = mean + rng(2).standard_normal((400_000, 6))
    values = np.einsum("ni,ij,nj->n", x, A + A.T, x)
    assert abs(values.mean() - q.mean) < 5 * np.sqrt(q.variance / len(x))
    share, p = np.mean(values > 5.0), q.tail(5.0)
    assert abs(share - p) < 5 * np.sqrt(p * (1 - p) / len(x))


@pytest.mark.parametrize("fixed", [False, True])
def test_feature_norms_follow_their_law(fixed):
    setting = Setting(h=6, d=11, sigma2=0.6)
    W, Phi = initialize(setting, rng(3))
    x0 = rng(4).standard_normal(11) if fixed else None
    samples = sample_norms(W, Phi, setting, 200_000, rng(5), x0)
    for values, M in zip(samples, (Phi, W @ Phi)):
        law = feature_norm_law(M, setting, x0)
        for level in (0.3, 0.6, 1.2, 2.0):
            assert abs(np.mean(values > level * law.mean) - law.tail(level * law.mean)) < 5 * 0.5 / np.sqrt(200_000)
        if fixed:
            gram = M.T @ M
            expected = 2 * 0.36 * np.sum(gram**2) + 4 * 0.6 * np.sum((gram @ x0) ** 2)
        else:
            expected = law.mean**2 * 2 / effective_rank(M @ M.T)
        assert law.variance == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.floats(-3, 3).filter(lambda v: abs(v) > 0.01), min_size=1, max_size=6), st.floats(1e-9, 0.5))
@settings(max_examples=40, deadline=None)
def test_hanson_wright_dominates_weights_of_any_sign(weights, delta):
    q = QuadraticForm(weights)
    below, above = hanson_wright(weights, delta)
    assert q.tail(q.mean + above, accuracy=1e-8) <= delta / 2 * (1 + 1e-7)
    assert q.tail(q.mean - below, "lower", accuracy=1e-8) <= delta / 2 * (1 + 1e-7)


def test_linear_deviation_is_exact_and_bounded():
    for delta in (0.9, 1e-2, 1e-10, 1e-100):
        exact, bound = linear_deviation(2.0, delta)
        assert 2 * stats.norm.sf(exact / 2.0) == pytest.approx(delta, rel=1e-9)
        assert exact <= bound


# --- Matrices --------------------------------------------------------------------------------------------------------


def test_matrix_norms_are_those_of_numpy():
    W, Phi = initialize(Setting(h=5, d=7), rng())
    x, Psi = rng(1).standard_normal((7, 3)), W @ Phi
    found = matrix_norms(W, Phi, x)
    assert found["Phi"] == pytest.approx(np.linalg.norm(Phi, 2), rel=1e-10)
    assert found["Psi"] == pytest.approx(np.linalg.norm(Psi, 2), rel=1e-10)
    assert found["W"] == pytest.approx(np.linalg.svd(W)[1][0], rel=1e-10)
    assert found["Gram_Psi"] == pytest.approx(np.linalg.norm(Psi.T @ Psi), rel=1e-10)
    assert found["Psi_x0"] == pytest.approx(np.linalg.norm(Psi.T @ Psi @ x) / np.sqrt(3), rel=1e-10)


def test_edge_of_the_product_in_its_limits_and_as_a_minimum():
    assert spectral_edges(1e-9)["Psi"] == pytest.approx(2.0, rel=1e-6)  # F tends to the identity
    assert spectral_edges(1e9)["Psi"] == pytest.approx(1e9**0.5, rel=1e-3)  # Phi^T W^2 Phi tends to h / d times I
    assert spectral_edges(1.0)["Psi"] ** 2 == pytest.approx(27 / 4, rel=1e-12)  # the Fuss-Catalan law
    for ratio in (0.1, 0.5, 3.0):
        z = np.linspace(0.01, 3, 20_000)
        assert spectral_edges(ratio)["Psi"] == pytest.approx(
            np.sqrt(np.min((1 + z) ** 2 * (1 + ratio * z) / z)), rel=1e-6
        )


def test_relative_spread_tends_to_its_limit():
    for h in (100, 10_000):
        one, two = relative_sd(Setting(h=h, d=2 * h))
        assert one == pytest.approx(np.sqrt(2 * 1.5 / h), rel=2 / h)
        assert two == pytest.approx(np.sqrt(2 * 2.5 / h), rel=2 / h)
    assert second_moments(Setting(h=1, d=1))["Gram_Psi"] == pytest.approx(9.0)  # E w^4 E phi^4


@pytest.mark.parametrize("id", ["assumption-2", "assumption-3", "assumption-4"])
def test_the_samplers_follow_the_assumptions(id):
    """The outcome of an assumption is its departure, so that the measurement passes is tested here."""
    for seed in range(3):
        assert claims.run(id, seed, Scale.SMOKE).evidence.passed


# --- Limits ----------------------------------------------------------------------------------------------------------


def test_speed_and_memory_of_the_plain_path():
    """A hundredth of the promised 1e5 samples at h = 256, d = 2048, with a hundredth of the minute and within 2 GiB."""
    setting = Setting(h=256, d=2048)
    W, Phi = initialize(setting, rng())
    sample_norms(W, Phi, setting, 10, rng())
    tracemalloc.start()
    start = time.process_time()
    sample_norms(W, Phi, setting, 1000, rng())
    took, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 0.6
    assert peak < 2 * 2**30


def test_memory_is_kept_in_small_blocks_and_what_cannot_fit_is_refused_before_work():
    setting = Setting(h=64, d=4096)
    W, Phi = initialize(setting, rng())
    tracemalloc.start()
    sample_norms(W, Phi, setting, 3000, rng(), memory=0.02)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.02 * 2**30
    with pytest.raises(ValueError, match=r"n = 1000000000000.*GiB, more than memory = 2 GiB"):
        sample_norms(W, Phi, setting, 10**12, rng())
    with pytest.raises(ValueError, match=r"more than memory = 0\.001 GiB"):
        sample_norms(W, Phi, setting, 10, rng(), memory=0.001)


@pytest.mark.parametrize(("h", "d", "n"), [(600, 2, 10), (1, 200_000, 3), (2, 100_000, 10), (2, 3, 200_000)])
def test_what_is_not_refused_keeps_within_its_memory(h, d, n):
    """Whether W, the inputs or the results fill it; and eight times what is used is enough."""
    setting = Setting(h=h, d=d)
    W, Phi = np.eye(h, dtype=np.float32), np.ones((h, d))
    fits = []
    for limit in np.geomspace(0.5, 64.0, 29) * 2**20:
        tracemalloc.start()
        try:
            sample_norms(W, Phi, setting, n, rng(), memory=limit / 2**30)
            fits.append((limit, tracemalloc.get_traced_memory()[1]))
        except ValueError:
            pass
        tracemalloc.stop()
    assert all(peak <= limit for limit, peak in fits)
    assert fits[0][0] <= 8 * fits[0][1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quadratic_form([[1.0, 2.0], [0.0, 1.0]]), "A: must be symmetric"),
        (lambda: quadratic_form([[1.0, np.nan], [np.nan, 1.0]]), "A: has 2 entries that are not finite"),
        (lambda: quadratic_form(np.zeros((2, 2))), "weights: none of them differs from zero"),
        (lambda: quadratic_form(np.eye(2), [1.0]), "mean: has shape"),
        (lambda: QuadraticForm([1.0], [-1.0]), "shifts2: must be squares"),
        (lambda: QuadraticForm([1.0, np.inf]), "weights: has 1 entries that are not finite"),
        (lambda: QuadraticForm([1.0]).tail(np.nan), "x: has 1 entries"),
        (lambda: QuadraticForm([1.0]).tail(1.0, "left"), "side = 'left': must be one of upper, lower"),
        (lambda: QuadraticForm([1.0]).tail(1.0, accuracy=0.0), "accuracy = 0.0: must be a number from"),
        (lambda: QuadraticForm([1.0]).deviation_tail(0.0), "deviation = 0.0"),
        (lambda: QuadraticForm([1.0]).deviation_quantile(1.0), "delta = 1.0"),
        (lambda: hanson_wright([1.0], 0.0), "delta = 0.0"),
        (lambda: hanson_wright([], 0.1), "weights: has no entries"),
        (lambda: linear_deviation(0.0, 0.1), "sd = 0.0"),
        (lambda: feature_norm_law(np.eye(2), Setting(h=2, d=3)), "Phi: has shape"),
        (lambda: matrix_norms(np.eye(2), np.eye(2), np.ones(3)), "x0: has shape"),
        (lambda: sample_norms(np.eye(2), np.eye(2), Setting(h=2, d=2), 0, rng()), "n = 0"),
        (lambda: spectral_edges(0.0), "ratio = 0.0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
