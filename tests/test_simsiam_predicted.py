"""`featnorm.simsiam.predicted`: where Eq. 7 sends the eigenvalues of a run, against the equation itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from featnorm.equilibria import l2_velocity
from featnorm.simsiam import predicted
from featnorm.simsiam.linear import LinearConfig, train

CONFIG = LinearConfig(h=12, d=48, batch=64, epochs=4, steps_per_epoch=40, record_every=40, rho=0.05, lr=0.2, seed=1)


@pytest.fixture(scope="module")
def run():
    """A run that changes from Collapse to Acute."""
    return train(CONFIG)


def destination(velocity, w):
    """Where dw/dt = velocity(w) ends: 0, a positive point, or below -100 (diverges)."""

    def far(t, w):
        return w[0] + 100.0

    far.terminal = True
    end = solve_ivp(lambda t, w: velocity(w), (0.0, 1e5), [w], method="LSODA", rtol=1e-9, atol=1e-12, events=far)
    return -np.inf if end.t_events[0].size else float(end.y[0, -1])


def eq_7(run, k):
    """Eq. 7 at the norms of record k."""
    a, (N_Phi, N_Psi, N_x) = 1 + run.config.sigma2, (run.N_Phi[k], run.N_Psi[k], run.N_x[k])

    def velocity(w):
        leading = w**2 / (N_Phi * N_Psi) - N_x * w**3 / N_Psi**2 - 2 * w**6 / (N_Phi * N_Psi**3)
        return leading / a - run.config.rho * w

    return velocity


def test_alignment_is_that_of_the_differential_equation(run):
    names, found = predicted.regimes(run), predicted.alignment(run)
    assert names[0] == "Collapse" and names[-1] == "Acute"
    for k in (0, 2, -1):
        w = run.eig_W[k]
        place = np.array([destination(eq_7(run, k), value) for value in w])
        stays = np.isfinite(place)
        w, place = w[stays], place[stays]
        assert found.diverging[k] == np.sum(~stays) and found.kept[k] == np.sum(place > 1e-3)
        assert found.distance[k] == pytest.approx(np.linalg.norm(w - place) / np.linalg.norm(w), rel=1e-6)
        if found.kept[k]:
            cosine = w @ place / (np.linalg.norm(w) * np.linalg.norm(place))
            assert found.cosine[k] == pytest.approx(cosine, rel=1e-6)
        else:
            assert np.isnan(found.cosine[k])


def test_eigenvalues_below_the_negative_root_are_left_out(run):
    low = predicted.intervals(run).low
    eig_W = run.eig_W.copy()
    eig_W[:, -1] = 2 * low
    found, rest = predicted.alignment(replace(run, eig_W=eig_W)), predicted.alignment(replace(run, eig_W=eig_W[:, :-1]))
    assert (found.diverging == 1).all()
    np.testing.assert_allclose(found.distance, rest.distance)
    np.testing.assert_allclose(found.cosine, rest.cosine)


@pytest.mark.parametrize("rho", [0.0, 0.05, 0.5])
def test_the_l2_loss_has_eq_8(rho):
    run = train(replace(CONFIG, loss="l2", rho=rho, lr=0.02, epochs=1, steps_per_epoch=4, record_every=4))
    assert predicted.regimes(run) == [{0.0: "Stable", 0.05: "Acute", 0.5: "Collapse"}[rho]] * 2
    place = np.array([destination(lambda w: l2_velocity(w, run.config.setting), value) for value in run.eig_W[0]])
    found = predicted.alignment(run)
    tolerance = 1e-3 if rho == 0 else 1e-6  # without decay the way to zero is algebraic
    assert found.distance[0] == pytest.approx(
        np.linalg.norm(run.eig_W[0] - place) / np.linalg.norm(run.eig_W[0]), abs=tolerance
    )
    assert (found.diverging == 0).all() and (np.isneginf(predicted.intervals(run).low)).all()
