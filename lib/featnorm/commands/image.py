"""``featnorm image``: SimSiam on images, one run or the whole list of experiments in pieces that can be cut short."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from featnorm._validate import positive_int
from featnorm.simsiam import data, image_sweep
from featnorm.simsiam.image import ImageConfig, train

EXAMPLES = """examples:
  featnorm image                                     one run on scikit-learn's digits
  featnorm image --set rho=0.01 --set loss='"l2"'    another configuration (values as JSON)
  featnorm image --size cpu --only decay --folder OUT --data cifar16.npz --max-minutes 45
  featnorm image --size gpu --folder OUT --max-minutes 600          CIFAR-10; the same command again goes on
  featnorm image --size cpu --folder OUT --list      what there is to run, and what is done
  featnorm image --size cpu --only decay --folder OUT --archive image-decay-cpu
  featnorm image --size cpu --only relative --hold-out 2000 --folder RATES --data cifar16.npz
  featnorm image --size cpu --best-of RATES --folder OUT --data cifar16.npz
"""
_SHOWN = ("step", "loss", "knn", "rank", "N_Phi", "N_Psi", "N_x", "asymmetry", "commutator")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``featnorm image``."""
    parser.add_argument(
        "--size", choices=image_sweep.SIZES, help="the whole list of experiments at this size; default: one run"
    )
    parser.add_argument(
        "--only", default="", metavar="START", help="only runs whose name begins so: decay, main, relative"
    )
    parser.add_argument(
        "--hold-out", type=int, metavar="N", help="judge by the last N images for training, which are not trained on"
    )
    parser.add_argument(
        "--best-of", type=Path, metavar="RATES", help="the relatives, each at its best rate of the results in RATES"
    )
    parser.add_argument("--folder", type=Path, help="where results and checkpoints go (needed with --size)")
    parser.add_argument(
        "--images", choices=data.NAMES, help="default: digits; with --size cpu or gpu cifar10, downloaded if need be"
    )
    parser.add_argument("--data", type=Path, help=f"an .npz or folder of these images (default: {data.VARIABLE})")
    parser.add_argument("--max-minutes", type=float, help="stop after the epoch in which this time is over")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help="a value of the one run")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CPU (default 1)")
    parser.add_argument("--list", action="store_true", help="say what there is to run")
    parser.add_argument("--archive", metavar="NAME", help="collect finished results into book/results/NAME")


def run(args: argparse.Namespace) -> int:
    """Train once, or what is left of a list; 0 when all is done, 3 when runs are left."""
    if positive_int("--threads", args.threads) > (cores := os.cpu_count() or 1):
        raise ValueError(f"--threads = {args.threads}: must be at most {cores}, the number of cores")
    _refuse_ignored(args)
    torch.set_num_threads(args.threads)
    try:
        return _one(args) if args.size is None else _list(args)
    except MemoryError as error:
        raise ValueError(str(error)) from error


def _refuse_ignored(args: argparse.Namespace) -> None:
    """An option that would have no effect is an error: who gives it expects one."""
    if args.size is not None and args.set:
        raise ValueError("--set: is for one run, so it must be given without --size")
    given = {"only": args.only != "", "list": args.list}
    given |= {name: getattr(args, name) is not None for name in ("best_of", "max_minutes", "archive")}
    for name in given:
        if args.size is None and given[name]:
            raise ValueError(f"--{name.replace('_', '-')}: is for a list of runs, so --size must be given too")


def _images(args: argparse.Namespace) -> data.ImageData:
    images = data.load(args.images or ("digits" if args.size in (None, "digits") else "cifar10"), args.data)
    return images if args.hold_out is None else image_sweep.held_out(images, positive_int("--hold-out", args.hold_out))


def _chosen(items: list[str]) -> dict[str, Any]:
    known, values = {field.name: field.type for field in fields(ImageConfig)}, {}
    for item in items:
        name, sign, value = item.partition("=")
        if not sign or name not in known:
            raise ValueError(f"--set {item}: must be NAME=JSON with a name of {', '.join(known)}")
        try:
            values[name] = json.loads(value)
        except ValueError as error:
            raise ValueError(f"--set {item}: the value is no JSON ({error})") from error
        if known[name] == "bool" and not isinstance(values[name], bool):
            raise ValueError(f"--set {item}: the value must be true or false")
    return values


def _one(args: argparse.Namespace) -> int:
    found = train(replace(image_sweep.BASE["digits"], **_chosen(args.set)), _images(args), args.folder)
    assert found is not None
    for key in _SHOWN:
        print(f"{key:12s}", *(f"{v:9.4g}" for v in found.records[key][:: max(len(found.records[key]) // 8, 1)]))
    if found.failed:
        raise FloatingPointError(found.failed)
    return 0


def _list(args: argparse.Namespace) -> int:
    if args.folder is None:
        raise ValueError("--folder: must be given with --size")
    listed = image_sweep.at_best_rate(args.size, args.best_of) if args.best_of else image_sweep.experiments(args.size)
    runs = {name: config for name, config in listed.items() if name.startswith(args.only)}
    if not runs:
        raise ValueError(f"--only {args.only}: no run begins so")
    if args.list:
        for name in runs:
            print(f"{name:44s} {'done' if image_sweep.is_done(args.folder, name) else ''}")
        return 0
    if args.archive:
        command = f"featnorm image --size {args.size} --only '{args.only}'"
        command += f" --hold-out {args.hold_out}" if args.hold_out else ""
        command += " --best-of RATES" if args.best_of else ""
        command += " --folder OUT --data DATA"
        device = "CUDA" if args.size == "gpu" else "CPU, one thread"
        images = _images(args) if args.data else None
        image_sweep.archive(runs, args.folder, args.archive, command, device, images, args.hold_out or 0)
        return 0
    images = _images(args)
    if args.best_of:
        image_sweep.refuse_same_judges(args.size, args.best_of, images)
    left = image_sweep.sweep(runs, images, args.folder, args.max_minutes)
    print(f"{len(runs) - left} of {len(runs)} runs are done")
    return 3 if left else 0
