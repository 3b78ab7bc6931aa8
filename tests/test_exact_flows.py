"""The flows that exact moments drive: the population flow, the closures of a mode's rate, terminal states, surveys."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from featnorm import eigen_flow, matrix_flow, surveys
from featnorm.eigen_flow import (
    EIGEN_CLOSURES,
    integrate,
    rate,
    second_order_rate,
    terminal_state,
    terminal_state_matrix,
    velocity,
    water_level,
)
from featnorm.equilibria import rational_field, sturm_counts
from featnorm.matrix_flow import H_closure, clock, gradient_flow, population_flow, unclock
from featnorm.normalized_moments import FollowedMoments, cosine_field_expected, diagonal_moments
from featnorm.setting import Norms, Setting, initialize, norms, views
from featnorm.surveys import assumption_4_ends, commuting_start, terminal_states

RTOL = 1e-8
SOLVER = 1e3 * RTOL  # steps and conditioning
seeds = st.integers(0, 2**32 - 1)


# --- Population flow -------------------------------------------------------------------------------------------------


def start(seed: int, h: int = 4, d: int = 7, rho: float = 0.3) -> tuple[Setting, np.ndarray, np.ndarray]:
    setting = Setting(h=h, d=d, sigma2=0.7, rho=rho)
    W, Phi = initialize(setting, np.random.default_rng(seed))
    return setting, W + np.eye(h), Phi


@pytest.mark.parametrize("seed", range(3))
def test_population_flow_by_the_clock_is_the_equation_as_it_stands(seed):
    """Integrated without decay and rescaled, against the equation with decay by another method, from t = 0.5 on."""
    setting, W, Phi = start(seed)
    t = np.linspace(0.5, 2.5, 5)
    run = population_flow(W, Phi, setting, t, rtol=RTOL)
    direct = population_flow(W, Phi, setting, t, rtol=RTOL, direct=True)
    np.testing.assert_allclose(run.W, direct.W, atol=SOLVER)
    np.testing.assert_allclose(run.Phi, direct.Phi, atol=SOLVER)
    h, y0 = setting.h, np.concatenate([W.ravel(), Phi.ravel()])

    def velocity(time, y):
        parts = y[: h * h].reshape(h, h), y[h * h :].reshape(h, -1)
        fields = cosine_field_expected(*parts, setting)
        return np.concatenate([(f - setting.rho * part).ravel() for f, part in zip(fields, parts)])

    plain = solve_ivp(velocity, (t[0], t[-1]), y0, method="RK45", rtol=1e-8, atol=1e-10).y[:, -1]
    np.testing.assert_allclose(np.concatenate([run.W[-1].ravel(), run.Phi[-1].ravel()]), plain, atol=SOLVER)


@pytest.mark.parametrize("convert", [clock, unclock])
def test_clocks_refuse(convert):
    with pytest.raises(ValueError, match=r"rho = -0\.1"):
        convert(1.0, -0.1)
    with pytest.raises(ValueError, match="rho = nan"):
        convert(1.0, np.nan)
    with pytest.raises(ValueError, match="too large or too small"):
        convert({clock: 1e4, unclock: -1.0}[convert], 1.0)  # beyond the range; a clock never shows -1 / (2 rho) or less


def test_a_flow_that_ends_in_rank_one_says_that_it_stopped(monkeypatch):
    """After the start a state without a field is no bad argument."""
    seen = []

    def field(*arguments):
        seen.append(1)
        if len(seen) > 20:
            raise ValueError("W, F: W F W^T has rank one")
        return cosine_field_expected(*arguments)

    monkeypatch.setattr(matrix_flow, "cosine_field_expected", field)
    setting, W, Phi = start(0)
    with pytest.raises(RuntimeError, match=r"stopped near t = .*rank one"):
        population_flow(W, Phi, setting, [0.0, 100.0])


@pytest.mark.parametrize("seed", range(3))
def test_population_flow_obeys_the_exact_laws(seed):
    """Of the equation as it stands: integrated by the clock the norm law would be built in. W need not be symmetric."""
    setting, W, Phi = start(seed)
    W = W + seed * np.triu(np.full_like(W, 0.2), 1)
    t = np.linspace(0.0, 2.0, 5)
    run = population_flow(W, Phi, setting, t, rtol=RTOL, direct=True)
    for part in (run.W, run.Phi):
        size = np.linalg.norm(part, axis=(1, 2))
        np.testing.assert_allclose(size * np.exp(setting.rho * t), size[0], rtol=SOLVER)
    offset = np.swapaxes(run.W, 1, 2) @ run.W - run.Phi @ np.swapaxes(run.Phi, 1, 2)
    np.testing.assert_allclose(offset, np.exp(-2 * setting.rho * t)[:, None, None] * offset[0], atol=SOLVER)
    assert max(run.drift().Phi, run.drift().W, run.drift().balance) < SOLVER


def test_drift_sees_a_broken_law():
    setting, W, Phi = start(0)
    run = population_flow(W, Phi, setting, [0.0, 1.0], rtol=RTOL)
    broken = replace(run, W=run.W * np.array([1.0, 1.01])[:, None, None])
    assert broken.drift().W == pytest.approx(1.01**2 - 1, rel=1e-3)
    assert broken.drift().Phi < SOLVER < 1e-3 < broken.drift().balance


@pytest.mark.parametrize("loss", ["cosine", "l2"])
def test_flows_on_samples_approach_the_population_flow(loss):
    """The distance falls like n^-1/2: from n to 16 n by a factor of 4, accepted from 4 / 2.5 to 4 * 2.5."""
    setting, W, Phi = start(1, h=6, d=6)
    end = population_flow(W, Phi, setting, [0.0, 0.3], loss, rtol=RTOL).W[-1]
    gaps = []
    for n in (400, 6_400):
        errors = []
        for seed in range(12):
            x, x1 = views(setting, n, np.random.default_rng(seed))
            run = gradient_flow(W, Phi, x, x1, setting.rho, [0.0, 0.3], loss, rtol=1e-6)
            errors.append(np.sum((run.W[-1] - end) ** 2))
        gaps.append(np.sqrt(np.mean(errors)))
    assert 4 / 2.5 < gaps[0] / gaps[1] < 4 * 2.5
    other = population_flow(W, Phi, setting, [0.0, 0.3], "l2" if loss == "cosine" else "cosine").W[-1]
    assert np.linalg.norm(other - end) > 3 * gaps[0]  # and it is not the flow of the other loss


@pytest.mark.parametrize("rho, survives", [(0.1, True), (0.2, False)])
def test_population_l2_flow_has_its_threshold(rho, survives):
    """On the parabola a mode ends at w_+ below rho = 1 / (4 a) = 1/8, and at zero above."""
    setting = Setting(h=1, d=1, sigma2=1.0, rho=rho)
    w = population_flow([[0.6]], [[0.6]], setting, [0.0, 300.0], "l2", rtol=RTOL).W[-1].item()
    w_plus = (1 + np.sqrt(max(0.0, 1 - 8 * rho))) / 4
    assert w == pytest.approx(w_plus if survives else 0.0, abs=SOLVER)


@given(t=st.floats(0, 50), rho=st.just(0.0) | st.floats(1e-9, 2))
def test_clock_and_its_inverse(t, rho):
    assert float(unclock(clock(t, rho), rho)) == pytest.approx(t, rel=1e-12, abs=1e-12)
    assert t < 1e-200 or float(clock(t, rho)) >= t * (1 - 1e-12)


def test_where_W_stays_symmetric_by_itself_taking_its_symmetric_part_changes_nothing():
    setting = Setting(h=3, d=5, sigma2=0.7, rho=0.3)
    W, Phi = np.diag([0.9, 1.4, 0.5]), np.eye(3, 5) * np.array([[0.8], [1.1], [1.5]])  # they commute
    t = np.array([0.0, 0.7, 2.0])
    for options in ({}, {"direct": True}, {"closure": "paper"}):
        raw = population_flow(W, Phi, setting, t, rtol=RTOL, **options)
        symmetric = population_flow(W, Phi, setting, t, rtol=RTOL, symmetrised=True, **options)
        np.testing.assert_allclose(symmetric.W, raw.W, atol=1e2 * RTOL)
        np.testing.assert_allclose(symmetric.Phi, raw.Phi, atol=1e2 * RTOL)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"loss": "huber"}, "loss = 'huber'"),
        ({"times": [0.0, 2.0, 1.0]}, "times: "),
        ({"W0": np.zeros((4, 3))}, "W"),
        ({"W0": np.triu(np.ones((4, 4))), "symmetrised": True}, "W0: must be symmetric"),
    ],
)
def test_population_flow_refuses(change, words):
    setting, W, Phi = start(0)
    arguments = {"W0": W, "Phi0": Phi, "setting": setting, "times": [0.0, 1.0], **change}
    with pytest.raises(ValueError, match=words):
        population_flow(**arguments)


# --- Laws and speed of the exact eigenvalue flow ---------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0.0, 0.05])
def test_the_exact_eigenvalue_flow_keeps_its_laws_and_is_accurate(rho):
    """Drift of the norm and balance laws, and the distance from a run of a hundredth of the tolerance."""
    setting = Setting(h=32, d=64, sigma2=1.0, rho=rho)
    w, phi = commuting_start(setting, np.random.default_rng(4))
    t_end = float(unclock(4000.0, rho))
    run, tight = (integrate(w, phi, setting, t_end, "exact", extinct=0.0, rtol=r) for r in (1e-7, 1e-9))
    drift = run.drift()
    assert max(drift.Phi, drift.W, drift.balance) < 1e-4  # rtol times 1e3
    assert max(tight.drift().Phi, tight.drift().W) < 0.1 * max(drift.Phi, drift.W)
    assert np.abs(run.phi[-1] - tight.phi[-1]).max() < 1e-4 * tight.phi[-1].max()
    paper = integrate(w, phi, setting, float(unclock(40.0, rho)), "paper", extinct=0.0).drift()
    assert paper.Phi > 1e-3 and paper.balance < 1e-6  # the closure has a trace, and keeps the balance


def test_few_nodes_are_chosen_along_a_trajectory(monkeypatch):
    """h = 64 to s = 20,000 in about half a second; counted, since clocks are noisy: nodes chosen once in 20 states."""
    setting = Setting(h=64, d=128, sigma2=1.0)
    made = []

    class Counted(FollowedMoments):
        states = 0

        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

        def __call__(self, *state):
            self.states += 1
            return super().__call__(*state)

    monkeypatch.setattr(eigen_flow, "FollowedMoments", Counted)
    start = commuting_start(setting, np.random.default_rng(0))
    integrate(*start, setting, 2e4, "exact", extinct=0.0, rtol=1e-8)
    assert made[0].planned < made[0].states / 20 and made[0].states < 5000


# --- Rates -----------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_second_order_rate_conserves_the_norm(seed):
    rng = np.random.default_rng(seed)
    w, phi = rng.standard_normal(6), rng.exponential(size=6)
    setting = Setting(h=6, d=6, sigma2=0.5)
    k = second_order_rate(w, phi, setting)
    assert abs(w @ k) < 1e-12 * np.abs(w * k).sum() + 1e-14  # sum of H_jj
    assert abs(w @ rate(w, phi, setting, "paper")) > 1e-10  # the closure of Lemma 4 does not


@pytest.mark.parametrize("closure", EIGEN_CLOSURES)
def test_H_has_no_unit_so_the_rate_scales_with_one_over_w(closure):
    setting = Setting(h=4, d=4, sigma2=0.5)
    w, phi = np.array([1.0, -0.5, 0.3, 2.0]), np.array([1.0, 0.2, 0.7, 0.1])
    k = rate(w, phi, setting, closure)
    for c, e in ((1e-3, 1e5), (7.0, 1e-4)):
        np.testing.assert_allclose(c * rate(c * w, e * phi, setting, closure), k, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("a", [1.1, 3.0])
@pytest.mark.parametrize("closure, order", [("leading", 1), ("paper", 1), ("second_order", 2)])
def test_closures_miss_the_exact_rate_by_their_order_in_one_over_h(closure, order, a):
    """With bounded shares; signs of w and off the parabola, so that no sum of the second order vanishes."""
    misses, hs = [], np.array([32, 128, 512])
    for h in hs:
        x, setting = np.linspace(0.0, 1.0, h), Setting(h=int(h), d=int(h), sigma2=a - 1)
        w, phi = np.cos(5 * x) + 0.4, 0.3 + x**2
        exact = diagonal_moments(w, phi, setting, 1e-13).k
        misses.append(np.linalg.norm(rate(w, phi, setting, closure) - exact) / np.linalg.norm(exact))
    assert np.diff(np.log(misses)) / np.diff(np.log(hs)) == pytest.approx([-order, -order], abs=0.1)


def test_exact_rate_and_matrix_agree():
    setting = Setting(h=4, d=4, sigma2=0.5)
    w, phi = np.array([1.0, -0.5, 0.3, 2.0]), np.array([1.0, 0.2, 0.7, 0.1])
    H = H_closure(np.diag(w), np.diag(np.sqrt(phi)), setting, "exact")
    np.testing.assert_allclose(np.diag(H), w * rate(w, phi, setting, "exact"), atol=1e-9)
    np.testing.assert_allclose(H, np.diag(np.diag(H)), atol=1e-9)


@pytest.mark.parametrize("closure", ["exact", "second_order"])
def test_closures_without_a_frozen_form_say_so(closure):
    with pytest.raises(ValueError, match=f"frozen: the closure '{closure}'"):
        velocity(np.ones(2), np.ones(2), Setting(h=2, d=2), closure, Norms(1, 1, 0))


# --- Terminal states -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "c, total, words",
    [([], 1.0, "c: has no entries"), ([1.0], -1.0, "total = -1.0"), ([np.nan], 1.0, "c: has 1 entries")],
)
def test_water_level_refuses(c, total, words):
    with pytest.raises(ValueError, match=words):
        water_level(np.array(c), total)


@given(c=st.lists(st.floats(-10, 10), min_size=1, max_size=8), total=st.floats(1e-3, 100))
def test_water_level_holds_the_water(c, total):
    c = np.array(c)
    assert np.maximum(water_level(c, total) + c, 0).sum() == pytest.approx(total, rel=1e-9, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_terminal_state_conserves_what_the_flow_conserves(seed):
    w, phi = commuting_start(Setting(h=7, d=14), np.random.default_rng(seed))
    end = terminal_state(w, phi)
    assert end.phi.sum() == pytest.approx(phi.sum(), rel=1e-12)
    alive = end.phi > 0
    np.testing.assert_allclose((end.phi - end.w**2)[alive], (phi - w**2)[alive], atol=1e-10)
    assert (end.w[alive] == end.w_bar).all()
    np.testing.assert_array_equal(np.sign(end.w[~alive]), np.sign(w[~alive]))


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_terminal_matrix_of_a_commuting_start(seed):
    """In any basis it is the terminal state; without the sign rule every mode may live, and the level says which do."""
    rng = np.random.default_rng(seed)
    w, phi = commuting_start(Setting(h=7, d=14), rng)
    Q = np.linalg.qr(rng.standard_normal((7, 7)))[0]
    W, Phi = (Q * w) @ Q.T, Q * np.sqrt(phi)
    end, c = terminal_state(w, phi), phi - w**2
    found = terminal_state_matrix(W, Phi)
    np.testing.assert_allclose(found.F, (Q * end.phi) @ Q.T, atol=1e-9 * phi.sum())
    assert found.w_bar == pytest.approx(end.w_bar, rel=1e-9)
    level = water_level(c, phi.sum())
    free = terminal_state_matrix(W, Phi, sign_rule=False)
    np.testing.assert_allclose(free.phi, np.sort(np.maximum(level + c, 0)), atol=1e-9 * phi.sum())


def test_terminal_state_of_the_exact_flow_is_near():
    setting = Setting(h=16, d=32)
    w, phi = commuting_start(setting, np.random.default_rng(3))
    end = integrate(w, phi, setting, 2e4, "exact", extinct=0.0, rtol=1e-6).phi[-1]
    gap = np.abs(end - terminal_state(w, phi).phi).sum() / phi.sum()
    wrong = np.abs(end - phi.mean()).sum() / phi.sum()  # all modes equal
    assert gap < 2 / setting.h < wrong  # of order 1/h


@pytest.mark.parametrize(
    "w, phi, words",
    [([-1.0, -2.0], [1.0, 1.0], "w0: must have a positive entry"), ([1.0, 2.0], [1.0, 0.0], "phi0: must be positive")],
)
def test_terminal_state_refuses(w, phi, words):
    with pytest.raises(ValueError, match=words):
        terminal_state(np.array(w), np.array(phi))


def test_a_longer_survey_begins_with_the_shorter_one():
    short, long = (terminal_states(3, starts, seed=1) for starts in (1, 2))
    for name in short:
        np.testing.assert_array_equal(short[name][0], long[name][0])
    assert not np.array_equal(long["w0"][0], long["w0"][1])


def test_survey_of_assumption_4_ends_keeps_what_the_flow_conserves(monkeypatch):
    monkeypatch.setattr(surveys, "RATIOS", (8,))  # where the flow is quickest

    def shorter(W, Phi, setting, s, **options):  # to s = h^2 for 40 h^2: past learning, before the stiff end
        return population_flow(W, Phi, setting, s / 40, **options)

    monkeypatch.setattr(surveys, "population_flow", shorter)
    train = surveys._trained  # for a time of 4: its own accuracy is tested with the trainer
    monkeypatch.setattr(
        surveys, "_trained", lambda setting, W, Phi, time, seed: train(setting, W, Phi, time // 16, seed)
    )
    arrays = assumption_4_ends(4, 1, 1, seed=0)
    assert 0 < arrays["drift"].max() < 1e-4
    assert arrays["commutator_kept"][0, 0, -1] < arrays["commutator"][0, 0, -1]
    assert arrays["asymmetry"][0, 0, -1] > 1e-3  # it has moved
    assert arrays["F"].shape == arrays["F_trained"].shape == (1, 1, 4, 4)
    np.testing.assert_allclose(
        np.trace(arrays["F"], axis1=2, axis2=3), np.trace(arrays["F0"], axis1=2, axis2=3), rtol=1e-4
    )
    assert (arrays["asymmetry"][..., 0] < 1e-12).all() and (arrays["turned_W"][..., 0] < 1e-12).all()


# --- Counts and limits -----------------------------------------------------------------------------------------------


def test_exact_root_count_of_known_polynomials():
    setting = Setting(h=1, d=1, sigma2=1.0, rho=0.1)
    assert sturm_counts(rational_field(Norms(1, 1, 0), setting))[1] == 2
    assert sturm_counts(rational_field(Norms(1, 1, 0), setting.with_(rho=0.5)))[1] == 0


def test_diagonal_moments_and_population_norms_are_consistent():
    """E cos tends to N_x / a as equal modes grow in number: 1 / a here, from below, with a gap of order 1 / k."""
    gaps = [0.5 - diagonal_moments(np.ones(k), np.ones(k), 1.0).cosine for k in (50, 100, 200)]
    slopes = np.diff(np.log(gaps)) / np.log(2)
    assert (np.abs(slopes + 1) < 0.1).all()
    assert norms(np.eye(2), np.eye(2)).N_x == pytest.approx(1.0)
