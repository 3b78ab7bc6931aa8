"""Offer every chapter that runs code as a notebook, under the download button of its page.

The notebook holds the text and the code of the chapter without outputs. What only Sphinx reads is put into plain
Markdown: claims are written out, references become names, and a first cell stands in for the glue that carries figures
and numbers into the text of the book. It runs in any folder where `featnorm` can be imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import indent
from typing import Any

import jupytext
import nbformat

from featnorm.claims import REGISTRY

HEAD = """This notebook is the page *{title}* of the book "{book}". Its code needs the package `featnorm`; in the
repository of the book, `make install` installs it with all that the chapters need.

{macros}
"""
# As a module of its own, so that the notebook needs no MyST-NB.
GLUE = '''# The book sets these figures and numbers into its text; here they appear below the cell that makes them.
import sys
from types import SimpleNamespace

import IPython.display


def glue(name, value, display=True):
    """Show a figure, or print a number with its name."""
    if hasattr(value, "_repr_html_"):
        IPython.display.display(value)
    else:
        print(f"{name} = {value}")


sys.modules["myst_nb"] = SimpleNamespace(glue=glue)'''

_DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{(?P<name>[\w:-]+)\} *(?P<argument>.*)\n(?P<body>(?s:.*?))^(?P=fence) *$", re.M
)
_OPTIONS = re.compile(r"\A(?::[\w-]+:.*\n)*\n*")
_ROLE = re.compile(r"\{(?P<name>[\w:-]+)\}`(?P<target>[^`]+)`")
_LABELS = re.compile(r"^\([\w-]+\)=\n|(?<=\$\$) \([\w-]+\)$", re.M)
_PAGE_LINK = re.compile(r"\[([^\]]+)\]\([\w/]+\.md(?:#[\w-]+)?\)")


def has_code(text: str) -> bool:
    """Whether a page has a code cell."""
    return re.search(r"^`{3,}\{code-cell\}", text, flags=re.MULTILINE) is not None


def plain(text: str, name_of: Callable[[str], str]) -> str:
    """MyST Markdown as plain Markdown; ``name_of`` gives the words for a page or a label that the text refers to.

    >>> plain("See {doc}`clock`, {glue:text}`rate:.3f` and $a$.", {"clock": "The clock"}.get)
    'See *The clock*, `rate` and $a$.'
    """

    def directive(found: re.Match[str]) -> str:
        name, argument, body = found["name"], found["argument"], _OPTIONS.sub("", found["body"]).strip()
        if name == "claim":
            claim = REGISTRY[argument]
            stated = f"**{claim.name}** ({claim.title})\n\n{plain(claim.statement, name_of)}".rstrip()
            return indent(stated, "> ", lambda line: True)
        if name == "glue:figure":
            return f"*Figure* `{argument}`. {plain(body, name_of)}"
        if name == "admonition":
            return f"**{argument}**\n\n{plain(body, name_of)}"
        if name == "claims-dashboard":
            return "*Here the book has an overview that is made from all its chapters.*"
        return found[0]

    def role(found: re.Match[str]) -> str:
        name, target = found["name"], found["target"]
        words, _, inside = target.partition(" <")
        if name in ("doc", "ref"):
            return words if inside else f"*{name_of(target)}*"
        if name == "glue:text":
            return f"`{target.rsplit(':', 1)[0]}`"
        return f"[{target}]" if name.startswith("cite") else found[0]

    text = _LABELS.sub("", _DIRECTIVE.sub(directive, text))
    return _PAGE_LINK.sub(r"*\1*", _ROLE.sub(role, text))


def notebook(text: str, head: str, name_of: Callable[[str], str]) -> nbformat.NotebookNode:
    """The notebook of a chapter: its cells without outputs, and two that say and do what it needs."""
    cells = jupytext.reads(text, fmt="md:myst").cells
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source = plain(cell.source, name_of)
    # After the parameters and their check, which takes every name above it for a parameter.
    code = [i for i, cell in enumerate(cells) if cell.cell_type == "code"]
    cells.insert(code[:2][-1] + 1, nbformat.v4.new_code_cell(GLUE))
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(head), *cells])
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"  # the same text gives the same file
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made.metadata["language_info"] = {"name": "python"}
    return made


def _source(app: Any, docname: str) -> str:
    path = Path(app.env.doc2path(docname))
    return path.read_text(encoding="utf-8") if path.suffix == ".md" else ""


def _offer(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if page in app.env.found_docs and has_code(_source(app, page)):
        context["ipynb_source"] = f"{page}.ipynb"  # the theme makes the link, under _sources


def _write(app: Any, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    labels, titles = app.env.get_domain("std").labels, app.env.titles
    macros = app.config.mathjax3_config["tex"]["macros"]
    defined = "".join(_newcommand(name, macro) for name, macro in macros.items())
    for docname in sorted(app.env.found_docs):
        text = _source(app, docname)
        if not has_code(text):
            continue

        def name_of(target: str, folder: Path = Path(docname).parent) -> str:
            page = (folder / target).as_posix()
            if page in titles:
                return titles[page].astext()
            return labels[target][2] if target in labels else target

        head = HEAD.format(title=titles[docname].astext(), book=app.config.project, macros=f"${defined}$")
        path = Path(app.outdir, "_sources", f"{docname}.ipynb")
        nbformat.write(notebook(text, head, name_of), path)


def _newcommand(name: str, macro: str | list[Any]) -> str:
    r"""A macro of MathJax as TeX.

    >>> _newcommand("R", r"\mathbb{R}"), _newcommand("norm", [r"\lVert #1 \rVert", 1])
    ('\\newcommand{\\R}{\\mathbb{R}}', '\\newcommand{\\norm}[1]{\\lVert #1 \\rVert}')
    """
    if isinstance(macro, str):
        return rf"\newcommand{{\{name}}}{{{macro}}}"
    return rf"\newcommand{{\{name}}}[{macro[1]}]{{{macro[0]}}}"


def setup(app: Any) -> dict[str, bool]:
    """Entry point of the Sphinx extension."""
    app.connect("html-page-context", _offer, priority=400)  # before the theme makes its buttons
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
