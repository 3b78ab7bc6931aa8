"""The script of the figure that can be moved: its formulas against the library, and the figure in a browser.

The comparison runs under Node if there is one, else in the browser that the other tests of the book use; it does not
skip. The page here is the figure alone; test_pages opens the built page.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import BROWSERS

from featnorm.publish.explore import RANGES, Explorer, State, words

SCRIPT = resources.files("featnorm.publish").joinpath("explore.js").read_text(encoding="utf-8")
STATIC = Path(__file__).resolve().parents[2] / "book" / "_static"
# [equilibria, critical rho, words, dw/dt at three points] of every state
GOLDEN = """(api, states) => states.map((s) => [api.solve(s), api.criticalRho(s), api.words(s),
  [-0.7, 0.3, 1.1].map((w) => api.velocity(s, w))])"""


def golden_states(n: int, seed: int = 0) -> list[State]:
    """States all over the sliders; their distance from the fold runs from a millionth to a factor two, or is zero."""
    rng = np.random.default_rng(seed)
    found: list[State] = []
    while len(found) < n:
        values = {name: float(rng.uniform(*ends)) for name, ends in RANGES.items()}
        powers = {name: x if name == "N_x" else 10.0**x for name, x in values.items()}
        state = State(**powers, sigma2=float(10.0 ** rng.uniform(-1, 1)), loss=("cosine", "L2")[len(found) % 4 == 0])
        gap = rng.choice([-1, 1]) * np.exp(rng.uniform(np.log(1e-6), np.log(0.7)))
        rho = state.critical * float(np.exp(gap)) if len(found) % 10 else state.critical
        if 1e-3 <= rho <= 10:
            found.append(replace(state, rho=rho))
    return found


@pytest.fixture
def evaluate(request) -> Callable[[str, list[State]], Any]:
    """Runs `GOLDEN` on the functions of a script, under Node or in the browser."""
    node = shutil.which("node")

    def by_node(script: str, states: list[State]) -> Any:
        text = json.dumps([asdict(s) for s in states])
        program = f"{script}\nconsole.log(JSON.stringify(({GOLDEN})(module.exports, {text})));"
        done = subprocess.run([node, "-"], input=program, capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout)

    def by_browser(script: str, states: list[State]) -> Any:
        page = request.getfixturevalue("browser").new_page()
        try:
            page.add_script_tag(content=script)
            return page.evaluate(f"(states) => ({GOLDEN})(featnormExplore, states)", [asdict(s) for s in states])
        finally:
            page.close()

    if node:
        return by_node
    if any(map(shutil.which, BROWSERS)):
        return by_browser
    pytest.fail("neither Node nor a browser: the script cannot be compared with the library")


def differences(found: Any, states: list[State]) -> list[str]:
    """Where the script says something else than the library: counts, names, positions, velocities, words."""
    out = []
    for state, (points, critical, said, velocities) in zip(states, found):
        wanted = state.points()
        unit = max(abs(w) for w, _, _ in wanted) or 1.0
        # a double root is as uncertain as the square root of what the tolerance of the fold leaves open
        same = [(p["name"], p["stability"]) for p in points] == [(name, kind) for _, name, kind in wanted]
        same = same and all(abs(p["w"] - w) <= 1e-9 * unit for p, (w, _, _) in zip(points, wanted))
        same = same and abs(critical / state.critical - 1) <= 1e-12 and list(words(state)) == said
        same = same and np.allclose(velocities, state.velocity(np.array([-0.7, 0.3, 1.1])), rtol=1e-12, atol=0)
        if not same:
            out.append(f"{state}: {points}, {critical}, {said}")
    return out


def test_the_script_has_the_formulas_of_the_library(evaluate):
    states = golden_states(400)
    found = evaluate(SCRIPT, states)
    assert len(found) == 400 and {s.side for s in states} == {"above", "at", "below"}
    assert differences(found, states) == []


# Near misses, one formula each.
MUTANTS = {
    "factor in the fold": ("3 * y ** 5", "2 * y ** 5"),
    "power in the fold": ("10 * y ** 4", "10 * y ** 3"),
    "sign of theta": ("- theta * x ** 2", "+ theta * x ** 2"),
    "no root of N_Psi": ("(a * s.N_Phi * Math.sqrt(s.N_Psi))", "(a * s.N_Phi * s.N_Psi)"),
    "threshold of the L2 loss": ("1 / (4 * a)", "1 / (2 * a)"),
    "half the sixth-order term": ("(-2 * w ** 6", "(-1 * w ** 6"),
    "a fold that is never met": ("FOLD_TOLERANCE = 1e-12", "FOLD_TOLERANCE = 0"),
    "a fold that is met too often": ("FOLD_TOLERANCE = 1e-12", "FOLD_TOLERANCE = 1e-5"),
    "unit of w": ("unit = Math.sqrt(s.N_Psi)", "unit = s.N_Psi"),
    "stabilities exchanged": ('"w_down_plus", "unstable"', '"w_down_plus", "stable"'),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_perturbed_formula_is_caught(evaluate, name):
    old, new = MUTANTS[name]
    assert old in SCRIPT
    states = golden_states(200)
    assert differences(evaluate(SCRIPT.replace(old, new), states), states) != []


# --- In the browser --------------------------------------------------------------------------------------------------


def page_of(state: State, theme: str = "light") -> str:
    """The figure on a page with the book's own style sheet; the theme's colours stand in for those of the theme."""
    colours = {"light": ("#ffffff", "#323232"), "dark": ("#14181e", "#ced6dd")}[theme]
    css = (STATIC / "featnorm.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html><html data-theme="{theme}"><head><meta charset="utf-8"><title>x</title>'
        '<meta name="viewport" content="width=device-width"><style>'
        f":root {{ --pst-color-background: {colours[0]}; --pst-color-text-muted: {colours[1]}; }}"
        f"body {{ background: {colours[0]}; color: {colours[1]}; margin: 20px; max-width: 760px }}{css}</style></head>"
        f"<body>{Explorer(state)._repr_html_()}</body></html>"
    )


ACUTE = State(1.0, 1.0, 0.0, 0.2)


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the figure from the disk with the network off; fails on an error of the script."""
    contexts, errors = [], []

    def open_(state: State = ACUTE, theme: str = "light", **options):
        path = tmp_path / f"{theme}.html"
        path.write_text(page_of(state, theme), encoding="utf-8")
        context = browser.new_context(offline=True, **{"viewport": {"width": 900, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []


def shown(page) -> tuple[str, int]:
    """The regime that the text names, and how many equilibria are marked."""
    return page.inner_text(".fe-name"), page.locator(".fe-mark").count()


def number(page, name: str) -> float:
    return float(page.input_value(f"input[name=explore-{name}]"))


def test_the_first_picture_of_the_script_is_the_one_of_python(browser, opened):
    """Numbers may differ by the last digit of rounding, words not at all."""
    parts = (
        "() => ['curve', 'ticks', 'line', 'marks', 'area', 'border', 'regions', 'handle', 'name', 'text'].map((k) => "
    )
    parts += "{const e = document.querySelector('.fe-' + k); return (e.getAttribute('d') || '') + "
    parts += "(e.getAttribute('transform') || '') + (e.localName === 'g' && k === 'handle' ? '' : e.innerHTML)})"
    for state in (ACUTE, replace(ACUTE, rho=ACUTE.critical), replace(ACUTE, loss="L2"), State(5, 0.2, 0.9, 2.0)):
        drawn = opened(state, java_script_enabled=True).evaluate(parts)
        still = opened(state, java_script_enabled=False)
        without = still.evaluate(parts)
        for a, b in zip(drawn, without):
            assert re.sub(r"[\d.]+", "#", a) == re.sub(r"[\d.]+", "#", b)
            pairs = zip(re.findall(r"[\d.]+", a), re.findall(r"[\d.]+", b))
            assert all(abs(float(x.strip(".")) - float(y.strip("."))) < 0.011 for x, y in pairs if x.strip("."))


def test_a_slider_moved_across_the_saddle_node_changes_regime_and_marks(opened):
    page = opened()
    assert shown(page) == ("Acute", 4)
    page.locator("input[name=explore-rho]").fill(str(np.round(np.log10(ACUTE.critical) + 0.02, 2)))
    assert shown(page) == ("Collapse", 2)
    page.locator("input[name=explore-N_Psi]").fill("-1")  # smaller norms bring the equilibrium back
    assert shown(page) == ("Acute", 4)
    page.locator("input[name=explore-N_x]").fill("1")  # and learning takes it away again: theta grows
    assert shown(page)[0] == words(replace(ACUTE, N_Psi=0.1, N_x=1.0, rho=10.0 ** number(page, "rho")))[0]


def test_the_keyboard_alone_does_it_too(opened):
    page = opened()
    page.locator("input[name=explore-rho]").focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert shown(page) == ("Collapse", 2)
    assert float(page.get_attribute("input[name=explore-rho]", "aria-valuetext")) == pytest.approx(0.251, abs=0.01)
    for _ in range(12):  # the point stands before the controls
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.matches('.fe-handle')"):
            break
    before = [number(page, name) for name in ("N_Phi", "N_Psi", "rho")]
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    after = [number(page, name) for name in ("N_Phi", "N_Psi", "rho")]
    assert shown(page) == ("Acute", 4)
    assert np.subtract(after, before) == pytest.approx([-0.3, -0.6, 0.0], abs=1e-9)
    assert "Acute" in page.get_attribute(".fe-handle", "aria-valuetext")


def test_every_control_can_be_reached_by_the_tab_key(opened):
    page = opened()
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        what = "(e) => e.name || (e.matches('.fe-handle') ? 'point' : e.textContent.trim())"
        reached.add(page.evaluate(f"({what})(document.activeElement)"))
    assert {f"explore-{name}" for name in ("rho", "N_Phi", "N_Psi", "N_x", "loss")} <= reached
    assert {"Collapse", "fold", "Acute", "nearly Stable"} <= reached
    assert "point" in reached


def test_dragging_the_point_moves_the_sliders_and_stays_in_their_range(opened):
    page = opened()
    box = page.locator(".fe-dot").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = {name: number(page, name) for name in RANGES}
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y - 20, steps=4)
    page.mouse.up()
    after = {name: number(page, name) for name in RANGES}
    assert after["N_Phi"] > before["N_Phi"] and after["rho"] > before["rho"] and after["N_x"] == before["N_x"]
    # both layers by one factor: N_Psi by its square
    assert after["N_Psi"] - before["N_Psi"] == pytest.approx(2 * (after["N_Phi"] - before["N_Phi"]), abs=0.03)
    assert shown(page) == ("Collapse", 2)
    page.mouse.down()
    page.mouse.move(x + 2000, y - 2000)
    page.mouse.up()
    assert (number(page, "N_Phi"), number(page, "rho")) == (RANGES["N_Phi"][1], RANGES["rho"][1])


def test_buttons_set_the_four_settings_and_the_switch_changes_the_loss(opened):
    page = opened()
    for name, seen in {"Collapse": ("Collapse", 2), "fold": ("fold", 3), "Acute": ("Acute", 4)}.items():
        page.get_by_role("button", name=name, exact=True).click()
        assert shown(page) == seen
    page.get_by_role("button", name="Collapse", exact=True).click()
    page.get_by_role("radio", name="L2").check()
    assert shown(page) == ("L2, above the threshold", 1)
    page.locator(".fe-handle").focus()
    for _ in range(18):  # no norm appears in Eq. 8: shrinking does not help
        page.keyboard.press("ArrowLeft")
    assert shown(page) == ("L2, above the threshold", 1)
    page.get_by_role("radio", name="cosine").check()
    assert shown(page) == ("Acute", 4)


def test_without_javascript_and_in_print_the_picture_is_complete(opened):
    page = opened(java_script_enabled=False)
    assert shown(page) == ("Acute", 4)
    assert page.locator("svg[role=img]").count() == 2
    assert not page.locator(".fe-controls").is_visible()  # nothing that would not work
    live = opened()
    assert live.locator(".fe-controls").is_visible()
    live.emulate_media(media="print")
    assert not live.locator(".fe-controls").is_visible()
    assert live.locator(".fe-curve").is_visible() and shown(live) == ("Acute", 4)


def test_a_phone_does_not_scroll_sideways_and_the_letters_can_be_read(opened):
    page = opened(viewport={"width": 390, "height": 844})
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    sizes = page.evaluate("[...document.querySelectorAll('svg text')].map((e) => e.getBoundingClientRect().height)")
    assert min(sizes) >= 10


CONTRAST = """(selectors) => {
  const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = light(getComputedStyle(document.body).backgroundColor);
  const ratio = (c) => { const l = light(c); return (Math.max(l, ground) + 0.05) / (Math.min(l, ground) + 0.05); };
  return selectors.map(([s, key]) => ratio(getComputedStyle(document.querySelector(s))[key])); }"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("loss", ["cosine", "L2"])
def test_both_themes_have_contrast(opened, theme, loss):
    page = opened(replace(ACUTE, rho=0.01, loss=loss), theme)
    letters = [("svg text", "fill"), (".fe-text", "color"), ("button", "color"), ("output", "color")]
    shapes = [(".fe-curve", "stroke"), (".fe-axis", "stroke"), (".fe-border", "stroke"), (".fe-dot", "fill"),
              (".fe-mark circle", "stroke"), (".fe-converges", "stroke"), (".fe-arrow", "fill")]  # fmt: skip
    assert min(page.evaluate(CONTRAST, letters)) >= 4.5
    assert min(page.evaluate(CONTRAST, shapes)) >= 3.0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_figure_of_the_built_page_moves_and_follows_the_theme(browser, html, theme):
    context = browser.new_context(offline=True, color_scheme=theme, viewport={"width": 390, "height": 844})
    try:
        page = context.new_page()
        page.goto((html / "book" / "explore.html").as_uri())
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert shown(page)[0] == "Acute"
        page.locator("input[name=explore-rho]").fill("0.5")
        assert shown(page) == ("Collapse", 2)
        assert min(page.evaluate(CONTRAST, [("svg.fe-plane text", "fill"), (".fe-text", "color")])) >= 4.5
    finally:
        context.close()
