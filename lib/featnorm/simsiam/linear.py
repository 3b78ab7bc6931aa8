"""SimSiam with a linear representation net and a linear projection head on Gaussian data (Section 5.4, Fig. 6, 8, 9).

The losses are Eq. 1 and 2 for PyTorch's autograd, with the stop-gradient on the target; `featnorm.setting` has the
reference for their values. `train` is the loop of the official SimSiam code with the images replaced by Gaussian
vectors: symmetrised loss, SGD with momentum, weight decay through the optimiser, cosine annealing once an epoch. It is
the plain reference; a run can be stopped and resumed without a change in any number.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import sys
import threading
import time as clock
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from featnorm import _files
from featnorm import setting as reference
from featnorm._validate import Array, array, natural, nonnegative, one_of, positive, positive_int


def _cosine(online: Tensor, target: Tensor) -> Tensor:
    def direction(rows: Tensor) -> Tensor:
        return rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)

    return -(direction(online) * direction(target.detach())).sum(dim=1).mean()


def _half_square(online: Tensor, target: Tensor) -> Tensor:
    return 0.5 * (online - target.detach()).square().sum(dim=1).mean()


_ON_FEATURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"cosine": _cosine, "l2": _half_square}
_loss_name = one_of(*_ON_FEATURES)


def cosine_loss(W: Tensor, Phi: Tensor, x: Tensor, x1: Tensor) -> Tensor:
    """Eq. 2 on a batch: minus the mean cosine between W Phi x and the constant Phi x'. A scalar from -1 to 1.

    W is (h, h), Phi (h, d), the rows of x and x1 (n, d) are the two views; no gradient flows through Phi x'.
    The division is by the plain norm. PyTorch's `cosine_similarity` and `normalize`, which the official code uses,
    raise norms to at least 1e-8 and 1e-12: the same for ordinary norms, but below them the loss is no longer
    invariant to the scale of W and Phi. A feature that is exactly zero gives nan. Raises RuntimeError (PyTorch's)
    where shapes or types do not fit together.

    >>> x = torch.tensor([[3.0, 4.0]])
    >>> round(cosine_loss(1e-9 * torch.eye(2), 1e-9 * torch.eye(2), x, x).item(), 6)
    -1.0
    """
    return _cosine(x @ Phi.T @ W.T, x1 @ Phi.T)


def l2_loss(W: Tensor, Phi: Tensor, x: Tensor, x1: Tensor) -> Tensor:
    """Eq. 1 on a batch: half the mean squared distance between W Phi x and the constant Phi x'. A scalar >= 0.

    W is (h, h), Phi (h, d), the rows of x and x1 (n, d) are the two views; no gradient flows through Phi x'.
    In the squared units of the features. Raises RuntimeError (PyTorch's) where shapes or types do not fit together.

    >>> l2_loss(torch.zeros(2, 2), torch.eye(2), torch.ones(1, 2), torch.tensor([[3.0, 4.0]])).item()
    12.5
    """
    return _half_square(x @ Phi.T @ W.T, x1 @ Phi.T)


def symmetrised_loss(W: Tensor, Phi: Tensor, x: Tensor, x1: Tensor, loss: str = "cosine") -> Tensor:
    """The loss of the official SimSiam: (L(x, x1) + L(x1, x)) / 2 with L Eq. 2 (``cosine``) or Eq. 1 (``l2``).

    Shapes, units and stop-gradient as in `cosine_loss` and `l2_loss`. In expectation it equals L, because the two views
    have the same law. Raises ValueError for another ``loss``.

    >>> x, x1 = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    >>> symmetrised_loss(torch.diag(torch.tensor([1.0, 3.0])), torch.eye(2), x, x1, "l2").item()
    10.5
    """
    on_features = _ON_FEATURES[_loss_name("loss", loss)]
    q, q1 = x @ Phi.T, x1 @ Phi.T
    return 0.5 * (on_features(q @ W.T, q1) + on_features(q1 @ W.T, q))


def _one_sided_loss(W: Tensor, Phi: Tensor, x: Tensor, x1: Tensor, loss: str) -> Tensor:
    return _ON_FEATURES[loss](x @ Phi.T @ W.T, x1 @ Phi.T)


def gradients(
    W: Array, Phi: Array, x: Array, x1: Array, loss: str = "cosine", symmetrised: bool = False
) -> tuple[Array, Array]:
    """The gradients of Eq. 2 (``cosine``) or Eq. 1 (``l2``) on a batch by autograd, without weight decay.

    They are the right-hand side of Eq. 3 up to sign and decay, so Lemma 1 reads -dW W^T = H for the cosine loss.
    W is (h, h), Phi (h, d), x and x1 (n, d); returns float64 arrays dW (h, h) and dPhi (h, d). ``symmetrised`` takes
    the mean of the loss over both orders of the views. Raises ValueError for a wrong shape, an entry that is not
    finite, another ``loss``, and where a feature is zero, so that the cosine loss has no gradient.

    >>> dW, dPhi = gradients(np.array([[2.0]]), np.ones((1, 1)), np.array([[2.0]]), np.array([[3.0]]), "l2")
    >>> dW.item(), dPhi.item()                   # (W Phi x - Phi x') Phi x and W (W Phi x - Phi x') x
    (2.0, 4.0)
    """
    Phi = array("Phi", Phi, (None, None))
    x = array("x", x, (None, Phi.shape[1]))
    x1 = array("x1", x1, x.shape)
    W = array("W", W, (len(Phi), len(Phi)))
    plain = {"cosine": cosine_loss, "l2": l2_loss}[_loss_name("loss", loss)]
    w, phi = torch.tensor(W, requires_grad=True), torch.tensor(Phi, requires_grad=True)
    batch = torch.from_numpy(x), torch.from_numpy(x1)
    value = symmetrised_loss(w, phi, *batch, loss) if symmetrised else plain(w, phi, *batch)
    dW, dPhi = (g.numpy() for g in torch.autograd.grad(value, (w, phi)))
    if not (np.isfinite(dW).all() and np.isfinite(dPhi).all()):
        raise ValueError("the gradient is not finite: a feature W Phi x or Phi x' is zero or too large")
    return dW, dPhi


@dataclass(frozen=True)
class LinearConfig:
    """Everything that decides a run of `train`. The defaults are those of the official SimSiam code where it has one.

    Parameters
    ----------
    h, d: dimensions of representation and input, whole numbers >= 1.
    sigma2: variance of the augmentation noise, > 0.
    rho: weight decay, >= 0, the same for W and Phi.
    lr: learning rate for a batch of 256, > 0; the rate used is lr * batch / 256, annealed (see `learning_rate`).
    momentum: of SGD, from 0 to below 1.
    batch: pairs of views in a step, drawn afresh each time.
    epochs, steps_per_epoch: the rate changes once an epoch; ``epochs=1`` keeps it constant.
    loss: ``cosine`` (Eq. 2) or ``l2`` (Eq. 1).
    seed: whole number >= 0; initial weights and data get one stream each.
    dtype: ``float64`` or ``float32``.
    device: a PyTorch device; it need not exist on the machine that reads the configuration.
    record_every: steps between two records, >= 1.
    symmetrised: take the mean of the loss over both orders of the views, as the official code does.
    samples: number of anchors x_0 in a data set drawn once, >= batch; every pass goes through it in a new order, drops
    an incomplete last batch, and draws new views. None: every batch has new anchors.
    fixed_head_lr: do not anneal the rate of W (``--fix-pred-lr`` of the official code).

    Raises ValueError that names the argument, its value and the rule.

    >>> LinearConfig(epochs=3, steps_per_epoch=4).steps
    12
    >>> LinearConfig(rho=-1.0)
    Traceback (most recent call last):
    ...
    ValueError: rho = -1.0: must be a finite number >= 0
    """

    h: int = 64
    d: int = 512
    sigma2: float = 1.0
    rho: float = 0.01
    lr: float = 0.05
    momentum: float = 0.9
    batch: int = 512
    epochs: int = 100
    steps_per_epoch: int = 20
    loss: str = "cosine"
    seed: int = 0
    dtype: str = "float64"
    device: str = "cpu"
    record_every: int = 20
    symmetrised: bool = True
    samples: int | None = None
    fixed_head_lr: bool = False

    def __post_init__(self) -> None:
        _ = self.setting
        positive("lr", self.lr)
        if nonnegative("momentum", self.momentum) >= 1.0:
            raise ValueError(f"momentum = {self.momentum!r}: must be a number >= 0 and < 1")
        for name in ("batch", "epochs", "steps_per_epoch", "record_every"):
            positive_int(name, getattr(self, name))
        _loss_name("loss", self.loss)
        natural("seed", self.seed)
        one_of("float64", "float32")("dtype", self.dtype)
        for name in ("symmetrised", "fixed_head_lr"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} = {getattr(self, name)!r}: must be True or False")
        if self.samples is not None and positive_int("samples", self.samples) < self.batch:
            raise ValueError(f"samples = {self.samples}: must be at least batch = {self.batch}, or None for new data")
        try:
            torch.device(self.device)
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"device = {self.device!r}: must be the name of a PyTorch device") from error

    @property
    def setting(self) -> reference.Setting:
        """The model that is trained: h, d, sigma2 and rho."""
        return reference.Setting(h=self.h, d=self.d, sigma2=self.sigma2, rho=self.rho)

    @property
    def steps(self) -> int:
        """Number of parameter updates of the run."""
        return self.epochs * self.steps_per_epoch


def learning_rate(config: LinearConfig, epoch: int) -> float:
    """Cosine annealing of the official code: lr * batch / 256 * (1 + cos(pi * epoch / epochs)) / 2, without warm-up.

    ``epoch`` counts from 0 (the full rate) to config.epochs (zero). Raises ValueError outside.

    >>> config = LinearConfig(lr=0.05, batch=512, epochs=100)
    >>> [round(learning_rate(config, epoch), 12) for epoch in (0, 50, 100)]
    [0.1, 0.05, 0.0]
    """
    if natural("epoch", epoch) > config.epochs:
        raise ValueError(f"epoch = {epoch!r}: must be at most {config.epochs}, the number of epochs")
    return config.lr * config.batch / 256 * 0.5 * (1.0 + math.cos(math.pi * epoch / config.epochs))


def momentum_time(config: LinearConfig) -> Array:
    """The t of Eq. 3 after 0, 1, ... updates, whatever the momentum and the rate: (steps + 1,), by ``LinearRun.step``.

    It is the time in which e^{-rho t} falls as far as the decay term alone takes the weights in these updates; at
    rho = 0, the time in which a small constant force takes them as far. ``LinearRun.time`` is its limit for a small
    rate: it leaves out that momentum starts at rest, which puts it ahead by up to nine updates at momentum 0.9, and
    that the decay of an update is not quite 1 - rate * rho / (1 - mu). NaN from where the decay alone would overshoot
    zero: then there is no such time. For Phi; with fixed_head_lr the rate of W is another.

    >>> momentum_time(LinearConfig(rho=0.0, lr=1.0, batch=256, momentum=0.5, epochs=1, steps_per_epoch=3)).tolist()
    [0.0, 1.0, 2.5, 4.25]
    """
    moved, velocity, out = 0.0, 0.0, [0.0]  # a weight is 1 - rho * moved
    for epoch in range(config.epochs):
        rate = learning_rate(config, epoch)
        for _ in range(config.steps_per_epoch):
            velocity = config.momentum * velocity + 1.0 - config.rho * moved
            moved += rate * velocity
            out.append(moved)
    t = np.array(out)
    if config.rho == 0.0:
        return t
    with np.errstate(invalid="ignore", divide="ignore"):
        t = -np.log1p(-config.rho * t) / config.rho
    t[np.logical_or.accumulate(~np.isfinite(t))] = np.nan
    return np.asarray(t)


@dataclass(frozen=True, eq=False)
class LinearRun:
    """What `train` recorded: float64 arrays with one entry (or row) per record, n records; record 0 is the start.

    step: updates made before the record, (n,) whole numbers.  epoch: step / steps_per_epoch.
    time: the sum of learning rate / (1 - momentum) over those updates: the t of Eq. 3 for a small rate. With momentum
    mu "small" includes rate * rho well below (1 - sqrt(mu))^2, 0.0026 at 0.9: above it the weights cannot decay faster
    than sqrt(mu) a step, and they oscillate. `momentum_time` is exact.
    lr: rate of the epoch the record opens or lies in; 0 at the end of training. With fixed_head_lr this and ``time``
    are those of Phi.
    loss: loss of the next batch at that state, without weight decay.
    N_Phi, N_Psi, N_x: ||Phi||_F, ||W Phi||_F and their cosine tr(Phi^T Psi) / (N_Phi N_Psi).  norm_W: ||W||_F.
    asymmetry: ||W - W^T||_F / (2 ||W||_F).  commutator: ||FW - WF||_F / (||FW||_F + ||WF||_F).
    eig_W: eigenvalues of (W + W^T) / 2, descending, (n, h).  eig_F: those of F = Phi Phi^T, descending, (n, h).
    rank_F: effective rank (tr F)^2 / ||F||_F^2.
    W, Phi: the last state, (h, h) and (h, d).

    A state that is exactly zero (the L2 loss can end there) has no N_x, asymmetry, commutator and rank: nan.

    >>> run = train(LinearConfig(h=2, d=4, batch=8, epochs=1, steps_per_epoch=3, record_every=2))
    >>> run.step.tolist(), run.eig_W.shape, bool(run.norm_W[-1] == np.linalg.norm(run.W))
    ([0, 2, 3], (3, 2), True)
    """

    config: LinearConfig
    step: np.ndarray
    time: Array
    epoch: Array
    lr: Array
    loss: Array
    N_Phi: Array
    N_Psi: Array
    N_x: Array
    norm_W: Array
    asymmetry: Array
    commutator: Array
    eig_W: Array
    eig_F: Array
    rank_F: Array
    W: Array
    Phi: Array


def _measure(W: Array, Phi: Array) -> dict[str, float | Array]:
    scale = np.abs(W).max(), np.abs(Phi).max()  # ratios are taken at size one, where nothing underflows
    if 0.0 in scale:
        scale_free = dict.fromkeys(("N_x", "asymmetry", "commutator", "rank_F"), math.nan)
    else:
        w, phi = W / scale[0], Phi / scale[1]
        F = phi @ phi.T
        scale_free = {
            "N_x": reference.norms(w, phi).N_x,
            "asymmetry": reference.asymmetry(w),
            "commutator": reference.commutator(F, w),
            "rank_F": reference.effective_rank(F),
        }
    return scale_free | {
        "N_Phi": np.linalg.norm(Phi),
        "N_Psi": np.linalg.norm(W @ Phi),
        "norm_W": np.linalg.norm(W),
        "eig_W": np.linalg.eigvalsh(0.5 * (W + W.T))[::-1],
        "eig_F": np.linalg.eigvalsh(Phi @ Phi.T)[::-1],
    }


def _to_numpy(tensor: Tensor) -> Array:
    return tensor.detach().cpu().numpy().astype(np.float64)


def save(run: LinearRun, path: Path | str) -> None:
    """Write a run to an npz file without pickles, whole or not at all: its arrays, and its configuration as JSON.

    Raises OSError where it cannot be written; what was under that name is then as it was.
    """
    _files.write(path, _files.sealed(_files.packed(_arrays(run))))


def load(path: Path | str) -> LinearRun:
    """The run that `save` wrote. Raises FileNotFoundError, and ValueError for any other or damaged file.

    >>> import tempfile
    >>> run = train(LinearConfig(h=2, d=4, batch=8, epochs=1, steps_per_epoch=1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(run, Path(folder, "run.npz"))
    ...     again = load(Path(folder, "run.npz"))
    >>> again.config == run.config, bool((again.W == run.W).all())
    (True, True)
    """
    try:
        return _run(_files.unpacked(_files.unsealed(Path(path).read_bytes())))
    except OSError:
        raise
    except Exception as error:  # zipfile, NumPy and json raise many kinds
        raise ValueError(f"{path}: is damaged or no run ({error})") from error


def _arrays(run: LinearRun) -> dict[str, np.ndarray]:
    values = {field.name: getattr(run, field.name) for field in fields(run)}
    return values | {"config": np.array(json.dumps(asdict(run.config)))}


def _run(arrays: dict[str, np.ndarray]) -> LinearRun:
    return LinearRun(**arrays | {"config": LinearConfig(**json.loads(arrays["config"].item()))})


def difference(config: LinearConfig, other: LinearConfig) -> str:
    """The fields in which two configurations differ, in words; empty where they are equal.

    >>> difference(LinearConfig(rho=0.1), LinearConfig(rho=0.2, seed=3))
    'rho = 0.1 and not 0.2; seed = 0 and not 3'
    """
    mine, yours = asdict(config), asdict(other)
    return "; ".join(f"{name} = {mine[name]!r} and not {yours[name]!r}" for name in mine if mine[name] != yours[name])


class _Checkpoint:
    """The file from which a run goes on, and what must be in it.

    It holds everything that the remaining steps depend on: the weights, their momentum, the state of the generator, the
    next step, the records so far; and the configuration and a hash of the start, so that no other run goes on from it.
    """

    def __init__(self, path: Path | str, config: LinearConfig, start: tuple[Array, Array]) -> None:
        self.path, self.config = Path(path), config
        self.start = hashlib.sha256(b"".join(np.ascontiguousarray(A).tobytes() for A in start)).hexdigest()
        self.written = clock.monotonic()

    def write(self, **arrays: Any) -> None:
        words = {"config": np.array(json.dumps(asdict(self.config))), "start": np.array(self.start)}
        _files.write(self.path, _files.sealed(_files.packed(words | arrays, compress=False)))
        self.written = clock.monotonic()

    def read(self) -> dict[str, np.ndarray] | None:
        """What was written last, or None; a file that cannot be used is an error, so that nothing overwrites it."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            if not self.path.parent.is_dir():
                raise FileNotFoundError(f"checkpoint {self.path}: there is no such folder") from None
            return None
        try:
            state = _files.unpacked(_files.unsealed(data))
            theirs = LinearConfig(**json.loads(state["config"].item()))
            same_start = state["start"].item() == self.start
            _ = [state[name] for name in ("step", "time", "W", "Phi", "generator")]
        except Exception as error:  # zipfile, NumPy and json raise many kinds
            raise ValueError(
                f"checkpoint {self.path}: is damaged or no checkpoint ({error}); move it away to train anew"
            ) from error
        if theirs != self.config:
            raise ValueError(f"checkpoint {self.path}: has {difference(theirs, self.config)}")
        if not same_start:
            raise ValueError(f"checkpoint {self.path}: belongs to a run from another start (W, Phi)")
        return state


@contextmanager
def _interrupt_between_steps(wanted: bool) -> Iterator[Callable[[], bool]]:
    """Keep Ctrl-C back until the caller asks; a second one acts at once. Only a main thread receives signals."""
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)

    if not (wanted and threading.current_thread() is threading.main_thread()):
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(seen)
    finally:
        signal.signal(signal.SIGINT, before)


def _anchors(config: LinearConfig, fresh: Callable[[], Tensor], how: dict[str, Any]) -> Callable[[int], Tensor]:
    """The anchors x_0 of the batch of a step, (batch, d): new ones, or those of a finite data set in shuffled passes.

    The data set and the order of each pass have random streams of their own, so that a step needs no earlier one.
    """
    if config.samples is None:
        return lambda step: fresh()
    stream = np.random.SeedSequence(config.seed, spawn_key=(2,))  # the third, beside those of weights and data
    generator = torch.Generator(config.device)
    generator.manual_seed(int(stream.generate_state(1, np.uint64)[0]))
    data = torch.randn(config.samples, config.d, generator=generator, **how)
    batches = config.samples // config.batch
    current: tuple[int, Tensor] = (-1, data)

    def batch(step: int) -> Tensor:
        nonlocal current
        turn, index = divmod(step, batches)
        if current[0] != turn:
            order = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(2, turn)))
            current = turn, torch.from_numpy(order.permutation(config.samples)).to(config.device)
        return data[current[1][index * config.batch : (index + 1) * config.batch]]

    return batch


def _fits(config: LinearConfig) -> None:
    """Refuse sizes that this machine cannot hold: an allocation may succeed, and the process be killed later."""
    data = config.d * (8 * config.batch + (config.samples or 0)) if torch.device(config.device).type == "cpu" else 0
    need = 8.0 * (5 * config.h * (config.h + config.d) + data)
    have = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    if need > have:
        sizes = f"h = {config.h}, d = {config.d}, batch = {config.batch}, samples = {config.samples}"
        raise ValueError(f"{sizes}: need about {need / 1e9:.3g} GB, and this machine has {have / 1e9:.3g} GB")


def train(
    config: LinearConfig,
    progress: bool = False,
    start: tuple[Array, Array] | None = None,
    checkpoint: Path | str | None = None,
    every: float = 10.0,
) -> LinearRun:
    """Train (W, Phi) by SGD on the symmetrised loss, a discretisation of Eq. 3 with noise (Section 5.4).

    The start is Assumption 4, or ``start`` = (W, Phi) of shapes (h, h) and (h, d); W is free to lose its symmetry. A
    record is made at step 0, every config.record_every steps and after the last one. One seed gives the same numbers
    again on one machine, and a run of more steps at a constant rate begins with the shorter one; no global generator
    is touched. ``progress`` draws a bar on standard error.

    ``checkpoint`` names a file that is written every ``every`` seconds, at Ctrl-C and at the end. Where it exists, the
    run goes on from it, and every number is that of a run that was never stopped. It is replaced as a whole or not at
    all.

    Raises FloatingPointError if the loss stops being finite, naming the step; ValueError for a wrong ``start``, a
    device or memory that this machine lacks, and a checkpoint that is damaged or of another run, naming each
    difference, which is left as it is; OSError where the checkpoint cannot be written.

    >>> small = LinearConfig(h=4, d=16, batch=64, epochs=2, steps_per_epoch=5, record_every=5, seed=1)
    >>> run = train(small)
    >>> run.time.round(12).tolist()                       # 5 steps at 0.0125, 5 at half of it, over 1 - 0.9
    [0.0, 0.625, 0.9375]
    >>> bool((run.W == train(small).W).all())
    True
    """
    _fits(config)
    init_seed, data_seed = np.random.SeedSequence(config.seed).spawn(2)
    if start is None:
        start = reference.initialize(config.setting, np.random.default_rng(init_seed))
    start = config.setting.state(*start)
    file = None if checkpoint is None else _Checkpoint(checkpoint, config, start)
    saved = file and file.read()
    how: dict[str, Any] = {"dtype": getattr(torch, config.dtype), "device": config.device}
    try:
        data = torch.Generator(config.device)
        W, Phi = (torch.tensor(A, **how).requires_grad_() for A in start)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device = {config.device!r}: is not available here ({error})") from error
    data.manual_seed(int(data_seed.generate_state(1, np.uint64)[0]))
    sgd = torch.optim.SGD(
        [{"params": [W]}, {"params": [Phi]}], lr=config.lr, momentum=config.momentum, weight_decay=config.rho
    )

    def noise() -> Tensor:
        return torch.randn(config.batch, config.d, generator=data, **how)

    anchors, sigma = _anchors(config, noise, how), math.sqrt(config.sigma2)
    loss_of = symmetrised_loss if config.symmetrised else _one_sided_loss
    first, time, records = 0, 0.0, []
    if saved:
        first, time = int(saved["step"]), float(saved["time"])
        columns = {name.removeprefix("record_"): A for name, A in saved.items() if name.startswith("record_")}
        records = [dict(zip(columns, row)) for row in zip(*columns.values())]
        data.set_state(torch.from_numpy(saved["generator"]))
        with torch.no_grad():
            for name, weights in (("W", W), ("Phi", Phi)):
                weights.copy_(torch.from_numpy(saved[name]))
                if f"momentum_{name}" in saved:
                    sgd.state[weights]["momentum_buffer"] = torch.tensor(saved[f"momentum_{name}"], **how)

    def keep(step: int) -> None:
        state = {name: weights.detach().cpu().numpy() for name, weights in (("W", W), ("Phi", Phi))}
        for name, weights in (("W", W), ("Phi", Phi)):
            buffer = sgd.state[weights].get("momentum_buffer")
            if buffer is not None:
                state[f"momentum_{name}"] = buffer.cpu().numpy()
        columns = {f"record_{name}": np.array([record[name] for record in records]) for name in (records or [{}])[0]}
        file.write(step=step, time=time, generator=data.get_state().numpy(), **state, **columns)

    with _interrupt_between_steps(file is not None) as interrupted:
        steps = range(first, config.steps + 1)
        for step in tqdm(
            steps, initial=first, total=config.steps + 1, disable=not progress, file=sys.stderr, unit="step"
        ):
            if file and (interrupted() or clock.monotonic() - file.written >= every):
                keep(step)
                if interrupted():
                    raise KeyboardInterrupt
            lr = learning_rate(config, step // config.steps_per_epoch)
            for group, rate in zip(sgd.param_groups, (learning_rate(config, 0) if config.fixed_head_lr else lr, lr)):
                group["lr"] = rate
            anchor = anchors(step)
            loss = loss_of(W, Phi, anchor + sigma * noise(), anchor + sigma * noise(), config.loss)
            value = loss.item()
            if not math.isfinite(value):
                raise FloatingPointError(f"the loss is {value} at step {step} (learning rate {lr:g}): try a lower lr")
            if step % config.record_every == 0 or step == config.steps:
                at = {"step": step, "time": time, "epoch": step / config.steps_per_epoch, "lr": lr, "loss": value}
                records.append(at | _measure(_to_numpy(W), _to_numpy(Phi)))
            if step < config.steps:
                sgd.zero_grad()
                loss.backward()
                sgd.step()
                time += lr / (1.0 - config.momentum)
        if file and first <= config.steps:
            keep(config.steps + 1)
        if interrupted():
            raise KeyboardInterrupt
    columns = {name: np.array([record[name] for record in records]) for name in records[0]}
    return LinearRun(config=config, W=_to_numpy(W), Phi=_to_numpy(Phi), **columns)
