"""Surveys of how many modes survive: the scaling variable, the balanced rate, and a grid that survives a kill."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert whole["eig_W"].shape == (2, 2, 2, 2, 2, 3)
    alone = survey(**{**GRID, "ratios": (3,), "batches": (4,), "decays": (0.2,)}, seeds=2)
    for key, value in alone.items():
        np.testing.assert_allclose(whole[key][1, 0, 1], value[0, 0, 0], rtol=1e-5, err_msg=key)


def test_shorter_survey_is_the_leading_block():
    """So that `featnorm results verify` can replay a part."""
    whole, part = survey(**GRID, seeds=3), survey(**GRID, seeds=1)
    for key in ("rank_last", "norm_W", "eig_F"):
        np.testing.assert_allclose(whole[key][:, :, :, :, :1], part[key], rtol=1e-5, err_msg=key)


def test_killed_survey_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Finished points are read and not repeated, half-written ones are not read, the result is the same."""
    from featnorm.simsiam import phase

    reference = survey(**GRID, seeds=2)
    done, replace = [], os.replace

    def killed(source, target):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(target)
        replace(source, target)

    monkeypatch.setattr(phase.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        survey(**GRID, seeds=2, folder=str(tmp_path))
    assert len(list(tmp_path.glob("*.npz"))) == 3
    monkeypatch.undo()
    made, point = [], phase._point
    monkeypatch.setattr(phase, "_point", lambda *args: made.append(args) or point(*args))
    again = survey(**GRID, seeds=2, folder=str(tmp_path))
    assert len(made) == 5  # of 8
    for key, value in reference.items():
        np.testing.assert_array_equal(again[key], value, err_msg=key)
    survey(**{**GRID, "sigma2s": (0.5, 3.0)}, seeds=2, folder=str(tmp_path))  # another grid shares no file
    assert len(made) == 13


def test_device_is_an_argument():
    """A machine with a GPU names it; one without it is told so."""
    with pytest.raises(ValueError, match="device = 'nonsense'"):
        survey(**GRID, seeds=1, device="nonsense")
    assert survey(**{**GRID, "ratios": (2,)}, seeds=1, device="cpu")["rank_last"].shape == (1, 2, 2, 2, 1)


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
