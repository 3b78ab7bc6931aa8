"""The exact law of a feature norm against sampling, and the memory of sampling: writes benchmarks/concentration.md.

Sampling to a relative accuracy of 10 per cent of a probability p takes 100 / p draws. The time of that many is
extrapolated from a run of 1e5 in the plain way, in d dimensions.
"""

from __future__ import annotations

import resource
import time
from functools import partial
from pathlib import Path

import numpy as np
from timing import REPEATS, seconds

from featnorm.concentration import QuadraticForm, feature_norm_law, sample_norms
from featnorm.provenance import commit, machine
from featnorm.setting import Setting, initialize

SAMPLES = 100_000


def rows(setting: Setting) -> list[str]:
    """Lines of the table for one size: three levels of the upper tail of ||Phi x||^2."""
    W, Phi = initialize(setting, np.random.default_rng(0))
    start = time.perf_counter()
    sample_norms(W, Phi, setting, SAMPLES, np.random.default_rng(1))
    took = time.perf_counter() - start
    law: QuadraticForm = feature_norm_law(Phi, setting)
    out = []
    for z in (2.0, 5.0, 10.0):
        x = law.mean + z * np.sqrt(law.variance)
        p, exact = law.tail(x), seconds(partial(law.tail, x))
        needed = took / SAMPLES * 100 / p
        out.append(f"| {setting.h} | {setting.d} | {p:.1e} | {1e3 * exact:.1f} ms | {took:.1f} s | {needed:.1e} s |")
    return out


if __name__ == "__main__":
    lines = [line for h, d in ((64, 512), (256, 2048)) for line in rows(Setting(h=h, d=d))]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    text = "\n".join(
        [
            "# Tail of ||Phi x||^2: exact law against sampling",
            "",
            f"Exact: relative accuracy 1e-10, median of {REPEATS} runs. Sampling to 10 per cent is extrapolated from "
            f"the run of {SAMPLES} samples, which also gives ||Psi x||^2. The script took {peak:.2f} GiB at most. "
            f"{machine()}; commit {commit()}.",
            "",
            f"| h | d | probability | exact, 1e-10 | {SAMPLES} samples | sampling to 10 % |",
            "|---|---|---|---|---|---|",
            *lines,
            "",
        ]
    )
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
