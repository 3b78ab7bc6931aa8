"""Serve MathJax from the book itself, so that a page shows its formulas without a network.

The package sphinx-mathjax-offline ships MathJax 3 as data. One file of it holds everything a page needs (TeX input with
its extensions, SVG output with its glyphs), so only that file is copied into the built ``_static/mathjax/``.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

FILE = "tex-svg-full.js"


def source() -> Path:
    """The installed MathJax file; RuntimeError says what to install if it is not there."""
    # The module's name has hyphens, so it cannot be imported by a statement; only its place on disk is needed.
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    path = Path(spec.origin).parent / "static" / "mathjax" / FILE if spec and spec.origin else None
    if path is None or not path.is_file():
        raise RuntimeError(f"{FILE} not found: install sphinx-mathjax-offline at the version in constraints.txt")
    return path


def _set_path(app: Any, config: Any) -> None:
    source()  # a missing package stops the build here, not after every chapter has run
    config.mathjax_path = f"mathjax/{FILE}"  # Sphinx reads it relative to _static


def _copy(app: Any, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        target = Path(app.outdir, "_static", "mathjax", FILE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source(), target)


def _without_javascript(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    # A reader without JavaScript should know that the raw formulas are not a fault of the page.
    if context.get("body"):
        note = "Formulas on this page are typeset by JavaScript; without it you see their TeX source."
        context["body"] = f"<noscript><p><em>{note}</em></p></noscript>{context['body']}"


def setup(app: Any) -> dict[str, bool]:
    """Entry point of the Sphinx extension."""
    app.connect("config-inited", _set_path)
    app.connect("html-page-context", _without_javascript)
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
