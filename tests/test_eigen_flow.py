"""The dynamics of eigenvalues: Eq. 5 to 7, the exact solutions they have, and how an integration may end."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from featnorm.eigen_flow import (
    EIGEN_CLOSURES,
    FlowEnded,
    integrate,
    mode_norms,
    parabola_velocity,
    rate,
    rate_terms,
    second_order_rate,
    velocity,
)
from featnorm.equilibria import critical_rho, equilibria, regime
from featnorm.matrix_flow import CLOSURES, closed_velocity
from featnorm.setting import Norms, Setting, norms

EPS = np.finfo(np.float64).eps
ROUNDING = 1e4 * EPS
FEW = settings(max_examples=40, deadline=None)
FLOWS = settings(max_examples=10, deadline=None)  # each example integrates a flow
RTOL = 1e-9
SOLVER = 1e3 * RTOL  # error per step over some hundred steps, relative to the size of the start
seeds = st.integers(0, 2**32 - 1)
closures = st.sampled_from(sorted(CLOSURES))


def modes(seed, h=4):
    rng = np.random.default_rng(seed)
    return rng.choice([-1, 1], h) * rng.uniform(0.3, 2, h), rng.uniform(0.1, 2, h), rng


FROZEN = Norms(1.3, 0.8, 0.4)


# Eq. 5 ----------------------------------------------------------------------------------------------------------------


@FEW
@given(seeds, closures)
def test_velocity_is_the_matrix_equation(seed, closure):
    """Eq. 4 with the closure, in axes common to W and F; the other closure is told apart."""
    w, phi, rng = modes(seed)
    setting = Setting(h=4, d=5, sigma2=0.6, rho=0.3)
    U, V = np.linalg.qr(rng.standard_normal((4, 4)))[0], np.linalg.qr(rng.standard_normal((5, 4)))[0]
    W, Phi = (U * w) @ U.T, (U * np.sqrt(phi)) @ V.T
    N, M = mode_norms(w, phi), norms(W, Phi)
    assert (N.N_Phi, N.N_Psi, N.N_x) == pytest.approx((M.N_Phi, M.N_Psi, M.N_x), abs=ROUNDING)
    dw, dphi = velocity(w, phi, setting, closure)
    dW, dF = closed_velocity(W, Phi, setting, closure)
    np.testing.assert_allclose(np.diag(dw), U.T @ dW @ U, atol=10 * ROUNDING)  # a factor 1 / min |w|
    np.testing.assert_allclose(np.diag(dphi), U.T @ dF @ U, atol=10 * ROUNDING)
    other = velocity(w, phi, setting, "leading" if closure == "paper" else "paper")
    assert np.abs(other[0] - dw).max() > 100 * ROUNDING


@FEW
@given(seeds, closures, st.booleans())
def test_permutation_of_modes(seed, closure, freeze):
    w, phi, rng = modes(seed, 6)
    setting, order, frozen = Setting(h=6, d=6, rho=0.2), rng.permutation(6), FROZEN if freeze else None
    for one, other in zip(
        velocity(w, phi, setting, closure, frozen), velocity(w[order], phi[order], setting, closure, frozen)
    ):
        np.testing.assert_allclose(one[order], other, atol=ROUNDING)


@FEW
@given(seeds, closures, st.floats(-30, 30))
def test_homogeneity(seed, closure, log_c):
    """With coupled norms (w, phi) -> (c w, c^2 phi) divides the velocity of w by c at rho = 0."""
    w, phi, _ = modes(seed)
    c, setting = 10.0**log_c, Setting(h=4, d=4, sigma2=0.6)
    dw, dphi = velocity(w, phi, setting, closure)
    cw, cphi = velocity(c * w, c**2 * phi, setting, closure)
    np.testing.assert_allclose(c * cw, dw, rtol=0, atol=ROUNDING * np.abs(dw).max())
    np.testing.assert_allclose(cphi, dphi, rtol=0, atol=ROUNDING * np.abs(dphi).max())


@FEW
@given(seeds)
def test_trace_defect(seed):
    """The leading closure has trace zero and conserves both norms at rho = 0; the paper's has a defect."""
    w, phi, _ = modes(seed)
    setting, N = Setting(h=4, d=4, sigma2=0.6), mode_norms(w, phi)
    dw, dphi = velocity(w, phi, setting, "leading")
    assert abs(dphi.sum()) < ROUNDING and abs((w * dw).sum()) < ROUNDING
    dw, dphi = velocity(w, phi, setting, "paper")
    defect = -2 * np.sum(w**3 * phi**2) / (setting.a * N.N_Phi * N.N_Psi**3)
    assert dphi.sum() == pytest.approx(2 * defect, abs=ROUNDING)
    assert (w * dw).sum() == pytest.approx(defect, abs=ROUNDING)


@FEW
@given(seeds, closures)
def test_parabola_is_invariant(seed, closure):
    """Eq. 6: d(phi - w^2)/dt = -2 rho (phi - w^2), frozen or not. Eq. 7 is Eq. 5 on phi = w^2."""
    w, phi, _ = modes(seed)
    setting = Setting(h=4, d=4, sigma2=0.6, rho=0.3)
    for frozen in (None, FROZEN):
        dw, dphi = velocity(w, phi, setting, closure, frozen)
        np.testing.assert_allclose(dphi - 2 * w * dw, -0.6 * (phi - w**2), atol=ROUNDING * (1 + np.abs(dphi).max()))
    on, _ = velocity(w, w**2, setting, "paper", FROZEN)
    np.testing.assert_allclose(parabola_velocity(w, FROZEN, setting), on, atol=ROUNDING * (1 + np.abs(on).max()))
    third, _ = velocity(w, w**2, setting, "leading", FROZEN)
    assert np.abs(on - third).max() > 1e-4


def test_rate_terms_where_a_mode_crosses_zero():
    """A mode at w = 0 is driven by the first term alone, whose size is phi / (a N_Phi N_Psi)."""
    setting = Setting(h=3, d=3, sigma2=1.0)
    w, phi = np.array([0.0, 1.0, 1.0]), np.array([1.0, 1.0, 0.0])
    terms = rate_terms(w, phi, mode_norms(w, phi), setting)
    np.testing.assert_allclose(terms[:, 0], [1 / (2 * math.sqrt(2) * 1.0), 0, 0], rtol=4 * EPS)
    np.testing.assert_array_equal(terms[:, 2], 0.0)  # a mode without features does not move


# Along the flow -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", [None, FROZEN])
@pytest.mark.parametrize("closure", CLOSURES)
@FLOWS
@given(seed=seeds, rho=st.floats(0.0, 1.0))
def test_offset_from_the_parabola_decays(frozen, closure, seed, rho):
    rng = np.random.default_rng(seed)
    w, phi = rng.uniform(0.3, 0.8, 4), rng.uniform(0.1, 0.6, 4)  # positive, so that no frozen mode blows up
    setting = Setting(h=4, d=4, sigma2=0.6, rho=rho)
    run = integrate(w, phi, setting, 0.3, closure, frozen, rtol=RTOL)
    offset = (run.phi - run.w**2) - np.exp(-2 * rho * run.t)[:, None] * (phi - w**2)
    assert np.abs(offset).max() < SOLVER
    if rho > 0.1:
        wrong = (run.phi - run.w**2) - np.exp(-rho * run.t)[:, None] * (phi - w**2)
        assert np.abs(wrong).max() > SOLVER


@pytest.mark.parametrize("closure", CLOSURES)
@FLOWS
@given(seed=seeds, rho=st.floats(0.1, 1.0))
def test_weight_decay_is_a_clock(closure, seed, rho):
    """With coupled norms E2 holds for the closures too: s = (exp(2 rho t) - 1) / (2 rho).

    `integrate` relies on it, so the flow with weight decay is integrated here as it stands, by another method.
    """
    rng = np.random.default_rng(seed)
    w, phi = rng.uniform(0.5, 1.5, 4), rng.uniform(0.5, 1.5, 4)
    setting, t = Setting(h=4, d=4, sigma2=0.6, rho=rho), 0.3
    s = math.expm1(2 * rho * t) / (2 * rho)

    def slope(_, y):
        return np.concatenate(velocity(y[:4], y[4:], setting, closure))

    plain = solve_ivp(slope, (0, t), np.concatenate([w, phi]), method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1]
    slow = plain[:4], plain[4:]
    run = integrate(w, phi, setting, t, closure, rtol=RTOL)
    np.testing.assert_allclose(np.concatenate(run.at(t)), plain, atol=SOLVER)
    fast = integrate(w, phi, setting.with_(rho=0.0), s, closure, rtol=RTOL)
    np.testing.assert_allclose(slow[0], math.exp(-rho * t) * fast.at(s)[0], atol=SOLVER)
    np.testing.assert_allclose(slow[1], math.exp(-2 * rho * t) * fast.at(s)[1], atol=SOLVER)
    assert np.abs(slow[0] - math.exp(-rho * t) * fast.at(0.9 * s)[0]).max() > SOLVER


@pytest.mark.parametrize("closure, conserved", [("leading", True), ("paper", False)])
def test_norm_of_phi_along_the_flow(closure, conserved):
    w, phi, _ = modes(3)
    run = integrate(np.abs(w), phi, Setting(h=4, d=4, sigma2=0.6), 1.0, closure, rtol=RTOL)
    drift = np.array([N.N_Phi for N in run.norms()]) / math.sqrt(phi.sum()) - 1
    assert len(drift) == len(run.t) and (np.abs(drift).max() < SOLVER) == conserved


def test_error_follows_the_tolerance():
    w, phi, _ = modes(3)
    setting = Setting(h=4, d=4, sigma2=0.6, rho=0.2)
    exact = integrate(np.abs(w), phi, setting, 1.0, "leading", rtol=1e-13).w[-1]
    rtols = 10.0 ** -np.arange(3, 11)
    errors = [np.abs(integrate(np.abs(w), phi, setting, 1.0, "leading", rtol=r).w[-1] - exact).max() for r in rtols]
    slope = np.polyfit(np.log(rtols), np.log(errors), 1)[0]
    assert 0.7 < slope < 1.3  # proportional, up to the jumps of a variable step and order


def test_dense_output():
    w, phi, _ = modes(3)
    run = integrate(np.abs(w), phi, Setting(h=4, d=4, rho=0.2), 1.0, "leading", rtol=RTOL)
    assert run.t[0] == 0.0 and run.t[-1] == 1.0 and run.extinct_at is None
    np.testing.assert_array_equal(run.w[0], np.abs(w))
    for t, one, two in zip(run.t, run.w, run.phi):
        np.testing.assert_allclose(run.at(float(t)), (one, two), atol=ROUNDING)
    fine = integrate(np.abs(w), phi, Setting(h=4, d=4, rho=0.2), 1.0, "leading", rtol=1e-12)
    for t in np.linspace(0, 1, 23):
        np.testing.assert_allclose(run.at(t), fine.at(t), atol=SOLVER)
    for t in (-1e-9, 1.0 + 1e-9, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^t = .*: must be from 0 to 1"):
            run.at(t)


# How a flow ends ------------------------------------------------------------------------------------------------------


def time_of_extinction(k, w0, setting, extinct=0.0):
    """Theory, section 13: w dw/dt = -2 / (a k^2) - rho w^2 for k equal positive modes, so w^2 is solved exactly."""
    c = 2 / (setting.a * k**2)
    if setting.rho == 0:
        return (1 - extinct**2) * w0**2 / (2 * c)
    c /= setting.rho
    return math.log((w0**2 + c) / ((extinct * w0) ** 2 + c)) / (2 * setting.rho)


def equal(k, w0, h=4):
    w = w0 * (np.arange(h) < k)
    return w, w**2


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("rho", [0.0, 0.4])
def test_extinction_with_coupled_norms(k, rho):
    setting, w0 = Setting(h=4, d=4, sigma2=0.6, rho=rho), 0.7
    limit = time_of_extinction(k, w0, setting)
    with_decay = math.log(1 + rho * 1.6 * k**2 * w0**2 / 2) / (2 * rho) if rho else 1.6 * k**2 * w0**2 / 4
    assert limit == pytest.approx(with_decay, rel=ROUNDING)  # the formulas of section 13
    fractions = np.array([0.1, 0.03, 0.01, 0.003])
    times = []
    for extinct in fractions:
        run = integrate(*equal(k, w0), setting, 3 * limit, extinct=float(extinct), rtol=1e-10)
        times.append(run.extinct_at)
        assert run.t[-1] == run.extinct_at
        # w falls like a square root: a time error of 1e-8 is one of 1e-8 / extinct^2 in size
        assert run.w[-1].max() == pytest.approx(extinct * w0, rel=1e-3)
        assert run.extinct_at == pytest.approx(time_of_extinction(k, w0, setting, extinct), rel=1e-7)
    slope = np.polyfit(np.log(fractions), np.log(limit - np.array(times)), 1)[0]
    assert abs(slope - 2) < 0.02  # the missing time is of second order; the next order is rho times smaller again
    assert integrate(*equal(k, w0), setting, 0.9 * limit).extinct_at is None
    alive = integrate(*equal(k, w0), setting, 3 * limit, closure="leading")  # the middle term is the cause
    np.testing.assert_allclose(alive.w[-1][:k], w0 * math.exp(-rho * 3 * limit), rtol=1e-5)


def test_a_run_reaches_to_where_sizes_leave_the_floating_point_range():
    """Up to rho t = 350, as the message says; equal modes only shrink."""
    setting = Setting(h=2, d=2, rho=5.0)
    run = integrate(np.ones(2), np.ones(2), setting, 70.0, "leading", extinct=0.0)
    np.testing.assert_allclose(run.w[-1], math.exp(-350.0), rtol=1e-9)
    with pytest.raises(ValueError, match=r"^t_end = 70\.1: rho t_end must be at most 350"):
        integrate(np.ones(2), np.ones(2), setting, 70.1, "leading")


@pytest.mark.parametrize("k", [1, 3])
def test_equal_negative_modes_grow_with_coupled_norms(k):
    """The trace defect has the sign of -w: |w|^2 = w0^2 + 4 t / (a k^2), and at rho > 0 it tends to 2 / (rho a k^2)."""
    setting, (w, phi) = Setting(h=4, d=4, sigma2=0.6), equal(k, -0.7)
    run = integrate(w, phi, setting, 5.0)
    np.testing.assert_allclose(run.w[-1][:k] ** 2, 0.49 + 4 * 5.0 / (1.6 * k**2), rtol=1e-6)
    rest = integrate(w, phi, setting.with_(rho=0.5), 20.0)
    np.testing.assert_allclose(rest.w[-1][:k], -math.sqrt(2 / (0.5 * 1.6 * k**2)), rtol=1e-6)


@FLOWS
@given(seeds, st.floats(1.5, 10.0))
def test_frozen_collapse_is_exponential(seed, over):
    """Above the critical weight decay every positive mode dies, at last like exp(-rho t)."""
    rng = np.random.default_rng(seed)
    w = rng.uniform(0.1, 2.0, 3)
    setting = Setting(h=3, d=3, sigma2=0.6)
    setting = setting.with_(rho=over * critical_rho(FROZEN, setting))
    assert regime(FROZEN, setting) == "Collapse"
    early, late = (integrate(w, w**2, setting, 1e4, frozen=FROZEN, extinct=e).extinct_at for e in (1e-6, 1e-9))
    # by then the rest of the field is some 1e-6 of rho w
    assert late - early == pytest.approx(math.log(1e3) / setting.rho, rel=1e-4)


@pytest.mark.parametrize("rho", [0.0, 0.1])
def test_modes_go_where_the_equilibria_say(rho):
    """A mode just beside an unstable equilibrium leaves it towards the neighbour that is stable on that side."""
    setting, N = Setting(h=1, d=1, sigma2=1.0, rho=rho), Norms(1.0, 1.0, 0.3)
    points = {e.name: e.w for e in equilibria(N, setting)}
    low, high = points["w_down_minus"], points["w_up"]

    def end(w):
        return integrate(np.array([w]), np.array([w * w]), setting, 400.0, frozen=N, extinct=0.0).w[-1, 0]

    assert end(1.3 * high) == pytest.approx(high, rel=1e-6)
    assert end(0.9 * high) == pytest.approx(high, rel=1e-6)
    assert abs(end(0.99 * low)) < (1e-10 if rho else 0.02)  # at rho = 0 like -1 / (kappa t)
    if rho:
        middle = points["w_down_plus"]
        assert end(1.01 * middle) == pytest.approx(high, rel=1e-6)
        assert abs(end(0.99 * middle)) < 1e-10
    else:
        assert end(0.05) == pytest.approx(high, rel=1e-6)


@pytest.mark.parametrize("rho", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("below", [1.05, 2.0, 1000.0])
def test_blow_up_is_an_error_and_tells_the_time(rho, below):
    """Below w_down_minus a frozen mode reaches minus infinity in finite time: the integral of dw / velocity."""
    setting = Setting(h=2, d=2, sigma2=1.0, rho=rho)
    w0 = below * equilibria(FROZEN, setting)[0].w
    # w = w0 / y maps the time to blow-up to an integral over (0, 1)
    wait = quad(lambda y: -(w0 / y**2) / parabola_velocity(w0 / y, FROZEN, setting), 1e-9, 1.0, epsrel=1e-10)[0]
    w = np.array([w0, 0.2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FlowEnded, match="a mode blows up") as error:
            integrate(w, w**2, setting, 50.0, frozen=FROZEN)
        assert error.value.t == pytest.approx(abs(wait), rel=1e-4)
        assert error.value.why == "a mode blows up"
        integrate(w, w**2, setting, 0.9 * abs(wait), frozen=FROZEN, extinct=0.0)


@pytest.mark.parametrize("rho", [0.0, 0.2])
def test_breakdown_with_coupled_norms_is_an_error(rho):
    """From a random state off the parabola the coupled paper closure runs into Psi = 0 in finite time."""
    rng = np.random.default_rng(0)
    w, phi = rng.standard_normal(6), rng.uniform(0, 1, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FlowEnded, match=r"could not be integrated beyond t = [12]\.\d+: Phi or Psi vanishes"):
            integrate(w, phi, Setting(h=6, d=6, rho=rho), 300.0)


# Arguments ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, words",
    [
        ({"w0": np.ones(3)}, r"^w0: has shape \(3,\), must have shape \(2\)"),
        ({"w0": np.array([1.0, math.nan])}, "^w0: has 1 entries"),
        ({"w0": np.zeros(2)}, "^w0: is zero"),
        ({"phi0": np.ones((2, 1))}, "^phi0: has shape"),
        ({"phi0": np.array([1.0, math.inf])}, "^phi0: has 1 entries"),
        ({"phi0": np.array([1.0, -1e-9])}, "^phi0: must have no negative entry, but the smallest is -1e-09"),
        ({"phi0": np.zeros(2)}, r"^N_Phi = 0\.0"),
        ({"w0": np.array([1.0, 0.0]), "phi0": np.array([0.0, 1.0])}, r"^N_Psi = 0\.0"),
        ({"t_end": 0.0}, r"^t_end = 0\.0: must be a finite number > 0"),
        ({"t_end": math.inf}, "^t_end = inf"),
        ({"rtol": 0}, "^rtol = 0: must be a finite number > 0"),
        ({"rtol": math.nan}, "^rtol = nan"),
        ({"extinct": -1e-3}, r"^extinct = -0\.001: must be a finite number >= 0"),
        ({"extinct": 1.0}, r"^extinct = 1\.0: must be a number >= 0 and < 1"),
        ({"extinct": math.nan}, "^extinct = nan"),
        ({"closure": "cubic"}, "^closure = 'cubic': must be one of paper, leading"),
    ],
)
def test_integrate_refuses(change, words):
    good = {"w0": np.ones(2), "phi0": np.ones(2), "setting": Setting(h=2, d=2), "t_end": 0.1}
    assert integrate(**good).t[-1] == 0.1
    with pytest.raises(ValueError, match=words):
        integrate(**good | change)


def test_velocity_refuses():
    with pytest.raises(ValueError, match=r"^closure = 'cubic': must be one of paper, leading"):
        velocity(np.ones(2), np.ones(2), Setting(h=2, d=2), "cubic")
    for w, phi, words in ((np.ones(2), np.zeros(2), "^N_Phi = 0"), (np.zeros(2), np.ones(2), "^N_Psi = 0")):
        with pytest.raises(ValueError, match=words):
            velocity(w, phi, Setting(h=2, d=2))


TWO = Setting(h=2, d=2)
ONES = np.ones(2)
MODE_CALLS = {
    "mode_norms": mode_norms,
    "rate_terms": lambda w, phi: rate_terms(w, phi, FROZEN, TWO),
    "second_order_rate": lambda w, phi: second_order_rate(w, phi, TWO),
    **{f"rate {c}": lambda w, phi, c=c: rate(w, phi, TWO, c) for c in EIGEN_CLOSURES},
    **{f"velocity {c}": lambda w, phi, c=c: velocity(w, phi, TWO, c) for c in EIGEN_CLOSURES},
    "velocity frozen": lambda w, phi: velocity(w, phi, TWO, frozen=FROZEN),
}


@pytest.mark.parametrize("call", MODE_CALLS.values(), ids=MODE_CALLS)
@pytest.mark.parametrize(
    "w, phi, words",
    [
        ([1.0, math.nan], ONES, "^w: has 1 entries"),
        (ONES, [math.inf, 1.0], "^phi: has 1 entries"),
        (ONES, [-1.0, 2.0], "^phi: must have no negative entry, but the smallest is -1"),
        (ONES, np.ones(3), r"^phi: has shape \(3,\)"),
        (np.ones((2, 2)), ONES, "^w: has shape"),
        (1j * ONES, ONES, "^w: must be an array of real numbers"),
        (ONES, ["1", "1"], "^phi: must be an array of real numbers"),
    ],
)
def test_modes_are_refused(call, w, phi, words):
    call([1.0, 0.5], ONES)
    call([1.0, 0.5], [1.0, -1e-18])  # rounding, as integrators produce it
    with pytest.raises(ValueError, match=words):
        call(w, phi)


@pytest.mark.parametrize("name", [name for name in MODE_CALLS if name != "mode_norms"])
def test_number_of_modes_is_that_of_the_setting(name):
    with pytest.raises(ValueError, match=r"^w: has shape \(5,\), must have shape \(2\)"):
        MODE_CALLS[name](np.ones(5), np.ones(5))


@pytest.mark.parametrize(
    "w, N, words",
    [
        (math.nan, FROZEN, "^w: has 1 entries"),
        ([1.0, math.inf], FROZEN, "^w: has 1 entries"),
        ("1", FROZEN, "^w: must be an array of real numbers"),
        (1j, FROZEN, "^w: must be an array of real numbers"),
        (1e60, FROZEN, "^w, N: too large"),
        (1.0, Norms(1e308, 1e100, 1.0), "^w, N: too large"),
        (1.0, Norms(1.0, 1e-200, 1.0), "^w, N: too large"),
    ],
)
def test_parabola_velocity_refuses(w, N, words):
    with pytest.raises(ValueError, match=words):
        parabola_velocity(w, N, TWO)
