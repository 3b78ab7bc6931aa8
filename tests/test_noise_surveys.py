"""Surveys of SGD: a shorter survey is the beginning of a longer one, and returns what its description says."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from featnorm.claims.discrete_steps import MapClaim, check_noise_map, with_modes
from featnorm.matrix_flow import population_flow
from featnorm.scale import Scale
from featnorm.setting import Setting, norms
from featnorm.simsiam import noise_surveys
from featnorm.simsiam.noise import gradient_noise, noise_equilibrium


@pytest.fixture
def short(monkeypatch):
    """Surveys of few cases and short runs."""
    cases = noise_surveys.Case("product", d=16, batch=8, product=0.01), noise_surveys.Case("d", product=0.01, d=20)
    for name, value in {
        "CASES": cases, "MOMENTA": (0.0, 0.5), "LENGTHS": (200, 400), "LEVELS": ((0.2, 8), (0.4, 16)),
        "RATES": (0.8, 0.4), "BLOCK": 2, "EARLY_TIMES": 1.6 * np.arange(3), "DECAYS": 0.8,
    }.items():  # fmt: skip
        monkeypatch.setattr(noise_surveys, name, value)


@pytest.mark.parametrize(
    ("survey", "shapes"),
    [
        (noise_surveys.stationary_norms, {"W4": (2, 2), "Phi4": (2, 2), "rank": (2, 2)}),
        (noise_surveys.overlaps, dict.fromkeys(("size", "power", "overlap"), (2, 2, 2))),
        (noise_surveys.annealed_runs, {"W": (2, 2, 101), "Phi": (2, 2, 101)}),
        (
            noise_surveys.comparison_map,
            dict.fromkeys(("N_Phi", "N_Psi", "N_x", "rank", "rho", "modes"), (2, 2)),
        ),
        (
            noise_surveys.early_eigenvalues,
            {"assumption_4": (2, 2, 3), "below": (2, 2, 3), "assumption_4_flow": (3,), "below_flow": (3,)},
        ),
    ],
)
def test_a_shorter_survey_is_the_beginning_of_a_longer_one(short, survey, shapes):
    long, brief = survey(2, 5), survey(1, 5)
    assert {name: values.shape for name, values in long.items()} == shapes
    for name, values in brief.items():
        np.testing.assert_allclose(values, long[name][tuple(map(slice, values.shape))], rtol=1e-9)


def test_overlaps_are_those_of_the_balance(monkeypatch):
    """Without momentum the power is what decay takes, up to the ends of the run."""
    monkeypatch.setattr(noise_surveys, "MOMENTA", (0.0,))
    found = noise_surveys.overlaps(2, 0)
    case = noise_surveys.Case("momentum", d=16, product=2e-3)
    left = 2 * case.rho / noise_surveys.RATE * (1 - noise_surveys.RATE * case.rho / 2) * found["size"][0].mean(axis=0)
    np.testing.assert_allclose(found["power"][0].mean(axis=0), left, rtol=0.05)
    assert (found["overlap"][0] * 0 == 0).all()


def test_a_case_starts_at_its_equilibrium():
    case = noise_surveys.Case("d", d=40, batch=16, product=2e-3, momentum=0.5)
    at = noise_equilibrium(gradient_noise(8, 40, 1.0, 16), noise_surveys.RATE, case.rho, 0.5)
    W, Phi = case.start()
    assert np.linalg.norm(W) == pytest.approx(at.W)
    assert np.linalg.norm(Phi) == pytest.approx(at.Phi)
    assert noise_surveys.RATE * case.rho / 0.5 == pytest.approx(case.product)


def test_the_start_below_the_root_is_below_it():
    from featnorm.equilibria import equilibria

    W, Phi = noise_surveys.early_start("below")
    roots = {e.name: e.w for e in equilibria(norms(W, Phi), noise_surveys.EARLY)}
    assert np.linalg.eigvalsh(W)[0] < roots["w_down_minus"]
    flow = population_flow(W, Phi, noise_surveys.EARLY, [0.0, 5.0])
    assert np.linalg.eigvalsh(flow.W[-1])[0] > np.linalg.eigvalsh(W)[0]


def test_ends_of_sgd_are_shares():
    found = noise_surveys.trained_ends(2, 0)
    np.testing.assert_allclose(found["phi"].sum(axis=1), 1.0)
    assert found["w0"].shape == found["phi0"].shape == (2, Setting(h=8, d=16, sigma2=1.0).h)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: noise_surveys.stationary_norms(0, 0), "seeds = 0"),
        (lambda: noise_surveys.annealed_runs(1, -1), "seed = -1"),
        (lambda: noise_surveys.early_start("above"), "kind = 'above'"),
        (lambda: noise_surveys.equal_modes(3, 4, 0.0, 1.0), "size_W = 0.0"),
        (lambda: noise_surveys.trained_ends(0, 0), "starts = 0"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_another_number_of_modes_in_the_prediction_is_seen_by_the_check_where_it_is_far_off():
    def statistic(count) -> float:
        return check_noise_map(MapClaim(with_modes(count)), Scale.SMOKE, 0).statistic

    assert statistic(lambda k: k) == check_noise_map(MapClaim(), Scale.SMOKE, 0).statistic <= 1
    assert statistic(lambda k: k / 2) > 1
