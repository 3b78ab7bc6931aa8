"""The experiments of Figures 1, 10, 11 and 12, and the relatives, as resumable pieces: ``python -m featnorm image``.

Every finished run is one small file, written at once or not at all; what is there is not run again. A run that was cut
short goes on from its checkpoint. The order is seed-major, so that any prefix holds every setting about equally often.
"""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from featnorm import _files, results
from featnorm._validate import nonnegative, one_of, positive_int
from featnorm.simsiam import probe
from featnorm.simsiam.data import ImageData
from featnorm.simsiam.image import ImageConfig, ImageRun, pixels, train
from featnorm.simsiam.image_probe import train_and_probe

SIZES = ("gpu", "cpu", "digits")
SEEDS = 3
#: Method and loss of each relative, as in `featnorm.simsiam.losses`; the last two have a loss of their own.
RELATIVES = (
    ("simsiam", "cosine"),
    ("simsiam", "l2"),
    ("byol", "cosine"),
    ("byol", "l2"),
    ("directpred", "cosine"),
    ("directpred", "l2"),
    ("no-stop", "cosine"),
    ("no-stop", "l2"),
    ("no-predictor", "cosine"),
    ("no-predictor", "l2"),
    ("barlow", "cosine"),
    ("vicreg", "cosine"),
)
RHOS = {
    "gpu": (0.0, 2e-5, 1e-4, 5e-4, 1e-3, 3e-3, 8e-3, 2e-2),
    "cpu": (0.0, 1e-5, 1e-4, 1e-3, 2.5e-3, 3e-3, 5e-3, 1.1e-2),
    "digits": (0.0, 5e-5, 1e-4, 1e-3, 3e-3, 1e-2, 5e-2),
}
#: Of the loss without stop-gradient.
CONTROL_RHOS = {"gpu": (1e-4, 3e-3, 8e-3, 2e-2), "cpu": (1e-4, 2.5e-3, 3e-3, 5e-3, 1.1e-2), "digits": (1e-4,)}
#: Of the L2 loss over that of the cosine loss. On a CPU each loss has its best rate of three by kNN in pilot runs:
#: 0.1, 0.3, 1 for the cosine loss; 0.01, 0.03, 0.1 for L2, whose features went to zero at 0.3 and the default decay.
L2_RATE = {"gpu": 1.0, "cpu": 0.1, "digits": 1.0}
TOLERANCE = 1e-2  # of a replay: single precision, 6e-8 a step, times 2e3 steps, times 1e2 for the growth of differences
BASE = {
    "gpu": ImageConfig(
        encoder="resnet-cifar",
        width=64,
        h=512,
        batch=512,
        epochs=20,
        lr=0.03,
        blur=False,
        knn_every=5,
        device="cuda",
        bf16=True,
    ),
    "cpu": ImageConfig(width=8, batch=128, epochs=4, lr=1.0, blur=False, record_every=2, knn_every=4, neighbours=20),
    "digits": ImageConfig(
        encoder="convnet", width=8, h=32, batch=128, epochs=40, lr=0.05, knn_every=10, flip=False, neighbours=20
    ),
}


def _main(size: str, base: ImageConfig) -> dict[str, ImageConfig]:
    """Figures 10 to 12; on a CPU also at the other learning rate that was tried, and with a second seed."""
    if size == "digits":
        return {"main": replace(base, epochs=base.epochs * 2)}
    if size == "gpu":  # Appendix D.2 uses the views of the ImageNet recipe, blur included
        return {"main": replace(base, epochs=100, rho=5e-3, blur=True)}
    small = replace(base, encoder="resnet-cifar", width=16, h=64, batch=128, epochs=20, lr=0.03, rho=0.01)
    small = replace(small, blur=False, record_every=1, knn_every=5, neighbours=200)
    return {"main": small, "main-lr0.1": replace(small, lr=0.1), "main-seed1": replace(small, seed=1)}


def _relative(size: str, method: str, loss: str, factor: float, seed: int) -> ImageConfig:
    base = BASE[size]
    if size == "cpu":
        base = replace(base, epochs=5, lr=0.1, record_every=5, knn_every=5)
    # the L2 loss diverges at rates that the cosine loss bears: its pull grows with the size of the features
    lr = round(base.lr * factor * (0.1 if loss == "l2" else 1.0), 6)
    return replace(base, seed=seed, method=method, loss=loss, lr=lr)


def experiments(size: str) -> dict[str, ImageConfig]:
    """Every run by name, seed-major: ``decay-...`` (Fig. 1), ``main`` (Fig. 10 to 12), ``relative-...``.

    ``decay`` has the `RHOS` of its size for the cosine loss; for the L2 loss as many, of the same decay times at its
    own learning rate; and, as a control, the `CONTROL_RHOS` for the cosine loss without stop-gradient. Each of
    `RELATIVES` has three learning rates, from which `at_best_rate` chooses. Raises ValueError for another size.

    >>> runs = experiments("cpu")
    >>> len([name for name in runs if name.startswith("decay")]), list(runs)[0]
    (63, 'decay-cosine-rho0-seed0')
    >>> [round(runs[f"decay-{words}-seed2"].decay_time(10_000), 2) for words in ("cosine-rho0.011", "l2-rho0.11")]
    [10.73, 10.73]
    """
    base = BASE[one_of(*SIZES)("size", size)]
    out: dict[str, ImageConfig] = {}
    for seed in range(SEEDS):
        at = replace(base, seed=seed)
        for rho in RHOS[size]:
            out[f"decay-cosine-rho{rho:g}-seed{seed}"] = replace(at, rho=rho)
            same = float(f"{rho / L2_RATE[size]:.6g}")
            out[f"decay-l2-rho{same:g}-seed{seed}"] = replace(at, rho=same, loss="l2", lr=at.lr * L2_RATE[size])
        for rho in CONTROL_RHOS[size]:
            out[f"decay-nostop-rho{rho:g}-seed{seed}"] = replace(at, rho=rho, method="no-stop")
    out |= _main(size, base)
    for method, loss in RELATIVES:
        for factor in (0.3, 1.0, 3.0):
            config = _relative(size, method, loss, factor, seed=0)
            out[f"relative-{method}-{loss}-lr{config.lr:g}"] = config
    return out


def maker(name: str) -> Callable[..., ImageRun | None]:
    """The function that makes a run: those of ``decay`` are asked by a linear probe too.

    >>> maker("main").__name__, maker("decay-l2-rho0-seed0").__name__
    ('train', 'train_and_probe')
    """
    return train_and_probe if name.startswith("decay") else train


def _made_by(name: str) -> str:
    return f"{maker(name).__module__}.{maker(name).__name__}"


def _result(folder: Path, name: str) -> Path:
    return folder / f"{name}.npz"


def is_done(folder: Path, name: str) -> bool:
    """Whether the folder holds the result of this run.

    >>> is_done(Path("no such folder"), "main")
    False
    """
    return _result(folder, name).exists()


def write_result(folder: Path, name: str, run: ImageRun, seconds: float, closure: str, data: str) -> None:
    """One run's records, configuration and SHA-256 of its images in one file, at once or not at all, never pickled.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_result(Path(folder), "main", ImageRun(ImageConfig(), {"loss": np.ones(2)}, 5), 0.1, "code", "images")
    ...     is_done(Path(folder), "main")
    True
    """
    about = {"config": asdict(run.config), "steps": run.steps, "failed": run.failed, "seconds": seconds}
    about |= {"closure": closure, "data": data}
    packed = _files.packed({"about": np.array(json.dumps(about))} | run.records)
    _files.write(_result(folder, name), _files.sealed(packed))


def read_result(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `write_result` wrote: the notes, and the records. Raises ValueError where the file is damaged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_result(Path(folder), "main", ImageRun(ImageConfig(), {"loss": np.ones(2)}, 5), 0.1, "code", "images")
    ...     about, records = read_result(Path(folder), "main")
    >>> about["steps"], records["loss"].tolist()
    (5, [1.0, 1.0])
    """
    try:
        records = _files.unpacked(_files.unsealed(_result(folder, name).read_bytes()))
        return json.loads(str(records.pop("about"))), records
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"folder: {name}.npz there is damaged ({error}); move it away to run it anew") from error


def speed(run: ImageRun, seconds: float) -> str:
    """Images a second over the whole run, records included, and on a GPU the most memory that was in use.

    >>> speed(ImageRun(ImageConfig(batch=100), {}, steps=50), 2.0)
    '2500 images/s'
    """
    words = f"{run.steps * run.config.batch / max(seconds, 1e-9):.0f} images/s"
    device = torch.device(run.config.device)
    if device.type != "cuda":
        return words
    most, total = torch.cuda.max_memory_allocated(device), torch.cuda.get_device_properties(device).total_memory
    return f"{words}, {most / 2**30:.1f} of {total / 2**30:.1f} GiB ({torch.cuda.get_device_name(device)})"


def sweep(runs: dict[str, ImageConfig], data: ImageData, folder: Path, max_minutes: float | None = None) -> int:
    """Run what has no result in ``folder`` yet, until the minutes are over; returns how many are left.

    Raises ValueError where a result there is of another configuration or of other images: nothing is overwritten.

    >>> import tempfile
    >>> grey = np.zeros((2, 4, 4, 1), dtype=np.uint8)
    >>> images = ImageData(grey, np.array([0, 1]), grey, np.array([1, 1]), ("cat", "dog"), "own")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sweep({"main": ImageConfig()}, images, Path(folder), max_minutes=0.0)   # no time, so one run is left
    1
    """
    end = time.monotonic() + 60 * nonnegative("max_minutes", max_minutes) if max_minutes is not None else float("inf")
    folder.mkdir(parents=True, exist_ok=True)
    closures = {made_by: results.closure_hash(made_by) for made_by in set(map(_made_by, runs))}
    left, digest = 0, data.sha256
    for name, config in runs.items():
        if is_done(folder, name):
            there = read_result(folder, name)[0]
            if there["config"] != asdict(config):
                raise ValueError(f"folder: {name}.npz there is a run of another configuration; choose another folder")
            if there["data"] != digest:
                raise ValueError(f"folder: {name}.npz there is a run on other images; choose another folder")
            continue
        if time.monotonic() >= end:
            left += 1
            continue
        start, checkpoint = time.process_time(), folder / f"checkpoint-{name}"
        wall, resumed = time.monotonic(), checkpoint.exists()
        if torch.device(config.device).type == "cuda" and torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats(config.device)
        run = maker(name)(config, data, checkpoint, stop=lambda: time.monotonic() >= end)
        if run is None:
            left += 1
            continue
        seconds = time.process_time() - start
        write_result(folder, name, run, seconds, closures[_made_by(name)], digest)
        shutil.rmtree(checkpoint, ignore_errors=True)
        knn = float(run.records["knn"][-1])
        print(f"{name}: kNN {knn:.3f}, rank {run.records['rank'][-1]:.2f}, {seconds:.0f} s {run.failed}", flush=True)
        if not resumed:  # else the steps of this call are not known
            print(f"  {speed(run, time.monotonic() - wall)}", flush=True)
    return left


def held_out(data: ImageData, count: int) -> ImageData:
    """The images with the last ``count`` for training in place of those for the test, so that a choice sees no test.

    Raises ValueError unless 1 <= count < the number of images for training.

    >>> from featnorm.simsiam.data import load
    >>> part = held_out(load("digits"), 437)
    >>> len(part.x_train), len(part.x_test)
    (1000, 437)
    """
    n = len(data.x_train)
    if positive_int("count", count) >= n:
        raise ValueError(f"count = {count!r}: must be below {n}, the number of images for training")
    x, y = data.x_train, data.y_train
    return replace(data, x_train=x[:-count], y_train=y[:-count], x_test=x[-count:], y_test=y[-count:])


def at_best_rate(size: str, folder: Path) -> dict[str, ImageConfig]:
    """Each relative with other seeds than `experiments`, seed-major, at the best of its rates: ``best-...``.

    The best rate is that of the highest kNN accuracy at the end, among the runs in ``folder`` that reached their end;
    the lowest wins a tie. Raises ValueError where a result is missing or where no rate of a relative reached its end.

    >>> at_best_rate("cpu", Path("no such folder"))
    Traceback (most recent call last):
    ...
    ValueError: folder: has no result of 36 of 36 runs, the first is relative-simsiam-cosine-lr0.03
    """
    runs = {name: c for name, c in experiments(size).items() if name.startswith("relative-")}
    if missing := [name for name in runs if not is_done(folder, name)]:
        raise ValueError(f"folder: has no result of {len(missing)} of {len(runs)} runs, the first is {missing[0]}")
    best: dict[tuple[str, str], tuple[float, ImageConfig]] = {}
    for name, config in runs.items():
        about, records = read_result(folder, name)
        kind, knn = (config.method, config.loss), float(records["knn"][-1])
        if not about["failed"] and (kind not in best or knn > best[kind][0]):
            best[kind] = knn, config
    if lost := [f"{method} {loss}" for method, loss in RELATIVES if (method, loss) not in best]:
        raise ValueError(f"folder: no run of {', '.join(lost)} reached its end, so there is no best rate")
    return {
        f"best-{method}-{loss}-seed{seed}": replace(best[method, loss][1], seed=seed)
        for seed in range(1, SEEDS + 1)
        for method, loss in RELATIVES
    }


def refuse_same_judges(size: str, folder: Path, data: ImageData) -> None:
    """Raise ValueError where a run in ``folder`` that `at_best_rate` chooses from was judged by the images of ``data``.

    >>> from featnorm.simsiam.data import load
    >>> refuse_same_judges("digits", Path("no such folder"), load("digits"))   # no run, so none was judged by these
    """
    digest = data.sha256
    done = [name for name in experiments(size) if name.startswith("relative-") and is_done(folder, name)]
    for name in done:
        if read_result(folder, name)[0]["data"] == digest:
            raise ValueError(f"folder: {name}.npz there was judged by these test images; choose rates with --hold-out")


def _stacked(names: list[str], found: list[dict[str, np.ndarray]], failed: list[str]) -> dict[str, np.ndarray]:
    length = max(len(records["step"]) for records in found)
    arrays: dict[str, np.ndarray] = {"run": np.array(names), "failed": np.array(failed)}
    for key in found[0]:
        rows = [np.asarray(records[key], dtype=float) for records in found]
        arrays[key] = np.stack(
            [np.pad(r, [(0, length - len(r))] + [(0, 0)] * (r.ndim - 1), constant_values=np.nan) for r in rows]
        )
    return arrays


def archive(
    runs: dict[str, ImageConfig],
    folder: Path,
    name: str,
    command: str,
    device: str,
    data: ImageData | None = None,
    hold_out: int = 0,
) -> None:
    """All results of ``runs`` into one archive of `featnorm.results`: records stacked as (runs, records, ...).

    A run that ended early is padded with nan. With the images, the kNN accuracy of their pixels is kept as a baseline
    in the configuration. ``hold_out`` tells `verify` how many images `held_out` took; 0 is none.

    Raises ValueError where a result is missing or the code changed midway.

    >>> archive({"main": ImageConfig()}, Path("no such folder"), "demo", "featnorm image", "CPU")
    Traceback (most recent call last):
    ...
    ValueError: folder: has no result of 1 of 1 runs, the first is main
    """
    if missing := [run for run in runs if not is_done(folder, run)]:
        raise ValueError(f"folder: has no result of {len(missing)} of {len(runs)} runs, the first is {missing[0]}")
    found = [read_result(folder, run) for run in runs]
    closures = {str(about["closure"]) for about, _ in found}
    if len(closures) != 1:
        raise ValueError(f"folder: its results come from {len(closures)} versions of the code")
    if len(images := {str(about["data"]) for about, _ in found}) != 1:
        raise ValueError(f"folder: its results come from {len(images)} sets of images")
    total = sum(about["seconds"] for about, _ in found)
    config: dict[str, object] = {"data_sha256": images.pop(), "runs": {run: asdict(c) for run, c in runs.items()}}
    if hold_out:
        config["hold_out"] = hold_out
    if data is not None:
        if data.sha256 != config["data_sha256"]:
            raise ValueError("data: are other images than those of the results")
        train_pixels, test_pixels = pixels(data)
        neighbours = next(iter(runs.values())).neighbours
        config["pixels_knn"] = probe.knn(train_pixels, data.y_train, test_pixels, data.y_test, neighbours).value
    results.save(
        name,
        _stacked(list(runs), [records for _, records in found], [str(about["failed"]) for about, _ in found]),
        made_by=_made_by(next(iter(runs))),
        config=config,
        seed=0,
        command=command,
        seconds=total,
        device=device,
        closure=closures.pop(),
    )


def verify(name: str, data: ImageData, first: int, root: Path | None = None) -> results.Replay:
    """Train the first runs of an archive of `archive` again and compare, as `featnorm.results.verify`.

    The images are not in the archive, only their SHA-256. Raises ValueError for other images and for too many runs.

    >>> grey = np.zeros((2, 4, 4, 1), dtype=np.uint8)
    >>> images = ImageData(grey, np.array([0, 1]), grey, np.array([1, 1]), ("cat", "dog"), "own")
    >>> verify("image-decay-cpu", images, 1)   # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: image-decay-cpu: was made of other images, of SHA-256 ...
    """
    config = results.load(name, root).manifest["config"]
    if "hold_out" in config:
        data = held_out(data, config["hold_out"])
    if data.sha256 != config["data_sha256"]:
        raise ValueError(f"{name}: was made of other images, of SHA-256 {config['data_sha256']}")
    names = list(config["runs"])
    if positive_int("first", first) > len(names):
        raise ValueError(f"first = {first}: must be at most {len(names)}, the number of runs")
    closure = results.closure_hash(_made_by(names[0]))
    again = [maker(run)(ImageConfig(**config["runs"][run]), data) for run in names[:first]]
    runs = [run for run in again if run is not None]
    arrays = _stacked(names[:first], [run.records for run in runs], [run.failed for run in runs])
    source = "single precision, 6e-8 a step, times 2e3 steps, times 1e2 for the growth of differences"
    return results.confirm(name, arrays, f"runs = {first} of {len(names)}", TOLERANCE, source, closure, root)
