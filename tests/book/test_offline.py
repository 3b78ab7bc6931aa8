"""No page of the built book asks another host for anything. Links are fine: the reader chooses to follow them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

# Attributes whose address a browser fetches by itself.
FETCHED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "frame": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "track": ("src",),
    "input": ("src",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
    "base": ("href",),
    "body": ("background",),
}
# A <link> fetches its address, or talks to its host, unless it only states a relation.
RELATIONS = {"alternate", "author", "canonical", "help", "license", "next", "prev", "search", "index", "top", "up"}
OUTSIDE = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
CSS_ADDRESS = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])([^"')\s]+)""", re.IGNORECASE)


def outside(address: str) -> bool:
    """Whether an address names another host; every part of a ``srcset`` counts."""
    return any(OUTSIDE.match(part) for part in address.split(", ")) and not address.lstrip().startswith("file:")


def css_requests(css: str) -> list[str]:
    """Addresses of other hosts in a style sheet."""
    return [a for a in CSS_ADDRESS.findall(re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)) if outside(a)]


class Requests(HTMLParser):
    """Collects what a page would fetch from another host."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._style = False

    def handle_starttag(self, tag, attrs):
        values = {k: v or "" for k, v in attrs}
        addresses = [values[a] for a in FETCHED.get(tag, ()) if a in values]
        if tag == "link" and not set(values.get("rel", "").lower().split()) & RELATIONS:
            addresses.append(values.get("href", ""))
        if tag == "meta" and values.get("http-equiv", "").lower() == "refresh":
            addresses.append(values.get("content", "").partition("=")[2])
        self.found += [f"<{tag}> {a}" for a in addresses if outside(a)]
        self.found += [f"style of <{tag}> {a}" for a in css_requests(values.get("style", ""))]
        self._style = tag == "style"

    def handle_endtag(self, tag):
        self._style = False

    def handle_data(self, data):
        if self._style:
            self.found += [f"<style> {a}" for a in css_requests(data)]


def requests(text: str) -> list[str]:
    """What an HTML text would fetch from another host."""
    parser = Requests()
    parser.feed(text)
    parser.close()
    return parser.found


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://x.org/a.js"></script>',
        '<script src="//x.org/a.js"></script>',
        '<link rel="stylesheet" href="https://x.org/a.css">',
        '<link rel="preconnect" href="https://x.org">',
        '<link rel="icon" href="http://x.org/i.png">',
        '<img src="https://x.org/i.png"/>',
        '<img srcset="a.png 1x, https://x.org/i.png 2x">',
        '<iframe src="https://x.org"></iframe>',
        '<style>@import "https://x.org/a.css";</style>',
        "<style>p { background: url(//x.org/i.png) }</style>",
        "<p style=\"background: url('https://x.org/i.png')\">",
        '<meta http-equiv="Refresh" content="0; url=https://x.org">',
    ],
)
def test_a_request_is_recognised(text):
    assert requests(text)


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://x.org">a link</a>',
        '<link rel="canonical" href="https://x.org/page">',
        '<script src="_static/a.js"></script>',
        '<script>const text = "https://x.org";</script>',
        '<img src="data:image/png;base64,AA//BB">',
        '<svg xmlns="http://www.w3.org/2000/svg"></svg>',
        "<p>url(https://x.org)</p>",
        '<style>/* @import "https://x.org/a.css" */</style>',
    ],
)
def test_a_link_or_a_local_file_is_not_a_request(text):
    assert not requests(text)


def test_page_asks_no_other_host(page: Path):
    assert requests(page.read_text(encoding="utf-8")) == []


def test_style_sheets_ask_no_other_host(html: Path):
    sheets = sorted(html.glob("**/*.css"))
    assert sheets
    found = {p.relative_to(html).as_posix(): css_requests(p.read_text(encoding="utf-8")) for p in sheets}
    assert not {name: addresses for name, addresses in found.items() if addresses}


def test_mathjax_is_part_of_the_book(html: Path):
    assert (html / "_static" / "mathjax" / "tex-svg-full.js").stat().st_size > 1_000_000
