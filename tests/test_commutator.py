"""The commutator: how it moves, the matrix K of Proposition 1, and the population flow with a symmetric head."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featnorm.claims.commutator import (
    PIECES,
    Generator,
    check_proposition_1,
    commutator_blocks,
    start_share,
    threshold_rho,
)
from featnorm.commutator import (
    bracket,
    commutator_velocity,
    generator,
    generator_terms,
    kronecker_sum,
    slowest_rate,
    turned,
)
from featnorm.eigen_flow import terminal_state_matrix
from featnorm.matrix_flow import closed_velocity, closure_field, population_flow
from featnorm.normalized_moments import cosine_field_expected
from featnorm.scale import Scale
from featnorm.setting import Setting, commutator, initialize

FEW = settings(max_examples=25, deadline=None)
ROUNDING = 1e-12
seeds = st.integers(0, 2**32 - 1)
CLOSED = ["paper", "leading"]


def state(seed: int, h: int | None = None, rho: float = 0.3):
    rng = np.random.default_rng(seed)
    h = h or int(rng.integers(2, 6))
    setting = Setting(h=h, d=int(rng.integers(h, 3 * h)), sigma2=float(rng.uniform(0.2, 2.0)), rho=rho)
    return setting, *initialize(setting, rng)


# --- K ---------------------------------------------------------------------------------------------------------------


@FEW
@given(seed=seeds, closure=st.sampled_from(CLOSED), symmetrised=st.booleans())
def test_generator_moves_the_commutator(seed, closure, symmetrised):
    """K by Kronecker products against Eq. 23 with the velocities of the closure: two routes to dL/dt."""
    setting, W, Phi = state(seed)
    moved = commutator_velocity(W, Phi, setting, closure, symmetrised)
    L = bracket(Phi @ Phi.T, W)
    by_K = -(generator(W, Phi, setting, closure, symmetrised) @ L.ravel(order="F")).reshape(L.shape, order="F")
    np.testing.assert_allclose(by_K, moved, atol=ROUNDING * (1 + np.abs(moved).max()))


@FEW
@given(seed=seeds)
def test_generator_is_built_from_the_pieces_of_the_claim(seed):
    """With all pieces deleted only the decay is left, so the pieces written in the claim are all there is."""
    setting, W, Phi = state(seed)
    for symmetrised in (True, False):
        left = Generator(dict.fromkeys(PIECES, 0.0), symmetrised=symmetrised).matrix(W, Phi, setting)
        np.testing.assert_allclose(left, 3 * setting.rho * np.eye(len(left)), atol=1e-11)


@pytest.mark.parametrize("symmetrised", [True, False])
def test_generator_at_h_24(symmetrised):
    setting, W, Phi = state(0, h=24)
    moved = commutator_velocity(W, Phi, setting, "paper", symmetrised)
    by_K = -(generator(W, Phi, setting, "paper", symmetrised) @ bracket(Phi @ Phi.T, W).ravel(order="F"))
    np.testing.assert_allclose(by_K, moved.ravel(order="F"), atol=ROUNDING * (1 + np.abs(moved).max()))


def test_left_to_themselves_all_three_speak_of_the_same_flow():
    setting, W, Phi = state(1)
    K = generator(W, Phi, setting)
    moved = commutator_velocity(W, Phi, setting)
    by_K = -(K @ bracket(Phi @ Phi.T, W).ravel(order="F"))
    np.testing.assert_allclose(by_K, moved.ravel(order="F"), atol=ROUNDING * (1 + np.abs(moved).max()))
    by_terms = generator_terms(W, Phi, setting).sum(axis=0) + 3 * setting.rho * np.eye(len(K))  # the paper's closure
    np.testing.assert_allclose(by_terms, K, atol=ROUNDING * (1 + np.abs(K).max()))


@pytest.mark.parametrize("symmetrised", [True, False])
@pytest.mark.parametrize("wrong", [{"factors": {"F": 2.0}}, {"decay": 2.0}, {"factors": {"FW, WW": 0.5}}])
def test_symbolic_residual_is_zero_for_the_claim_only(wrong, symmetrised):
    assert Generator(symmetrised=symmetrised).residual() == 0
    assert Generator(**wrong, symmetrised=symmetrised).residual() != 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", PIECES)
def test_the_reading_that_is_not_symmetrised_is_tested_piece_by_piece(name, seed):
    assert check_proposition_1(Generator(symmetrised=False), Scale.SMOKE, seed).passed
    assert not check_proposition_1(Generator({name: 0.0}, symmetrised=False), Scale.SMOKE, seed).passed


@FEW
@given(seed=seeds)
def test_generator_has_the_scale_of_a_rate(seed):
    """At rho = 0 the flow is homogeneous: (W, Phi) -> c (W, Phi) divides K by c^2."""
    setting, W, Phi = state(seed, rho=0.0)
    np.testing.assert_allclose(
        generator(3 * W, 3 * Phi, setting), generator(W, Phi, setting) / 9, rtol=1e-9, atol=1e-12
    )


@FEW
@given(seed=seeds)
def test_antisymmetric_directions_are_among_all(seed):
    setting, W, Phi = state(seed)
    K = generator(W, Phi, setting)
    assert slowest_rate(K, antisymmetric=True) >= slowest_rate(K) - 1e-10
    h = setting.h
    L = np.random.default_rng(seed).standard_normal((h, h))
    L = (L - L.T).ravel()
    assert L @ K @ L >= (slowest_rate(K, antisymmetric=True) - 1e-10) * (L @ L)
    symmetric = np.diag([0.5, 1.0, 1.0, 2.0])  # its slowest direction is vec(e e^T), which no commutator has
    assert slowest_rate(symmetric) == 0.5 < slowest_rate(symmetric, antisymmetric=True) == 1.0


def test_kronecker_sum_acts_as_the_paper_says():
    A, B, L = np.random.default_rng(0).standard_normal((3, 4, 4))
    by_sum = (kronecker_sum(A, B) @ L.ravel(order="F")).reshape(4, 4, order="F")
    np.testing.assert_allclose(by_sum, B @ L @ A.T + A @ L @ B.T, atol=ROUNDING)


def test_generator_refuses():
    setting, W, Phi = state(0, h=3)
    with pytest.raises(ValueError, match="W: must be symmetric"):
        generator_terms(W + np.triu(np.ones((3, 3)), 1), Phi, setting)
    with pytest.raises(ValueError, match="closure = 'exact'"):
        generator(W, Phi, setting, "exact")
    with pytest.raises(ValueError, match="Phi"):
        generator(W, 0 * Phi, setting)
    assert np.isnan(slowest_rate(np.eye(1), antisymmetric=True))


@given(seed=seeds)
@FEW
def test_turned_sees_rotations_and_no_rescaling(seed):
    _, W, Phi = state(seed)
    values, U = np.linalg.eigh(W)
    assert turned(U * (values**3 + 2.0) @ U.T, W) < 1e-9
    assert 0 <= turned(Phi @ Phi.T, W) <= 1 + ROUNDING


# --- Closures without an inverse -------------------------------------------------------------------------------------


@FEW
@given(seed=seeds, closure=st.sampled_from(CLOSED))
def test_closure_field_is_eq_4(seed, closure):
    """For a W that is not symmetric, against the matrices of Eq. 4 with the inverse of W."""
    setting, W, Phi = state(seed)
    W = W + 2 * np.eye(setting.h) + 0.2 * np.random.default_rng(seed).standard_normal(W.shape)
    dW, dPhi = closure_field(W, Phi, setting, closure)
    eq_W, eq_F = closed_velocity(W, Phi, setting, closure)
    condition = np.linalg.cond(W)
    np.testing.assert_allclose(dW - setting.rho * W, eq_W, atol=1e-11 * condition)
    dF = dPhi @ Phi.T + Phi @ dPhi.T - 2 * setting.rho * Phi @ Phi.T
    np.testing.assert_allclose(dF, eq_F, atol=1e-11 * condition)


def test_closure_field_can_be_exact_and_refuses_zero():
    setting, W, Phi = state(1, h=3)
    for ours, theirs in zip(closure_field(W, Phi, setting, "exact"), cosine_field_expected(W, Phi, setting)):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="Phi"):
        closure_field(W, 0 * Phi, setting)
    with pytest.raises(ValueError, match="closure = 'cubic'"):
        closure_field(W, Phi, setting, "cubic")


# --- Flows that keep W symmetric -------------------------------------------------------------------------------------


def test_symmetrised_flow_comes_to_commute_and_the_raw_one_does_not():
    setting, W, Phi = state(3, h=4, rho=0.0)
    s = [0.0, 20.0, 200.0]
    kept, raw = (population_flow(W, Phi, setting, s, rtol=1e-5, symmetrised=kind) for kind in (True, False))
    assert np.abs(kept.W - np.swapaxes(kept.W, 1, 2)).max() < 1e-12
    ends = [commutator(run.Phi[-1] @ run.Phi[-1].T, run.W[-1]) for run in (kept, raw)]
    assert ends[0] < 1e-3 < ends[1]
    drift = kept.drift()  # the norm law holds, the balance law does not
    assert max(drift.Phi, drift.W) < 1e-3 < drift.balance


@pytest.mark.parametrize("closure", CLOSED)
def test_closed_flow_approaches_its_field(closure):
    """Difference quotients of the flow, of second order in the step."""
    setting, W, Phi = state(4, h=3)
    _, dPhi = closure_field(W, Phi, setting, closure)
    gaps = []
    for step in (0.02, 0.01):
        run = population_flow(W, Phi, setting, [0.0, step, 2 * step], "cosine", 1e-12, closure)
        quotient = (-3 * run.Phi[0] + 4 * run.Phi[1] - run.Phi[2]) / (2 * step)
        gaps.append(np.abs(quotient - (dPhi - setting.rho * Phi)).max())
    assert 3 < gaps[0] / gaps[1] < 5


@pytest.mark.parametrize(
    "change, words",
    [
        ({"loss": "l2", "symmetrised": True}, "loss = 'l2'"),
        ({"loss": "l2", "closure": "paper"}, "loss = 'l2'"),
        ({"closure": "cubic"}, "closure = 'cubic'"),
        ({"symmetrised": True, "W0": np.triu(np.ones((3, 3)))}, "W0: must be symmetric"),
        ({"rtol": 0.0}, "rtol = 0.0"),
    ],
)
def test_population_flow_refuses_what_does_not_fit(change, words):
    setting, W, Phi = state(0, h=3)
    arguments = {"W0": W, "Phi0": Phi, "setting": setting, "times": [0.0, 1.0], **change}
    with pytest.raises(ValueError, match=words):
        population_flow(**arguments)


# --- The start, and the end ------------------------------------------------------------------------------------------


def test_share_at_the_start_has_its_limit():
    for ratio in (1, 8):
        gaps = [abs(start_share(h, ratio * h) - 0.5 / (1 + ratio)) for h in (200, 400, 800)]
        np.testing.assert_allclose(np.diff(np.log(gaps)) / np.log(2), -1, atol=0.1)
    above, below = commutator_blocks(5, 5, 640, 0)
    assert above.shape == below.shape == (64,) and (above < below).all()


def test_threshold_of_rho_falls_with_the_size():
    needed = [threshold_rho(Setting(h=h, d=8 * h), 3, 0) for h in (4, 8, 16)]
    assert needed[0] > needed[1] > needed[2] > 0


@FEW
@given(seed=seeds)
def test_terminal_matrix_conserves_the_trace_and_turns_with_the_state(seed):
    _, W, Phi = state(seed)
    end = terminal_state_matrix(W, Phi, sign_rule=False)
    assert np.trace(end.F) == pytest.approx(np.sum(Phi**2), rel=1e-9)
    assert np.linalg.eigvalsh(end.F).min() > -1e-10
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal(W.shape))[0]
    turned_end = terminal_state_matrix(Q @ W @ Q.T, Q @ Phi, sign_rule=False)
    np.testing.assert_allclose(turned_end.F, Q @ end.F @ Q.T, atol=1e-8 * np.sum(Phi**2))


def test_terminal_matrix_refuses_what_cannot_live():
    with pytest.raises(ValueError, match="none survives"):
        terminal_state_matrix(-2 * np.eye(2), np.eye(2))
    with pytest.raises(ValueError, match="squared norm of Phi0"):
        terminal_state_matrix(np.eye(2), np.zeros((2, 2)))
