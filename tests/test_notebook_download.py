"""The notebook of a chapter: plain Markdown, the same cells, and the cell that stands in for the glue."""

import contextlib
import io
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHAPTER = """# Title

```{code-cell} ipython3
:tags: [parameters]

h = 2
```

```{code-cell} ipython3
p = h
```

(here)=
## Part

```{claim} lemma-1
```

````{admonition} Proof
:class: dropdown

See {ref}`lemma-1` and {doc}`words <clock>`.
````

$$
x
$$ (eq-x)

```{glue:figure} fig-a
:name: fig-a
Caption {glue:text}`rate:.2f` of {cite:p}`bao2023`, [there](explore.md).
```
"""


@pytest.fixture
def notebooks(monkeypatch):
    pytest.importorskip("jupytext", reason="the book's packages are not installed: run make install")
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    return pytest.importorskip("notebooks")


def test_a_chapter_becomes_plain_markdown(notebooks):
    made = notebooks.notebook(CHAPTER, "head", {"lemma-1": "Lemma 1"}.get)
    assert [c.cell_type for c in made.cells] == ["markdown", "markdown", "code", "code", "code", "markdown"]
    assert made.cells[4].source == notebooks.GLUE and made.cells[2].metadata.tags == ["parameters"]
    text = made.cells[5].source
    assert text.startswith("## Part\n\n> **Lemma 1** (") and "**Proof**\n\nSee *Lemma 1* and words." in text
    assert "$$\nx\n$$\n" in text
    assert text.endswith("*Figure* `fig-a`. Caption `rate` of [bao2023], *there*.")


def test_the_same_chapter_gives_the_same_notebook(notebooks):
    assert notebooks.notebook(CHAPTER, "", str) == notebooks.notebook(CHAPTER, "", str)


def test_what_is_not_known_stays_as_it_is(notebooks):
    text = "```{other} x\nbody\n```\n\n{role}`x`"
    assert notebooks.plain(text, str) == text


@pytest.mark.parametrize("macro, tex", [
    ("\\mathbb{R}", r"\newcommand{\R}{\mathbb{R}}"), (["|#1|", 1], r"\newcommand{\R}[1]{|#1|}"),
])  # fmt: skip
def test_macros_become_tex(notebooks, macro, tex):
    assert notebooks._newcommand("R", macro) == tex


def test_glue_prints_a_number_with_its_name(notebooks, monkeypatch):
    monkeypatch.setitem(sys.modules, "myst_nb", None)  # restored afterwards
    space, out = {}, io.StringIO()
    exec(notebooks.GLUE, space)
    with contextlib.redirect_stdout(out):
        sys.modules["myst_nb"].glue("rate", 0.5, display=False)
    assert out.getvalue() == "rate = 0.5\n"
