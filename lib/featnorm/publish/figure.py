"""Figures for the book: one style, one palette in which a colour always means the same thing, drawn as inline SVG.

Inline, a figure takes the text colour of the page, so the same drawing works on a light and on a dark page, needs no
second file and can be read aloud by its alternative text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING

from featnorm.provenance import commit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: A colour for each symbol and each region; all of them stand out from white and from black (contrast above 3).
COLOURS = {
    "W": "#3b82c4",
    "Phi": "#cf6f16",
    "Psi": "#2b935a",
    "N_x": "#9467c6",
    "l2": "#d0504c",
    "cosine": "#3b82c4",
    "paper": "#9467c6",
    "leading": "#cf6f16",
    "neutral": "#7f7f7f",
    "diverges": "#d0504c",
    "collapses": "#7f7f7f",
    "converges": "#3b82c4",
    "online": "#2b935a",
    "target": "#cf6f16",
    "batch": "#7f7f7f",
}
#: From weak to strong, for values of one parameter.
RAMP = ("#3b82c4", "#9467c6", "#d0504c")
#: Line styles that go with the ramp, so that no curve is told by its colour alone.
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)))

_INK = "#0a0b0c"  # stands for the page's text colour; replaced in the drawing
_STYLE = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.titlecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "font.size": 10,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "svg.fonttype": "path",
    "path.simplify_threshold": 0.5,
}


@contextmanager
def drawing(rows: int = 1, columns: int = 1, width: float = 7.2, height: float = 3.0, **options) -> Iterator:
    """A figure in the book's style and its axes, as `matplotlib.pyplot.subplots` gives them; closed afterwards.

    >>> with drawing(1, 2) as (fig, axes):
    ...     len(axes)
    2
    """
    import matplotlib.pyplot as plt

    with plt.rc_context(_STYLE):
        fig, axes = plt.subplots(rows, columns, figsize=(width, height), layout="constrained", **options)
        try:
            yield fig, axes
        finally:
            plt.close(fig)


def inline_svg(fig: Figure, name: str, alt: str) -> str:
    """The figure as an SVG element that follows the page's text colour; ids are made unique by ``name``."""
    buffer = io.StringIO()
    import matplotlib.pyplot as plt

    with plt.rc_context({**_STYLE, "svg.hashsalt": name}):
        fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S).replace(_INK, "currentColor")
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(xlink:href="#|href="#|url\(#)(?!' + re.escape(name) + "-)", rf"\g<1>{name}-", svg)
    view = re.search(r'viewBox="[^"]+"', svg)
    if view is None:
        raise RuntimeError("the drawing has no viewBox")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {view.group()}'
    label = escape(alt, quote=True)
    return re.sub(r"<svg[^>]*>", f'{head} role="img" aria-label="{label}" class="featnorm-figure">', svg, count=1)


class Drawn:
    """A finished figure: `_repr_html_` is the drawing with the line that says what made it; text gives its alt text."""

    def __init__(self, fig: Figure, name: str, alt: str, made_by: str) -> None:
        self.alt = alt
        line = escape(f"Made by {made_by}; commit {commit()}")
        self._html = (
            f'<div class="featnorm-drawing" tabindex="0" role="group" aria-label="Figure, may scroll sideways">'
            f'{inline_svg(fig, name, alt)}</div><p class="featnorm-provenance">{line}</p>'
        )

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return f"[figure: {self.alt}]"


def glue_figure(fig: Figure, name: str, alt: str, made_by: str) -> None:
    """Store a figure under ``name`` for a ``glue:figure`` directive, which gives it caption and number.

    ``alt`` says in words what the figure shows; ``made_by`` names function, configuration and seed.
    """
    from myst_nb import glue

    if not alt.strip():
        raise ValueError("alt: must say in words what the figure shows")
    glue(name, Drawn(fig, name, alt, made_by), display=False)
