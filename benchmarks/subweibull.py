"""Orlicz norms against SciPy's integrator at equal accuracy, in the same run; writes benchmarks/subweibull.md.

The alternative integrates the density of |X| with `scipy.integrate.quad` for every trial value of the norm. Both solve
for the root with `scipy.optimize.brentq`.
"""

from __future__ import annotations

import math
from pathlib import Path

from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import k0e
from timing import REPEATS, seconds

from featnorm.provenance import commit, machine
from featnorm.subweibull import Law, exponential, gaussian, gaussian_product, norm

ACCURACY = 1e-11
BETA = 0.7  # below the index of every law here, where no closed form is at hand

LAWS = (
    (gaussian(), lambda x: 0.5 * math.log(2 / math.pi) - x * x / 2),
    (exponential(), lambda x: -x),
    (gaussian_product(), lambda x: math.log(2 / math.pi * k0e(x)) - x),
)


def by_quad(log_density) -> float:
    """The norm at index BETA from the density of |X|."""

    def excess(eta: float) -> float:
        def summand(u: float) -> float:
            x = math.exp(u)
            return math.exp(log_density(x) + (x / eta) ** BETA + u)

        return quad(summand, -40.0, 6.0, points=[-3.0, 0.0, 2.0], epsabs=ACCURACY, epsrel=ACCURACY, limit=200)[0] - 2

    return brentq(excess, 0.5, 10.0, rtol=ACCURACY)


def row(law: Law, log_density) -> str:
    """One line of the table."""
    gap = abs(by_quad(log_density) / norm(law, BETA) - 1)
    # a fresh law each time, so that no grid is kept from the call before
    ours = seconds(lambda: norm(Law(law.name, lambda x: law.log_tail(x), law.index, law.scale), BETA))
    theirs = seconds(lambda: by_quad(log_density))
    return f"| {law.name} | {1e3 * ours:.2f} ms | {1e3 * theirs:.1f} ms | {theirs / ours:.1f} | {gap:.0e} |"


if __name__ == "__main__":
    lines = [
        f"# Orlicz norms at index {BETA}: the library against scipy.integrate.quad",
        "",
        f"Median of {REPEATS} runs, accuracy {ACCURACY:g} asked of both. {machine()}; commit {commit()}.",
        "",
        "| law | library | quad and brentq | ratio | relative difference |",
        "|---|---|---|---|---|",
        *(row(law, log_density) for law, log_density in LAWS),
    ]
    text = "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
