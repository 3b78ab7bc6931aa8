"""The command ``featnorm`` (or ``python -m featnorm``): claims and their checks, archived runs, training, sweeps."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from featnorm import claims, results
from featnorm._validate import natural
from featnorm.archives import ARCHIVES
from featnorm.scale import Scale, current

_EXAMPLES = """examples:
  featnorm claims                        every claim: id, name, whether it is checked
  featnorm claims lemma-1 eq-7           run two checks at the scale FEATNORM_SCALE sets
  featnorm claims --all --scale smoke    run every check in about half a minute
  featnorm claims lemma-4 --json         the evidence as JSON
  featnorm archive terminal-state-h12    make an archived run again (minutes), in book/results/
  featnorm results                       list archived runs, and which are stale: their code has changed since
  featnorm results verify NAME           replay the first part of an archived run; if it agrees, it is stale no more
  featnorm linear --rho 0.02 --out a.npz   train linear SimSiam; see featnorm linear --help
  featnorm sweep --help                  many runs, here or on a cluster
"""

#: Commands with a module of their own in `featnorm.commands`, and what the list of commands says about each. A new
#: family of commands is a line here and a module there.
FAMILIES = {
    "linear": "train linear SimSiam once (Section 5.4)",
    "sweep": "train it many times, here or on a cluster",
    "image": "train SimSiam on images (Appendix D.2)",
}

_ARCHIVE_EXAMPLES = """example:
  featnorm archive terminal-state-h12    minutes; replaces book/results/terminal-state-h12 at the end, not before
"""

_RESULTS_EXAMPLES = """examples:
  featnorm results                                        every archived run, and whether its code has changed since
  featnorm results verify terminal-state-h12 --first 2    replay two of its starts and compare
"""


def _parser(command: str = "") -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="featnorm", description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    claim = commands.add_parser(
        "claims",
        help="list claims, or run their checks",
        description="List claims, or run their checks. The status is 1 if an outcome is 'fails' or 'undecided'.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    claim.add_argument("ids", nargs="*", metavar="ID", help="claims to check; none lists them all")
    claim.add_argument("--all", action="store_true", help="run every check")
    claim.add_argument("--scale", choices=[str(s) for s in Scale], help="default: FEATNORM_SCALE, or book")
    claim.add_argument("--seed", type=int, default=0, help="seed of the random checks, >= 0 (default 0)")
    claim.add_argument("--json", action="store_true", help="print the results as JSON")
    run = commands.add_parser(
        "archive",
        help="make an archived run again and save it",
        epilog=_ARCHIVE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("name", choices=list(ARCHIVES), metavar="NAME", help=f"one of {', '.join(ARCHIVES)}")
    archived = commands.add_parser(
        "results",
        help="list archived runs, or verify one",
        epilog=_RESULTS_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = archived.add_subparsers(dest="action")
    again = actions.add_parser(
        "verify",
        help="replay the first part of an archived run and clear its mark if it agrees",
        epilog=_RESULTS_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = list(dict.fromkeys([*ARCHIVES, *results.names()]))
    again.add_argument("name", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    again.add_argument("--data", type=Path, metavar="FILE", help="for runs on images: the .npz they were made of")
    again.add_argument("--first", type=int, default=5, metavar="N", help="how many entries to replay (default 5)")
    for name, words in FAMILIES.items():
        family = commands.add_parser(name, help=words, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == command:  # the others are not loaded
            module = importlib.import_module(f"featnorm.commands.{name}")
            family.description, family.epilog = words, module.EXAMPLES
            module.add_options(family)
            family.set_defaults(run=module.run)
    return parser


def archive(name: str) -> None:
    """Run a survey with a progress bar and save it under its name; an archive of that name is replaced at the end."""
    recipe = ARCHIVES[name]
    made_by, config = recipe.made_by, recipe.config
    closure, start = results.closure_hash(made_by), time.perf_counter()
    arrays = recipe.function(**config, progress=True)
    results.save(
        name,
        arrays,
        made_by=made_by,
        config={key: value for key, value in config.items() if key != "seed"},
        seed=config["seed"],
        command=f"featnorm archive {name}",
        seconds=time.perf_counter() - start,
        device="CPU, one thread",
        closure=closure,
    )


def verify(name: str, first: int, images: Path | None = None) -> int:
    """Replay the first entries of an archived run and say what came out; 0 if they agree, else 1.

    Runs on images need the file of the images, which is not in the repository; each entry is one run of training.
    """
    if name in ARCHIVES:
        found, tolerance = results.verify(name, ARCHIVES[name], first), ARCHIVES[name].tolerance
    else:
        if images is None:
            raise ValueError(f"{name}: is of images that are not in this repository; give them as --data FILE.npz")
        from featnorm.simsiam import data, image_sweep  # loads PyTorch

        found, tolerance = image_sweep.verify(name, data.load("cifar10", images), first), image_sweep.TOLERANCE
    word = "agrees, so that the archive is not stale" if found.agrees else "differs; the archive stays as it is"
    print(f"{name}: {word} ({found.replayed}; difference {found.difference:.2g}, tolerance {tolerance:g})")
    return int(not found.agrees)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns an exit status.

    0; 1 if a check decided nothing or failed, a replay differs or a training run diverged; 2 for bad arguments or
    files; 130 for Ctrl-C, which leaves every archive as it was and keeps what a training run or sweep has done; 141 for
    a closed pipe.

    >>> main(["claims", "eq-7", "--scale", "smoke"])
    eq-7: holds (statistic 0, threshold 0; 6 of 6 wrong variants rejected)
    0
    """
    try:
        try:
            return _main(argv)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("featnorm: interrupted; archives are as they were", file=sys.stderr)
        return 130  # as a shell reports a process that SIGINT ended
    except BrokenPipeError:  # the reader, such as head, has seen enough; nothing more may be flushed at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as a shell reports a process that SIGPIPE ended


def _main(argv: Sequence[str] | None) -> int:
    words = sys.argv[1:] if argv is None else argv
    args = _parser(next(iter(words), "")).parse_args(words)
    if args.command in FAMILIES:
        try:
            return int(args.run(args))
        except BrokenPipeError:
            raise
        except (ValueError, OSError) as error:
            print(f"featnorm: {error}", file=sys.stderr)
            return 2
        except FloatingPointError as error:
            print(f"featnorm: {error}", file=sys.stderr)
            return 1
    try:
        if args.command == "archive":
            archive(args.name)
            return 0
        if args.command == "results":
            if args.action == "verify":
                return verify(args.name, args.first, args.data)
            for name in results.names():
                print(f"{name:32s} {'stale' if results.load(name).stale else 'code unchanged'}")
            return 0
        if args.all and args.ids:
            raise ValueError(f"ID = {args.ids[0]!r} beside --all: give one or the other")
        ids = list(claims.CHECKS) if args.all else args.ids
        if not ids:
            for claim in claims.REGISTRY.values():
                print(f"{claim.id:32s} {claim.name:22s} {'' if claim.id in claims.CHECKS else claims.NOT_CHECKED}")
            return 0
        seed, scale = natural("--seed", args.seed), Scale(args.scale) if args.scale else current()
        for id in ids:
            claims.checked(id)  # refuse before the first check runs, not after an hour of them
        found = []
        for id in ids:
            result = claims.run(id, seed, scale)
            found.append(result)
            if not args.json:
                rejected = sum(not e.passed for e in result.falsifiers.values())
                print(
                    f"{id}: {result.outcome} (statistic {result.evidence.statistic:.3g}, threshold "
                    f"{result.evidence.threshold:.3g}; {rejected} of {len(result.falsifiers)} wrong variants rejected)",
                    flush=True,
                )
                if result.evidence.undecided:
                    print(f"  {result.evidence.undecided}", flush=True)
    except (ValueError, FileNotFoundError) as error:
        print(f"featnorm: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps([r.as_dict() for r in found], indent=1))
    return int(any(r.outcome in ("undecided", "fails") for r in found))
