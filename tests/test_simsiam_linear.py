"""`featnorm.simsiam.linear`: losses against the reference, exact laws of SGD, and what a run records."""

import itertools
import math
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch

from featnorm import setting
from featnorm.setting import Setting, initialize, views
from featnorm.simsiam import linear
from featnorm.simsiam.linear import LinearConfig, gradients, learning_rate, symmetrised_loss, train

LOSSES = {"cosine": (linear.cosine_loss, setting.cosine_loss), "l2": (linear.l2_loss, setting.l2_loss)}
SMALL = LinearConfig(h=6, d=20, batch=32, epochs=4, steps_per_epoch=5, record_every=5, rho=0.1, lr=0.4, seed=3)
ROUNDING = 1e4 * np.finfo(np.float64).eps  # sums of thousands of terms of order one


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Matrices this small gain nothing from threads, and lose minutes to them on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def sample():
    """A state with an asymmetric W, and a batch of views."""
    rng = np.random.default_rng(7)
    model = Setting(h=5, d=9, sigma2=0.7)
    W, Phi = initialize(model, rng)
    return W + 0.3 * rng.standard_normal(W.shape), Phi, *views(model, 40, rng)


def tensors(*arrays):
    return [torch.tensor(A, dtype=torch.float64) for A in arrays]


def split_loss(loss, W, Phi, x, x1, target_Phi):
    """The loss with a target of its own: an independent implementation for finite differences."""
    p, z = x @ Phi.T @ W.T, x1 @ target_Phi.T
    if loss == "l2":
        return 0.5 * np.mean(np.sum((p - z) ** 2, axis=1))
    return -np.mean(np.sum(p * z, axis=1) / np.sqrt(np.sum(p**2, axis=1) * np.sum(z**2, axis=1)))


def central_differences(f, A):
    step = np.finfo(np.float64).eps ** (1 / 3)
    out = np.empty_like(A)
    for index in np.ndindex(A.shape):
        E = np.zeros_like(A)
        E[index] = step
        out[index] = (f(A + E) - f(A - E)) / (2 * step)
    return out


FD_ERROR = 1e2 * np.finfo(np.float64).eps ** (2 / 3)  # truncation and cancellation of central differences


# Losses and gradients -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_value_is_the_reference(loss, sample):
    ours, numpy = LOSSES[loss]
    assert ours(*tensors(*sample)).item() == pytest.approx(numpy(*sample), rel=ROUNDING)


@pytest.mark.parametrize("loss", LOSSES)
def test_symmetrised_is_the_mean_of_both_orders(loss, sample):
    W, Phi, x, x1 = sample
    numpy = LOSSES[loss][1]
    wanted = (numpy(W, Phi, x, x1) + numpy(W, Phi, x1, x)) / 2
    assert symmetrised_loss(*tensors(*sample), loss).item() == pytest.approx(wanted, rel=ROUNDING)
    both = zip(gradients(W, Phi, x, x1, loss), gradients(W, Phi, x1, x, loss))
    for got, (one, other) in zip(gradients(*sample, loss, symmetrised=True), both):
        np.testing.assert_allclose(got, (one + other) / 2, atol=ROUNDING)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_finite_differences_with_the_target_held(loss, sample):
    W, Phi, x, x1 = sample
    dW, dPhi = gradients(W, Phi, x, x1, loss)
    in_W = central_differences(lambda V: split_loss(loss, V, Phi, x, x1, Phi), W)
    held = central_differences(lambda P: split_loss(loss, W, P, x, x1, Phi), Phi)
    moving = central_differences(lambda P: split_loss(loss, W, P, x, x1, P), Phi)
    np.testing.assert_allclose(dW, in_W, atol=FD_ERROR)
    np.testing.assert_allclose(dPhi, held, atol=FD_ERROR)
    assert np.abs(dPhi - moving).max() > 1e3 * FD_ERROR  # the wrong variant: no stop-gradient


def test_lemma_1(sample):
    """-dW W^T = H and -dPhi Phi^T W^T = W^T H with the sample's H, for a W that is not symmetric."""
    W, Phi, x, x1 = sample
    dW, dPhi = gradients(W, Phi, x, x1, "cosine")
    u, v = x @ (W @ Phi).T, x1 @ Phi.T
    omega, z1 = u / np.linalg.norm(u, axis=1)[:, None], v / np.linalg.norm(v, axis=1)[:, None]
    H = (z1.T @ omega - (omega * np.sum(omega * z1, axis=1)[:, None]).T @ omega) / len(x)
    np.testing.assert_allclose(-dW @ W.T, H, atol=ROUNDING)
    np.testing.assert_allclose(-dPhi @ Phi.T @ W.T, W.T @ H, atol=ROUNDING)
    assert np.abs(-dW @ W.T - H.T).max() > 1e6 * ROUNDING  # the wrong variant: transposed


@pytest.mark.parametrize("c", [1e-30, 1e-9, 3.0, 1e30])
@pytest.mark.parametrize("which", ["W", "Phi"])
def test_cosine_loss_ignores_each_scale(which, c, sample):
    """Also below 1e-12, where a floor under the norm would show; the gradient scales as 1/c."""
    W, Phi, x, x1 = sample
    scaled = (c * W, Phi) if which == "W" else (W, c * Phi)
    value = linear.cosine_loss(*tensors(W, Phi, x, x1)).item()
    assert linear.cosine_loss(*tensors(*scaled, x, x1)).item() == pytest.approx(value, rel=ROUNDING)
    plain, after = gradients(W, Phi, x, x1), gradients(*scaled, x, x1)
    own = 0 if which == "W" else 1
    for k in (0, 1):
        wanted = plain[k] / c if k == own else plain[k]
        np.testing.assert_allclose(after[k], wanted, rtol=0, atol=ROUNDING * np.abs(wanted).max())
        assert abs(np.sum(after[k] * scaled[k])) < ROUNDING  # Euler: no component along the weights


# The loop against laws that hold exactly ------------------------------------------------------------------------------


@pytest.mark.parametrize("loss, holds", [("cosine", True), ("l2", False)])
def test_plain_descent_obeys_pythagoras(loss, holds):
    """||W_k+1||^2 = (1 - eta rho)^2 ||W_k||^2 + eta^2 ||g_k||^2 for each layer, the step recovered from two states."""
    base = replace(SMALL, momentum=0.0, epochs=1, loss=loss, lr=0.05)
    eta, gaps = learning_rate(base, 0), []
    runs = [train(replace(base, steps_per_epoch=k)) for k in (1, 2, 3, 4)]  # each run extends the one before
    for before, after in itertools.pairwise(runs):
        for A, B in ((before.W, after.W), (before.Phi, after.Phi)):
            eta_g = (1 - eta * base.rho) * A - B
            law = (1 - eta * base.rho) ** 2 * np.sum(A**2) + np.sum(eta_g**2)
            gaps.append(abs(np.sum(B**2) / law - 1))
    assert (max(gaps) < ROUNDING) == holds


def test_norm_law_at_first_order():
    """||W(t)|| = e^{-rho t} ||W(0)|| for small steps (E1), and so for Phi: the error is of first order in the step."""
    base = LinearConfig(h=6, d=20, batch=256, momentum=0.0, epochs=1, rho=0.2, record_every=10**6)
    end, errors = 4.0, []
    for steps in (200, 400, 800):
        config = replace(base, lr=end / steps, steps_per_epoch=steps)
        run = train(config)
        assert run.time[-1] == pytest.approx(end)
        errors.append([run.norm_W[-1] / run.norm_W[0], run.N_Phi[-1] / run.N_Phi[0]] - np.exp(-config.rho * end))
    orders = np.log2(np.abs(errors[:-1]) / np.abs(errors[1:]))
    assert np.all(np.abs(orders - 1) < 0.5)  # nearer to 1 than halfway to 0 or 2
    assert np.all(np.abs(errors[-1]) < np.abs(errors[0]) / 2)


@pytest.mark.parametrize("c", [0.25, 4.0, 10.0])
@pytest.mark.parametrize("loss, holds", [("cosine", True), ("l2", False)])
def test_discrete_symmetry(loss, holds, c):
    """E4: (eta, rho, W, Phi) -> (c eta, rho / c, sqrt(c) W, sqrt(c) Phi) scales a run with momentum, exactly."""
    base = replace(SMALL, loss=loss, lr=0.02)
    W, Phi = initialize(base.setting, np.random.default_rng(0))
    one = train(base, start=(W, Phi))
    two = train(replace(base, lr=c * base.lr, rho=base.rho / c), start=(math.sqrt(c) * W, math.sqrt(c) * Phi))
    gap = np.abs(two.Phi / math.sqrt(c) - one.Phi).max() + np.abs(two.W / math.sqrt(c) - one.W).max()
    assert (gap < 100 * ROUNDING) == holds  # rounding grows along the run
    np.testing.assert_allclose(two.time, c * one.time)


def test_l2_loss_collapses_above_its_threshold_and_not_below():
    """Eq. 8: non-zero equilibria exist for rho < 1 / (4 (1 + sigma2)) only; above, nothing but the decay is left."""
    base = LinearConfig(
        h=6, d=48, sigma2=0.5, batch=256, lr=0.1, momentum=0.0, loss="l2", epochs=1, steps_per_epoch=1000
    )
    threshold = 1 / (4 * (1 + base.sigma2))
    below = train(replace(base, rho=0.4 * threshold))
    w_plus, w_minus = ((1 + sign * math.sqrt(1 - 0.4)) / (2 * (1 + base.sigma2)) for sign in (1, -1))
    kept = below.eig_W[-1][below.eig_W[-1] > w_minus]
    assert len(kept) >= 3  # they scatter about the stable equilibrium by the noise of the batches
    assert abs(kept.mean() - w_plus) < 5 * kept.std(ddof=1) / math.sqrt(len(kept))
    above = train(replace(base, rho=2.0 * threshold))
    middle = len(above.step) // 2
    decay = (1 - 0.1 * 2.0 * threshold) ** (above.step[-1] - above.step[middle])
    left = 10 * above.norm_W[middle] / threshold  # the gradient of Phi is smaller than Phi by a factor ||W||
    assert left < 0.01 and above.N_Phi[-1] / above.N_Phi[middle] == pytest.approx(decay, rel=left)


def test_l2_collapse_to_exact_zero_is_recorded():
    config = LinearConfig(h=3, d=5, batch=8, loss="l2", momentum=0.0, epochs=1, steps_per_epoch=4)
    run = train(config, start=(np.zeros((3, 3)), np.ones((3, 5))))
    assert run.norm_W[0] == 0 and np.isnan([run.N_x[0], run.asymmetry[0], run.commutator[0], run.rank_F[0]]).all()


# What a run records ---------------------------------------------------------------------------------------------------


def test_records_are_what_they_say():
    """Every quantity recomputed from the state, which a shorter run at the same rate ends in."""
    config = replace(SMALL, epochs=1, steps_per_epoch=7, record_every=3)
    run = train(config)
    assert run.step.tolist() == [0, 3, 6, 7]
    np.testing.assert_array_equal(run.epoch, run.step / 7)
    np.testing.assert_allclose(run.time, run.step * learning_rate(config, 0) / (1 - config.momentum))
    np.testing.assert_array_equal(run.lr, [learning_rate(config, 0)] * 3 + [0.0])
    for k, step in enumerate(run.step[1:], start=1):
        state = train(replace(config, steps_per_epoch=int(step)))
        W, Phi = state.W, state.Phi
        F, Psi = Phi @ Phi.T, W @ Phi
        assert run.loss[k] == state.loss[-1]
        N_Phi, N_Psi = np.sqrt(np.trace(F)), np.sqrt(np.trace(Psi @ Psi.T))
        wanted = {
            "N_Phi": N_Phi,
            "N_Psi": N_Psi,
            "N_x": np.trace(Phi.T @ Psi) / (N_Phi * N_Psi),
            "norm_W": np.sqrt(np.trace(W @ W.T)),
            "asymmetry": np.linalg.norm(W - W.T) / (2 * np.linalg.norm(W)),
            "commutator": np.linalg.norm(F @ W - W @ F) / (np.linalg.norm(F @ W) + np.linalg.norm(W @ F)),
            "rank_F": np.trace(F) ** 2 / np.trace(F @ F),
            "eig_W": sorted(np.linalg.eigvals((W + W.T) / 2).real, reverse=True),
            "eig_F": sorted(np.linalg.eigvals(F).real, reverse=True),
        }
        for name, value in wanted.items():
            np.testing.assert_allclose(getattr(run, name)[k], value, rtol=ROUNDING, atol=ROUNDING, err_msg=name)
    np.testing.assert_array_equal(run.W, W)
    np.testing.assert_array_equal(run.Phi, Phi)
    assert run.asymmetry[0] == 0 and run.asymmetry[-1] > 0
    with pytest.raises(FrozenInstanceError):
        run.W = W


def test_loss_estimates_the_expected_loss():
    """The recorded L2 loss at step 0 against Eq. 1 in expectation, within five standard errors over seeds."""
    W, Phi = initialize(SMALL.setting, np.random.default_rng(0))
    losses = [
        train(replace(SMALL, loss="l2", lr=1e-3, epochs=1, steps_per_epoch=1, seed=seed), start=(W, Phi)).loss[0]
        for seed in range(40)
    ]
    wanted = setting.l2_loss_expected(W, Phi, SMALL.setting)
    assert abs(np.mean(losses) - wanted) < 5 * np.std(losses, ddof=1) / math.sqrt(len(losses))


def test_start_is_assumption_4():
    run = train(replace(SMALL, h=40, d=200, epochs=1, steps_per_epoch=1, lr=1e-300, batch=2, dtype="float64"))
    np.testing.assert_array_equal(run.W, run.W.T)
    for A, n in ((run.Phi, run.Phi.size), (run.W[np.triu_indices(40)], 820)):
        variance = np.mean(A**2) * (200 if A.ndim == 2 else 40)
        assert abs(variance - 1) < 5 * math.sqrt(2 / n)  # five standard errors of a Gaussian's variance


def test_recording_leaves_the_run_alone():
    rare, often = train(replace(SMALL, record_every=1000)), train(replace(SMALL, record_every=1))
    assert rare.step.tolist() == [0, SMALL.steps] and len(often.step) == SMALL.steps + 1
    np.testing.assert_array_equal(rare.Phi, often.Phi)
    np.testing.assert_array_equal(rare.eig_W, often.eig_W[[0, -1]])


def test_seeds():
    one, again, other = train(SMALL), train(SMALL), train(replace(SMALL, seed=4))
    for name in vars(one):
        if name != "config":
            np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert np.abs(one.Phi - other.Phi).max() > 0.01
    W, Phi = initialize(SMALL.setting, np.random.default_rng(0))
    one, other = train(SMALL, start=(W, Phi)), train(replace(SMALL, seed=4), start=(W, Phi))
    assert one.N_Phi[0] == other.N_Phi[0] and one.loss[0] != other.loss[0]  # the data have a stream of their own


def test_global_generators_are_left_alone():
    before_torch, before_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    train(SMALL)
    assert torch.equal(torch.get_rng_state(), before_torch)
    np.testing.assert_array_equal(np.random.get_state()[1], before_numpy)  # noqa: NPY002


def test_float32_follows_float64():
    start = initialize(SMALL.setting, np.random.default_rng(0))
    tiny = replace(SMALL, dtype="float32", lr=1e-6)
    run = train(tiny, start=start)
    assert run.W.dtype == run.Phi.dtype == run.N_Phi.dtype == np.float64
    np.testing.assert_allclose(run.W, start[0], atol=1e-4)


def test_progress_goes_to_standard_error(capsys):
    train(SMALL)
    assert capsys.readouterr() == ("", "")
    train(SMALL, progress=True)
    shown = capsys.readouterr()
    assert shown.out == "" and "step" in shown.err


# Learning rate, bad input ---------------------------------------------------------------------------------------------


def test_cosine_annealing():
    """Official rule: lr * batch / 256 as the base rate, annealed once an epoch, no warm-up."""
    config = replace(SMALL, lr=0.05, batch=512, epochs=6, steps_per_epoch=2, record_every=1, h=2, d=3)
    factors = [1, (2 + math.sqrt(3)) / 4, 3 / 4, 1 / 2, 1 / 4, (2 - math.sqrt(3)) / 4]
    rates = 0.1 * np.array(factors)
    np.testing.assert_allclose([learning_rate(config, epoch) for epoch in range(6)], rates)
    assert learning_rate(config, 6) == 0.0
    run = train(config)
    np.testing.assert_allclose(run.lr, [*np.repeat(rates, 2), 0.0])
    np.testing.assert_allclose(run.time, np.cumsum([0, *np.repeat(rates, 2)]) / 0.1)
    assert learning_rate(replace(config, epochs=1), 0) == pytest.approx(0.1)
    for bad in (-1, 7, 0.5):
        with pytest.raises(ValueError, match="epoch = "):
            learning_rate(config, bad)


def test_rate_and_momentum_act_as_in_sgd():
    """Two steps by hand: v = mu v + g + rho A, A = A - eta v, with the gradients of the loop's own batches."""
    config = replace(SMALL, epochs=1, steps_per_epoch=3)
    eta = learning_rate(config, 0)
    plain = [train(replace(config, momentum=0.0, steps_per_epoch=k)) for k in (1, 2)]
    heavy = [train(replace(config, steps_per_epoch=k)) for k in (1, 2)]
    start = initialize(config.setting, np.random.default_rng(np.random.SeedSequence(config.seed).spawn(2)[0]))
    np.testing.assert_array_equal(plain[0].Phi, heavy[0].Phi)
    extra = -config.momentum * (start[1] - heavy[0].Phi)  # -eta mu v_1 = -mu (A_0 - A_1)
    np.testing.assert_allclose(heavy[1].Phi, plain[1].Phi + extra, atol=ROUNDING)
    assert np.abs(extra).max() > 1e-6 and eta == pytest.approx(0.05)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"rho": -1.0}, "rho = -1.0: must be a finite number >= 0"),
        ({"rho": math.nan}, "rho = nan: must be a finite number >= 0"),
        ({"h": 0}, "h = 0: must be a whole number >= 1"),
        ({"d": 2.5}, "d = 2.5: must be a whole number >= 1"),
        ({"sigma2": 0.0}, "sigma2 = 0.0: must be a finite number > 0"),
        ({"lr": 0}, "lr = 0: must be a finite number > 0"),
        ({"lr": math.inf}, "lr = inf: must be a finite number > 0"),
        ({"momentum": 1.0}, "momentum = 1.0: must be a number >= 0 and < 1"),
        ({"momentum": -0.1}, "momentum = -0.1: must be"),
        ({"batch": 0}, "batch = 0: must be a whole number >= 1"),
        ({"epochs": True}, "epochs = True: must be a whole number >= 1"),
        ({"steps_per_epoch": 0}, "steps_per_epoch = 0: must be"),
        ({"record_every": 0}, "record_every = 0: must be"),
        ({"loss": "hinge"}, "loss = 'hinge': must be one of cosine, l2"),
        ({"seed": -1}, "seed = -1: must be a whole number >= 0"),
        ({"dtype": "float16"}, "dtype = 'float16': must be one of float64, float32"),
        ({"device": "abacus"}, "device = 'abacus': must be the name of a PyTorch device"),
    ],
)
def test_bad_configuration(changes, message):
    with pytest.raises(ValueError) as raised:
        replace(SMALL, **changes)
    assert message in str(raised.value)


def test_bad_arrays(sample):
    W, Phi, x, x1 = sample
    with pytest.raises(ValueError, match="W: has shape"):
        gradients(W[:, :4], Phi, x, x1)
    with pytest.raises(ValueError, match="x1: has shape"):
        gradients(W, Phi, x, x1[:3])
    with pytest.raises(ValueError, match="must be one of cosine, l2"):
        gradients(W, Phi, x, x1, "hinge")
    with pytest.raises(ValueError, match="not finite"):
        gradients(W, Phi, x * np.nan, x1)
    with pytest.raises(ValueError, match="is zero or too large"):
        gradients(W, Phi, 0 * x, x1)
    with pytest.raises(ValueError, match="Phi: has shape"):
        train(SMALL, start=(np.eye(SMALL.h), np.eye(SMALL.h)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_absent_device_can_be_named_but_not_used():
    config = replace(SMALL, device="cuda")
    with pytest.raises(ValueError, match="device = 'cuda': is not available here"):
        train(config)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_divergence_names_the_step():
    with pytest.raises(FloatingPointError, match=r"at step \d+ .* try a lower lr"):
        train(replace(SMALL, loss="l2", lr=100.0, epochs=100, record_every=10**6))


def test_the_package_itself_is_light():
    code = "import sys, featnorm.simsiam; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
