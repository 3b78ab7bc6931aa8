"""Gradient flow in matrices: fields against autodiff, exact laws of the flow, H in three forms, the closures."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from featnorm import matrix_flow
from featnorm.eigen_flow import mode_norms, rate_terms
from featnorm.matrix_flow import (
    CLOSURES,
    H_closure,
    H_diagonal_blocks,
    H_sample,
    closed_velocity,
    closure_field,
    closure_terms,
    cosine_field,
    estimate_gradient,
    estimate_H,
    gradient_flow,
    l2_field,
    l2_field_expected,
)
from featnorm.setting import (
    Setting,
    cosine_loss,
    cosine_loss_equal_modes,
    initialize,
    l2_loss,
    l2_loss_expected,
    norms,
    views,
)
from featnorm.simsiam import linear

EPS = np.finfo(np.float64).eps
ROUNDING = 1e4 * EPS  # sums of thousands of terms of order one
FEW = settings(max_examples=25, deadline=None)
FLOWS = settings(max_examples=6, deadline=None)  # each example integrates a flow
seeds = st.integers(0, 2**32 - 1)
Z = 5.0  # standard errors
LOSSES = {"cosine": (cosine_field, cosine_loss), "l2": (l2_field, l2_loss)}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Matrices this small gain nothing from threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="module")
def short_of_patience():
    """A flow of this file needs some hundred evaluations; a stuck one should not take minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matrix_flow, "MAX_EVALUATIONS", 5000)
        yield


def flow(*arguments, **options):
    """`gradient_flow`, or another example where a feature comes close to zero; too many of those fail the test."""
    try:
        return gradient_flow(*arguments, **options)
    except RuntimeError:
        reject()


def sample(seed, h=4, d=6, n=60, sigma2=0.7):
    """A state with an asymmetric W and views of a law that is not Gaussian."""
    rng = np.random.default_rng(seed)
    setting = Setting(h=h, d=d, sigma2=sigma2)
    W, Phi = initialize(setting, rng)
    x, x1 = views(setting, n, rng)
    return W + 0.5 * rng.standard_normal((h, h)), Phi, x + 0.2 * x**2, x1 + 0.2 * x1**2


def orthogonal(n, rng):
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


# Fields ---------------------------------------------------------------------------------------------------------------


@FEW
@given(seeds, st.sampled_from(sorted(LOSSES)))
def test_fields_are_autodiff(seed, loss):
    W, Phi, x, x1 = sample(seed)
    field, _ = LOSSES[loss]
    size = max(np.abs(g).max() for g in linear.gradients(W, Phi, x, x1, loss))
    for ours, theirs in zip(field(W, Phi, x, x1), linear.gradients(W, Phi, x, x1, loss)):
        np.testing.assert_allclose(ours, -theirs, rtol=0, atol=ROUNDING * size)


@pytest.mark.parametrize("loss", LOSSES)
def test_fields_without_stop_gradient_are_derivatives_of_the_loss(loss):
    """Central differences of the NumPy loss and autograd without detach; with the stop-gradient neither agrees."""
    field, value = LOSSES[loss]
    W, Phi, x, x1 = sample(1)
    step = EPS ** (1 / 3)
    fd_error = 1e2 * step**2  # truncation and cancellation of central differences

    def differences(f, A):
        out = np.empty_like(A)
        for index in np.ndindex(A.shape):
            E = np.zeros_like(A)
            E[index] = step
            out[index] = (f(A + E) - f(A - E)) / (2 * step)
        return out

    in_W = differences(lambda V: value(V, Phi, x, x1), W)
    in_Phi = differences(lambda P: value(W, P, x, x1), Phi)
    dW, dPhi = field(W, Phi, x, x1, stop_gradient=False)
    np.testing.assert_allclose(dW, -in_W, atol=fd_error)
    np.testing.assert_allclose(dPhi, -in_Phi, atol=fd_error)
    assert np.abs(field(W, Phi, x, x1)[1] + in_Phi).max() > 1e3 * fd_error
    w, phi, s, s1 = (torch.tensor(A, requires_grad=k < 2) for k, A in enumerate((W, Phi, x, x1)))
    u, v = s @ (w @ phi).T, s1 @ phi.T
    if loss == "cosine":
        total = -torch.nn.functional.cosine_similarity(u, v).mean()
    else:
        total = 0.5 * (u - v).square().sum(dim=1).mean()
    for ours, theirs in zip((dW, dPhi), torch.autograd.grad(total, (w, phi))):
        np.testing.assert_allclose(ours, -theirs.numpy(), atol=ROUNDING)


@FEW
@given(seeds, st.booleans(), st.floats(-20, 20), st.floats(-20, 20))
def test_cosine_field_is_tangent_and_homogeneous(seed, stop, log_c, log_e):
    """<dW, W> = <dPhi, Phi> = 0 (E1); each part scales like one over its own weights and ignores the others' scale."""
    W, Phi, x, x1 = sample(seed)
    c, e = 10.0**log_c, 10.0**log_e
    dW, dPhi = cosine_field(W, Phi, x, x1, stop)
    bound = ROUNDING * max(np.linalg.norm(dW) * np.linalg.norm(W), np.linalg.norm(dPhi) * np.linalg.norm(Phi))
    assert abs(np.sum(dW * W)) <= bound and abs(np.sum(dPhi * Phi)) <= bound
    cW, ePhi = cosine_field(c * W, e * Phi, x, x1, stop)
    np.testing.assert_allclose(c * cW, dW, rtol=0, atol=ROUNDING * np.abs(dW).max())
    np.testing.assert_allclose(e * ePhi, dPhi, rtol=0, atol=ROUNDING * np.abs(dPhi).max())
    lW, lPhi = l2_field(W, Phi, x, x1, stop)
    assert abs(np.sum(lW * W)) + abs(np.sum(lPhi * Phi)) > bound  # no such law for the L2 loss


def test_expected_l2_field_is_a_derivative_of_the_expected_loss_on_the_online_branch():
    """By Monte Carlo with standard errors, and by the difference of E[loss] against its part on the target."""
    setting = Setting(h=3, d=4, sigma2=0.5)
    W, Phi, _, _ = sample(2, h=3, d=4)
    rng = np.random.default_rng(0)
    blocks = [l2_field(W, Phi, *views(setting, 200, rng)) for _ in range(200)]
    wrong = l2_field_expected(W, Phi, setting.with_(sigma2=0.7))
    for k, exact in enumerate(l2_field_expected(W, Phi, setting)):
        part = np.array([b[k] for b in blocks])
        stderr = part.std(axis=0, ddof=1) / math.sqrt(len(part))
        assert np.abs((part.mean(axis=0) - exact) / stderr).max() < Z
        assert np.abs((part.mean(axis=0) - wrong[k]) / stderr).max() > 2 * Z
    # the loss is quadratic in W, so central differences with a step of one are exact
    index, E = (1, 2), np.zeros((3, 3))
    E[index] = 1.0
    slope = (l2_loss_expected(W + E, Phi, setting) - l2_loss_expected(W - E, Phi, setting)) / 2
    assert l2_field_expected(W, Phi, setting)[0][index] == pytest.approx(-slope, abs=ROUNDING)


def gauss_design(setting, points):
    """Views on a product Gauss-Hermite rule with weights: exact for polynomials of degree 2 * points - 1 a variable."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    rows = np.array(list(itertools.product(nodes, repeat=3 * setting.d))).reshape(-1, 3, setting.d)
    weight = np.array([math.prod(w) for w in itertools.product(weights, repeat=3 * setting.d)])
    x, x1 = (rows[:, 0] + math.sqrt(setting.sigma2) * rows[:, k] for k in (1, 2))
    return x, x1, weight / weight.sum()


def test_expected_l2_field_on_an_exact_design():
    """Two points a variable have the second moments of the views, and equal weights: a sample with no error."""
    setting = Setting(h=3, d=2, sigma2=0.8)
    W, Phi, _, _ = sample(3, h=3, d=2)
    x, x1, _ = gauss_design(setting, 2)
    for ours, exact in zip(l2_field(W, Phi, x, x1), l2_field_expected(W, Phi, setting)):
        np.testing.assert_allclose(ours, exact, atol=ROUNDING)


# The flow -------------------------------------------------------------------------------------------------------------

RTOL = 1e-10
SOLVER = 1e4 * RTOL  # a step's accuracy, over at most some hundred steps of a flow that may amplify errors


@FLOWS
@given(seeds, st.floats(0.0, 1.0), st.booleans())
def test_norm_law(seed, rho, stop):
    """E1: the norms shrink like exp(-rho t), for any data and any W, with or without stop-gradient."""
    W, Phi, x, x1 = sample(seed)
    run = flow(W, Phi, x, x1, rho, [0.0, 0.4, 1.0], stop_gradient=stop, rtol=RTOL)
    for start, path in ((W, run.W), (Phi, run.Phi)):
        law = np.exp(-rho * run.t) * np.linalg.norm(start)
        np.testing.assert_allclose(np.linalg.norm(path, axis=(1, 2)), law, rtol=SOLVER)


def test_norm_law_is_false_for_the_l2_loss():
    W, Phi, x, x1 = sample(0)
    run = gradient_flow(W, Phi, x, x1, 0.3, [0.0, 1.0], loss="l2")
    assert abs(np.linalg.norm(run.W[-1]) / np.linalg.norm(W) * math.exp(0.3) - 1) > 1e-2


@FLOWS
@given(seeds, st.floats(0.05, 1.0))
def test_weight_decay_is_a_clock(seed, rho):
    """E2: (W, Phi)(t; rho) = exp(-rho t) (W, Phi)(s; 0) with s = (exp(2 rho t) - 1) / (2 rho)."""
    W, Phi, x, x1 = sample(seed)
    t = np.array([0.0, 0.5, 1.0])
    s = np.expm1(2 * rho * t) / (2 * rho)
    slow = flow(W, Phi, x, x1, rho, t, rtol=RTOL)
    fast = flow(W, Phi, x, x1, 0.0, s, rtol=RTOL)
    shrink = np.exp(-rho * t)[:, None, None]
    size = np.linalg.norm(W)
    np.testing.assert_allclose(slow.W, shrink * fast.W, rtol=0, atol=SOLVER * size)
    np.testing.assert_allclose(slow.Phi, shrink * fast.Phi, rtol=0, atol=SOLVER * np.linalg.norm(Phi))
    assert np.abs(slow.W[1:] - shrink[1:] * flow(W, Phi, x, x1, 0.0, t).W[1:]).max() > SOLVER * size


@pytest.mark.parametrize("loss", LOSSES)
@FLOWS
@given(seed=seeds, rho=st.floats(0.0, 1.0))
def test_balance_law(loss, seed, rho):
    """E3: W^T W - Phi Phi^T decays like exp(-2 rho t) under both losses; it needs the stop-gradient and this order."""
    W, Phi, x, x1 = sample(seed)
    t = np.array([0.0, 0.4, 1.0])

    def gap(run, factor=2.0, swap=False):
        Wt, Pt = run.W.transpose(0, 2, 1), run.Phi.transpose(0, 2, 1)
        mismatch = (run.W @ Wt if swap else Wt @ run.W) - run.Phi @ Pt
        law = np.exp(-factor * rho * t)[:, None, None] * mismatch[0]
        return np.abs(mismatch - law).max() / (np.sum(W**2) + np.sum(Phi**2))

    run = flow(W, Phi, x, x1, rho, t, loss=loss, rtol=RTOL)
    assert gap(run) < SOLVER
    assert gap(run, swap=True) > SOLVER
    assert gap(flow(W, Phi, x, x1, rho, t, loss=loss, stop_gradient=False, rtol=RTOL)) > SOLVER
    if rho > 0.01:
        assert gap(run, factor=1.0) > SOLVER


def test_error_follows_the_tolerance():
    W, Phi, x, x1 = sample(0)
    times = [0.0, 1.0, 2.0]
    exact = gradient_flow(W, Phi, x, x1, 0.2, times, rtol=1e-13)
    rtols = 10.0 ** -np.arange(4, 12)
    errors = [np.abs(gradient_flow(W, Phi, x, x1, 0.2, times, rtol=r).W - exact.W).max() for r in rtols]
    slope = np.polyfit(np.log(rtols), np.log(errors), 1)[0]
    assert 0.7 < slope < 1.3  # error per step is held at rtol: proportional, up to the jumps of a variable step
    assert errors[-1] < 100 * rtols[-1]


def test_flow_is_autonomous_and_starts_where_told():
    W, Phi, x, x1 = sample(0)
    run = gradient_flow(W, Phi, x, x1, 0.2, [3.0, 3.5, 4.0])
    np.testing.assert_array_equal(run.W[0], W)
    np.testing.assert_array_equal(run.Phi[0], Phi)
    np.testing.assert_array_equal(run.t, [3.0, 3.5, 4.0])
    rest = gradient_flow(run.W[1], run.Phi[1], x, x1, 0.2, [0.0, 0.5])
    np.testing.assert_allclose(rest.W[1], run.W[2], atol=SOLVER)
    np.testing.assert_allclose(rest.Phi[1], run.Phi[2], atol=SOLVER)


@pytest.mark.parametrize("rho", [0.05, 0.3])
def test_l2_flow_of_commuting_states_is_scalar(rho):
    """Off the parabola dw = phi (1 - a w) - rho w, dphi = 2 w phi (1 - a w) - 2 rho phi (theory, section 17)."""
    setting, rng = Setting(h=2, d=2, sigma2=0.8, rho=rho), np.random.default_rng(0)
    x, x1, _ = gauss_design(setting, 2)
    U, V = orthogonal(2, rng), orthogonal(2, rng)
    w0, phi0, t, a = np.array([0.9, -0.3]), np.array([0.5, 0.4]), [0.0, 1.0, 5.0], setting.a

    def slope(_, y):
        w, phi = y[:2], y[2:]
        return np.concatenate([phi * (1 - a * w) - rho * w, 2 * w * phi * (1 - a * w) - 2 * rho * phi])

    scalar = solve_ivp(slope, (0, 5), np.concatenate([w0, phi0]), "RK45", t, rtol=1e-11, atol=1e-13).y.T
    run = gradient_flow((U * w0) @ U.T, (U * np.sqrt(phi0)) @ V.T, x, x1, rho, t, loss="l2")
    for k in range(3):
        np.testing.assert_allclose(run.W[k], (U * scalar[k, :2]) @ U.T, atol=SOLVER)
        np.testing.assert_allclose(run.Phi[k] @ run.Phi[k].T, (U * scalar[k, 2:]) @ U.T, atol=SOLVER)


GOOD = dict(zip(("W0", "Phi0", "x", "x1"), sample(0, h=3, d=4, n=40))) | {"rho": 0.1, "times": [0.0, 1.0]}


@pytest.mark.parametrize(
    "change, words",
    [
        ({"W0": np.ones((3, 2))}, r"^W0: has shape \(3, 2\), must have shape \(3, 3\)"),
        ({"W0": np.full((3, 3), math.nan)}, "^W0: has 9 entries"),
        ({"Phi0": np.ones((2, 4))}, r"^Phi0: has shape \(2, 4\), must have shape \(3, any\)"),
        ({"x": np.ones((40, 5))}, "^x: has shape"),
        ({"x1": np.ones((39, 4))}, r"^x1: has shape \(39, 4\), must have shape \(40, 4\)"),
        ({"x1": np.full((40, 4), math.inf)}, "^x1: has 160 entries"),
        ({"x": np.ones((0, 4)), "x1": np.ones((0, 4))}, "^x: has no rows"),
        ({"rho": -0.1}, r"^rho = -0\.1: must be a finite number >= 0"),
        ({"rho": math.nan}, "^rho = nan"),
        ({"rtol": 0.0}, r"^rtol = 0\.0: must be a finite number > 0"),
        ({"rtol": math.nan}, "^rtol = nan"),
        ({"times": [0.0]}, "^times: must be at least two increasing numbers"),
        ({"times": [0.0, 1.0, 1.0]}, "^times: must be at least two increasing"),
        ({"times": [1.0, 0.0]}, "^times: must be at least two increasing"),
        ({"times": [0.0, math.inf]}, "^times: has 1 entries"),
        ({"times": 1.0}, "^times: has shape"),
        ({"loss": "huber"}, "^loss = 'huber': must be one of cosine, l2"),
        ({"W0": np.zeros((3, 3))}, "a feature W Phi x or Phi x' is zero"),
        ({"x1": np.zeros((40, 4))}, "a feature W Phi x or Phi x' is zero"),
    ],
)
def test_flow_refuses(change, words):
    with pytest.raises(ValueError, match=words):
        gradient_flow(**GOOD | change)


def test_stuck_flow_says_so(monkeypatch):
    assert len(gradient_flow(**GOOD).t) == 2
    monkeypatch.setattr(matrix_flow, "MAX_EVALUATIONS", 50)
    with pytest.raises(RuntimeError, match=r"stuck near t = [0-9.]+"):
        gradient_flow(**GOOD)


# H --------------------------------------------------------------------------------------------------------------------


@FEW
@given(seeds)
def test_H_on_samples(seed):
    """Lemma 1: H = K W^T and W^T H = (field of Phi) Phi^T W^T, and the trace is zero; the transpose is not H."""
    W, Phi, x, x1 = sample(seed)
    H = H_sample(W, Phi, x, x1)
    K, G = cosine_field(W, Phi, x, x1)
    bound = ROUNDING * max(1.0, np.linalg.norm(K) * np.linalg.norm(W))
    assert abs(np.trace(H)) < ROUNDING
    np.testing.assert_allclose(K @ W.T, H, rtol=0, atol=bound)
    np.testing.assert_allclose(G @ Phi.T @ W.T, W.T @ H, rtol=0, atol=bound * np.linalg.norm(W))
    assert np.abs(K @ W.T - H.T).max() > bound


def exact_diagonal(w, phi, a, n=48):
    """diag H and E cos of a commuting state by the double integral of theory.md, section 25: no sampling."""
    t, step = np.linspace(-4.3, 3.8, n, retstep=True)
    node = np.exp(0.5 * np.pi * np.sinh(t))
    weight = 0.5 * np.pi * np.cosh(t) * step * np.sqrt(node)  # ds / sqrt(s) for s = node
    units = 2 * a * np.sum(w**2 * phi), 2 * a * np.sum(phi)
    s, r = (node / unit for unit in units)
    s, r, measure = s[:, None, None], r[None, :, None], np.outer(weight, weight) / math.sqrt(units[0] * units[1])
    p, q = 2 * s * w**2 * phi, 2 * r * phi
    delta = 1 + a * (p + q) + (a * a - 1) * p * q
    damp = np.exp(-0.5 * np.sum(np.log(delta), axis=2)) * measure / np.pi
    T = np.sum(w * phi / delta, axis=2, keepdims=True)
    inner = w * phi / delta - 2 * s * w**2 * phi * (a + (a * a - 1) * q) / delta * (T + 2 * w * phi / delta)
    return np.einsum("sr,srj->j", damp, inner), float(np.sum(damp * T[..., 0]))


def test_the_integral_of_section_25():
    """The independent method itself: zero trace, and the closed form of the cosine for equal modes."""
    setting = Setting(h=3, d=3, sigma2=0.6)
    H, _ = exact_diagonal(np.array([1.0, -0.4, 0.3]), np.array([0.5, 1.0, 0.2]), setting.a)
    assert abs(H.sum()) < 1e-6 and np.abs(H).max() > 0.01  # 48 nodes give about 1e-7
    for k in (1, 2, 3):
        equal = (np.arange(3) < k).astype(float)
        assert exact_diagonal(np.ones(3), equal, setting.a)[1] == pytest.approx(
            -cosine_loss_equal_modes(k, setting), abs=1e-6
        )


STATES = (
    np.array([[1.0, -0.5, 0.2, 0.7], [0.3, 0.3, 0.3, 0.3]]),
    np.array([[0.5, 1.0, 2.0, 0.1], [1.0, 0.5, 0.0, 0.2]]),
)


def test_diagonal_of_H_against_the_integral():
    """Both states, mode by mode, within five standard errors; a wrong sign of w is told apart."""
    setting = Setting(h=4, d=4, sigma2=0.6)
    w, phi = STATES
    blocks = H_diagonal_blocks(w, phi, setting, 64_000, np.random.default_rng(0))
    assert blocks.shape == (64, 2, 4)
    stderr = blocks.std(axis=0, ddof=1) / 8
    for k in range(2):
        exact, _ = exact_diagonal(w[k], phi[k], setting.a)
        flipped, _ = exact_diagonal(np.abs(w[k]), phi[k], setting.a)
        live = phi[k] > 0  # a mode without features has H = 0 exactly
        gaps = np.abs(blocks[:, k].mean(axis=0) - exact)
        assert (gaps[live] / stderr[k, live]).max() < Z and np.array_equal(gaps[~live], 0 * gaps[~live])
        if (w[k] < 0).any():
            assert (np.abs(blocks[:, k].mean(axis=0) - flipped) / stderr[k]).max() > 4 * Z
    np.testing.assert_allclose(blocks.sum(axis=2), 0.0, atol=ROUNDING)  # the trace vanishes sample by sample


def test_estimated_H_is_diagonal_in_the_common_axes():
    """A rotated commuting state: the diagonal is the integral's, the off-diagonal zero (section 12)."""
    setting, rng = Setting(h=4, d=9, sigma2=0.6), np.random.default_rng(1)
    w, phi = STATES[0][0], STATES[1][0]
    U, V = orthogonal(4, rng), np.linalg.qr(rng.standard_normal((9, 4)))[0]
    W, Phi = (U * w) @ U.T, (U * np.sqrt(phi)) @ V.T
    H = estimate_H(W, Phi, setting, 64_000, rng)
    exact = (U * exact_diagonal(w, phi, setting.a)[0]) @ U.T
    assert H.n == 64_000 and np.abs((H.mean - exact) / H.stderr).max() < Z
    assert np.abs(H.mean / H.stderr).max() > 4 * Z
    direct = [H_sample(W, Phi, *views(setting, 1000, rng)) for _ in range(64)]  # in d dimensions
    stderr = np.std(direct, axis=0, ddof=1) / 8
    assert np.abs((np.mean(direct, axis=0) - exact) / stderr).max() < Z


def test_estimated_H_does_not_see_d():
    """Two Phi with the same F, in 3 and in 50 dimensions, give the same estimate from the same random numbers."""
    rng = np.random.default_rng(2)
    W, Phi = initialize(Setting(h=3, d=3), rng)
    wide = Phi @ np.linalg.qr(rng.standard_normal((50, 3)))[0].T
    narrow = estimate_H(W, Phi, Setting(h=3, d=3), 640, np.random.default_rng(3))
    broad = estimate_H(W, wide, Setting(h=3, d=50), 640, np.random.default_rng(3))
    # rounding in F, enlarged by the division by features of which some are small
    np.testing.assert_allclose(broad.mean, narrow.mean, atol=1e-8)
    np.testing.assert_allclose(broad.stderr, narrow.stderr, atol=1e-8)


@pytest.mark.parametrize("what", ["H", "dW", "dPhi"])
def test_standard_errors_are_honest(what):
    """The spread of 200 estimates is the standard error they claim (within 5 of its own standard errors)."""
    # h = 4: below 3 the gradient has no variance, since W Phi x comes too near zero
    setting, rng = Setting(h=4, d=5, sigma2=0.5), np.random.default_rng(5)
    W, Phi = initialize(setting, rng)

    def estimate():
        if what == "H":
            return estimate_H(W, Phi, setting, 640, rng, blocks=16)
        return estimate_gradient(W, Phi, setting, 640, rng, blocks=16)[what == "dPhi"]

    runs = [estimate() for _ in range(200)]
    means, stderrs = np.array([r.mean for r in runs]), np.array([r.stderr for r in runs])
    z = (means - means.mean(axis=0)) / stderrs
    # of Student's t with 15 degrees of freedom, 68 per cent lie within 1.03: the share has an error of 0.033
    assert abs((np.abs(z) < 1.03).mean(axis=0) - 0.68).max() < Z * 0.033
    assert abs((np.abs(z / 4) < 1.03).mean(axis=0) - 0.68).min() > Z * 0.033  # without dividing by sqrt(blocks)


def test_the_estimated_gradient_is_the_mean_of_the_field_over_the_blocks():
    """The same views drawn again, one block after another."""
    setting = Setting(h=3, d=5, sigma2=0.5)
    W, Phi = initialize(setting, np.random.default_rng(6))
    found = estimate_gradient(W, Phi, setting, 300, np.random.default_rng(7), blocks=3)
    rng = np.random.default_rng(7)
    blocks = [cosine_field(W, Phi, *views(setting, 100, rng)) for _ in range(3)]
    for estimate, parts in zip(found, zip(*blocks)):
        np.testing.assert_allclose(estimate.mean, np.mean(parts, axis=0), atol=1e-13)


def test_estimated_gradient_gives_H():
    """-grad_W W^T is H, in expectation."""
    setting, rng = Setting(h=4, d=6, sigma2=0.5), np.random.default_rng(6)
    W, Phi = initialize(setting, rng)
    dW, dPhi = estimate_gradient(W, Phi, setting, 32_000, rng)
    H = estimate_H(W, Phi, setting, 32_000, rng)
    assert dW.mean.shape == (4, 4) and dPhi.mean.shape == (4, 6)
    stderr = np.sqrt(dW.stderr**2 @ (W**2).T + H.stderr**2)
    assert np.abs((dW.mean @ W.T - H.mean) / stderr).max() < 2 * Z  # entries of dW are correlated
    assert np.abs((dW.mean @ W.T - H.mean.T) / stderr).max() > 2 * Z


def test_sample_sizes_are_rounded_up():
    setting, rng = Setting(h=2, d=2), np.random.default_rng(0)
    for n, blocks, wanted in ((1, 2, 2), (100, 64, 128), (128, 64, 128), (129, 64, 192)):
        assert estimate_H(np.eye(2), np.eye(2), setting, n, rng, blocks).n == wanted
        assert estimate_gradient(np.eye(2), np.eye(2), setting, n, rng, blocks)[0].n == wanted


def self_variance(a):
    """Variance of x x' / a - x^2 / a^2 for a pair of views of one mode: h times H where all h modes are equal.

    From E x^2 x'^2 = a^2 + 2, E x^4 = 3 a^2, E x^3 x' = 3 a; both parts have mean 1 / a.
    """
    return (a * a + 2) / a**2 + 3 * a * a / a**4 - 2 * 3 * a / a**3


def test_pieces_of_a_block_are_added():
    """A block that does not fit into one piece of random numbers is still a mean over all its samples."""
    setting = Setting(h=2_000_000, d=2)
    w = phi = np.full((1, setting.h), 1.0)
    blocks = H_diagonal_blocks(w, phi, setting, 6, np.random.default_rng(0), blocks=2)  # 3 samples, pieces of 2
    h = setting.h
    assert np.std(blocks[0, 0]) * h == pytest.approx(math.sqrt(self_variance(setting.a) / 3), rel=0.01)


@pytest.mark.parametrize("blocks", [0, 1, 2.0, True, None])
def test_blocks_are_refused(blocks):
    setting, rng, one = Setting(h=2, d=2), np.random.default_rng(0), np.ones((1, 2))
    for call in (
        lambda: estimate_H(np.eye(2), np.eye(2), setting, 10, rng, blocks),
        lambda: estimate_gradient(np.eye(2), np.eye(2), setting, 10, rng, blocks),
        lambda: H_diagonal_blocks(one, one, setting, 10, rng, blocks),
    ):
        with pytest.raises(ValueError, match=r"^blocks = "):
            call()


@pytest.mark.parametrize(
    "w, phi, n, words",
    [
        (np.ones((1, 3)), np.ones((1, 2)), 10, "^w: has shape"),
        (np.ones((2, 2)), np.ones((1, 2)), 10, "^phi: has shape"),
        (np.ones((1, 2)), np.array([[1.0, -1e-9]]), 10, "^phi: must have no negative .* smallest is -1e-09"),
        (np.ones((1, 2)), np.zeros((1, 2)), 10, "Psi has no direction"),
        (np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), 10, "Psi has no direction"),
        (np.ones((1, 2)), np.ones((1, 2)), 0, "^n = 0"),
        (np.full((1, 2), math.nan), np.ones((1, 2)), 10, "^w: has 2 entries"),
    ],
)
def test_diagonal_blocks_refuse(w, phi, n, words):
    with pytest.raises(ValueError, match=words):
        H_diagonal_blocks(w, phi, Setting(h=2, d=2), n, np.random.default_rng(0))


@pytest.mark.parametrize("estimate", [estimate_H, estimate_gradient])
def test_estimates_refuse(estimate):
    setting, rng = Setting(h=2, d=3), np.random.default_rng(0)
    for W, Phi, n, words in (
        (np.eye(3), np.ones((2, 3)), 10, "^W: has shape"),
        (np.eye(2), np.ones((2, 2)), 10, "^Phi: has shape"),
        (np.eye(2), np.ones((2, 3)), 2.5, r"^n = 2\.5"),
    ):
        with pytest.raises(ValueError, match=words):
            estimate(W, Phi, setting, n, rng)


# Closures -------------------------------------------------------------------------------------------------------------


@FEW
@given(seeds, st.floats(0.1, 5.0))
def test_closure_is_H_with_frozen_norms(seed, sigma2):
    """The claim of Lemma 4, for any W: put the root mean squares for the norms; what is left is a moment of degree 4.

    Three Gauss-Hermite points a variable integrate it exactly.
    """
    setting = Setting(h=3, d=2, sigma2=sigma2)
    W, Phi, _, _ = sample(seed, h=3, d=2)
    x, x1, weight = gauss_design(setting, 3)
    u, v, N, a = x @ (W @ Phi).T, x1 @ Phi.T, norms(W, Phi), setting.a
    first = np.einsum("n,ni,nj->ij", weight, v, u) / (a * N.N_Phi * N.N_Psi)
    rest = np.einsum("n,n,ni,nj->ij", weight, np.sum(u * v, axis=1), u, u) / (a**2 * N.N_Phi * N.N_Psi**3)
    np.testing.assert_allclose(closure_terms(W, Phi, setting)[0], first, atol=ROUNDING)
    np.testing.assert_allclose(H_closure(W, Phi, setting), first - rest, atol=ROUNDING)


@FEW
@given(seeds)
def test_closure_terms_for_symmetric_W(seed):
    """Section 8 in its own letters: the middle term is -2 Psi Phi^T Psi Psi^T, which an asymmetric W breaks."""
    setting = Setting(h=4, d=6, sigma2=0.4)
    bent, Phi, _, _ = sample(seed, h=4, d=6)
    for W, holds in (((bent + bent.T) / 2, True), (bent, False)):
        N, Psi = norms(W, Phi), W @ Phi
        paper = [
            Phi @ Psi.T / (N.N_Phi * N.N_Psi),
            -2 * Psi @ Phi.T @ Psi @ Psi.T / (N.N_Phi * N.N_Psi**3),
            -N.N_x * Psi @ Psi.T / N.N_Psi**2,
        ]
        terms = setting.a * closure_terms(W, Phi, setting)
        np.testing.assert_allclose(terms[[0, 2]], [paper[0], paper[2]], atol=ROUNDING)
        assert (np.abs(terms[1] - paper[1]).max() < ROUNDING) == holds
        for closure, wanted in (("paper", terms.sum(axis=0)), ("leading", terms[0] + terms[2])):
            np.testing.assert_allclose(setting.a * H_closure(W, Phi, setting, closure), wanted, atol=ROUNDING)
        F = Phi @ Phi.T
        defect = -2 * np.trace(W @ F @ W.T @ W @ F) / (N.N_Phi * N.N_Psi**3)
        assert np.trace(terms.sum(axis=0)) == pytest.approx(defect, abs=ROUNDING)  # W^T = W: the paper's trace defect
        assert np.trace(terms[0] + terms[2]) == pytest.approx(0.0, abs=ROUNDING)


@FEW
@given(seeds, st.sampled_from(sorted(CLOSURES)))
def test_closure_of_commuting_states(seed, closure):
    """In the common axes the matrices are Eq. 5's terms, mode by mode."""
    rng = np.random.default_rng(seed)
    setting = Setting(h=4, d=5, sigma2=0.4, rho=0.3)
    w, phi = rng.choice([-1, 1], 4) * rng.uniform(0.3, 2, 4), rng.uniform(0.1, 2, 4)
    U, V = orthogonal(4, rng), np.linalg.qr(rng.standard_normal((5, 4)))[0]
    W, Phi = (U * w) @ U.T, (U * np.sqrt(phi)) @ V.T
    terms = w * rate_terms(w, phi, mode_norms(w, phi), setting)
    for matrix, diagonal in zip(closure_terms(W, Phi, setting), terms):
        np.testing.assert_allclose(U.T @ matrix @ U, np.diag(diagonal), atol=ROUNDING)
    hat = np.array(CLOSURES[closure]) @ terms
    dW, dF = closed_velocity(W, Phi, setting, closure)
    np.testing.assert_allclose(U.T @ dW @ U, np.diag(hat / w - 0.3 * w), atol=10 * ROUNDING)  # min |w| is 0.3
    np.testing.assert_allclose(U.T @ dF @ U, np.diag(2 * hat - 0.6 * phi), atol=10 * ROUNDING)


@FEW
@given(seeds, st.sampled_from(sorted(CLOSURES)))
def test_closed_velocity_solves_eq_4(seed, closure):
    """dW W^T = H - rho W W^T; and dF is the derivative of F along the dPhi for which dPhi Phi^T W^T = W^T H - ..."""
    rng = np.random.default_rng(seed)
    setting = Setting(h=3, d=5, sigma2=0.4, rho=0.3)
    W, Phi = np.eye(3) + 0.3 * rng.standard_normal((3, 3)), rng.standard_normal((3, 5))
    H, F = H_closure(W, Phi, setting, closure), Phi @ Phi.T
    dW, dF = closed_velocity(W, Phi, setting, closure)
    worst = np.linalg.cond(W) * np.linalg.cond(F) * (1 + np.linalg.norm(F))
    np.testing.assert_allclose(dW @ W.T, H - 0.3 * W @ W.T, atol=ROUNDING * worst)
    right = W.T @ H - 0.3 * F @ W.T
    dPhi = right @ np.linalg.inv(W.T) @ np.linalg.inv(F) @ Phi
    np.testing.assert_allclose(dPhi @ Phi.T @ W.T, right, atol=ROUNDING * worst)
    # F is quadratic along a line, so the central difference with a step of one is its derivative exactly
    slope = ((Phi + dPhi) @ (Phi + dPhi).T - (Phi - dPhi) @ (Phi - dPhi).T) / 2
    np.testing.assert_allclose(dF, slope, atol=ROUNDING * worst * (1 + np.sum(dPhi**2)))


@pytest.mark.parametrize("closure", [*CLOSURES, "exact"])
@given(seeds, st.integers(1, 4), st.integers(1, 5))
@FEW
def test_the_field_of_a_closure_belongs_to_its_H(closure, seed, h, d):
    """dW W^T = H and dPhi Phi^T = W^T dW, for any W and any number of inputs, more or fewer than features."""
    setting = Setting(h=h, d=d, sigma2=0.4)
    W, Phi, _, _ = sample(seed, h=h, d=d)
    dW, dPhi = closure_field(W, Phi, setting, closure)
    allowed = 1e-8 if closure == "exact" else ROUNDING  # quadratures of accuracy 1e-10
    size = 1 + np.linalg.norm(dW) * np.linalg.norm(W)
    np.testing.assert_allclose(dW @ W.T, H_closure(W, Phi, setting, closure), atol=allowed * size)
    np.testing.assert_allclose(dPhi @ Phi.T, W.T @ dW, atol=allowed * size)


@FEW
@given(seeds)
def test_commutator_along_the_closure(seed):
    """The equation for L = [F, W] of theory.md, section 11, for the literal flow of a symmetric W."""
    rng = np.random.default_rng(seed)
    setting = Setting(h=3, d=5, sigma2=0.4, rho=0.3)
    A = 0.3 * rng.standard_normal((3, 3))
    W, Phi = np.eye(3) + (A + A.T) / 2, rng.standard_normal((3, 5))
    F, N, a = Phi @ Phi.T, norms(W, Phi), setting.a
    dW, dF = closed_velocity(W, Phi, setting)
    L, W2 = F @ W - W @ F, W @ W
    got = dF @ W - W @ dF + F @ dW - dW @ F
    first = (W @ L + L @ W) / (N.N_Phi * N.N_Psi)
    bent = F @ W @ L + L @ W @ F
    second = 2 / (N.N_Phi * N.N_Psi**3) * (W2 @ bent + bent @ W2 + L @ F @ W @ F + W @ F @ L @ F)
    third = N.N_x / N.N_Psi**2 * (W2 @ L + L @ W2 + L @ F)
    worst = ROUNDING * np.linalg.cond(W) * (1 + np.linalg.norm(F))
    np.testing.assert_allclose(got, (first - second - third) / a - 0.9 * L, atol=worst)
    assert np.abs(got - ((first - third) / a - 0.9 * L)).max() > worst  # the wrong variant: no middle term


def test_closures_refuse():
    setting, state = Setting(h=2, d=3), (np.eye(2), np.ones((2, 3)))
    for call in (H_closure, closed_velocity):
        with pytest.raises(ValueError, match=r"^closure = 'cubic': must be one of paper, leading"):
            call(*state, setting, "cubic")
    for W, Phi, words in (
        (np.eye(3), np.ones((2, 3)), "^W: has shape"),
        (np.eye(2), np.zeros((2, 3)), r"^N_Phi = 0\.0"),
        (np.zeros((2, 2)), np.ones((2, 3)), r"^N_Psi = 0\.0"),
    ):
        with pytest.raises(ValueError, match=words):
            closure_terms(W, Phi, setting)
    with pytest.raises(np.linalg.LinAlgError):
        closed_velocity(np.diag([1.0, 0.0]), np.eye(2, 3), setting)


EYE2 = np.eye(2)


@pytest.mark.parametrize("call", [cosine_field, l2_field, H_sample])
@pytest.mark.parametrize(
    "which, bad, words",
    [(k, np.full((2, 2), math.nan), f"^{name}: has 4 entries") for k, name in enumerate(("W", "Phi", "x", "x1"))]
    + [
        (0, 1j * EYE2, "^W: must be an array of real numbers"),
        (1, [["1", "0"], ["0", "1"]], "^Phi: must be an array of real numbers"),
        (0, np.eye(3), "^Phi: has shape"),
        (2, np.ones((2, 3)), "^x: has shape"),
        (3, EYE2[:1], r"^x1: has shape \(1, 2\), must have shape \(2, 2\)"),
    ],
)
def test_fields_refuse(call, which, bad, words):
    arguments = [EYE2, EYE2, EYE2 + 1.0, EYE2 + 2.0]
    call(*arguments)
    arguments[which] = bad
    with pytest.raises(ValueError, match=words):
        call(*arguments)


@pytest.mark.parametrize("call", [cosine_field, H_sample])
@pytest.mark.parametrize("which", range(4))
def test_fields_refuse_zero_features(call, which):
    arguments = [EYE2, EYE2, EYE2, EYE2]
    arguments[which] = np.zeros((2, 2))
    with pytest.raises(ValueError, match=r"a feature (W Phi x|Phi x') is zero"):
        call(*arguments)


@pytest.mark.parametrize("call", [cosine_field, l2_field, H_sample])
def test_fields_refuse_features_beyond_the_range(call):
    with pytest.raises(ValueError, match=r"^W, Phi, x, x1: too large"):
        call(EYE2, 1e200 * EYE2, 1e200 * EYE2, EYE2)


@pytest.mark.parametrize("estimate", [estimate_H, estimate_gradient])
@pytest.mark.parametrize(
    "W, Phi, words",
    [
        (0 * EYE2, EYE2, "^N_Psi = 0"),
        (EYE2, 0 * EYE2, "^N_Phi = 0"),
        (np.diag([1.0, 0.0]), np.diag([0.0, 1.0]), "^N_Psi = 0"),
        (1e200 * EYE2, 1e200 * EYE2, "^N_Phi = inf"),
    ],
)
def test_estimates_refuse_states_without_direction(estimate, W, Phi, words):
    with pytest.raises(ValueError, match=words):
        estimate(W, Phi, Setting(h=2, d=2), 128, np.random.default_rng(0))
