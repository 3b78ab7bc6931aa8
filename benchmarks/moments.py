"""Exact moments against Monte Carlo at equal accuracy, in the same run: ``make bench`` writes benchmarks/moments.md.

Monte Carlo to a relative accuracy of 1e-4 would take hours at large h. Its time is therefore extrapolated from a short
run: the standard error falls like the square root of the number of samples, and the cost is proportional to it.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import numpy as np

from featnorm.matrix_flow import H_diagonal_blocks
from featnorm.normalized_moments import diagonal_moments
from featnorm.provenance import commit, machine
from featnorm.setting import Setting

REPEATS, ACCURACY = 7, 1e-4


def seconds(function) -> float:
    """Median wall time of REPEATS calls, after one that is not counted."""
    function()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return median(times)


def row(h: int) -> str:
    """One line of the table: an aligned state of size h (it needs no random matrix, so any size is cheap)."""
    rng = np.random.default_rng(0)
    setting = Setting(h=h, d=2 * h)
    w, phi = aligned(h)
    coarse = seconds(lambda: diagonal_moments(w[0], phi[0], setting, ACCURACY))
    fine = seconds(lambda: diagonal_moments(w[0], phi[0], setting, 1e-10))
    start = time.perf_counter()
    blocks = H_diagonal_blocks(w, phi, setting, max(640, 20_000_000 // h), rng)[:, 0]
    took = time.perf_counter() - start
    # In the unit of the quadrature's accuracy, the largest E omega_j^2, here by its limit w^2 phi / ||Psi||^2.
    share = w[0] ** 2 * phi[0]
    error = np.max(blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks))) / (share.max() / share.sum())
    carlo = took * (error / ACCURACY) ** 2
    return f"| {h} | {1e3 * coarse:.2f} ms | {1e3 * fine:.2f} ms | {carlo:.3g} s | {carlo / coarse:.1e} |"


def aligned(h: int):
    """(w, phi), each (1, h), of the aligned state of `featnorm.claims.lemma_4.commuting_states`."""
    even = 1.0 + 0.3 * np.sqrt(3) * np.linspace(-1, 1, h)[None, :]
    return even, even**2


if __name__ == "__main__":
    lines = [
        "# H in an aligned state: exact quadrature against Monte Carlo",
        "",
        f"Median of {REPEATS} runs. Accuracy is relative to the largest E omega_j^2, for Monte Carlo as a standard "
        f"error; its time is extrapolated from a short run. {machine()}; commit {commit()}.",
        "",
        f"| h | quadrature, {ACCURACY:g} | quadrature, 1e-10 | Monte Carlo, {ACCURACY:g} | ratio |",
        "|---|---|---|---|---|",
        *(row(h) for h in (64, 1024, 65536)),
    ]
    text = "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
