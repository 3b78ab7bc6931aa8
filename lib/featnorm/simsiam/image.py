"""SimSiam with a non-linear encoder on images and a linear predictor (Appendix D.2; Fig. 1, 10, 11, 12).

The loop of the official SimSiam code: symmetrised loss, SGD with momentum, weight decay through the optimiser on every
parameter (those of batch norm too), the learning rate annealed by a cosine once an epoch. Images stay on the device.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from featnorm import _files
from featnorm._validate import Array, natural, nonnegative, one_of, positive, positive_int
from featnorm.simsiam import metrics, probe
from featnorm.simsiam.augment import Augmentation, augment, normalise, statistics
from featnorm.simsiam.data import ImageData
from featnorm.simsiam.encoders import convnet, predictor, resnet
from featnorm.simsiam.losses import LOSSES, METHODS, direct_predictor, method_loss

PART_BYTES = 15_000_000  # of one checkpoint file


@dataclass(frozen=True)
class ImageConfig:
    """Everything that decides a run of `train`, apart from the images.

    encoder: ``convnet``, ``resnet-cifar`` or ``resnet-imagenet`` (the stem), of ``width``; ``depth`` blocks a stage.
    h: output dimension. heads: ``linear`` (Appendix D.2) or ``standard`` (3-layer projector, 2-layer predictor).
    method, loss: see `featnorm.simsiam.losses`. rho: weight decay, >= 0. lr: for a batch of 256, > 0.
    momentum: of SGD, from 0 to below 1. batch, epochs: >= 1; the last images of an epoch that fill no batch are left.
    target: the share of itself that the momentum encoder (``byol``) and the moments (``directpred``) keep in a step.
    flip, blur: whether views are mirrored and blurred, as in the official recipe. seed: weights, order and views.
    record_every, knn_every: epochs between records, and between kNN. neighbours: of kNN, at most the images.
    device: of PyTorch. bf16: autocast. compiled: torch.compile. deterministic: only algorithms that repeat exactly.

    Raises ValueError that names the argument, its value and the rule.

    >>> ImageConfig(rho=-1.0)
    Traceback (most recent call last):
    ...
    ValueError: rho = -1.0: must be a finite number >= 0
    """

    encoder: str = "convnet"
    width: int = 32
    depth: int = 2
    h: int = 64
    heads: str = "linear"
    method: str = "simsiam"
    loss: str = "cosine"
    rho: float = 1e-4
    lr: float = 0.05
    momentum: float = 0.9
    batch: int = 256
    epochs: int = 26
    target: float = 0.99
    flip: bool = True
    blur: bool = True
    seed: int = 0
    record_every: int = 1
    knn_every: int = 5
    neighbours: int = 200
    device: str = "cpu"
    bf16: bool = False
    compiled: bool = False
    deterministic: bool = False

    def __post_init__(self) -> None:
        one_of("convnet", "resnet-cifar", "resnet-imagenet")("encoder", self.encoder)
        one_of("linear", "standard")("heads", self.heads)
        one_of(*METHODS)("method", self.method)
        one_of(*LOSSES)("loss", self.loss)
        for name in ("width", "depth", "h", "epochs", "record_every", "knn_every", "neighbours"):
            positive_int(name, getattr(self, name))
        if positive_int("batch", self.batch) < 2:
            raise ValueError(f"batch = {self.batch!r}: must be at least 2, since batch norm needs two images")
        nonnegative("rho", self.rho)
        positive("lr", self.lr)
        for name in ("momentum", "target"):
            if nonnegative(name, getattr(self, name)) >= 1.0:
                raise ValueError(f"{name} = {getattr(self, name)!r}: must be a number >= 0 and < 1")
        natural("seed", self.seed)
        if self.heads == "standard" and self.method == "directpred":
            raise ValueError("heads = 'standard': directpred sets a linear predictor, so it must be 'linear'")
        try:
            torch.device(self.device)
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"device = {self.device!r}: must be the name of a PyTorch device") from error

    @property
    def recipe(self) -> Augmentation:
        """The official views, without flip or blur where the configuration says so."""
        return Augmentation(p_flip=0.5 if self.flip else 0.0, p_blur=0.5 if self.blur else 0.0)

    def learning_rate(self, epoch: int) -> float:
        """lr * batch / 256 * (1 + cos(pi epoch / epochs)) / 2, without warm-up.

        >>> ImageConfig(lr=0.05, batch=512, epochs=2).learning_rate(1)
        0.05
        """
        return self.lr * self.batch / 256 * 0.5 * (1.0 + math.cos(math.pi * epoch / self.epochs))

    def decay_time(self, images: int) -> float:
        """rho * sum of learning rates / (1 - momentum) of the whole run: below 1 weight decay can collapse nothing.

        >>> round(ImageConfig(rho=0.04).decay_time(10_000), 1)
        10.5
        """
        total = sum(self.learning_rate(e) for e in range(self.epochs)) * (images // self.batch)
        return self.rho * total / (1.0 - self.momentum)


def measure(q: Array, v: Array, W: Array | None = None, last: Array | None = None) -> dict[str, float | Array]:
    """`featnorm.simsiam.metrics` of features q, v (n, h) of two views, predictor W and last layer, by flat names.

    Of `metrics.Theory` N_Phi, N_Psi, N_x, a, gain and departure; all of `metrics.Spread` and `metrics.Head`, for q;
    norm_W; eig_F, the eigenvalues of E[q q^T], descending. A standard error ends in ``_se``.
    Without W (h, h) what contains it is nan. Raises ValueError as `metrics.theory`.

    >>> x = np.eye(4)
    >>> out = measure(x, x, np.eye(4))
    >>> round(out["N_x"], 12), round(out["a"], 12), out["asymmetry"]
    (1.0, 1.0, 0.0)
    """
    q = np.asarray(q, dtype=float)
    h = q.shape[1]
    theory, spread = metrics.theory(q, v, np.eye(h) if W is None else W, last), metrics.spread(q)
    estimates = {name: getattr(theory, name) for name in ("N_Phi", "N_Psi", "N_x", "a")}
    estimates |= {name: getattr(spread, name) for name in ("feature_std", "rank", "mean_share")}
    out: dict[str, float | Array] = {name: estimate.value for name, estimate in estimates.items()}
    out |= {f"{name}_se": estimate.error for name, estimate in estimates.items()}
    out |= {"gain": theory.gain, "departure": theory.departure, "eig_F": np.linalg.eigvalsh(q.T @ q / len(q))[::-1]}
    if W is not None:
        return out | asdict(metrics.head(W, q, last)) | {"norm_W": float(np.linalg.norm(W))}
    names = ("N_Psi", "N_Psi_se", "N_x", "N_x_se", "a", "a_se", "asymmetry", "commutator", "balance", "norm_W")
    return out | dict.fromkeys(names, math.nan) | {"eig_W": np.full(h, math.nan)}


def prepare(images: Array, device: str = "cpu") -> Tensor:
    """Images (n, rows, columns, channels) as uint8 (n, channels, rows, columns) on the device.

    >>> prepare(np.zeros((2, 4, 5, 1), dtype=np.uint8)).shape
    torch.Size([2, 1, 4, 5])
    """
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).contiguous()


def pixels(data: ImageData) -> tuple[Array, Array]:
    """The pixels of training and test images, each channel normalised as for the encoder, (n, pixels): a baseline.

    >>> from featnorm.simsiam.data import load
    >>> [part.shape for part in pixels(load("digits"))]
    [(1437, 64), (360, 64)]
    """
    train, test = prepare(data.x_train), prepare(data.x_test)
    moments = statistics(train)
    first, second = (normalise(x.float() / 255, *moments).flatten(1).numpy() for x in (train, test))
    return first, second


@dataclass(frozen=True, eq=False)
class ImageRun:
    """What `train` recorded: ``records`` has one entry (or row) for each record by the names of `measure`, and more:

    step, epoch, lr, time (sum of lr / (1 - momentum)), loss (mean of the batches since the last record) and knn with
    its interval from knn_low to knn_high (nan where it was not measured). ``steps`` made; ``failed`` says why a run
    ended before its last step, else empty.
    """

    config: ImageConfig
    records: dict[str, np.ndarray]
    steps: int
    failed: str = ""


class Model(nn.Module):
    """Encoder and predictor of a configuration; the same seed gives the same weights and no global state changes."""

    def __init__(self, config: ImageConfig, channels: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            if config.encoder == "convnet":
                encoder = convnet(config.h, config.width, channels)
            else:
                encoder = resnet(config.h, config.encoder.removeprefix("resnet-"), config.width, config.depth, channels)
            self.head: nn.Module = predictor(config.h, config.seed)
            if config.heads == "standard":
                inputs, h = encoder[-1].in_features, config.h

                def layer(a: int, b: int) -> list[nn.Module]:
                    return [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU(inplace=True)]

                projector = [
                    *layer(inputs, h),
                    *layer(h, h),
                    nn.Linear(h, h, bias=False),
                    nn.BatchNorm1d(h, affine=False),
                ]
                encoder = nn.Sequential(*encoder[:-1], *projector)
                self.head = nn.Sequential(*layer(h, max(h // 4, 1)), nn.Linear(max(h // 4, 1), h))
            self.encoder = encoder


def _difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    return ", ".join(f"{k}: {theirs.get(k)!r} there, {v!r} here" for k, v in ours.items() if theirs.get(k) != v)


def write_checkpoint(folder: Path, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> None:
    """Arrays into sealed .npz parts of at most 16 MB (an array above is refused), in place of an older checkpoint.

    Killed at any moment, it leaves the old or the new one in ``folder`` or, between two renames, in its ``.old``.
    """
    parts: list[dict[str, np.ndarray]] = [{}]
    for name, value in arrays.items():
        if value.nbytes > PART_BYTES:
            raise ValueError(f"{name}: has {value.nbytes} bytes, above the {PART_BYTES} of one checkpoint file")
        if sum(v.nbytes for v in parts[-1].values()) + value.nbytes > PART_BYTES:
            parts.append({})
        parts[-1][name.replace(".", "__")] = value  # a Python name
    parts[0]["about"] = np.array(json.dumps(about | {"parts": len(parts)}))
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for i, part in enumerate(parts):
        _files.write(new / f"part-{i:03d}.npz", _files.sealed(_files.packed(part, compress=False)))
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def read_checkpoint(folder: Path, identity: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Arrays and notes of a checkpoint, None where there is none.

    Raises ValueError where it is another run's, saying how, and where it is damaged or incomplete.
    """
    old = folder.with_name(folder.name + ".old")
    folder = old if old.exists() and not folder.exists() else folder
    parts = sorted(folder.glob("part-*.npz"))
    if not parts:
        return None
    arrays: dict[str, np.ndarray] = {}
    try:
        for part in parts:
            found = _files.unpacked(_files.unsealed(part.read_bytes()))
            arrays |= {name.replace("__", "."): value for name, value in found.items()}
        about = json.loads(arrays.pop("about").item())
        if about["parts"] != len(parts):
            raise ValueError(f"it has {len(parts)} parts of {about['parts']}")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"checkpoint = {folder.name!r}: is damaged ({error}); move it away to train anew") from error
    if differs := _difference(identity, about["identity"]):
        raise ValueError(f"checkpoint = {folder.name!r}: belongs to another run ({differs})")
    return arrays, about


@contextlib.contextmanager
def _determinism(wanted: bool) -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(wanted or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@dataclass
class _State:
    """All that a checkpoint holds."""

    model: Model
    target: Model
    sgd: torch.optim.SGD
    generator: torch.Generator
    C: Tensor
    step: int = 0
    time: float = 0.0
    losses: list[float] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)

    def arrays(self) -> dict[str, np.ndarray]:
        out = {"generator": self.generator.get_state().numpy(), "C": self.C.cpu().numpy()}
        for kind, model in (("model", self.model), ("target", self.target)):
            out |= {f"{kind}.{name}": v.detach().cpu().numpy() for name, v in model.state_dict().items()}
        for i, p in enumerate(self.sgd.param_groups[0]["params"]):
            if (buffer := self.sgd.state[p].get("momentum_buffer")) is not None:
                out[f"momentum.{i}"] = buffer.cpu().numpy()
        for name in self.records[0] if self.records else ():
            out[f"record.{name}"] = np.array([r[name] for r in self.records])
        return out | {"losses": np.array(self.losses)}

    def restore(self, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> None:
        self.generator.set_state(torch.from_numpy(arrays["generator"]))
        self.C.copy_(torch.from_numpy(arrays["C"]))
        for kind, model in (("model", self.model), ("target", self.target)):
            names = [n for n in arrays if n.startswith(f"{kind}.")]
            model.load_state_dict({n.removeprefix(f"{kind}."): torch.from_numpy(arrays[n]) for n in names})
        for i, p in enumerate(self.sgd.param_groups[0]["params"]):
            if f"momentum.{i}" in arrays:
                buffer = torch.from_numpy(arrays[f"momentum.{i}"]).to(p.device)
                self.sgd.state[p]["momentum_buffer"] = torch.empty_like(p).copy_(buffer)
        columns = {n.removeprefix("record."): v for n, v in arrays.items() if n.startswith("record.")}
        self.records = [{n: v[i] for n, v in columns.items()} for i in range(len(columns.get("step", ())))]
        self.step, self.time, self.losses = about["step"], about["time"], arrays["losses"].tolist()


def train(
    config: ImageConfig,
    data: ImageData,
    checkpoint: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    max_steps: int | None = None,
) -> ImageRun | None:
    """Train on the images; None where ``stop()`` said so after an epoch, with the state left in ``checkpoint``.

    A checkpoint is written after each epoch and removed by nobody; a run that finds one goes on from it to the same
    numbers. Ctrl-C keeps the last. ``max_steps`` ends a run early, for tests. A loss that stops being finite ends the
    run: ``failed`` names the step. Raises ValueError for a device that is not there, a batch larger than the data and
    a checkpoint of another run; MemoryError with a batch size to try where the device's memory is too small.
    """
    per_epoch = len(data.x_train) // config.batch
    if not per_epoch:
        raise ValueError(f"batch = {config.batch!r}: must be at most {len(data.x_train)}, the number of images")
    if config.neighbours > len(data.x_train):
        raise ValueError(
            f"neighbours = {config.neighbours!r}: must be at most {len(data.x_train)}, the number of images"
        )
    if torch.device(config.device).type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device = {config.device!r}: is not available here: this PyTorch finds no CUDA device")
    try:
        with _determinism(config.deterministic):
            return _train(config, data, checkpoint, stop, max_steps, per_epoch)
    except torch.cuda.OutOfMemoryError as error:
        raise MemoryError(
            f"batch = {config.batch}: the memory of {config.device} is too small; try {max(config.batch // 2, 2)}"
        ) from error


def _train(
    config: ImageConfig,
    data: ImageData,
    checkpoint: Path | None,
    stop: Callable[[], bool],
    max_steps: int | None,
    per_epoch: int,
) -> ImageRun | None:
    device = config.device
    x, x_test = prepare(data.x_train, device), prepare(data.x_test, device)
    mean, std = statistics(x)
    model, target = (Model(config, x.shape[1]).to(device, memory_format=torch.channels_last) for _ in range(2))
    sgd = torch.optim.SGD(model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.rho)
    generator = torch.Generator().manual_seed(config.seed)
    state = _State(model, target, sgd, generator, torch.zeros(config.h, config.h, device=device))
    identity = asdict(config) | {"data": data.sha256}
    if checkpoint is not None and (found := read_checkpoint(checkpoint, identity)):
        state.restore(*found)
    forward = torch.compile(model.encoder) if config.compiled else model.encoder
    linear = model.head if isinstance(model.head, nn.Linear) else None
    unused = config.method in ("no-predictor", "barlow", "vicreg")
    autocast = torch.autocast(torch.device(device).type, torch.bfloat16, enabled=config.bf16)

    def normalised(images: Tensor) -> Tensor:
        return normalise(images, mean, std).contiguous(memory_format=torch.channels_last)

    # drawn once, the same for every record and every seed, so that records differ by the model alone
    judges = torch.Generator().manual_seed(0)
    views_test = [augment(x_test, judges, config.recipe) for _ in range(2)]

    @torch.no_grad()
    def features(images: Tensor) -> Array:
        """Of uint8 images, or of views, which are floating-point already."""
        model.eval()
        with autocast:
            parts = (part / 255 if part.dtype == torch.uint8 else part for part in images.split(512))
            out = torch.cat([model.encoder(normalised(part)).float() for part in parts])
        model.train()
        return out.cpu().numpy()

    def record(knn: bool) -> bool:
        """Add a record; False where features are not finite, and nothing is added."""
        q, v = (features(view) for view in views_test)
        W = linear.weight.detach().cpu().numpy() if linear is not None and not unused else None
        last = model.encoder[-1].weight.detach().cpu().numpy() if config.heads == "linear" else None
        if not (np.isfinite(q).all() and np.isfinite(v).all()):
            return False
        epoch = state.step / per_epoch
        at = {"step": state.step, "epoch": epoch, "time": state.time, "lr": config.learning_rate(round(epoch))}
        at["loss"] = float(np.mean(state.losses)) if state.losses else math.nan
        at |= dict.fromkeys(("knn", "knn_low", "knn_high"), math.nan)
        if knn:
            k = config.neighbours
            found = probe.knn(features(x), data.y_train, features(x_test), data.y_test, k, device=device)
            at |= {"knn": found.value, "knn_low": found.low, "knn_high": found.high}
        state.records.append(at | measure(q, v, W, last))
        state.losses = []
        return True

    def finish(failed: str = "") -> ImageRun:
        columns = {n: np.array([r[n] for r in state.records]) for n in state.records[0]}
        return ImageRun(config, columns, state.step, failed)

    if not state.records:
        record(knn=True)
    total = min(config.epochs * per_epoch, max_steps or config.epochs * per_epoch)
    momentum_encoder = config.method == "byol"
    while state.step < total:
        epoch = state.step // per_epoch
        lr = config.learning_rate(epoch)
        sgd.param_groups[0]["lr"] = lr
        order = torch.randperm(len(x), generator=generator).to(device)
        for rows in order[: per_epoch * config.batch].view(per_epoch, config.batch)[: total - state.step]:
            views = [normalised(augment(x[rows], generator, config.recipe)) for _ in range(2)]
            with autocast:
                q, q1 = (forward(view) for view in views)
                v, v1 = q, q1
                if momentum_encoder:
                    with torch.no_grad():
                        v, v1 = (target.encoder(view) for view in views)
            q, q1, v, v1 = (z.float() for z in (q, q1, v, v1))
            if linear is None and not unused:
                loss = _with_heads(config, model.head, q, q1, v, v1)
            else:
                W = linear.weight if linear is not None else torch.eye(config.h, device=device)
                if config.method == "directpred" and linear is not None:
                    with torch.no_grad():
                        moments = 0.5 * (q.T @ q + q1.T @ q1) / len(q)
                        state.C.lerp_(moments, 1 - config.target) if state.step else state.C.copy_(moments)
                        linear.weight.copy_(direct_predictor(state.C))
                loss = method_loss(config.method, config.loss, W, q, q1, v, v1)
            value = loss.item()
            if not math.isfinite(value):
                return finish(f"the loss is {value} at step {state.step} (learning rate {lr:g})")
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            if momentum_encoder:
                with torch.no_grad():
                    for old, new in zip(target.parameters(), model.parameters()):
                        old.lerp_(new, 1 - config.target)
            state.losses.append(value)
            state.step += 1
            state.time += lr / (1.0 - config.momentum)
        done, last = state.step // per_epoch, state.step == total
        if (done % config.record_every == 0 or last) and not record(knn=done % config.knn_every == 0 or last):
            return finish(f"the features are not finite at step {state.step} (learning rate {lr:g})")
        if checkpoint is not None:
            about = {"identity": identity, "step": state.step, "time": state.time}
            write_checkpoint(checkpoint, state.arrays(), about)
        if not last and stop():
            return None
    return finish()


def _with_heads(config: ImageConfig, head: nn.Module, q: Tensor, q1: Tensor, v: Tensor, v1: Tensor) -> Tensor:
    """The symmetrised loss with a predictor that is no matrix."""
    eye = torch.eye(config.h, device=q.device)
    p, p1 = head(q), head(q1)
    # method_loss(p, p1, v, v1) with the identity pairs p with v1 and p1 with v
    return method_loss(config.method, config.loss, eye, p, p1, v, v1)
