"""What the book needs from code: figures, claim boxes, the dashboard, provenance."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from featnorm import claims, provenance
from featnorm.publish import claim_box, dashboard, figure
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


def test_a_check_that_decides_nothing_stops_the_build(monkeypatch):
    right = claims.CHECKS["eq-7"]
    broken = claims.Check(right.run, right.claimed, {"right": right.claimed})
    monkeypatch.setitem(claims.CHECKS, "eq-7", broken)
    with pytest.raises(AssertionError, match=r"eq-7.*accepts \['right'\]"):
        claim_box.check("eq-7", seed=0)


def test_a_text_that_relies_on_another_outcome_stops_the_build():
    with pytest.raises(AssertionError, match="the text says 'holds vacuously', the check found 'holds'"):
        claim_box.check("eq-7", seed=0, expected="holds vacuously")


@pytest.fixture
def results():
    return {id: claim_box.ClaimBox(claims.run(id, 0, Scale.SMOKE)).data for id in ("eq-6", "eq-7")}


def test_dashboard_counts_and_links_every_claim(results):
    entries = list(claims.REGISTRY.values())
    counted = dashboard.counts(entries, results)
    assert counted["holds"] == 2 and counted[claims.NOT_CHECKED] == len(entries) - 2
    parts = (dashboard.table_html, dashboard.graph_svg)
    table, graph = (part(entries, results, lambda id: f"page.html#{id}") for part in parts)
    for claim in entries:
        assert f'href="page.html#{claim.id}"' in table and f'href="page.html#{claim.id}"' in graph
    assert table.count("<summary>evidence</summary>") == 2
    svg = ET.fromstring(re.search(r"<svg.*</svg>", graph, flags=re.S).group())
    lines = [e for e in svg.iter() if e.tag.endswith("path")]
    assert len(lines) == sum(len(c.uses) for c in entries)


def test_boxes_of_the_graph_do_not_overlap():
    graph = dashboard.graph_svg(list(claims.REGISTRY.values()), {}, str)
    places = re.findall(r'<rect x="(\d+)" y="(\d+)"', graph)
    assert len(places) == len(set(places)) == len(claims.REGISTRY)


def test_provenance_names_no_place():
    assert re.fullmatch(r"[0-9a-f]{10,}\+?|version .+", provenance.commit())
    assert "/" not in provenance.machine()
