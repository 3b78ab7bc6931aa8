"""When a flow passes the boundary of the regimes: by direct integration with weight decay, and against the bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featnorm.eigen_flow import integrate, mode_norms
from featnorm.equilibria import critical_rho, regime
from featnorm.passage import barrier, highest_barrier, lowest_critical_rho, passage_bounds, passages
from featnorm.setting import Norms, Setting
from featnorm.surveys import commuting_start

FREE = Setting(h=8, d=16, sigma2=1.0)


def start(seed: int):
    return commuting_start(FREE, np.random.default_rng(seed))


def free_run(seed: int):
    w, phi = start(seed)
    return integrate(w, phi, FREE, 0.6 / lowest_critical_rho(w, phi, FREE), "leading", extinct=0.0, rtol=1e-8)


@settings(max_examples=40)
@given(
    N_Phi=st.floats(0.1, 20), N_Psi=st.floats(0.1, 20), N_x=st.floats(-1, 1), more=st.floats(1.001, 3),
    closer=st.floats(0.01, 1),
)  # fmt: skip
def test_the_critical_value_falls_with_the_norm_of_psi_and_with_the_cosine(N_Phi, N_Psi, N_x, more, closer):
    """The step of the proof that is not a formula: by the maximum over v, and here by the library's own fold."""
    first = critical_rho(Norms(N_Phi, N_Psi, N_x), FREE)
    assert critical_rho(Norms(N_Phi, more * N_Psi, N_x), FREE) < first
    assert critical_rho(Norms(N_Phi, N_Psi, N_x + closer * (1 - N_x)), FREE) <= first * (1 + 1e-14)
    v = np.linspace(1e-4, 3, 20_001) / max(1.0, np.sqrt(N_Psi))
    largest = np.max(v - N_x * N_Phi * v**2 - 2 * N_Psi**2 * v**5) / (FREE.a * N_Phi)
    assert largest <= first * (1 + 1e-12)


@pytest.mark.parametrize("seed", [0, 1, 5])
@pytest.mark.parametrize("strength", [1.3, 6.0])
def test_the_regime_changes_where_the_flow_with_decay_says(seed, strength):
    """An independent run with weight decay has the old regime just before, and the new one just after."""
    w, phi = start(seed)
    setting = FREE.with_(rho=strength * critical_rho(mode_norms(w, phi), FREE))
    (t,) = passages(free_run(seed), setting)
    run = integrate(w, phi, setting, 1.1 * t, "leading", extinct=0.0, rtol=1e-9)
    names = [regime(mode_norms(*run.at(x * t)), setting) for x in (0.0, 0.999, 1.001, 1.1)]
    assert names == ["Collapse", "Collapse", "Acute", "Acute"]
    low, high = passage_bounds(w, phi, setting)
    assert low < t < high


def test_learning_leads_through_collapse_and_back():
    run = free_run(0)
    first = critical_rho(mode_norms(run.w[0], run.phi[0]), FREE)
    s, top = highest_barrier(run, FREE)
    assert s > 0 and top > 1 / first
    assert passages(run, FREE.with_(rho=0.9 / top)) == []
    setting = FREE.with_(rho=float(np.sqrt(first / top)))
    away, back = passages(run, setting)
    with_decay = integrate(run.w[0], run.phi[0], setting, 1.2 * back, "leading", extinct=0.0, rtol=1e-8)
    names = [regime(mode_norms(*with_decay.at(t)), setting) for t in (0.0, (away + back) / 2, 1.2 * back)]
    assert names == ["Acute", "Collapse", "Acute"]


@pytest.mark.parametrize("seed", range(3, 9))
def test_the_highest_point_is_not_below_any_other(seed):
    """Nor any near it: the grid of the run is coarse, and the top may lie on either side of its best point."""
    run = free_run(seed)
    f = barrier(run, FREE)
    s, top = highest_barrier(run, FREE)
    assert top == f(s)
    near = np.clip(s * np.linspace(0.9, 1.1, 41), 0.0, run.t[-1])
    others = [f(float(other)) for other in (*near, *np.linspace(0, run.t[-1], 200))]
    assert top >= max(others) - 1e-9 * abs(top)


def test_bounds_are_zero_where_no_passage_is_needed():
    w, phi = start(0)
    rho = 0.5 * lowest_critical_rho(w, phi, FREE)
    assert passage_bounds(w, phi, FREE.with_(rho=rho)) == (0.0, 0.0)


def test_a_run_that_is_too_short_and_a_decay_of_zero_are_refused():
    w, phi = start(0)
    short = integrate(w, phi, FREE, 1.0, "leading", extinct=0.0)
    with pytest.raises(ValueError, match=r"run: ends at clock time 1, must reach"):
        passages(short, FREE.with_(rho=1.0))
    for function in (lambda: passages(short, FREE), lambda: passage_bounds(w, phi, FREE)):
        with pytest.raises(ValueError, match=r"rho = 0.0: must be"):
            function()
    with pytest.raises(ValueError, match="phi0: has shape"):
        lowest_critical_rho(w, phi[:3], FREE)
