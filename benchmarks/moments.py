"""Exact moments against Monte Carlo at equal accuracy, growth with h, and a trajectory: writes benchmarks/moments.md.

Monte Carlo to a relative accuracy of 1e-4 would take hours at large h. Its time is therefore extrapolated from a short
run: the standard error falls like the square root of the number of samples, and the cost is proportional to it.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from timing import REPEATS, seconds

from featnorm.eigen_flow import integrate
from featnorm.matrix_flow import H_diagonal_blocks
from featnorm.normalized_moments import FollowedMoments, diagonal_moments, diagonal_moments_torch
from featnorm.provenance import commit, machine
from featnorm.setting import Setting
from featnorm.surveys import commuting_start

ACCURACY = 1e-4


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


def growth(h: int) -> str:
    """One line of the second table: how the cost grows with h, in NumPy and in PyTorch."""
    w, phi = (part[0] for part in aligned(h))
    took = seconds(lambda: diagonal_moments(w, phi, 1.0, 1e-10))
    on_torch = seconds(lambda: diagonal_moments_torch(torch.as_tensor(w), torch.as_tensor(phi), 1.0, 1e-10))
    nodes = diagonal_moments(w, phi, 1.0, 1e-10).nodes
    return f"| {h} | {nodes} | {1e3 * took:.2f} ms | {1e9 * took / (h * nodes):.1f} ns | {1e3 * on_torch:.2f} ms |"


def trajectory(rtol: float) -> str:
    """One line of the third table: the exact flow at h = 64 to s = 20,000, by CPU time, nodes kept and chosen anew."""
    setting = Setting(h=64, d=128, sigma2=1.0)
    start = commuting_start(setting, np.random.default_rng(0))

    def flow(tolerance: float):
        begin = time.process_time()
        run = integrate(*start, setting, 2e4, "exact", extinct=0.0, rtol=tolerance)
        return time.process_time() - begin, run

    kept, run = flow(rtol)
    moved = FollowedMoments.MOVED
    FollowedMoments.MOVED = -1.0  # no state is near enough: nodes are chosen for each
    anew, _ = flow(rtol)
    FollowedMoments.MOVED = moved
    tight = flow(1e-3 * rtol)[1]
    error = np.abs(run.phi[-1] - tight.phi[-1]).max() / tight.phi[-1].max()
    drift = run.drift()
    return (
        f"| {rtol:g} | {kept:.2f} s | {anew:.2f} s | {anew / kept:.1f} | {error:.0e} | "
        f"{max(drift.Phi, drift.W, drift.balance):.0e} |"
    )


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
        "",
        "## Growth of the cost with h",
        "",
        "Aligned states, accuracy 1e-10; the fourth column is the time over h times the number of nodes.",
        "",
        "| h | nodes | NumPy | a mode and node | PyTorch, CPU |",
        "|---|---|---|---|---|",
        *(growth(4**n) for n in range(2, 9)),
        growth(100_000),
        "",
        "## The exact flow of 64 eigenvalues to s = 20,000",
        "",
        "CPU time with the nodes of the quadrature kept while they serve, and with nodes chosen for every state. Error "
        "of the final phi against a run of a thousandth of the tolerance; drift of the norm and balance laws.",
        "",
        "| rtol | nodes kept | nodes chosen anew | ratio | error | drift |",
        "|---|---|---|---|---|---|",
        *(trajectory(rtol) for rtol in (1e-6, 1e-8)),
    ]
    text = "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
