"""Noise of discrete steps: the plain loop against PyTorch's, the formulas against other methods."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from featnorm.setting import Setting, initialize, views
from featnorm.simsiam.linear import LinearConfig, gradients, learning_rate, train
from featnorm.simsiam.noise import (
    annealed_end,
    annealed_norms,
    gradient_noise,
    next_norms,
    noise_equilibrium,
    pair_power,
    predicted_load,
    sgd_path,
    upper_over_common,
)

SETTING = Setting(h=3, d=5, sigma2=0.7, rho=0.3)


def test_the_plain_loop_is_pytorchs_sgd():
    """Momentum, weight decay and the schedule as in `torch.optim.SGD`, on one batch by autograd each step."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start = initialize(SETTING, rng)
    batches, lr = np.array([views(SETTING, 4, rng) for _ in range(6)]), np.linspace(0.2, 0.0, 6)
    weights = [torch.tensor(A, requires_grad=True) for A in start]
    sgd = torch.optim.SGD(weights, lr=0.1, momentum=0.9, weight_decay=SETTING.rho)
    for (x, x1), rate in zip(batches, lr):
        sgd.param_groups[0]["lr"] = rate
        found = gradients(*(w.detach().numpy() for w in weights), x, x1, symmetrised=True)
        for w, g in zip(weights, found):
            w.grad = torch.from_numpy(g)
        sgd.step()
    path = sgd_path(start, batches, lr, SETTING.rho, momentum=0.9)
    for mine, theirs in zip((path.W, path.Phi), weights):
        np.testing.assert_allclose(mine[-1], theirs.detach().numpy(), rtol=0, atol=1e-13)


def test_norms_of_training_follow_the_noise():
    """`linear.train` from equal modes at the predicted norms stays near them; the flow would have shrunk by e^-4."""
    k, d, batch, rate, rho = 6, 24, 32, 0.1, 0.02
    at = noise_equilibrium(gradient_noise(k, d, 1.0, batch), rate, rho)
    start = at.W / k**0.5 * np.eye(k), at.Phi / k**0.5 * np.eye(k, d)
    config = LinearConfig(
        h=k, d=d, rho=rho, lr=rate * 256 / batch, momentum=0.0, batch=batch, epochs=1, steps_per_epoch=2000,
        record_every=20,
    )  # fmt: skip
    assert learning_rate(config, 0) == pytest.approx(rate)
    run = train(config, start=start)
    late = run.step > 500
    assert (run.norm_W[late] ** 4).mean() / at.W**4 == pytest.approx(1.0, abs=0.25)  # order (lr rho)^(1/2), 0.1 here
    assert (run.N_Phi[late] ** 4).mean() / at.Phi**4 == pytest.approx(1.0, abs=0.25)


def test_powers_of_pairs_are_those_of_autograd():
    rng = np.random.default_rng(1)
    W, Phi = rng.standard_normal((3, 3)), rng.standard_normal((3, 5))
    x, x1 = views(SETTING, 4, rng)
    for i, powers in enumerate(zip(*pair_power(W, Phi, x, x1))):
        found = gradients(W, Phi, x[i : i + 1], x1[i : i + 1], symmetrised=True)
        np.testing.assert_allclose(powers, [np.sum(g**2) for g in found], rtol=1e-12)


@given(st.floats(3.0, 200.0), st.integers(1, 5), st.floats(0.1, 3.0))
def test_noise_of_equal_layers_and_of_large_batches(k, batch, sigma2):
    """With d = k both layers have the same noise; a batch divides it; d adds to Phi's alone, and linearly."""
    at = [gradient_noise(k, int(np.ceil(k)) + add, sigma2, batch) for add in (0, 10, 20)]
    assert gradient_noise(int(k), int(k), sigma2, 1).Phi == pytest.approx(gradient_noise(int(k), int(k), sigma2, 1).W)
    assert at[0].W == at[1].W == at[2].W
    assert at[2].Phi - at[1].Phi == pytest.approx(at[1].Phi - at[0].Phi)
    assert batch * at[0].W == pytest.approx(gradient_noise(k, 300, sigma2, 1).W)


def test_noise_of_many_modes():
    """The limit in k, at first order in 1 / k."""
    gaps = []
    for k in (50, 100, 200, 400, 800):
        noise = gradient_noise(k, 3 * k, 1.0, 1)
        gaps.append(max(abs(noise.W / (k / 2 * 0.75**2) - 1), abs(noise.Phi / (3 * k / 2 * 0.75**2) - 1)))
    assert np.polyfit(np.log([50, 100, 200, 400, 800]), np.log(gaps), 1)[0] == pytest.approx(-1.0, abs=0.1)


@given(st.floats(0.0, 0.95), st.floats(0.01, 0.5), st.floats(0.01, 1.0), st.floats(0.1, 10.0))
def test_the_stationary_point_of_the_recursion_is_the_balance(momentum, lr, rho, power):
    """With a constant power and no overlap the three numbers converge to the identity of stationary states."""
    size = power * lr / (2 * rho * (1 - momentum) * (1 - lr * rho / (2 * (1 + momentum))))
    cross = -rho * size / (1 + momentum)
    buffer = 2 * rho * size / (lr * (1 + momentum))
    np.testing.assert_allclose(
        next_norms(size, cross, buffer, power, 0.0, lr, rho, momentum), (size, cross, buffer), rtol=1e-9
    )


def test_annealed_norms_solve_their_equation():
    lr, rho, mu, gamma2 = 0.05 * (1 + np.cos(np.pi * np.arange(400) / 400)), 0.1, 0.5, 3.0
    out = annealed_norms(gamma2, 1.5, lr, rho, mu)
    eta = lr / (1 - mu)
    n = 1.5**4
    for rate, norm in zip(eta, out[1:]):
        run = solve_ivp(
            lambda t, y, rate=rate: -4 * rho * y + 2 * rate * gamma2,
            (0, rate),
            [n],
            rtol=1e-10,
            atol=1e-12,
        )
        n = float(run.y[0, -1])
        assert norm**4 == pytest.approx(n, rel=1e-8)


def test_the_end_of_a_long_annealed_run():
    """The closed form is approached like (lr rho K)^(-2/3)."""
    lengths, gaps = [2000 * 2**i for i in range(5)], []
    for K in lengths:
        end = annealed_norms(1.0, 1.0, 0.05 * (1 + np.cos(np.pi * (np.arange(K) + 0.5) / K)), 0.1, 0.0)[-1] ** 4
        gaps.append(abs(end * 0.2 / annealed_end(0.1, 0.1, 0.0, K) - 1.0))
    assert np.polyfit(np.log(lengths), np.log(gaps), 1)[0] == pytest.approx(-2 / 3, abs=1 / 6)


def test_predicted_load_of_many_modes():
    R, theta = predicted_load(4000, 16_000, 1.0, 512, lr=0.1, rho=0.01, momentum=0.9)
    assert R == pytest.approx(1.5 * np.sqrt(0.1 * 0.01 * 16_000 / (4 * 512 * 0.1)), rel=1e-3)
    assert theta**4 == pytest.approx(4000 * 2, rel=1e-3)


@given(st.floats(0.0, 0.24), st.floats(1.5, 50.0))
def test_upper_over_common_solves_its_equation(R, theta):
    x = float(upper_over_common(R, theta))
    if np.isfinite(x):
        assert x * (1 - x) == pytest.approx(R + 2 * x**5 / theta**4, abs=1e-9)
        assert x < 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gradient_noise(2, 8, 1.0, 4), "k = 2: must be above 2"),
        (lambda: gradient_noise(9, 8, 1.0, 4), "d = 8: must be at least k = 9"),
        (lambda: gradient_noise(4, 8, 0.0, 4), "sigma2 = 0.0"),
        (lambda: noise_equilibrium(gradient_noise(4, 8, 1.0, 4), 0.1, 0.0), "rho = 0.0"),
        (lambda: noise_equilibrium(gradient_noise(4, 8, 1.0, 4), 0.1, 0.1, 1.0), "momentum = 1.0"),
        (lambda: annealed_norms(1.0, 1.0, [-0.1], 0.1), "lr: must be >= 0"),
        (lambda: annealed_end(0.1, 0.1, 0.0, 0), "steps = 0"),
        (lambda: upper_over_common(-0.1), "R: must be >= 0"),
        (lambda: upper_over_common(0.1, 0.0), "theta: must be > 0"),
        (lambda: sgd_path((np.eye(2), np.eye(2)), np.ones((1, 2, 3, 3)), 0.1, 0.1), "batches: has shape"),
        (lambda: pair_power(np.eye(2), np.zeros((2, 2)), np.ones((1, 2)), np.ones((1, 2))), "a feature is zero"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
