"""The model: its arguments, the laws of its random numbers, its losses and the measures of a state."""

import itertools
import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featnorm.setting import (
    Norms,
    Setting,
    asymmetry,
    commutator,
    cosine_loss,
    cosine_loss_equal_modes,
    effective_rank,
    feature_views,
    initialize,
    l2_loss,
    l2_loss_expected,
    norms,
    views,
)

EPS = np.finfo(np.float64).eps
ROUNDING = 1e3 * EPS  # sums of at most a few hundred products of order one
FEW = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)
sizes = st.floats(-50, 50).map(lambda e: 10.0**e)
Z = 5.0  # standard errors: passed with probability > 0.9999 by a few hundred Gaussian means at once


def z_scores(samples, wanted):
    """How many standard errors the mean over the first axis lies from ``wanted``, entry by entry."""
    return (samples.mean(axis=0) - wanted) / (samples.std(axis=0, ddof=1) / math.sqrt(len(samples)))


def state(seed, h=4, d=6, symmetric=False):
    rng = np.random.default_rng(seed)
    W, Phi = initialize(Setting(h=h, d=d), rng)
    return (W if symmetric else W + rng.standard_normal((h, h))), Phi, rng


def orthogonal(n, rng):
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


# Arguments ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, bad, rule",
    [(name, v, "whole number >= 1") for name in "hd" for v in (0, -1, 2.5, 2.0, "3", None, True, math.nan)]
    + [("sigma2", v, "finite number > 0") for v in (0, 0.0, -1.0, "1", None, True, math.nan, math.inf, 10**400)]
    + [("rho", v, "finite number >= 0") for v in (-1e-9, "0", None, False, math.nan, math.inf, 10**400)],
)
def test_setting_refuses(name, bad, rule):
    good = {"h": 2, "d": 3, "sigma2": 1.0, "rho": 0.0}
    Setting(**good)
    with pytest.raises(ValueError) as error:
        Setting(**good | {name: bad})
    assert str(error.value) == f"{name} = {bad!r}: must be a {rule}"
    with pytest.raises(ValueError, match=f"^{name} = "):
        Setting(**good).with_(**{name: bad})


def test_unless_told_otherwise_the_noise_has_unit_variance_and_nothing_decays():
    assert Setting(h=2, d=3) == Setting(h=2, d=3, sigma2=1.0, rho=0.0)


def test_setting_is_a_frozen_value():
    setting = Setting(h=2, d=3, sigma2=0.25)
    assert setting.a == 1.25 and setting.with_(rho=0.5) == Setting(h=2, d=3, sigma2=0.25, rho=0.5)
    with pytest.raises(FrozenInstanceError):
        setting.h = 3


@pytest.mark.parametrize(
    "W, Phi, words",
    [
        (np.eye(3), np.ones((2, 3)), r"^W: has shape \(3, 3\), must have shape \(2, 2\)"),
        (np.eye(2), np.ones((3, 2)), r"^Phi: has shape \(3, 2\), must have shape \(2, 3\)"),
        (np.eye(2), np.ones(6), r"^Phi: has shape \(6,\)"),
        (np.array([[1.0, math.nan], [0, 1]]), np.ones((2, 3)), "^W: has 1 entries that are not finite"),
        (np.eye(2), np.full((2, 3), math.inf), "^Phi: has 6 entries that are not finite"),
        ([["a"]], np.ones((2, 3)), "^W: must be an array of real numbers"),
    ],
)
def test_state_refuses(W, Phi, words):
    setting = Setting(h=2, d=3)
    for reader in (setting.state, lambda *s: l2_loss_expected(*s, setting)):
        with pytest.raises(ValueError, match=words):
            reader(W, Phi)


@pytest.mark.parametrize("n", [0, -1, 2.5, True, None, "3"])
def test_number_of_samples(n):
    setting, rng = Setting(h=2, d=3), np.random.default_rng(0)
    for draw in (lambda: views(setting, n, rng), lambda: feature_views(np.eye(2), setting, n, rng)):
        with pytest.raises(ValueError, match=r"^n = .*whole number >= 1"):
            draw()


@pytest.mark.parametrize(
    "F, words",
    [
        (np.eye(3), "^F: has shape"),
        (np.diag([1.0, math.nan]), "^F: has 1 entries"),
        (np.diag([1.0, -1e-6]), "^F: must have no negative eigenvalue, but the smallest is -1e-06"),
        (-1e-13 * np.eye(2), "^F: must have no negative eigenvalue"),  # small is not the same as zero
        (np.array([[1.0, 5.0], [0.0, 1.0]]), "^F: must be symmetric"),
    ],
)
def test_feature_views_refuses(F, words):
    with pytest.raises(ValueError, match=words):
        feature_views(F, Setting(h=2, d=3), 4, np.random.default_rng(0))


@pytest.mark.parametrize(
    "bad, words",
    [((0.0, 1.0, 0.0), "^N_Phi = 0.0: .* > 0"), ((1.0, -1.0, 0.0), "^N_Psi = -1.0: .* > 0")]
    + [((math.nan, 1, 0), "^N_Phi = nan"), ((1, math.inf, 0), "^N_Psi = inf"), ((1, None, 0), "^N_Psi = None")]
    + [((1.0, 1.0, v), "^N_x = .*: must be a number from -1 to 1") for v in (1.1, -2, math.nan, None, "0", True)],
)
def test_norms_refuse(bad, words):
    with pytest.raises(ValueError, match=words):
        Norms(*bad)


# Random numbers -------------------------------------------------------------------------------------------------------


def halved(setting, rng):
    """The other reading of Assumption 4 (theory, section 4): (A + A^T) / 2 of an independent A. Must be rejected."""
    A = rng.standard_normal((setting.h, setting.h)) / math.sqrt(setting.h)
    return (A + A.T) / 2, initialize(setting, rng)[1]


@pytest.mark.parametrize("draw, holds", [(initialize, True), (halved, False)])
def test_assumption_4(draw, holds):
    """Off-diagonal and diagonal entries of W have variance 1/h, those of Phi 1/d; all independent and Gaussian."""
    setting, rng, n = Setting(h=4, d=7), np.random.default_rng(1), 4000
    draws = [draw(setting, rng) for _ in range(n)]
    W, Phi = (np.array(part) for part in zip(*draws))
    np.testing.assert_array_equal(W, W.transpose(0, 2, 1))
    upper = np.triu_indices(4)
    x = np.hstack([2.0 * W[:, *upper], math.sqrt(7) * Phi.reshape(n, -1)])  # sqrt(h) = 2
    assert np.abs(z_scores(x, 0.0)).max() < Z
    assert (np.abs(z_scores(x**2, 1.0)).max() < Z) == holds
    i, j = np.triu_indices(x.shape[1], 1)
    assert np.abs(z_scores(x[:, i] * x[:, j], 0.0)).max() < Z
    if holds:
        assert abs(z_scores((x**4).ravel(), 3.0)) < Z  # a Gaussian's fourth moment


def pair_products(x, x1):
    both = np.hstack([x, x1])
    return both[:, :, None] * both[:, None, :]


@pytest.mark.parametrize("sigma2", [0.2, 3.0])
def test_views_have_covariance_a_and_cross_covariance_one(sigma2):
    setting, eye = Setting(h=2, d=3, sigma2=sigma2), np.eye(3)
    x, x1 = views(setting, 20_000, np.random.default_rng(2))
    products = pair_products(x, x1)
    assert np.abs(z_scores(np.hstack([x, x1]), 0.0)).max() < Z
    assert np.abs(z_scores(products, np.block([[setting.a * eye, eye], [eye, setting.a * eye]]))).max() < Z
    wrong = np.block([[sigma2 * eye, eye], [eye, sigma2 * eye]])
    assert np.abs(z_scores(products, wrong)).max() > 2 * Z


@pytest.mark.parametrize("h, d", [(3, 5), (3, 2), (1, 4)])
def test_feature_views_have_the_law_of_features(h, d):
    """Both samplers against the covariance [[aF, F], [F, aF]]; with h > d F is singular."""
    setting, rng = Setting(h=h, d=d, sigma2=0.7), np.random.default_rng(3)
    _, Phi = initialize(setting, rng)
    F, a = Phi @ Phi.T, setting.a
    wanted = np.block([[a * F, F], [F, a * F]])
    x, x1 = views(setting, 20_000, rng)
    drawn = pair_products(*feature_views(F, setting, 20_000, rng))
    assert np.abs(z_scores(pair_products(x @ Phi.T, x1 @ Phi.T), wanted)).max() < Z
    assert np.abs(z_scores(drawn, wanted)).max() < Z
    assert np.abs(z_scores(drawn, np.block([[F, F], [F, F]]))).max() > 2 * Z
    assert abs(z_scores(np.trace(drawn, axis1=1, axis2=2) ** 2, np.trace(wanted) ** 2 + 2 * np.sum(wanted**2))) < Z


def test_features_of_a_zero_gram_matrix_are_zero():
    for part in feature_views(np.zeros((2, 2)), Setting(h=2, d=3), 4, np.random.default_rng(0)):
        assert part.shape == (4, 2) and not part.any()


# Losses ---------------------------------------------------------------------------------------------------------------


@FEW
@given(seeds, sizes, sizes, st.booleans())
def test_cosine_loss_is_free_of_scale(seed, c, e, flip):
    """Each of W, Phi and every single view may be scaled; turning W round turns the sign."""
    W, Phi, rng = state(seed)
    x, x1 = views(Setting(h=4, d=6), 9, rng)
    sign, rows = (-1.0 if flip else 1.0), 10.0 ** rng.uniform(-20, 20, (9, 1))
    value = cosine_loss(W, Phi, x, x1)
    assert -1.0 - ROUNDING <= value <= 1.0 + ROUNDING
    # ill-conditioned where W Phi x is nearly zero, hence the factor against plain rounding
    assert cosine_loss(sign * c * W, e * Phi, x * rows, x1 / rows) == pytest.approx(sign * value, abs=100 * ROUNDING)
    shear = x1 + 0.5 * rng.standard_normal(x1.shape)
    assert cosine_loss(W, Phi, x, shear) != pytest.approx(value, abs=1e-6)


def test_cosine_loss_by_angles():
    turn = lambda t: np.array([[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]])  # noqa: E731
    x = np.array([[1.0, 0.0]])
    for angle in (0.0, 0.3, 2.0, math.pi):
        assert cosine_loss(turn(angle), np.eye(2), x, 5 * x) == pytest.approx(-math.cos(angle), abs=ROUNDING)


@pytest.mark.parametrize("which, name", [(0, "W Phi x"), (1, "Phi x'")])
def test_cosine_loss_refuses_zero_features(which, name):
    pair = [np.ones((2, 2)), np.ones((2, 2))]
    pair[which][1] = 0.0
    with pytest.raises(ValueError, match=f"^{name}: a feature vector is zero"):
        cosine_loss(np.eye(2), np.eye(2), *pair)


def gauss_design(setting):
    """Views on the two-point Gauss-Hermite rule in every variable: means of quadratics are exact expectations."""
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=3 * setting.d))).reshape(-1, 3, setting.d)
    return tuple(signs[:, 0] + math.sqrt(setting.sigma2) * signs[:, k] for k in (1, 2))


@FEW
@given(seeds, st.floats(0.05, 20.0))
def test_l2_loss_in_expectation(seed, sigma2):
    setting = Setting(h=3, d=2, sigma2=sigma2)
    W, Phi, _ = state(seed, h=3, d=2)
    exact = l2_loss(W, Phi, *gauss_design(setting))
    assert l2_loss_expected(W, Phi, setting) == pytest.approx(exact, rel=ROUNDING)
    same_noise = l2_loss(W, Phi, *(gauss_design(setting)[0],) * 2)
    assert same_noise != pytest.approx(exact, rel=1e-6)


def test_l2_loss_on_gaussian_samples():
    setting = Setting(h=3, d=5, sigma2=0.4)
    W, Phi, rng = state(0, h=3, d=5)
    losses = np.array([l2_loss(W, Phi, *views(setting, 50, rng)) for _ in range(400)])
    assert abs(z_scores(losses, l2_loss_expected(W, Phi, setting))) < Z
    assert abs(z_scores(losses, 2 * l2_loss_expected(W, Phi, setting))) > 2 * Z  # without the factor 1/2


@FEW
@given(st.floats(1e-3, 1e3))
def test_one_mode_obeys_the_arcsine_law(sigma2):
    setting = Setting(h=1, d=1, sigma2=sigma2)
    assert cosine_loss_equal_modes(1, setting) == pytest.approx(-2 / math.pi * math.asin(1 / setting.a), rel=ROUNDING)


@pytest.mark.parametrize("sigma2", [0.1, 1.0, 10.0])
def test_equal_modes_approach_the_concentrated_loss(sigma2):
    """-L rises with k to 1/a, with an error of order 1/k. gammaln loses digits with k: 1e-12 covers k = 4096."""
    setting = Setting(h=1, d=1, sigma2=sigma2)
    k = 2 ** np.arange(0, 13)
    gaps = 1 / setting.a + np.array([cosine_loss_equal_modes(int(n), setting) for n in k])
    assert (np.diff(gaps) < 1e-12).all() and (gaps > 0).all()
    slopes = np.diff(np.log(gaps[6:])) / np.log(2)
    assert np.abs(slopes + 1).max() < 0.02  # corrections of relative order 1/64 and smaller


@pytest.mark.parametrize("k", [1, 2, 5])
def test_equal_modes_against_monte_carlo(k):
    setting = Setting(h=k, d=k, sigma2=0.5)
    x, x1 = views(setting, 20_000, np.random.default_rng(4))
    cosines = np.sum(x * x1, axis=1) / np.linalg.norm(x, axis=1) / np.linalg.norm(x1, axis=1)
    assert abs(z_scores(-cosines, cosine_loss_equal_modes(k, setting))) < Z
    assert abs(z_scores(-cosines, -1 / setting.a)) > 2 * Z  # the limit of many modes


@pytest.mark.parametrize("k", [0, 1.5, True, None])
def test_equal_modes_refuse(k):
    with pytest.raises(ValueError, match=r"^k = "):
        cosine_loss_equal_modes(k, Setting(h=1, d=1))


# Measures of a state --------------------------------------------------------------------------------------------------


@FEW
@given(seeds, sizes, sizes)
def test_norms(seed, c, e):
    W, Phi, rng = state(seed)
    N, F = norms(W, Phi), Phi @ Phi.T
    assert N.N_Phi == pytest.approx(math.sqrt(np.trace(F)), rel=ROUNDING)
    assert N.N_Psi == pytest.approx(math.sqrt(np.trace(W @ F @ W.T)), rel=ROUNDING)
    assert N.N_x * N.N_Phi * N.N_Psi == pytest.approx(np.trace(W @ F), abs=ROUNDING * N.N_Phi * N.N_Psi)
    assert abs(N.N_x) < 1  # Cauchy-Schwarz, strict unless W acts on Phi as a multiple of the identity
    scaled = norms(c * W, e * Phi)
    assert scaled.N_x == pytest.approx(N.N_x, abs=ROUNDING)
    assert scaled.N_Psi == pytest.approx(c * e * N.N_Psi, rel=ROUNDING)
    U, V = orthogonal(4, rng), orthogonal(6, rng)
    assert norms(U @ W @ U.T, U @ Phi @ V).N_x == pytest.approx(N.N_x, abs=ROUNDING)
    for sign in (1.0, -1.0):
        assert norms(sign * c * np.eye(4), Phi).N_x == pytest.approx(sign, rel=ROUNDING)


@pytest.mark.parametrize(
    "W, Phi, name",
    [
        (np.zeros((2, 2)), np.eye(2), "N_Psi"),
        (np.eye(2), np.zeros((2, 2)), "N_Phi"),
        (np.diag([1.0, 0.0]), np.diag([0.0, 1.0]), "N_Psi"),
    ],
)
def test_norms_of_zero(W, Phi, name):
    with pytest.raises(ValueError, match=f"^{name} = 0.0: must be a finite number > 0"):
        norms(W, Phi)


@FEW
@given(seeds, st.integers(1, 6), st.integers(1, 6), sizes)
def test_effective_rank(seed, h, d, c):
    rng = np.random.default_rng(seed)
    Phi, U = rng.standard_normal((h, d)), orthogonal(h, rng)
    F = Phi @ Phi.T
    rank = effective_rank(F)
    assert 1 - ROUNDING <= rank <= min(h, d) * (1 + ROUNDING)  # never more than the rank
    assert effective_rank(c * U @ F @ U.T) == pytest.approx(rank, rel=ROUNDING)
    for k in range(1, h + 1):
        equal = (np.arange(h) < k).astype(float)
        assert effective_rank(c * (U * equal) @ U.T) == pytest.approx(k, rel=ROUNDING)
    eigenvalues = np.linalg.eigvalsh(F)
    assert rank == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=ROUNDING)


def test_effective_rank_of_zero():
    with pytest.raises(ValueError, match="is zero"):
        effective_rank(np.zeros((3, 3)))


@FEW
@given(seeds, st.integers(2, 6), sizes)
def test_asymmetry_and_commutator(seed, h, c):
    """Both lie in [0, 1] and ignore scale and the choice of axes; the ends are reached."""
    rng = np.random.default_rng(seed)
    W, A, U = rng.standard_normal((h, h)), rng.standard_normal((h, h)), orthogonal(h, rng)
    F = A @ A.T
    bent, crossed = asymmetry(W), commutator(F, W)
    assert 0 < bent < 1 and 0 < crossed < 1
    assert asymmetry(c * U @ W @ U.T) == pytest.approx(bent, abs=ROUNDING)
    assert commutator(c * U @ F @ U.T, U @ W @ U.T / c) == pytest.approx(crossed, abs=ROUNDING)
    assert asymmetry(W.T) == pytest.approx(bent, abs=ROUNDING)
    assert commutator(W, F) == pytest.approx(crossed, abs=ROUNDING)
    symmetric, skew = (W + W.T) / 2, (W - W.T) / 2
    assert asymmetry(symmetric) == 0.0 and asymmetry(skew) == pytest.approx(1.0, rel=ROUNDING)
    part = np.linalg.norm(skew) / math.hypot(np.linalg.norm(skew), np.linalg.norm(symmetric))
    assert bent == pytest.approx(part, abs=ROUNDING)  # the antisymmetric share, by Pythagoras
    w, phi = rng.standard_normal(h), rng.uniform(0, 1, h)
    assert commutator((U * phi) @ U.T, (U * w) @ U.T) < ROUNDING
    flip, mirror = np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [1.0, 0.0]])
    assert commutator(flip, mirror) == 1.0  # they anticommute


@pytest.mark.parametrize("ratio", [0.25, 1.0])
def test_assumption_4_does_not_commute(ratio):
    """With h/d = ratio the commutator tends to sqrt(ratio / (2 (1 + ratio))) (theory, section 4), up to O(1/h)."""
    h = 160
    setting = Setting(h=h, d=int(h / ratio))
    W, Phi = initialize(setting, np.random.default_rng(5))
    assert abs(commutator(Phi @ Phi.T, W) - math.sqrt(ratio / (2 * (1 + ratio)))) < 3 / h


NAN2, EYE2 = np.full((2, 2), math.nan), np.eye(2)


@pytest.mark.parametrize("loss", [l2_loss, cosine_loss])
@pytest.mark.parametrize(
    "change, words",
    [
        ({0: NAN2}, "^W: has 4 entries"),
        ({1: NAN2}, "^Phi: has 4 entries"),
        ({2: NAN2}, "^x: has 4 entries"),
        ({3: NAN2}, "^x1: has 4 entries"),
        ({3: EYE2[:1]}, r"^x1: has shape \(1, 2\), must have shape \(2, 2\)"),
        ({2: np.ones((2, 3))}, "^x: has shape"),
        ({2: np.ones((0, 2)), 3: np.ones((0, 2))}, "^x: has no rows"),
        ({0: np.ones((2, 3))}, "^W: has shape .* must be square"),
        ({1: np.ones((3, 2))}, "^Phi: has shape"),
        ({1: np.ones((2, 0)), 2: np.ones((2, 0)), 3: np.ones((2, 0))}, "^Phi: .* at least one column"),
        ({0: 1j * EYE2}, "^W: must be an array of real numbers"),
        ({0: [["1", "0"], ["0", "1"]]}, "^W: must be an array of real numbers"),
        ({0: np.array([["1", "0"], ["0", "1"]], dtype=object)}, "^W: must be an array of real numbers"),
        ({1: 1e300 * EYE2, 2: 1e300 * EYE2}, "^W, Phi, x, x1: too large"),
    ],
)
def test_losses_refuse(loss, change, words):
    arguments = [EYE2, EYE2, EYE2, EYE2]
    loss(*arguments)
    for k, bad in change.items():
        arguments[k] = bad
    with pytest.raises(ValueError, match=words):
        loss(*arguments)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: norms(NAN2, EYE2), "^W: has 4 entries"),
        (lambda: norms(EYE2, NAN2), "^Phi: has 4 entries"),
        (lambda: norms(EYE2, np.eye(3)), "^Phi: has shape"),
        (lambda: effective_rank(NAN2), "^A: has 4 entries"),
        (lambda: effective_rank([[1.0, 1.0], [0.0, 1.0]]), "^A: must be symmetric"),
        (lambda: effective_rank(np.diag([1.0, -1.0])), "^A: its trace is not positive"),
        (lambda: effective_rank(-EYE2), "^A: its trace is not positive"),
        (lambda: effective_rank(np.empty((0, 0))), "^A: has shape"),
        (lambda: asymmetry(NAN2), "^W: has 4 entries"),
        (lambda: asymmetry(np.ones((2, 3))), "^W: has shape"),
        (lambda: asymmetry(0 * EYE2), "^W: is zero"),
        (lambda: asymmetry(1j * EYE2), "^W: must be an array of real numbers"),
        (lambda: commutator(NAN2, EYE2), "^F: has 4 entries"),
        (lambda: commutator(EYE2, NAN2), "^W: has 4 entries"),
        (lambda: commutator(EYE2, np.eye(3)), "^W: has shape"),
        (lambda: commutator(np.diag([1.0, 0.0]), np.diag([0.0, 1.0])), "^F, W: their products are zero"),
    ],
)
def test_measures_refuse(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("c", [1e-300, 1e-170, 1e170, 1e300])
def test_scale_free_measures_at_any_size(c):
    A = np.array([[1.0, 2.0], [3.0, -4.0]])
    assert effective_rank(c * EYE2) == pytest.approx(2.0, rel=ROUNDING)
    assert asymmetry(c * A) == pytest.approx(asymmetry(A), rel=ROUNDING)
    assert commutator(c * A, c * A.T) == pytest.approx(commutator(A, A.T), rel=ROUNDING)
    assert cosine_loss(EYE2, EYE2, c * EYE2, c * EYE2) == pytest.approx(-1.0, rel=ROUNDING)
