"""The flow behind the claim on relatives against autograd of the loss itself."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from featnorm.claims.image_relatives import KINDS, directpred_velocity, velocity


def loss_of(kind, w, online, target, s, n):
    """Leading order of the expected loss of aligned modes, from <u, v>, |u|^2, |v|^2 with u = W Phi x, v = Phi x'."""
    inner, u, v = (w * online * target * s).sum(), (w**2 * online**2 * (s + n)).sum(), (target**2 * (s + n)).sum()
    return -inner / (u * v).sqrt() if kind == "cosine" else 0.5 * (u + v) - inner


@pytest.mark.parametrize("method, loss", KINDS)
def test_velocity_is_minus_the_gradient(method, loss):
    rng = np.random.default_rng(3)
    w, p, s, n = (torch.from_numpy(rng.uniform(0.3, 1.5, 4)) for _ in range(4))
    if method == "no-predictor":
        w = torch.ones(4, dtype=torch.float64)
    w, p = w.requires_grad_(), p.requires_grad_()
    target = p if method == "no-stop" else p.detach()
    dw, dp = torch.autograd.grad(-loss_of(loss, w, p, target, s, n), (w, p))
    found = velocity(method, loss, *(x.detach().numpy() for x in (w, p, s, n)))
    wanted = (0 * dw if method == "no-predictor" else dw), dp
    for mine, theirs in zip(found, wanted):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-12, atol=1e-14)


def directpred_ends(loss, eta, times):
    """p (times, 3) of DirectPred's flow; mode 0 has no noise, mode 1 eta = 1/2, mode 2 the given one."""
    s, n = np.array([1.0, 1.0, eta]), np.array([0.0, 1.0, 1.0 - eta])

    def field(_, logs):  # of the logarithms of p, since with the L2 loss the size falls for ever
        p = np.exp(logs)
        return directpred_velocity(loss, p, s, n) / p

    run = solve_ivp(field, (0.0, times[-1]), np.log([0.9, 0.8, 0.7]), method="LSODA", t_eval=times, rtol=1e-8)
    p = np.exp(run.y.T)
    f = p**2 * (s + n)
    return p, np.sqrt(f / f.max(axis=1, keepdims=True)) + 0.1


def test_directpred_with_the_cosine_loss_keeps_what_lies_above_its_border():
    p, w = directpred_ends("cosine", 0.15, [3000.0])  # the border is 1 / 11
    np.testing.assert_allclose(w[-1], 1.1 * np.array([1.0, 0.5, 0.15]), rtol=1e-3)
    p, w = directpred_ends("cosine", 0.05, [1500.0, 3000.0])
    np.testing.assert_allclose(w[-1, :2], [1.1, 0.55], rtol=1e-3)
    assert p[-1, 2] < 0.1 * p[0, 2]  # and falls further


def test_directpred_with_the_l2_loss_shrinks_and_keeps_its_shape():
    p, w = directpred_ends("l2", 0.05, [600.0])
    assert p.max() < 1e-6
    m, eta = np.array([1.0, 2.0, 1.0]), np.array([1.0, 0.5, 0.05])
    np.testing.assert_allclose(m * w[-1] * (w[-1] - eta), 0.11, rtol=1e-3)
    assert (w[-1] > 0.2).all()
