"""``featnorm sweep``: many runs of linear SimSiam, on this machine or on a cluster, and one table of all of them."""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from featnorm import sweep
from featnorm._validate import positive_int
from featnorm.commands.linear import add_fields, chosen
from featnorm.simsiam import tabled
from featnorm.simsiam.linear import LinearConfig

EXAMPLES = """examples:
  featnorm sweep --out small --h 16 --d 64 --epochs 5 --grid rho=0.01,0.02 seed=0:5      ten runs in this process
  featnorm sweep --out small --h 16 --d 64 --epochs 5 --grid rho=0.01,0.02 seed=0:5 --workers 2
  featnorm sweep --out listed --list runs.json            a list such as [{"rho": 0.1}, {"rho": 0.2, "h": 32}]
  featnorm sweep --out large --grid h=32,64 seed=0:100 --scheduler tcp://node:8786

on a cluster:
  dask scheduler --port 8786                              on one node
  dask worker tcp://node:8786 --nthreads 1 --nworkers 16  on each other node, or by dask-jobqueue

Each finished run is one file in the folder, written by this command: workers need no common disk. After Ctrl-C or a
crash, the same command does the runs that are missing.
The table is FOLDER/table (arrays.npz, manifest.json): config_NAME, and each record of the runs, one row a run.
"""

#: Runs in one sweep: each has a file, and the table holds all.
MOST = 100_000


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``featnorm sweep``."""
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where results and table are kept")
    what = parser.add_argument_group("which runs (every combination; the options below give the fields left out)")
    what.add_argument(
        "--grid", nargs="+", default=[], metavar="NAME=VALUES", help="values a,b,c or whole numbers from:to[:step]"
    )
    what.add_argument("--list", type=Path, metavar="FILE", help="JSON: a list of objects, one a run, by field names")
    where = parser.add_argument_group("where they run (default: in this process)")
    where.add_argument("--workers", type=int, default=0, metavar="N", help="processes to start here, >= 0 (default 0)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler, such as tcp://node:8786")
    where.add_argument(
        "--engine", choices=("fast", "plain"), default="fast", help="many runs at once, or the reference (default fast)"
    )
    where.add_argument(
        "--together", type=int, default=32, metavar="N", help="runs in a batch of the fast engine, >= 1 (default 32)"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    add_fields(parser)


def axis(words: str) -> tuple[str, list[Any]]:
    """A field and its values, from NAME=VALUES.

    >>> axis("rho=0.01,0.02"), axis("seed=0:6:2"), axis("loss=cosine,l2")
    (('rho', [0.01, 0.02]), ('seed', [0, 2, 4]), ('loss', ['cosine', 'l2']))
    """
    name, _, values = words.partition("=")
    kinds = {field.name: type(field.default) for field in fields(LinearConfig)}
    _known(name, "--grid")
    word: dict[type, Callable[[str], Any]] = {bool: _flag, type(None): lambda v: None if v == "none" else int(v)}
    try:
        found: Sequence[Any]
        if kinds[name] is int and ":" in values:
            found = range(*map(int, values.split(":")))[: MOST + 1]
        else:
            found = [word.get(kinds[name], kinds[name])(value) for value in values.split(",")]
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"--grid {words}: must be {name}=a,b,c or, for whole numbers, {name}=from:to[:step]"
        ) from error
    if not found:
        raise ValueError(f"--grid {words}: there is no value")
    if len(found) > MOST:
        raise ValueError(f"--grid {words}: has more than {MOST} values, which is the most that one sweep takes")
    return name, list(found)


def _flag(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError(f"{value!r} must be true or false")
    return value == "true"


def _known(name: str, where: str) -> None:
    names = [field.name for field in fields(LinearConfig)]
    if name not in names:
        near = get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"must be one of {', '.join(names)}"
        raise ValueError(f"{where}: there is no field {name!r}; {hint}")


def configurations(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Every run that the options ask for, each a complete and valid configuration."""
    listed: Any = [{}]
    if args.list is not None:
        try:
            listed = json.loads(args.list.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"--list {args.list}: is not JSON ({error})") from error
        if not isinstance(listed, list) or not listed or not all(isinstance(entry, dict) for entry in listed):
            raise ValueError(f"--list {args.list}: must be a list of objects, at least one")
    for entry in listed:
        for name in entry:
            _known(name, f"--list {args.list}")
    axes = dict(map(axis, args.grid))
    if len(axes) < len(args.grid):
        raise ValueError("--grid: a field is given twice")
    runs = len(listed) * math.prod(map(len, axes.values()))
    if runs > MOST:
        raise ValueError(
            f"--grid, --list: {runs} runs, must be at most {MOST} in one sweep; take a folder for each part"
        )
    return [asdict(LinearConfig(**config)) for entry in listed for config in sweep.grid(chosen(args) | entry, axes)]


def run(args: argparse.Namespace) -> int:
    """Do what is missing, write the table, print the summary; 1 if a run failed."""
    configs = configurations(args)
    fast, start = args.engine == "fast", time.perf_counter()
    function = tabled.fast if fast else tabled.plain
    positive_int("--together", args.together)
    if fast:
        for config in configs:
            tabled.check(LinearConfig(**config))
    try:
        done = sweep.run(
            function, configs, args.out, together=tabled.together if fast else None, batch=args.together,
            scheduler=args.scheduler, workers=args.workers, progress=True,
        )  # fmt: skip
    except KeyboardInterrupt:
        kept = sum((args.out / f"{sweep.run_hash(function, config)}.npz").exists() for config in configs)
        print(
            f"featnorm: interrupted; {kept} of {len(configs)} runs are kept in {args.out}; the same command goes on",
            file=sys.stderr,
        )
        return 130
    for path in done.damaged:
        print(f"featnorm: a result was damaged and its run was done again; the old file is {path}", file=sys.stderr)
    if done.stale:
        print(
            f"featnorm: {done.stale} runs were made by other code than today's; delete their files to make them again",
            file=sys.stderr,
        )
    for position, words in list(done.failed.items())[:10]:
        own = {name: value for name, value in configs[position].items() if any(c[name] != value for c in configs)}
        print(f"featnorm: run {position} {own or ''} failed: {words}", file=sys.stderr)
    about: dict[str, Any] = {"runs": len(configs), "found": done.found, "failed": len(done.failed)}
    if done.files:
        where = sweep.save_table(function, done, args.out, _command(args), time.perf_counter() - start)
        about |= {"table": str(where), **_ends(sweep.table(done))}
    if args.json:
        print(json.dumps(about, indent=1))
    else:
        print("\n".join(f"{name:16s} {value}" for name, value in about.items()))
    return int(bool(done.failed))


def _ends(columns: dict[str, np.ndarray]) -> dict[str, Any]:
    """How the runs ended: least, median and largest over the runs."""

    def spread(values: list[float]) -> list[float]:
        return [float(f"{q:.6g}") for q in np.nanquantile(values, [0.0, 0.5, 1.0])]

    last = [np.flatnonzero(np.isfinite(row))[-1] for row in columns["time"]]
    rows = list(enumerate(last))
    return {f"last {name}": spread([columns[name][row] for row in rows]) for name in ("loss", "N_Phi", "N_x", "rank_F")}


def _command(args: argparse.Namespace) -> str:
    """The command without folders and addresses, which belong to one machine."""
    words = ["featnorm", "sweep", "--engine", args.engine]
    words += ["--list", args.list.name] if args.list else []
    words += ["--grid", *args.grid] if args.grid else []
    for field in fields(LinearConfig):
        value, option = getattr(args, field.name), field.name.replace("_", "-")
        if value != field.default:
            words += [f"--{option}" if value is True else f"--no-{option}"] if isinstance(value, bool) else [
                f"--{option}", str(value)
            ]  # fmt: skip
    return shlex.join(words)
