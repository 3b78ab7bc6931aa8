"""Equilibria of Eq. 7 and 8: against exact counts, another root finder, closed forms, and laws over many decades."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from featnorm.eigen_flow import parabola_velocity
from featnorm.equilibria import (
    FOLD_TOLERANCE,
    critical_rho,
    equilibria,
    fold,
    intervals,
    l2_velocity,
    rational_field,
    regime,
    scaled,
    sturm_counts,
)
from featnorm.matrix_flow import l2_field_expected
from featnorm.setting import Norms, Setting

EPS = np.finfo(np.float64).eps
MANY = settings(max_examples=200, deadline=None)
FEW = settings(max_examples=30, deadline=None)  # each example does exact arithmetic

decades = st.floats(-6, 6).map(lambda e: 10.0**e)
moments = st.builds(Norms, decades, decades, st.floats(-1, 1))
sigma2s = st.floats(-2, 2).map(lambda e: 10.0**e)
thetas = st.one_of(st.floats(-10, 10), st.builds(lambda s, e: s * 10.0**e, st.sampled_from([-1, 1]), st.floats(-9, 9)))
# rho over its critical value: zero, or many decades
ratios = st.one_of(st.just(0.0), st.floats(0.01, 2.0), st.floats(-12, 6).map(lambda e: 10.0**e))


def at_ratio(N, sigma2, ratio):
    setting = Setting(h=1, d=1, sigma2=sigma2)
    return setting.with_(rho=ratio * critical_rho(N, setting))


def terms(w, N, setting):
    """The four terms of Eq. 7, whose sum is the velocity."""
    scale = N.N_Phi * N.N_Psi * setting.a
    return np.array(
        [-2 * w**6 / (scale * N.N_Psi**2), -N.N_x * w**3 / (setting.a * N.N_Psi**2), w**2 / scale, -setting.rho * w]
    )


#: A root is found to 4 eps; a polynomial of degree 6 turns that into 24 eps of its terms, and adds rounding of its own.
RESIDUAL = 60 * EPS


@MANY
@example(Norms(1.0, 1.0, 0.0), 1.0, 1.0000000000000753)  # inside the tolerance of the fold
@given(moments, sigma2s, ratios)
def test_equilibria_are_zeros_and_in_order(N, sigma2, ratio):
    setting = at_ratio(N, sigma2, ratio)
    found = equilibria(N, setting)
    for e in found:
        parts = terms(e.w, N, setting)
        # Two roots count as one double root where rho is that near to its critical value; then rho's term is off by it.
        bound = RESIDUAL + (FOLD_TOLERANCE if e.w > 0 and e.multiplicity == 2 else 0.0)
        assert abs(parts.sum()) <= bound * np.abs(parts).sum()
        assert abs(parabola_velocity(e.w, N, setting)) <= bound * np.abs(parts).sum()
    w = [e.w for e in found]
    assert w == sorted(w) and len(set(w)) == len(w)
    assert [e.name for e in found if e.w < 0] == ["w_down_minus"] and [e.w for e in found if e.name == "zero"] == [0.0]


@MANY
@given(moments, sigma2s, ratios)
def test_counts_names_and_regimes(N, sigma2, ratio):
    setting = at_ratio(N, sigma2, ratio)
    assume(abs(ratio - 1) > 1e-9)
    kind, found = regime(N, setting), equilibria(N, setting)
    names, multiplicities = [e.name for e in found], [e.multiplicity for e in found]
    if ratio == 0:
        assert kind == "Stable" and names == ["w_down_minus", "zero", "w_up"] and multiplicities == [1, 2, 1]
    elif ratio < 1:
        assert kind == "Acute" and names == ["w_down_minus", "zero", "w_down_plus", "w_up"]
        assert multiplicities == [1] * 4
    else:
        assert kind == "Collapse" and names == ["w_down_minus", "zero"] and multiplicities == [1, 1]


@MANY
@given(moments, sigma2s, ratios)
def test_stability_is_the_sign_of_the_velocity_around(N, sigma2, ratio):
    """Between two neighbours the field has one sign; it points at stable points and away from unstable ones."""
    setting = at_ratio(N, sigma2, ratio)
    assume(abs(ratio - 1) > 1e-6)  # nearer to the fold the velocity between its two points is rounding
    found = equilibria(N, setting)
    w = np.array([e.w for e in found])
    top = max(w[-1], -w[0])
    between = [2 * w[0], *((w[:-1] + w[1:]) / 2), w[-1] + top]
    signs = [float(np.sign(parabola_velocity(x, N, setting))) for x in between]
    wanted = {(1, -1): "stable", (-1, 1): "unstable", (1, 1): "semi-stable", (-1, -1): "semi-stable"}
    assert [wanted[pair] for pair in itertools.pairwise(signs)] == [e.stability for e in found]
    assert signs[0] == signs[-1] == -1  # the field points to the left at both ends
    if regime(N, setting) == "Acute":
        assert [e.stability for e in found] == ["unstable", "stable", "unstable", "stable"]


@MANY
@given(st.floats(0.1, 10), st.floats(0.1, 10), st.floats(-1, 1), st.floats(0.1, 10), st.floats(0.0, 3.0))
def test_against_eigenvalues_of_the_companion_matrix(N_Phi, N_Psi, N_x, sigma2, ratio):
    """numpy.roots, where it can be trusted: moderate numbers, away from double roots, where half the digits go."""
    assume(abs(ratio - 1) > 1e-2 and (ratio == 0 or ratio > 1e-3))
    N = Norms(N_Phi, N_Psi, N_x)
    setting = at_ratio(N, sigma2, ratio)
    coefficients = [-2 / (N_Phi * N_Psi**3), 0, 0, -N_x / N_Psi**2, 1 / (N_Phi * N_Psi), -setting.rho * setting.a]
    roots = np.roots(coefficients)
    real = np.sort(roots[np.abs(roots.imag) <= 1e-7 * np.abs(roots)].real)
    ours = [e.w for e in equilibria(N, setting) if e.w != 0.0 or ratio == 0]
    # conditioning of a root 1e-2 from the fold is about 10 and the companion matrix is balanced to a few hundred eps
    np.testing.assert_allclose(real, ours, rtol=1e-9, atol=1e-12 * np.abs(roots).max())


@FEW
@given(moments, sigma2s, st.floats(-9, 1), st.sampled_from([-1, 1]))
def test_against_exact_counts(N, sigma2, log_gap, side):
    """Sturm's theorem over the rationals, down to a relative distance of 1e-9 from the threshold."""
    gap = side * 10.0**log_gap
    assume(gap > -1)
    setting = at_ratio(N, sigma2, 1 + gap)
    positive = sum(e.w > 0 for e in equilibria(N, setting))
    assert positive == sturm_counts(rational_field(N, setting))[1] == (2 if side < 0 else 0)


@FEW
@given(moments, sigma2s, st.floats(1e-6, 0.999))
def test_brackets_in_exact_arithmetic(N, sigma2, ratio):
    """Eq. 7 in rational numbers changes its sign within 1e-12 of each simple non-zero equilibrium."""
    setting = at_ratio(N, sigma2, ratio)

    def exact(w):
        N_Phi, N_Psi, N_x, rho, s2, w = map(Fraction, (N.N_Phi, N.N_Psi, N.N_x, setting.rho, sigma2, w))
        return -2 * w**5 / (N_Phi * N_Psi**3) - N_x * w**2 / N_Psi**2 + w / (N_Phi * N_Psi) - rho * (1 + s2)

    for e in equilibria(N, setting):
        if e.w != 0.0:
            assert exact(e.w * (1 - 1e-12)) * exact(e.w * (1 + 1e-12)) < 0


# The fold -------------------------------------------------------------------------------------------------------------


@MANY
@given(thetas)
def test_fold_is_a_maximum(theta):
    """r_c(theta) = max over y > 0 of y - theta y^2 - 2 y^5: its first derivative vanishes, and no y does better."""
    y, r_c = fold(theta)
    assert y > 0 and r_c > 0
    parts = np.array([1, -2 * theta * y, -10 * y**4])
    assert abs(parts.sum()) <= 40 * EPS * np.abs(parts).sum()
    value = np.array([y, -theta * y**2, -2 * y**5])
    assert abs(value.sum() - r_c) <= 40 * EPS * np.abs(value).sum()
    others = y * np.concatenate([np.linspace(0.01, 3, 50), 1 + np.array([-1e-3, 1e-3])])
    assert (others - theta * others**2 - 2 * others**5 < r_c).all()


@pytest.mark.parametrize("theta", [-100.0, -3.0, -0.5, 0.0, 0.5, 3.0, 100.0])
def test_fold_against_a_minimiser(theta):
    """Found without derivative: a maximum is located to the root of the precision, its value to the precision."""
    y, r_c = fold(theta)
    found = minimize_scalar(
        lambda x: -(x - theta * x**2 - 2 * x**5), bounds=(0, 3 * y), method="bounded", options={"xatol": 1e-9 * y}
    )
    assert found.x == pytest.approx(y, rel=1e-6) and -found.fun == pytest.approx(r_c, rel=1e-12)


def discriminant(theta, r):
    return np.array(
        [12500 * r**4, -4500 * r**2 * theta**2, 108 * r * theta**5, 3200 * r * theta, -27 * theta**4, -512.0]
    )


@MANY
@given(thetas)
def test_discriminant_vanishes_on_the_fold(theta):
    """The polynomial of theory.md, section 15, within rounding; a relative change of 1e-6 in r_c shows."""
    assume(abs(theta) < 30)  # beyond, two of its terms dominate and almost cancel, so that it tells nothing
    _, r_c = fold(theta)
    parts = discriminant(theta, r_c)
    assert abs(parts.sum()) <= 1e3 * EPS * np.abs(parts).sum()
    wrong = discriminant(theta, r_c * (1 + 1e-6))
    assert abs(wrong.sum()) > 1e3 * EPS * np.abs(wrong).sum()


def test_fold_at_its_ends():
    """theta -> +inf: r_c -> 1 / (4 theta), theta -> -inf: r_c -> 3 (-theta / 5)^(5/3); with the order of the error."""
    far = 10.0 ** np.arange(1, 4)
    plus = np.array([4 * t * fold(t)[1] for t in far]) - 1
    minus = np.array([fold(-t)[1] / (3 * (t / 5) ** (5 / 3)) for t in far]) - 1
    # next terms: -2 y^5 against y / 2 with y = 1 / (2 theta), and y against 3 y^5 with y^3 = theta / 5
    assert np.polyfit(np.log(far), np.log(np.abs(plus)), 1)[0] == pytest.approx(-4, abs=0.02)
    assert np.polyfit(np.log(far), np.log(np.abs(minus)), 1)[0] == pytest.approx(-4 / 3, abs=0.05)
    assert 4e9 * fold(1e9)[1] == pytest.approx(1, rel=10 * EPS)
    assert fold(-1e12)[1] / (3 * (2e11) ** (5 / 3)) == pytest.approx(1, rel=1e-13)


@pytest.mark.parametrize("theta", [-5.0, -1.0, 0.0, 1.0, 5.0])
def test_slope_of_the_fold(theta):
    """A maximum moves with its explicit derivative alone: dr_c / dtheta = -y*^2."""
    y, _ = fold(theta)
    step = EPS ** (1 / 3)
    assert (fold(theta + step)[1] - fold(theta - step)[1]) / (2 * step) == pytest.approx(-(y**2), rel=1e-8)


@pytest.mark.parametrize("theta", [math.nan, math.inf, -math.inf])
def test_fold_refuses(theta):
    with pytest.raises(ValueError, match=r"^theta = .*: must be a finite number"):
        fold(theta)


@MANY
@given(decades, decades, sigma2s)
def test_critical_rho_in_closed_form_without_overlap(N_Phi, N_Psi, sigma2):
    setting = Setting(h=1, d=1, sigma2=sigma2)
    wanted = 0.8 * 10**-0.25 / ((1 + sigma2) * N_Phi * math.sqrt(N_Psi))
    assert critical_rho(Norms(N_Phi, N_Psi, 0.0), setting) == pytest.approx(wanted, rel=20 * EPS)


@MANY
@given(moments, sigma2s)
def test_the_fold_itself(N, sigma2):
    """At rho = critical_rho there is one double, semi-stable positive equilibrium; nearby it is two or none."""
    setting = at_ratio(N, sigma2, 1.0)
    found = equilibria(N, setting)
    assert regime(N, setting) == "fold"
    assert [(e.name, e.stability, e.multiplicity) for e in found] == [
        ("w_down_minus", "unstable", 1),
        ("zero", "stable", 1),
        ("w_up", "semi-stable", 2),
    ]
    for side in (0.99, 1.01):
        assert parabola_velocity(side * found[-1].w, N, setting) < 0
    assert len(equilibria(N, at_ratio(N, sigma2, 1 - 1e-10))) == 4
    assert len(equilibria(N, at_ratio(N, sigma2, 1 + 1e-10))) == 2


@FEW
@given(moments, sigma2s)
def test_branches_meet_like_a_square_root(N, sigma2):
    """w_up - w_down_plus = 2 sqrt(2 r_c eps / |p''(y*)|) at rho = (1 - eps) rho_c, in the unit sqrt(N_Psi)."""
    gaps = 10.0 ** -np.arange(4, 9)
    distance = []
    for gap in gaps:
        *_, lower, upper = equilibria(N, at_ratio(N, sigma2, 1 - gap))
        distance.append((upper.w - lower.w) / math.sqrt(N.N_Psi))
    theta, _ = scaled(N, Setting(h=1, d=1, sigma2=sigma2))
    y, r_c = fold(theta)
    law = 2 * np.sqrt(2 * r_c * gaps / (2 * theta + 40 * y**3))
    assert np.polyfit(np.log(gaps), np.log(distance), 1)[0] == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_allclose(distance, law, rtol=1e-3)  # corrections of order eps; rounding 1e-15 / sqrt(eps)


# Without weight decay, and scaling ------------------------------------------------------------------------------------


@MANY
@given(decades, decades, sigma2s)
def test_equilibria_without_decay_and_overlap(N_Phi, N_Psi, sigma2):
    low, zero, high = equilibria(Norms(N_Phi, N_Psi, 0.0), Setting(h=1, d=1, sigma2=sigma2))
    assert high.w == pytest.approx((N_Psi**2 / 2) ** 0.25, rel=20 * EPS)
    assert low.w == pytest.approx(-high.w, rel=20 * EPS)
    assert (zero.w, zero.multiplicity, zero.stability) == (0.0, 2, "semi-stable")


@MANY
@given(moments, sigma2s)
def test_mirror(N, sigma2):
    """At rho = 0 the overlap's sign mirrors the equilibria: w -> -w, N_x -> -N_x turns the field round."""
    setting, mirror = Setting(h=1, d=1, sigma2=sigma2), Norms(N.N_Phi, N.N_Psi, -N.N_x)
    one, other = equilibria(N, setting), equilibria(mirror, setting)
    assert one[2].w == pytest.approx(-other[0].w, rel=20 * EPS)
    assert one[0].w == pytest.approx(-other[2].w, rel=20 * EPS)


@MANY
@given(moments, sigma2s, st.floats(1e-6, 1e6), st.floats(-3, 3).map(lambda e: 10.0**e))
def test_scale_of_the_weights(N, sigma2, rho, c):
    """(W, Phi) -> c (W, Phi) multiplies N_Phi by c and N_Psi by c^2: r by c^2, theta not at all; w scales with c."""
    setting = Setting(h=1, d=1, sigma2=sigma2, rho=rho)
    larger = Norms(c * N.N_Phi, c**2 * N.N_Psi, N.N_x)
    (theta, r), (theta_c, r_c) = scaled(N, setting), scaled(larger, setting)
    assert theta_c == pytest.approx(theta, rel=10 * EPS) and r_c == pytest.approx(c**2 * r, rel=10 * EPS)
    assert critical_rho(larger, setting) == pytest.approx(critical_rho(N, setting) / c**2, rel=100 * EPS)
    assume(abs(r / fold(theta)[1] - 1) > 1e-3)
    matched = equilibria(larger, setting.with_(rho=rho / c**2))
    for one, other in zip(equilibria(N, setting), matched, strict=True):
        assert other.w == pytest.approx(c * one.w, rel=1e-10)  # a root near the fold moves 1 / sqrt(1e-3) times as far


@FEW
@given(moments, sigma2s)
def test_small_decay_leaves_the_lower_point_at_rho_over_kappa(N, sigma2):
    """w_down_plus = r sqrt(N_Psi) to leading order in r, with a relative error that falls in proportion."""
    unit, theta = math.sqrt(N.N_Psi), scaled(N, Setting(h=1, d=1, sigma2=sigma2))[0]
    for ratio in (1e-6, 1e-9):
        setting = at_ratio(N, sigma2, ratio)
        _, r = scaled(N, setting)
        lower = equilibria(N, setting)[2]
        assert lower.w / unit == pytest.approx(r, rel=2 * (abs(theta) * r + 2 * r**4) + 100 * EPS)


# Intervals, the L2 loss -----------------------------------------------------------------------------------------------


def test_intervals():
    """The equilibria by name, NaN where there is none, at each of several moments."""
    setting = Setting(h=1, d=1, sigma2=1.0, rho=0.2)
    alive, gone = Norms(1.0, 1.0, 0.0), Norms(1.0, 1.0, 1.0)
    both = intervals([alive, gone], setting)
    points = [{e.name: e.w for e in equilibria(N, setting)} for N in (alive, gone)]
    np.testing.assert_array_equal(both.low, [p["w_down_minus"] for p in points])
    np.testing.assert_array_equal(both.middle, [points[0]["w_down_plus"], np.nan])
    np.testing.assert_array_equal(both.high, [points[0]["w_up"], np.nan])
    free = intervals([alive], setting.with_(rho=0.0))
    assert free.middle.tolist() == [0.0] and free.high[0] == pytest.approx(2**-0.25) == -free.low[0]
    touching = intervals([alive], setting.with_(rho=critical_rho(alive, setting)))
    assert touching.middle[0] == touching.high[0] == pytest.approx(10**-0.25)
    assert intervals([], setting).low.shape == (0,)


@MANY
@given(sigma2s, st.floats(0.0, 2.0))
def test_l2_velocity(sigma2, ratio):
    """Eq. 8: non-zero equilibria (1 +- sqrt(1 - 4 a rho)) / (2 a) iff rho < 1 / (4 a); and it is the matrix flow."""
    a = 1 + sigma2
    setting = Setting(h=1, d=1, sigma2=sigma2, rho=ratio / (4 * a))
    w = np.linspace(-1, 2, 301) / a
    if ratio < 1:
        upper = (1 + math.sqrt(1 - ratio)) / (2 * a)
        for root in (upper, setting.rho / (a * upper)):  # their product is rho / a, which avoids a cancellation
            size = root**2 * (1 + a * root) + setting.rho * root
            assert abs(l2_velocity(root, setting)) <= 20 * EPS * size
        assert l2_velocity(0.5 / a, setting) > 0  # between the two
    else:
        positive = w[w > 0]
        assert (l2_velocity(positive, setting) <= 20 * EPS * positive / a).all()
    dW = [l2_field_expected([[x]], [[x]], setting)[0].item() - setting.rho * x for x in w]
    np.testing.assert_allclose(l2_velocity(w, setting), dW, atol=20 * EPS)


@pytest.mark.parametrize(
    "N, rho, words",
    [
        (Norms(1e308, 1.0, 1.0), 0.1, r"^N_Phi = 1e\+308: must be a number from 1e-100 to 1e\+100"),
        (Norms(1.0, 1e308, 1.0), 0.1, r"^N_Psi = 1e\+308"),
        (Norms(1.0, 1e-308, 1.0), 0.0, "^N_Psi = 1e-308"),
        (Norms(1.0, 1.0, 1.0), 1e308, r"^r = .* must be a number from 1e-250 to 1e\+250"),
        (Norms(1.0, 1.0, 1.0), 1e-300, "^r = "),
    ],
)
def test_extreme_norms_are_refused(N, rho, words):
    setting = Setting(h=1, d=1, rho=rho)
    for call in (scaled, regime, equilibria, critical_rho, lambda N, s: intervals([N], s)):
        with pytest.raises(ValueError, match=words):
            call(N, setting)


@pytest.mark.parametrize("N_Phi, N_Psi", list(itertools.product((1e-100, 1.0, 1e100), repeat=2)))
@pytest.mark.parametrize("N_x", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("ratio, count", [(0.0, 3), (0.5, 4), (2.0, 2)])
def test_norms_up_to_the_bounds_work(N_Phi, N_Psi, N_x, ratio, count):
    N = Norms(N_Phi, N_Psi, N_x)
    assert len(equilibria(N, at_ratio(N, 1.0, ratio))) == count


@pytest.mark.parametrize("bad", [math.nan, [1.0, math.inf], "1", 1j, 1e200])
def test_l2_velocity_refuses(bad):
    with pytest.raises(ValueError, match=r"^w: "):
        l2_velocity(bad, Setting(h=1, d=1))
