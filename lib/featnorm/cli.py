"""The command ``featnorm`` (or ``python -m featnorm``): list the claims and run their checks."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from featnorm import claims
from featnorm._validate import natural
from featnorm.scale import Scale, current

_EXAMPLES = """examples:
  featnorm claims                        every claim: id, name, whether it is checked
  featnorm claims lemma-1 eq-7           run two checks at the scale FEATNORM_SCALE sets
  featnorm claims --all --scale smoke    run every check in seconds
  featnorm claims lemma-4 --json         the evidence as JSON
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="featnorm", description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    claim = commands.add_parser(
        "claims",
        help="list claims, or run their checks",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    claim.add_argument("ids", nargs="*", metavar="ID", help="claims to check; none lists them all")
    claim.add_argument("--all", action="store_true", help="run every check")
    claim.add_argument("--scale", choices=[str(s) for s in Scale], help="default: FEATNORM_SCALE, or book")
    claim.add_argument("--seed", type=int, default=0, help="seed of the random checks, >= 0 (default 0)")
    claim.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, 1 if a check decided nothing or failed, 2 for bad arguments.

    >>> main(["claims", "eq-7", "--scale", "smoke"])
    eq-7: holds (statistic 0, threshold 0; 4 of 4 wrong variants rejected)
    0
    """
    args = _parser().parse_args(argv)
    try:
        ids = list(claims.CHECKS) if args.all else args.ids
        if not ids:
            for claim in claims.REGISTRY.values():
                print(f"{claim.id:32s} {claim.name:22s} {'' if claim.id in claims.CHECKS else claims.NOT_CHECKED}")
            return 0
        seed, scale = natural("--seed", args.seed), Scale(args.scale) if args.scale else current()
        for id in ids:
            claims.checked(id)  # refuse before the first check runs, not after an hour of them
        results = []
        for id in ids:
            result = claims.run(id, seed, scale)
            results.append(result)
            if not args.json:
                rejected = sum(not e.passed for e in result.falsifiers.values())
                print(
                    f"{id}: {result.outcome} (statistic {result.evidence.statistic:.3g}, threshold "
                    f"{result.evidence.threshold:.3g}; {rejected} of {len(result.falsifiers)} wrong variants rejected)",
                    flush=True,
                )
    except ValueError as error:
        print(f"featnorm: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps([r.as_dict() for r in results], indent=1))
    return int(any(r.outcome in ("undecided", "fails") for r in results))
