"""A build that was killed leaves nothing behind that a later one uses: ``make interrupted`` (minutes).

A small book is killed with SIGKILL at five random moments of its making, one build after another, each on what the kill
before left. Then it is built in peace. The pages must be, byte by byte, those of a build that was never interrupted,
but for what differs from build to build (`small_book.comparable`).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from small_book import build, log, small_book, start

pytestmark = pytest.mark.slow

KILLS, SEED = 5, 0


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    return small_book(tmp_path_factory.mktemp("interrupted"))


def test_what_kills_leave_does_not_change_the_book(project):
    began = time.monotonic()
    expected = build(project)
    whole = time.monotonic() - began
    assert any(b"some s" in content for content in expected.values()), "the claim boxes print their seconds"
    shutil.rmtree(project / "_build")

    rng, kills = random.Random(SEED), []
    while len(kills) < KILLS:
        process = start(project)
        moment = rng.uniform(0.0, whole)
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the kernels have sessions of their own; they end without a parent
            process.wait()
            kills.append(moment)
            assert not (project / "_build" / "html").exists(), f"half a book, {moment:.1f} s after the start"
        else:  # it was faster than the first one and is done: begin again from nothing
            assert process.returncode == 0, log(project)[-4000:]
            shutil.rmtree(project / "_build")

    again = build(project)
    assert again.keys() == expected.keys()
    assert [name for name in expected if again[name] != expected[name]] == []
