"""The room of SimSiam's relatives: laws against autodiff, against SimSiam's own flows, and against closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featnorm import relatives
from featnorm.claims.relatives import CIRCULANT, off_manifold
from featnorm.eigen_flow import rate
from featnorm.equilibria import l2_velocity
from featnorm.matrix_flow import cosine_field
from featnorm.relatives import (
    LOSSES,
    METHODS,
    Predictor,
    Relative,
    Vicreg,
    barlow_field,
    barlow_loss,
    barlow_rate,
    byol_rates,
    critical_decay,
    follow_features,
    follow_modes,
    force,
    l2_equilibria,
    mode_velocity,
    momentum_field,
    vicreg_equilibrium,
    vicreg_field,
    vicreg_loss,
    vicreg_rate,
)
from featnorm.setting import Setting, views
from featnorm.simsiam.relatives import Features, train_replicas

FOUR = Setting(h=4, d=6, sigma2=0.7)
POSITIVE = st.floats(0.2, 2.0)
MODES = st.lists(POSITIVE, min_size=4, max_size=4).map(np.array)
WEIGHTS = Vicreg(2.0, 3.0, 0.5, 0.01)


# --- The force -------------------------------------------------------------------------------------------------------


@given(w=MODES, p=MODES)
@settings(max_examples=20, deadline=None)
def test_without_lag_the_force_is_that_of_simsiam(w, p):
    """k_j = p_j g_j for the closures of `eigen_flow`, and Eq. 8 on the parabola."""
    for loss in ("leading", "exact"):
        np.testing.assert_allclose(p * force(w, p, p, FOUR, loss), rate(w, p**2, FOUR, loss), rtol=1e-9, atol=1e-10)
    on = mode_velocity(Relative("simsiam", "l2"), w, w, w, FOUR)[0]
    np.testing.assert_allclose(on, l2_velocity(w, FOUR), rtol=1e-12, atol=1e-14)


@given(w=MODES, p=MODES, r=MODES, c=POSITIVE)
@settings(max_examples=20, deadline=None)
def test_the_cosine_force_does_not_see_the_size_of_the_target(w, p, r, c):
    for loss in ("leading", "exact"):
        g = force(w, p, r, FOUR, loss)
        np.testing.assert_allclose(force(w, p, c * r, FOUR, loss), g, rtol=1e-7, atol=1e-9)
        assert abs(np.sum(w * p * g)) < 1e-9  # no force along the output: the norm law


def test_exact_force_with_a_lagging_target_against_monte_carlo():
    """E[G x] by sampling the field of BYOL, whose diagonal is w' = p g."""
    w, p, r = np.array([0.5, -0.3, 1.2, 0.8]), np.array([1.0, 0.6, 0.4, 0.8]), np.array([0.3, 0.9, 0.5, 1.0])
    g = force(w, p, r, FOUR, "exact")
    rng = np.random.default_rng(0)
    Phi, Target = (np.pad(np.diag(v), ((0, 0), (0, 2))) for v in (p, r))
    blocks = np.array([np.diag(momentum_field(np.diag(w), Phi, Target, *views(FOUR, 4000, rng))[0]) for _ in range(64)])
    z = (blocks.mean(axis=0) - p * g) / (blocks.std(axis=0, ddof=1) / 8)
    assert np.abs(z).max() < 6


def test_momentum_field_of_a_copy_is_that_of_simsiam():
    rng = np.random.default_rng(1)
    W, Phi = rng.standard_normal((4, 4)), rng.standard_normal((4, 6))
    x, x1 = views(FOUR, 50, rng)
    for ours, theirs in zip(momentum_field(W, Phi, Phi, x, x1), cosine_field(W, Phi, x, x1)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


# --- Flows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_directpred_is_simsiam_in_another_time(power):
    """w' = 2 power (w^2 (1 - a w) - rho w), for every power."""
    setting = Setting(h=1, d=1, sigma2=1.0, rho=0.05)
    rule = Predictor(power=power)
    p0 = np.array([0.6])
    run = follow_modes(Relative("directpred", "l2", predictor=rule), p0, setting, [0.0, 5.0])
    w0 = rule.of(p0**2, 2.0)
    simsiam = follow_modes(Relative("simsiam", "l2"), w0, setting, [0.0, 10.0 * power], w0=w0)
    assert run.w[-1, 0] == pytest.approx(simsiam.w[-1, 0], rel=1e-7)


@given(beta=st.floats(0.05, 5.0), sigma2=st.floats(0.2, 3.0), part=st.floats(0.1, 0.95))
@settings(max_examples=30, deadline=None)
def test_byol_rates_are_the_eigenvalues_of_the_jacobian(beta, sigma2, part):
    """Against a numerical Jacobian of the two variables on the parabola."""
    setting = Setting(h=1, d=1, sigma2=sigma2, rho=part / (4 * (1 + sigma2)))
    kind = Relative("byol", "l2", beta=beta)
    for w, stable in zip(l2_equilibria(setting), (False, True)):

        def slope(y):
            dw, _, dr = mode_velocity(kind, y[:1], y[:1], y[1:], setting)
            return np.array([dw[0], dr[0]])

        step = 1e-5 * w
        columns = [(slope(w + step * e) - slope(w - step * e)) / (2 * step) for e in np.eye(2)]
        found = np.sort(np.linalg.eigvals(np.array(columns).T).real)
        np.testing.assert_allclose(found, np.sort(byol_rates(w, setting, beta)), rtol=1e-5, atol=1e-8)
        assert (found.max() < 0) == stable


def test_l2_equilibria_are_the_roots_and_vanish_beyond_the_fold():
    """The roots add up to 1 / a and their product is rho / a; above rho = 1 / (4 a) there is none, and no warning."""
    for rho in (0.01, 0.1, 0.125):
        low, high = l2_equilibria(Setting(h=1, d=1, sigma2=1.0, rho=rho))
        assert low + high == pytest.approx(0.5, rel=1e-12) and low * high == pytest.approx(rho / 2, rel=1e-12)
    with np.errstate(all="raise"):
        for rho in (0.1251, 0.3, 5.0):
            assert np.isnan(l2_equilibria(Setting(h=1, d=1, sigma2=1.0, rho=rho))).all()


def test_a_slow_target_is_slow_by_the_law():
    setting = Setting(h=1, d=1, sigma2=1.0, rho=0.1)
    w = l2_equilibria(setting)[1]
    for beta in (1e-4, 1e-5):
        assert byol_rates(w, setting, beta)[1] == pytest.approx(-beta * (1 - 1 / (4 * w)), rel=20 * beta)


def test_a_fast_target_is_simsiam():
    p0, w0, t = np.array([0.9, 0.7, 0.5, 0.4]), np.array([0.5, 0.8, 0.4, 0.6]), [0.0, 3.0]
    simsiam = follow_modes(Relative("simsiam", "exact"), p0, FOUR, t, w0=w0)
    gaps = []
    for beta in (100.0, 200.0):
        byol = follow_modes(Relative("byol", "exact", beta=beta), p0, FOUR, t, w0=w0)
        gaps.append(np.abs(byol.p[-1] - simsiam.p[-1]).max())
    assert gaps[1] == pytest.approx(gaps[0] / 2, rel=0.1)  # the lag is of order 1 / beta


@pytest.mark.parametrize("ratio", [0.5, 3.0])
def test_the_target_freezes_if_and_only_if_it_is_slower_than_the_decay(ratio):
    """1 - cosine between target and online net at rho t = 3 and 6: it settles at a positive value, or it falls."""
    setting, w0 = FOUR.with_(rho=0.2), np.array([0.5, 0.8, 0.4, 0.6])
    run = follow_modes(
        Relative("byol", "leading", beta=0.2 * ratio), np.array([0.9, 0.2, 0.5, 0.4]), setting, [0.0, 15.0, 30.0], w0=w0
    )
    cosine = np.sum(run.p * run.r, axis=1) / np.linalg.norm(run.p, axis=1) / np.linalg.norm(run.r, axis=1)
    if ratio < 1:
        assert 1 - cosine[2] > 0.5 * (1 - cosine[1]) > 1e-5
    else:
        assert 1 - cosine[2] < 0.3 * (1 - cosine[1])


def test_iso_norm_grows_by_its_law():
    """d log N_Phi / dt = kappa (1 - N_x^2) - rho, to leading order."""
    setting = FOUR.with_(rho=0.1)
    kind = Relative("isoloss", "leading", predictor=Predictor(normalised=True))
    p = np.array([0.9, 0.7, 0.5, 0.2])
    w = kind.predictor.of(p**2, setting.a)
    dw, dp, _ = mode_velocity(kind, w, p, p, setting)
    assert not dw.any()  # the predictor is set, nothing trains it
    N_Phi, N_Psi = np.linalg.norm(p), np.linalg.norm(w * p)
    N_x = np.sum(w * p**2) / (N_Phi * N_Psi)
    assert p @ dp / N_Phi**2 == pytest.approx((1 - N_x**2) / (setting.a * N_Phi * N_Psi) - 0.1, rel=1e-12)


# --- Barlow Twins and VICReg -----------------------------------------------------------------------------------------


def barlow_torch(Phi, a, off, normalised):
    F = Phi @ Phi.T
    size = F.diagonal().sqrt()
    C = F / (a * size[:, None] * size) if normalised else F
    return (1 - C.diagonal()).square().sum() + off * (C.square().sum() - C.diagonal().square().sum())


def vicreg_torch(Phi, sigma2, v):
    F, h = Phi @ Phi.T, len(Phi)
    a, S = 1 + sigma2, ((1 + sigma2) * (Phi @ Phi.T).diagonal() + v.epsilon).sqrt()
    off = F.square().sum() - F.diagonal().square().sum()
    return (
        2 * v.invariance * sigma2 * F.trace() + v.variance * (1 - S).relu().sum() + 2 * v.covariance * a**2 * off
    ) / h


FIELDS = {
    "barlow": (barlow_field, barlow_loss, lambda P: barlow_torch(P, FOUR.a, 0.3, True), (0.3, True)),
    "barlow plain": (barlow_field, barlow_loss, lambda P: barlow_torch(P, FOUR.a, 0.3, False), (0.3, False)),
    "vicreg": (vicreg_field, vicreg_loss, lambda P: vicreg_torch(P, FOUR.sigma2, WEIGHTS), (WEIGHTS,)),
}


@pytest.mark.parametrize("name", FIELDS)
def test_field_is_minus_the_gradient_of_the_population_loss(name):
    field, loss, autodiff, options = FIELDS[name]
    Phi = 0.3 * np.random.default_rng(2).standard_normal((4, 6))
    tensor = torch.tensor(Phi, requires_grad=True)
    value = autodiff(tensor)
    value.backward()
    assert loss(Phi, FOUR, *options) == pytest.approx(value.item(), rel=1e-12)
    np.testing.assert_allclose(field(Phi, FOUR, *options), -tensor.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_unless_told_otherwise_vicreg_has_the_weights_of_its_authors():
    """Bardes, Ponce and LeCun: 25 for the invariance, 25 for the variance, 1 for the covariance, sqrt(Var + 1e-4)."""
    assert Vicreg() == Vicreg(invariance=25.0, variance=25.0, covariance=1.0, epsilon=1e-4)


@pytest.mark.parametrize("name", FIELDS)
def test_population_loss_is_the_limit_of_the_batch_loss(name):
    """The trainer's loss on one large batch, to Monte Carlo accuracy: the step it makes at a tiny rate."""
    field, _, _, options = FIELDS[name]
    Phi = 0.3 * np.random.default_rng(2).standard_normal((4, 6))
    kind = (
        Features("vicreg", weights=WEIGHTS)
        if name == "vicreg"
        else Features("barlow", off_diagonal=0.3, normalised=name == "barlow")
    )
    lr = 1e-6
    run = train_replicas(kind, np.eye(4), Phi, FOUR, lr, 4000, 1, 24, seed=0)
    steps = (run.Phi - Phi) / lr
    z = (steps.mean(axis=0) - field(Phi, FOUR, *options)) / (steps.std(axis=0, ddof=1) / math.sqrt(24))
    assert np.abs(z).max() < 7  # Student, 23 degrees of freedom, 24 entries, and a bias of order 1 / 4000


@given(theta=st.lists(POSITIVE, min_size=2, max_size=2).map(np.array), size=POSITIVE)
@settings(max_examples=20, deadline=None)
def test_barlow_rate_is_that_of_the_matrix_flow_on_circulant_states(theta, size):
    """The derivative of R along the field, in the circulant basis."""
    spectrum = np.array([theta[0], theta[1], 1.0, 1.0])
    spectrum *= 4 / spectrum.sum()
    Phi = np.pad(size * (CIRCULANT * np.sqrt(spectrum)) @ CIRCULANT.T, ((0, 0), (0, 2)))
    velocity = barlow_field(Phi, FOUR, 0.3) @ Phi.T / size**2
    found = CIRCULANT.T @ (velocity + velocity.T) @ CIRCULANT
    np.testing.assert_allclose(found, np.diag(barlow_rate(spectrum, size, FOUR, 0.3)), rtol=1e-9, atol=1e-10)


def test_row_norms_follow_the_decay_under_barlow_twins():
    Phi0 = np.random.default_rng(3).standard_normal((4, 6))
    end = follow_features(lambda Phi: barlow_field(Phi, FOUR), Phi0, 0.4, [0.0, 2.0])[-1]
    ratio = np.linalg.norm(end, axis=1) / np.linalg.norm(Phi0, axis=1)
    np.testing.assert_allclose(ratio, np.exp(-0.8), rtol=1e-6)


@pytest.mark.parametrize("rho", [0.0, 2.0, 5.0, 50.0])
def test_vicreg_rests_at_its_equilibrium(rho):
    setting = FOUR.with_(rho=rho)
    p = vicreg_equilibrium(setting, WEIGHTS)
    assert (p > 0) == (rho < critical_decay("vicreg", setting, WEIGHTS))
    here, above, below = (vicreg_rate(np.full(4, q), setting, WEIGHTS)[0] for q in (p, 1.01 * p + 1e-3, 0.99 * p))
    hinge = math.isclose(setting.a * p**2 + WEIGHTS.epsilon, 1.0)
    assert hinge or abs(here) < 1e-12
    assert above < 0 and (below > 0 or p == 0)


def test_vicreg_rate_is_that_of_the_field_for_orthogonal_rows():
    p = np.array([0.1, 0.3, 0.5, 0.7])
    field = vicreg_field(np.pad(np.diag(p), ((0, 0), (0, 2))), FOUR, WEIGHTS)
    np.testing.assert_allclose(np.diag(field), vicreg_rate(p, FOUR, WEIGHTS), rtol=1e-12)
    assert np.count_nonzero(field - np.pad(np.diag(np.diag(field)), ((0, 0), (0, 2)))) == 0


def test_barlow_and_vicreg_depend_on_the_basis():
    assert off_manifold("barlow", FOUR, 0.02, 0).gap > 0.01
    off = off_manifold("vicreg", FOUR, 20.0, 0)
    assert off.off_end < 0.05 * off.off_start


# --- Bad input -------------------------------------------------------------------------------------------------------

ONE = Setting(h=1, d=1)
ONES = np.ones(1)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: Relative("moco", "l2"), "^method = 'moco': must be one of simsiam"),
        (lambda: Relative("byol", "cosine"), "^loss = 'cosine': must be one of l2, leading, exact"),
        (lambda: Relative("byol", "l2", beta=0), "^beta = 0: must be a finite number > 0"),
        (lambda: Predictor(power=0), "^power = 0"),
        (lambda: Predictor(epsilon=-1.0), "^epsilon = -1.0"),
        (lambda: Vicreg(epsilon=0.0), "^epsilon = 0.0"),
        (lambda: force(np.ones(2), ONES, ONES, ONE, "l2"), "^w: has shape"),
        (lambda: force(ONES, ONES, ONES, ONE, "cosine"), "^loss = 'cosine'"),
        (lambda: force(ONES, 0 * ONES, ONES, ONE, "leading"), "^w, p, r: w p or r is zero"),
        (lambda: force(np.ones(2), np.ones(2), np.eye(2)[0], Setting(h=2, d=2), "exact"), "^r: must have no zero"),
        (lambda: follow_modes(Relative("simsiam", "l2"), ONES, ONE, [0, 1]), "^w0: must be given"),
        (lambda: follow_modes(Relative("isoloss", "l2"), ONES, ONE, [0, 1], w0=ONES), "^w0: must not be given"),
        (lambda: follow_modes(Relative("simsiam", "l2"), ONES, ONE, [0, 1], w0=ONES, r0=ONES), "^r0: must not"),
        (lambda: follow_modes(Relative("isoloss", "l2"), ONES, ONE, [0, 2, 1]), "^times: must be"),
        (lambda: momentum_field(np.eye(1), np.eye(1), 0 * np.eye(1), np.eye(1), np.eye(1)), "a feature is zero"),
        (lambda: byol_rates(0.0, ONE, 1.0), "^w = 0.0"),
        (lambda: barlow_loss(np.zeros((1, 1)), ONE), "^Phi: has a zero row"),
        (lambda: barlow_field(np.ones((2, 2)), ONE), "^Phi: has shape"),
        (lambda: barlow_rate(ONES, 0.0, ONE), "^size = 0.0"),
        (lambda: vicreg_loss(np.array([[math.nan]]), ONE), "^Phi: has 1 entries"),
        (lambda: critical_decay("simsiam", ONE), "^method = 'simsiam': must be one of"),
        (lambda: follow_features(lambda Phi: Phi, np.eye(1), -1.0, [0, 1]), "^rho = -1.0"),
        (lambda: Features("swav"), "^method = 'swav'"),
        (lambda: train_replicas(Features("barlow"), np.eye(1), np.eye(1), ONE, 0.1, 8, 0, 1, 0), "^steps = 0"),
        (lambda: train_replicas(Features("barlow"), np.eye(2), np.eye(1), ONE, 0.1, 8, 1, 1, 0), "^W: has shape"),
    ],
)
def test_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_flow_that_blows_up_says_so():
    with pytest.raises(RuntimeError, match="could not be integrated"):
        follow_features(lambda Phi: Phi**3, np.eye(1), 0.0, [0.0, 10.0])


def test_a_flow_may_take_as_many_evaluations_as_the_limit_and_no_more(monkeypatch):
    calls = []

    def field(Phi):
        calls.append(Phi)
        return -Phi

    follow_features(field, np.eye(1), 0.0, [0.0, 1.0])
    needed = len(calls)
    monkeypatch.setattr(relatives, "MAX_EVALUATIONS", needed)
    follow_features(field, np.eye(1), 0.0, [0.0, 1.0])
    monkeypatch.setattr(relatives, "MAX_EVALUATIONS", needed - 1)
    with pytest.raises(RuntimeError, match=r"could not be integrated beyond t = \S+: too many steps"):
        follow_features(field, np.eye(1), 0.0, [0.0, 1.0])


def test_training_that_diverges_says_so():
    with pytest.raises(FloatingPointError, match="lower"):
        train_replicas(Features("barlow", normalised=False), np.eye(4), 9 * np.eye(4, 6), FOUR, 10.0, 8, 30, 2, seed=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("loss", LOSSES)
def test_one_step_of_sgd_has_the_mean_of_the_law(method, loss):
    """A tiny step of each method's own batch loss, by autograd, against the velocity of its modes."""
    if loss == "leading":
        return  # an approximation: the trainer knows the exact cosine loss only
    kind = Relative(method, loss, beta=2.0)
    kind = replace(kind, predictor=Predictor(epsilon=0.2, normalised=loss == "exact"))
    p, i = np.array([0.9, 0.7, 0.5, 0.3]), np.arange(4)
    w = np.array([0.5, 0.8, 0.4, 0.6]) if kind.trained else kind.predictor.of(p**2, FOUR.a)
    setting, lr = FOUR.with_(rho=0.3), 1e-6
    run = train_replicas(kind, np.diag(w), np.pad(np.diag(p), ((0, 0), (0, 2))), setting, lr, 2000, 1, 24, seed=1)
    steps = (run.Phi[:, i, i] - p) / lr
    z = (steps.mean(axis=0) - mode_velocity(kind, w, p, p, setting)[1]) / (steps.std(axis=0, ddof=1) / math.sqrt(24))
    assert np.abs(z).max() < 6.5
