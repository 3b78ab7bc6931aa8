"""``featnorm linear``: one run of linear SimSiam, with a checkpoint, and a summary of what became of it."""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np

from featnorm.simsiam import predicted
from featnorm.simsiam.linear import LinearConfig, LinearRun, difference, load, save, train

EXAMPLES = """examples:
  featnorm linear --h 16 --d 64 --epochs 20 --steps-per-epoch 10       seconds
  featnorm linear --rho 0.02 --out run.npz                             the official recipe; Ctrl-C, then the same
                                                                       command again, goes on where it was
  featnorm linear --samples 50000 --epochs 10 --steps-per-epoch 97     ten passes through a finite data set
  featnorm linear --h 16 --d 64 --momentum 0 --epochs 1 --json         plain SGD at a constant rate
"""

#: What each field of `LinearConfig` is, with its range.
HELP = {
    "h": "representation dimension, >= 1",
    "d": "input dimension, >= 1",
    "sigma2": "variance of the augmentation noise, > 0",
    "rho": "weight decay of W and Phi, >= 0",
    "lr": "learning rate for a batch of 256, > 0; used is lr * batch / 256, annealed by a cosine",
    "momentum": "momentum of SGD, >= 0 and < 1",
    "batch": "pairs of views in a step, >= 1",
    "epochs": "the rate changes once an epoch, >= 1; 1 keeps it constant",
    "steps_per_epoch": "updates in an epoch, >= 1",
    "loss": "cosine (Eq. 2) or l2 (Eq. 1)",
    "seed": "random seed, >= 0",
    "dtype": "float64 or float32",
    "device": "a PyTorch device, such as cpu or cuda",
    "record_every": "steps between two records, >= 1",
    "symmetrised": "mean of the loss over both orders of the views",
    "samples": "anchors in a finite data set, >= batch; none: new data in every step",
    "fixed_head_lr": "do not anneal the rate of W (--fix-pred-lr of the official code)",
}


def add_fields(parser: argparse.ArgumentParser) -> None:
    """An option for each field of `LinearConfig`."""
    group = parser.add_argument_group("the run")
    for field in fields(LinearConfig):
        assert field.default is not MISSING
        words = f"{HELP[field.name]} (default {str(field.default).lower()})"
        option = f"--{field.name.replace('_', '-')}"
        if isinstance(field.default, bool):
            group.add_argument(option, action=argparse.BooleanOptionalAction, default=field.default, help=words)
        else:
            kind = int if field.default is None else type(field.default)
            group.add_argument(option, type=kind, default=field.default, metavar="X", help=words)


def chosen(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of `LinearConfig` that the options give."""
    return {field.name: getattr(args, field.name) for field in fields(LinearConfig)}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``featnorm linear``."""
    add_fields(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="keep the run here (npz), and FILE.checkpoint on the way"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    """Train, or go on; keep the run; print the summary."""
    config = LinearConfig(**chosen(args))
    if args.out is None:
        try:
            found = train(config, progress=True)
        except KeyboardInterrupt:
            print("featnorm: interrupted; nothing is kept. With --out FILE a run can go on later", file=sys.stderr)
            return 130
    elif args.out.exists():
        found = load(args.out)
        if found.config != config:
            raise ValueError(f"--out {args.out}: holds a run with {difference(found.config, config)}")
        print(f"featnorm: {args.out} holds this run already", file=sys.stderr)
    else:
        checkpoint = args.out.with_name(f"{args.out.name}.checkpoint")
        try:
            found = train(config, progress=True, checkpoint=checkpoint)
            save(found, args.out)
        except KeyboardInterrupt:
            kept = f"{checkpoint} keeps what is done; the same command goes on" if checkpoint.exists() else "at once"
            print(f"featnorm: interrupted; {kept}", file=sys.stderr)
            return 130
        checkpoint.unlink()
    about = summary(found)
    print(json.dumps({k: _plain(v) for k, v in about.items()}, indent=1) if args.json else _words(found, about))
    return 0


def summary(run: LinearRun) -> dict[str, Any]:
    """What became of a run: numbers at its start and end, by name.

    Survivors are the eigenvalues of W (symmetric part) above half the largest. ``stable_point`` is that of Eq. 7 (Eq. 8
    under the L2 loss) at the last norms, NaN where there is none; ``alignment`` as in `featnorm.simsiam.predicted`.

    >>> about = summary(train(LinearConfig(h=4, d=8, rho=1.0, batch=8, epochs=1, steps_per_epoch=1)))
    >>> about["steps"], about["regime"]
    (1, ['Collapse', 'Collapse'])
    """
    regimes, last = predicted.regimes(run), run.eig_W[-1]
    fits = predicted.alignment(run)
    out: dict[str, Any] = {"steps": int(run.step[-1]), "time": float(run.time[-1])}
    out["regime"] = [regimes[0], regimes[-1]]
    changed = [int(step) for step, name in zip(run.step, regimes) if name != regimes[0]]
    out["first_step_in_another_regime"] = changed[0] if changed else None
    out["survivors"] = int(np.sum(last > 0.5 * last[0])) if last[0] > 0 else 0
    out["stable_point"] = float(predicted.intervals(run).high[-1])
    out["alignment"] = [float(fits.cosine[-1]), float(fits.distance[-1])]
    for name in ("loss", "N_Phi", "N_Psi", "N_x", "norm_W", "asymmetry", "commutator", "rank_F"):
        out[name] = [float(getattr(run, name)[i]) for i in (0, -1)]
    out["leading_eigenvalue"] = [float(run.eig_W[i, 0]) for i in (0, -1)]
    return out


def _words(run: LinearRun, about: dict[str, Any]) -> str:
    first, last = about["regime"]
    change = about["first_step_in_another_regime"]
    stable = about["stable_point"]
    (start, end), point = about["leading_eigenvalue"], "none" if math.isnan(stable) else f"{stable:.4g}"
    other = f"; another one first at step {change}" if change is not None else ""
    lines = [
        f"{about['steps']} steps, time {about['time']:.4g}",
        f"regime       {first} at the start, {last} at the end{other}",
        f"survivors    {about['survivors']} of {run.config.h} eigenvalues of W are above half the largest",
        f"largest      {start:.4g} -> {end:.4g}; stable point at the end: {point}",
    ]
    names = {"loss": "loss", "N_Phi": "N_Phi", "N_Psi": "N_Psi", "N_x": "N_x", "norm_W": "norm of W"}
    names |= {"asymmetry": "asymmetry", "commutator": "commutator", "rank_F": "rank of F"}
    lines += [f"{words:12s} {about[name][0]:.4g} -> {about[name][1]:.4g}" for name, words in names.items()]
    return "\n".join(lines)


def _plain(value: Any) -> Any:
    """For JSON, which has no NaN."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
