"""environment.yml, pyproject.toml and constraints.txt say the same thing, and pip agrees."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
CONDA = [d for d in ENVIRONMENT["dependencies"] if isinstance(d, str)]
PIP = next(d["pip"] for d in ENVIRONMENT["dependencies"] if isinstance(d, dict))
LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PINS = {canonicalize_name(r.name): r for r in (Requirement(line) for line in LINES if line and line[0] != "#")}
DECLARED = [
    Requirement(text)
    for text in PROJECT["dependencies"] + [r for extra in PROJECT["optional-dependencies"].values() for r in extra]
]


def test_conda_lists_only_what_pip_cannot_bring():
    assert {re.split(r"[=<>! ]", d)[0] for d in CONDA} == {"python", "pip", "make"}


def test_python_versions_agree():
    (version,) = [d.split("=", 1)[1] for d in CONDA if d.startswith("python=")]
    # conda and setup-python take the newest patch
    assert SpecifierSet(PROJECT["requires-python"]).contains(version + ".99")
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["book"]["steps"]
    assert [s["with"]["python-version"] for s in steps if "setup-python" in s.get("uses", "")] == [version]


def test_pip_section_defers_to_pyproject_and_constraints():
    assert PIP == ["-c constraints.txt", f"-e .[{','.join(PROJECT['optional-dependencies'])}]"]


def test_make_installs_what_environment_yml_installs():
    assert PIP[1].replace("-e ", "-e '") + "'" in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("pin", PINS.values(), ids=str)
def test_pins_are_exact_and_public(pin):
    (spec,) = pin.specifier
    assert spec.operator == "==" and "*" not in spec.version
    assert "+" not in spec.version, "a local version such as +cpu is on no registry"
    assert pin.url is None and not pin.extras


@pytest.mark.parametrize("req", DECLARED, ids=str)
def test_every_declared_dependency_is_pinned_compatibly(req):
    (spec,) = PINS[canonicalize_name(req.name)].specifier
    assert req.specifier.contains(spec.version, prereleases=True)


def installed():
    """Distributions of this environment, without this project and what a fresh venv has."""
    have = {canonicalize_name(d.metadata["Name"]): d.version.split("+")[0] for d in distributions()}
    return {n: v for n, v in have.items() if n not in {"featnorm", "pip", "setuptools", "wheel"}}


def test_installed_is_what_is_pinned():
    wrong = {n: v for n, v in installed().items() if n in PINS and not PINS[n].specifier.contains(v, prereleases=True)}
    assert not wrong, f"not at the pinned version: {wrong}; run make install"


def test_every_package_a_declared_one_brings_is_pinned():
    """Walks the installed requirements, so that an unpinned package cannot change the book unnoticed."""
    requires = {canonicalize_name(d.metadata["Name"]): d.requires or [] for d in distributions()}
    todo = [(canonicalize_name(r.name), frozenset(r.extras)) for r in DECLARED]
    seen = set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen or name not in requires:
            continue
        seen.add((name, extras))
        for req in map(Requirement, requires[name]):
            if req.marker is None or any(req.marker.evaluate({"extra": e}) for e in extras | {""}):
                todo.append((canonicalize_name(req.name), frozenset(req.extras)))
    # CUDA packages come with the default PyTorch of Linux only and are fixed by its own exact requirements;
    # setuptools and wheel are tools that pip freeze leaves out.
    unpinned = {n for n, _ in seen} - set(PINS) - {"setuptools", "wheel"}
    assert not {n for n in unpinned if not n.startswith(("nvidia-", "cuda-")) and n != "triton"}


def test_pip_accepts_the_pip_section(tmp_path):
    # Paths in a requirements file are read from the current folder or, for -c, from the file's: as conda does it, the
    # file lies beside environment.yml (git ignores it).
    file = ROOT / ".env-pip-check.txt"
    file.write_text("\n".join(PIP) + "\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--no-build-isolation"]
    try:
        done = subprocess.run(
            [*pip, "-r", file.name], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
        )
    finally:
        file.unlink()
    assert done.returncode == 0, done.stderr
    would = [line for line in done.stdout.splitlines() if line.startswith("Would install")]
    assert all(line.split()[2].startswith("featnorm-") and len(line.split()) == 3 for line in would), would
