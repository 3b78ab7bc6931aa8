"""The Python side of the figure that can be moved: what it shows, refuses, and draws without JavaScript."""

from __future__ import annotations

import json
import re
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featnorm.equilibria import regime
from featnorm.publish.explore import RANGES, Explorer, State, picture, presets, short, words

decades = {name: st.floats(low, high) for name, (low, high) in RANGES.items()}


@st.composite
def states(draw) -> State:
    """Everything the sliders can reach."""
    values = {name: draw(decades[name]) for name in RANGES}
    powers = {name: x if name == "N_x" else float(10.0**x) for name, x in values.items()}
    return State(**powers, sigma2=draw(st.sampled_from([0.1, 1.0, 9.0])), loss=draw(st.sampled_from(["cosine", "L2"])))


@given(states())
def test_equilibria_are_zeros_where_the_velocity_changes_sign_as_the_marks_say(state):
    points = state.points()
    w = np.array([p[0] for p in points])
    unit = max(abs(w).max(), 0.5 / (1 + state.sigma2))
    edges = np.concatenate([[w[0] - unit], (w[:-1] + w[1:]) / 2, [w[-1] + unit]])
    signs = np.sign(state.velocity(edges))
    for i, (_, _, stability) in enumerate(points):
        before_after = (signs[i], signs[i + 1])
        assert before_after == {"stable": (1, -1), "unstable": (-1, 1), "semi-stable": (-1, -1)}[stability]


@given(states())
def test_the_picture_is_complete_and_well_formed_for_everything_the_sliders_reach(state):
    html = Explorer(state)._repr_html_()
    drawings = re.findall(r"<svg.*?</svg>", html, flags=re.S)
    for svg in drawings:
        ElementTree.fromstring(svg)
        assert "nan" not in svg and "inf" not in svg
    assert "".join(drawings).count('class="fe-mark ') == len(state.points())
    name, text = words(state)
    assert f">{name}</strong>" in html and text in html
    if state.loss == "cosine":
        assert name == regime(state.norms, state.setting)


def test_the_buttons_are_the_regimes_whatever_the_noise():
    for sigma2 in (0.1, 1.0, 9.0):
        found = {name: regime(s.norms, s.setting) for name, s in presets(sigma2).items()}
        assert found == {"Collapse": "Collapse", "fold": "fold", "Acute": "Acute", "nearly Stable": "Acute"}
        near = presets(sigma2)["nearly Stable"]
        assert near.rho / near.critical < 0.02


def test_the_l2_border_does_not_depend_on_norms_and_the_cosine_border_does():
    def borders(**change) -> list[str]:
        return [picture(State(N, N * N, 0.3, 0.05, **change))["border"] for N in (0.5, 2.0)]

    assert len(set(borders(loss="L2"))) == 1
    # scaling both layers moves along the border, not the border itself
    assert len(set(borders())) == 1
    assert picture(State(1, 1, 0.0, 0.05))["border"] != picture(State(1, 1, 1.0, 0.05))["border"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rho": 0.0}, "rho = 0.0"), ({"N_Phi": float("nan")}, "N_Phi = nan"), ({"N_Psi": 1e9}, "N_Psi = 1000000000.0"),
        ({"N_x": 1.5}, "N_x = 1.5"), ({"sigma2": 0.0}, "sigma2 = 0.0"), ({"loss": "l1"}, "loss = 'l1'"),
    ],
)  # fmt: skip
def test_what_no_slider_reaches_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        State(**{"N_Phi": 1.0, "N_Psi": 1.0, "N_x": 0.0, "rho": 0.1, **change})


def test_the_page_gets_one_small_self_contained_block():
    html = Explorer(State(1.0, 1.0, 0.0, 0.1))._repr_html_()
    assert len(html.encode()) < 40_000
    assert not re.search(r"https?://|\beval\(|new Function|fetch\(|import\(", html)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids)) and all(i.startswith("explore-") for i in ids)
    data = json.loads(unescape(re.search(r'data-explore="([^"]*)"', html).group(1)))
    assert data["state"]["rho"] == 0.1 and len(data["presets"]) == 4


def test_numbers_are_short_and_have_no_exponent():
    assert [short(x) for x in (0.0, 123456.0, 1e-7, -0.5)] == ["0", "123000", "0.0000001", "−0.5"]
