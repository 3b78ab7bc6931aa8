"""Three measures of collapse: they are different, and each is free of what it must not see."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featnorm.collapse import feature_spread, measure
from featnorm.setting import Setting, initialize, views

ROUNDING = 1e3 * np.finfo(np.float64).eps
FEW = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)


@FEW
@given(seeds, st.integers(1, 5), st.integers(1, 30))
def test_spread_sees_directions_only(seed, h, n):
    rng = np.random.default_rng(seed)
    features, rows = rng.standard_normal((n, h)) + 1.0, 10.0 ** rng.uniform(-50, 50, (n, 1))
    U = np.linalg.qr(rng.standard_normal((h, h)))[0]
    spread = feature_spread(features)
    assert -ROUNDING <= spread <= 1 + ROUNDING
    assert feature_spread(rows * features @ U) == pytest.approx(spread, abs=ROUNDING)
    assert feature_spread(np.vstack([features, features])) == pytest.approx(spread, abs=ROUNDING)
    assert feature_spread(np.vstack([features, -features])) == pytest.approx(1.0, abs=ROUNDING)
    z = features / np.sqrt(np.sum(features**2, axis=1))[:, None]
    pairs = np.sum((z[:, None] - z[None, :]) ** 2) / (2 * n**2)  # the same number from distances of pairs
    assert spread == pytest.approx(pairs, abs=ROUNDING)


@pytest.mark.parametrize("angle", [0.0, 0.1, 1.0, math.pi / 2, math.pi])
def test_spread_of_two_directions(angle):
    features = np.array([[2.0, 0.0], [5 * math.cos(angle), 5 * math.sin(angle)]])
    assert feature_spread(features) == pytest.approx((1 - math.cos(angle)) / 2, abs=ROUNDING)


@pytest.mark.parametrize(
    "features, words",
    [
        (np.zeros((2, 3)), "^features: a row is zero"),
        (np.array([[1.0, 0.0], [0.0, 0.0]]), "^features: a row is zero"),
        (np.ones(3), r"^features: has shape \(3,\)"),
        (np.array([[math.nan]]), "^features: has 1 entries"),
        (np.empty((0, 2)), "^features: has no rows"),
    ],
)
def test_spread_refuses(features, words):
    with pytest.raises(ValueError, match=words):
        feature_spread(features)


def test_measure_refuses():
    for Phi, x, words in (
        (np.eye(2), np.ones((3, 3)), r"^x: has shape \(3, 3\), must have shape \(any, 2\)"),
        (np.ones(2), np.ones((3, 2)), "^Phi: has shape"),
        (np.full((2, 2), math.inf), np.ones((3, 2)), "^Phi: has 4 entries"),
        (np.zeros((2, 2)), np.ones((3, 2)), "is zero"),
    ):
        with pytest.raises(ValueError, match=words):
            measure(Phi, x)


def test_measure_against_definitions():
    setting, rng = Setting(h=3, d=5), np.random.default_rng(0)
    _, Phi = initialize(setting, rng)
    x, _ = views(setting, 50, rng)
    found, values = measure(Phi, x), np.linalg.svd(Phi, compute_uv=False)
    assert found.size == pytest.approx(math.sqrt(np.sum(values**2)), rel=ROUNDING)
    assert found.rank == pytest.approx(np.sum(values**2) ** 2 / np.sum(values**4), rel=ROUNDING)
    assert found.spread == pytest.approx(feature_spread((Phi @ x.T).T), abs=ROUNDING)


def test_the_three_are_different():
    """For each measure a state that only it calls collapsed."""
    x = views(Setting(h=4, d=4), 4000, np.random.default_rng(1))[0]
    noise = 5 / math.sqrt(len(x))  # ||mean z|| is of order n^(-1/2), so 1 - spread is of order 1/n
    small = measure(1e-9 * np.eye(4), x)
    assert small.size == pytest.approx(2e-9) and small.rank == pytest.approx(4) and small.spread > 1 - noise**2
    thin = measure(np.diag([100.0, 0, 0, 0]), x)
    assert thin.size == 100 and thin.rank == 1 and thin.spread > 1 - noise**2
    aimed = measure(np.eye(4), x + np.array([1e6, 0, 0, 0]))
    assert aimed.size == 2 and aimed.rank == 4 and aimed.spread < 1e-9


@FEW
@given(seeds, st.floats(1e-30, 1e30))
def test_scale_changes_the_size_only(seed, c):
    rng = np.random.default_rng(seed)
    Phi, x = rng.standard_normal((3, 4)), rng.standard_normal((7, 4))
    one, scaled = measure(Phi, x), measure(c * Phi, x)
    assert scaled.size == pytest.approx(c * one.size, rel=ROUNDING)
    assert scaled.rank == pytest.approx(one.rank, rel=ROUNDING)
    assert scaled.spread == pytest.approx(one.spread, abs=ROUNDING)


@pytest.mark.parametrize("c", [1e-320, 1e-170, 1e-90, 1e90, 1e170, 1e300])
def test_measure_works_for_any_phi_that_is_not_zero(c):
    found = measure(c * np.eye(2), 1e-200 * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    assert (found.size / c, found.rank, found.spread) == pytest.approx((math.sqrt(2), 2.0, 1.0), rel=1e-3 + ROUNDING)
    assert feature_spread([[c, 0.0], [-c, 0.0]]) == 1.0


@pytest.mark.parametrize("bad", [1j * np.eye(2), [["1", "0"], ["0", "1"]]])
def test_measure_wants_real_numbers(bad):
    for call in (lambda: measure(bad, np.eye(2)), lambda: measure(np.eye(2), bad), lambda: feature_spread(bad)):
        with pytest.raises(ValueError, match="must be an array of real numbers"):
            call()


def test_a_size_beyond_the_range_is_refused():
    with pytest.raises(ValueError, match=r"^Phi: too large"):
        measure(np.full((2, 2), 1.5e308), np.eye(2))
