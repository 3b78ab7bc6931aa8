"""What the book needs from code: figures, claim boxes, the dashboard, provenance."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from html import escape
from itertools import pairwise

import numpy as np
import pytest

from featnorm import claims, provenance
from featnorm.claims import Evidence
from featnorm.publish import badge, claim_box, claim_graph, dashboard, figure
from featnorm.scale import Scale


def drawn(name: str = "fig-x", alt: str = 'a "line" & more'):
    with figure.drawing() as (fig, axis):
        axis.plot([0, 1], [0, 1], color=figure.COLOURS["W"])
        axis.set_xlabel("$w_j$")
        return figure.inline_svg(fig, name, alt)


def test_figure_is_well_formed_and_follows_the_page():
    svg = drawn()
    root = ET.fromstring(svg)
    assert root.get("role") == "img" and root.get("aria-label") == 'a "line" & more'
    assert root.get("width") is None and root.get("viewBox")
    assert "currentColor" in svg and figure._INK not in svg
    assert "http" not in svg.replace("http://www.w3.org", "")


def test_two_figures_on_one_page_share_no_id():
    ids = [re.findall(r'\bid="([^"]+)"', drawn(name)) for name in ("fig-a", "fig-b")]
    assert ids[0] and not set(ids[0]) & set(ids[1])
    for name, found in zip(("fig-a", "fig-b"), ids):
        refs = re.findall(r'(?:href="#|url\(#)([^")]+)', drawn(name))
        assert refs and set(refs) <= set(found)


def test_the_same_figure_twice_is_the_same_text():
    assert drawn() == drawn()


def contrast(colour: str, background: str) -> float:
    """Contrast ratio of WCAG 2."""

    def luminance(text: str) -> float:
        rgb = np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(colour), luminance(background)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("background", ["#ffffff", "#14181e"])  # the theme's light and dark page
@pytest.mark.parametrize("colour", sorted({*figure.COLOURS.values(), *figure.RAMP}))
def test_palette_stands_out_in_both_themes(colour, background):
    assert contrast(colour, background) >= 3.0  # what WCAG 2 asks of graphics


def test_a_figure_needs_words():
    with figure.drawing() as (fig, _), pytest.raises(ValueError, match="alt"):
        figure.glue_figure(fig, "fig-x", "  ", "test")


def test_claim_box_carries_its_result():
    data, metadata = claim_box.check("eq-7", seed=0)._repr_mimebundle_()
    result = json.loads(json.dumps(data[claim_box.MIME], allow_nan=False))
    assert result["id"] == "eq-7" and result["outcome"] == "holds" and result["commit"] and result["machine"]
    assert all(not e["passed"] for e in result["falsifiers"].values())
    assert metadata["scrapbook"]["name"] == "claim eq-7"
    assert "holds" in data["text/html"] and "6 rejected" in data["text/html"]
    assert data["text/html"].count('id="check-eq-7"') == 1  # where the page of all claims leads to


def test_a_check_that_decides_nothing_stops_the_build(monkeypatch):
    right = claims.CHECKS["eq-7"]
    broken = claims.Check(right.run, right.claimed, {"right": right.claimed})
    monkeypatch.setitem(claims.CHECKS, "eq-7", broken)
    with pytest.raises(AssertionError, match=r"eq-7.*accepts \['right'\]"):
        claim_box.check("eq-7", seed=0)


def test_undecided_needs_a_reason_which_the_box_shows(monkeypatch):
    def undecided(why: str) -> claims.Check:
        measured = Evidence(2.0, 1.0, "test", "archived", 1, None, undecided=why)
        return claims.Check(lambda variant, scale, seed: measured, 0, {"another": 1})

    monkeypatch.setitem(claims.CHECKS, "figure-1", undecided("seeds < all"))
    html = claim_box.check("figure-1", seed=0, expected="undecided")._repr_mimebundle_()[0]["text/html"]
    assert "Why it is undecided: seeds &lt; all</p>" in html and "featnorm-undecided" in html
    monkeypatch.setitem(claims.CHECKS, "figure-1", undecided(""))
    with pytest.raises(AssertionError, match="figure-1: the check decides nothing"):
        claim_box.check("figure-1", seed=0, expected="undecided")


def test_a_text_that_relies_on_another_outcome_stops_the_build():
    with pytest.raises(AssertionError, match="the text says 'holds vacuously', the check found 'holds'"):
        claim_box.check("eq-7", seed=0, expected="holds vacuously")


@pytest.fixture
def results():
    return {id: claim_box.ClaimBox(claims.run(id, 0, Scale.SMOKE)).data for id in ("eq-6", "eq-7")}


ENTRIES = list(claims.REGISTRY.values())
#: Two parts that hold all chapters, so that the graph of ours is two.
CHAPTERS = sorted({c.chapter for c in ENTRIES if c.chapter})
BOOK = [
    dashboard.Part("first", {name: f"Title of {name}" for name in CHAPTERS[::2]}),
    dashboard.Part("second", {name: f"Title of {name}" for name in [*CHAPTERS[1::2], dashboard.UNCHECKED_PAGE]}),
]


def link(id: str) -> str:
    return f"{claims.get(id).chapter or dashboard.UNCHECKED_PAGE}.html#{id}"


def rows(table: str) -> dict[str, str]:
    """The body of each claim's rows, by the address of the statement in its head."""
    bodies = re.findall(r"<tbody.*?</tbody>", table, flags=re.S)
    return {re.search(r'<th scope="row"><a href="[^"#]*#([^"]+)"', body).group(1): body for body in bodies}


def test_table_has_every_claim_with_its_outcome_and_its_place(results):
    counted = dashboard.counts(ENTRIES, results)
    assert counted["holds"] == 2 and counted[claims.NOT_CHECKED] == len(ENTRIES) - 2
    found = rows(dashboard.table_html(ENTRIES, results, link, BOOK))
    assert list(found) == list(claims.REGISTRY)
    for claim in ENTRIES:
        page = claim.chapter or dashboard.UNCHECKED_PAGE
        assert f'data-chapter="{page}" data-formula="{claim.restored}"' in found[claim.id]
        assert f'<a href="{page}.html">Title of {page}</a>' in found[claim.id]
        for used in claim.uses:
            assert f'<a href="{link(used)}">' in found[claim.id].partition("Rests on:")[2].partition("Carries:")[0]
            assert f'<a href="{link(claim.id)}">' in found[used].partition("Carries:")[2]


def test_a_claim_that_the_table_leaves_out_is_missed(results):
    entries = [c for c in ENTRIES if c.id in {"eq-1", "eq-2", "eq-3"}]
    assert set(rows(dashboard.table_html(entries, results, link, BOOK))) == {"eq-1", "eq-2", "eq-3"}


def test_evidence_and_the_nearest_wrong_variant_stand_side_by_side(results):
    table = dashboard.table_html(ENTRIES, results, link, BOOK)
    found = rows(table)
    assert [id for id, body in found.items() if "all evidence" in body] == sorted(results, key=list(found).index)
    for id, result in results.items():
        head, _, fold = found[id].partition("<details>")
        excess = {name: e["statistic"] - e["threshold"] for name, e in result["falsifiers"].items()}
        name = min(excess, key=excess.get)
        assert f'href="{link(id).partition("#")[0]}#check-{id}">{claim_box.comparison(result["evidence"])}</a>' in head
        assert f"{claim_box.comparison(result['falsifiers'][name])}</span>" in head and f">{escape(name)}; " in head
        assert all(f"<li>{escape(name)}: " in fold for name in result["falsifiers"])


def test_nearest_wrong_variant():
    def wrong(**excess):
        return {"falsifiers": {k: {"statistic": v and v + 1.0, "threshold": 1.0} for k, v in excess.items()}}

    assert dashboard.nearest(wrong(a=3.0, b=0.5, c=None)) == "b"  # one that is not finite is the farthest
    assert dashboard.nearest(wrong(a=None)) == "a"


def test_only_values_that_occur_can_be_chosen(results):
    entries = [claims.get("eq-6"), claims.get("figure-10")]
    form = dashboard.filters_html(entries, results, BOOK)
    pages = {c.chapter or dashboard.UNCHECKED_PAGE for c in entries}
    chapters = [name for part in BOOK for name in part.chapters if name in pages]
    options = ["holds", claims.NOT_CHECKED, *chapters, "exact", "guess"]
    assert re.findall(r'<option value="([^"]+)"', form) == options
    assert "hidden" in form.partition(">")[0]


# --- What rests on what ----------------------------------------------------------------------------------------------


def test_what_rests_on_what_is_the_transitive_closure():
    ids = list(claims.REGISTRY)
    uses = np.array([[used in claims.get(id).uses for used in ids] for id in ids])
    closure = uses.copy()
    for _ in ids:
        closure |= (closure.astype(int) @ uses.astype(int)) > 0
    below, above = claim_graph.rests_on(ENTRIES), claim_graph.carries(ENTRIES)
    for i, id in enumerate(ids):
        assert below[id] == {ids[j] for j in np.flatnonzero(closure[i])}
        assert above[id] == {ids[j] for j in np.flatnonzero(closure[:, i])}
    longer = (uses.astype(int) @ closure.astype(int)) > 0
    assert claim_graph.implied(ENTRIES) == {(ids[j], ids[i]) for i, j in np.argwhere(uses & longer)}


def graphs(html: str) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, flags=re.S)]


def lines(svg: ET.Element) -> list[tuple[str, str]]:
    """The pairs (used, claim) that a graph draws."""
    return [(e.get("data-from"), e.get("data-to")) for e in svg.iter() if e.tag.endswith("path")]


def boxes(svg: ET.Element) -> dict[str, tuple[float, float, float]]:
    """Left, top and width of each claim's box."""
    found = {}
    for a in (e for e in svg.iter() if e.get("data-claim")):
        rect = next(e for e in a if e.tag.endswith("rect"))
        found[a.get("data-claim")] = tuple(float(rect.get(key)) for key in ("x", "y", "width"))
    return found


@pytest.fixture(scope="module")
def svgs() -> list[ET.Element]:
    return graphs(dashboard.graphs_html(ENTRIES, {}, link, BOOK))


def test_every_line_is_drawn_once_and_every_claim_is_at_home_once(svgs):
    assert len(svgs) == 3
    assert sorted(pair for svg in svgs for pair in lines(svg)) == sorted((u, c.id) for c in ENTRIES for u in c.uses)
    nodes = [e for svg in svgs for e in svg.iter() if e.get("data-claim")]
    home = [e.get("data-claim") for e in nodes if "featnorm-context" not in e.get("class")]
    assert sorted(home) == sorted(claims.REGISTRY)
    carried = claim_graph.carries(ENTRIES)
    for e in nodes:
        id = e.get("data-claim")
        assert e.get("href") == link(id)
        sign, number = (text.text or "" for text in e if text.tag.endswith("text"))
        assert sign == f"… {claims.get(id).name}" and number == (str(len(carried[id])) if carried[id] else "")


def test_a_line_leads_from_the_box_of_what_is_used_down_to_the_box_of_what_uses_it(svgs):
    for svg in svgs:
        at = boxes(svg)
        for path in (e for e in svg.iter() if e.tag.endswith("path")):
            numbers = [float(n) for n in re.findall(r"-?\d+", path.get("d"))]
            for id, (x, y), edge in (
                (path.get("data-from"), numbers[:2], 24),
                (path.get("data-to"), numbers[-2:], 0),
            ):
                left, top, width = at[id]
                assert left < x < left + width and y == top + edge
            steps = re.findall(r"[MCV][^MCV]+", path.get("d"))
            heights = [float(re.findall(r"-?\d+", step)[-1]) for step in steps]
            assert heights == sorted(heights)


def test_boxes_of_a_graph_do_not_overlap_and_stay_inside(svgs):
    for svg in svgs:
        _, _, width, height = map(float, svg.get("viewBox").split())
        layers = {}
        for left, top, wide in boxes(svg).values():
            layers.setdefault(top, []).append((left, left + wide))
            assert left >= 0 and left + wide <= width and top + 24 <= height
        for spans in layers.values():
            spans.sort()
            assert all(right < left for (_, right), (left, _) in pairwise(spans))


def test_a_graph_of_one_claim_and_of_a_chain():
    one = claim_graph.drawing([claims.get("eq-1")], {"eq-1": 80.0})
    assert one.layer == {"eq-1": 0} and one.width == 92
    stub = type(claims.get("eq-1"))
    chain = [
        stub(**{**claims.get("eq-1").__dict__, "id": id, "uses": uses})
        for id, uses in (("a", ()), ("b", ("a",)), ("c", ("b", "a")))
    ]
    drawing = claim_graph.drawing(chain, dict.fromkeys("abc", 80.0))
    assert drawing.layer == {"a": 0, "b": 1, "c": 2} and len({round(drawing.x[id]) for id in "abc"}) == 1
    assert claim_graph.implied(chain) == {("a", "c")}


def test_digits_tell_a_statistic_from_its_threshold():
    assert claim_box.comparison({"statistic": 1.0, "threshold": 1.0 + 1e-9, "passed": True}) == "1 ≤ 1.000000001"
    assert claim_box.comparison({"statistic": 1.0, "threshold": 1.0, "passed": True}) == "1 ≤ 1"
    assert claim_box.comparison({"statistic": None, "threshold": 1.0, "passed": False}) == "not finite, threshold 1"


# --- The badge -------------------------------------------------------------------------------------------------------


def test_badge_fits_its_text_and_can_be_read():
    found = {name: n for n, name in enumerate(claim_box.SIGNS, start=1)}
    svg = ET.fromstring(badge.badge_svg(found))
    rects = [(float(e.get("x")), float(e.get("width"))) for e in svg.iter() if e.tag.endswith("rect")]
    assert len(rects) == 1 + len(found)
    assert all(x + width == following for (x, width), (following, _) in pairwise(rects))
    assert sum(rects[-1]) == float(svg.get("width"))
    assert len(set(badge.GROUND.values())) == len(badge.GROUND)
    assert all(contrast("#ffffff", ground) >= 4.5 for ground in (*badge.GROUND.values(), badge._LABEL))
    assert svg.get("aria-label").startswith("28 claims: 1 holds, 2 hold loosely, 3 hold vacuously, 4 depart, 5 fail, ")


def test_badge_says_only_what_occurs():
    assert badge.words({"fails": 1, "holds": 2}) == "3 claims: 2 hold, 1 fails"
    assert "undecided" not in badge.badge_svg({"holds": 2})


def test_readme_without_its_badge_is_refused(tmp_path, capsys):
    (tmp_path / "README.md").write_text("no badge", encoding="utf-8")
    with pytest.raises(SystemExit):
        badge.main([str(tmp_path)])
    assert "README.md: 0 pictures book/_static/claims.svg" in capsys.readouterr().err


def test_provenance_names_no_place():
    assert re.fullmatch(r"[0-9a-f]{10,}\+?|version .+", provenance.commit())
    assert "/" not in provenance.machine()
