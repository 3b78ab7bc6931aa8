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

import numpy as np
import pytest
import yaml
from book_tools import CHAPTERS, ROOT, Scraps, code_cells, is_parameters, scraps, source

from featnorm.claims import CHECKS, REGISTRY
from featnorm.eigen_flow import terminal_state
from featnorm.matrix_flow import unclock
from featnorm.setting import Norms, Setting, effective_rank, initialize, norms
from featnorm.surveys import commuting_start


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


def check_intro(found: Scraps, given: dict[str, Any]) -> None:
    """The threshold is that of sigma2; three decays end at one agreement, by the law of the clock."""
    assert found.glued["threshold"] == pytest.approx(1 / (4 * (1 + given["sigma2"])))
    assert found.glued["rho"] == given["rho"]
    assert found.glued["cosine spread"] < 1e-6  # integrator tolerance 1e-8, times 100 for the steps
    assert -1 <= found.glued["l2 strong"] < found.glued["cosine strong"] + 1 <= 2
    assert found.glued["l2 strong size"] < found.glued["l2 weak size"]


def check_model(found: Scraps, given: dict[str, Any]) -> None:
    """The start is the one of these sizes and this seed."""
    setting = Setting(given["h"], given["d"], given["sigma2"], given["rho"])
    W, Phi = initialize(setting, np.random.default_rng(given["seed"]))
    assert found.glued["N_x start"] == pytest.approx(norms(W, Phi).N_x, rel=1e-12)
    assert found.glued["rank start"] == pytest.approx(effective_rank(Phi @ Phi.T), rel=1e-12)
    assert found.claims["eq-1"]["evidence"]["seed"] == given["seed"]


def check_gradient_flow(found: Scraps, given: dict[str, Any]) -> None:
    """The norm law holds along the strongest decay of these parameters; zero drift would mean that nothing ran."""
    assert 0 < found.glued["norm drift"] < 1e-6
    assert found.claims["lemma-1"]["evidence"]["seed"] == given["seed"]


def check_eigenvalues(found: Scraps, given: dict[str, Any]) -> None:
    """The boundary of the regimes, against the roots that NumPy finds on its two sides."""
    N = Norms(given["N_Phi"], 1.0, given["N_x"])

    def positive(rho: float) -> int:
        a, scale = 2.0, N.N_Phi * N.N_Psi
        roots = np.roots([-2 / (scale * N.N_Psi**2), 0, 0, -N.N_x / N.N_Psi**2, 1 / scale, -rho * a])
        return int(np.sum((roots.real > 0) & (np.abs(roots.imag) < 1e-9)))

    rho_c = found.glued["rho_c"]
    assert (positive(0.999 * rho_c), positive(1.001 * rho_c)) == (2, 0)
    assert found.glued["regime"] == ("Acute" if given["rho"] < rho_c else "Collapse")
    assert found.glued["ends at"] == pytest.approx(found.glued["w_up"], rel=1e-3)
    assert found.glued["extinct"] == 2


def check_exact_moments(found: Scraps, given: dict[str, Any]) -> None:
    """The exact flow keeps the norm law; the orders of the closures in an aligned state; a run of this length."""
    assert found.glued["exact drift"] < 1e-5
    assert found.glued["aligned second_order"] < found.glued["aligned leading"] < found.glued["aligned paper"]
    assert 0 < found.glued["paper end"] <= float(unclock(given["s_end"], given["rho"]))


def check_survivors(found: Scraps, given: dict[str, Any]) -> None:
    """The prediction is the one for the start of these sizes and this seed."""
    setting = Setting(given["h"], 2 * given["h"], 1.0, given["rho"])
    w, phi = commuting_start(setting, np.random.default_rng(given["seed"]))
    end = terminal_state(w, phi)
    assert found.glued["survivors"] == int(np.sum(end.phi > 0))
    assert found.glued["w_bar"] == pytest.approx(end.w_bar, rel=1e-12)
    assert 0 <= found.glued["distance"] <= 2
    assert found.claims["beyond-survivors"]["evidence"]["kind"] == "archived"


def check_first_run(found: Scraps, given: dict[str, Any]) -> None:
    """The norm law at the end of a run of this length, and regimes that follow from the glued ratio."""
    # 3 steps an epoch at smoke scale; momentum 0.9 multiplies time by ten; the annealed rates have mean (E + 1) / 2E.
    base, E = given["lr"] * given["batch"] / 256, given["epochs"]
    assert found.glued["norm law"] == pytest.approx(np.exp(-given["rho"] * 10 * base * 3 * (E + 1) / 2), rel=1e-6)
    assert found.glued["first regime"] == ("Acute" if found.glued["rho_c ratio"] > 1 else "Collapse")
    assert found.glued["N_x first"] < found.glued["N_x last"] <= 1
    assert 1 <= found.glued["survivors"] <= given["h"]


def check_relatives(found: Scraps, given: dict[str, Any]) -> None:
    """The thresholds are those of sigma2; the clock holds where the size is not seen, and there only."""
    assert found.glued["critical BYOL, L2"] == pytest.approx(1 / (4 * (1 + given["sigma2"])))
    errors = {name.removeprefix("clock "): value for name, value in found.glued.items() if name.startswith("clock ")}
    holds = {name for name, error in errors.items() if error < 1e-5}  # integrator tolerance 1e-7, times 100
    assert holds == {"SimSiam, cosine", "DirectPred, cosine", "IsoLoss, cosine", "Barlow Twins"}
    assert found.glued["norm IsoLoss, cosine"] > 1e-4 > found.glued["norm BYOL, cosine"]
    assert found.glued["lag 0.5"] > found.glued["lag 2"] > found.glued["lag 10"]


# --- Concentration


# --- From matrices to eigenvalues


# --- Equilibria at frozen norms


CASES: dict[str, Case] = {
    "intro": Case({"rho": 0.5, "sigma2": 0.5, "seed": 3}, ("rho", -1), check_intro),
    "model": Case({"h": 8, "d": 24, "sigma2": 2.0, "rho": 0.01, "seed": 5}, ("sigma2", 0), check_model),
    "gradient_flow": Case({"rho": 0.8, "h": 7, "seed": 2}, ("h", 0), check_gradient_flow),
    "eigenvalues": Case({"rho": 0.05, "N_Phi": 2.0, "N_x": 0.5, "seed": 4}, ("N_x", 1.5), check_eigenvalues),
    # Concentration
    # From matrices to eigenvalues
    "exact_moments": Case({"h": 12, "rho": 0.01, "s_end": 400.0, "seed": 2}, ("s_end", 0), check_exact_moments),
    # Equilibria at frozen norms
    # Where the flow goes
    "survivors": Case({"h": 10, "rho": 0.05, "seed": 3}, ("h", 2.5), check_survivors),
    "relatives": Case({"h": 5, "sigma2": 0.5, "weak": 0.1, "strong": 0.4, "seed": 3}, ("beta", 0), check_relatives),
    "first_run": Case(
        {"rho": 0.05, "h": 12, "d": 40, "lr": 0.05, "batch": 128, "epochs": 30, "seed": 1},
        ("rho", -0.1),
        check_first_run,
    ),
}


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
