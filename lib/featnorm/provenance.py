"""Where a number or a figure comes from: the commit and the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import lru_cache
from pathlib import Path

import featnorm


@lru_cache(maxsize=1)
def commit() -> str:
    """The short hash of the commit of this checkout, with ``+`` if lib/ differs from it; the version outside git."""
    root = Path(featnorm.__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=10", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return f"version {featnorm.__version__}"


def machine() -> str:
    """Kind of processor, number of usable cores, Python version; no name or address.

    >>> "core" in machine()
    True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.machine()}, {cores} cores, Python {platform.python_version()}"
