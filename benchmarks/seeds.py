"""Every check for ten seeds: does an outcome depend on the seed? ``make seeds`` writes benchmarks/seeds.md.

The exit status is 1 if the outcome of a claim differs from seed to seed. The number after "departs by", in the outcome
of an assumption, belongs to the seed and is left out of the comparison.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm

from featnorm import claims
from featnorm._validate import natural
from featnorm.provenance import commit, machine
from featnorm.scale import Scale

#: What one run of a check found: outcome, statistic over threshold (nan where the threshold is not positive), seconds.
Found = tuple[str, float, float]


def run_seed(ids: Sequence[str], seed: int, scale: Scale) -> dict[str, Found]:
    """All checks for one seed, one after another, so that those which share a computation do it once."""
    found = {}
    for id in ids:
        result = claims.run(id, seed, scale)
        word = "departs" if result.outcome.startswith("departs by") else result.outcome
        evidence = result.evidence
        ratio = evidence.statistic / evidence.threshold if evidence.threshold > 0 else math.nan
        found[id] = (word, ratio, result.seconds)
    return found


def run_all(ids: Sequence[str], seeds: Sequence[int], scale: Scale) -> dict[str, dict[int, Found]]:
    """Outcomes by claim and seed, from as many processes as this one has cores."""
    out: dict[str, dict[int, Found]] = defaultdict(dict)
    with ProcessPoolExecutor(max_workers=min(len(os.sched_getaffinity(0)), len(seeds))) as pool:
        jobs = {pool.submit(run_seed, ids, seed, scale): seed for seed in seeds}
        for job in tqdm(as_completed(jobs), total=len(jobs), unit="seed", file=sys.stderr):
            for id, found in job.result().items():
                out[id][jobs[job]] = found
    return {id: out[id] for id in ids}


def number(value: float) -> str:
    return f"{value:.2g}" if math.isfinite(value) else "-"


def row(id: str, by_seed: dict[int, Found]) -> str:
    """One line of the table; a claim whose outcome changes names the seeds of each."""
    seeds = defaultdict(list)
    for seed, (word, *_) in sorted(by_seed.items()):
        seeds[word].append(str(seed))
    same = len(seeds) == 1
    words = ", ".join(word if same else f"**{word}** ({' '.join(where)})" for word, where in seeds.items())
    ratios = [ratio for _, ratio, _ in by_seed.values() if math.isfinite(ratio)]
    spread = f"{number(min(ratios))} to {number(max(ratios))}" if ratios else "-"
    return f"| {id} | {words} | {spread} | {max(took for *_, took in by_seed.values()):.2f} s |"


def table(found: dict[str, dict[int, Found]], seeds: Sequence[int], scale: Scale, took: float) -> tuple[str, bool]:
    """The report and whether all outcomes are the same for all seeds."""
    same = all(len({word for word, *_ in by_seed.values()}) == 1 for by_seed in found.values())
    lines = [
        "# Every check for several seeds",
        "",
        f"{len(found)} checks with all their wrong variants, seeds {', '.join(map(str, seeds))}, scale {scale}, "
        f"{took:.0f} s. Statistic over threshold: a check passes up to 1; no ratio is given for a threshold of zero "
        f"or below. {machine()}; commit {commit()}.",
        "",
        "| claim | outcomes | statistic over threshold | longest run |",
        "|---|---|---|---|",
        *(row(id, by_seed) for id, by_seed in found.items()),
        "",
        f"outcomes the same for all seeds: {'yes' if same else 'no'}",
    ]
    return "\n".join(lines) + "\n", same


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ids", nargs="*", metavar="CLAIM", help="only these, and without writing the table")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 11)), metavar="N")
    parser.add_argument("--scale", choices=[*Scale], default=Scale.SMOKE)
    options = parser.parse_args(arguments)
    try:  # refuse an unknown id or an impossible seed before work starts
        for id in options.ids:
            claims.checked(id)
        seeds = sorted({natural("seeds", seed) for seed in options.seeds})
    except ValueError as error:
        parser.error(str(error))
    start = time.perf_counter()
    scale = Scale(options.scale)
    found = run_all(options.ids or list(claims.CHECKS), seeds, scale)
    text, same = table(found, seeds, scale, time.perf_counter() - start)
    if not options.ids:
        Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
