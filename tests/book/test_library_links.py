"""The built pages about the library: an anchor for every public name, and links both ways between it and the claims."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag

import pytest

from featnorm.claims import CHECKS, REGISTRY
from featnorm.publish import library

LARGEST = 1_000_000  # bytes of a page
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


class Page(HTMLParser):
    """The ids of a page, its headings, and the links that stand inside each element that has an id."""

    VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: dict[str, set[str]] = {}
        self.headings: list[int] = []
        self._open: list[tuple[str, str | None]] = []
        self._term: str | None = None  # the last term of a description, whose id the description shares
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        id = values.get("id")
        if id:
            self.ids.add(id)
        if tag == "dt":
            self._term = id or self._term
        if tag in HEADINGS and any(name == "article" for name, _ in self._open):
            self.headings.append(int(tag[1]))
        if tag == "a" and values.get("href"):
            for _, owner in self._open:
                if owner:
                    self.links.setdefault(owner, set()).add(values["href"])
        if tag not in self.VOID:
            self._open.append((tag, self._term if tag == "dd" else id))

    def handle_endtag(self, tag):
        for i in range(len(self._open) - 1, -1, -1):
            if self._open[i][0] == tag:
                del self._open[i:]
                break


@pytest.fixture(scope="module")
def pages(html: Path) -> dict[Path, Page]:
    """The pages about the library and those that state claims, by their resolved path."""
    stated = {html / "book" / f"{REGISTRY[id].chapter}.html" for id in CHECKS}
    paths = sorted({*(html / "book" / "api").glob("*.html"), *stated})
    return {path.resolve(): Page(path) for path in paths}


@pytest.fixture(scope="module")
def anchors(pages) -> dict[str, Path]:
    """Where each id of the pages about the library is."""
    return {id: path for path, page in pages.items() if path.parent.name == "api" for id in page.ids}


def reached(page: Path, href: str) -> tuple[Path, str]:
    """Page and anchor that a link leads to."""
    target, anchor = urldefrag(href)
    return ((page.parent / target).resolve() if target else page), anchor


def targets(pages: dict[Path, Page], path: Path, owner: str) -> set[tuple[Path, str]]:
    """What the links below an anchor lead to."""
    return {reached(path, href) for href in pages[path].links.get(owner, ())}


def test_every_public_name_has_an_anchor(anchors):
    assert [name for name in library.public() if name not in anchors] == []


def test_a_name_that_does_not_exist_has_none(anchors):
    """The falsifier: neither a made-up name, nor one that is not public, nor the place where a package keeps a name."""
    for name in ("featnorm.setting.no_such", "featnorm.setting._unit", "featnorm.equilibria.frozen.regime"):
        assert name not in anchors


def test_a_claim_links_to_the_functions_it_is_checked_with(pages, anchors, html):
    missing = []
    for id in CHECKS:
        path = (html / "book" / f"{REGISTRY[id].chapter}.html").resolve()
        found = {(p, anchor) for p, anchor in targets(pages, path, id) if p.parent.name == "api"}
        wanted = {(anchors[name], name) for name in library.used(id)}
        if found != wanted:
            missing.append((id, found ^ wanted))
    assert missing == []


def test_a_function_links_to_the_claims_that_use_it(pages, anchors, html):
    missing = []
    for name, ids in library.used_by().items():
        found = {anchor for _, anchor in targets(pages, anchors[name], name) if anchor in REGISTRY}
        if found != set(ids):
            missing.append((name, found ^ set(ids)))
    assert missing == []


def test_links_between_the_pages_lead_to_anchors(pages):
    for path, page in pages.items():
        for href in {href for links in page.links.values() for href in links}:
            target, anchor = reached(path, href)
            if anchor and target in pages:
                assert anchor in pages[target].ids, f"{path.name}: {href}"


def test_headings_skip_no_level_and_no_page_is_large(pages):
    for path, page in pages.items():
        if path.parent.name == "api":
            assert path.stat().st_size < LARGEST
            assert page.headings[0] == 1
            assert all(b <= a + 1 for a, b in zip(page.headings, page.headings[1:]))
