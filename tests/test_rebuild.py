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
        "book/_static/fonts/new.woff",
        "book/references.bib",
        "book/picture.png",
        "book/notebook.ipynb",
    ],
)
def test_what_any_page_may_depend_on_changes_the_state(rebuild, project, name):
    before = rebuild.state(project)
    assert rebuild.state(project) == before
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("2", encoding="utf-8")
    assert rebuild.state(project) != before


def test_another_version_of_a_package_changes_the_state(rebuild, project, tmp_path, monkeypatch):
    packages = tmp_path / "packages"
    monkeypatch.setattr(rebuild, "sphinx", SimpleNamespace(__file__=packages / "sphinx" / "__init__.py"))
    (packages / "theme-1.0.dist-info").mkdir(parents=True)
    before = rebuild.state(project)
    (packages / "theme-1.0.dist-info").rename(packages / "theme-1.1.dist-info")
    assert rebuild.state(project) != before


@pytest.mark.parametrize("name", ["book/_ext/__pycache__/a.pyc", "book/.page.md.swp", "book/page.md~"])
def test_what_tools_leave_in_the_book_does_not_change_the_state(rebuild, project, name):
    before = rebuild.state(project)
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("2", encoding="utf-8")
    # Emacs locks a file that is being edited by a link that leads nowhere.
    (project / "book" / ".#page.md").symlink_to("someone@somewhere.1")
    assert rebuild.state(project) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("---\nkernelspec: 1\n---\n\nText.\n", "Text.\n"),
        ("~~~{code-cell} python\n1\n~~~\n", "~~~{code-cell} python\n2\n~~~\n"),
        ("  ``` {code-cell}\n  1\n  ```\n", "  ``` {code-cell}\n  2\n  ```\n"),
        ("Text.\n\n```{code-cell}\n1\n", "Text.\n\n```{code-cell}\n2\n"),
    ],
    ids=["header", "tildes", "indented", "never closed"],
)
def test_whatever_myst_nb_runs_is_code(rebuild, project, old, new):
    states = []
    for text in (old, new):
        (project / "book" / "page.md").write_text(text, encoding="utf-8")
        states.append(rebuild.state(project))
    assert states[0] != states[1]


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


def sphinx(project, warnings=0, format="html", nitpicky=True):
    """What the extension asks of Sphinx."""
    return SimpleNamespace(
        srcdir=project,
        outdir=project / "_build" / "html",
        doctreedir=project / "_build" / ".doctrees",
        builder=SimpleNamespace(format=format),
        config=SimpleNamespace(nitpicky=nitpicky),
        _warncount=warnings,
    )


@pytest.mark.parametrize(
    ("first", "error", "kept"),
    [
        ({}, None, True),
        ({"warnings": 1}, None, False),
        ({}, RuntimeError("a page failed"), False),
        ({"format": "latex"}, None, False),
        ({"nitpicky": False}, None, False),
    ],
    ids=["good", "with a warning", "failed", "no pages", "asked for fewer warnings"],
)
def test_only_what_a_good_build_of_pages_left_is_kept(rebuild, project, first, error, kept):
    app = sphinx(project, **first)
    rebuild._begin(app, None)
    (app.outdir / "page.html").touch()
    rebuild._end(app, error)
    rebuild._begin(sphinx(project), None)
    assert (app.outdir / "page.html").exists() == kept


def test_what_a_killed_build_left_is_not_kept(rebuild, project):
    app = sphinx(project)
    rebuild._begin(app, None)
    rebuild._end(app, None)
    rebuild._begin(app, None)
    (app.outdir / "page.html").touch()  # and here the build is killed: nothing more runs
    rebuild._begin(app, None)
    assert not (app.outdir / "page.html").exists()
