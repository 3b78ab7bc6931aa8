"""Let papermill run the chapters, which are MyST Markdown: ``papermill book/model.md out.ipynb -p rho 0.02``.

papermill picks the reader of a notebook by the beginning of its path. ``pyproject.toml`` registers `handler` for
``book/``, so the command works from the root of the repository. ``./book/model.md`` and absolute paths do not match.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import jupytext
import nbformat

# papermill warns of every path that does not end in .ipynb; here that is the purpose.
warnings.filterwarnings("ignore", message=r"The specified file \(book/.*\.md\) does not end in")


def _local() -> Any:
    # Not at the top: importing papermill loads this module for its handler, which is not there yet if we come first.
    from papermill.iorw import LocalHandler

    return LocalHandler()


class MystHandler:
    """A papermill handler for ``book/``: it reads MyST Markdown and leaves the rest to the one for local files."""

    def read(self, path: str) -> str:
        """The notebook at ``path`` as JSON text; a file that is not ``.md`` is returned as it is.

        Raises FileNotFoundError if there is no such file and ValueError if a Markdown file is not a notebook, since
        papermill would run it without executing anything.
        """
        text = _local().read(path)
        if Path(path).suffix != ".md":
            return text
        notebook = jupytext.reads(text, fmt="md:myst")
        if not any(cell.cell_type == "code" for cell in notebook.cells):
            raise ValueError(f"{path} has no code cell: there is nothing to run")
        # papermill needs both; a chapter's header need not repeat them.
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook.metadata.setdefault("kernelspec", kernel)
        notebook.metadata.setdefault("language_info", {"name": "python"})
        return nbformat.writes(notebook)

    def write(self, text: str, path: str) -> None:
        """Write a notebook, for an output path that begins with ``book/`` too."""
        _local().write(text, path)

    def listdir(self, path: str) -> list[str]:
        """The paths of the files in a folder."""
        return _local().listdir(path)

    def pretty_path(self, path: str) -> str:
        """The path as papermill prints it."""
        return path


handler = MystHandler()
