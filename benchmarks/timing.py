"""How the benchmarks time a function: one place, so that their tables can be compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

REPEATS = 7


def seconds(
    function: Callable[[], object], repeats: int = REPEATS, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Median time of ``repeats`` calls, after one that is not counted; ``clock`` tells wall time or CPU time."""
    function()
    times = []
    for _ in range(repeats):
        start = clock()
        function()
        times.append(clock() - start)
    return median(times)
