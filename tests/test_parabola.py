"""What the checks of the chapter on the parabola measure, in worlds where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from featnorm.claims.parabola import DECAYS, Drift, drift, flow_runs, matrix_runs, measured_drifts, offset_share
from featnorm.eigen_flow import integrate
from featnorm.scale import Scale
from featnorm.setting import Setting


def test_a_state_that_stands_still_does_not_drift():
    """The world in which the paper's expectation is true: the measure would say so."""
    state = np.array([1.0, -0.5, 2.0]), np.array([1.0, 0.5, 3.0])
    assert max(drift(state, state).values()) == 0.0 <= 1 / Drift().times


def test_a_drift_is_counted_for_the_typical_mode_and_for_every_mode():
    first = np.array([1.0, 2.0, 4.0]), np.ones(3)
    moved = drift(first, (np.array([0.5, 2.0, -4.0]), np.array([2.0, 2.0, 0.0])))
    assert (moved["w"], moved["every w"]) == (0.0, pytest.approx(np.log(2)))
    assert moved["phi"] == pytest.approx(np.log(2)) and 700 < moved["every phi"] < np.inf  # a dead mode
    assert moved["N_Phi"] == pytest.approx(np.log(4 / 3) / 2)


def test_the_feature_norm_drifts_by_one_half_whatever_the_weight_decay():
    found = measured_drifts(flow_runs(Scale.SMOKE, 1), rate=2.0)
    assert len(found) == 4 * len(DECAYS)
    assert [moved["N_Phi"] for moved in found] == pytest.approx([0.5] * len(found), abs=1e-3)  # norm law, rtol 1e-5


def test_equal_modes_have_the_drifts_of_shrinking_alone():
    run = integrate(np.full(4, 0.5), np.full(4, 0.7), Setting(h=4, d=4), 40.0, "exact", extinct=0.0)
    for moved in measured_drifts([run], rate=2.0):
        assert moved == pytest.approx(
            {"w": 0.5, "every w": 0.5, "phi": 1.0, "every phi": 1.0, "N_Phi": 0.5, "N_Psi": 1.0, "N_x": 0.0}, abs=1e-6
        )


def test_the_matrices_stay_diagonal_in_their_start():
    """So what the check follows are the eigenvalues: their sums of squares obey the norm law of the matrices."""
    for run in matrix_runs(Scale.SMOKE, 2):
        if run.loss == "cosine":
            sizes = np.sum(run.w**2, axis=1) / np.sum(run.w[0] ** 2)
            assert sizes == pytest.approx(np.exp(-2 * run.rho * run.t), rel=1e-5)
            assert np.ptp(offset_share(run), axis=0).max() < 1e-4
