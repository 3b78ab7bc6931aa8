"""The relatives of SimSiam trained by SGD on Gaussian data: each method's own loss on batches, through autograd.

Many replicas are trained at once, each on its own batches, so that averages come with a standard error.
`featnorm.relatives` has the flows that they are compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from featnorm._validate import Array, array, one_of, positive, positive_int
from featnorm.relatives import Predictor, Relative, Vicreg
from featnorm.setting import Setting


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=-1)


def _prediction_loss(u: Tensor, v: Tensor, cosine: bool) -> Tensor:
    """Eq. 1 or 2 on features u of the online branch and v of the target; the mean over a batch, one a replica."""
    v = v.detach()
    each = -_dot(u, v) / (u.norm(dim=-1) * v.norm(dim=-1)) if cosine else 0.5 * (u - v).square().sum(dim=-1)
    return each.mean(dim=-1)


def _iso_loss(q: Tensor, v: Tensor, W: Tensor, root: Tensor, cosine: bool) -> Tensor:
    """IsoLoss (Halvagal, Laborieux and Zenke 2023) in both forms; ``root`` is the square root of the predictor W."""
    u, v = (q @ W).detach(), v.detach()
    if not cosine:
        return 0.5 * (q - (v + q - u).detach()).square().sum(dim=-1).mean(dim=-1)
    size = u.norm(dim=-1) * v.norm(dim=-1)
    weight = _dot(u, v) / (u.norm(dim=-1).square() * size)
    return (-_dot(q, v) / size + 0.5 * weight * (q @ root).square().sum(dim=-1)).mean(dim=-1)


def _set_predictor(q: Tensor, rule: Predictor) -> tuple[Tensor, Tensor]:
    """The predictor set from the correlation of a batch of features, and its square root; no gradient flows."""
    q = q.detach()
    s, U = torch.linalg.eigh(q.mT @ q / q.shape[-2])
    s = s.clamp_min(0.0)
    if rule.normalised:
        s = s / s.amax(dim=-1, keepdim=True)
    w = s**rule.power + rule.epsilon * s.amax(dim=-1, keepdim=True)
    return (U * w.unsqueeze(-2)) @ U.mT, (U * w.sqrt().unsqueeze(-2)) @ U.mT


def _off_diagonal(C: Tensor) -> Tensor:
    return C - torch.diag_embed(torch.diagonal(C, dim1=-2, dim2=-1))


def _barlow_loss(q: Tensor, v: Tensor, off_diagonal: float, normalised: bool) -> Tensor:
    """Barlow Twins (Zbontar et al. 2021) with the batch's own means and variances, or on the raw features."""
    if normalised:
        q, v = ((z - z.mean(dim=-2, keepdim=True)) / z.std(dim=-2, keepdim=True, correction=0) for z in (q, v))
    C = q.mT @ v / q.shape[-2]
    diagonal = torch.diagonal(C, dim1=-2, dim2=-1)
    return (1 - diagonal).square().sum(dim=-1) + off_diagonal * _off_diagonal(C).square().sum(dim=(-2, -1))


def _vicreg_loss(q: Tensor, v: Tensor, weights: Vicreg) -> Tensor:
    """VICReg (Bardes, Ponce and LeCun 2022) as its public code computes it."""
    h = q.shape[-1]
    loss = weights.invariance * (q - v).square().mean(dim=(-2, -1))
    for z in (q, v):
        std = (z.var(dim=-2) + weights.epsilon).sqrt()
        centred = z - z.mean(dim=-2, keepdim=True)
        cov = centred.mT @ centred / (z.shape[-2] - 1)
        loss = loss + weights.variance * 0.5 * (1 - std).relu().mean(dim=-1)
        loss = loss + weights.covariance * _off_diagonal(cov).square().sum(dim=(-2, -1)) / h
    return loss


@dataclass(frozen=True)
class Features:
    """Barlow Twins or VICReg: ``off_diagonal`` and ``normalised`` are read by the first, ``weights`` by the second."""

    method: str
    off_diagonal: float = 1.0
    normalised: bool = True
    weights: Vicreg = field(default_factory=Vicreg)

    def __post_init__(self) -> None:
        one_of("barlow", "vicreg")("method", self.method)


@dataclass(frozen=True, eq=False)
class Replicas:
    """The last states of all replicas: W (replicas, h, h), Phi and Target (replicas, h, d)."""

    W: Array
    Phi: Array
    Target: Array


def train_replicas(
    kind: Relative | Features,
    W0: Array,
    Phi0: Array,
    setting: Setting,
    lr: float,
    batch: int,
    steps: int,
    replicas: int,
    seed: int,
) -> Replicas:
    """Plain SGD with weight decay from one start, in many replicas with data of their own; float64.

    A step is theta <- theta - lr (gradient + rho theta). The target of byol moves by lr beta (Phi - Target) after it,
    from a copy of Phi0. A predictor that is set comes from the correlation of the batch. W0 is (h, h), Phi0 (h, d);
    methods without a trained predictor leave W0 as it is. ``kind.loss`` other than ``l2`` is the cosine loss.

    Raises ValueError for bad input and FloatingPointError where the training diverges.

    >>> run = train_replicas(Relative("simsiam", "l2"), np.eye(2), np.eye(2, 3), Setting(h=2, d=3), 0.01, 8, 3, 5, 0)
    >>> run.Phi.shape
    (5, 2, 3)
    """
    W0, Phi0 = setting.state(W0, Phi0)
    positive("lr", lr)
    for name, value in (("batch", batch), ("steps", steps), ("replicas", replicas)):
        positive_int(name, value)
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]))
    W, Phi = (torch.from_numpy(A).expand(replicas, *A.shape).clone() for A in (array("W0", W0, None), Phi0))
    Target = Phi.clone()
    trained = isinstance(kind, Relative) and kind.trained
    weights = [Phi, W] if trained else [Phi]
    loss = _loss(kind)

    def noise() -> Tensor:
        return torch.randn(replicas, batch, setting.d, generator=generator, dtype=torch.float64)

    sigma = float(np.sqrt(setting.sigma2))
    moving = isinstance(kind, Relative) and kind.method == "byol"
    for _ in range(steps):
        anchor = noise()
        x, x1 = anchor + sigma * noise(), anchor + sigma * noise()
        for A in weights:
            A.requires_grad_()
        # The replicas do not mix, so the gradient of the sum holds the gradient of each.
        total = loss(W, Phi, Target if moving else Phi, x, x1).sum()
        gradients = torch.autograd.grad(total, weights)
        for A, gradient in zip(weights, gradients):
            A.detach_().sub_(lr * (gradient + setting.rho * A))
        if moving:
            assert isinstance(kind, Relative)
            Target.add_(lr * kind.beta * (Phi - Target))
    if not all(torch.isfinite(A).all() for A in (W, Phi)):
        raise FloatingPointError(f"training diverged at lr = {lr:g}: try a lower one")
    return Replicas(*(A.numpy() for A in (W, Phi, Target if moving else Phi)))


def _loss(kind: Relative | Features) -> Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]:
    """The batch loss of a method, one value a replica, as a function of (W, Phi, Target, x, x1)."""

    def predicting(W: Tensor, Phi: Tensor, Target: Tensor, x: Tensor, x1: Tensor) -> Tensor:
        assert isinstance(kind, Relative)
        q, v, cosine = x @ Phi.mT, x1 @ Target.mT, kind.loss != "l2"
        if kind.trained:
            return _prediction_loss(q @ W.mT, v, cosine)
        predictor, root = _set_predictor(q, kind.predictor)
        return (
            _iso_loss(q, v, predictor, root, cosine)
            if kind.method == "isoloss"
            else (_prediction_loss(q @ predictor, v, cosine))
        )

    def features(_W: Tensor, Phi: Tensor, _target: Tensor, x: Tensor, x1: Tensor) -> Tensor:
        assert isinstance(kind, Features)
        q, v = x @ Phi.mT, x1 @ Phi.mT
        if kind.method == "barlow":
            return _barlow_loss(q, v, kind.off_diagonal, kind.normalised)
        return _vicreg_loss(q, v, kind.weights)

    return predicting if isinstance(kind, Relative) else features
