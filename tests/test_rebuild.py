"""What the state of the book depends on: with another state every page is made anew."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = "# A page\n\nText.\n\n````{{code-cell}} ipython3\n:tags: [hide-input]\n\n{code}\n```\n````\n\n{text}\n"


@pytest.fixture(scope="module")
def rebuild():
    """The extension, which lies outside the package."""
    pytest.importorskip("sphinx", reason="the book's packages are not installed: run make install")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "book" / "_ext")
        import rebuild

        yield rebuild
    sys.modules.pop("rebuild")
    sys.modules.pop("execution_cache")


@pytest.fixture
def project(tmp_path):
    """A small repository with one file of every kind the state depends on."""
    names = ["lib/p/a.py", "book/results/run/manifest.json", "constraints.txt", "_config.yml", "_toc.yml"]
    for name in [*names, "book/_ext/a.py", "book/_static/a.css", "book/references.bib"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1", encoding="utf-8")
    (tmp_path / "book" / "page.md").write_text(PAGE.format(code="1", text="Text."), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "lib/p/a.py",
        "book/results/run/manifest.json",
        "constraints.txt",
        "_config.yml",
        "_toc.yml",
        "book/_ext/a.py",
        "book/_ext/new.py",
        "book/_static/a.css",
        "book/_static/new.js",
        "book/references.bib",
    ],
)
def test_what_any_page_may_depend_on_changes_the_state(rebuild, project, name):
    before = rebuild.state(project)
    assert rebuild.state(project) == before
    (project / name).write_text("2", encoding="utf-8")
    assert rebuild.state(project) != before


def test_code_of_a_page_changes_the_state_and_its_text_does_not(rebuild, project):
    before = rebuild.state(project)
    page = project / "book" / "page.md"
    page.write_text(
        PAGE.format(code="1", text="Other text, and a directive:\n\n```{note}\nNote.\n```"), encoding="utf-8"
    )
    assert rebuild.state(project) == before
    page.write_text(PAGE.format(code="2", text="Text."), encoding="utf-8")
    assert rebuild.state(project) != before
    page.rename(page.with_name("other.md"))
    page.with_name("other.md").write_text(PAGE.format(code="1", text="Text."), encoding="utf-8")
    assert rebuild.state(project) != before


@pytest.mark.parametrize(
    ("warnings", "error", "format", "kept"),
    [
        (0, None, "html", True),
        (1, None, "html", False),
        (0, RuntimeError("a page failed"), "html", False),
        (0, None, "latex", False),
    ],
)
def test_only_what_a_good_build_of_pages_left_is_kept(rebuild, project, warnings, error, format, kept):
    def app():
        html = project / "_build" / "html"
        return SimpleNamespace(
            srcdir=project,
            outdir=html,
            doctreedir=project / "_build" / ".doctrees",
            builder=SimpleNamespace(format=format),
            _warncount=warnings,
        )

    first = app()
    rebuild._begin(first, None)
    (first.outdir / "page.html").touch()
    rebuild._end(first, error)
    rebuild._begin(app(), None)
    assert (first.outdir / "page.html").exists() == kept


def test_what_a_killed_build_left_is_not_kept(rebuild, project):
    sphinx = SimpleNamespace(
        srcdir=project,
        outdir=project / "html",
        doctreedir=project / "doctrees",
        builder=SimpleNamespace(format="html"),
        _warncount=0,
    )
    rebuild._begin(sphinx, None)
    rebuild._end(sphinx, None)
    rebuild._begin(sphinx, None)
    (sphinx.outdir / "page.html").touch()  # and here the build is killed: nothing more runs
    rebuild._begin(sphinx, None)
    assert not (sphinx.outdir / "page.html").exists()
