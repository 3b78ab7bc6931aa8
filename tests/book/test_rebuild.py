"""Building again, without doctrees and with the execution cache of the first build, runs no chapter."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from book_tools import CHAPTERS, ROOT


def key() -> str:
    """The key of the execution cache as things stand, from the extension itself."""
    spec = importlib.util.spec_from_file_location("execution_cache", ROOT / "book" / "_ext" / "execution_cache.py")
    extension = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extension)
    return extension.key(ROOT)


@pytest.fixture(scope="module")
def log(build_record, tmp_path_factory) -> str:
    """What a second build prints. It goes to a folder of its own, so the book under test stays as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATNORM_SCALE", build_record["scale"])
        if key() != build_record["key"]:
            pytest.fail("lib/, book/results/ or constraints.txt changed since the book was built: run make book")
        if not (ROOT / "_build" / ".jupyter_cache" / build_record["key"]).is_dir():
            pytest.fail("the execution cache of the built book is gone: run make book")
        out = tmp_path_factory.mktemp("rebuild")
        command = [Path(sys.executable).with_name("jupyter-book"), "build", ROOT, "--path-output", out]
        options = ["-W", "-n", "--keep-going"]
        done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    shutil.rmtree(out)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)


def test_no_chapter_is_executed(log):
    assert re.findall(r"^.*[Ee]xecut(?:ing|ed) (?:notebook|in).*$", log, flags=re.MULTILINE) == []


def test_every_chapter_comes_from_the_cache(log):
    assert len(re.findall(r"Using cached notebook", log)) == len(CHAPTERS)
