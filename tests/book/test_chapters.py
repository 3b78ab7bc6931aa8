"""Every chapter under papermill at smoke scale, as a reader runs it: ``papermill book/x.md out.ipynb -p rho 0.02``.

A chapter with code that is not in `CASES` fails a test; so does one whose check accepts what the chapter did not do.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from book_tools import CHAPTERS, ROOT, Scraps, code_cells, is_parameters, scraps, source

from featnorm.claims import CHECKS, REGISTRY


@dataclass(frozen=True)
class Case:
    """How a chapter is run: not with its defaults, and with one value it must refuse.

    ``given`` are the parameters, at least one other than its default; ``refused`` a name and a value out of its range;
    ``check(scraps, given)`` asserts that what the chapter handed over belongs to these parameters.
    """

    given: dict[str, Any]
    refused: tuple[str, Any]
    check: Callable[[Scraps, dict[str, Any]], None]


def claims_of(chapter: str) -> set[str]:
    """Ids of the claims that a chapter has to check."""
    return {id for id in CHECKS if REGISTRY[id].chapter == chapter}


# Such as "eigenvalues": Case({"rho": 0.02}, ("rho", -1), check_eigenvalues).
CASES: dict[str, Case] = {}


def run(name: str, out: Path, parameters: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """papermill as a command, from the root of the repository, at smoke scale."""
    papermill = str(Path(sys.executable).with_name("papermill"))
    options = [word for key, value in parameters.items() for word in ("-p", key, str(value))]
    command = [papermill, f"book/{name}.md", str(out), "--no-progress-bar", *options]
    env = os.environ | {"FEATNORM_SCALE": "smoke"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=600)


def defaults(name: str) -> dict[str, Any]:
    """What a chapter's parameters cell sets."""
    values: dict[str, Any] = {}
    exec(code_cells(name)[0].source, values)  # plain assignments of this repository
    return {k: v for k, v in values.items() if not k.startswith("_")}


def test_every_chapter_with_code_is_in_the_table_and_nothing_else():
    assert set(CASES) == set(CHAPTERS)


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_source(name):
    """What goes wrong without a word: no header, so no execution; parameters that are not first, so not validated."""
    header = yaml.safe_load(source(name).split("---")[1]) if source(name).startswith("---") else {}
    assert header.get("jupytext", {}).get("text_representation", {}).get("format_name") == "myst", "jupytext header"
    cells = code_cells(name)
    assert [is_parameters(c) for c in cells] == [True] + [False] * (len(cells) - 1), (
        "the first code cell, and only it, is tagged parameters"
    )
    assert "checked(" in cells[1].source, "the second code cell validates the parameters"


@pytest.mark.parametrize("name", CASES)
def test_chapter_runs_with_other_parameters(name, tmp_path):
    case = CASES[name]
    assert any(defaults(name)[k] != v for k, v in case.given.items()), "no parameter differs from its default"
    done = run(name, tmp_path / "out.ipynb", case.given)
    assert done.returncode == 0, done.stderr[-4000:]
    found = scraps(tmp_path / "out.ipynb")
    assert found.claims.keys() == claims_of(name)
    assert {i: c["outcome"] for i, c in found.claims.items() if c["outcome"] == "undecided"} == {}
    assert {c["scale"] for c in found.claims.values()} <= {"smoke"}
    case.check(found, case.given)


@pytest.mark.parametrize("name", CASES)
def test_chapter_refuses_a_misspelt_parameter(name, tmp_path):
    done = run(name, tmp_path / "out.ipynb", {f"{next(iter(CASES[name].given))}_": 1})
    assert done.returncode != 0
    assert f"unknown parameter '{next(iter(CASES[name].given))}_' (did you mean" in done.stderr
    for valid, value in defaults(name).items():
        assert f"{valid} = {value!r}" in done.stderr


@pytest.mark.parametrize("name", CASES)
def test_chapter_refuses_a_value_out_of_range(name, tmp_path):
    parameter, value = CASES[name].refused
    done = run(name, tmp_path / "out.ipynb", {parameter: value})
    assert done.returncode != 0
    assert re.search(rf"{parameter} = \S+: must be ", done.stderr)
    for valid in defaults(name):
        assert f"{valid} = " in done.stderr
