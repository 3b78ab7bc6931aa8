"""papermill reads chapters through the entry point that pyproject.toml registers."""

import subprocess
import sys
from importlib.metadata import entry_points

import nbformat
import pytest
from papermill.iorw import papermill_io

from featnorm.publish.papermill_reader import handler

HEADER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
---

"""
CHAPTER = (
    HEADER
    + """# Title

```{code-cell} ipython3
:tags: [parameters]

rho = 0.1
```

Text.

```{code-cell} ipython3
rho + 1
```
"""
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with ``book/``, as the root of the repository has."""
    (tmp_path / "book").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_chapter_becomes_a_notebook_with_its_parameters_cell(folder):
    (folder / "book" / "x.md").write_text(CHAPTER, encoding="utf-8")
    notebook = nbformat.reads(handler.read("book/x.md"), as_version=4)
    assert [c.cell_type for c in notebook.cells] == ["markdown", "code", "markdown", "code"]
    assert notebook.cells[1].metadata.tags == ["parameters"]
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.language_info.name == "python"


def test_a_page_without_code_is_refused(folder):
    (folder / "book" / "x.md").write_text("# Only text\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"book/x\.md has no code cell"):
        handler.read("book/x.md")


def test_a_missing_file_is_reported(folder):
    with pytest.raises(FileNotFoundError):
        handler.read("book/none.md")


def test_other_files_pass_through(folder):
    (folder / "book" / "x.json").write_text("{}", encoding="utf-8")
    assert handler.read("book/x.json") == "{}"


def test_papermill_finds_the_reader():
    (entry,) = [e for e in entry_points(group="papermill.io") if e.name == "book/"]
    assert entry.load() is handler
    assert papermill_io.get_handler("book/model.md") is handler
    assert papermill_io.get_handler("out.ipynb") is not handler


@pytest.mark.parametrize("first", ["featnorm.publish.papermill_reader", "papermill.iorw"])
def test_either_may_be_imported_first(first):
    """papermill loads the reader while it is imported itself."""
    code = f"import {first}; from papermill.iorw import papermill_io as io; print(io.get_handler('book/x.md'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert "MystHandler" in done.stdout, done.stderr


def test_an_output_under_book_is_written(folder):
    handler.write("{}", "book/out.ipynb")
    assert (folder / "book" / "out.ipynb").read_text(encoding="utf-8").strip() == "{}"
    assert handler.listdir("book") == ["book/out.ipynb"]


def test_a_markdown_chapter_gives_no_warning_and_other_names_still_do():
    # In a process of its own, since pytest resets the warning filters that the module sets.
    code = "from papermill.iorw import papermill_io as io; io.get_handler({!r}, ['.ipynb'])"
    for path, warned in (("book/model.md", False), ("notes.md", True)):
        done = subprocess.run(
            [sys.executable, "-c", code.format(path)], capture_output=True, text=True, check=True, timeout=120
        )
        assert ("does not end in" in done.stderr) == warned, path
