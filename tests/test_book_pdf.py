"""The joined page that is printed as PDF: ids, links and folds of two small pages, and what is refused."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = """<html><head><link rel="stylesheet" href="../_static/a.css"><script src="../_static/theme.js"></script>
<script>window.MathJax = {{}}</script><script defer src="../_static/mathjax/tex-svg-full.js"></script></head><body>
<nav class="bd-links"><a class="internal" href="{home}">Home</a><p class="caption">Part</p>
<a class="internal" href="{other}">1. Other</a></nav><article class="bd-article"><h1>T<a class="headerlink">#</a></h1>
<p id="x">a</p>{body}</article></body></html>"""
HOME = """<a href="other.html#x">1</a><a href="#x">2</a><a href="other.html">3</a>
<a href="../_sources/book/intro.md">4</a><a href="https://example.org/">5</a>
<svg><path id="p"></path><use xlink:href="#p" clip-path="url(#p)"></use></svg>
<div class="featnorm-explore"><svg></svg><div class="fe-controls" hidden><button>L2</button></div></div>
<details><summary>s</summary>proof</details><div class="cell"><details class="hide above-input">code</details></div>"""


@pytest.fixture
def book_pdf(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    return pytest.importorskip("book_pdf", reason="the book's packages are not installed: run make install")


@pytest.fixture
def html(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "intro.html").write_text(PAGE.format(home="#", other="other.html", body=HOME))
    (tmp_path / "book" / "other.html").write_text(PAGE.format(home="intro.html", other="#", body=""))
    return tmp_path


def joined(book_pdf, html):
    """The joined page of the two."""
    about = {"title": "T & T", "author": "A", "note": "N"}
    return book_pdf.BeautifulSoup(book_pdf.assemble(html, book_pdf.reading_order(html), about), "html.parser")


def test_the_order_is_that_of_the_sidebar(book_pdf, html):
    assert book_pdf.reading_order(html) == [("book/intro", "Home", None), ("book/other", "1. Other", "Part")]


def test_links_lead_into_the_joined_page_or_to_the_web(book_pdf, html):
    page = joined(book_pdf, html)
    links = [a["href"] for a in page.select("#book-intro a")]
    assert links == ["#book-other--x", "#book-intro--x", "#book-other", "https://example.org/"]
    assert all(page.find(id=link[1:]) for link in links[:3])
    assert page.find("use").attrs == {"xlink:href": "#book-intro--p", "clip-path": "url(#book-intro--p)"}
    ids = [element["id"] for element in page.select("[id]")]
    assert len(ids) == len(set(ids))


def test_proofs_are_open_and_folded_code_is_left_out(book_pdf, html):
    page = joined(book_pdf, html)
    assert [d.get("open") for d in page.select("details")] == [""]
    assert "code" not in page.get_text() and not page.select("div.cell, a.headerlink")


def test_a_figure_that_moves_stands_still_and_says_so(book_pdf, html):
    figure = joined(book_pdf, html).select_one(".featnorm-explore")
    assert [child.name for child in figure.find_all(True)] == ["svg", "p"]
    assert figure.get_text() == "Printed as it stands at first. In the HTML book it can be moved."


def test_the_head_keeps_styles_and_mathjax(book_pdf, html):
    head = joined(book_pdf, html).head
    assert head.title.get_text() == "T & T"
    assert [Path(s["href"]).name for s in head.select("link")] == ["a.css"]
    assert ["window.MathJax" in s.get_text() or Path(s["src"]).name for s in head.select("script")] == [
        True,
        "tex-chtml-full.js",
    ]


def test_without_a_browser_it_says_what_to_install(book_pdf, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match=r"none of chromium, .* is on the path; install Chromium"):
        book_pdf.browser()


@pytest.mark.parametrize("record, message", [
    (None, "no whole book in .*: run make book first"),
    ({"key": "another", "scale": "book"}, "changed since the book was built: run make book"),
])  # fmt: skip
def test_a_book_of_another_state_is_not_printed(book_pdf, tmp_path, capsys, monkeypatch, record, message):
    monkeypatch.setenv("FEATNORM_SCALE", "smoke")  # restored afterwards
    if record:
        (tmp_path / ".execution.json").write_text(json.dumps(record))
    assert book_pdf.main([str(tmp_path), str(tmp_path / "a.pdf")]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "a.pdf").exists()
