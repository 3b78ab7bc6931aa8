"""Every chapter with code can be downloaded as a notebook, and such a notebook runs in a folder of its own."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from book_tools import CHAPTERS, documents, source
from nbclient import NotebookClient

DOWNLOAD = re.compile(r'<a href="([^"]+\.ipynb)"')
# What only Sphinx reads: a directive, a role, a label before or after what it names.
SPHINX_ONLY = re.compile(r"^(?:`{3,}|:{3,})\{.*|\{[\w:-]+\}`[^`]*`|^\([\w-]+\)=$|\$\$ \([\w-]+\)$", re.MULTILINE)


def downloads(page: Path) -> list[Path]:
    """The notebooks that a built page links to."""
    return [(page.parent / link).resolve() for link in DOWNLOAD.findall(page.read_text(encoding="utf-8"))]


def sphinx_only(notebook: nbformat.NotebookNode) -> list[str]:
    """What a plain notebook would show as it is typed."""
    return [m for cell in notebook.cells if cell.cell_type == "markdown" for m in SPHINX_ONLY.findall(cell.source)]


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_offers_its_notebook(html, name):
    (path,) = downloads(html / "book" / f"{name}.html")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) == 1 + len(re.findall(r"^`{3,}\{code-cell\}", source(name), flags=re.MULTILINE))
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert sphinx_only(notebook) == []


@pytest.mark.parametrize("name", sorted(set(documents()) - {f"book/{chapter}" for chapter in CHAPTERS}))
def test_a_page_without_code_offers_none(html, name):
    assert downloads(html / f"{name}.html") == []


@pytest.mark.parametrize("text", [
    "```{claim} lemma-1\n```", "see {doc}`clock`", "(eq-1)=", "$$ (eq-1)", "{glue:text}`rate:.2f`", ":::{note}",
])  # fmt: skip
def test_what_only_sphinx_reads_is_recognised(text):
    assert sphinx_only(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]))


@pytest.mark.parametrize("name", ["explore", "lemma_4"])
def test_a_notebook_runs_in_a_folder_of_its_own(html, name, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATNORM_SCALE", "smoke")
    (path,) = downloads(html / "book" / f"{name}.html")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    html_shown = "".join(output["data"].get("text/html", "") for output in shown if "data" in output)
    printed = "".join(output["text"] for output in shown if output.output_type == "stream")
    figures = re.findall(r"^`{3,}\{glue:figure\}", source(name), flags=re.MULTILINE)
    assert html_shown.count('role="img"') >= len(figures) > 0
    for number in set(re.findall(r"\{glue:text\}`([^`:]+)", source(name))):
        assert f"{number} = " in printed
