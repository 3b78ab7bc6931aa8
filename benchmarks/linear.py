"""Linear SimSiam: the fast engine against the loop of the official code; writes benchmarks/linear.md.

Run it with OMP_NUM_THREADS=1, so that no idle thread spins; the number of PyTorch's threads is set here.

All ways are timed in turn in one process, so that other work on the machine meets them all: on one thread by CPU time,
on two by wall time. A step is the difference of a longer and a shorter run over the difference of their steps, so that
the start does not count.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from timing import REPEATS

from featnorm.provenance import commit, machine
from featnorm.simsiam.fast import train_many
from featnorm.simsiam.linear import LinearConfig, learning_rate, train

FULL = LinearConfig(h=64, d=512, batch=512, epochs=1, dtype="float32", record_every=10**6)


def official(config: LinearConfig) -> None:
    """The training loop of the SimSiam repository with its modules, the images replaced by fresh Gaussian vectors."""
    encoder, head = torch.nn.Linear(config.d, config.h, bias=False), torch.nn.Linear(config.h, config.h, bias=False)
    criterion = torch.nn.CosineSimilarity(dim=1)
    weights = [*encoder.parameters(), *head.parameters()]
    sgd = torch.optim.SGD(weights, learning_rate(config, 0), momentum=config.momentum, weight_decay=config.rho)
    for _ in range(config.steps):
        anchor = torch.randn(config.batch, config.d)
        x1, x2 = (anchor + config.sigma2**0.5 * torch.randn(config.batch, config.d) for _ in range(2))
        z1, z2 = encoder(x1), encoder(x2)
        p1, p2 = head(z1), head(z2)
        loss = -(criterion(p1, z2.detach()).mean() + criterion(p2, z1.detach()).mean()) * 0.5
        sgd.zero_grad()
        loss.backward()
        sgd.step()


def engine(runs: int, sampler: str = "law", compiled: bool = False) -> Callable[[LinearConfig], object]:
    return lambda config: train_many(
        [replace(config, seed=seed) for seed in range(runs)], sampler=sampler, compiled=compiled
    )


def a_step(function: Callable[[LinearConfig], object], config: LinearConfig, steps: int) -> float:
    """Seconds a step, from runs of 2 and of 2 + ``steps`` steps."""
    took, clock = [], time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    for number in (2, 2 + steps):
        start = clock()
        function(replace(config, steps_per_epoch=number))
        took.append(clock() - start)
    return (took[1] - took[0]) / steps


def rounds(ways: dict[str, tuple[Callable[[LinearConfig], object], int, int]], config: LinearConfig) -> dict:
    """Seconds a step and run of every way in turn, REPEATS times; a way is a function, its runs and its steps."""
    for function, _, _ in ways.values():
        function(replace(config, steps_per_epoch=2))
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, (function, runs, steps) in ways.items():
            found[name].append(a_step(function, config, steps) / runs)
    return {name: np.array(times) for name, times in found.items()}


def spread(values: np.ndarray, digits: str = ".2f") -> str:
    low, middle, high = np.percentile(values, (25, 50, 75))
    return f"{middle:{digits}} ({low:{digits}} to {high:{digits}})"


def against_official(threads: int) -> list[str]:
    if threads > 1 and os.getloadavg()[0] > 1.5:
        return [f"| every way | {threads} | not measured: other work had the cores | |"]
    torch.set_num_threads(threads)
    ways = {
        "official loop": (official, 1, 20),
        "`train_many`, law, one run": (engine(1), 1, 40),
        "`train_many`, law, 64 runs": (engine(64), 64, 6),
        "`train_many`, law, compiled, one run": (engine(1, compiled=True), 1, 40),
        "`train_many`, law, compiled, 64 runs": (engine(64, compiled=True), 64, 6),
    }
    if threads == 1:
        ways |= {
            "`linear.train`": (train, 1, 20),
            "`train_many`, views, one run": (engine(1, "views"), 1, 20),
            "`train_many`, law, 8 runs, float64": (lambda c: engine(8)(replace(c, dtype="float64")), 8, 6),
        }
    found = rounds(ways, FULL)
    return [
        f"| {name} | {threads} | {spread(1e3 * took)} | {spread(found['official loop'] / took, '.1f')} |"
        for name, took in found.items()
    ]


def peaks() -> list[str]:
    """What one thread reaches alone, against what a step of the engine at full size would need of it."""
    torch.set_num_threads(1)
    h, n = FULL.h, FULL.batch
    A, B, C, D = torch.randn(2 * n, h), torch.randn(h, 2 * n), torch.randn(4, h, h).double(), torch.empty(2 * n * h)
    out = torch.empty(h, h)
    S = C @ C.mT + h * torch.eye(h).double()

    def product() -> None:
        torch.mm(B, A, out=out)

    def algebra() -> None:
        for _ in range(8):
            torch.bmm(C, C)
        for _ in range(4):
            torch.linalg.solve_triangular(S, C, upper=False)
        for _ in range(3):
            torch.linalg.cholesky_ex(S)

    engine(8, compiled=True)(replace(FULL, steps_per_epoch=2))  # waits for the compiler
    parts, whole = ("normals", "products", "algebra"), ("step", "compiled", "official")
    times: dict[str, list[float]] = {name: [] for name in (*parts, *whole)}
    pieces = {"normals": (D.normal_, 1.0), "products": (product, 4.0), "algebra": (algebra, 0.25)}
    for _ in range(REPEATS):
        for name, (function, share) in pieces.items():
            function()
            start = time.process_time()
            for _ in range(40):
                function()
            times[name].append(share * (time.process_time() - start) / 40)
        times["step"].append(a_step(engine(8), FULL, 20) / 8)
        times["compiled"].append(a_step(engine(8, compiled=True), FULL, 20) / 8)
        times["official"].append(a_step(official, FULL, 20))
    step, compiled, loop = (np.array(times[name]) for name in whole)
    floor = np.sum([times[name] for name in pieces], axis=0)
    without = floor - np.array(times["algebra"])
    what = {
        "normals": f"{2 * n * h:,} normals in float32",
        "products": f"eight products of batch x h x h in float32, {16e-6 * n * h * h:.0f} MFLOP",
        "algebra": "h x h algebra in float64: eight products, four triangular solutions, three factorisations",
    }
    rates = {
        "normals": lambda t: f"{2e-6 * n * h / t:.0f} million a second",
        "products": lambda t: f"{16e-9 * n * h * h / t:.0f} GFLOP/s",
        "algebra": lambda t: "",
    }
    rows = [
        f"| {what[name]} | {1e3 * np.median(times[name]):.2f} | {rates[name](np.median(times[name]))} | "
        f"{spread(100 * np.array(times[name]) / step, '.0f')} % |"
        for name in pieces
    ]
    return [
        *rows,
        f"| the whole step, a run of eight | {spread(1e3 * step)} | | 100 % |",
        f"| the same compiled | {spread(1e3 * compiled)} | | {spread(100 * compiled / step, '.0f')} % |",
        "",
        f"The official loop takes {spread(loop / step, '.1f')} times as long as the whole step in these rounds, and "
        f"{spread(loop / floor, '.1f')} times as long as the three parts together. That is the most these parts allow, "
        f"whatever happens to the rest; the compiled step reaches {spread(loop / compiled, '.1f')}. If the algebra "
        f"cost nothing it would be {spread(loop / without, '.1f')} times. The aims were 5 times for one run and 10 "
        "times a run in a batch.",
    ]


def growth(name: str, configs: list[LinearConfig], runs: list[int]) -> str:
    """Microseconds a step and run over a range of one size, and the slope of its upper half on log-log scale."""
    torch.set_num_threads(1)
    took = []
    for config, count in zip(configs, runs):
        steps = max(6, int(0.1 / (count * 1e-5 * (1 + config.h * config.batch / 300))))
        function = engine(count)
        function(replace(config, steps_per_epoch=2))
        took.append(1e6 * np.median([a_step(function, config, min(steps, 100)) / count for _ in range(3)]))
    sizes = runs if name == "runs" else [getattr(config, name) for config in configs]
    half = len(sizes) // 2
    slope = np.polyfit(np.log(sizes[half:]), np.log(took[half:]), 1)[0]
    cells = ", ".join(f"{size}: {t:.0f}" for size, t in zip(sizes, took))
    return f"| {name} | {cells} | {slope:.2f} |"


if __name__ == "__main__":
    base = replace(FULL, h=32, d=128, batch=64)
    lines = [
        "# Linear SimSiam: the fast engine against the official loop",
        "",
        f"h = {FULL.h}, d = {FULL.d}, batch {FULL.batch}, cosine loss, float32 unless said. Milliseconds a step and "
        "run (CPU time on one thread, wall time on two), and the official loop's time over it in the same round: "
        f"median of {REPEATS} interleaved rounds "
        "(quartiles). The official loop is autograd with nn.CosineSimilarity, torch.optim.SGD and fresh views at each "
        "step. Every run draws random numbers of its own: none are shared. "
        f"{machine()}; PyTorch {torch.__version__}; commit {commit()}.",
        "",
        "| way | threads | ms a step and run | times as fast as the official loop |",
        "|---|---|---|---|",
        *(line for threads in (1, 2) for line in against_official(threads)),
        "",
        "## What limits it",
        "",
        "The parts of a step that no reordering removes, each alone at its best on one thread, in milliseconds and "
        "as a share of the step. The rest is passes over the features (norms, cosines, gradients) and PyTorch's calls.",
        "",
        "| part | ms | rate | share of the step |",
        "|---|---|---|---|",
        *peaks(),
        "",
        "## How the cost grows",
        "",
        f"Microseconds a step and run on one thread, law sampler, 16 runs unless said. From h = {base.h}, "
        f"d = {base.d}, batch {base.batch} one size varies (d = 4 h where h does). Slope of the upper half.",
        "",
        "| size | cost | slope |",
        "|---|---|---|",
        growth("h", [replace(base, h=h, d=4 * h) for h in (4, 8, 16, 32, 64, 128)], [16] * 5 + [4]),
        growth("d", [replace(base, d=d) for d in (64, 128, 256, 512, 1024, 2048)], [16] * 6),
        growth("batch", [replace(base, batch=n) for n in (4, 8, 16, 32, 64, 128, 256, 512)], [16] * 8),
        growth("runs", [base] * 6, [1, 2, 4, 8, 16, 32]),
    ]
    text = "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
