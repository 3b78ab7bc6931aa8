"""The flow behind the claim on relatives against autograd of the loss itself."""

import numpy as np
import pytest
import torch

from featnorm.claims.image_relatives import KINDS, velocity


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
