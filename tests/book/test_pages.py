"""Every built page in a browser, opened from the disk with the network off, as a reader of a download would."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

PHONE = {"width": 390, "height": 844}
# Waits until MathJax has done its first pass; a page without formulas does not load it.
TYPESET = """async () => {
  const wanted = document.querySelectorAll('.math').length;
  if (wanted && !(window.MathJax && MathJax.startup)) return {wanted, loaded: false};
  if (wanted) await MathJax.startup.promise;
  const bare = [...document.querySelectorAll('.math')].filter(e => !e.querySelector('mjx-container'));
  const wrong = [...document.querySelectorAll('mjx-merror, [data-mjx-error], mtext[mathcolor=red]')];
  return {wanted, loaded: true, bare: bare.map(e => e.textContent), wrong: wrong.map(e => e.textContent)};
}"""
# TeX that no one typeset: text outside code, scripts and typeset formulas, folded parts included.
RAW_TEX = r"""() => {
  const skip = 'script, style, noscript, template, code, pre, mjx-container';
  const raw = /\$\$|\\begin\{|\\[()[\]]|\\[A-Za-z]+\s*\{/;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node; (node = walker.nextNode());)
    if (!node.parentElement.closest(skip) && raw.test(node.data)) found.push(node.data.trim().slice(0, 120));
  return found;
}"""
# What sticks out at the right, to say where to look when a page scrolls sideways.
WIDE = """() => {
  const page = document.scrollingElement, width = document.documentElement.clientWidth;
  if (page.scrollWidth <= width) return [];
  const clipped = e => { for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
    if (getComputedStyle(p).overflowX !== 'visible') return true; return false; };
  const out = [...document.body.querySelectorAll('*')]
    .filter(e => e.getBoundingClientRect().right > width + 1 && !clipped(e))
    .map(e => e.outerHTML.slice(0, 160));
  return [`the page is ${page.scrollWidth} pixels wide, the screen ${width}`, ...out.slice(0, 5)];
}"""
# Formulas that begin left of their box, where no one can scroll to. MathJax leaves a wide formula its width.
CUT = """() => [...document.querySelectorAll('div.math')].filter(box => {
  const formula = box.querySelector('mjx-container') || box.firstElementChild;
  return formula && formula.getBoundingClientRect().left < box.getBoundingClientRect().left - 1;
}).map(box => box.innerText.replace(/\\s+/g, ' ').slice(0, 60))"""
# Pictures a screen reader could not name. What is hidden from it is decoration; MathJax adds MathML to its formulas.
UNNAMED = """() => {
  const named = e => (e.getAttribute('alt') || e.getAttribute('aria-label') || '').trim()
    || (e.getAttribute('aria-labelledby') || '').split(/\\s+/).some(i => i && document.getElementById(i))
    || [...e.children].some(c => c.tagName === 'title' && c.textContent.trim());
  return [...document.querySelectorAll('img, svg[role=img]')]
    .filter(e => !e.closest('mjx-container, [aria-hidden=true]') && !named(e)).map(e => e.outerHTML.slice(0, 160));
}"""


def visit(browser, path: Path, size: dict[str, int]) -> SimpleNamespace:
    """Open a page without a network and return what it shows and what went wrong."""
    context = browser.new_context(offline=True, viewport=size)
    context.set_default_timeout(60_000)
    page = context.new_page()
    errors: list[str] = []
    asked: list[str] = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("requestfailed", lambda r: errors.append(f"request failed: {r.url} ({r.failure})"))
    page.on("request", lambda r: asked.append(r.url))
    try:
        page.goto(path.as_uri(), wait_until="load")
        math = page.evaluate(TYPESET)
        return SimpleNamespace(
            math=math,
            raw=page.evaluate(RAW_TEX),
            wide=page.evaluate(WIDE),
            cut=page.evaluate(CUT),
            unnamed=page.evaluate(UNNAMED),
            errors=errors,
            asked=asked,
        )
    finally:
        context.close()


def problems(view: SimpleNamespace) -> dict[str, object]:
    """What is wrong with a page, by kind; empty if nothing is."""
    math = view.math
    found = {
        "console errors and failed requests": view.errors,
        "requests to another host": [u for u in view.asked if not u.startswith(("file:", "data:", "blob:"))],
        "MathJax is missing": [] if math["loaded"] else [f"{math['wanted']} formulas"],
        "formulas that were not typeset": math.get("bare"),
        "formulas that MathJax could not read": math.get("wrong"),
        "raw TeX in the text": view.raw,
        "pictures without alt text or aria-label": view.unnamed,
        "sideways scroll": view.wide,
        "formulas cut off at the left": view.cut,
    }
    return {kind: what for kind, what in found.items() if what}


@pytest.mark.parametrize(
    "size", [pytest.param(PHONE, id="phone"), pytest.param({"width": 1280, "height": 900}, id="desk")]
)
def test_page_opens_whole_from_the_disk(browser, page: Path, size):
    assert problems(visit(browser, page, size)) == {}


def test_index_leads_to_the_first_page(html: Path):
    (target,) = re.findall(
        r'http-equiv="refresh" content="0; url=([^"]+)"', (html / "index.html").read_text(), re.IGNORECASE
    )
    assert (html / target).is_file()


BAD = """<!doctype html><html><head><title>x</title><link rel="stylesheet" href="none.css"></head><body>
<p>Raw \\(x\\) and $$y$$.</p><div style="width: 900px">wide</div>
<div class="math" style="display: flex; justify-content: center; width: 9px"><i style="min-width: 99px">y</i></div>
<img src="data:,"><span class="math">z</span>
<script>console.error("broken"); fetch("https://example.org/").catch(() => 0);</script></body></html>"""


def test_a_bad_page_is_caught(browser, tmp_path):
    """The falsifier of the test above: a page with every fault shows every one."""
    bad = tmp_path / "bad.html"
    bad.write_text(BAD, encoding="utf-8")
    assert set(problems(visit(browser, bad, PHONE))) == {
        "console errors and failed requests",
        "requests to another host",
        "MathJax is missing",
        "raw TeX in the text",
        "pictures without alt text or aria-label",
        "sideways scroll",
        "formulas cut off at the left",
    }
