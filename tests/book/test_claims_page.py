"""The page of all claims: filters and graphs in a browser, what a reader without JavaScript sees, where its links lead.

The filters are tested on a page of their own, with the results of a few checks; the links need the built book.
"""

from __future__ import annotations

import re
from collections import Counter
from html import unescape
from pathlib import Path

import pytest
from book_tools import ROOT

from featnorm import claims
from featnorm.publish import badge, claim_box, claim_graph, dashboard
from featnorm.scale import Scale

ENTRIES = list(claims.REGISTRY.values())
CHECKED = {
    "eq-6": "holds", "eq-7": "holds", "assumption-2": "departs", "lemma-12": "holds loosely", "figure-1": "undecided",
}  # fmt: skip
CHAPTERS = sorted({c.chapter or dashboard.UNCHECKED_PAGE for c in ENTRIES})
BOOK = [dashboard.Part("all", {name: name for name in CHAPTERS})]
SCRIPT = (Path(dashboard.__file__).with_name("dashboard.js")).read_text(encoding="utf-8")
SHOWN = """() => Array.from(document.querySelectorAll(".featnorm-claims tbody"))
  .filter((body) => body.checkVisibility()).map((body) => body.querySelector("th a").getAttribute("href").slice(1))"""


@pytest.fixture(scope="module")
def page_text() -> str:
    """The dashboard alone, in the book's style, with the results of a few checks."""
    results = {id: claim_box.ClaimBox(claims.run(id, 0, Scale.SMOKE)).data for id in CHECKED}
    table = dashboard.table_html(ENTRIES, results, lambda id: f"#{id}", BOOK)
    graphs = dashboard.graphs_html(ENTRIES, results, lambda id: f"#{id}", BOOK)
    style = (ROOT / "book" / "_static" / "featnorm.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>x</title><style>{style}</style>'
        f'<article class="bd-article">{table}{graphs}</article></html>'
    )


@pytest.fixture
def open_page(browser, page_text, tmp_path):
    """Opens the page, or a changed one, at an address that ends in a hash; an error of its script fails the test."""
    opened, errors = [], []

    def open_(hash: str = "", text: str = page_text, javascript: bool = True, width: int = 1280):
        file = tmp_path / "claims.html"
        file.write_text(text, encoding="utf-8")
        context = browser.new_context(
            offline=True, java_script_enabled=javascript, viewport={"width": width, "height": 900}
        )
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.goto(file.as_uri() + hash)
        return page

    yield open_
    for context in opened:
        context.close()
    assert errors == []


def ids(**wanted: str) -> list[str]:
    """The claims that a choice should leave, by the registry."""
    return [
        c.id
        for c in ENTRIES
        if wanted.get("outcome") in (None, CHECKED.get(c.id, claims.NOT_CHECKED))
        and wanted.get("chapter") in (None, c.chapter or dashboard.UNCHECKED_PAGE)
        and wanted.get("formula") in (None, c.restored)
    ]


CHOICES = [
    {"outcome": "departs"},
    {"outcome": "holds"},
    {"outcome": "undecided"},
    {"chapter": "regimes"},
    {"formula": "guess"},
    {"chapter": "gronwall", "formula": "constants"},
    {"outcome": "holds loosely", "formula": "guess"},
]


def mistakes(page) -> list[str]:
    """What the filters do wrong: rows, their count, the address, and the way back."""
    out = []

    def expect(what: str, wanted: list[str], hash: str) -> None:
        if (found := page.evaluate(SHOWN)) != wanted:
            out.append(f"{what}: shows {len(found)}, not {len(wanted)}")
        if (said := page.locator("output").text_content()) != f"{len(wanted)} of {len(ENTRIES)} claims":
            out.append(f"{what}: says {said}")
        if (address := page.evaluate("location.hash")) != hash:
            out.append(f"{what}: address {address}")

    expect("at first", ids(), "")
    for choice in CHOICES:
        for name, value in choice.items():
            page.locator(f"[name={name}]").select_option(value)
        expect(str(choice), ids(**choice), "#" + "&".join(f"{k}={v.replace(' ', '+')}" for k, v in choice.items()))
        page.locator("[type=reset]").click()
        page.wait_for_timeout(20)
        expect(f"after {choice}", ids(), "")
    page.locator("[name=text]").fill("PROOF  norms")
    texts = page.evaluate("Array.from(document.querySelectorAll('.featnorm-claims tbody'), (b) => b.textContent)")
    fitting = [c.id for c, text in zip(ENTRIES, texts) if all(word in text.lower() for word in ("proof", "norms"))]
    assert 1 < len(fitting) < len(ENTRIES)
    expect("text", fitting, "#text=PROOF++norms")
    return out


def test_filters_show_what_was_chosen(open_page):
    assert mistakes(open_page()) == []


MUTANTS = {
    "all but the chosen": ("body.dataset[name] === wanted", "body.dataset[name] !== wanted"),
    "one choice is enough": ('["outcome", "chapter", "formula"].every', '["outcome", "chapter", "formula"].some'),
    "one word is enough": ("words.every", "words.some"),
    "the first choice only": ('["outcome", "chapter", "formula"].every', '["outcome", "chapter"].every'),
    "capitals count": (".value.toLowerCase()", ".value"),
    "address not kept": ('"input", () => { show(); write(); }', '"input", () => { show(); }'),
    "reset not seen": ('addEventListener("reset", () =>', 'addEventListener("resets", () =>'),
    "count of all": ("${shown} of", "${rows.length} of"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_filter_is_caught(open_page, page_text, name):
    old, new = MUTANTS[name]
    assert old in page_text
    assert mistakes(open_page(text=page_text.replace(old, new)))


def test_the_address_carries_the_choice(open_page):
    page = open_page("#chapter=gronwall&formula=constants")
    assert page.evaluate(SHOWN) == ids(chapter="gronwall", formula="constants") != ids()
    assert page.locator("[name=chapter]").input_value() == "gronwall"
    page.evaluate("location.hash = '#outcome=departs'")
    page.wait_for_function("document.querySelector('[name=outcome]').value === 'departs'")
    assert page.evaluate(SHOWN) == ids(outcome="departs")
    page.evaluate("location.hash = '#some-heading'")  # an anchor is no choice: it changes nothing
    page.wait_for_timeout(50)
    assert page.evaluate(SHOWN) == ids(outcome="departs")


def test_a_choice_that_does_not_exist_is_none(open_page):
    page = open_page("#outcome=splendid&other=1")
    assert page.evaluate(SHOWN) == ids()
    assert page.locator("[name=outcome]").input_value() == ""


def test_filters_work_from_the_keyboard(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "outcome"
    page.keyboard.type("departs")  # a list is chosen from by typing
    assert page.evaluate(SHOWN) == ids(outcome="departs")
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "text"
    page.keyboard.type("no such words")
    page.keyboard.press("Enter")  # must not load the page again
    assert page.evaluate(SHOWN) == [] and page.locator("output").text_content().startswith("0 of ")
    assert page.locator("output").get_attribute("aria-live") == "polite"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_timeout(50)
    assert page.evaluate(SHOWN) == ids()


@pytest.mark.parametrize("width", [390, 1280])
def test_without_javascript_every_claim_is_there(open_page, width):
    page = open_page("#outcome=departs", javascript=False, width=width)
    assert page.locator("form").is_hidden()
    rows = page.locator(".featnorm-claims tbody")
    assert rows.count() == len(ENTRIES) and all(row.is_visible() for row in rows.all())
    fold = rows.filter(has_text="Eq. 7: ").first
    fold.locator("summary").first.click()  # folded by the browser itself
    assert fold.get_by_text("Rests on:").is_visible()


def test_a_graph_shows_what_the_claim_rests_on_and_what_rests_on_it(open_page):
    page = open_page()
    paper = [c for c in ENTRIES if c.kind != "beyond"]
    below, above = claim_graph.rests_on(paper), claim_graph.carries(paper)
    part = page.locator(".featnorm-part").first
    on = "(part) => Array.from(part.querySelectorAll('.featnorm-node.featnorm-on'), (n) => n.dataset.claim)"
    for id in ("lemma-4", "eq-1", "figure-8"):
        part.locator(f"[data-claim={id}]").focus()
        assert set(part.evaluate(on)) == {id} | below[id] | above[id]
        lines = part.locator("path.featnorm-on").evaluate_all("(all) => all.map((e) => [e.dataset.from, e.dataset.to])")
        ways = ({id} | below[id], {id} | above[id])
        assert sorted(map(tuple, lines)) == sorted(
            (used, c.id) for c in paper for used in c.uses if any(used in way and c.id in way for way in ways)
        )
        said = part.locator(".featnorm-traced").text_content()
        rests, _, carried = said.partition(" In this graph, on it rests: ")
        for text, wanted in ((rests, below[id]), (carried, above[id])):
            names = [claims.get(other).name for other in wanted]
            assert all(re.search(rf"(?: |^){re.escape(name)}[,.]", text) for name in names)
            assert text.count(",") == max(len(names) - 1, 0)
        other = next(c.id for c in paper if c.id not in {id} | below[id] | above[id])
        assert float(part.locator(f"[data-claim={other}]").evaluate("(e) => getComputedStyle(e).opacity")) < 0.5
    part.locator("[data-claim=figure-8]").blur()
    assert float(part.locator("[data-claim=eq-1]").evaluate("(e) => getComputedStyle(e).opacity")) == 1


# --- The built page --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(html: Path) -> dict[str, str]:
    """The rows of each claim in the built page, by id."""
    text = (html / "book" / "claims.html").read_text(encoding="utf-8")
    bodies = re.findall(r"<tbody data-outcome.*?</tbody>", text, flags=re.S)
    return {re.search(r'<th scope="row"><a href="[^"#]*#([^"]+)"', body).group(1): body for body in bodies}


def test_the_built_page_is_light(html: Path):
    assert (html / "book" / "claims.html").stat().st_size < 1_000_000


def test_every_claim_is_drawn_as_its_own_in_one_graph(html: Path):
    text = (html / "book" / "claims.html").read_text(encoding="utf-8")
    own = re.findall(r'data-claim="([\w-]+)" data-name="[^"]*" class="featnorm-node (?![^"]*featnorm-context)', text)
    assert sorted(own) == sorted(claims.REGISTRY)


def test_the_badge_agrees_with_the_built_page(built):
    assert list(built) == list(claims.REGISTRY)
    found = Counter(re.search('data-outcome="([^"]+)"', body).group(1) for body in built.values())
    assert badge.words(found) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_statements_and_checks_are_where_their_links_lead(html: Path, built):
    pages: dict[str, str] = {}
    for id, body in built.items():
        chapter = f"{claims.get(id).chapter or dashboard.UNCHECKED_PAGE}.html"
        if chapter not in pages:
            pages[chapter] = (html / "book" / chapter).read_text(encoding="utf-8")
        text = pages[chapter]
        assert f'<a href="{chapter}#{id}"' in body and f'id="{id}"' in text
        if id in claims.CHECKS:
            assert f'<a href="{chapter}#check-{id}"' in body
            (box,) = re.findall(rf'id="check-{id}">.*?</p>', text)
            outcome = re.search(r'class="featnorm-outcome [^>]*>(.*?)</span></p>', box).group(1)
            assert outcome in body  # the outcome that the chapter shows
            measured = re.search(rf'#check-{id}">(.*?)</a>', body).group(1)
            assert re.fullmatch(r"[^<>]+ (≤|&gt;|>) [^<>]+|not finite, .*", unescape(measured))
