"""Building again keeps the pages that cannot have changed, and still gives the book that a build from nothing gives.

On a small book, since the real one would take minutes. What the state of a book depends on is in tests/test_rebuild.py.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from small_book import build, log, small_book, start


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The small book, built once."""
    root = small_book(tmp_path_factory.mktemp("warm"))
    build(root)
    return root


@pytest.fixture
def change(project):
    """Replace text in a page; what was there comes back after the test."""
    kept: dict[Path, str] = {}

    def replace(name: str, old: str, new: str) -> None:
        path = project / "book" / f"{name}.md"
        text = kept.setdefault(path, path.read_text(encoding="utf-8"))
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8")

    yield replace
    for path, text in kept.items():
        path.write_text(text, encoding="utf-8")


def read(project: Path) -> int:
    """How many pages the last build read."""
    added, changed = re.findall(r"(\d+) added, (\d+) changed", log(project))[-1]
    return int(added) + int(changed)


def test_without_a_change_nothing_is_read_and_the_book_is_the_same(project):
    html = project / "_build" / "html"
    before = {p.relative_to(html): p.read_bytes() for p in html.rglob("*") if p.is_file()}
    build(project)
    assert read(project) == 0
    assert {p.relative_to(html): p.read_bytes() for p in html.rglob("*") if p.is_file()} == before


def test_of_new_text_only_its_page_is_read_and_the_book_is_that_of_a_build_from_nothing(project, change, tmp_path):
    change("small", "# Small", "# *Small*")
    change("large", "The norm is", "This sentence is new. The norm is")
    book = build(project)
    assert read(project) == 2
    assert b"<em>Small</em>" in book["book/clock.html"], "a title is shown in the list of chapters of every page"
    assert b"This sentence is new." in book["book/large.html"]

    shutil.move(project / "_build" / "aside", tmp_path)
    assert book == build(project)
    assert read(project) == 5


@pytest.mark.parametrize(
    ("name", "old", "new", "gone"),
    [
        ("clock", "```{claim} beyond-clock\n```", "", "beyond-clock"),
        ("small", ":name: fig-small\n", ":name: fig-other\n", "fig-small"),
        ("clock", "factor\n  A number.", "divisor\n  A number.", "factor"),
    ],
)
def test_a_link_of_a_page_that_is_kept_may_break_and_fails_this_build_and_the_next(
    project, change, name, old, new, gone
):
    change(name, old, new)
    for _ in range(2):
        assert start(project).wait() != 0
        assert re.search(rf"intro\.md.*WARNING: [^:]*: '?{gone}", log(project))
        assert not (project / "_build" / "html").exists()


def test_text_that_is_put_back_with_its_old_time_is_read(project, change):
    build(project)
    page = project / "book" / "large.md"
    time = page.stat().st_mtime_ns
    change("large", "The norm is", "This is from a copy. The norm is")
    os.utime(page, ns=(time, time))
    assert b"This is from a copy." in build(project)["book/large.html"]
    assert read(project) == 1


def test_other_code_makes_the_whole_book_anew_and_leaves_no_old_page(project, change):
    build(project)
    orphan = project / "_build" / "aside" / "_build" / "html" / "book" / "orphan.html"
    orphan.write_text("a page of an earlier state", encoding="utf-8")
    change("small", "axes.plot(np.linalg.eigvalsh(W))", "axes.plot(-np.linalg.eigvalsh(W))")
    assert "book/orphan.html" not in build(project)
    assert read(project) == 5
