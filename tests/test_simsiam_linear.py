"""`featnorm.simsiam.linear`: losses against the reference, exact laws of SGD, and what a run records."""

import errno
import itertools
import math
import os
import signal
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
import torch

from featnorm import _files, setting
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
        ({"symmetrised": 1}, "symmetrised = 1: must be True or False"),
        ({"fixed_head_lr": "no"}, "fixed_head_lr = 'no': must be True or False"),
        ({"samples": 0}, "samples = 0: must be a whole number >= 1"),
        ({"samples": 31}, "samples = 31: must be at least batch = 32"),
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


# The rest of the recipe -----------------------------------------------------------------------------------------------


def first_step(config):
    """The gradients of the first step, from the weights before and after it."""
    config = replace(config, momentum=0.0, rho=0.0, epochs=1, steps_per_epoch=1)
    start = initialize(config.setting, np.random.default_rng(np.random.SeedSequence(config.seed).spawn(2)[0]))
    run = train(config)
    return start, [(A - B) / learning_rate(config, 0) for A, B in zip(start, (run.W, run.Phi))]


@pytest.mark.parametrize("loss", LOSSES)
def test_the_one_sided_loss_is_half_of_the_story(loss):
    """The views of a step are drawn as anchor, noise, noise; with them the gradient is that of one order alone."""
    config = replace(SMALL, loss=loss, symmetrised=False)
    (W, Phi), found = first_step(config)
    stream = torch.Generator().manual_seed(
        int(np.random.SeedSequence(config.seed).spawn(2)[1].generate_state(1, np.uint64)[0])
    )
    x0, e, e1 = (torch.randn(config.batch, config.d, generator=stream, dtype=torch.float64).numpy() for _ in range(3))
    wanted = gradients(W, Phi, x0 + e, x0 + e1, loss)
    other = gradients(W, Phi, x0 + e, x0 + e1, loss, symmetrised=True)
    for got, one, both in zip(found, wanted, other):
        np.testing.assert_allclose(got, one, atol=ROUNDING)
        assert np.abs(got - both).max() > 1e6 * ROUNDING
    for got, both in zip(first_step(replace(config, symmetrised=True))[1], other):
        np.testing.assert_allclose(got, both, atol=ROUNDING)


def test_a_finite_data_set_is_seen_once_a_pass():
    """Each pass holds every anchor once but for an incomplete last batch, in another order each time."""
    config = replace(SMALL, samples=100, h=2, d=3)
    how = {"dtype": torch.float64, "device": "cpu"}
    batch = linear._anchors(config, lambda: pytest.fail("new anchors"), how)
    passes = [torch.cat([batch(step) for step in range(3 * turn, 3 * turn + 3)]).numpy() for turn in range(3)]
    for rows in passes:
        assert len(np.unique(rows, axis=0)) == 96
    everything = np.unique(np.concatenate(passes), axis=0)
    assert len(everything) <= 100 and np.abs(passes[0] - passes[1]).max() > 0
    np.testing.assert_array_equal(batch(4), passes[1][32:64])  # a step needs no earlier one
    other = linear._anchors(replace(config, seed=4), lambda: None, how)
    assert not set(other(0)[:, 0].tolist()) & set(everything[:, 0])


def test_views_of_a_finite_data_set_are_new_every_time():
    """With one anchor, its law is that of its views: the losses of two passes differ."""
    run = train(replace(SMALL, batch=1, samples=1, record_every=1, lr=1e-300))
    assert len(set(run.loss)) == len(run.loss)


def test_a_large_data_set_is_as_good_as_new_data():
    """The losses at the start, over seeds: the same mean within five standard errors, but other numbers."""
    W, Phi = initialize(SMALL.setting, np.random.default_rng(0))
    short = replace(SMALL, epochs=1, steps_per_epoch=1)
    new, kept = (
        np.array([train(replace(short, seed=s, samples=n), start=(W, Phi)).loss[0] for s in range(60)])
        for n in (None, 1000)
    )
    assert not set(new) & set(kept)
    assert abs(new.mean() - kept.mean()) < 5 * np.hypot(new.std(ddof=1), kept.std(ddof=1)) / math.sqrt(60)


def test_the_rate_of_the_head_may_stay():
    """With a gradient of nothing but decay, the weights are a product of (1 - rate rho), each with its own rates."""
    config = replace(SMALL, momentum=0.0, fixed_head_lr=True, rho=0.5)
    W, Phi = (1e9 * A for A in initialize(config.setting, np.random.default_rng(0)))  # gradients of size 1e-9
    run = train(config, start=(W, Phi))
    rates = np.repeat([learning_rate(config, epoch) for epoch in range(config.epochs)], config.steps_per_epoch)
    np.testing.assert_allclose(run.Phi, np.prod(1 - rates * config.rho) * Phi, rtol=1e-9)
    np.testing.assert_allclose(run.W, (1 - rates[0] * config.rho) ** config.steps * W, rtol=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_momentum_time_is_the_time_of_pure_decay(momentum):
    """||Phi|| = e^{-rho t} at every record, at a rate where the plain time is far off; annealed."""
    config = replace(SMALL, momentum=momentum, rho=0.02, lr=0.8, epochs=6, record_every=1)
    W, Phi = (1e9 * A for A in initialize(config.setting, np.random.default_rng(0)))  # gradients of size 1e-9
    run, exact = train(config, start=(W, Phi)), linear.momentum_time(config)
    left = -np.log(run.N_Phi / run.N_Phi[0]) / config.rho
    np.testing.assert_allclose(exact, left, atol=1e-7)
    assert np.abs(run.time - left)[-1] > (0.1 if momentum else 1e-4)


def test_momentum_time_has_limits():
    """The plain time for small steps; without decay, the movement under a constant force; NaN beyond zero."""
    gaps = []
    for steps in (1000, 2000, 4000):
        config = replace(SMALL, rho=0.2, epochs=1, steps_per_epoch=steps, lr=8 * 2.0 / steps)
        time = np.arange(steps + 1) * learning_rate(config, 0) / (1 - config.momentum)
        gaps.append(np.abs(linear.momentum_time(config) - time).max())
    assert np.all(np.abs(np.log2(np.array(gaps[:-1]) / gaps[1:]) - 1) < 0.5)  # nearer to 1 than halfway to 0 or 2
    tiny = linear.momentum_time(replace(SMALL, rho=1e-12))
    np.testing.assert_allclose(tiny, linear.momentum_time(replace(SMALL, rho=0.0)), rtol=1e-9)
    over = linear.momentum_time(replace(SMALL, rho=10.0, lr=1.0))
    assert np.isnan(over[-1]) and np.isfinite(over[0])


# Stopping and going on ------------------------------------------------------------------------------------------------

FULL = replace(SMALL, samples=70)
VARIANTS = [
    SMALL,
    FULL,
    replace(SMALL, momentum=0.0, loss="l2", lr=0.05),
    replace(SMALL, dtype="float32", symmetrised=False),
]


def same(one, other):
    for field in fields(one):
        mine, yours = getattr(one, field.name), getattr(other, field.name)
        if field.name == "config":
            assert mine == yours
        else:
            np.testing.assert_array_equal(mine, yours, err_msg=field.name)
            assert mine.dtype == yours.dtype


def stop_after(monkeypatch, calls, how):
    """Something happens in the middle of the step after so many."""
    seen, rate = itertools.count(), linear.learning_rate

    def patched(config, epoch):
        if next(seen) == calls:
            how()
        return rate(config, epoch)

    monkeypatch.setattr(linear, "learning_rate", patched)


@pytest.mark.parametrize("config", VARIANTS)
@pytest.mark.parametrize("calls", [0, 7])
def test_ctrl_c_and_on_again(config, calls, tmp_path, monkeypatch):
    file = tmp_path / "checkpoint"
    with monkeypatch.context() as patch:
        stop_after(patch, calls, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            train(config, checkpoint=file)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert (
        int(_files.unpacked(_files.unsealed(file.read_bytes()))["step"]) == calls + 1
    )  # the step under way was finished
    same(train(config, checkpoint=file), train(config))
    same(train(config, checkpoint=file), train(config))  # a finished run comes from its checkpoint
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_many_interruptions_change_nothing(tmp_path, monkeypatch):
    start = initialize(FULL.setting, np.random.default_rng(5))
    for calls in (3, 1, 6):
        with monkeypatch.context() as patch:
            stop_after(patch, calls, lambda: signal.raise_signal(signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):
                train(FULL, start=start, checkpoint=tmp_path / "c")
    same(train(FULL, start=start, checkpoint=tmp_path / "c"), train(FULL, start=start))


def test_a_killed_run_goes_on(tmp_path):
    """SIGKILL in the middle of a step, in a process of its own."""
    code = (
        "import os, signal, sys; from featnorm.simsiam import linear\n"
        "rate, n = linear.learning_rate, iter(range(99))\n"
        "def patched(config, epoch):\n"
        "    if next(n) == 11: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return rate(config, epoch)\n"
        "linear.learning_rate = patched; from featnorm.simsiam.linear import LinearConfig\n"
        f"linear.train({FULL!r}, checkpoint=sys.argv[1], every=0.0)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "c")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert int(_files.unpacked((tmp_path / "c").read_bytes())["step"]) == 11
    same(train(FULL, checkpoint=tmp_path / "c"), train(FULL))


@pytest.fixture
def checkpoint(tmp_path):
    """Half a run: the checkpoint was written before its ninth step."""
    file = tmp_path / "checkpoint"
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 8, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            train(SMALL, checkpoint=file)
    return file


def test_a_checkpoint_of_another_run_is_refused_and_kept(checkpoint):
    before = checkpoint.read_bytes()
    with pytest.raises(ValueError, match=r"has rho = 0\.1 and not 0\.2; dtype = 'float64' and not 'float32'$"):
        train(replace(SMALL, rho=0.2, dtype="float32"), checkpoint=checkpoint)
    with pytest.raises(ValueError, match="belongs to a run from another start"):
        train(SMALL, start=initialize(SMALL.setting, np.random.default_rng(9)), checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before


def test_a_damaged_checkpoint_is_refused_and_kept(checkpoint):
    whole = checkpoint.read_bytes()
    bad = [
        b"",
        b"no zip",
        whole[:-10],
        whole[: len(whole) // 2],
        whole + b"x",
        _files.sealed(_files.packed({"x": [1]})),
    ]
    bad += [whole[:i] + bytes([whole[i] ^ 4]) + whole[i + 1 :] for i in range(0, len(whole), 97)]
    for data in bad:
        checkpoint.write_bytes(data)
        with pytest.raises(ValueError, match=r"checkpoint: is damaged or no checkpoint .*move it away"):
            train(SMALL, checkpoint=checkpoint)
        assert checkpoint.read_bytes() == data


def test_a_full_disk_keeps_the_old_checkpoint(checkpoint, monkeypatch):
    before = checkpoint.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            train(SMALL, checkpoint=checkpoint, every=0.0)
    assert checkpoint.read_bytes() == before and len(list(checkpoint.parent.iterdir())) == 1
    same(train(SMALL, checkpoint=checkpoint), train(SMALL))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        train(SMALL, checkpoint=tmp_path / "no" / "checkpoint")


def test_a_run_comes_back_as_it_was_saved(tmp_path):
    run = train(FULL)
    linear.save(run, tmp_path / "run.npz")
    same(linear.load(tmp_path / "run.npz"), run)
    (tmp_path / "run.npz").write_bytes(b"no run")
    with pytest.raises(ValueError, match=r"run\.npz: is damaged or no run"):
        linear.load(tmp_path / "run.npz")
    with pytest.raises(FileNotFoundError):
        linear.load(tmp_path / "none.npz")
