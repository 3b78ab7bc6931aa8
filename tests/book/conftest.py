"""What the tests of the built book share: where it is, its pages, a browser without a network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from book_tools import ROOT

HTML = ROOT / "_build" / "html"
NO_BOOK = "no built book in _build/html: run make book first"
# The same names, in the same order, as .ci/run.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# No sandbox, since continuous integration runs as root; the rest keeps the browser from calling home.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def built_pages() -> list[Path]:
    """Every page of the built book; none if there is no book.

    index.html only leads to the first page and has a test of its own; the theme leaves templates in _static.
    """
    if not (HTML / "index.html").is_file():
        return []
    inside = {p: p.relative_to(HTML) for p in HTML.glob("**/*.html")}
    return sorted(p for p, name in inside.items() if "_static" not in name.parts and str(name) != "index.html")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with the argument ``page`` runs once for every page, and is skipped with a reason if there is no book."""
    if "page" in metafunc.fixturenames:
        pages = [pytest.param(p, id=p.relative_to(HTML).as_posix()) for p in built_pages()]
        metafunc.parametrize("page", pages or [pytest.param(None, marks=pytest.mark.skip(reason=NO_BOOK))])


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the built book."""
    if not built_pages():
        pytest.skip(NO_BOOK)
    return HTML


@pytest.fixture(scope="session")
def build_record(html: Path) -> dict[str, str]:
    """What the built book says of its execution: ``key`` of the cache and ``scale``."""
    return json.loads((html / ".execution.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def browser():
    """A headless browser that the system has; Playwright's own download is not used."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: run make install")
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the path")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        browser.close()
