"""Surveys of how many modes survive: the scaling variable, the balanced rate, and a grid that survives a kill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featnorm import sweep
from featnorm.claims import how_many_survive as checks
from featnorm.simsiam.fast import train_many
from featnorm.simsiam.linear import LinearConfig
from featnorm.simsiam.phase import balanced_rate, noise, stiffness, survey

GRID = {
    "h": 3,
    "ratios": (2, 3),
    "batches": (4, 8),
    "decays": (0.1, 0.2),
    "sigma2s": (0.5, 2.0),
    "seed": 1,
    "span": 2.0,
}
sizes = st.floats(1e-3, 1e3)


@given(sizes, sizes, sizes, st.floats(0.1, 10.0))
def test_variable_forgets_what_the_equation_in_continuous_time_forgets(decay, batch, sigma2, c):
    """Decay and batch times the same number; and the factor of a - 1/a = (a - 1)(a + 1)/a is squared."""
    X = float(noise(decay, batch, sigma2))
    assert float(noise(c * decay, c * batch, sigma2)) == pytest.approx(X, rel=1e-12)
    signal = sigma2 * (2 + sigma2) / (1 + sigma2)
    assert X == pytest.approx(decay / batch * signal**2, rel=1e-10)
    # stiffness^2 X / s^2 = 4 / k whatever the noise
    assert float(stiffness(decay, batch, sigma2, 5.0)) ** 2 * X == pytest.approx(4 * decay**2 / 5, rel=1e-10)


def test_balanced_rate_is_the_noise_equilibrium_of_the_start():
    """Many runs of SGD that lose few modes: ||W|| ends within a tenth of its start, and of another rate it does not."""
    h, d, sigma2, batch, decay = 16, 128, 2.0, 64, 0.01
    rate, rho = balanced_rate(h, sigma2, batch, decay)
    assert rate * rho == pytest.approx(decay, rel=1e-12)

    def ratio(c: float) -> float:
        configs = [
            LinearConfig(
                h=h, d=d, sigma2=sigma2, rho=rho / c, lr=c * rate * 256 / batch, momentum=0.0, batch=batch, epochs=1,
                steps_per_epoch=400, record_every=40, seed=seed,
            )
            for seed in range(6)
        ]  # fmt: skip
        return float(np.mean([run.norm_W[5:].mean() / np.sqrt(h) for run in train_many(configs)]))

    assert ratio(1.0) == pytest.approx(1.0, abs=0.1)
    assert ratio(4.0) == pytest.approx(
        2**0.5 * 2**0.5, rel=0.15
    )  # the norm goes with (rate / rho)^(1/4), here 16^(1/4)


def test_grid_has_the_order_of_its_axes():
    """Each entry is the run of its own setting: a survey of that point alone gives the same numbers."""
    whole = survey(**GRID, seeds=2)
    assert whole["eig_W"].shape == (8, 2, 2, 3)
    alone = survey(**{**GRID, "ratios": (3,), "batches": (4,), "decays": (0.2,)}, seeds=2)
    for key, value in alone.items():
        np.testing.assert_array_equal(whole[key][4 + 0 + 1], value[0], err_msg=key)


def test_shorter_survey_is_the_leading_block():
    """So that `featnorm results verify` can replay a part, to the last bit."""
    whole, part = survey(**GRID, seeds=2), survey(**GRID, seeds=2, points=3)
    assert len(part["rank_last"]) == 3
    for key, value in part.items():
        np.testing.assert_array_equal(whole[key][:3], value, err_msg=key)


def test_survey_in_pieces_is_the_survey(tmp_path: Path):
    """Each point as a run of a sweep, which can be killed and goes on; the docstring promises the same numbers."""
    whole = survey(**GRID, seeds=2)
    axes = {name: [[value] for value in GRID[name]] for name in ("ratios", "batches", "decays")}
    base = {key: value for key, value in GRID.items() if key not in axes} | {"seeds": 2}
    done = sweep.run(survey, sweep.grid(base, axes)[:3], tmp_path)
    assert (done.found, len(done.files)) == (0, 3)
    done = sweep.run(survey, sweep.grid(base, axes), tmp_path)
    assert (done.found, dict(done.failed)) == (3, {})
    found = [sweep.load(file)[1] for file in done.files]
    for key, value in whole.items():
        pieces = np.concatenate([arrays[key] for arrays in found])
        np.testing.assert_array_equal(pieces, value, err_msg=key)


@pytest.mark.parametrize(("batch", "signal"), [(-1.0, 2.0), (-0.5, 2.0), (-1.0, 1.0), (-1.4, 2.6)])
def test_fit_finds_planted_exponents(batch, signal, monkeypatch):
    """Ranks that fall with another variable: the fit of the chapter's check finds that one and not its own claim."""
    ratio, B, s, sigma2 = np.meshgrid(
        [2, 4], [8, 32, 128, 512], [0.0025, 0.01, 0.04], [0.5, 1, 2, 4, 16], indexing="ij"
    )
    a = 1 + sigma2
    x = np.log(s) + batch * np.log(B) + signal * np.log(a - 1 / a)
    rank = 1 + 15 / (1 + np.exp((x - x.mean()) / 2)) * np.exp(0.03 * np.random.default_rng(0).standard_normal(x.shape))
    flat = {"d": 16 * ratio, "batch": B, "decay": s, "sigma2": sigma2, "rank": rank}
    flat |= dict.fromkeys(("rank_first", "rank_last", "above_half", "modes_F"), rank)
    columns = {name: value.ravel().astype(float) for name, value in flat.items()}
    columns |= {"h": np.full(x.size, 16), "odd": np.indices(x.shape).sum(axis=0).ravel() % 2 == 1}
    monkeypatch.setattr(checks, "cells", lambda *names: checks.Cells(**columns))
    found = checks.exponents.__wrapped__(limit=1e9)
    assert abs(found.batch - batch) < 4 * found.batch_error < 0.2
    assert abs(found.signal - signal) < 4 * found.signal_error < 0.4


def test_device_is_an_argument():
    """A machine with a GPU names it; one without it is told so."""
    with pytest.raises(ValueError, match="device = 'nonsense'"):
        survey(**GRID, seeds=1, device="nonsense")
    assert survey(**{**GRID, "ratios": (2,)}, seeds=1, device="cpu")["rank_last"].shape == (4, 2, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"h": 0}, "h = 0"),
        ({"batches": (0,)}, "batch = 0"),
        ({"decays": (-0.1,)}, "decay = -0.1"),
        ({"sigma2s": (0.0,)}, "sigma2 = 0"),
        ({"span": 0.0}, "span = 0"),
        ({"momentum": 1.0}, "momentum = 1"),
        ({"seed": -1}, "seed = -1"),
        ({"points": 0}, "points = 0"),
        ({"lr": -1.0}, "lr = -"),
    ],
)
def test_bad_numbers_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        survey(**{**GRID, **change}, seeds=1)


@pytest.mark.parametrize(
    "call", [lambda: noise(0.0, 1, 1), lambda: noise(1, 1, [1.0, -1.0]), lambda: stiffness(1, 1, 1, 0)]
)
def test_variables_refuse_what_is_not_positive(call):
    with pytest.raises(ValueError, match="must be > 0"):
        call()
