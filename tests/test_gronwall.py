"""Grönwall's inequality: verdicts that are never wrong, and bounds and laws against solved equations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from featnorm.claims import gronwall as checks
from featnorm.gronwall import (
    _midpoint,
    decay_bound,
    growth_bound,
    law_bound,
    product_decay_bound,
    product_growth_bound,
    verify,
    window,
)
from featnorm.matrix_flow import cosine_field, population_flow
from featnorm.normalized_moments import matrix_moments
from featnorm.scale import Scale
from featnorm.setting import Setting, initialize, views

positive = st.floats(0.05, 3.0)

# --- Theorem 1 -------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    u0=st.floats(-2.0, 2.0), rate=st.floats(-1.0, 2.0), alpha0=st.floats(-1.0, 3.0), slope=st.floats(-1.0, 1.0),
    b=st.floats(-0.5, 2.0), T=positive, exponent=st.sampled_from([0.0, 0.5, 1.0]),
)  # fmt: skip
def test_verdicts_agree_with_a_fine_grid(u0, rate, alpha0, slope, b, T, exponent):
    """u = u0 e^{rate t}, alpha = alpha0 + slope t, beta = b, whose integrals are elementary."""
    found = verify(lambda t: u0 * (rate * t).exp(), lambda t: alpha0 + slope * t, lambda t: arb(b), T, exponent, 256)
    t = np.linspace(0.0, T, 4001)
    u = u0 * np.exp(rate * t)
    fed = b * u0 * (np.expm1(rate * t) / rate if rate else t)
    alpha = alpha0 + slope * t
    gaps = {"hypothesis": alpha + fed - u, "conclusion": alpha * np.exp(exponent * b * t) - u}
    rounding = 1e-9 * (1 + np.abs(u).max() + np.abs(fed).max() + np.abs(alpha).max() * np.exp(2 * abs(b) * T))
    for name, gap in gaps.items():
        verdict = getattr(found, name)
        if verdict == "certified":
            assert gap.min() >= -rounding, name
        if verdict == "refuted":
            assert gap.min() < rounding, name
    assert found.beta_nonnegative == ("certified" if b >= 0 else "refuted")
    assert found.alpha_nondecreasing == ("certified" if slope >= 0 else "refuted")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_certified_premise_never_meets_a_refuted_conclusion(seed):
    """Theorem 1 itself, on the random cases of its check; their functions are close to equality."""
    u, alpha, beta, T = checks.gronwall_case(np.random.default_rng(seed))
    found = verify(u, alpha, beta, T)
    assert (found.premise, found.conclusion) == ("certified", "certified")


def test_integrals_are_enclosed_to_second_order():
    """The smallest margin that a grid resolves falls like the square of its width for a hypothesis near equality."""

    def resolved(cells: int) -> float:
        for k in range(60):
            if verify(
                lambda t: t.exp(), lambda t, k=k: arb(1 + 2.0**-k), lambda t: arb(1), 1.0, 1.0, cells
            ).hypothesis == ("undecided"):
                return 2.0 ** -(k - 1)
        return 0.0

    margins = [resolved(cells) for cells in (64, 256, 1024)]
    orders = np.diff(np.log2(margins)) / 2  # cells grow by 4, so the width falls by 2 ** 2
    assert (orders <= -0.9).all()  # at least first order, and both are halvings of a power of two


@given(st.floats(-3.0, 3.0), st.floats(-2.0, 2.0), st.floats(1e-3, 2.0), st.floats(1e-3, 2.0))
def test_the_midpoint_rule_encloses_every_function_with_such_slopes_and_no_more(value, slope, spread, width):
    """A bend in the middle, from one end of the slopes to the other, reaches the ends of the enclosure."""
    found = _midpoint(arb(value), arb(slope, spread), arb(width))
    # value + slope t +- spread |t| over |t| <= width / 2: the odd part vanishes, |t| has the integral width^2 / 4
    for sign in (-1, 1):
        inside, outside = (value * width + sign * part * spread * width**2 / 4 for part in (0.999, 1.001))
        assert found.contains(arb(inside))
        assert not found.contains(arb(outside))


def test_each_wrong_variant_of_theorem_1_is_refuted_with_a_certificate():
    check = checks.CHECKS["theorem-1"]
    for name, variant in check.wrong.items():
        assert check.run(variant, Scale.SMOKE, 5).numbers["refuted"] > 0, name


def test_a_function_without_a_derivative_is_not_certified_by_accident():
    """The ball of a square root that reaches below zero is not a number: nothing follows."""
    found = verify(lambda t: (t - 0.3).sqrt(), lambda t: arb(5), lambda t: arb(1), 1.0, 1.0, 64)
    assert "certified" not in (found.hypothesis, found.conclusion)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"T": 0.0}, "T = 0.0"),
        ({"T": math.inf}, "T = inf"),
        ({"exponent": -1.0}, "exponent = -1.0"),
        ({"max_cells": 63}, "max_cells = 63"),
        ({"max_cells": 100.5}, "max_cells = 100.5"),
        ({"u": lambda t: np.sin(t)}, "u: must map a ball"),
        ({"alpha": lambda t: "one"}, "alpha: must map a ball"),
        ({"beta": lambda t: math.exp(t)}, "beta: must map a ball"),
    ],
)
def test_bad_arguments_are_named(change, message):
    good = {"u": lambda t: arb(0), "alpha": lambda t: arb(1), "beta": lambda t: arb(1), "T": 1.0}
    with pytest.raises(ValueError, match=message):
        verify(**(good | change))


# --- Bounds and laws -------------------------------------------------------------------------------------------------


@given(start=positive, speed=positive, rho=st.floats(0.0, 2.0))
def test_the_bounds_solve_their_equations(start, speed, rho):
    """decay_bound solves y' = speed - 2 rho y; growth_bound lies above the solution of y' = speed + 2 rho y."""
    t = np.linspace(0.0, 2.0, 5)
    options = {"t_eval": t, "rtol": 1e-9, "atol": 1e-12}
    down = solve_ivp(lambda s, y: speed - 2 * rho * y, (0, 2), [start], **options).y[0]
    up = solve_ivp(lambda s, y: speed + 2 * rho * y, (0, 2), [start], **options).y[0]
    np.testing.assert_allclose(decay_bound(start, speed, t, rho), down, rtol=1e-7)
    assert (growth_bound(start, speed, t, rho) >= up * (1 - 1e-7)).all()
    assert (decay_bound(start, speed, t, rho) <= growth_bound(start, speed, t, rho) * (1 + 1e-12)).all()


@given(start=positive, head=positive, rho=st.floats(0.05, 2.0))
def test_lemma_14_covers_what_its_proof_integrates(start, head, rho):
    """{start + 2 int (head + 4 s) e^{2 rho s} ds} e^{4 rho t}, with all constants of Eq. 11, 14 and 15 at one."""
    for t in (0.1, 1.0, 3.0):
        integral = quad(lambda s: 2 * (head + 4 * s) * math.exp(2 * rho * s), 0, t)[0]
        assert product_growth_bound(start, head, 1.0, t, rho) >= (start + integral) * math.exp(4 * rho * t)


@given(start=positive, head=positive, speed=positive, rho=st.floats(0.05, 2.0))
def test_the_clock_carries_the_bound_from_no_decay_to_any(start, head, speed, rho):
    """exp(-4 rho t) times the bound without decay at the clock, and below the bound that counts decay as growth."""
    t = np.linspace(0.0, 3.0, 7)
    free = [product_decay_bound(start, head, speed, s, 0.0) for s in np.expm1(2 * rho * t) / (2 * rho)]
    kept = product_decay_bound(start, head, speed, t, rho)
    np.testing.assert_allclose(kept, np.exp(-4 * rho * t) * np.array(free), rtol=1e-12)
    assert (kept <= product_growth_bound(start, head, speed, t, rho)).all()


def test_small_rho_joins_zero():
    t = np.linspace(0.0, 5.0, 7)
    np.testing.assert_allclose(decay_bound(1.0, 2.0, t, 1e-12), decay_bound(1.0, 2.0, t, 0.0), rtol=1e-9)
    np.testing.assert_allclose(window(t, 1e-12), window(t, 0.0), rtol=1e-9)


@given(limit=st.floats(0.0, 1e6), rho=st.floats(1e-3, 10.0))
def test_the_window_is_where_its_equation_says(limit, rho):
    t = float(window(limit, rho))
    assert t * math.exp(2 * rho * t) == pytest.approx(limit, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: growth_bound(-1.0, 1.0, [0.0], 0.1), "start = -1.0"),
        (lambda: growth_bound(1.0, 1.0, [0.0, -0.5], 0.1), "t: must have no negative entry"),
        (lambda: growth_bound(1.0, 1.0, [math.nan], 0.1), "t: has 1 entries"),
        (lambda: decay_bound(1.0, math.inf, [0.0], 0.1), "speed = inf"),
        (lambda: decay_bound(1.0, 1.0, [0.0], -0.1), "rho = -0.1"),
        (lambda: product_growth_bound(1.0, 1.0, 1.0, [0.0], 0.0), "rho = 0.0"),
        (lambda: law_bound(1.0, -2.0, [0.0], 0.1), "norm_W = -2.0"),
        (lambda: window(-1.0, 0.1), "limit: must have no negative entry"),
    ],
)
def test_bad_sizes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- What the checks stand on ----------------------------------------------------------------------------------------


def test_scale_and_decay_put_back_by_the_laws_give_the_flow_itself():
    """The checks run one flow and reach every rho and scale by exact laws; here the flow is run with them."""
    setting, c, rho, t = Setting(h=4, d=8), 1.7, 0.4, np.array([0.0, 0.5, 1.5])
    W, Phi = initialize(setting, np.random.default_rng(2))
    direct = population_flow(c * W, c * Phi, setting.with_(rho=rho), t, rtol=1e-9, direct=True)
    free = population_flow(W, Phi, setting, np.expm1(2 * rho * t) / (2 * rho) / c**2, rtol=1e-9)
    shrink = c * np.exp(-rho * t)[:, None, None]
    np.testing.assert_allclose(direct.W, shrink * free.W, atol=1e-7)
    np.testing.assert_allclose(direct.Phi, shrink * free.Phi, atol=1e-7)


def test_velocities_along_a_flow_belong_to_it():
    """Integrals of the stored velocities reproduce the stored states: the Gauss weights, the decay and the clock."""
    assert max(curve.misfit() for curve in checks.curves(Scale.SMOKE, 0)) < 5e-3


@pytest.mark.parametrize("state", [checks.turned(30.0), checks.nearly_rank_one(0.01)], ids=["eq-11", "eq-14"])
def test_the_counterexamples_by_monte_carlo(state):
    """The driving terms of both families from samples: an independent way to the exact moments."""
    W, F = state
    h, rng = len(W), np.random.default_rng(0)
    root, blocks = np.linalg.cholesky(F), []
    for _ in range(32):
        x, x1 = views(Setting(h=h, d=h), 10_000, rng)
        blocks.append(cosine_field(W, root, x, x1)[0])
    K, stderr = np.mean(blocks, axis=0), np.std(blocks, axis=0, ddof=1) / np.sqrt(32)
    exact = matrix_moments(W, F, 1.0).K
    assert (np.abs(K - exact) < 7 * stderr).all()


def test_the_turn_is_what_breaks_the_bound():
    """Without the turn the states commute, and the driving terms are at most one."""
    angle_free = checks.drives(np.diag([0.0045, 0.0045, 1.0]), np.diag([1e4, 1.0, 1.0]))
    turned = checks.drives(*checks.turned(100.0))
    assert angle_free.eq_11 == pytest.approx(angle_free.H, rel=1e-9)
    assert angle_free.eq_11 < 1 < turned.eq_11
    assert turned.H < 1
