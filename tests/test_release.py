"""What a release needs: one version everywhere, lowest versions that can be read, workflows that call what exists."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import featnorm

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".ci" / "requirements.py"


def requirements():
    spec = importlib.util.spec_from_file_location("requirements", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_version_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert featnorm.__version__ == citation["version"] and newest
    assert newest[1] in (featnorm.__version__, "Unreleased")


def test_every_requirement_has_a_lowest_version():
    command = [sys.executable, SCRIPT, "test", "images", "sweep", "book"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(run.stdout.split()) > 20
    assert all(re.fullmatch(r"[A-Za-z0-9_.\[\]-]+==[0-9][0-9a-z.]*", line) for line in run.stdout.splitlines())


def test_a_requirement_without_a_lowest_version_and_an_unknown_extra_are_named():
    assert requirements().lowest(["a>=1.2,<3", "b[c]>=4", "d==5.0"]) == ["a==1.2", "b[c]==4", "d==5.0"]
    for bad in ("numpy", "numpy<3", "numpy>1"):
        with pytest.raises(ValueError, match=re.escape(f"{bad}: has no lower bound")):
            requirements().lowest(["scipy>=1.1", bad])
    run = subprocess.run([sys.executable, SCRIPT, "tests"], capture_output=True, text=True)
    assert run.returncode and run.stderr.startswith("no extra tests: must be of book,")


@pytest.mark.parametrize("path", sorted(ROOT.glob(".github/workflows/*.yml")), ids=lambda p: p.stem)
def test_a_workflow_calls_what_exists(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for job in workflow["jobs"].values():
        assert set(job.get("needs", "").split()) <= set(workflow["jobs"])
        if "uses" in job:
            assert (ROOT / job["uses"]).is_file()
            continue
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            for call in step.get("run", "").splitlines():
                words = call.replace("${{ matrix.versions }}", "lowest").split()
                assert (words[0] == "make" and words[1] in targets) or (ROOT / words[0]).is_file(), call


def test_binder_and_colab_name_files_that_exist():
    notebook = json.loads((ROOT / ".binder" / "colab.ipynb").read_text(encoding="utf-8"))
    code = "\n".join("".join(cell["source"]) for cell in notebook["cells"])
    (chapter,) = re.findall(r'CHAPTER = "(\w+)"', code)
    assert (ROOT / "book" / f"{chapter}.md").is_file()
    lines = (ROOT / ".binder" / "requirements.txt").read_text(encoding="utf-8").split("\n")
    assert "-c ../constraints.txt" in lines and "-e .[images]" in lines
