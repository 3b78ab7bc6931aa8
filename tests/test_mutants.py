"""Mutation testing itself: what it changes, what it leaves alone, and that a change reaches the tests."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tool():
    """The script, which lies outside the package."""
    spec = importlib.util.spec_from_file_location("mutants", ROOT / "benchmarks" / "mutants.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def changed(tool, tmp_path, monkeypatch):
    """The changed texts of a module with the given text."""
    monkeypatch.setattr(tool, "LIBRARY", tmp_path)

    def of(text: str) -> list[str]:
        (tmp_path / "room.py").write_text(text, encoding="utf-8")
        return [m.text().decode() for m in tool.mutants("featnorm.room")]

    return of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y = a + b\n", {"y = a - b\n"}),
        ("y = (a) * (b)\n", {"y = (a) / (b)\n"}),
        ("y -= a\n", {"y += a\n"}),
        ("y = -a\n", {"y = a\n"}),
        ("y = not a\n", {"y = a\n"}),
        ("y = a < b\n", {"y = a <= b\n", "y = a >= b\n"}),
        ("y = a is not b\n", {"y = a is b\n"}),
        ("y = a and b\n", {"y = a or b\n"}),
        ("y = 2\n", {"y = 3\n", "y = (1)\n"}),
        ("y = 0.005\n", {"y = 0.5\n", "y = (-0.005)\n"}),
        ("y = True\n", {"y = False\n"}),
        ("y = np.sin(a)\n", {"y = np.cos(a)\n"}),
        ("y = max(a)\n", {"y = min(a)\n"}),
        ("while a:\n    pass\n", {"while not (a):\n    pass\n"}),
        ("def f():\n    return a\n", {"def f():\n    return None\n"}),
        ("ö, y = a, b - c\n", {"ö, y = a, b + c\n"}),  # a letter of two bytes before it
    ],
)  # fmt: skip
def test_changes(changed, text, expected):
    assert set(changed(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        '"""A text with 1 + 1."""\n',
        "def f(x: Array[2]) -> Array[3]:\n    pass\n",
        "x: Array[2]\n",
        'if_bad = f"{x:.3g} of {n + 1}"\n',
        "def f():\n    raise ValueError(a + b)\n",
        "@cache(maxsize=1)\ndef f():\n    pass\n",
    ],
)
def test_texts_hints_messages_and_decorators_are_left_alone(changed, text):
    assert changed(text) == []


def test_every_mutant_is_another_program_with_a_name_of_its_own(tool):
    for module in (module for room in tool.ROOMS for module in tool.modules(room)):
        found, original = tool.mutants(module), ast.dump(ast.parse(tool.source(module)))
        assert len({m.key for m in found}) == len(found) > 0
        for mutant in found[::40]:
            assert ast.dump(ast.parse(mutant.text())) != original, mutant.key


def test_a_sample_is_repeatable_takes_each_line_once_and_begins_with_the_smaller(tool):
    sample = tool.sample(50, 3)
    assert sample[:20] == tool.sample(20, 3)
    assert len({(m.module, m.line) for m in sample}) == 50
    assert sample != tool.sample(50, 4)
    with pytest.raises(ValueError, match=r"count = 1000000: must be at most"):
        tool.sample(10**6, 0)


def test_every_reason_has_a_class_that_exists(tool):
    reasons = tool.tomllib.loads(tool.REASONS.read_text(encoding="utf-8"))
    assert set(reasons) <= {*tool.CLASSES, "mended"}
    assert all(text.strip() for group in reasons.values() for text in group.values())


def test_a_change_reaches_the_tests_and_leaves_the_file_alone(tool):
    before = tool.source("featnorm.collapse")
    code = f"""
import sys
sys.path.insert(0, {str(ROOT / "benchmarks")!r})
import mutants
mutants.preload()
change = next(m for m in mutants.mutants("featnorm.collapse") if "(z + z.mean" in m.after)
print(mutants.run("collapse", None, 60.0)[0], mutants.run("collapse", change, 60.0)[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["survived", "killed"]
    assert tool.source("featnorm.collapse") == before
