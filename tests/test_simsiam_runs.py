"""Archived linear runs: the function that makes them."""

from __future__ import annotations

import numpy as np
import pytest

from featnorm.claims.linear_experiment import Reading, borders, survivors
from featnorm.equilibria import equilibria
from featnorm.setting import Norms, Setting, commutator
from featnorm.simsiam.fast import train_many
from featnorm.simsiam.linear import LinearConfig, train
from featnorm.simsiam.runs import largest_asymmetries, linear_runs, plain_commutator

SMALL = {"h": 4, "d": 8, "sigma2": 1.0, "rho": 0.1, "lr": 0.05, "batch": 16, "epochs": 4, "steps_per_epoch": 2}


def test_each_run_starts_as_the_plain_loop_does_and_keeps_its_clock():
    """What happens in between is that of `featnorm.simsiam.fast`, whose tests compare it with the plain loop."""
    found = linear_runs(2, 5, **SMALL)
    for i in range(2):
        run = train(LinearConfig(**SMALL, seed=5 + i, dtype="float32", record_every=4))
        for name in ("eig_W", "N_Phi", "N_x", "commutator"):
            np.testing.assert_allclose(found[name][i, 0], getattr(run, name)[0], rtol=1e-5, atol=1e-6)  # float32
        np.testing.assert_allclose(found["time"], run.time, rtol=1e-12)
        np.testing.assert_array_equal(found["step"], run.step)


def test_more_runs_begin_with_the_fewer_ones():
    one, two = linear_runs(1, 0, **SMALL), linear_runs(2, 0, **SMALL)
    np.testing.assert_allclose(one["N_Phi"], two["N_Phi"][:1], rtol=1e-5)  # float32, sums in another order


def test_the_two_commutators_differ_by_their_denominators():
    rng = np.random.default_rng(0)
    W, Phi = rng.standard_normal((4, 4)), rng.standard_normal((4, 8))
    F = Phi @ Phi.T
    products = np.linalg.norm(F @ W) + np.linalg.norm(W @ F)
    ratio = products / (np.linalg.norm(F) * np.linalg.norm(W))
    assert plain_commutator(W, Phi) == pytest.approx(ratio * commutator(F, W))


def test_no_runs_are_refused():
    with pytest.raises(ValueError, match="runs = 0"):
        linear_runs(0, 0, **SMALL)


def test_the_largest_asymmetry_is_that_of_the_run():
    found = largest_asymmetries(2, 3, h=4, ratios=[2, 8], batches=[16], steps=40)["asymmetry"]
    config = LinearConfig(
        h=4, d=32, rho=0.02, lr=0.05 * 256 / 16, batch=16, epochs=1, steps_per_epoch=40, seed=4, dtype="float32",
        record_every=20,
    )  # fmt: skip
    assert found[1, 0, 1] == pytest.approx(train_many([config])[0].asymmetry.max(), rel=1e-4)


def test_no_runs_are_refused_there_either():
    with pytest.raises(ValueError, match="runs = 0"):
        largest_asymmetries(0, 0, h=4, ratios=[2], batches=[16], steps=40)


@pytest.mark.parametrize("N_x", [-0.5, 0.0, 0.9])
@pytest.mark.parametrize("rho", [0.01, 0.3])
def test_the_roots_under_a_run_are_the_equilibria_of_eq_7(N_x, rho):
    N, setting = Norms(1.5, 0.8, N_x), Setting(h=4, d=8, sigma2=1.0, rho=rho)
    wanted = [e.w for e in equilibria(N, setting) if e.w > 0]
    np.testing.assert_allclose(borders(Reading(), N, setting), wanted, rtol=1e-9)


def test_survivors_stand_above_the_widest_gap():
    assert survivors(np.array([[0.1, 1.0, 0.9, 0.0], [0.0, 0.1, 0.2, 3.0]])).tolist() == [2, 1]
