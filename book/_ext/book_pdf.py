"""Print the built book as one PDF: ``python book/_ext/book_pdf.py _build/html _build/featnorm.pdf``.

The chapters are taken from the built pages, in the order of the table of contents, and joined to one page that Chromium
prints. So nothing is executed, and every number and every reference is the one of the HTML. Only ids are changed: each
gets the name of its page in front, since two chapters may use the same one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import execution_cache
import offline_math
import yaml
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import sync_playwright
from pypdf import PdfWriter
from pypdf.generic import NameObject, TextStringObject

from featnorm.provenance import commit

ROOT = Path(__file__).resolve().parents[2]
# The same names, in the same order, as tests/book/conftest.py.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
# Formulas are set in fonts, not in drawings as on the screen: the file is a third of the size, and their text is text.
MATHJAX = "tex-chtml-full.js"
# Attributes that name elements by their id.
NAMING = ("for", "headers", "aria-labelledby", "aria-describedby", "aria-controls")
# What only a screen can use: links to the heading itself, controls of figures, scripts, code that the HTML folds, and
# the chapters' lists of symbols, which lead to the page of symbols.
SCREEN_ONLY = "a.headerlink, .fe-controls, script, noscript, button, details.above-input, .featnorm-symbols"
# What stands under a figure that the reader of the HTML can move.
STILL = '<p class="featnorm-provenance">Printed as it stands at first. In the HTML book it can be moved.</p>'
# A4 without the margins at 96 dots per inch, so that what is measured before printing is what is printed.
SHEET = {"width": 642, "height": 980}
# Waits for MathJax and for its fonts, then shrinks what is wider than its place: paper does not scroll.
TYPESET = """async () => {
  await MathJax.startup.promise;
  await document.fonts.ready;
  for (const box of document.querySelectorAll('mjx-container[display=true], pre, table')) {
    const table = box.tagName === 'TABLE';
    const wide = table ? box.offsetWidth / box.parentElement.clientWidth : box.scrollWidth / box.clientWidth;
    if (wide <= 1) continue;
    if (table) box.style.zoom = 0.98 / wide;
    else box.style.fontSize = `${0.98 / wide * parseFloat(getComputedStyle(box).fontSize)}px`;
  }
}"""
MARGIN = {"top": "18mm", "bottom": "20mm", "left": "20mm", "right": "20mm"}
FOOTER = '<div style="width: 100%; text-align: center; font-size: 8pt"><span class="pageNumber"></span></div>'


class Chapter(NamedTuple):
    """One entry of the table of contents: ``page`` without ``.html``, ``title`` with its number, ``part`` it begins."""

    page: str
    title: str
    part: str | None


def _parse(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def _page(href: str, page: str) -> str:
    """The page that a relative address on ``page`` leads to; an empty address leads to ``page`` itself."""
    return normpath(join(dirname(page), unquote(href))).removesuffix(".html") if href else page


def reading_order(html: Path) -> list[Chapter]:
    """The chapters as the sidebar of the built book lists them."""
    root = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["root"]
    chapters, part = [], None
    for entry in _parse(html / f"{root}.html").select("nav.bd-links p.caption, nav.bd-links a.internal"):
        text = " ".join(entry.get_text().split())
        if entry.name == "p":
            part = text
        else:
            chapters.append(Chapter(_page(urlsplit(str(entry["href"])).path, root), text, part))
            part = None
    if not chapters:
        raise RuntimeError(f"{root}.html has no sidebar to take the order of the chapters from")
    return chapters


def mark(page: str) -> str:
    """The id of a page in the PDF, which every id on the page gets in front of it.

    >>> mark("book/api/flows")
    'book-api-flows'
    """
    return page.replace("/", "-")


def address(href: str, page: str, pages: set[str]) -> str | None:
    """Where a link of ``page`` leads in the PDF; None if to a file that is not part of it.

    >>> address("clock.html#lemma-1", "book/model", {"book/clock"}), address("#eq-1", "book/model", set())
    ('#book-clock--lemma-1', '#book-model--eq-1')
    >>> address("../model.html", "book/api/flows", {"book/model"}), address("../_sources/x.md", "book/model", set())
    ('#book-model', None)
    >>> address("https://arxiv.org/abs/2309.16109", "book/model", set())
    'https://arxiv.org/abs/2309.16109'
    """
    parts = urlsplit(href)
    if parts.scheme in ("http", "https", "mailto"):
        return href
    target = _page(parts.path, page)
    if target not in pages | {page}:
        return None
    return f"#{mark(target)}--{parts.fragment}" if parts.fragment else f"#{mark(target)}"


def printed(article: Tag, page: str, pages: set[str], html: Path) -> Tag:
    """A chapter made ready for paper: ids of its own, links that stay inside, nothing folded, nothing to click."""
    for figure in article.select(".featnorm-explore"):
        figure.append(BeautifulSoup(STILL, "html.parser"))
    for element in article.select(SCREEN_ONLY):
        element.decompose()
    for cell in article.select("div.cell"):
        if cell.find(True) is None:  # nothing is left of it; a heading above it would lose its hold on what follows
            cell.decompose()
    for element in article.select("details"):
        element["open"] = ""
    own = mark(page)
    for element in article.find_all(True):
        for key, value in element.attrs.items():
            if not isinstance(value, str) or key == "href":
                continue
            if key == "id":
                value = f"{own}--{value}"
            elif key in NAMING:
                value = " ".join(f"{own}--{id}" for id in value.split())
            elif key == "xlink:href":
                value = re.sub("^#", f"#{own}--", value)
            elif key == "src" and not value.startswith("data:"):
                value = (html / dirname(page) / value).resolve().as_uri()
            element[key] = value.replace("url(#", f"url(#{own}--")
    for link in article.select("a[href]"):
        target = address(str(link["href"]), page, pages)
        if target is None:
            link.unwrap()
        else:
            link["href"] = target
    article["id"] = own
    return article


def head(html: Path, page: str, title: str) -> str:
    """Style sheets and the settings of MathJax from a built page, without the scripts that serve the screen."""
    kept = [f'<meta charset="utf-8"><title>{escape(title)}</title>']
    for element in _parse(html / f"{page}.html").select("head link[rel=stylesheet], head script"):
        if element.name == "link":
            path = urlsplit(str(element["href"])).path
            element["href"] = (html / dirname(page) / path).resolve().as_uri()
        elif "mathjax" in str(element.get("src", "")):
            element["src"] = offline_math.source().with_name(MATHJAX).as_uri()
        elif "window.MathJax" not in element.get_text():
            continue
        kept.append(str(element))
    return "".join(kept)


def contents(chapters: list[Chapter], numbers: list[int]) -> str:
    """The table of contents, with the pages of the chapters once they are known."""
    lines = []
    for i, chapter in enumerate(chapters):
        if chapter.part:
            lines.append(f'<p class="featnorm-caption">{escape(chapter.part)}</p>')
        number = f"<span>{numbers[i]}</span>" if numbers else ""
        lines.append(f'<p><a href="#{mark(chapter.page)}">{escape(chapter.title)}</a>{number}</p>')
    return f'<section class="featnorm-contents" id="contents"><h1>Contents</h1>{"".join(lines)}</section>'


def assemble(html: Path, chapters: list[Chapter], about: dict[str, str]) -> str:
    """The whole book as one page: title, table of contents, chapters."""
    pages = {chapter.page for chapter in chapters}
    articles = []
    for page in (chapter.page for chapter in chapters):
        article = _parse(html / f"{page}.html").select_one("article.bd-article")
        if article is None:
            raise RuntimeError(f"{page}.html has no article")
        articles.append(str(printed(article, page, pages, html)))
    title = f'<p class="featnorm-title">{escape(about["title"])}</p>'
    front = f"<header>{title}<p>{escape(about['author'])}</p><p>{escape(about['note'])}</p></header>"
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light">'
        f"<head>{head(html, chapters[0].page, about['title'])}</head>"
        f'<body class="featnorm-print"><main class="bd-main"><div class="bd-content"><div class="bd-article-container">'
        f"{front}{contents(chapters, [])}{''.join(articles)}</div></div></main></body></html>"
    )


def browser() -> str:
    """The Chromium that this system has; RuntimeError says what to install if there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise RuntimeError(
            f"no browser to print with: none of {', '.join(BROWSERS)} is on the path; install Chromium, "
            "for example by: apt-get install chromium"
        )
    return found


def outline_entries(parent: Any) -> Iterator[Any]:
    """The entries of an outline in reading order, each before those below it."""
    entry = parent.get("/First")
    while entry is not None:
        entry = entry.get_object()
        yield entry
        yield from outline_entries(entry)
        entry = entry.get("/Next")


def name_outline(writer: PdfWriter, headings: list[Tag]) -> list[int]:
    """Give each entry of the outline the text of its heading, and return the pages of the chapters, from 1.

    The browser makes one entry a heading, but loses spaces where a heading breaks and repeats what it moved to the next
    page.
    """
    entries = list(outline_entries(writer.root_object["/Outlines"]))
    if len(entries) != len(headings):
        raise RuntimeError(f"the outline of the PDF has {len(entries)} entries for {len(headings)} headings")
    numbers = {page.indirect_reference.idnum: number for number, page in enumerate(writer.pages, start=1)}
    for entry, heading in zip(entries, headings):
        entry[NameObject("/Title")] = TextStringObject(" ".join(heading.get_text().split()))
    return [numbers[e["/Dest"][0].idnum] for e, h in zip(entries, headings) if h.name == "h1"]


def state(html: Path) -> str:
    """What the built book belongs to, in words; RuntimeError if it is not whole or not of this state of the library."""
    record = html / ".execution.json"
    if not record.is_file():
        raise RuntimeError(f"no whole book in {html}: run make book first")
    built = json.loads(record.read_text(encoding="utf-8"))
    os.environ[execution_cache.SCALE] = built["scale"]  # the key below depends on it
    if execution_cache.key(ROOT) != built["key"]:
        raise RuntimeError("lib/, book/results/ or constraints.txt changed since the book was built: run make book")
    return f"Commit {commit()}, scale {built['scale']}"


def print_book(html: Path, target: Path, about: dict[str, str]) -> int:
    """Print the book in the folder ``html`` to ``target`` and return the number of pages.

    It is printed twice: the first time tells the page numbers for the table of contents. The file appears under its
    name only when it is whole.
    """
    executable, chapters = browser(), reading_order(html)
    text = assemble(html, chapters, about)
    headings = BeautifulSoup(text, "html.parser").select("h1, h2, h3, h4, h5, h6")
    joined, partial = target.with_suffix(".partial.html").resolve(), target.with_suffix(".partial.pdf")
    joined.write_text(text, encoding="utf-8")
    options: dict[str, Any] = {
        "format": "A4", "margin": MARGIN, "print_background": True, "outline": True, "tagged": True,
        "display_header_footer": True, "header_template": "<span></span>", "footer_template": FOOTER,
    }  # fmt: skip
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        page = chromium.new_context(offline=True, color_scheme="light", viewport=SHEET).new_page()
        page.set_default_timeout(1_000_000)
        page.emulate_media(media="print")
        page.goto(joined.as_uri(), wait_until="load")
        page.evaluate(TYPESET)
        print("formulas typeset", flush=True)
        page.pdf(path=partial, **options)
        print("printed once; again with the page numbers of the contents", flush=True)
        numbers = name_outline(PdfWriter(clone_from=partial), headings)[1:]
        page.evaluate("html => { document.getElementById('contents').outerHTML = html; }", contents(chapters, numbers))
        page.pdf(path=partial, **options)
        chromium.close()
    writer = PdfWriter(clone_from=partial)
    if name_outline(writer, headings)[1:] != numbers:
        raise RuntimeError("the page numbers in the contents moved the chapters")
    writer.add_metadata({"/Author": about["author"], "/Subject": about["note"]})
    writer.write(partial)
    joined.unlink()
    os.replace(partial, target)
    return len(writer.pages)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns 1 with a message where the book cannot be printed."""
    parser = argparse.ArgumentParser(
        description="Print the built book as one PDF.",
        epilog="example: python book/_ext/book_pdf.py _build/html _build/featnorm.pdf",
    )
    parser.add_argument("html", type=Path, help="folder of the built book, as make book leaves it")
    parser.add_argument("pdf", type=Path, help="the file to write")
    given = parser.parse_args(arguments)
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    try:
        about = {"title": config["title"], "author": config["author"], "note": state(given.html)}
        count = print_book(given.html, given.pdf, about)
    except RuntimeError as error:
        print(f"book_pdf: {error}", file=sys.stderr)
        return 1
    print(f"The PDF is at {given.pdf}: {count} pages, {given.pdf.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
