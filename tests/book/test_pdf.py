"""The PDF of the whole book: its outline, numbers and links are those of the built pages."""

from __future__ import annotations

import re
import unicodedata

import pytest
from book_tools import ROOT, documents
from bs4 import BeautifulSoup, SoupStrainer

pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed: run make install")
from pypdf.generic import DecodedStreamObject, NameObject  # noqa: E402

PDF = ROOT / "_build" / "featnorm.pdf"
# A reference that did not resolve, TeX that no one typeset, a fold that is still closed.
FAULTS = re.compile(r"\?\?|\$\$|\\begin\{|\\[A-Za-z]+\{|\$\\|Show code cell|Formulas on this page are typeset")
# The operators that draw lines and areas, one a line. They hold no text and are most of what a page consists of.
DRAWING = re.compile(rb"^(?:[-.\d ]+ (?:[mlc]|re)|[hfSn])\n", re.MULTILINE)


def squeezed(text: str) -> str:
    """A text without its spaces and ligatures, since a PDF has line ends and ligatures where the page has none."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def text_of(page) -> str:
    """The text of a page, read without its drawings."""
    stream = DecodedStreamObject()
    stream.set_data(DRAWING.sub(b"", page.get_contents().get_data()))
    page[NameObject("/Contents")] = stream
    return page.extract_text()


def links(reader) -> tuple[list[str], list[str]]:
    """Addresses outside and names of places inside that the links of a PDF lead to."""
    outside, inside = [], []
    for page in reader.pages:
        for link in (a.get_object() for a in page.get("/Annots", [])):
            if "/Dest" in link:
                inside.append(str(link["/Dest"]))
            elif "/A" in link:
                outside.append(str(link["/A"].get("/URI")))
    return outside, inside


@pytest.fixture(scope="module")
def chapters(html) -> list[BeautifulSoup]:
    """The articles of the built pages in the order of the table of contents."""
    read = [(html / f"{name}.html").read_text(encoding="utf-8") for name in documents()]
    found = [BeautifulSoup(text, "html.parser", parse_only=SoupStrainer("article")) for text in read]
    for soup in found:
        for link in soup.select("a.headerlink"):
            link.decompose()
    return [soup.select_one("article.bd-article") for soup in found]


@pytest.fixture(scope="module")
def reader(html):
    if not PDF.is_file():
        pytest.skip("no PDF of the book: run make pdf first")
    if PDF.stat().st_mtime < (html / ".execution.json").stat().st_mtime:
        pytest.skip("the PDF is older than the book: run make pdf")
    return pypdf.PdfReader(PDF)


@pytest.fixture(scope="module")
def texts(reader) -> list[str]:
    """The text of each page."""
    return [text_of(page) for page in reader.pages]


def test_it_says_what_it_is(reader):
    assert reader.metadata.title and reader.metadata.author
    assert re.fullmatch(r"Commit \S+, scale (smoke|book|full)", reader.metadata.subject)
    root = reader.trailer["/Root"]
    assert root["/Lang"] == "en" and root["/MarkInfo"]["/Marked"]


def test_the_outline_is_that_of_the_chapters(reader, chapters):
    tops = [entry for entry in reader.outline if not isinstance(entry, list)]
    titles = [" ".join(chapter.select_one("h1").get_text().split()) for chapter in chapters]
    assert [entry.title for entry in tops] == ["Contents", *titles]


def test_the_contents_name_the_page_of_each_chapter(reader, texts):
    tops = [entry for entry in reader.outline if not isinstance(entry, list)]
    starts = [reader.get_destination_page_number(entry) for entry in tops]
    contents = "".join(texts[starts[0] : starts[1]])
    for entry, start in zip(tops[1:], starts[1:]):
        assert squeezed(f"{entry.title}{start + 1}") in squeezed(contents)
        assert squeezed(entry.title) in squeezed(texts[start])
        assert reader.pages[start].mediabox.top - entry["/Top"] < 72, f"{entry.title} does not begin its page"


def test_links_stay_inside_or_lead_to_the_web(reader):
    outside, inside = links(reader)
    assert [a for a in outside if not a.startswith(("http://", "https://"))] == []
    assert set(inside) <= set(reader.named_destinations)
    assert len(inside) > 2 * len(documents())


def test_every_caption_has_the_number_of_the_page(texts, chapters):
    text = squeezed("".join(texts))
    numbers = [number.get_text() for chapter in chapters for number in chapter.select(".caption-number")]
    assert numbers and [n for n in numbers if squeezed(n) not in text] == []


def test_every_page_holds_text_and_none_a_fault(texts):
    assert len(texts) > len(documents())
    assert [i for i, text in enumerate(texts, start=1) if len(squeezed(text)) < 30] == []
    assert {i: FAULTS.findall(text) for i, text in enumerate(texts, start=1) if FAULTS.search(text)} == {}


def test_without_its_drawings_a_page_has_the_same_text(texts):
    whole = pypdf.PdfReader(PDF)  # the pages of the other one have lost their drawings
    for number in range(10, len(texts), 100):
        assert whole.pages[number].extract_text() == texts[number]


@pytest.mark.parametrize("text", ["Lemma ??", "$$x$$", r"\frac{1}{2}", r"$\mathrm Ext$", "Show code cell source"])
def test_a_fault_is_recognised(text):
    assert FAULTS.search(text)
