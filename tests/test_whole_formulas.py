"""What stands beside a formula without a space is kept on its line; everything else stays where it was."""

from pathlib import Path

import pytest

EXTENSIONS = Path(__file__).resolve().parents[1] / "book" / "_ext"


@pytest.fixture
def whole_formulas(monkeypatch):
    pytest.importorskip("docutils", reason="the book's packages are not installed: run make install")
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    return pytest.importorskip("whole_formulas")


def shown(extension, *parts: str) -> str:
    """A paragraph with what is kept together in brackets. Parts are ``$formula$``, ``*emphasis*`` and text."""
    from docutils import nodes

    kinds = {"$": nodes.math, "*": nodes.emphasis}
    paragraph = nodes.paragraph()
    for part in parts:
        kind = kinds.get(part[0])
        paragraph += kind("", part[1:-1]) if kind else nodes.Text(part)
    text = paragraph.astext()
    for formula in list(paragraph.findall(nodes.math)):
        extension.hold(formula)
    assert paragraph.astext() == text
    whole = set(paragraph.findall(lambda node: isinstance(node, nodes.Element) and extension.WHOLE in node["classes"]))
    return "".join(f"[{c.astext()}]" if c in whole else c.astext() for c in paragraph.children)


@pytest.mark.parametrize(
    "parts, expected",
    [
        (("Let ", "$x$", " be"), "Let [x] be"),
        (("up to ", "$x$", ". Then"), "up to [x.] Then"),
        (("modes (", "$x$", ") live"), "modes [(x)] live"),
        (("of ", "$c={}$", "*3.5*", ", so"), "of [c={}3.5,] so"),
        (("of ", "$x$", "*two words*", ", so"), "of [x]two words, so"),
        (("both ", "$x$", ",", "$y$", "-like sets"), "both [x,y-like] sets"),
        (("$x$",), "[x]"),
    ],
)
def test_neighbours_without_a_space_stay_with_a_formula(whole_formulas, parts, expected):
    assert shown(whole_formulas, *parts) == expected
