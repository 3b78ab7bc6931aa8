"""All equilibria of Eq. 7 for many parameter sets, three ways in the same run; writes benchmarks/equilibria.md.

`classify` against a loop over `numpy.roots` and against one batch of companion matrices (`numpy.linalg.eigvals`). All
three must give the same number of equilibria and the same roots; sets nearer than 1e-3 to the fold are left out, since
there the eigenvalues of a companion matrix lose half of their digits and the count with them.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from timing import seconds

from featnorm.equilibria import certified_equilibria, classify, rational_field
from featnorm.provenance import commit, machine
from featnorm.setting import Norms, Setting

SETS, LOOP, CERTIFIED, REPEATS = 1_000_000, 10_000, 100_000, 3
#: A computed root counts as real below this ratio of imaginary part to size.
REAL = 1e-7


def parameters(n: int) -> tuple[np.ndarray, ...]:
    """(N_Phi, N_Psi, N_x, sigma2, rho), each (n,): two decades of the norms, rho around its critical value."""
    rng = np.random.default_rng(0)
    N_Phi, N_Psi = 10.0 ** rng.uniform(-1, 1, (2, n))
    N_x, sigma2 = rng.uniform(-1, 1, n), 10.0 ** rng.uniform(-1, 1, n)
    ratio = classify(N_Phi, N_Psi, N_x, sigma2, 1.0).rho_ratio  # 1 over the critical weight decay
    distance = rng.choice([-1, 1], n) * np.exp(rng.uniform(np.log(1e-3), 0.0, n))
    return N_Phi, N_Psi, N_x, sigma2, np.exp(distance) / ratio


def coefficients(N_Phi, N_Psi, N_x, sigma2, rho) -> np.ndarray:
    """Of the quintic whose roots are the non-zero equilibria, (n, 6), highest degree first."""
    zero = np.zeros_like(N_Phi)
    columns = [
        -2 / (N_Phi * N_Psi**3), zero, zero, -N_x / N_Psi**2, 1 / (N_Phi * N_Psi), -rho * (1 + sigma2)
    ]  # fmt: skip
    return np.stack(columns, axis=1)


def by_loop(rows: np.ndarray) -> list[np.ndarray]:
    """The real roots of each row, sorted, by numpy.roots."""
    found = (np.roots(row) for row in rows)
    return [np.sort(r[np.abs(r.imag) <= REAL * np.abs(r)].real) for r in found]


def by_companions(rows: np.ndarray) -> np.ndarray:
    """All roots (n, 5), from one batch of companion matrices."""
    matrices = np.zeros((len(rows), 5, 5))
    matrices[:, 0] = -rows[:, 1:] / rows[:, :1]
    matrices[:, range(1, 5), range(4)] = 1.0
    return np.linalg.eigvals(matrices)


def certified_disagreements(sets: tuple[np.ndarray, ...]) -> tuple[int, float]:
    """How many sets certified enclosures classify otherwise than `classify`, and the CPU seconds they took."""
    found = classify(*sets)
    start, different = time.process_time(), 0
    for i, (N_Phi, N_Psi, N_x, sigma2, rho) in enumerate(np.stack(sets, axis=1).tolist()):
        setting = Setting(h=1, d=1, sigma2=sigma2, rho=rho)
        different += len(certified_equilibria(rational_field(Norms(N_Phi, N_Psi, N_x), setting))) != found.count[i]
    return different, time.process_time() - start


if __name__ == "__main__":
    sets = parameters(SETS)
    rows = coefficients(*sets)
    ours, loop, batch = classify(*sets), by_loop(rows[:LOOP]), by_companions(rows[:LOOP])
    nonzero = np.delete(ours.w, 1, axis=1)
    worst = 0.0
    for i in range(LOOP):
        mine = nonzero[i][~np.isnan(nonzero[i])]
        theirs = np.sort(batch[i][np.abs(batch[i].imag) <= REAL * np.abs(batch[i])].real)
        assert len(mine) == len(loop[i]) == len(theirs), i
        worst = max(worst, *np.abs(mine / loop[i] - 1), *np.abs(mine / theirs - 1))
    fast = seconds(lambda: classify(*sets), REPEATS, time.process_time)
    slow = seconds(lambda: by_loop(rows[:LOOP]), REPEATS, time.process_time) * SETS / LOOP
    companions = seconds(lambda: by_companions(rows[:LOOP]), REPEATS, time.process_time) * SETS / LOOP
    different, certified = certified_disagreements(tuple(x[:CERTIFIED] for x in sets))
    lines = [
        "# All equilibria of Eq. 7: one million parameter sets",
        "",
        f"CPU time, median of {REPEATS} runs; the other two were timed on {LOOP:,} of the same sets and scaled up. On "
        f"these all three find the same number of equilibria, and roots that differ by at most {worst:.0e}, relative; "
        f"stabilities come from `classify` alone. {machine()}; commit {commit()}.",
        "",
        "| method | seconds | ratio |",
        "|---|---|---|",
        f"| `featnorm.equilibria.classify` | {fast:.2f} | 1 |",
        f"| one batch of companion matrices, `numpy.linalg.eigvals` | {companions:.1f} | {companions / fast:.0f} |",
        f"| loop over `numpy.roots` | {slow:.1f} | {slow / fast:.0f} |",
        "",
        f"Certified enclosures of all roots (python-flint) of {CERTIFIED:,} of the sets took {certified:.0f} s; they "
        f"disagree with `classify` in {different}.",
    ]
    text = "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
