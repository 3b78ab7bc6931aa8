r"""Many runs of `featnorm.simsiam.linear` at once: gradients by hand, batched products, sampling equal in law.

**Gradients.** Let A, B (n, h) be the gradients of the loss at the online features W q, W v of both views, q = Phi x and
v = Phi x'. With P = A^T X + B^T X', dW = P Phi^T and dPhi = W^T P: one product carries both (`step_gradients`).

**Two normals a coordinate.** (x + x') / sqrt(2) and (x - x') / sqrt(2) are independent normal vectors of variance
2 + sigma2 and sigma2, so that a pair of views needs two normals a coordinate, not three.

**Row-space coordinates.** Write Phi = R Q1 with R (h, h) and orthonormal rows Q1. The features depend on X only through
Y = X Q1^T, so A and B do too; the rest of X is independent of them. Hence dPhi Q1^T = W^T P with P = A^T Y + B^T Y'. In
each direction outside the row space, A^T X + B^T X' is N(0, C) given the features,
C = (A + B)^T (A + B) + sigma2 (A^T A + B^T B). The momentum M = R (m1 Q1 + m2 Q2) fills at most h more directions Q2.
So, with C = K K^T and U = R^{-1} W^T, the new momentum relative to the old R is

    (mu m1 + rho I + U P) Q1 + (mu m2 + U K Z) Q2 + U K Z' Q3,     Z (h, h) and Z' (h, d - 2 h) standard normal,

with rows of Q3 that complete the basis. Nothing later depends on Z' but through Z' Z'^T, a Wishart matrix with d - 2 h
degrees of freedom, and it has the law of B B^T with Bartlett's lower triangular B: no cost depends on d. The new Phi is
R (Q1 - lr m) for that momentum m. A Cholesky factor J of (Q1 - lr m)(Q1 - lr m)^T gives the new R J, and the momentum's
coordinates follow. Gram matrices are taken of these *relative* matrices only, which stay near the unit matrix, so modes
of Phi far below the largest keep their digits (as in a QR factorisation of Phi, at a fraction of its cost); where a
Cholesky factorisation meets a singular matrix, as with few samples, that run's step is done by QR.

For d < 2 h, or a start Phi without full rank, the real coordinates of Phi are kept, with two normals a coordinate.

**Precision.** The batch work (samples times h^2) and the noise are in the dtype of the configuration, the h x h algebra
of the sampler ``law`` is in float64. float32 is two to three times as fast; its rounding changes C by a few 1e-7.

**Compiled.** ``compiled=True`` hands the arithmetic of a step to `torch.compile`, in another order (`_Compiled`): the
features of the noise are taken first and mixed to those of the views afterwards, so that neither the views nor the
gradients A and B are stored. What is gained is the cost of calling PyTorch, which weighs for few runs and small sizes.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from featnorm import setting as reference
from featnorm._validate import Array, one_of
from featnorm.simsiam.linear import LinearConfig, LinearRun, learning_rate

_MAY_DIFFER = ("seed", "rho", "lr", "sigma2", "momentum")
_ONLY = {"symmetrised": True, "samples": None, "fixed_head_lr": False}  # what `linear.train` alone can vary
_CACHE = 2**22  # bytes that the batch work of one group of runs may fill: between second- and third-level cache


def step_gradients(
    W: Tensor, Phi: Tensor, x: Tensor, x1: Tensor, loss: str = "cosine"
) -> tuple[Tensor, Tensor, Tensor]:
    """The symmetrised loss and its gradients by W and Phi for a batch of runs, derived by hand; no weight decay.

    W is (runs, h, h), Phi (runs, h, d), x and x1 (runs, n, d). Returns (runs,), (runs, h, h), (runs, h, d). Equal to
    autograd through `linear.symmetrised_loss`. A feature that is zero gives nan with the cosine loss.

    >>> one = torch.ones(1, 1, 1)
    >>> [g.item() for g in step_gradients(2 * one, one, 2 * one, 3 * one, "l2")]
    [4.25, 7.0, 14.0]
    """
    return _gradients(W, Phi, torch.cat([x1, x, x1], dim=1).mT, loss)


def _gradients(W: Tensor, Phi: Tensor, views: Tensor, loss: str) -> tuple[Tensor, Tensor, Tensor]:
    """``views`` holds X'^T, X^T and again X'^T side by side, so that target and online features are slices of it."""
    n = views.shape[2] // 3
    target, online = Phi @ views[:, :, : 2 * n], (W @ Phi) @ views[:, :, n:]
    value = _to_gradient(target, online, loss)
    P = target @ views[:, :, n:].mT
    return value, P @ Phi.mT, W.mT @ P


def _to_gradient(target: Tensor, online: Tensor, loss: str) -> Tensor:
    """The loss (runs,) of both orders of the views, columns side by side (runs, h, 2 n); its gradient replaces target.

    -cos(u, v) has the gradient (cos(u, v) u / |u| - v / |v|) / |u|, and |u - v|^2 / 2 has u - v.
    """
    samples = online.shape[2]
    if loss == "l2":
        torch.sub(online, target, out=target).div_(samples)
        return 0.5 * samples * target.square().sum(dim=(1, 2))
    product = target * target
    aim = product.sum(dim=1, keepdim=True).sqrt_()
    size = torch.mul(online, online, out=product).sum(dim=1, keepdim=True).sqrt_()
    cosine = torch.mul(online, target, out=product).sum(dim=1, keepdim=True).div_(size * aim)
    target.mul_(-1.0 / (samples * size * aim)).addcmul_(online, cosine / (samples * size.square()))
    return -cosine.mean(dim=(1, 2))


class _Views:
    """Weights in real coordinates, trained on the views of `linear.train`: the same streams in the same order."""

    step_gradients = staticmethod(_gradients)

    def __init__(self, configs: Sequence[LinearConfig], W: Tensor, Phi: Tensor) -> None:
        first = configs[0]
        self.W, self.Phi = (A.to(getattr(torch, first.dtype)) for A in (W, Phi))
        self.M_W, self.M_Phi = torch.zeros_like(self.W), torch.zeros_like(self.Phi)
        self.loss, self.n = first.loss, first.batch
        self.momentum, self.rho, sigma2 = (_column(configs, name, self.W) for name in ("momentum", "rho", "sigma2"))
        self.sigma, self.plus, self.minus = sigma2.sqrt(), (1.0 + 0.5 * sigma2).sqrt(), (0.5 * sigma2).sqrt()
        self.generators = [_generator(config) for config in configs]
        self.noise = self.W.new_empty(len(configs), 3, self.n, first.d)
        self.views = self.W.new_empty(len(configs), 3 * self.n, first.d)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Both views, (runs, n, d)."""
        for part, generator in zip(self.noise.flatten(0, 1), (g for g in self.generators for _ in range(3))):
            part.normal_(generator=generator)
        return tuple(torch.addcmul(self.noise[:, 0], self.noise[:, k], self.sigma) for k in (1, 2))

    def gradients(self) -> Tensor:
        x, x1 = self.draw()
        torch.cat([x1, x, x1], dim=1, out=self.views)
        value, self.dW, self.dPhi = self.step_gradients(self.W, self.Phi, self.views.mT, self.loss)
        return value.double()

    def update(self, lr: Tensor) -> None:
        for A, M, dA in ((self.W, self.M_W, self.dW), (self.Phi, self.M_Phi, self.dPhi)):
            M.mul_(self.momentum).add_(dA.addcmul_(A, self.rho))
            A.addcmul_(M, lr.to(A), value=-1.0)

    def state(self) -> tuple[Tensor, Tensor]:
        return self.W.double(), self.Phi.double()

    def last(self, k: int, config: LinearConfig) -> Array:
        return self.Phi[k].double().cpu().numpy()


class _Coordinates(_Views):
    """Views equal in law, from two normals a coordinate."""

    def draw(self) -> tuple[Tensor, Tensor]:
        for part, generator in zip(self.noise, self.generators):
            part[1:].normal_(generator=generator)
        plus, minus = self.noise[:, 1] * self.plus, self.noise[:, 2] * self.minus
        return plus + minus, plus - minus


class _RowSpace:
    """The state (W, R) and its momentum (M_W, m1, m2) of the module's docstring; d >= 2 h and Phi of full rank."""

    def __init__(self, configs: Sequence[LinearConfig], W: Tensor, Phi: Tensor) -> None:
        first, runs = configs[0], len(configs)
        n, h, kind = first.batch, first.h, getattr(torch, first.dtype)
        self.loss, self.n, self.h, self.kind = first.loss, n, h, kind
        self.W, self.M_W, self.m1, self.m2 = W, torch.zeros_like(W), torch.zeros_like(W), torch.zeros_like(W)
        self.R = torch.linalg.qr(Phi.mT, "r").R.mT.contiguous()
        self.momentum, self.rho, sigma2 = (_column(configs, name, W) for name in ("momentum", "rho", "sigma2"))
        self.plus = (1.0 + 0.5 * sigma2).sqrt()
        self.ratio = (sigma2 / (2.0 + sigma2)).sqrt().to(kind)
        self.eye = torch.eye(h, dtype=W.dtype, device=W.device)
        self.k = min(h, 2 * n)  # columns of K
        free = first.d - 2 * h
        self.shape = np.clip(0.5 * (free - np.arange(self.k)), 0.0, None)  # of the gamma variables on B's diagonal
        self.lower = torch.ones(self.k, self.k, dtype=kind, device=W.device).tril(-1)
        self.lower[:, free:] = 0.0
        self.sizes = (2 * n * h, self.k * (h + self.k))
        # A block is a whole number of steps and depends on the sizes alone: numbers do not depend on the other runs.
        steps = max(1, 16384 // sum(self.sizes))
        self.normals = torch.empty(runs, steps, sum(self.sizes), dtype=kind, device=W.device)
        self.chi, self.used = W.new_empty(runs, steps, self.k), steps
        self.generators = [_generator(config) for config in configs]
        self.rngs = [np.random.Generator(np.random.SFC64(_streams(config)[2])) for config in configs]
        self.views, self.gradient = (self.normals.new_empty(runs, h, m) for m in (3 * n, 2 * n))
        self.target, self.online = torch.empty_like(self.gradient), torch.empty_like(self.gradient)

    def draw(self) -> None:
        """The normals of a step: ``xi`` for the views and ``Z`` = [Z, B] for what is outside the row space."""
        if self.used == self.normals.shape[1]:
            self.used = 0
            for normals, chi, generator, rng in zip(self.normals, self.chi, self.generators, self.rngs):
                if self.kind == torch.float64 and normals.device.type == "cpu":  # there NumPy is twice as fast
                    rng.standard_normal(out=normals.numpy())
                else:
                    normals.normal_(generator=generator)
                chi.copy_(torch.from_numpy(np.sqrt(2.0 * rng.standard_gamma(self.shape, chi.shape))))
        xi, Z = self.normals[:, self.used].split(self.sizes, dim=1)
        self.xi, self.Z = xi.view(-1, self.h, 2 * self.n), Z.view(-1, self.k, self.h + self.k)
        B = self.Z[:, :, self.h :].mul_(self.lower)
        B.diagonal(dim1=1, dim2=2).copy_(self.chi[:, self.used])
        self.used += 1

    def gradients(self) -> Tensor:
        self.draw()
        n, xi, views, T = self.n, self.xi, self.views, self.gradient
        WR = self.W @ self.R
        # The cosine does not see the scale: features of size one cannot leave the range of float32.
        size = [torch.linalg.matrix_norm(A, keepdim=True) if self.loss == "cosine" else 1.0 for A in (self.R, WR)]
        R, WR = ((A * (self.plus / s)).to(self.kind) for A, s in zip((self.R, WR), size))
        torch.addcmul(xi[:, :, :n], xi[:, :, n:], self.ratio, out=views[:, :, n : 2 * n])
        torch.addcmul(xi[:, :, :n], xi[:, :, n:], self.ratio, value=-1.0, out=views[:, :, :n])
        views[:, :, 2 * n :] = views[:, :, :n]
        G = torch.bmm(R, views[:, :, : 2 * n], out=self.target)
        value = _to_gradient(G, torch.bmm(WR, views[:, :, n:], out=self.online), self.loss)
        torch.add(G[:, :, :n], G[:, :, n:], out=T[:, :, :n])
        torch.sub(G[:, :, :n], G[:, :, n:], out=T[:, :, n:]).mul_(self.ratio)
        self.P, self.unit = T @ xi.mT, self.plus / size[1]  # P and C = T T^T in units of unit and unit^2
        return value.double()

    def update(self, lr: Tensor) -> None:
        h, P = self.h, self.P.double() * self.unit
        U = torch.linalg.solve_triangular(self.R, self.W.mT, upper=False)
        m1 = torch.baddbmm(self.rho * self.eye, U, P).add_(self.m1 * self.momentum)
        m2 = (U.to(self.kind) @ self.root() @ self.Z).double()  # in units of unit, like C
        m2[:, :, :h] += self.momentum / self.unit * self.m2
        outside = m2.to(self.kind)
        gram = (outside @ outside.mT).double().mul_(self.unit.square()).baddbmm_(m1, m1.mT)
        step = lr * m1
        J, singular = torch.linalg.cholesky_ex(self.eye - step - step.mT + lr.square() * gram)
        X = torch.linalg.solve_triangular(J, (m1 - lr * gram).mT, upper=False).mT
        rest, singular_too = torch.linalg.cholesky_ex(gram - X @ X.mT)
        for k in (singular + singular_too).nonzero()[:, 0].tolist():
            out = self.unit[k] * m2[k]
            both = torch.cat([torch.cat([self.eye - step[k], -lr[k] * out], 1), torch.cat([m1[k], out], 1)])
            L = torch.linalg.qr(both.mT, "r").R.mT
            J[k], X[k], rest[k] = L[:h, :h], L[h:, :h], L[h:, h:]
        self.m1, self.m2 = torch.linalg.solve_triangular(J, torch.cat([X, rest], dim=2), upper=False).split(h, 2)
        self.M_W = torch.baddbmm(self.rho * self.W, P, self.R.mT).add_(self.M_W * self.momentum)
        self.W = self.W - lr * self.M_W
        self.R = self.R @ J

    def root(self) -> Tensor:
        """K (runs, h, k) with K K^T = T T^T."""
        T = self.gradient
        if self.k < self.h:
            return T
        C = T @ T.mT
        diagonal = C.diagonal(dim1=1, dim2=2)
        # Rounding, a few units in the last place of the trace, may take a singular C below zero.
        diagonal += torch.finfo(C.dtype).eps * diagonal.sum(dim=1, keepdim=True)
        K, singular = torch.linalg.cholesky_ex(C)
        for k in singular.nonzero()[:, 0].tolist():
            K[k] = torch.linalg.qr(T[k].mT, "r").R.mT
        return K

    def state(self) -> tuple[Tensor, Tensor]:
        return self.W, self.R

    def last(self, k: int, config: LinearConfig) -> Array:
        columns = np.random.default_rng(_streams(config)[3]).standard_normal((config.d, config.h))
        Q, upper = torch.linalg.qr(torch.from_numpy(columns))
        return (self.R[k].cpu() @ (Q * upper.diagonal().sign()).T).numpy()


def _noise_features(
    W: Tensor, R: Tensor, xi: Tensor, plus: Tensor, ratio: Tensor, loss: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What `_RowSpace.gradients` finds, without views: the loss, features of the noise, how they are mixed, ``unit``.

    The features (runs, 2 h, 2 n) are those of R above those of W R, at the halves of ``xi`` side by side. With the
    second half times ``ratio`` call them a, b and c, d: targets are a - b, a + b and online features c + d, c - d, so
    that all gradients are sums of a, b, c, d with coefficients (runs, 4, n) that depend on the sample alone.
    """
    h, n, WR = W.shape[1], xi.shape[2] // 2, W @ R
    if loss == "cosine":
        size, size_online = (A.square().sum(dim=(1, 2), keepdim=True).sqrt() for A in (R, WR))
    else:
        size = size_online = torch.ones_like(plus)
    F = torch.cat([R * (plus / size), WR * (plus / size_online)], dim=1).to(xi.dtype) @ xi
    a, b, c, d = F[:, :h, :n], F[:, :h, n:] * ratio, F[:, h:, :n], F[:, h:, n:] * ratio
    if loss == "l2":
        value = ((c - a).square() + (d + b).square()).sum(dim=(1, 2)) / (2 * n)
        one = torch.ones_like(a[:, :1]) / n
        return value, F, torch.cat([-one, 0.0 * one, one, 0.0 * one], dim=1), plus / size_online
    cosines, by_target, by_online = [], [], []
    for target, online in ((a - b, c + d), (a + b, c - d)):
        shrink, grow = (A.square().sum(dim=1, keepdim=True).rsqrt() for A in (online, target))
        cosines.append((target * online).sum(dim=1, keepdim=True) * (shrink * grow))
        by_target.append(shrink * grow / (-2 * n))
        by_online.append(cosines[-1] * shrink.square() / (2 * n))
    (t, t1), (o, o1) = by_target, by_online
    mix = torch.cat([t + t1, t1 - t, o + o1, o - o1], dim=1)
    return -(cosines[0] + cosines[1]).sum(dim=(1, 2)) / (2 * n), F, mix, plus / size_online


def _next_state(
    F: Tensor, mix: Tensor, unit: Tensor, xi: Tensor, Z: Tensor, ratio: Tensor, rho: Tensor, momentum: Tensor,
    lr: Tensor, W: Tensor, M_W: Tensor, R: Tensor, m1: Tensor, m2: Tensor,
) -> tuple[Tensor, ...]:  # fmt: skip
    """`_RowSpace.update` without its detours: T, P, how often a factorisation met a singular matrix, the next state."""
    h, n = W.shape[1], xi.shape[2] // 2
    a, b, c, d = F[:, :h, :n], F[:, :h, n:] * ratio, F[:, h:, :n], F[:, h:, n:] * ratio
    p, q, r, s = mix.split(1, dim=1)
    T = torch.cat([p * a + q * b + r * c + s * d, (s * c + r * d - q * a - p * b) * ratio], dim=2)
    batch_P = T @ xi.mT
    P, eye = batch_P.to(W.dtype) * unit, torch.eye(h, dtype=W.dtype, device=W.device)
    U = torch.linalg.solve_triangular(R, W.mT, upper=False)
    m1 = rho * eye + U @ P + m1 * momentum
    if Z.shape[1] < h:
        K, singular = T, torch.zeros(len(W), dtype=torch.int32, device=W.device)
    else:
        C = T @ T.mT
        trace = C.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
        K, singular = torch.linalg.cholesky_ex(C + torch.finfo(C.dtype).eps * trace * eye.to(C.dtype))
    m2_new = (U.to(F.dtype) @ K @ Z).to(W.dtype)
    m2_new = torch.cat([m2_new[:, :, :h] + momentum / unit * m2, m2_new[:, :, h:]], dim=2)
    outside = m2_new.to(F.dtype)
    gram = (outside @ outside.mT).to(W.dtype) * unit.square() + m1 @ m1.mT
    step = lr * m1
    J, singular_J = torch.linalg.cholesky_ex(eye - step - step.mT + lr.square() * gram)
    X = torch.linalg.solve_triangular(J, (m1 - lr * gram).mT, upper=False).mT
    rest, singular_rest = torch.linalg.cholesky_ex(gram - X @ X.mT)
    both = torch.linalg.solve_triangular(J, torch.cat([X, rest], dim=2), upper=False)
    M_W = rho * W + P @ R.mT + M_W * momentum
    bad = (singular + singular_J + singular_rest).sum()
    return T, batch_P, bad, W - lr * M_W, M_W, R @ J, both[:, :, :h].contiguous(), both[:, :, h:].contiguous()


class _Compiled(_RowSpace):
    """`_RowSpace` with the arithmetic of a step in two compiled functions, equal to it up to rounding.

    A step that meets a singular matrix is taken again as `_RowSpace` takes it.
    """

    def gradients(self) -> Tensor:
        self.draw()
        function = _compiled(_noise_features, self.W.device.type)
        value, *self.features, self.unit = function(self.W, self.R, self.xi, self.plus, self.ratio, self.loss)
        return value.double()

    def update(self, lr: Tensor) -> None:
        state = (self.W, self.M_W, self.R, self.m1, self.m2)
        given = (self.unit, self.xi, self.Z, self.ratio, self.rho, self.momentum, lr)
        self.gradient, self.P, bad, *state = _compiled(_next_state, self.W.device.type)(*self.features, *given, *state)
        if bad:
            super().update(lr)
        else:
            self.W, self.M_W, self.R, self.m1, self.m2 = state


@cache
def _compiled(function: Callable[..., Any], device: str) -> Callable[..., Any]:
    """`torch.compile` of a function; on a GPU as a CUDA graph, whose replay overwrites its results: hand out copies."""
    if device != "cuda":
        return torch.compile(function)
    graph = torch.compile(function, mode="reduce-overhead")

    def replay(*args: Any) -> Any:
        results = graph(*args)
        return results.clone() if isinstance(results, Tensor) else tuple(result.clone() for result in results)

    return replay


def _plus_one(x: Tensor) -> Tensor:
    return x + 1.0


def _check_compiler(device: str) -> None:
    """Raises ValueError if `torch.compile` cannot work here: a compiler is missing, or its first use fails."""
    program = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if device == "cuda" and importlib.util.find_spec("triton") is None:
        raise ValueError("compiled = True: torch.compile needs the package triton here, and there is none")
    if device == "cpu" and shutil.which(program) is None:
        raise ValueError(
            f"compiled = True: torch.compile needs a C++ compiler, and there is no program {program!r} (the "
            "environment variable CXX names another)"
        )
    try:
        _compiled(_plus_one, device)(torch.ones(1, device=device))
    except (RuntimeError, OSError) as error:
        raise ValueError(f"compiled = True: torch.compile does not work here ({error})") from error


def _streams(config: LinearConfig) -> list[np.random.SeedSequence]:
    """Streams of a seed: initial weights and data, as in `linear.train`; then Bartlett's factor, and the last Q1."""
    return [np.random.SeedSequence(config.seed, spawn_key=(k,)) for k in (0, 1, 10, 11)]


def _generator(config: LinearConfig) -> torch.Generator:
    seed = int(_streams(config)[1].generate_state(1, np.uint64)[0])
    return torch.Generator(config.device).manual_seed(seed)


def _column(configs: Sequence[LinearConfig], name: str, like: Tensor) -> Tensor:
    return like.new_tensor([getattr(config, name) for config in configs])[:, None, None]


def _measure(W: Tensor, Phi: Tensor) -> dict[str, Tensor]:
    """The records of `LinearRun` at a state in float64, one entry or row a run."""
    norm = torch.linalg.matrix_norm
    N_Phi, norm_W = norm(Phi), norm(W)
    w, phi = W / norm_W[:, None, None], Phi / N_Phi[:, None, None]  # ratios are taken at size one
    psi, F = w @ phi, phi @ phi.mT
    FW, WF = F @ w, w @ F
    eig_F = torch.linalg.eigvalsh(F.nan_to_num()).flip(1)
    return {
        "N_Phi": N_Phi,
        "N_Psi": norm(W @ Phi),
        "N_x": (phi * psi).sum(dim=(1, 2)) / norm(psi),
        "norm_W": norm_W,
        "asymmetry": 0.5 * norm(w - w.mT),
        "commutator": norm(FW - WF) / (norm(FW) + norm(WF)),
        "eig_W": torch.linalg.eigvalsh(0.5 * (W + W.mT)).flip(1),
        "eig_F": eig_F * N_Phi.square()[:, None],
        "rank_F": 1.0 / F.square().sum(dim=(1, 2)),
    }


def _train_group(
    configs: Sequence[LinearConfig],
    starts: Sequence[tuple[Array, Array]],
    first_index: int,
    sampler: str,
    compiled: bool,
    bar: tqdm,
) -> list[LinearRun]:
    one = configs[0]
    W, Phi = (torch.tensor(np.array(part), dtype=torch.float64, device=one.device) for part in zip(*starts))
    full_rank = one.d >= 2 * one.h and bool((torch.linalg.matrix_rank(Phi) == one.h).all())
    row_space = _Compiled if compiled else _RowSpace
    engine = (_Views if sampler == "views" else row_space if full_rank else _Coordinates)(configs, W, Phi)
    if compiled:
        engine.step_gradients = _compiled(_gradients, W.device.type)
    momentum, time = np.array([config.momentum for config in configs]), np.zeros(len(configs))
    records = []
    for step in range(one.steps + 1):
        if step % one.steps_per_epoch == 0:
            rates = np.array([learning_rate(config, step // one.steps_per_epoch) for config in configs])
            lr = W.new_tensor(rates)[:, None, None]
        value = engine.gradients()
        if not torch.isfinite(value).all():
            k = int((~torch.isfinite(value)).nonzero()[0])
            raise FloatingPointError(
                f"the loss of run {first_index + k} (seed {configs[k].seed}) is {value[k].item()} at step {step} "
                f"(learning rate {rates[k]:g}): try a lower lr"
            )
        if step % one.record_every == 0 or step == one.steps:
            measured = {name: A.cpu().numpy() for name, A in _measure(*engine.state()).items()}
            records.append({"step": step, "time": time, "lr": rates, "loss": value.cpu().numpy()} | measured)
        if step < one.steps:
            engine.update(lr)
            time = time + rates / (1.0 - momentum)
        bar.update(len(configs))
    step = np.array([record.pop("step") for record in records])
    columns = {name: np.stack([record[name] for record in records], axis=1) for name in records[0]}
    last_W = engine.state()[0].cpu().numpy()
    return [
        LinearRun(
            config=config,
            step=step.copy(),
            epoch=step / one.steps_per_epoch,
            W=last_W[k].copy(),
            Phi=engine.last(k, config),
            **{name: column[k].copy() for name, column in columns.items()},
        )
        for k, config in enumerate(configs)
    ]


def _group_size(config: LinearConfig) -> int:
    """Runs whose batch work fits ``_CACHE``; at least 4, so that the cost of calling PyTorch is shared."""
    return max(4, _CACHE // (13 * config.batch * config.h * (8 if config.dtype == "float64" else 4)))


def _check(configs: Sequence[LinearConfig], starts: Sequence | None) -> None:
    if not configs:
        raise ValueError("configs: is empty, must hold at least one configuration")
    first = configs[0]
    for k, config in enumerate(configs):
        for name in (field.name for field in fields(config) if field.name not in _MAY_DIFFER):
            mine, other = getattr(first, name), getattr(config, name)
            if mine != other:
                raise ValueError(
                    f"configs: {name} = {mine!r} in run 0 and {other!r} in run {k}; runs of a batch may differ in "
                    f"{', '.join(_MAY_DIFFER)} only"
                )
    for name, value in _ONLY.items():
        if getattr(first, name, value) != value:
            raise ValueError(
                f"{name} = {getattr(first, name)!r}: must be {value!r} here; `linear.train` has the others"
            )
    if starts is not None and len(starts) != len(configs):
        raise ValueError(f"starts: has {len(starts)} entries, must have one for each of the {len(configs)} configs")
    records = len(configs) * (first.steps // first.record_every + 2) * (2 * first.h + 9)
    weights = len(configs) * first.h * (2 * first.d + first.h)
    work = min(len(configs), _group_size(first)) * 16 * first.h * (first.batch + first.h)
    need, have = 8.0 * (records + weights + work), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if need > have:
        raise ValueError(
            f"configs: {len(configs)} runs need about {need / 1e9:.3g} GB (records {8e-9 * records:.3g} GB), and this "
            f"machine has {have / 1e9:.3g} GB: take fewer runs or a larger record_every"
        )


def train_many(
    configs: Sequence[LinearConfig],
    *,
    sampler: str = "law",
    progress: bool = False,
    starts: Sequence[tuple[Array, Array] | None] | None = None,
    compiled: bool = False,
) -> list[LinearRun]:
    """Train many runs at once, the same experiment as `linear.train`, in batched products; one `LinearRun` a config.

    The configs may differ in seed, rho, lr, sigma2 and momentum and must agree in everything else. ``sampler="views"``
    draws the views that `linear.train` draws: equal to it up to rounding. ``sampler="law"`` has the same joint law of
    all records, W and Phi Phi^T, at a cost per step that does not depend on d (for d >= 2 h; below, exact in law too).
    It draws other numbers than `train`; its last Phi has random rows of that Gram matrix, equal in law to those of a
    start by Assumption 4. Runs have random streams of their own: a run's numbers do not depend on the other configs
    beyond rounding. ``starts`` has (W, Phi) for each config, or None for Assumption 4.

    To be fast, give as many configs as there are in one call, all that agree in sizes, with dtype ``float32``: they are
    split into groups that fit the cache, and as many groups as PyTorch has threads are trained side by side. Split by
    h, d, batch and steps, never by seed, rho, lr, sigma2. With one process a core set one thread each. A record costs
    two eigenvalue problems a run: keep record_every at 20 or more. benchmarks/linear.md has the costs.

    ``compiled`` takes the steps through `torch.compile`: the same runs up to rounding, from the same random numbers.
    (For 2 batch < h, and for h = 1 with the cosine loss, rounding decides how singular matrices are factorised: there
    they are runs of the same law.) The first steps of a process wait for the compiler, a minute on one core, and new
    sizes, dtypes or losses wait again: it pays for long single runs. On a GPU the steps are replayed as CUDA graphs;
    that has not been run yet.

    Raises FloatingPointError that names run and step if a loss stops being finite, and returns no run then; ValueError
    for no configs, configs that do not fit together (naming field and values), options that only `linear.train` has, a
    wrong start, a device that this machine lacks, ``compiled`` without a compiler, and more memory than it has.

    >>> small = [LinearConfig(h=2, d=8, batch=4, epochs=1, steps_per_epoch=2, seed=seed) for seed in (0, 1)]
    >>> runs = train_many(small)
    >>> runs[1].step.tolist(), runs[1].Phi.shape, bool(np.isclose(np.linalg.norm(runs[1].Phi), runs[1].N_Phi[-1]))
    ([0, 2], (2, 8), True)
    """
    one_of("law", "views")("sampler", sampler)
    configs = list(configs)
    _check(configs, starts)
    given = [None] * len(configs) if starts is None else starts
    begin = [
        config.setting.state(
            *(start or reference.initialize(config.setting, np.random.default_rng(_streams(config)[0])))
        )
        for config, start in zip(configs, given)
    ]
    try:
        torch.empty(0, device=configs[0].device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device = {configs[0].device!r}: is not available here ({error})") from error
    if compiled:
        _check_compiler(torch.device(configs[0].device).type)
    threads, size = torch.get_num_threads(), _group_size(configs[0])
    groups = [slice(k, min(k + size, len(configs))) for k in range(0, len(configs), size)]
    workers = min(threads, len(groups))
    total = len(configs) * (configs[0].steps + 1)
    with tqdm(total=total, disable=not progress, file=sys.stderr, unit="step") as bar:

        def train(group: slice) -> list[LinearRun]:
            return _train_group(configs[group], begin[group], group.start, sampler, compiled, bar)

        if workers == 1:
            return [run for group in groups for run in train(group)]
        pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,))
        try:
            return [run for runs in pool.map(train, groups) for run in runs]
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)
