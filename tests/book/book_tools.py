"""The chapters of the book and what they produce: their sources, and the notebooks that papermill writes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jupytext
import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[2]
CLAIM = "application/vnd.featnorm.claim+json"


def documents() -> list[str]:
    """The pages of the table of contents, with their folder."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


def pages() -> list[str]:
    """The pages of the table of contents, without ``book/``."""
    return [name.removeprefix("book/") for name in documents()]


def source(name: str) -> str:
    """The source of a page; empty while the page is not written yet (the build reports that)."""
    path = ROOT / "book" / f"{name}.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def code_cells(name: str) -> list[nbformat.NotebookNode]:
    """The code cells of a page."""
    return [c for c in jupytext.reads(source(name), fmt="md:myst").cells if c.cell_type == "code"]


def is_parameters(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell is tagged ``parameters``."""
    return "parameters" in cell.metadata.get("tags", [])


# By the text, not by jupytext, so that a page whose header is missing is still found.
CHAPTERS = [name for name in pages() if re.search(r"^```+\{code-cell\}", source(name), flags=re.MULTILINE)]


class Scraps(NamedTuple):
    """What a chapter hands over: ``glued`` values by name and the results of its ``claims`` by id."""

    glued: dict[str, Any]
    claims: dict[str, dict[str, Any]]


def outputs(notebook: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    """Every output of every code cell that carries data."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            yield from (out for out in cell.outputs if "data" in out)


def value(text: str) -> Any:
    """The Python value a glued text stands for; the text itself if it is not a literal."""
    try:
        return ast.literal_eval(re.sub(r"\bnp\.\w+\(([^()]*)\)", r"\1", text))  # NumPy 2 writes np.float64(1.0)
    except (SyntaxError, ValueError):
        return text


def scraps(path: Path) -> Scraps:
    """The glued values and claim results of an executed notebook."""
    found = Scraps({}, {})
    for out in outputs(nbformat.read(path, as_version=4)):
        glue = out.get("metadata", {}).get("scrapbook")
        if glue:
            prefix = glue.get("mime_prefix", "")
            found.glued[glue["name"]] = value(out["data"].get(f"{prefix}text/plain", ""))
        if CLAIM in out["data"]:
            result = out["data"][CLAIM]
            found.claims[result["id"]] = result
    return found
