"""axe-core finds nothing serious on any built page, in the light theme, in the dark one and on a narrow screen."""

from __future__ import annotations

import pytest

SERIOUS = ("serious", "critical")
# Where, and with what options, axe-core looks. Contrast takes most of the time, so it has a look of its own.
SAMPLE = {"include": [["[data-sample]"]]}
LOOKS = {
    "rules": ("light", 1280, {}, {"rules": {"color-contrast": {"enabled": False}, "region": {"enabled": False}}}),
    "light": ("light", 1280, SAMPLE, {"runOnly": ["color-contrast"]}),
    "dark": ("dark", 1280, SAMPLE, {"runOnly": ["color-contrast"]}),
    "narrow": ("light", 390, {}, {"runOnly": ["scrollable-region-focusable"]}),
}
# All folds are opened. Glyphs of formulas are drawings, hidden from a screen reader: without them a look is faster. Of
# the elements with text that share their tags, classes and styles up to the body, the first one is the sample.
PREPARE = """async () => {
  await window.MathJax?.startup?.promise;
  document.querySelectorAll('details').forEach(fold => { fold.open = true; });
  document.querySelectorAll('mjx-container > svg').forEach(formula => formula.replaceChildren());
  const kind = e => e === document.body ? '' :
    `${kind(e.parentElement)} ${e.tagName}|${e.getAttribute('class')}|${e.getAttribute('style')}`;
  const seen = new Set();
  for (const e of document.body.querySelectorAll('*')) {
    if (seen.has(kind(e)) || ![...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim())) continue;
    seen.add(kind(e));
    e.dataset.sample = '';
  }
}"""
LOOK = """async ([where, options]) => {
  const {violations} = await axe.run(where.include ? where : document, {resultTypes: ['violations'], ...options});
  return violations.flatMap(v => v.nodes.map(n => [v.impact, v.id, n.target.join(' '), n.html.slice(0, 160)]));
}"""


@pytest.fixture(scope="module")
def tab(browser):
    """One tab without a network, for all pages."""
    context = browser.new_context(offline=True)
    tab = context.new_page()
    tab.set_default_timeout(120_000)
    yield tab
    context.close()


def serious(tab, address: str) -> list[str]:
    """What axe-core calls serious or critical on the page at an address: a line for each element and look."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe-core is not installed: run make install")
    found = []
    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.goto(address, wait_until="load")
    tab.evaluate(PREPARE)
    tab.evaluate(axe.AXE_SCRIPT)
    for look, (theme, width, where, options) in LOOKS.items():
        tab.set_viewport_size({"width": width, "height": 900})
        tab.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        found += [f"{look}: {' | '.join(line)}" for line in tab.evaluate(LOOK, [where, options]) if line[0] in SERIOUS]
    return found


def test_nothing_serious(tab, page):
    assert serious(tab, page.as_uri()) == []


# A page that is fine, and what makes it bad for one look or more.
PAGE = """<!doctype html><html lang="en"><title>A page</title><style>
  body { color: #222; background: #fff; }
  [data-theme="dark"] body { color: #ddd; background: #111; }
  @media (max-width: 600px) { .wide { overflow-x: auto; width: 9rem; white-space: nowrap; } }
</style><main><h1>A page</h1>FAULT</main></html>"""
FAULTS = {
    "": [],
    '<img src="figure.png">': ["rules: critical | image-alt"],
    "<dl><dd>no term</dd></dl>": ["rules: serious | definition-list"],
    '<p style="color: #bbb; background: #fff">pale</p>': [f"{t}: serious | color-contrast" for t in ("light", "dark")],
    '<p style="color: #222">dark on dark</p>': ["dark: serious | color-contrast"],
    '<details>Fold<p style="color: #bbb; background: #fff">pale</p></details>': [
        f"{t}: serious | color-contrast" for t in ("light", "dark")
    ],
    f'<p class="wide">{"a long line " * 20}</p>': ["narrow: serious | scrollable-region-focusable"],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(tab, tmp_path, fault):
    path = tmp_path / "page.html"
    path.write_text(PAGE.replace("FAULT", fault), encoding="utf-8")
    assert [line.rsplit(" | ", 2)[0] for line in serious(tab, path.as_uri())] == FAULTS[fault]
