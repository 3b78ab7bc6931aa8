"""The estimators where the truth is known: the linear model, and laws that any encoder obeys."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featnorm import equilibria, setting
from featnorm.simsiam import linear, metrics

S = setting.Setting(h=6, d=10, sigma2=0.7, rho=0.01)
RUNS = 300


def model(seed=0, s=S):
    rng = np.random.default_rng(seed)
    W, Phi = setting.initialize(s, rng)
    return W + 0.5 * np.eye(s.h), Phi, rng


def z_scores(estimates, truths):
    return [(e.value - t) / e.error for e, t in zip(estimates, truths)]


def assert_standard(z):
    """Standard scores with mean square 1 and the usual share within 1.96, up to five standard errors."""
    z = np.asarray(z)
    assert (np.abs(np.mean(z**2, axis=0) - 1.0) < 5 * math.sqrt(2 / len(z))).all(), np.mean(z**2, axis=0)
    assert (np.abs(np.mean(np.abs(z) < 1.96, axis=0) - 0.95) < 5 * math.sqrt(0.05 * 0.95 / len(z))).all()


def test_the_linear_model_is_recovered_with_honest_errors():
    W, Phi, rng = model()
    N = setting.norms(W, Phi)
    truths = (N.N_Phi, N.N_Psi, N.N_x, S.a, S.a, S.a)
    z = []
    for _ in range(RUNS):
        x, x1 = setting.views(S, 400, rng)
        out = metrics.theory(x @ Phi.T, x1 @ Phi.T, W)
        z.append(z_scores([getattr(out, name) for name in metrics._NAMES], truths))
    assert_standard(z)


def test_the_spread_is_recovered_with_honest_errors():
    _, Phi, rng = model(1)
    F, shift = Phi @ Phi.T, np.full(S.h, 0.6)
    z = []
    rank = setting.effective_rank(S.a * F + np.outer(shift, shift))
    share = shift @ shift / (S.a * np.trace(F) + shift @ shift)
    for _ in range(RUNS):
        q = setting.views(S, 400, rng)[0] @ Phi.T + shift
        out = metrics.spread(q)
        z.append(z_scores([out.rank, out.mean_share], (rank, share)))
    assert_standard(z)


def test_isotropic_and_collapsed_features():
    rng = np.random.default_rng(2)
    h, z = 8, []
    for _ in range(RUNS):
        out = metrics.spread(rng.standard_normal((300, h)))
        z.append(z_scores([out.feature_std], [h**-0.5])[0])
    # the standard deviation is bounded by 1 / sqrt(h), so that its estimate is below; by second order only
    assert (
        np.mean(z) < 0
        and abs(np.mean([metrics.spread(rng.standard_normal((4000, h))).feature_std.value * h**0.5]) - 1) < 0.01
    )
    flat = metrics.spread(np.ones((50, h)))
    assert flat.feature_std.value == pytest.approx(0.0, abs=1e-7) and flat.rank.value == pytest.approx(1.0)
    assert flat.mean_share.value == pytest.approx(1.0)
    nothing = metrics.spread(np.zeros((5, 2)))
    assert all(math.isnan(getattr(nothing, k).value) for k in ("feature_std", "rank", "mean_share"))


def test_the_jackknife_leaves_out_one_row_at_a_time():
    W, Phi, rng = model(3)
    x, x1 = setting.views(S, 12, rng)
    q, v = x @ Phi.T + 0.3, x1 @ Phi.T + 0.3
    keep = [np.arange(12) != i for i in range(12)]

    def error(values):
        return math.sqrt(11 * np.var(values))

    for make, names in (
        (lambda k: metrics.theory(q[k], v[k], W), metrics._NAMES),
        (lambda k: metrics.spread(q[k]), ("feature_std", "rank", "mean_share")),
    ):
        whole, parts = make(slice(None)), [make(k) for k in keep]
        for name in names:
            by_hand = error([getattr(p, name).value for p in parts])
            assert getattr(whole, name).error == pytest.approx(by_hand, rel=1e-9)


def test_the_rank_leaves_the_diagonal_out():
    q = np.random.default_rng(4).standard_normal((7, 3))
    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    wanted = sum((q[i] @ q[i]) * (q[j] @ q[j]) for i, j in pairs) / sum((q[i] @ q[j]) ** 2 for i, j in pairs)
    assert metrics.spread(q).rank.value == pytest.approx(wanted)


def law_gap(h, seed, wrong=None, n=4000):
    """Effective rank, and ||H - law|| / ||H|| for a ReLU encoder: H = -dW W^T of the exact gradient on a sample.

    Products of two independent samples stand for the squares, so that sampling noise does not add to the gap.
    """
    rng = np.random.default_rng((h, seed))
    inner, last = rng.standard_normal((4 * h, h)) / math.sqrt(h), rng.standard_normal((h, 4 * h)) / (2 * h**0.5)
    A = rng.standard_normal((h, h)) / math.sqrt(h)
    W, exact, miss, rank = np.eye(h) + 0.25 * (A + A.T), [], [], 0.0
    centre = np.maximum(math.sqrt(2) * rng.standard_normal((20_000, h)) @ inner.T, 0.0).mean(axis=0)
    for _ in range(2):
        anchor, noise = rng.standard_normal((n, h)), rng.standard_normal((2, n, h))
        # the law needs many directions, and the mean of a ReLU would be a strong one of its own
        q, v = ((np.maximum((anchor + e) @ inner.T, 0.0) - centre) @ last.T for e in noise)
        H = -linear.gradients(W, np.eye(h), q, v, symmetrised=True)[0] @ W.T
        C, X = (q.T @ q + v.T @ v) / (2 * n), (q.T @ v + v.T @ q) / (2 * n)
        out = metrics.theory(q, v, W)
        a, N_Phi, N_Psi, N_x = (getattr(out, k).value for k in ("a", "N_Phi", "N_Psi", "N_x"))
        second = N_x * W @ (C / out.a_Psi.value) @ W.T / N_Psi**2
        if wrong == "no a":
            a = 1.0
        law = (X @ W.T / (N_Phi * N_Psi) - (0.0 if wrong == "no N_x" else second)) / a
        if wrong == "C for X":
            law += (C - X) @ W.T / (a * N_Phi * N_Psi)
        exact.append(H)
        miss.append(H - law)
        rank = metrics.spread(q).rank.value
    return rank, math.sqrt(max(np.sum(miss[0] * miss[1]), 0.0) / np.sum(exact[0] * exact[1]))


def law_slope(wrong=None):
    """Slope of the log of the gap (root mean square over seeds) against the log of the effective rank."""
    rows = []
    for h in (8, 12, 16, 24, 32):
        ranks, gaps = np.array([law_gap(h, seed, wrong) for seed in range(4)]).T
        rows.append((np.log(ranks.mean()), 0.5 * np.log(np.mean(gaps**2))))
    return np.polyfit(*np.array(rows).T, 1)[0]


def test_the_drift_of_W_is_the_stated_law_for_a_non_linear_encoder():
    """What the law leaves out is of relative order 1 / rank: the slope is nearer to -1 than to -1/2 or 0."""
    assert law_slope() < -0.75


@pytest.mark.parametrize("wrong", ["no a", "no N_x", "C for X"])
def test_a_wrong_law_does_not_close_the_gap(wrong):
    assert law_slope(wrong) > -0.75


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_units(seed, s, t):
    """Scaling the input scales N_Phi without a last layer, and nothing with one: the cosine loss has no input unit."""
    W, Phi, rng = model(seed)
    x, x1 = setting.views(S, 30, rng)
    q, v = x @ Phi.T, x1 @ Phi.T
    if np.mean(np.sum(q * v, axis=1)) <= 0:
        return
    one, scaled = metrics.theory(q, v, W), metrics.theory(s * q, s * v, t * W)
    assert scaled.N_Phi.value == pytest.approx(s * one.N_Phi.value)
    assert scaled.N_Psi.error == pytest.approx(s * t * one.N_Psi.error)
    for name in ("N_x", "a_Phi", "a_Psi", "a"):
        assert getattr(scaled, name).value == pytest.approx(getattr(one, name).value)
    fixed, other = metrics.theory(q, v, W, Phi), metrics.theory(s * q, s * v, W, Phi)
    assert fixed.N_Phi.value == pytest.approx(np.linalg.norm(Phi)) and fixed.N_Phi.error < 1e-9
    assert other.N_Psi.value == pytest.approx(fixed.N_Psi.value) and other.gain == pytest.approx(s**2 * fixed.gain)


def test_with_a_last_layer_the_linear_model_is_unchanged():
    W, Phi, rng = model(5)
    x, x1 = setting.views(S, 200_000, rng)
    out = metrics.theory(x @ Phi.T, x1 @ Phi.T, W, Phi)
    assert out.gain == pytest.approx(1.0, abs=0.02)
    assert abs(out.N_Psi.value - setting.norms(W, Phi).N_Psi) < 5 * out.N_Psi.error
    assert out.departure < 0.03
    theirs = equilibria.intervals([setting.norms(W, Phi)], S)
    ours = metrics.predicted(out, S.rho)
    assert ours.high[0] == pytest.approx(theirs.high[0], rel=0.02)


def test_departure_sees_noise_that_has_another_shape():
    rng = np.random.default_rng(6)
    x, noise = rng.standard_normal((4000, 4)), rng.standard_normal((2, 4000, 4)) * np.array([3.0, 0, 0, 0])
    # C = diag(10, 1, 1, 1), X = I, a_Phi = 13/4
    wanted = np.linalg.norm([10 - 3.25, *[1 - 3.25] * 3]) / np.linalg.norm([10, 1, 1, 1])
    assert metrics.theory(x + noise[0], x + noise[1], np.eye(4)).departure == pytest.approx(wanted, rel=0.05)


def test_views_that_do_not_agree_have_no_norms():
    q = np.random.default_rng(7).standard_normal((20, 3))
    out = metrics.theory(q, -q, np.eye(3))
    assert math.isnan(out.N_Phi.value) and math.isnan(out.a.value)
    assert np.isnan(metrics.predicted(out, 0.1).high).all()
    assert np.isnan(metrics.predicted(metrics.theory(q, q, np.eye(3)), 0.1).high).all()  # a = 1: no noise
    with pytest.raises(ValueError, match="N_Phi"):
        out.norms()


def test_head():
    W, Phi, rng = model(8)
    W = W + 0.1 * rng.standard_normal(W.shape)
    q = rng.standard_normal((50, S.h))
    out = metrics.head(W, q, Phi)
    assert out.asymmetry == setting.asymmetry(W)
    assert out.commutator == pytest.approx(setting.commutator(q.T @ q, W))
    assert np.allclose(out.eig_W, np.linalg.eigvalsh((W + W.T) / 2)[::-1]) and 0 < out.balance < 1
    zero = metrics.head(np.zeros((2, 2)), np.zeros((3, 2)), np.zeros((2, 4)))
    assert math.isnan(zero.asymmetry) and math.isnan(zero.commutator) and math.isnan(zero.balance)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda q: metrics.theory(q, q[:-1], np.eye(3)), "v: has shape"),
        (lambda q: metrics.theory(q, q, np.eye(2)), "W: has shape"),
        (lambda q: metrics.theory(q, q, np.eye(3), np.zeros((3, 4))), "last: is zero"),
        (lambda q: metrics.theory(q, q, np.eye(3), np.ones((2, 4))), "last: has shape"),
        (lambda q: metrics.spread(q[:2]), "at least 3 rows"),
        (lambda q: metrics.spread(np.full((4, 2), np.inf)), "not finite"),
        (lambda q: metrics.head(np.eye(2), q), "q: has shape"),
        (lambda q: metrics.predicted(metrics.theory(q, q, np.eye(3)), -1.0), "rho"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0).standard_normal((5, 3)))
