"""Variations of linear SimSiam: starts, data laws, heads, losses, training, surveys; and aligned anisotropic modes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from featnorm import relatives, setting
from featnorm.anisotropic import aligned_end, aligned_flow, aligned_velocity
from featnorm.eigen_flow import rate, terminal_state
from featnorm.matrix_flow import cosine_field, l2_field
from featnorm.setting import Setting
from featnorm.simsiam import variations
from featnorm.simsiam.relatives import train_replicas
from featnorm.simsiam.variations import (
    DATA,
    HEADS,
    NORMALISATIONS,
    STARTS,
    VARIATIONS,
    Variation,
    draw,
    gradients,
    head_matrix,
    predicted,
    spectrum_error,
    start,
    train,
    variances,
)

SMALL = Setting(h=4, d=6, sigma2=0.5, rho=0.1)


def state(seed: int = 0, n: int = 30):
    rng = np.random.default_rng(seed)
    return (*setting.initialize(SMALL, rng), *setting.views(SMALL, n, rng))


# --- The model -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "field"), [("both", cosine_field), ("neither", l2_field)])
def test_both_and_neither_are_the_losses_of_the_paper(kind, field):
    W, Phi, x, x1 = state()
    (dW,), dPhi = gradients(Variation(normalisation=kind), [W], Phi, x, x1)
    for found, wanted in zip((dW, dPhi), field(W, Phi, x, x1)):
        np.testing.assert_allclose(-found, wanted, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", NORMALISATIONS)
def test_gradients_agree_with_differences_of_a_loss_written_by_hand(kind):
    """Central differences of order 2 in float64: an error of 1e-5 squared, and rounding of 1e-16 / 1e-5."""
    W, Phi, x, x1 = state()

    def unit(rows):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def standard(rows):
        return (rows - rows.mean(axis=0)) / rows.std(axis=0)

    v = x1 @ Phi.T

    def loss(W):
        u = x @ (W @ Phi).T
        if kind == "batch":
            return 0.5 * np.mean((standard(u) - standard(v)) ** 2)
        online = unit(u) if kind in ("both", "online") else u
        target = unit(v) if kind in ("both", "target") else v
        return 0.5 * np.mean(np.sum((online - target) ** 2, axis=1))

    (dW,), _ = gradients(Variation(normalisation=kind), [W], Phi, x, x1)
    step = np.zeros_like(W)
    step[1, 2] = 1e-5
    assert dW[1, 2] == pytest.approx((loss(W + step) - loss(W - step)) / 2e-5, abs=1e-8)


@pytest.mark.parametrize("head", ["diagonal", "low_rank", "two_layer"])
def test_linear_heads_are_their_product(head):
    """The gradient of a factor follows from that of the product by the chain rule."""
    _, Phi, x, x1 = state()
    layers, _ = start(Variation(head=head), SMALL, np.random.default_rng(1))
    found, dPhi = gradients(Variation(head=head), layers, Phi, x, x1)
    (dW,), wanted = gradients(Variation(), [head_matrix(layers, head)], Phi, x, x1)
    np.testing.assert_allclose(dPhi, wanted, atol=1e-13)
    by_hand = [np.diag(dW)] if head == "diagonal" else [layers[1].T @ dW, dW @ layers[0].T]
    for a, b in zip(found, by_hand):
        np.testing.assert_allclose(a, b, atol=1e-13)


def test_the_starts_are_what_they_say():
    large = Setting(h=60, d=120)
    W = {name: start(Variation(start=name), large, np.random.default_rng(0))[0][0] for name in STARTS}
    Phi = start(Variation(start="commuting"), large, np.random.default_rng(0))[1]
    for name in set(STARTS) - {"free", "orthogonal"}:
        np.testing.assert_allclose(W[name], W[name].T, atol=1e-12)
    assert setting.asymmetry(W["free"]) > 0.5
    assert setting.commutator(Phi @ Phi.T, W["commuting"]) < 1e-12 < setting.commutator(Phi @ Phi.T, W["assumption_4"])
    np.testing.assert_allclose(np.linalg.eigvalsh(W["commuting"]), np.linalg.eigvalsh(W["assumption_4"]), atol=1e-12)
    np.testing.assert_allclose(W["orthogonal"] @ W["orthogonal"].T, np.eye(60), atol=1e-12)
    # (A + A^T) / 2 of independent entries has the radius sqrt 2 of the semicircle, Assumption 4 has 2 (up to h^(-2/3))
    assert np.linalg.norm(W["half_sum"], 2) == pytest.approx(2**0.5, rel=0.12)
    np.testing.assert_allclose(W["large_head"], 9 * W["small_head"], rtol=1e-14)


@pytest.mark.parametrize("data", DATA)
def test_data_laws_have_the_variance_they_say(data):
    """E|x0|^2 = d from the covariance of the two views; five standard errors of a mean over blocks."""
    model, blocks = Setting(h=2, d=5, sigma2=0.5), 50
    x, x1 = draw(data, model, 400 * blocks, seed=3)
    power = np.sum(x * x1, axis=1).reshape(blocks, -1).mean(axis=1)
    if data != "student":  # whose fourth moment is infinite, so that a standard error means nothing
        assert abs(power.mean() - 5) < 5 * power.std(ddof=1) / blocks**0.5
    noise = np.sum((x - x1) ** 2, axis=1).reshape(blocks, -1).mean(axis=1)
    assert abs(noise.mean() - 2 * 0.5 * 5) < 5 * noise.std(ddof=1) / blocks**0.5
    if data in ("anisotropic", "shaped"):
        np.testing.assert_allclose(np.mean(x * x1, axis=0), variances(5), atol=0.1)


def test_heavy_tails_are_heavy_and_signs_are_signs():
    x, _ = draw("rademacher", Setting(h=2, d=4, sigma2=1e-12), 50, 0)
    np.testing.assert_allclose(np.abs(x), 1.0, atol=1e-4)
    big = {
        law: np.linalg.norm(draw(law, Setting(h=2, d=30), 2000, 0)[0], axis=1).max() for law in ("gaussian", "student")
    }
    assert big["student"] > 2 * big["gaussian"]


# --- Training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", ["both", "online"])
def test_norms_obey_pythagoras(head, kind):
    """One step under an online normalisation: |A|^2 gains lr^2 |g|^2 and loses its decay, for each layer."""
    how = Variation(head=head, normalisation=kind)
    model = SMALL.with_(h=10, d=12)  # so wide that no sample finds every ReLU closed
    one = train(how, model, 0.05, 64, 1, 3, 0)
    still = train(how, model.with_(rho=0.0), 0.05, 64, 1, 3, 0)
    for A0, A, B in zip((*one.layers0, one.Phi0), (*one.layers, one.Phi), (*still.layers, still.Phi)):
        for i in range(3):
            step = B[i] - A0[i]
            assert np.sum(A[i] ** 2) == pytest.approx((1 - 0.05 * 0.1) ** 2 * np.sum(A0[i] ** 2) + np.sum(step**2))


def test_replicas_and_relatives_agree_in_the_mean():
    """An independent trainer of the same loss, from one start: means over replicas within five standard errors."""
    how, model = Variation(start="identity"), Setting(h=3, d=3, rho=0.2)
    run = train(how, model, 0.1, 64, 20, 40, 0)
    others = [
        train_replicas(relatives.Relative("simsiam", "exact"), np.eye(3), Phi, model, 0.1, 64, 20, 1, i)
        for i, Phi in enumerate(run.Phi0)
    ]
    gap = np.array([a - b.Phi[0] for a, b in zip(run.Phi, others)])
    assert (np.abs(gap.mean(axis=0)) < 5 * gap.std(axis=0, ddof=1) / 40**0.5).all()


def test_same_seed_same_run_and_fewer_starts_keep_their_start():
    a, b, c = (train(Variation(data="mixture"), SMALL, 0.05, 16, 5, n, 2) for n in (3, 3, 2))
    assert (a.Phi == b.Phi).all() and (a.Phi0[:2] == c.Phi0).all()
    before = torch.random.get_rng_state()
    train(Variation(), SMALL, 0.05, 16, 2, 2, 0)
    assert torch.equal(before, torch.random.get_rng_state())


def test_symmetric_head_stays_symmetric():
    W = train(Variation(head="symmetric"), SMALL, 0.1, 32, 20, 2, 0).layers[0]
    np.testing.assert_array_equal(W, np.swapaxes(W, 1, 2))


def test_divergence_and_bad_input_are_named():
    with pytest.raises(FloatingPointError, match="try a lower one"):
        train(Variation(normalisation="neither"), SMALL, 50.0, 16, 60, 1, 0)
    with pytest.raises(ValueError, match=r"head = 'deep': must be one of full"):
        Variation(head="deep")
    with pytest.raises(ValueError, match=r"start = 'identity': must be assumption_4 for the head 'relu'"):
        Variation(head="relu", start="identity")
    for name, value in (("lr", 0.0), ("batch", 0), ("steps", 1.5), ("starts", 0), ("seed", -1), ("dtype", "int")):
        arguments = {"lr": 0.1, "batch": 4, "steps": 1, "starts": 1, "seed": 0} | {name: value}
        with pytest.raises(ValueError, match=f"{name} = "):
            train(Variation(), SMALL, **arguments)
    with pytest.raises(ValueError, match="not finite"):
        gradients(Variation(), [np.zeros((2, 2))], np.eye(2), np.ones((1, 2)), np.ones((1, 2)))


# --- Surveys ---------------------------------------------------------------------------------------------------------


def test_a_shorter_survey_is_the_first_part_of_a_longer_one(monkeypatch):
    monkeypatch.setattr(variations, "STEPS", 3)
    short, long = (variations.variation_survey(n, 2, 0) for n in (1, 2))
    for name, value in short.items():
        np.testing.assert_array_equal(value, long[name][:1])
    assert long["phi"].shape == (2, 2, 2, 16)
    sweep = variations.normalisation_sweep(1, 2, 0)
    np.testing.assert_array_equal(sweep["phi"][0], long["phi"][0, :1])  # the paper's model, no decay


def test_every_value_is_in_the_survey():
    kinds = VARIATIONS.values()
    for field, words in (("data", DATA), ("head", HEADS), ("normalisation", NORMALISATIONS), ("start", STARTS)):
        assert {getattr(kind, field) for kind in kinds} == set(words)


def test_the_rule_of_two_layers_is_that_of_the_polar_factor():
    layers, Phi = start(Variation(head="relu"), SMALL, np.random.default_rng(0))
    end = predicted(layers, Phi, "relu")
    c = np.linalg.eigvalsh(Phi @ Phi.T - layers[0].T @ layers[0])
    np.testing.assert_allclose(end.phi, np.maximum(end.w_bar**2 + c, 0.0), atol=1e-12)


def test_spectrum_error_does_not_see_order_and_scale():
    assert spectrum_error(np.array([1.0, 2.0]), np.array([4.0, 2.0])) == 0.0


# --- Aligned anisotropic modes ---------------------------------------------------------------------------------------

positive = st.floats(0.2, 3.0)


@settings(max_examples=40, deadline=None)
@given(
    w=arrays(float, 4, elements=st.floats(-2.0, 2.0)),
    phi=arrays(float, 4, elements=positive),
    s=arrays(float, 4, elements=positive),
    n=arrays(float, 4, elements=positive),
)
def test_the_end_is_at_rest_and_keeps_what_is_conserved(w, phi, s, n):
    w = np.append(w[:3], 1.0)
    end = aligned_end(w, phi, s, n)
    assert end.phi.sum() == pytest.approx(phi.sum())
    live = end.phi > 0
    np.testing.assert_allclose((end.phi - end.w**2)[live], (phi - w**2)[live], atol=1e-9)
    dw, _ = aligned_velocity(end.w, end.phi, s, n)
    np.testing.assert_allclose(dw, 0.0, atol=1e-9)


def test_isotropic_inputs_are_the_paper_s():
    w, phi, one = np.array([1.0, -0.1, -2.0, 0.4]), np.array([1.0, 1.0, 1.0, 0.3]), np.ones(4)
    end, wanted = aligned_end(w, phi, one, 0.7 * one), terminal_state(w, phi)
    np.testing.assert_allclose(end.phi, wanted.phi, atol=1e-12)
    np.testing.assert_allclose(end.w, wanted.w, atol=1e-12)
    # the leading closure of the library is the velocity of w, since k_j = dw_j / dt there
    np.testing.assert_allclose(
        aligned_velocity(w, phi, one, 0.7 * one)[0], rate(w, phi, Setting(h=4, d=4, sigma2=0.7), "leading"), atol=1e-12
    )


def test_aligned_flow_keeps_norm_and_balance():
    rng = np.random.default_rng(0)
    w, phi, s, n = rng.uniform(0.2, 1.5, (4, 5))
    w1, phi1 = aligned_flow(w, phi, s, n, 20.0)
    assert phi1.sum() == pytest.approx(phi.sum(), rel=1e-8)
    np.testing.assert_allclose(phi1 - w1**2, phi - w**2, atol=1e-8)


def test_aligned_bad_input_is_named():
    one = np.ones(2)
    for name, args in (
        ("phi0", (one, -one, one, one)),
        ("signal", (one, one, 0 * one, one)),
        ("noise", (one, one, one, np.ones(3))),
        ("w0", (-one, one, one, one)),
    ):
        with pytest.raises(ValueError, match=f"^{name}: "):
            aligned_end(*args)
