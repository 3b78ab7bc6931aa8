"""Many runs of `featnorm.simsiam.linear` at once: gradients by hand, batched products, sampling equal in law."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from featnorm import setting as reference
from featnorm._validate import Array, one_of
from featnorm.simsiam.linear import LinearConfig, LinearRun, learning_rate

_DIFFER = ("seed", "rho", "lr", "sigma2", "momentum")


def _on_features(target: Tensor, online: Tensor, loss: str) -> tuple[Tensor, Tensor]:
    """Loss (runs,) and its gradient at ``online`` = W q, the rows of both views stacked: (runs, 2 n, h)."""
    rows = online.shape[1]
    if loss == "l2":
        G = (online - target) / rows
        return 0.5 * rows * G.square().sum(dim=(1, 2)), G
    size, aim = (torch.linalg.vector_norm(A, dim=2, keepdim=True) for A in (online, target))
    cosine = (online * target).sum(dim=2, keepdim=True) / (size * aim)
    G = target * (-1.0 / (rows * size * aim))
    return -cosine.mean(dim=(1, 2)), G.addcmul_(online, cosine / (rows * size.square()))


def step_gradients(
    W: Tensor, Phi: Tensor, x: Tensor, x1: Tensor, loss: str = "cosine"
) -> tuple[Tensor, Tensor, Tensor]:
    """Symmetrised loss and its gradients for a batch of runs, derived by hand: (runs,), (runs, h, h), (runs, h, d).

    W is (runs, h, h), Phi (runs, h, d), x and x1 (runs, n, d). With A, B the loss gradients at W Phi x and W Phi x',
    everything follows from P = A^T X + B^T X': dW = P Phi^T and dPhi = W^T P. No weight decay.

    >>> one = torch.ones(1, 1, 1)
    >>> [g.item() for g in step_gradients(2 * one, one, 2 * one, 3 * one, "l2")]
    [1.25, 4.5, 9.0]
    """
    views = torch.cat([x1, x, x1], dim=1)
    return _coordinate_gradients(W, Phi, views, loss)


def _coordinate_gradients(W: Tensor, Phi: Tensor, views: Tensor, loss: str) -> tuple[Tensor, Tensor, Tensor]:
    n = views.shape[1] // 3
    target = views[:, : 2 * n] @ Phi.mT
    value, G = _on_features(target, views[:, n:] @ (W @ Phi).mT, loss)
    P = G.mT @ views[:, n:]
    return value, P @ Phi.mT, W.mT @ P


class _Views:
    """Weights in real coordinates and the views of `linear.train`, drawn from the same streams in the same order."""

    def __init__(self, configs: Sequence[LinearConfig], W: Tensor, Phi: Tensor) -> None:
        first = configs[0]
        self.W, self.Phi = (A.to(getattr(torch, first.dtype)) for A in (W, Phi))
        self.loss, self.n, self.d = first.loss, first.batch, first.d
        self.generators = []
        for config in configs:
            seed = np.random.SeedSequence(config.seed).spawn(2)[1].generate_state(1, np.uint64)[0]
            self.generators.append(torch.Generator(first.device).manual_seed(int(seed)))
        self.sigma = [math.sqrt(config.sigma2) for config in configs]
        self.momentum, self.rho = (_column(configs, name, self.W) for name in ("momentum", "rho"))
        self.M_W, self.M_Phi = torch.zeros_like(self.W), torch.zeros_like(self.Phi)
        self.views = self.W.new_empty(len(configs), 3 * self.n, self.d)

    def _draw(self) -> None:
        n = self.n
        for views, generator, sigma in zip(self.views, self.generators, self.sigma):
            anchor, e, e1 = (torch.empty_like(views[:n]).normal_(generator=generator) for _ in range(3))
            torch.add(anchor, e, alpha=sigma, out=views[n : 2 * n])
            torch.add(anchor, e1, alpha=sigma, out=views[:n])
            views[2 * n :] = views[:n]

    def gradients(self) -> Tensor:
        self._draw()
        value, self.dW, self.dPhi = _coordinate_gradients(self.W, self.Phi, self.views, self.loss)
        return value.double()

    def update(self, lr: Tensor) -> None:
        lr = lr.to(self.W)
        for A, M, dA in ((self.W, self.M_W, self.dW), (self.Phi, self.M_Phi, self.dPhi)):
            M.mul_(self.momentum).add_(dA.addcmul_(A, self.rho))
            A.addcmul_(M, -lr)

    def state(self) -> tuple[Tensor, Tensor]:
        return self.W.double(), self.Phi.double()

    def finish(self, k: int, config: LinearConfig) -> Array:
        return self.Phi[k].cpu().numpy().astype(np.float64)


class _Rotated(_Views):
    """The same law from two normals a coordinate: (x + x') / sqrt(2) and (x - x') / sqrt(2) are independent."""

    def __init__(self, configs: Sequence[LinearConfig], W: Tensor, Phi: Tensor) -> None:
        super().__init__(configs, W, Phi)
        self.plus = _column(configs, "sigma2", self.W).add(2.0).mul(0.5).sqrt()
        self.minus = _column(configs, "sigma2", self.W).mul(0.5).sqrt()

    def _draw(self) -> None:
        n, xi = self.n, torch.empty_like(self.views[:, : 2 * self.n])
        for part, generator in zip(xi, self.generators):
            part.normal_(generator=generator)
        plus, minus = xi[:, :n] * self.plus, xi[:, n:] * self.minus
        self.views[:, n : 2 * n] = plus + minus
        self.views[:, :n] = plus - minus
        self.views[:, 2 * n :] = self.views[:, :n]


class _Law:
    """Row-space coordinates, d >= 2 h: Phi = R Q1 and its momentum R (m1 Q1 + m2 Q2), rows of Q1, Q2 orthonormal."""

    def __init__(self, configs: Sequence[LinearConfig], W: Tensor, Phi: Tensor) -> None:
        first, runs = configs[0], len(configs)
        self.kind = getattr(torch, first.dtype)
        self.loss, self.n, self.h = first.loss, first.batch, first.h
        self.m = min(self.h, 2 * self.n)  # columns of a root K of the covariance of the outside part
        self.W, self.M_W = W, torch.zeros_like(W)
        self.R = torch.linalg.qr(Phi.mT, "r").R.mT.contiguous()
        self.m1, self.m2 = torch.zeros_like(W), torch.zeros_like(W)
        self.momentum, self.rho, sigma2 = (_column(configs, name, W) for name in ("momentum", "rho", "sigma2"))
        self.plus = (0.5 * (sigma2 + 2.0)).sqrt()
        self.ratio = (sigma2 / (sigma2 + 2.0)).sqrt().to(self.kind)
        self.eye = torch.eye(self.h, dtype=W.dtype, device=W.device)
        free = first.d - 2 * self.h
        self.shape = np.clip(0.5 * (free - np.arange(self.m)), 0.0, None)  # of the gamma variables on B's diagonal
        self.lower = torch.ones(self.m, self.m, dtype=self.kind, device=W.device).tril(-1)
        self.lower[:, free:] = 0.0
        self.sizes = (2 * self.n * self.h, self.m * (self.h + self.m))
        self.generators, self.gamma = [], []
        for config in configs:
            data, gamma = np.random.SeedSequence(config.seed).spawn(4)[1:3]
            seed = int(data.generate_state(1, np.uint64)[0])
            self.generators.append(torch.Generator(first.device).manual_seed(seed))
            self.gamma.append(np.random.Generator(np.random.SFC64(gamma)))
        self.normals = torch.empty(runs, sum(self.sizes), dtype=self.kind, device=W.device)
        self.views = self.normals.new_empty(runs, 3 * self.n, self.h)
        self.T = self.normals.new_empty(runs, 2 * self.n, self.h)

    def gradients(self) -> Tensor:
        n = self.n
        for row, generator in zip(self.normals, self.generators):
            row.normal_(generator=generator)
        xi = self.normals[:, : self.sizes[0]].view(-1, 2 * n, self.h)
        WR = self.W @ self.R
        size = [torch.linalg.matrix_norm(A, keepdim=True) if self.loss == "cosine" else 1.0 for A in (self.R, WR)]
        R, WR = ((A * (self.plus / s)).to(self.kind) for A, s in zip((self.R, WR), size))
        torch.addcmul(xi[:, :n], xi[:, n:], self.ratio, out=self.views[:, n : 2 * n])
        torch.addcmul(xi[:, :n], xi[:, n:], self.ratio, value=-1.0, out=self.views[:, :n])
        self.views[:, 2 * n :] = self.views[:, :n]
        value, G = _on_features(self.views[:, : 2 * n] @ R.mT, self.views[:, n:] @ WR.mT, self.loss)
        torch.add(G[:, :n], G[:, n:], out=self.T[:, :n])
        torch.sub(G[:, :n], G[:, n:], out=self.T[:, n:]).mul_(self.ratio)
        self.P, self.unit = self.T.mT @ xi, self.plus / size[1]  # P = A^T Y + B^T Y' in the unit of T
        return value.double()

    def update(self, lr: Tensor) -> None:
        m = self.m
        P = self.P.double() * self.unit
        U = torch.linalg.solve_triangular(self.R, self.W.mT, upper=False)
        m1 = torch.baddbmm(self.rho * self.eye, U, P).add_(self.m1 * self.momentum)
        noise = (U * self.unit).to(self.kind) @ self._root() @ self._normals()
        m2 = noise.double()
        m2[:, :, : self.h] += self.momentum * self.m2
        outside = m2.to(self.kind)
        gram = (outside @ outside.mT).double().baddbmm_(m1, m1.mT)
        step = lr * m1
        J, bad = torch.linalg.cholesky_ex(self.eye - step - step.mT + lr.square() * gram)
        X = torch.linalg.solve_triangular(J, (m1 - lr * gram).mT, upper=False).mT
        rest, worse = torch.linalg.cholesky_ex(gram - X @ X.mT)
        for k in (bad + worse).nonzero()[:, 0].tolist():
            both = torch.cat([torch.cat([self.eye - step[k], -lr[k] * m2[k]], 1), torch.cat([m1[k], m2[k]], 1)])
            L = torch.linalg.qr(both.mT, "r").R.mT
            J[k], X[k], rest[k] = L[: self.h, : self.h], L[self.h :, : self.h], L[self.h :, self.h :]
        self.m1, self.m2 = torch.linalg.solve_triangular(J, torch.cat([X, rest], dim=2), upper=False).split(self.h, 2)
        self.M_W = torch.baddbmm(self.rho * self.W, P, self.R.mT).add_(self.M_W * self.momentum)
        self.W = self.W - lr * self.M_W
        self.R = self.R @ J

    def _root(self) -> Tensor:
        """K (h, m) with K K^T = C = T^T T, the covariance of every column of the gradient outside the row space."""
        if self.m < self.h:
            return self.T.mT
        C = self.T.mT @ self.T
        # Rounding may take a singular C below zero: its error is a few units in the last place of the trace.
        C.diagonal(dim1=1, dim2=2).add_(C.diagonal(dim1=1, dim2=2).sum(dim=1, keepdim=True), alpha=torch.finfo(C.dtype).eps)
        K, bad = torch.linalg.cholesky_ex(C)
        for k in bad.nonzero()[:, 0].tolist():
            K[k] = torch.linalg.qr(self.T[k], "r").R.mT
        return K

    def _normals(self) -> Tensor:
        """[Z, B] (m, h + m): normals for the momentum's rows, Bartlett's factor of the Wishart matrix for the rest."""
        Z = self.normals[:, self.sizes[0] :].view(len(self.W), self.m, -1)
        B = Z[:, :, self.h :].mul_(self.lower)
        gamma = np.stack([rng.standard_gamma(self.shape) for rng in self.gamma])
        B.diagonal(dim1=1, dim2=2).copy_(torch.from_numpy(np.sqrt(2.0 * gamma)))
        return Z

    def state(self) -> tuple[Tensor, Tensor]:
        return self.W, self.R

    def finish(self, k: int, config: LinearConfig) -> Array:
        rng = np.random.default_rng(np.random.SeedSequence(config.seed).spawn(4)[3])
        rows = np.linalg.qr(rng.standard_normal((config.d, config.h)))[0].T
        return self.R[k].cpu().numpy() @ rows


def _column(configs: Sequence[LinearConfig], name: str, like: Tensor) -> Tensor:
    return torch.tensor([getattr(config, name) for config in configs], dtype=like.dtype, device=like.device)[
        :, None, None
    ]


def _measure(W: Tensor, Phi: Tensor) -> dict[str, Tensor]:
    """The records of `LinearRun` for a batch of runs; float64, one entry or row a run."""

    def norm(A: Tensor) -> Tensor:
        return torch.linalg.matrix_norm(A)

    N_Phi, norm_W = norm(Phi), norm(W)
    w, phi = W / norm_W[:, None, None], Phi / N_Phi[:, None, None]
    psi, F = w @ phi, phi @ phi.mT
    FW, WF = F @ w, w @ F
    return {
        "N_Phi": N_Phi,
        "N_Psi": norm(psi) * N_Phi * norm_W,
        "N_x": (phi * psi).sum(dim=(1, 2)) / norm(psi),
        "norm_W": norm_W,
        "asymmetry": 0.5 * norm(w - w.mT),
        "commutator": norm(FW - WF) / (norm(FW) + norm(WF)),
        "eig_W": torch.linalg.eigvalsh(0.5 * (W + W.mT)).flip(1),
        "eig_F": (torch.linalg.eigvalsh(F) * N_Phi.square()[:, None]).flip(1),
        "rank_F": 1.0 / F.square().sum(dim=(1, 2)),
    }


def train_many(
    configs: Sequence[LinearConfig],
    *,
    sampler: str = "law",
    progress: bool = False,
    starts: Sequence[tuple[Array, Array] | None] | None = None,
) -> list[LinearRun]:
    """Train many runs in one batch of matrix products. The configs may differ in seed, rho, lr, sigma2, momentum.

    >>> runs = train_many([LinearConfig(h=2, d=8, batch=4, epochs=1, steps_per_epoch=2, seed=s) for s in (0, 1)])
    >>> runs[1].step.tolist()
    [0, 2]
    """
    one_of("law", "views")("sampler", sampler)
    first = configs[0]
    starts = [None] * len(configs) if starts is None else starts
    pairs = []
    for config, start in zip(configs, starts):
        if start is None:
            init = np.random.SeedSequence(config.seed).spawn(2)[0]
            start = reference.initialize(config.setting, np.random.default_rng(init))
        pairs.append(config.setting.state(*start))
    W, Phi = (torch.tensor(np.array(part), dtype=torch.float64, device=first.device) for part in zip(*pairs))
    kind: Callable = _Views if sampler == "views" else _Law if first.d >= 2 * first.h else _Rotated
    engine, records = kind(configs, W, Phi), []
    time = torch.zeros(len(configs), dtype=torch.float64)
    momentum = torch.tensor([config.momentum for config in configs], dtype=torch.float64)
    rates = lr = time
    for step in tqdm(range(first.steps + 1), disable=not progress, file=sys.stderr, unit="step"):
        if step % first.steps_per_epoch == 0:
            rates = torch.tensor([learning_rate(c, step // first.steps_per_epoch) for c in configs]).double()
            lr = rates[:, None, None].to(W)
        value = engine.gradients()
        if not torch.isfinite(value).all():
            k = int((~torch.isfinite(value)).nonzero()[0])
            raise FloatingPointError(
                f"the loss of run {k} (seed {configs[k].seed}) is {value[k]:g} at step {step} (learning rate "
                f"{rates[k]:g}): try a lower lr"
            )
        if step % first.record_every == 0 or step == first.steps:
            at = {"time": time.clone(), "lr": rates, "loss": value}
            records.append((step, at | _measure(*engine.state())))
        if step < first.steps:
            engine.update(lr)
            time += rates / (1.0 - momentum)
    steps = np.array([step for step, _ in records])
    columns = {name: torch.stack([r[name] for _, r in records], dim=1).cpu().numpy() for name in records[0][1]}
    last_W = engine.state()[0].cpu().numpy()
    return [
        LinearRun(
            config=config,
            step=steps.copy(),
            epoch=steps / first.steps_per_epoch,
            W=last_W[k],
            Phi=engine.finish(k, config),
            **{name: column[k] for name, column in columns.items()},
        )
        for k, config in enumerate(configs)
    ]


_ = fields, _DIFFER
