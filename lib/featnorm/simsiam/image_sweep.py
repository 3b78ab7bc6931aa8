"""The experiments of Figures 1, 10, 11 and 12 as resumable pieces: ``python -m featnorm image``.

Every finished run is one small file, written at once or not at all; what is there is not run again. A run that was cut
short goes on from its checkpoint. The order is seed-major, so that any prefix holds every setting about equally often.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from featnorm import results
from featnorm._validate import nonnegative, one_of
from featnorm.simsiam.image import ImageConfig, ImageRun, train
from featnorm.simsiam.image_inputs import Images, digits, read_npz

SIZES = ("gpu", "cpu", "digits")
SEEDS = 3
RHOS = {"cpu": (0.0, 5e-5, 1e-4, 1e-3, 3e-3, 1e-2, 5e-2), "gpu": (0.0, 2e-5, 1e-4, 5e-4, 1e-3, 3e-3, 2e-2)}
RHOS["digits"] = RHOS["cpu"]
MADE_BY = "featnorm.simsiam.image.train"
_BASE = {
    "gpu": ImageConfig(
        encoder="resnet-cifar", width=64, h=512, batch=512, epochs=20, lr=0.03, knn_every=5, device="cuda", bf16=True
    ),
    "cpu": ImageConfig(encoder="convnet", width=16, h=64, batch=256, epochs=20, lr=0.05, knn_every=10),
    "digits": ImageConfig(encoder="convnet", width=8, h=32, batch=128, epochs=40, lr=0.05, knn_every=10, flip=False),
}
_EXAMPLES = """examples:
  python -m featnorm image                                     one run on scikit-learn's digits
  python -m featnorm image --set rho=0.01 --set loss='"l2"'    another configuration (values as JSON)
  python -m featnorm image --size cpu --only decay --folder OUT --data cifar16.npz --max-minutes 45
  python -m featnorm image --size gpu --folder OUT --data cifar10.npz --max-minutes 600
  python -m featnorm image --size cpu --folder OUT --list      what there is to run, and what is done
  python -m featnorm image --size cpu --only decay --folder OUT --archive image-decay-cpu
"""


def experiments(size: str) -> dict[str, ImageConfig]:
    """Every run by name, seed-major: ``decay-...`` (Fig. 1), ``main`` (Fig. 10 to 12), ``relative-...``.

    ``decay`` has seven rho for each loss and, as a control, the cosine loss without stop-gradient. Each relative has
    three learning rates. Raises ValueError for another size.

    >>> runs = experiments("cpu")
    >>> len([name for name in runs if name.startswith("decay")]), list(runs)[0]
    (45, 'decay-cosine-rho0-seed0')
    >>> [round(runs[f"decay-l2-rho{rho:g}-seed2"].decay_time(10_000), 2) for rho in (5e-5, 5e-2)]
    [0.01, 10.24]
    """
    base = _BASE[one_of(*SIZES)("size", size)]
    out: dict[str, ImageConfig] = {}
    for seed in range(SEEDS):
        at = replace(base, seed=seed)
        for rho in RHOS[size]:
            for loss in ("cosine", "l2"):
                out[f"decay-{loss}-rho{rho:g}-seed{seed}"] = replace(at, rho=rho, loss=loss)
        out[f"decay-nostop-rho0.0001-seed{seed}"] = replace(at, method="no-stop")
    out["main"] = replace(base, epochs=100 if size == "gpu" else base.epochs * 2)
    kinds = [("simsiam", "l2"), ("no-stop", "cosine"), ("no-predictor", "cosine"), ("byol", "cosine")]
    kinds += [
        ("byol", "l2"),
        ("directpred", "cosine"),
        ("directpred", "l2"),
        ("barlow", "cosine"),
        ("vicreg", "cosine"),
    ]
    for seed in range(SEEDS):
        for method, loss in [("simsiam", "cosine"), *kinds]:
            for factor in (0.1, 1.0, 3.0):
                lr = base.lr * factor
                config = replace(base, seed=seed, method=method, loss=loss, lr=lr)
                out[f"relative-{method}-{loss}-lr{lr:g}-seed{seed}"] = config
    return out


def _result(folder: Path, name: str) -> Path:
    return folder / f"{name}.npz"


def write_result(folder: Path, name: str, run: ImageRun, seconds: float, closure: str) -> None:
    """One run's records and configuration in one file, at once or not at all; nothing is pickled."""
    about = {"config": asdict(run.config), "steps": run.steps, "failed": run.failed, "seconds": seconds}
    temporary = folder / f".{name}.{os.getpid()}.npz"
    np.savez_compressed(temporary, about=np.array(json.dumps(about | {"closure": closure})), **run.records)
    os.replace(temporary, _result(folder, name))


def read_result(folder: Path, name: str) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """What `write_result` wrote: the notes, and the records."""
    with np.load(_result(folder, name), allow_pickle=False) as file:
        records = {key: file[key] for key in file.files}
    return json.loads(str(records.pop("about"))), records


def sweep(runs: dict[str, ImageConfig], data: Images, folder: Path, max_minutes: float | None = None) -> int:
    """Run what has no result in ``folder`` yet, until the minutes are over; returns how many are left.

    Raises ValueError where a result there is of another configuration: nothing is overwritten.
    """
    end = time.monotonic() + 60 * nonnegative("max_minutes", max_minutes) if max_minutes is not None else float("inf")
    folder.mkdir(parents=True, exist_ok=True)
    closure = results.closure_hash(MADE_BY)
    left = 0
    for name, config in runs.items():
        if _result(folder, name).exists():
            there = read_result(folder, name)[0]["config"]
            if there != asdict(config):
                raise ValueError(f"folder: {name}.npz there is a run of another configuration; choose another folder")
            continue
        if time.monotonic() >= end:
            left += 1
            continue
        start, checkpoint = time.process_time(), folder / f"checkpoint-{name}"
        run = train(config, data, checkpoint, stop=lambda: time.monotonic() >= end)
        if run is None:
            left += 1
            continue
        seconds = time.process_time() - start
        write_result(folder, name, run, seconds, closure)
        shutil.rmtree(checkpoint, ignore_errors=True)
        knn = float(run.records["knn"][-1])
        print(f"{name}: kNN {knn:.3f}, rank {run.records['rank'][-1]:.2f}, {seconds:.0f} s {run.failed}", flush=True)
    return left


def archive(runs: dict[str, ImageConfig], folder: Path, name: str, command: str, device: str) -> None:
    """All results of ``runs`` into one archive of `featnorm.results`: records stacked as (runs, records, ...).

    A run that ended early is padded with nan. Raises ValueError where a result is missing or the code changed midway.
    """
    if missing := [run for run in runs if not _result(folder, run).exists()]:
        raise ValueError(f"folder: has no result of {len(missing)} of {len(runs)} runs, the first is {missing[0]}")
    found = [read_result(folder, run) for run in runs]
    closures = {str(about["closure"]) for about, _ in found}
    if len(closures) != 1:
        raise ValueError(f"folder: its results come from {len(closures)} versions of the code")
    length = max(len(records["step"]) for _, records in found)
    arrays: dict[str, np.ndarray] = {"run": np.array(list(runs)), "failed": np.array([a["failed"] for a, _ in found])}
    for key in found[0][1]:
        rows = [np.asarray(records[key], dtype=float) for _, records in found]
        arrays[key] = np.stack(
            [np.pad(r, [(0, length - len(r))] + [(0, 0)] * (r.ndim - 1), constant_values=np.nan) for r in rows]
        )
    total = sum(float(about["seconds"]) for about, _ in found)  # type: ignore[arg-type]
    configs = {run: asdict(config) for run, config in runs.items()}
    results.save(
        name,
        arrays,
        made_by=MADE_BY,
        config=configs,
        seed=0,
        command=command,
        seconds=total,
        device=device,
        closure=closures.pop(),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command ``featnorm image``; returns 0 when all is done, 3 when runs are left, 2 for bad arguments."""
    parser = argparse.ArgumentParser(
        prog="featnorm image",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--size", choices=SIZES, help="the whole list of experiments at this size; default: one run")
    parser.add_argument(
        "--only", default="", metavar="START", help="only runs whose name begins so: decay, main, relative"
    )
    parser.add_argument("--folder", type=Path, help="where results and checkpoints go (needed with --size)")
    parser.add_argument("--data", type=Path, help=".npz of images; default: FEATNORM_DATA, else scikit-learn's digits")
    parser.add_argument("--max-minutes", type=float, help="stop after the epoch in which this time is over")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help="a value of the one run")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CPU (default 1)")
    parser.add_argument("--list", action="store_true", help="say what there is to run")
    parser.add_argument("--archive", metavar="NAME", help="collect finished results into book/results/NAME")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        return _run(args)
    except (ValueError, MemoryError, TypeError) as error:
        print(f"featnorm image: {error}", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    path = args.data or os.environ.get("FEATNORM_DATA")
    if args.size is None:
        values = dict(item.split("=", 1) for item in args.set)
        config = replace(_BASE["digits"], **{name: json.loads(value) for name, value in values.items()})
        run = train(config, read_npz(path) if path else digits(), args.folder)
        assert run is not None
        for key in ("step", "loss", "knn", "rank", "N_Phi", "N_Psi", "N_x", "asymmetry", "commutator"):
            print(f"{key:12s}", *(f"{v:9.4g}" for v in run.records[key][:: max(len(run.records[key]) // 8, 1)]))
        return 0
    if args.folder is None:
        raise ValueError("--folder: must be given with --size")
    if path is None and args.size != "digits":
        raise ValueError("--data: must be given with this size, or FEATNORM_DATA set")
    runs = {name: config for name, config in experiments(args.size).items() if name.startswith(args.only)}
    if args.list:
        for name in runs:
            print(f"{name:44s} {'done' if _result(args.folder, name).exists() else ''}")
        return 0
    if args.archive:
        command = f"featnorm image --size {args.size} --only '{args.only}' --folder OUT --data DATA"
        archive(runs, args.folder, args.archive, command, "CUDA" if args.size == "gpu" else "CPU, one thread")
        return 0
    left = sweep(runs, read_npz(path) if path else digits(), args.folder, args.max_minutes)
    print(f"{len(runs) - left} of {len(runs)} runs are done")
    return 3 if left else 0


if __name__ == "__main__":
    sys.exit(main())
