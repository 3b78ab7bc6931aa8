"""Exact moments: closed forms, a plain quadrature, Monte Carlo, symmetries, convergence, honest errors, limits."""

import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from featnorm import normalized_moments
from featnorm.matrix_flow import (
    H_closure,
    H_diagonal_blocks,
    cosine_field,
    estimate_gradient,
    estimate_H,
)
from featnorm.normalized_moments import (
    FollowedMoments,
    cosine_field_expected,
    diagonal_moments,
    diagonal_moments_torch,
    matrix_moments,
)
from featnorm.setting import Setting, cosine_loss_equal_modes, initialize, views


def rng(seed=0):
    return np.random.default_rng(seed)


def plain_quadrature(w, phi, sigma2, power=0.5, step=0.4, end=75.0):
    """The integrals of the module docstring in log s and log r on a large grid, written without any of its devices."""
    a, t = 1.0 + sigma2, np.arange(-end, end, step)
    s = (np.exp(t) / (2 * a * (w**2 * phi).sum()))[:, None, None]
    r = (np.exp(t) / (2 * a * phi.sum()))[None, :, None]
    p, q = 2 * s * w**2 * phi, 2 * r * phi
    D = 1 + a * (p + q) + (a**2 - 1) * p * q
    Z = step**2 / np.pi * np.sqrt(s * r) * np.exp(-power * np.log(D).sum(axis=-1, keepdims=True))
    T = (w * phi / D).sum(axis=-1, keepdims=True)
    k = Z * phi / D * (1 - 2 * s * w * (a + (a**2 - 1) * q) * (T + 2 * w * phi / D))
    return k.sum(axis=(0, 1)), float((Z * T).sum())


def spectra(kind, h, generator):
    """Families of spectra: near initialisation, aligned, wide, with exact zeros, with one large mode in W and in F."""
    if kind == "init":
        return generator.standard_normal(h), generator.random(h) + 0.1
    if kind == "aligned":
        w = 1.0 + 0.3 * generator.uniform(-1, 1, h)
        return w, w**2
    if kind == "wide":
        return generator.standard_normal(h) * 10 ** generator.uniform(-5, 0, h), 10 ** generator.uniform(-10, 0, h)
    if kind == "zeros":
        w, phi = generator.standard_normal(h), generator.random(h) * (generator.random(h) < 0.7)
        w[generator.random(h) < 0.3] = 0.0
        w[:3], phi[:3] = [1.0, -2.0, 0.5], [1.0, 0.3, 2.0]
        return w, phi
    w, phi = np.ones(h), np.ones(h)
    if kind == "hidden":  # the largest rate is that of a mode with w = 0, which neither H nor the cosine sees
        w[0], phi[0] = 0.0, 1e5
        return w, phi
    w[0], phi[-1] = generator.choice([1, 5, 100]), generator.choice([1, 5, 1000])
    return w, phi


KINDS = ["init", "aligned", "wide", "zeros", "spikes"]


def sizes(w, phi, sigma2):
    """What the error is relative to, for H and for k, with E[omega_j^2] by a quadrature of its own."""
    spectrum, t = w**2 * phi, np.arange(-60.0, 60.0, 0.2)
    s = np.exp(t)[:, None] / spectrum.sum()
    Z = np.exp(-0.5 * np.log1p(2 * s * spectrum).sum(axis=1))
    top = float(0.2 * (Z * s[:, 0] * spectrum.max() / (1 + 2 * s[:, 0] * spectrum.max())).sum())
    N_Phi, N_Psi = np.sqrt(phi.sum()), np.sqrt(spectrum.sum())
    return top, max(top * N_Phi / N_Psi, phi.max() / ((1 + sigma2) * N_Phi * N_Psi))


def distance(m, exact, w, phi, sigma2):
    H, k = sizes(w, phi, sigma2)
    return max(abs(m.H - exact.H).max() / H, abs(m.k - exact.k).max() / k, abs(m.cosine - exact.cosine))


# --- Values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma2", [1e-3, 0.3, 1.0, 20.0])
def test_one_mode_follows_the_arcsine_law(sigma2):
    for sign in (1.0, -1.0):
        m = diagonal_moments([3.0 * sign], [0.2], sigma2, accuracy=1e-13)
        assert m.cosine == pytest.approx(sign * 2 / np.pi * np.arcsin(1 / (1 + sigma2)), abs=2e-13)
        assert abs(m.H[0]) < 2e-13
        assert m.error <= 1e-13


@pytest.mark.parametrize("modes", [2, 3, 7, 30, 200, 700])
def test_equal_modes_follow_the_hypergeometric_law_and_do_not_move(modes):
    setting = Setting(h=modes + 5, d=modes + 5, sigma2=0.8)
    w, phi = np.full(modes + 5, 0.7), np.where(np.arange(modes + 5) < modes, 3.0, 0.0)
    m = diagonal_moments(w, phi, setting, accuracy=1e-12)
    assert m.cosine == pytest.approx(-cosine_loss_equal_modes(modes, setting), abs=2e-12)
    assert abs(m.H).max() * modes < 2e-12
    assert (m.k[modes:] == 0).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("h", [3, 6])
def test_agrees_with_a_plain_quadrature_and_that_test_can_fail(h, seed):
    generator = rng(seed)
    w, phi, sigma2 = generator.standard_normal(h), generator.random(h) + 0.1, 10 ** generator.uniform(-1, 1)
    w[0] = 0.0
    m = diagonal_moments(w, phi, sigma2, accuracy=1e-12)
    k, cosine = plain_quadrature(w, phi, sigma2)
    assert m.k == pytest.approx(k, abs=3e-12 * abs(k).max())
    assert m.cosine == pytest.approx(cosine, abs=3e-12)
    wrong, _ = plain_quadrature(w, phi, sigma2, power=1.0)  # the determinant without its square root
    assert abs(wrong - k).max() > 0.1 * abs(k).max()


def test_agrees_with_monte_carlo():
    states = [(kind, h) for kind in ("init", "aligned", "zeros") for h in (3, 12)]
    alpha = 1e-6 / sum(h for _, h in states)
    for number, (kind, h) in enumerate(states):
        setting = Setting(h=h, d=h, sigma2=0.6)
        w, phi = spectra(kind, h, rng(number))
        blocks = H_diagonal_blocks(w[None], phi[None], setting, 300_000, rng(100 + number))[:, 0]
        error = blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks))
        gap = abs(blocks.mean(axis=0) - diagonal_moments(w, phi, setting).H)
        assert (gap <= stats.t.isf(alpha / 2, len(blocks) - 1) * error).all()


def test_rates_at_zero_are_finite_and_continuous():
    w, phi = rng().standard_normal(8), rng(1).random(8) + 0.1
    at = []
    for small in (-1e-7, 0.0, 1e-7):
        w[2] = small
        at.append(diagonal_moments(w, phi, 1.0, 1e-13))
    assert abs(at[1].k[2]) > 1e-3
    assert at[0].k == pytest.approx(at[1].k, abs=1e-6)
    assert (at[0].k + at[2].k) / 2 == pytest.approx(at[1].k, abs=1e-12)
    assert at[1].H[2] == 0.0


def test_a_single_moving_mode_gives_infinite_rates_to_those_at_zero():
    m = diagonal_moments([2.0, 0.0, 0.0], [1.0, 1.0, 0.0], 1.0)
    assert m.k[0] == pytest.approx(0.0, abs=1e-10)
    assert m.k[1] == np.inf and m.k[2] == 0.0
    assert m.H == pytest.approx(np.zeros(3), abs=1e-10)
    assert 0 < m.cosine < 1 and m.error <= 1e-10
    near = [diagonal_moments([2.0, 10.0**-n], [1.0, 1.0], 1.0).k[1] for n in range(3, 40, 6)]
    assert np.diff(near) == pytest.approx(np.diff(near)[0] * np.ones(6), rel=1e-2)  # a logarithm


# --- Laws ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_H_has_no_trace(kind):
    w, phi = spectra(kind, 50, rng(3))
    m = diagonal_moments(w, phi, 1.0)
    assert abs(m.H.sum()) <= 1e-10 * sizes(w, phi, 1.0)[0] * len(w)


def test_H_does_not_depend_on_the_scales_of_w_and_phi():
    w, phi = spectra("init", 20, rng(4))
    m = diagonal_moments(w, phi, 0.4)
    for c, c1 in ((1e-6, 1e9), (1e120, 1e-150), (3.0, 7.0)):
        scaled = diagonal_moments(c * w, c1 * phi, 0.4)
        assert scaled.H == pytest.approx(m.H, abs=1e-14)
        assert scaled.k * c == pytest.approx(m.k, abs=1e-14)
        assert scaled.cosine == pytest.approx(m.cosine, abs=1e-14)


def test_turning_every_sign_of_w_turns_H_and_the_cosine_but_not_k():
    w, phi = spectra("init", 20, rng(5))
    m, turned = diagonal_moments(w, phi, 0.4), diagonal_moments(-w, phi, 0.4)
    assert turned.H == pytest.approx(-m.H, abs=1e-15)
    assert turned.k == pytest.approx(m.k, abs=1e-14)
    assert turned.cosine == pytest.approx(-m.cosine, abs=1e-14)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.integers(3, 40), st.floats(0.01, 50.0, allow_nan=False))
def test_order_does_not_matter_and_extra_zeros_change_nothing(seed, kind, h, sigma2):
    w, phi = spectra(kind, h, rng(seed))
    m, order = diagonal_moments(w, phi, sigma2), rng(seed + 1).permutation(h)
    moved = diagonal_moments(np.append(w[order], 2.0), np.append(phi[order], 0.0), sigma2)
    H, k = sizes(w, phi, sigma2)
    assert abs(moved.H[:-1] - m.H[order]).max() < 1e-11 * H
    assert abs(moved.k[:-1] - m.k[order]).max() < 1e-11 * k


# --- Convergence and errors ------------------------------------------------------------------------------------------


def test_the_error_falls_geometrically_and_not_if_the_node_at_zero_counts_in_full(monkeypatch):
    w, phi = spectra("init", 64, rng(6))
    exact = diagonal_moments(w, phi, 1.0, 1e-14)
    goals = 10.0 ** np.arange(-1, -12, -1)

    def errors():
        runs = [diagonal_moments(w, phi, 1.0, goal) for goal in goals]
        return np.sqrt([m.nodes for m in runs]), [distance(m, exact, w, phi, 1.0) for m in runs]

    side, error = errors()
    # Many modes: Z is close to a Gaussian, each axis needs log(1 / error) / pi nodes, of a square pi / 4 is used.
    slope = np.polyfit(side, np.log(error), 1)[0]
    assert slope < -0.6 * np.pi
    plan = normalized_moments._plan

    def full_weight(*arguments):
        grid = plan(*arguments)
        grid.weights[:, 0] *= 2.0
        return grid

    monkeypatch.setattr(normalized_moments, "_plan", full_weight)
    side, error = errors()
    assert np.polyfit(side, np.log(error), 1)[0] > -0.2 * np.pi


@pytest.mark.parametrize("accuracy", [1e-3, 1e-6, 1e-10])
def test_the_error_is_honest_and_as_small_as_asked(accuracy):
    generator = rng(7)
    for number in range(100):
        h = int(generator.choice([3, 4, 6, 20, 64, 300]))
        sigma2 = 10 ** generator.uniform(-3, 2)
        w, phi = spectra(KINDS[number % 5], h, generator)
        m, exact = diagonal_moments(w, phi, sigma2, accuracy), diagonal_moments(w, phi, sigma2, 1e-14)
        assert m.error <= accuracy
        assert distance(m, exact, w, phi, sigma2) <= 4 * m.error + exact.error


@pytest.mark.parametrize("kind, sigma2", [*((kind, 1.0) for kind in KINDS), ("hidden", 20.0)])
def test_the_error_tells_when_the_steps_are_too_long(kind, sigma2, monkeypatch):
    step = normalized_moments._Spectra.step

    def longer(self, spectrum, end, depth):
        return step(self, spectrum, end, depth / 2)

    for h in (20, 300):
        w, phi = spectra(kind, h, rng(18))
        exact = diagonal_moments(w, phi, sigma2, 1e-13)
        with monkeypatch.context() as patch:
            patch.setattr(normalized_moments._Spectra, "step", longer)
            grid = normalized_moments._plan  # the same grid in every attempt: the second would mend the first
            patch.setattr(normalized_moments, "_plan", lambda *a, grid=grid: grid(*a[:3], 1e-8))
            m = diagonal_moments(w, phi, sigma2, 1e-8)
        true = distance(m, exact, w, phi, sigma2)
        assert 3e-8 < true <= 4 * m.error
        assert m.error <= 300 * true


@pytest.mark.parametrize("kind", KINDS)
def test_another_attempt_mends_steps_that_are_too_long(kind, monkeypatch):
    """Steps for seven tenths of the digits: the first attempt misses, the next ones ask for more."""
    step, plan, attempts = normalized_moments._Spectra.step, normalized_moments._plan, []

    def longer(self, spectrum, end, depth):
        return step(self, spectrum, end, 0.7 * depth)

    def counted(*arguments):
        attempts.append(arguments[-1])
        return plan(*arguments)

    w, phi = spectra(kind, 20, rng(18))
    exact = diagonal_moments(w, phi, 1.0, 1e-13)
    monkeypatch.setattr(normalized_moments._Spectra, "step", longer)
    monkeypatch.setattr(normalized_moments, "_plan", counted)
    m = diagonal_moments(w, phi, 1.0, 1e-6, strict=True)
    assert len(attempts) > 1 and (np.diff(attempts) < 0).all()
    assert m.error <= 1e-6 and distance(m, exact, w, phi, 1.0) <= 4 * m.error


@pytest.mark.parametrize("sigma2", [1e-12, 1e-7, 1e7, 1e30])
def test_nearly_equal_and_nearly_independent_views(sigma2):
    w, phi = spectra("init", 6, rng(19))
    m = diagonal_moments(w, phi, sigma2, strict=True)
    k, cosine = plain_quadrature(w, phi, sigma2)
    assert m.k == pytest.approx(k, abs=1e-9 * sizes(w, phi, sigma2)[1])
    assert m.cosine == pytest.approx(cosine, abs=1e-9)


def test_two_modes_spread_over_ten_orders_of_magnitude():
    for w, phi in (([1.0, -2.0], [1.0, 1e-10]), ([1.0, 1e-5], [1.0, 1.0]), ([1e-5, 1.0], [1.0, 1e-10])):
        w, phi = np.array(w), np.array(phi)
        m = diagonal_moments(w, phi, 1.0, strict=True)
        k, cosine = plain_quadrature(w, phi, 1.0, step=0.5, end=110.0)
        H_size, k_size = sizes(w, phi, 1.0)
        assert abs(m.k - k).max() <= 1e-9 * k_size
        assert abs(m.H - w * k).max() <= 1e-9 * H_size
        assert m.cosine == pytest.approx(cosine, abs=1e-9)


def test_a_hundred_thousand_modes_take_little_time_and_memory():
    w, phi = spectra("init", 10**5, rng(8))
    start = time.perf_counter()
    m = diagonal_moments(w, phi, 1.0)
    assert time.perf_counter() - start < 5.0  # 0.05 s where nothing else runs
    assert m.error <= 1e-10 and m.nodes < 200
    tracemalloc.start()
    diagonal_moments(w, phi, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 * w.nbytes  # a node with all its modes is one such array; there are about 80 nodes


def test_an_accuracy_out_of_reach_is_reported_or_refused():
    w, phi = spectra("init", 10, rng(9))
    assert 1e-17 < diagonal_moments(w, phi, 1.0, 1e-17).error < 1e-13
    with pytest.raises(ValueError, match=r"accuracy = 1e-17: not reached, the error is \d"):
        diagonal_moments(w, phi, 1.0, 1e-17, strict=True)
    with pytest.raises(ValueError, match=r"accuracy = 1e-17: not reached"):
        matrix_moments(np.diag(w), np.diag(phi), 1.0, 1e-17, strict=True)


# --- Any state -------------------------------------------------------------------------------------------------------


def any_state(h, d, seed):
    """A state that neither commutes nor is symmetric."""
    generator = rng(seed)
    return generator.standard_normal((h, h)) / np.sqrt(h), generator.standard_normal((h, d)) / np.sqrt(d)


@pytest.mark.parametrize("kind", KINDS)
def test_a_diagonal_state_and_a_rotated_one_give_the_diagonal_moments(kind):
    h = 9
    w, phi = spectra(kind, h, rng(10))
    exact = diagonal_moments(w, phi, 0.5)
    U = np.linalg.qr(rng(11).standard_normal((h, h)))[0]
    for basis in (np.eye(h), U):
        F = (basis * phi) @ basis.T
        m = matrix_moments((basis * w) @ basis.T, (F + F.T) / 2, 0.5)
        H, k = sizes(w, phi, 0.5)
        assert m.error <= 1e-10
        assert abs(m.H - (basis * exact.H) @ basis.T).max() <= 3e-10 * H
        assert abs(m.K - (basis * exact.k) @ basis.T).max() <= 3e-10 * k
        assert m.cosine == pytest.approx(exact.cosine, abs=3e-10)


def test_K_gives_H_and_has_no_component_along_W():
    for seed, (h, d) in enumerate([(2, 5), (7, 7), (16, 40), (32, 32)]):
        W, Phi = any_state(h, d, seed)
        m = matrix_moments(W, Phi @ Phi.T, 1.0)
        assert m.H == pytest.approx(m.K @ W.T, abs=1e-15)
        assert abs(np.sum(m.K * W)) < 1e-10
        finer = matrix_moments(W, Phi @ Phi.T, 1.0, 1e-13)
        assert abs(m.H - finer.H).max() <= 4 * m.error
        assert abs(m.K - finer.K).max() <= 4 * m.error * max(1.0, np.linalg.norm(Phi) / np.linalg.norm(W @ Phi))


@pytest.mark.parametrize("case", ["full", "singular W", "singular F", "more features than inputs"])
def test_any_state_agrees_with_monte_carlo(case):
    h, d = (5, 3) if case == "more features than inputs" else (4, 6)
    W, Phi = any_state(h, d, 12)
    if case == "singular W":
        W[0] = W[1] + W[2]
    if case == "singular F":
        Phi[0] = Phi[1] - Phi[3]
    setting = Setting(h=h, d=d, sigma2=0.7)
    dW, dPhi = cosine_field_expected(W, Phi, setting)
    m = matrix_moments(W, Phi @ Phi.T, setting)
    assert dW == pytest.approx(m.K, abs=1e-9)
    estimates = estimate_gradient(W, Phi, setting, 200_000, rng(13))
    threshold = stats.t.isf(1e-6 / (8 * h * (h + d)), 63)
    for exact, estimate in zip((dW, dPhi, m.H), (*estimates, estimate_H(W, Phi, setting, 200_000, rng(14)))):
        assert (abs(estimate.mean - exact) <= threshold * estimate.stderr).all()


def test_the_gradient_in_Phi_turns_with_the_inputs_and_keeps_the_norm():
    setting = Setting(h=6, d=9, sigma2=0.5)
    W, Phi = initialize(setting, rng(15))
    dW, dPhi = cosine_field_expected(W, Phi, setting)
    assert abs(np.sum(dPhi * Phi)) < 1e-10 and abs(np.sum(dW * W)) < 1e-10
    assert dPhi @ Phi.T == pytest.approx(W.T @ dW, abs=1e-10)  # the balance law, from which dF/dt follows
    V = np.linalg.qr(rng(16).standard_normal((9, 9)))[0]
    assert cosine_field_expected(W, Phi @ V, setting)[1] == pytest.approx(dPhi @ V, abs=1e-10)
    sample = cosine_field(W, Phi, *views(setting, 100_000, rng(17)))
    assert np.linalg.norm(sample[1] - dPhi) < 0.05 * np.linalg.norm(dPhi)


# --- Limits of many modes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closure, size", [("paper", 26.0), ("leading", 1.9)])
def test_closures_miss_by_one_over_h_in_aligned_states(closure, size):
    hs, misses = np.array([32, 128, 512]), []
    for h in hs:
        w = 1.0 + 0.3 * np.linspace(-1, 1, h)
        m = diagonal_moments(w, w**2, 1.0)
        closed = np.diag(H_closure(np.diag(w), np.diag(w), Setting(h=int(h), d=int(h)), closure))
        misses.append(np.linalg.norm(closed - m.H) / np.linalg.norm(m.H))
    assert np.polyfit(np.log(hs), np.log(misses), 1)[0] == pytest.approx(-1.0, abs=0.05)
    assert misses[-1] * 512 == pytest.approx(size, rel=0.15)


# --- Bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "w, phi, setting, message",
    [
        ([1.0, 2.0], [1.0, -0.5], 1.0, r"phi: must have no negative entry, but the smallest is -0.5"),
        ([1.0, 2.0], [1.0, np.nan], 1.0, r"phi: has 1 entries that are not finite"),
        ([1.0, np.inf], [1.0, 1.0], 1.0, r"w: has 1 entries that are not finite"),
        ([1.0, 2.0], [1.0], 1.0, r"phi: has shape \(1,\), must have shape \(2\)"),
        ([[1.0]], [1.0], 1.0, r"w: has shape \(1, 1\), must have shape \(any\)"),
        ([1.0], [1.0], Setting(h=2, d=2), r"w: has shape \(1,\), must have shape \(2\)"),
        ([1.0, 0.0], [0.0, 1.0], 1.0, r"w, phi: w\^2 phi is zero in every mode"),
        ([], [], 1.0, r"w, phi: w\^2 phi is zero in every mode"),
        ([1.0], [1.0], 0.0, r"sigma2 = 0.0: must be a finite number > 0"),
    ],
)
def test_bad_spectra_are_refused(w, phi, setting, message):
    with pytest.raises(ValueError, match=message):
        diagonal_moments(w, phi, setting)


@pytest.mark.parametrize(
    "W, F, message",
    [
        (np.eye(2, 3), np.eye(2), r"W: has shape \(2, 3\)"),
        (np.eye(2), np.eye(3), r"F: has shape \(3, 3\)"),
        (np.eye(2), np.array([[1.0, 1.0], [0.0, 1.0]]), r"F: must be symmetric"),
        (np.eye(2), np.diag([1.0, -1.0]), r"F: must have no negative eigenvalue, but the smallest is -1"),
        (np.diag([1.0, 0.0]), np.diag([0.0, 1.0]), r"W, F: W F W\^T is zero"),
        (np.diag([1.0, 0.0]), np.eye(2), r"W, F: W F W\^T has rank one and F has not"),
    ],
)
def test_bad_matrices_are_refused(W, F, message):
    with pytest.raises(ValueError, match=message):
        matrix_moments(W, F, 1.0)


@pytest.mark.parametrize("accuracy", [0.0, 1.0, -1e-3, np.nan])
def test_bad_accuracies_are_refused(accuracy):
    with pytest.raises(ValueError, match=r"accuracy = "):
        diagonal_moments([1.0], [1.0], 1.0, accuracy)


# --- Nodes used again, and sums on another device --------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.integers(3, 40))
def test_nodes_used_again_are_as_good_as_fresh_ones(seed, kind, h):
    """Along a path on which spectra change by a third in all, exact zeros included."""
    generator = rng(seed)
    w, phi = spectra(kind, h, generator)
    moments, drift = FollowedMoments(1.0, 1e-9), generator.uniform(-0.3, 0.3, (2, h))
    for x in np.linspace(0.0, 1.0, 30):
        now = w * (1 + x * drift[0]), phi * (1 + x * drift[1])
        m, exact = moments(*now), diagonal_moments(*now, 1.0, 1e-13)
        assert m.error <= 1e-9
        assert distance(m, exact, *now, 1.0) <= 4 * m.error + exact.error
    assert moments.planned < 30


def test_nodes_are_chosen_again_after_a_jump():
    moments = FollowedMoments(1.0)
    for kind in KINDS:
        w, phi = spectra(kind, 20, rng(3))
        for _ in range(2):
            assert distance(moments(w, phi), diagonal_moments(w, phi, 1.0, 1e-13), w, phi, 1.0) < 4e-10
    assert moments.planned == len(KINDS)
    assert moments([1.0, 2.0], [1.0, 1.0]).k.shape == (2,)  # another number of modes
    assert moments([1.0, 0.0], [1.0, 1.0]).k[1] == np.inf  # a rate that diverges is not judged by old nodes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("h", [3, 40, 9000])
def test_the_torch_path_agrees(kind, h):
    w, phi = spectra(kind, h, rng(21))
    m, there = diagonal_moments(w, phi, 0.7), diagonal_moments_torch(torch.tensor(w), torch.tensor(phi), 0.7)
    assert there.k.dtype == there.H.dtype == torch.float64 and there.k.device == torch.device("cpu")
    on_cpu = replace(there, k=there.k.numpy(), H=there.H.numpy())
    assert distance(on_cpu, m, w, phi, 0.7) < 1e-12
    assert there.nodes == m.nodes and abs(there.error - m.error) < 1e-12


def test_the_torch_path_takes_other_precisions_and_infinite_rates():
    half = torch.tensor([1.0, -0.5], dtype=torch.bfloat16)  # NumPy has no such type
    assert diagonal_moments_torch(half, torch.tensor([1.0, 2.0]), 1.0).H.dtype == torch.float64
    single = diagonal_moments_torch(torch.tensor([1.0, -0.5]), torch.tensor([1.0, 2.0], requires_grad=True), 1.0)
    assert abs(single.H.numpy() - diagonal_moments([1.0, -0.5], [1.0, 2.0], 1.0).H).max() < 1e-12
    assert not single.H.requires_grad
    assert diagonal_moments_torch(torch.tensor([1.0, 0.0]), torch.ones(2), 1.0).k[1] == torch.inf


@pytest.mark.parametrize(
    "w, phi, message",
    [
        ([1.0, 2.0], [1.0, -0.5], r"phi: must have no negative entry"),
        ([1.0, 2.0], [1.0, np.nan], r"phi: has 1 entries that are not finite"),
        ([1.0, 2.0], [1.0], r"phi: has shape \(1,\), must have shape \(2\)"),
        ([1.0, 0.0], [0.0, 1.0], r"w, phi: w\^2 phi is zero in every mode"),
    ],
)
def test_the_torch_path_refuses_bad_spectra(w, phi, message):
    with pytest.raises(ValueError, match=message):
        diagonal_moments_torch(torch.tensor(w), torch.tensor(phi), 1.0)


def test_the_torch_path_refuses_what_is_not_a_tensor_and_accuracies_out_of_reach():
    with pytest.raises(ValueError, match=r"phi: must be a torch.Tensor, but is a list; see diagonal_moments"):
        diagonal_moments_torch(torch.ones(2), [1.0, 1.0], 1.0)
    for odd in (torch.ones(2, dtype=torch.complex64), torch.ones(2).to_sparse(), torch.ones(2, device="meta")):
        with pytest.raises(ValueError, match="w: must be a dense tensor of real numbers"):
            diagonal_moments_torch(odd, torch.ones(2), 1.0)
    with pytest.raises(ValueError, match=r"phi: must be a dense tensor of real numbers"):
        diagonal_moments_torch(torch.ones(2), torch.ones(2, device="meta"), 1.0)
    with pytest.raises(ValueError, match=r"accuracy = 1e-17: not reached"):
        diagonal_moments_torch(torch.tensor([1.0, 2.0]), torch.ones(2), 1.0, 1e-17, strict=True)


def test_importing_the_module_does_not_load_torch():
    code = "import featnorm.normalized_moments, featnorm.eigen_flow, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
