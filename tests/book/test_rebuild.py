"""Building again, without doctrees and with the execution cache of the first build, runs no chapter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from book_tools import CHAPTERS, ROOT


@pytest.fixture(scope="module")
def log(build_record, tmp_path_factory) -> str:
    """What a second build prints. It goes to a folder of its own, so the book under test stays as it is."""
    out = tmp_path_factory.mktemp("rebuild")
    command = [
        str(Path(sys.executable).with_name("jupyter-book")),
        "build",
        str(ROOT),
        "--path-output",
        str(out),
        "-W",
        "-n",
    ]
    env = os.environ | {"FEATNORM_SCALE": build_record["scale"]}
    if not (ROOT / "_build" / ".jupyter_cache" / build_record["key"]).is_dir():
        pytest.fail("the execution cache of the built book is gone: run make book")
    done = subprocess.run([*command, "--keep-going"], env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    (key,) = re.findall(r"Using jupyter-cache at: \S*?([0-9a-f]{16})\s", done.stdout)
    shutil.rmtree(out)
    if key != build_record["key"]:
        pytest.fail("lib/, book/results/ or constraints.txt changed since the book was built: run make book")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)


def test_no_chapter_is_executed(log):
    assert re.findall(r"^.*Execut(?:ing|ed) notebook.*$", log, flags=re.MULTILINE) == []


def test_every_chapter_comes_from_the_cache(log):
    assert len(re.findall(r"Using cached notebook", log)) == len(CHAPTERS)
