"""The other parts of `equilibria`: many sets at once, exact counts, branches, one mode in a bath, basins, both cubics.

Each against a second method: one set at a time, exact arithmetic, closed forms, an integrator, a finite bath.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.integrate import dblquad

from featnorm.eigen_flow import integrate, parabola_velocity
from featnorm.equilibria import (
    MOMENTS,
    NAMES,
    NEARLY_STABLE,
    REGIMES,
    Starts,
    balance,
    bath_equilibria,
    bath_fold,
    bath_velocity,
    certified_equilibria,
    classify,
    classify_scaled,
    continued_branch,
    critical_rho,
    destinations,
    double_root,
    equilibria,
    exact_regime,
    fold,
    fold_point,
    follow,
    l2_critical_rho,
    l2_equilibria,
    l2_regime,
    l2_velocity,
    leading_equilibria,
    near_stable_mass,
    rational_field,
    regime,
    semicircle_below,
    sign_changes,
    starts,
    sturm_counts,
)
from featnorm.setting import Norms, Setting

EPS = np.finfo(np.float64).eps
MANY = settings(max_examples=150, deadline=None)
FEW = settings(max_examples=30, deadline=None)
ONE = Setting(h=1, d=1, sigma2=1.0)

decades = st.floats(-6, 6).map(lambda e: 10.0**e)
moments = st.builds(Norms, decades, decades, st.floats(-1, 1))
sigma2s = st.floats(-2, 2).map(lambda e: 10.0**e)
rationals = st.fractions(Fraction(1, 50), Fraction(50), max_denominator=50)


# Many sets at once ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theta", [1e-308, 2e-313, -2e-313, 5e-324, -5e-324])
@pytest.mark.parametrize("r", [1e-300, 0.3, 1e100])
def test_the_smallest_numbers_count_as_zero(theta, r):
    """Start points divide by theta; that this overflows is meant, and no warning may leave the function."""
    np.testing.assert_allclose(classify_scaled(theta, r).w, classify_scaled(0.0, r).w, rtol=1e-14)


@MANY
@given(moments, sigma2s, st.one_of(st.just(0.0), st.floats(-12, 6).map(lambda e: 10.0**e), st.floats(0.5, 1.5)))
def test_a_batch_agrees_with_one_set_at_a_time(N, sigma2, ratio):
    setting = Setting(h=1, d=1, sigma2=sigma2)
    setting = setting.with_(rho=ratio * critical_rho(N, setting))
    assume(abs(ratio - 1) > 1e-9 or ratio == 1)
    found = classify(N.N_Phi, N.N_Psi, N.N_x, sigma2, setting.rho)
    assert REGIMES[found.regime[0]] == regime(N, setting)
    ours = dict(zip(NAMES, zip(found.w[0], found.stability[0])))
    words = {1: "stable", -1: "unstable", 0: "semi-stable"}
    expected = equilibria(N, setting)
    assert found.count[0] == len(expected) == np.isfinite(found.w[0]).sum()
    for e in expected:
        w, stability = ours[e.name]
        # near the fold a root is as uncertain as rounding over the square root of the distance
        assert w == pytest.approx(e.w, rel=20 * EPS / math.sqrt(max(abs(ratio - 1), 1e-12)) if e.w > 0 else 20 * EPS)
        assert words[stability] == e.stability
    assert (found.stability[0][np.isnan(found.w[0])] == 0).all()  # what is absent is neither stable nor unstable


def test_a_batch_far_out():
    """Forty decades of theta, fifteen of the distance from the fold: every root has a residual of a few roundings."""
    rng = np.random.default_rng(0)
    theta = rng.choice([-1, 1], 4000) * 10.0 ** rng.uniform(-20, 20, 4000)
    r_c = np.array([fold(t)[1] for t in theta[:400]])
    r = r_c * 10.0 ** rng.uniform(-12, 3, 400)
    found = classify_scaled(theta[:400], r)
    y = np.delete(found.w, 1, axis=1)
    t, q = theta[:400, None], r[:, None]
    parts = np.array([-2 * y**5, -t * y**2, y, -q + 0 * y])
    real = np.isfinite(y)
    assert (np.abs(parts.sum(axis=0))[real] <= 20 * EPS * np.abs(parts).sum(axis=0)[real]).all()
    assert (np.isfinite(y[:, 2]) == (r < r_c)).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"N_Phi": 0.0}, "N_Phi: must be > 0"),
        ({"N_Psi": -1.0}, "N_Psi: must be > 0"),
        ({"N_x": 1.5}, "N_x: must be from -1 to 1"),
        ({"sigma2": 0.0}, "sigma2: must be > 0"),
        ({"rho": -0.1}, "rho: must be >= 0"),
        ({"rho": math.nan}, "rho: has 1 entries that are not finite"),
        ({"N_Phi": math.inf}, "N_Phi: has 1 entries"),
        ({"N_Phi": 1e-200, "rho": 1e-200}, "too small"),
    ],
)
def test_classify_refuses(change, words):
    given_values = {"N_Phi": 1.0, "N_Psi": 1.0, "N_x": 0.0, "sigma2": 1.0, "rho": 0.1} | change
    with pytest.raises(ValueError, match=words):
        classify(**given_values)


def test_classify_scaled_refuses():
    with pytest.raises(ValueError, match="r: must be >= 0"):
        classify_scaled(0.0, -1.0)
    with pytest.raises(ValueError, match="theta: must be at most"):
        classify_scaled(1e61, 1.0)


# Exact arithmetic -----------------------------------------------------------------------------------------------------


@FEW
@given(moments, sigma2s, st.floats(-12, 0.3), st.sampled_from([-1, 1]))
def test_three_exact_methods_and_floating_point_agree(N, sigma2, log_gap, side):
    """Discriminant, Sturm and enclosures share nothing; floats agree down to a distance of 1e-11 from the fold."""
    gap = side * 10.0**log_gap
    assume(gap > -1)
    setting = Setting(h=1, d=1, sigma2=sigma2)
    setting = setting.with_(rho=(1 + gap) * critical_rho(N, setting))
    exact, field = exact_regime(N, setting), rational_field(N, setting)
    points = certified_equilibria(field)
    assert sturm_counts(field) == (1, {"Acute": 2, "Collapse": 0, "fold": 1}[exact])
    assert len(points) == {"Acute": 4, "Collapse": 2, "fold": 3}[exact]
    if abs(gap) > 1e-11:
        assert regime(N, setting) == exact
        for ours, true in zip(equilibria(N, setting), points, strict=True):
            assert (ours.stability, ours.multiplicity) == (true.stability, true.multiplicity)
            slack = 40 * EPS / math.sqrt(abs(gap)) * abs(ours.w) + 1e-300
            assert true.low - slack <= ours.w <= true.high + slack


@FEW
@given(rationals, rationals, rationals)
def test_a_made_double_root_is_double(w, N_Psi, sigma2):
    N, setting = double_root(w, N_Psi, 1 + sigma2)
    assert exact_regime(N, setting) == "fold" and abs(N.N_x) <= 1
    low, zero, both = certified_equilibria(rational_field(N, setting))
    assert (low.stability, zero.stability, both.stability) == ("unstable", "stable", "semi-stable")
    assert both.multiplicity == 2 and both.low <= w <= both.high
    for ratio, wanted in ((Fraction(10**15 - 1, 10**15), "Acute"), (Fraction(10**15 + 1, 10**15), "Collapse")):
        assert exact_regime(N, setting.with_(rho=setting.rho * ratio)) == wanted


def test_the_isolated_zero_of_the_discriminant_is_no_fold():
    """There the discriminant vanishes with two double complex pairs; rational points around it lie in Collapse."""
    n = (32 / 15) ** 0.25
    theta, r = 1.25 * n**3, 9 / 32 * n**5
    terms = [12500 * r**4, -4500 * r**2 * theta**2, 108 * r * theta**5, 3200 * r * theta, -27 * theta**4, -512.0]
    assert abs(sum(terms)) <= 100 * EPS * sum(map(abs, terms))
    assert r > 3 * fold(theta)[1]
    for shift in (-1e-9, 0.0, 1e-9):
        N = Norms(theta + shift, 1.0, 1.0)
        setting = ONE.with_(rho=r / (2 * N.N_Phi))
        assert exact_regime(N, setting) == "Collapse" and sturm_counts(rational_field(N, setting)) == (1, 0)


@pytest.mark.parametrize("law", ["cosine", "leading", "l2"])
def test_rational_field_is_the_velocity(law):
    """Times a positive factor; for the laws that have a function in floating point."""
    N, setting = Norms(1.3, 0.7, -0.4), ONE.with_(rho=0.05)
    field = [float(c) for c in rational_field(N, setting, law)]
    w = np.array([-0.8, 0.3, 1.1])
    value = np.polynomial.polynomial.polyval(w, field)
    if law == "l2":
        np.testing.assert_allclose(value, l2_velocity(w, setting), rtol=1e-13)
    else:
        sixth = 0.0 if law == "cosine" else -2 * w**6 / (2 * N.N_Phi * N.N_Psi**3)
        np.testing.assert_allclose(
            value / (2 * N.N_Phi * N.N_Psi**3), parabola_velocity(w, N, setting) - sixth, rtol=1e-12
        )


def test_exact_functions_refuse():
    with pytest.raises(ValueError, match="field: all its coefficients are zero"):
        sturm_counts([Fraction(0)])
    with pytest.raises(ValueError, match="w = 0: must be > 0"):
        double_root(Fraction(0), Fraction(1), Fraction(2))
    with pytest.raises(ValueError, match="law = 'hinge': must be one of"):
        rational_field(Norms(1, 1, 0), ONE, "hinge")


@given(st.lists(st.integers(-3, 3).filter(bool), min_size=1, max_size=5))
def test_descartes_bounds_the_positive_roots(roots):
    """For real roots only the rule is exact: the sign changes are the positive roots, counted with multiplicity."""
    poly = np.poly1d(roots, r=True).coeffs[::-1]
    for unit in (1, Fraction(1, 1000)):
        assert sign_changes([Fraction(round(c)) * unit for c in poly]) == sum(x > 0 for x in roots)


# Both cubics ----------------------------------------------------------------------------------------------------------


@MANY
@given(moments, sigma2s, st.floats(-6, 1))
def test_leading_cubic_against_exact_enclosures(N, sigma2, log_r):
    assume(abs(N.N_x) > 1e-6 or N.N_x == 0)
    setting = Setting(h=1, d=1, sigma2=sigma2)
    setting = setting.with_(rho=10.0**log_r / (4 * setting.a * max(abs(N.N_x), 0.1) * N.N_Phi**2))
    ratio = 4 * setting.a * N.N_x * N.N_Phi**2 * setting.rho
    assume(abs(ratio - 1) > 1e-9)
    field = rational_field(N, setting, "leading")
    exact = certified_equilibria(field)
    for ours, true in zip(leading_equilibria(N, setting), exact, strict=True):
        assert (ours.stability, ours.multiplicity) == (true.stability, true.multiplicity)
        assert ours.w == pytest.approx((true.low + true.high) / 2, rel=100 * EPS / math.sqrt(abs(ratio - 1)))


@MANY
@given(sigma2s, st.floats(0.0, 2.0).filter(lambda x: abs(x - 1) > 1e-9))
def test_l2_equilibria(sigma2, ratio):
    setting = Setting(h=1, d=1, sigma2=sigma2)
    setting = setting.with_(rho=ratio * l2_critical_rho(setting))
    found = l2_equilibria(setting)
    assert l2_regime(setting) == ("Stable" if setting.rho == 0 else "Acute" if ratio < 1 else "Collapse")
    exact = certified_equilibria(rational_field(Norms(1, 1, 0), setting, "l2"))
    assert [(e.stability, e.multiplicity) for e in found] == [(e.stability, e.multiplicity) for e in exact]
    for e in found:
        size = setting.a * abs(e.w) ** 3 + e.w**2 + setting.rho * abs(e.w)
        assert abs(float(l2_velocity(np.array(e.w), setting))) <= 20 * EPS * size


def test_an_equilibrium_beyond_the_floating_point_range_is_refused():
    """1 / theta is within it, and times the unit sqrt(N_Psi) it is not."""
    with pytest.raises(ValueError, match="N, rho"):
        leading_equilibria(Norms(1.0, 1e100, 1e-250), ONE)
    assert leading_equilibria(Norms(1.0, 1e100, 1e-150), ONE)[-1].w == pytest.approx(1e250, rel=1e-12)


def test_l2_on_its_threshold():
    found = l2_equilibria(ONE.with_(rho=0.125))
    assert [(e.name, e.w, e.multiplicity) for e in found] == [("zero", 0.0, 1), ("w_up", 0.25, 2)]
    assert l2_regime(ONE.with_(rho=0.125)) == "fold"


def test_the_leading_cubic_is_the_l2_law_in_other_units():
    """(8) has theta = a, r = rho: with N_x N_Phi / sqrt(N_Psi) = a and r = rho the equilibria agree."""
    N = Norms(2.0, 1.0, 1.0)
    other = leading_equilibria(N, ONE.with_(rho=0.05 / 4))  # r = rho a N_Phi = 0.05
    for one, two in zip(l2_equilibria(ONE.with_(rho=0.05)), other, strict=True):
        assert two.w == pytest.approx(one.w, rel=1e-14)


# Branches -------------------------------------------------------------------------------------------------------------


@FEW
@example(2e-313, 1.0, 1.0)  # over which one cannot divide
@given(st.floats(-1, 1), st.floats(0.2, 5), st.floats(0.2, 5))
def test_continuation_against_the_closed_form(N_x, N_Phi, N_Psi):
    N = Norms(N_Phi, N_Psi, N_x)
    rho_c = critical_rho(N, ONE)
    branch = continued_branch(N, ONE)
    np.testing.assert_allclose(branch.folds, [[fold_point(N, ONE).w, rho_c]], rtol=1e-7)  # w at a maximum: half digits
    assert branch.folds[0, 1] == pytest.approx(rho_c, rel=100 * EPS)
    for w, rho in zip(branch.w[::10], branch.parameter[::10]):
        parts = np.abs([2 * w**6 / (N_Phi * N_Psi**3), N_x * w**3 / N_Psi**2, w**2 / (N_Phi * N_Psi), 2 * rho * w])
        assert abs(float(parabola_velocity(np.array(w), N, ONE.with_(rho=rho)))) <= 100 * EPS * parts.sum()


def test_continuation_in_the_scale():
    N, setting = Norms(1.0, 1.0, 0.4), ONE.with_(rho=0.05)
    branch = continued_branch(N, setting, "scale")
    assert branch.folds.shape == (1, 2)
    assert branch.folds[0, 1] == pytest.approx(math.sqrt(critical_rho(N, setting) / 0.05), rel=1e-13)
    for w, c in zip(branch.w[::20], branch.parameter[::20]):
        found = [e.w for e in equilibria(Norms(c, c * c, 0.4), setting) if e.w > 0]
        assert min(abs(x / w - 1) for x in found) < 1e-9


def test_continuation_has_the_error_of_its_arc():
    """Turning points are located along the arc and do not depend on the step."""

    def ellipse(x):
        return x[0] ** 2 + 4 * x[1] ** 2 - 1.0, np.array([2 * x[0], 8 * x[1]])

    tops = [follow(ellipse, [1.0, 0.0], [0.0, 1.0], step, round(3 / step))[1][0] for step in (0.05, 0.02, 0.01)]
    np.testing.assert_allclose([t[1] for t in tops], 0.5, rtol=4 * EPS)


def test_continuation_refuses():
    with pytest.raises(ValueError, match="rho = 0"):
        continued_branch(Norms(1, 1, 0), ONE, "scale")
    with pytest.raises(ValueError, match="parameter = 'w': must be one of"):
        continued_branch(Norms(1, 1, 0), ONE, "w")
    with pytest.raises(ValueError, match="step"):
        follow(lambda x: (0.0, x), [1.0, 0.0], [0.0, 1.0], 0.0, 5)


@FEW
@given(moments, sigma2s)
def test_fold_point_against_differences(N, sigma2):
    setting = Setting(h=1, d=1, sigma2=sigma2)
    point = fold_point(N, setting)
    at = setting.with_(rho=point.rho)
    step = 1e-4 * point.w
    values = [float(parabola_velocity(np.array(point.w + k * step), N, at)) for k in (-1, 0, 1)]
    size = abs(point.curvature) * point.w**2
    assert abs(point.residual) <= 1e3 * EPS * size and abs(point.slope) * point.w <= 1e3 * EPS * size
    assert (values[0] - 2 * values[1] + values[2]) / step**2 == pytest.approx(point.curvature, rel=1e-4)
    assert point.curvature < 0 and point.speed == -point.w


# One mode in a bath ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("w", "overlap"), [(0.5, 0.0), (-0.9, -0.5), (1.4, 0.6)])
def test_balance_against_plain_quadrature(w, overlap):
    """The expectation of the heading by an adaptive rule in x and x', with no substitution."""
    a, N_Phi, N_Psi = 2.0, 1.2, 0.8
    tau = overlap * N_Phi * N_Psi

    def integrand(x1, x):
        U, V = math.sqrt(a * N_Psi**2 + w**4 * x * x), math.sqrt(a * N_Phi**2 + w * w * x1 * x1)
        inner = w**3 * x * x1
        value = inner / (U * V) - (tau + inner) * w**4 * x * x / (U**3 * V)
        return value * math.exp(-(a * x * x - 2 * x * x1 + a * x1 * x1) / 6) / (2 * math.pi * math.sqrt(3))

    wanted, _ = dblquad(integrand, -11, 11, -11, 11, epsabs=1e-10, epsrel=1e-9)
    got = float(balance(np.array(w), Norms(N_Phi, N_Psi, overlap), ONE)) * w * w
    assert got == pytest.approx(wanted, abs=1e-8)


@FEW
@given(st.floats(-2, 1).map(lambda e: 10.0**e), st.sampled_from([-1, 1]), st.floats(-1, 1), st.floats(0.1, 5))
def test_balance_is_converged(w, sign, overlap, sigma2):
    bath, setting = Norms(1.0, 1.0, overlap), Setting(h=1, d=1, sigma2=sigma2)
    w = np.array(sign * w)
    coarse, fine = (float(balance(w, bath, setting, fine=f)) for f in (1.0, 0.6))
    assert abs(coarse - fine) <= 1e-12 / abs(float(w))  # E[...] is at most of order one, over w^2


def test_a_small_mode_follows_the_leading_law():
    """balance -> w / (a N_Phi N_Psi) as w -> 0, by all three; the next term is the overlap's, of relative order w."""
    bath = Norms(1.3, 0.7, 0.2)
    for kind in MOMENTS:
        w = 10.0 ** -np.arange(2.0, 5.0)
        relative = balance(w, bath, ONE, kind) * 2 * 1.3 * 0.7 / w - 1
        np.testing.assert_allclose(relative / w, -0.2 * 1.3 / 0.7, rtol=0.1)


def test_folds_of_a_mode_in_a_bath():
    """The frozen one is the closed form; the exact ones are stationary points of the balance, found anew."""
    for overlap in (-0.5, 0.0, 0.8):
        bath = Norms(1.0, 1.0, overlap)
        assert bath_fold(bath, ONE, "frozen").rho == pytest.approx(critical_rho(bath, ONE), rel=1e-12)
        assert bath_fold(bath, ONE, "frozen", sign=-1) is None  # there the balance rises without end
        turn = bath_fold(bath, ONE)
        around = balance(turn.w * np.array([0.99, 1.0, 1.01]), bath, ONE)
        assert around[1] >= around[0] and around[1] >= around[2]
        below = bath_equilibria(bath, ONE.with_(rho=0.9 * turn.rho))
        assert [s for w, s in below if w > 0] == ["unstable", "stable"]
        assert [s for w, s in bath_equilibria(bath, ONE.with_(rho=1.1 * turn.rho)) if w > 0] == []


def test_frozen_bath_velocity_is_eq_7():
    N, w = Norms(1.3, 0.7, -0.4), np.array([-1.0, 0.2, 0.9])
    setting = ONE.with_(rho=0.07)
    np.testing.assert_allclose(bath_velocity(w, N, setting, "frozen"), parabola_velocity(w, N, setting), rtol=1e-13)


def test_bath_refuses():
    with pytest.raises(ValueError, match="sign = 0"):
        bath_fold(Norms(1, 1, 0), ONE, sign=0)
    with pytest.raises(ValueError, match="moments = 'mean': must be one of"):
        balance(np.array(1.0), Norms(1, 1, 0), ONE, "mean")
    with pytest.raises(ValueError, match=r"sigma2 = 1e-09.*0.001"):  # would need more memory than there is
        balance(0.5, Norms(1.0, 1.0, 0.0), ONE.with_(sigma2=1e-9))
    with pytest.raises(ValueError, match=r"the size of w / sqrt\(N_Psi\) = 1e\+200"):
        balance(1e200, Norms(1.0, 1.0, 0.0), ONE)
    with pytest.raises(ValueError, match="w: has 1 entries"):
        balance(np.array(math.nan), Norms(1, 1, 0), ONE)


# Basins ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.0, 0.5, 2.0])
def test_destinations_against_the_integrator(ratio):
    N = Norms(1.0, 1.0, 0.3)
    setting = ONE.with_(rho=ratio * critical_rho(N, ONE))
    points = [e.w for e in equilibria(N, setting)]
    w0 = np.array([0.9 * points[0], 0.3 * points[0], 0.05, 0.3, 0.7, 2.0])
    for w, end in zip(w0, destinations(w0, N, setting)):
        run = integrate(np.array([w]), np.array([w * w]), setting, 400.0, frozen=N, extinct=1e-3)
        last = 0.0 if run.extinct_at is not None else float(run.w[-1, 0])
        assert last == pytest.approx(end, abs=0.05 if ratio == 0 else 1e-3)  # at rho = 0 zero attracts like 1 / t


def test_destinations_at_the_equilibria_and_beyond():
    N, setting = Norms(1.0, 1.0, 0.0), ONE.with_(rho=0.1)
    points = np.array([e.w for e in equilibria(N, setting)])
    np.testing.assert_array_equal(destinations(points, N, setting), points)
    assert destinations([1.001 * points[0]], N, setting)[0] == -np.inf
    on_fold = ONE.with_(rho=critical_rho(N, ONE))
    top = equilibria(N, on_fold)[-1].w
    assert destinations([0.99 * top, 1.01 * top], N, on_fold).tolist() == [0.0, top]


def test_semicircle_is_the_limit_of_the_eigenvalues():
    drawn = starts(Setting(h=200, d=200), 4, np.random.default_rng(0))
    x = np.linspace(-1.9, 1.9, 9)
    shares = (drawn.eigenvalues.ravel()[:, None] < x).mean(axis=0)
    np.testing.assert_allclose(shares, semicircle_below(x), atol=0.01)  # counts of a spectrum fluctuate by a few in h
    assert semicircle_below([-2.5, 2.5]).tolist() == [0.0, 1.0]


def test_near_stable_mass():
    N = Norms(8.0, 8.0, 0.0)
    assert near_stable_mass(N, Setting(h=64, d=64)) == 0.0
    small = Setting(h=64, d=64, sigma2=1.0, rho=1e-6)
    # w_down_plus = a rho N_Phi N_Psi and the semicircle's density at zero, 1 / pi
    assert near_stable_mass(N, small) == pytest.approx(2e-6 * 64 / math.pi, rel=1e-6)
    heavy = Setting(h=64, d=64, sigma2=1.0, rho=1.0)
    assert near_stable_mass(N, heavy) == 0.5 and near_stable_mass(N, heavy, np.array([-1.0, 1.0, 2.0])) == 2 / 3
    assert near_stable_mass(N, small) <= NEARLY_STABLE < near_stable_mass(N, heavy)
    with pytest.raises(ValueError, match="eigenvalues: has no entries"):
        near_stable_mass(N, heavy, np.array([]))


def test_a_start_at_its_lowest_equilibrium_is_not_below_it():
    at = Starts(np.array([[-2.0, -1.0, 0.0, 1.0], [-2.0, -1.0, 0.0, 1.0]]), np.array([-1.0, -0.5]))
    assert at.below.tolist() == [0.25, 0.5]


@FEW
@given(st.floats(-1, 0), st.one_of(st.just(0.0), st.floats(1e-9, 3)), st.floats(0.2, 5), st.floats(0.2, 5))
def test_lower_bound_of_the_lowest_equilibrium(N_x, ratio, N_Phi, N_Psi):
    """|w_down_minus| >= (N_Psi^2 / 2)^(1/4) for N_x = 0 and any rho; for N_x > 0 too, since the root moves outwards."""
    N = Norms(N_Phi, N_Psi, -N_x)
    setting = ONE.with_(rho=ratio * critical_rho(N, ONE))
    assert -equilibria(N, setting)[0].w >= (N_Psi**2 / 2) ** 0.25 * (1 - 10 * EPS)
