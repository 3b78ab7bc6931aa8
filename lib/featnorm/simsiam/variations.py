"""Linear SimSiam with one thing changed at a time: data law, projection head, start, and what is normalised.

The paper's model is ``Variation()``. Each other value breaks one assumption, so that the distance between the theory
and the run can be read as the price of that assumption. All losses keep the stop-gradient; they are half a squared
distance |n(W Phi x) - m(Phi x')|^2 / 2, where n and m divide by the norm or do nothing, so Eq. 1 and Eq. 2 (up to a
constant) are two of them. Gradients come from autograd, and many starts are trained at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featnorm._validate import Array, array, natural, one_of, positive, positive_int
from featnorm.eigen_flow import TerminalMatrix, terminal_state_matrix
from featnorm.matrix_flow import population_flow
from featnorm.setting import Setting, initialize

if TYPE_CHECKING:  # the list of archives must load fast, so the functions below import it themselves
    import torch
    from torch import Tensor

DATA = ("gaussian", "rademacher", "student", "mixture", "anisotropic", "shaped")
HEADS = ("full", "symmetric", "diagonal", "low_rank", "two_layer", "relu")
NORMALISATIONS = ("both", "online", "target", "neither", "batch")
STARTS = ("assumption_4", "half_sum", "free", "small_head", "large_head", "identity", "orthogonal", "commuting")

#: Ratio of the largest to the smallest variance in the laws ``anisotropic`` and ``shaped``; ten from end to end.
ANISOTROPY = 10.0
#: The law ``mixture``: number of clusters, and the share of the variance that lies between them.
CLUSTERS, BETWEEN = 8, 0.8
#: Degrees of freedom of the law ``student``: three is the least whole number with a finite variance.
FREEDOM = 3


@dataclass(frozen=True)
class Variation:
    """Which model is trained; the default is the paper's.

    data: law of the anchor x0, scaled to E|x0|^2 = d. ``gaussian``; ``rademacher`` (signs); ``student`` (a Gaussian
        vector over the root of a common chi-square, so the norm has heavy tails); ``mixture`` (of Gaussians);
        ``anisotropic`` (Gaussian, variances a factor ten apart); ``shaped`` (the same, and noise of the same shape).
    head: ``full`` W; ``symmetric`` (W is made symmetric after each step, Assumption 1); ``diagonal``; ``low_rank``
        (two layers of inner width h / 2); ``two_layer`` (linear, inner width h); ``relu`` (inner width 2 h, no biases).
    normalisation: what is divided by its norm: ``both`` branches (Eq. 2), ``online`` or ``target`` only, ``neither``
        (Eq. 1), or each coordinate of both by its mean and deviation over the ``batch``.
    start: of a full head. ``assumption_4``; ``half_sum`` (A + A^T) / 2 with independent entries A; ``free``
        (independent entries, not symmetric); ``small_head`` and ``large_head`` (Assumption 4, W over and times three);
        ``identity``; ``orthogonal``; ``commuting`` (Assumption 4's eigenvalues, in common eigenvectors).

    Raises ValueError for another word.

    >>> Variation(normalisation="none")
    Traceback (most recent call last):
    ...
    ValueError: normalisation = 'none': must be one of both, online, target, neither, batch
    """

    data: str = "gaussian"
    head: str = "full"
    normalisation: str = "both"
    start: str = "assumption_4"

    def __post_init__(self) -> None:
        one_of(*DATA)("data", self.data)
        one_of(*HEADS)("head", self.head)
        one_of(*NORMALISATIONS)("normalisation", self.normalisation)
        one_of(*STARTS)("start", self.start)
        if self.start != "assumption_4" and self.head not in ("full", "symmetric"):
            raise ValueError(f"start = {self.start!r}: must be assumption_4 for the head {self.head!r}")


# --- Starts and data -------------------------------------------------------------------------------------------------


def variances(d: int) -> Array:
    """The variances of the d coordinates under ``anisotropic`` and ``shaped``: geometric, of mean one.

    >>> s = variances(5)
    >>> round(float(s[0] / s[-1]), 9), round(float(s.mean()), 9)
    (10.0, 1.0)
    """
    s = np.geomspace(ANISOTROPY, 1.0, positive_int("d", d)) if d > 1 else np.ones(1)
    return s / s.mean()


def start(variation: Variation, setting: Setting, rng: np.random.Generator) -> tuple[list[Array], Array]:
    """The layers of the head, first the one next to Phi, and Phi (h, d).

    One layer (h, h); a diagonal head is (h,); heads of two layers are (m, h) and (h, m). Independent Gaussian layers of
    a two-layer head are scaled so that a linear one has a product with entries of variance 1 / h.

    >>> layers, Phi = start(Variation(head="relu"), Setting(h=2, d=3), np.random.default_rng(0))
    >>> [layer.shape for layer in layers], Phi.shape
    ([(4, 2), (2, 4)], (2, 3))
    """
    h = setting.h
    W, Phi = initialize(setting, rng)
    if variation.head == "diagonal":
        return [np.diag(W).copy() * np.sqrt(h)], Phi  # entries of variance one, like the eigenvalues of W
    if variation.head in ("low_rank", "two_layer", "relu"):
        m = {"low_rank": max(h // 2, 1), "two_layer": h, "relu": 2 * h}[variation.head]
        scale = (h * m) ** -0.25 * (2.0**0.5 if variation.head == "relu" else 1.0)
        return [scale * rng.standard_normal((m, h)), scale * rng.standard_normal((h, m))], Phi
    A = rng.standard_normal((h, h)) / np.sqrt(h)
    if variation.start == "half_sum":
        W = (A + A.T) / 2
    elif variation.start == "free":
        W = A
    elif variation.start in ("small_head", "large_head"):
        W = W * (3.0 if variation.start == "large_head" else 1 / 3.0)
    elif variation.start == "identity":
        W = np.eye(h)
    elif variation.start == "orthogonal":
        W = np.linalg.qr(A)[0]
    elif variation.start == "commuting":
        U = np.linalg.svd(Phi, full_matrices=False)[0]
        W = (U * rng.permutation(np.linalg.eigvalsh(W))) @ U.T
    return [W], Phi


def _sampler(data: str, setting: Setting, like: Tensor, generator: torch.Generator, seed: int) -> Callable[[], Tensor]:
    """A function that draws both views at once, (2, replicas, batch, d); ``like`` (replicas, batch, d) gives type."""
    import torch

    shape, d, sigma = like.shape, setting.d, float(np.sqrt(setting.sigma2))

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, dtype=like.dtype)

    root = torch.as_tensor(np.sqrt(variances(d)), dtype=like.dtype)
    centres = np.random.default_rng((seed, 1)).standard_normal((CLUSTERS, d))
    means = torch.as_tensor(
        centres * np.sqrt(d * BETWEEN / np.sum(centres**2, axis=1, keepdims=True)), dtype=like.dtype
    )

    def views() -> Tensor:
        anchor, noise = normal(*shape), sigma * normal(2, *shape)
        if data == "rademacher":
            anchor = anchor.sign()
        elif data == "student":
            chi = normal(*shape[:-1], FREEDOM).square().sum(dim=-1, keepdim=True)
            anchor = anchor * ((FREEDOM - 2) / chi).sqrt()
        elif data == "mixture":
            which = torch.randint(CLUSTERS, shape[:-1], generator=generator)
            anchor = (1 - BETWEEN) ** 0.5 * anchor + means[which]
        elif data in ("anisotropic", "shaped"):
            anchor = anchor * root
            noise = noise * root if data == "shaped" else noise
        return anchor + noise

    return views


def draw(data: str, setting: Setting, n: int, seed: int) -> tuple[Array, Array]:
    """n pairs of views (n, d) of a data law of `Variation`, in float64.

    >>> x, x1 = draw("mixture", Setting(h=2, d=3), 5, seed=0)
    >>> x.shape, x1.shape
    ((5, 3), (5, 3))
    """
    import torch

    one_of(*DATA)("data", data)
    like = torch.empty(1, positive_int("n", n), setting.d, dtype=torch.float64)
    x, x1 = _sampler(data, setting, like, torch.Generator().manual_seed(natural("seed", seed)), seed)()
    return x[0].numpy(), x1[0].numpy()


# --- Heads and losses ------------------------------------------------------------------------------------------------


def _online(head: str, layers: Sequence[Tensor], q: Tensor) -> Tensor:
    if head == "diagonal":
        return q * layers[0].unsqueeze(-2)
    hidden = q @ layers[0].mT
    if len(layers) == 1:
        return hidden
    return (hidden.relu() if head == "relu" else hidden) @ layers[1].mT


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=-1, keepdim=True)


def _standard(rows: Tensor) -> Tensor:
    return (rows - rows.mean(dim=-2, keepdim=True)) / rows.std(dim=-2, keepdim=True, correction=0)


def _loss(normalisation: str, u: Tensor, v: Tensor) -> Tensor:
    """The mean over the batch, one value a replica; u of the online branch, v of the target (no gradient)."""
    v = v.detach()
    if normalisation == "batch":
        return 0.5 * (_standard(u) - _standard(v)).square().mean(dim=(-2, -1))
    u = _unit(u) if normalisation in ("both", "online") else u
    v = _unit(v) if normalisation in ("both", "target") else v
    return 0.5 * (u - v).square().sum(dim=-1).mean(dim=-1)


def gradients(
    variation: Variation, layers: Sequence[Array], Phi: Array, x: Array, x1: Array
) -> tuple[list[Array], Array]:
    """The gradients of a variation's loss on a batch by the layers of the head and by Phi (h, d), without weight decay.

    The layers are as in `start`, the rows of x and x1 (n, d) are the views; the data law is that of x and x1. Raises
    ValueError for a wrong shape of Phi, x, x1 and where the gradient is not finite.

    >>> dW, dPhi = gradients(Variation(normalisation="neither"), [np.array([[2.0]])], np.ones((1, 1)),
    ...                      np.array([[2.0]]), np.array([[3.0]]))
    >>> dW[0].item(), dPhi.item()                   # (W Phi x - Phi x') Phi x and W (W Phi x - Phi x') x
    (2.0, 4.0)
    """
    import torch

    Phi = array("Phi", Phi, (None, None))
    x = array("x", x, (None, Phi.shape[1]))
    x1 = array("x1", x1, x.shape)
    weights = [torch.tensor(A, dtype=torch.float64, requires_grad=True) for A in (*layers, Phi)]
    q, v = torch.as_tensor(x) @ weights[-1].mT, torch.as_tensor(x1) @ weights[-1].mT
    value = _loss(variation.normalisation, _online(variation.head, weights[:-1], q), v)
    out = [g.numpy() for g in torch.autograd.grad(value, weights)]
    if not all(np.isfinite(g).all() for g in out):
        raise ValueError("layers, Phi, x, x1: a feature is zero or too large, so the gradient is not finite")
    return out[:-1], out[-1]


# --- Training --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Trained:
    """First and last state of every start: lists of layers (starts, ...) as in `start`, and Phi (starts, h, d).

    spread: E|z - E z|^2 of the normalised features z = Phi x / |Phi x| of a last batch, (starts,): zero if constant.
    """

    layers0: list[Array]
    Phi0: Array
    layers: list[Array]
    Phi: Array
    spread: Array


def train(
    variation: Variation,
    setting: Setting,
    lr: float,
    batch: int,
    steps: int,
    starts: int,
    seed: int,
    dtype: str = "float64",
) -> Trained:
    """Plain SGD with weight decay: theta <- theta - lr (gradient + rho theta) for all weights, fresh data each step.

    Start i and the centres of a mixture come from the seed alone, and the noise of one seed is the same for every
    variation, so that variations can be compared start by start.

    Raises ValueError for bad input and FloatingPointError where the training diverges.

    >>> run = train(Variation(head="diagonal"), Setting(h=2, d=3), lr=0.1, batch=8, steps=3, starts=5, seed=0)
    >>> run.layers[0].shape, run.Phi.shape, run.spread.shape
    ((5, 2), (5, 2, 3), (5,))
    """
    import torch

    positive("lr", lr)
    for name, value in (("batch", batch), ("steps", steps), ("starts", starts)):
        positive_int(name, value)
    kind = getattr(torch, one_of("float64", "float32")("dtype", dtype))
    states = [start(variation, setting, np.random.default_rng((natural("seed", seed), 0, i))) for i in range(starts)]
    first = [np.array(layer) for layer in zip(*([*layers, Phi] for layers, Phi in states))]
    weights = [torch.tensor(A, dtype=kind) for A in first]
    generator = torch.Generator().manual_seed(seed)
    views = _sampler(variation.data, setting, torch.empty(starts, batch, setting.d, dtype=kind), generator, seed)
    for _ in range(steps):
        x, x1 = views()
        for A in weights:
            A.requires_grad_()
        q, v = x @ weights[-1].mT, x1 @ weights[-1].detach().mT
        # The starts do not mix, so the gradient of the sum holds the gradient of each.
        total = _loss(variation.normalisation, _online(variation.head, weights[:-1], q), v).sum()
        for A, gradient in zip(weights, torch.autograd.grad(total, weights)):
            A.detach_().mul_(1 - lr * setting.rho).sub_(gradient, alpha=lr)
        if variation.head == "symmetric":
            weights[0].copy_((weights[0] + weights[0].mT) / 2)
    if not all(torch.isfinite(A).all() for A in weights):
        raise FloatingPointError(f"training diverged at lr = {lr:g}: try a lower one")
    z = _unit(views()[0].double() @ weights[-1].double().mT)
    spread = 1.0 - z.mean(dim=-2).square().sum(dim=-1)
    last = [A.double().numpy() for A in weights]
    return Trained(first[:-1], first[-1], last[:-1], last[-1], spread.numpy())


# --- What the theory predicts, and surveys of how far it is off ------------------------------------------------------


def head_matrix(layers: Sequence[Array], head: str) -> Array | None:
    """The head as one matrix (h, h); None for ``relu``, which is not linear.

    >>> head_matrix([np.array([1.0, 2.0])], "diagonal").tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    if head == "relu":
        return None
    if head == "diagonal":
        return np.diag(layers[0])
    return layers[0] if len(layers) == 1 else layers[1] @ layers[0]


def predicted(layers: Sequence[Array], Phi: Array, head: str) -> TerminalMatrix:
    """The terminal-state rule (claim ``beyond-terminal-matrix``) from the start of any head.

    A head of one layer is used as it is. Of two layers the one next to Phi, B, is what Phi Phi^T - B^T B is conserved
    with; the rule then takes (B^T B)^(1/2) for W, so that no direction is ruled out by its sign.

    >>> predicted([np.ones(2)], np.eye(2), "diagonal").phi.tolist()
    [1.0, 1.0]
    """
    if len(layers) == 1:
        W = head_matrix(layers, head)
        assert W is not None
    else:
        _, sizes, rows = np.linalg.svd(layers[0])
        W = (rows[: len(sizes)].T * sizes) @ rows[: len(sizes)]
    return terminal_state_matrix(W, Phi)


#: The variations of the survey, one thing changed in each, by a name for the table.
VARIATIONS: dict[str, Variation] = {
    "the paper's model": Variation(),
    "W kept symmetric": Variation(head="symmetric"),
    "W starts asymmetric": Variation(start="free"),
    "inputs: signs": Variation(data="rademacher"),
    "inputs: heavy tails": Variation(data="student"),
    "inputs: mixture": Variation(data="mixture"),
    "inputs: anisotropic": Variation(data="anisotropic"),
    "inputs and noise: anisotropic": Variation(data="shaped"),
    "start: (A + A') / 2": Variation(start="half_sum"),
    "start: W / 3": Variation(start="small_head"),
    "start: 3 W": Variation(start="large_head"),
    "start: identity": Variation(start="identity"),
    "start: orthogonal": Variation(start="orthogonal"),
    "start: commuting": Variation(start="commuting"),
    "head: diagonal": Variation(head="diagonal"),
    "head: rank h / 2": Variation(head="low_rank"),
    "head: two layers": Variation(head="two_layer"),
    "head: two layers, ReLU": Variation(head="relu"),
    "normalised: online only": Variation(normalisation="online"),
    "normalised: target only": Variation(normalisation="target"),
    "normalised: neither": Variation(normalisation="neither"),
    "normalised: batch norm": Variation(normalisation="batch"),
}
#: Model of the survey, and its weight decays: none, and one above the threshold 1/8 of the L2 loss.
SURVEY = Setting(h=16, d=64, sigma2=1.0)
DECAYS = (0.0, 0.2)
#: Step size, batch and number of steps of all surveys: time 200, which is 40 decay times at the larger decay.
LR, BATCH, STEPS = 0.1, 256, 2000
#: Weight decays of `normalisation_sweep`, and sizes (h, d) of `size_survey`.
SWEEP = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7)
SIZES = ((4, 16), (8, 32), (16, 64), (32, 128), (16, 16), (16, 32), (16, 128))


def _spectra(A: Array) -> Array:
    return np.linalg.eigvalsh((A + np.swapaxes(A, -1, -2)) / 2)


def _measured(variation: Variation, setting: Setting, steps: int, starts: int, seed: int) -> dict[str, Array]:
    """One row of a survey: what `variation_survey` says, with starts as the first axis."""
    run = train(variation, setting, LR, BATCH, steps, starts, seed, "float32")
    out: dict[str, list[Array]] = {}
    for i in range(starts):
        layers, Phi = [layer[i] for layer in run.layers], run.Phi[i]
        first, Phi0 = [layer[i] for layer in run.layers0], run.Phi0[i]
        W, W0, rule = (
            head_matrix(layers, variation.head),
            head_matrix(first, variation.head),
            predicted(first, Phi0, variation.head),
        )
        size, nothing = np.linalg.norm(Phi), np.full(setting.h, np.nan)
        unit = Phi / size if size > 0 else Phi  # a collapsed state is measured at size one
        if variation.head in ("full", "symmetric"):
            flow = population_flow(W0, Phi0, setting.with_(rho=0.0), [0.0, LR * steps], rtol=1e-6, closure="leading")
            end = _spectra(flow.Phi[-1] @ flow.Phi[-1].T)
        else:
            end = nothing
        row = {
            "phi0": _spectra(Phi0 @ Phi0.T),
            "phi": _spectra(unit @ unit.T),
            "rule": np.sort(rule.phi),
            "flow": end,
            "w0": nothing if W0 is None else _spectra(W0),
            "w": nothing if W is None else _spectra(W),
            "w_rule": np.array(rule.w_bar),
            "N": np.full(3, np.nan)
            if W is None
            else np.array([size, np.linalg.norm(W @ Phi), np.sum(Phi * (W @ Phi))]),
            "size": np.array(size / np.linalg.norm(Phi0)),
            "spread": run.spread[i],
        }
        for name, value in row.items():
            out.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in out.items()}


def _stacked(rows: Sequence[dict[str, Array]], shape: tuple[int, ...]) -> dict[str, Array]:
    stacked = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return {name: value.reshape(*shape, *value.shape[1:]) for name, value in stacked.items()}


def _bar(todo: list, progress: bool, what: str) -> Iterable:
    if not progress:
        return todo
    from tqdm import tqdm

    return tqdm(todo, desc=what)


def variation_survey(variations: int, starts: int, seed: int, progress: bool = False) -> dict[str, Array]:
    """SGD for the first ``variations`` of `VARIATIONS`, without weight decay and with it, from the same starts.

    The first three axes of every array are variation, weight decay (`DECAYS`) and start. Spectra are ascending, (h,):
    ``phi0`` and ``phi`` of F = Phi Phi^T at the start and, over its trace, at the end; ``rule`` the prediction of
    `predicted` and ``flow`` that of the leading-order flow of the paper's model to the same time (nan for other heads);
    ``w0`` and ``w`` of the symmetric part of W. ``w_rule`` is the predicted common eigenvalue of W; ``N`` (3,) holds
    |Phi|, |W Phi| and tr(Phi^T W Phi) at the end; ``size`` is |Phi| over its start, ``spread`` as in `Trained`.
    """
    names = list(VARIATIONS)[: positive_int("variations", variations)]
    todo = [(name, rho) for name in names for rho in DECAYS]
    rows = [
        _measured(VARIATIONS[name], SURVEY.with_(rho=rho), STEPS, starts, seed)
        for name, rho in _bar(todo, progress, "variations")
    ]
    return _stacked(rows, (len(names), len(DECAYS)))


def normalisation_sweep(decays: int, starts: int, seed: int, progress: bool = False) -> dict[str, Array]:
    """SGD for each of `NORMALISATIONS` with the first ``decays`` weight decays of `SWEEP`.

    Arrays as in `variation_survey`; the first three axes are normalisation, weight decay and start.
    """
    rhos = SWEEP[: positive_int("decays", decays)]
    todo = [(kind, rho) for kind in NORMALISATIONS for rho in rhos]
    rows = [
        _measured(Variation(normalisation=kind), SURVEY.with_(rho=rho), STEPS, starts, seed)
        for kind, rho in _bar(todo, progress, "normalisations")
    ]
    return _stacked(rows, (len(NORMALISATIONS), len(rhos)))


def size_survey(sizes: int, starts: int, seed: int, progress: bool = False) -> dict[str, Array]:
    """SGD on the paper's model without weight decay at the first ``sizes`` of `SIZES`, for a time of 12.5 h.

    ``errors`` (sizes, starts, 4): the sum of |phi - predicted| over that of phi for the rule, the leading-order flow,
    the spectrum of the start and equal eigenvalues.
    """
    out = []
    for h, d in _bar(list(SIZES[: positive_int("sizes", sizes)]), progress, "sizes"):
        row = _measured(Variation(), Setting(h=h, d=d, sigma2=SURVEY.sigma2), 125 * h, starts, seed)
        claimed = [row["rule"], row["flow"], row["phi0"], np.ones_like(row["phi"])]
        out.append(np.stack([spectrum_error(row["phi"], guess) for guess in claimed], axis=1))
    return {"errors": np.array(out)}


def spectrum_error(phi: Array, guess: Array) -> Array:
    """Sum of |phi - guess| over the last axis, each sorted and divided by its own sum: 0 if alike, at most 2.

    >>> spectrum_error(np.array([1.0, 3.0]), np.array([1.0, 1.0])).item()
    0.5
    """
    a, b = (np.sort(v, axis=-1) / np.sum(v, axis=-1, keepdims=True) for v in (phi, guess))
    return np.abs(a - b).sum(axis=-1)
