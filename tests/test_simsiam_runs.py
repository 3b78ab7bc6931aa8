"""Archived linear runs: the function that makes them."""

from __future__ import annotations

import numpy as np
import pytest

from featnorm.setting import commutator
from featnorm.simsiam.linear import LinearConfig, train
from featnorm.simsiam.runs import linear_runs, plain_commutator

SMALL = {"h": 4, "d": 8, "sigma2": 1.0, "rho": 0.1, "lr": 0.05, "batch": 16, "epochs": 4, "steps_per_epoch": 2}


def test_each_run_is_that_of_the_plain_loop_with_its_own_seed():
    found = linear_runs(2, 5, **SMALL)
    for i in range(2):
        run = train(LinearConfig(**SMALL, seed=5 + i, dtype="float32", record_every=4))
        np.testing.assert_array_equal(found["eig_W"][i], run.eig_W.astype(np.float32))
        assert found["plain"][i, 1] == np.float32(plain_commutator(run.W, run.Phi))


def test_more_runs_begin_with_the_fewer_ones():
    one, two = linear_runs(1, 0, **SMALL), linear_runs(2, 0, **SMALL)
    np.testing.assert_array_equal(one["N_Phi"], two["N_Phi"][:1])


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
