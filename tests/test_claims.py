"""The registry: complete, consistent with the chapters, and every check able to tell right from wrong."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path

import pytest

from featnorm import claims
from featnorm.claims.model import Check, Evidence, Result, outcome, run_check, t_threshold
from featnorm.publish import badge
from featnorm.publish.claim_graph import layers
from featnorm.publish.dashboard import counts
from featnorm.scale import Scale

ROOT = Path(__file__).resolve().parents[1]
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "book").glob("*.md"))}
STATED = {page: re.findall(r"^```\{claim\} (\S+)$", text, flags=re.MULTILINE) for page, text in PAGES.items()}

#: What the paper numbers, and what it claims without a number.
NUMBERED = [
    *(f"eq-{n}" for n in range(1, 24)),
    *(f"assumption-{n}" for n in range(1, 6)),
    "definition-1",
    *(f"proposition-{n}" for n in range(1, 6)),
    "theorem-1",
    *(f"lemma-{n}" for n in range(1, 18)),
    *(f"remark-{n}" for n in range(1, 4)),
    "appendix-c",
    *(f"figure-{n}" for n in range(1, 13)),
]
UNNUMBERED = [
    "order-six", "equilibrium-emerges", "no-collapse-any-rho", "l2-collapses", "l2-collapses-at-once",
    "parabola-before-drift",
]  # fmt: skip


# --- The list --------------------------------------------------------------------------------------------------------


def test_every_statement_of_the_paper_is_registered_once():
    assert set(NUMBERED + UNNUMBERED) <= set(claims.REGISTRY)
    assert len(claims.REGISTRY) == len(claims.STATEMENTS)  # no id twice


@pytest.mark.parametrize("claim", claims.STATEMENTS, ids=lambda c: c.id)
def test_entry_is_complete(claim):
    assert claim.name and claim.title and claim.place and claim.statement
    assert set(claim.uses) <= set(claims.REGISTRY)
    assert claim.statement.count("$$") % 2 == 0
    tags = re.findall(r"\\tag\{(\d+)\}", claim.statement)
    assert tags == ([claim.id.removeprefix("eq-")] if claim.id.startswith("eq-") else [])
    assert bool(claim.collapse) == bool(re.search("collaps", claim.statement + claim.title, re.I)), "which collapse?"
    beyond = claim.kind == "beyond"
    assert claim.id.startswith("beyond-") == beyond
    assert bool(claim.nearest) == beyond and bool(claim.new) == beyond


def test_no_claim_rests_on_itself():
    assert sum(map(len, layers(claims.STATEMENTS))) == len(claims.STATEMENTS)


def test_a_circle_is_named():
    a, b = claims.get("eq-1"), claims.get("eq-2")
    object.__setattr__(a := type(a)(**{**a.__dict__, "uses": ("eq-2",)}), "id", "eq-1")
    b = type(b)(**{**b.__dict__, "uses": ("eq-1",)})
    with pytest.raises(ValueError, match="eq-1 -> eq-2 -> eq-1"):
        layers([a, b])


# --- Chapters --------------------------------------------------------------------------------------------------------


def test_each_claim_is_stated_where_the_registry_says_and_nowhere_else():
    """A statement without an entry, an entry without its statement, or one stated twice."""
    found = Counter((page, id) for page, ids in STATED.items() for id in ids)
    wanted = Counter((c.chapter, c.id) for c in claims.STATEMENTS if c.chapter)
    assert found == wanted
    assert "```{not-yet-checked}" in PAGES["not_yet_checked"]  # states those without a chapter


def test_a_checked_claim_has_a_chapter_that_runs_it():
    for id in claims.CHECKS:
        chapter = claims.get(id).chapter
        assert chapter is not None, id
        assert f'check("{id}", ' in PAGES[chapter], f"{chapter} states {id} but does not check it"


@pytest.mark.parametrize("page", PAGES)
def test_statements_stand_in_the_registry_only(page):
    """A theorem environment or a numbered equation outside a claim would be a statement without an entry."""
    assert not re.search(r"\{prf:|\\tag\{|\\begin\{(align|equation)", PAGES[page])


@pytest.mark.parametrize("page", PAGES)
def test_references_to_claims_exist(page):
    for id in re.findall(r"\{ref\}`([^`<]+)`", PAGES[page]):
        assert id in claims.REGISTRY, f"{page} refers to {id}"


@pytest.mark.parametrize("page", [p for p, text in PAGES.items() if "{code-cell}" in text])
def test_a_number_in_the_text_is_computed(page):
    """Decimal numbers in prose come from glue. Those of code cells, formulas, and parameters are not prose."""
    prose = re.sub(r"^---\n.*?^---\n", "", PAGES[page], flags=re.S | re.M)
    prose = re.sub(r"^(`{3,})\{code-cell\}.*?^\1$", "", prose, flags=re.S | re.M)
    prose = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`", "", prose, flags=re.S)
    assert re.findall(r"(?<![\w.])\d+\.\d+", prose) == []


# --- Outcomes --------------------------------------------------------------------------------------------------------


def evidence(passed: bool, **more) -> Evidence:
    return Evidence(0.0 if passed else 2.0, 1.0, "test", "numerical", 1, 0, **more)


GOOD, BAD = evidence(True), evidence(False)


@pytest.mark.parametrize(
    ("id", "measured", "falsifiers", "readings", "expected"),
    [
        ("eq-1", GOOD, {"w": BAD}, {}, "holds"),
        ("eq-1", BAD, {"w": BAD}, {}, "fails"),
        ("eq-1", GOOD, {"w": BAD, "v": GOOD}, {}, "undecided"),
        ("eq-1", BAD, {"w": GOOD}, {}, "undecided"),
        ("lemma-4", BAD, {"w": BAD}, {}, "undecided"),  # the formula is not exact: other readings must fail too
        ("lemma-4", BAD, {"w": BAD}, {"r": BAD}, "fails"),
        ("lemma-4", BAD, {"w": BAD}, {"r": GOOD}, "undecided"),
        ("eq-1", evidence(True, vacuous=True), {"w": BAD}, {}, "holds vacuously"),
        ("eq-1", evidence(True, tightness=0.01), {"w": BAD}, {}, "holds loosely"),
        ("eq-1", evidence(True, tightness=0.5), {"w": BAD}, {}, "holds"),
        ("assumption-1", evidence(True, numbers={"departure": 0.36}), {"w": BAD}, {}, "departs by 0.36"),
        ("assumption-1", evidence(False, numbers={"departure": 0.36}), {"w": BAD}, {}, "undecided"),
        ("eq-1", evidence(False, undecided="the rule gave no answer"), {"w": BAD}, {}, "undecided"),
        ("eq-1", evidence(True, undecided="the rule gave no answer"), {"w": BAD}, {}, "undecided"),
    ],
)
def test_outcome_follows_from_the_measurements(id, measured, falsifiers, readings, expected):
    assert outcome(claims.get(id), measured, falsifiers, readings) == expected


@pytest.mark.parametrize("statistic", [math.nan, math.inf])
def test_what_is_not_a_number_does_not_pass(statistic):
    assert not Evidence(statistic, math.inf, "test", "numerical", 1, 0).passed
    result = Result("eq-1", "undecided", Evidence(statistic, 1.0, "t", "numerical", 1, 0), {}, {}, "smoke", 0.0)
    assert result.as_dict()["evidence"]["statistic"] is None


def test_a_check_needs_a_falsifier():
    with pytest.raises(ValueError, match="at least one wrong variant"):
        Check(lambda variant, scale, seed: GOOD, None, {})


def test_a_check_that_accepts_everything_is_undecided():
    check = Check(lambda variant, scale, seed: GOOD, None, {"anything": None})
    assert run_check(claims.get("eq-1"), check, Scale.SMOKE, 0).outcome == "undecided"


def test_undecided_is_no_fault_only_with_a_reason_and_with_every_wrong_variant_rejected():
    def ok(id: str, measured: Evidence, wrong: Evidence) -> bool:
        check = Check(lambda variant, scale, seed: variant, measured, {"w": wrong})
        return run_check(claims.get(id), check, Scale.SMOKE, 0).ok

    why = evidence(False, undecided="the rule gave no answer")
    assert ok("eq-1", why, BAD) and ok("eq-1", BAD, BAD)  # "fails" is an answer
    assert not ok("eq-1", why, GOOD)
    assert not ok("lemma-4", BAD, BAD)  # undecided, since no other reading was tried, but nobody says so


def test_threshold_grows_with_the_number_of_comparisons():
    assert t_threshold(1, 64) < t_threshold(100, 64) < t_threshold(100, 8)


# --- Every check -----------------------------------------------------------------------------------------------------


#: Outcomes other than a plain "holds"; "departs" is the outcome of an assumption.
OUTCOMES = {
    "assumption-2": "departs",
    "assumption-3": "departs",
    "assumption-4": "departs",
    "lemma-4": "holds vacuously",
    **{f"lemma-{n}": "holds loosely" for n in range(10, 17)},
    "assumption-1": "departs",
    "assumption-5": "departs",
    "parabola-before-drift": "fails",
    "figure-1": "undecided",
}


def test_the_badge_says_what_the_checks_find():
    recorded = {id: {"outcome": OUTCOMES.get(id, "holds")} for id in claims.CHECKS}
    found = counts(claims.STATEMENTS, recorded)
    assert (ROOT / badge.PICTURE).read_text(encoding="utf-8") == badge.badge_svg(found), "run make badge"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert badge.named(readme, found) == readme, "run make badge"
    # one claim more that fails would be noticed
    other = counts(claims.STATEMENTS, {**recorded, "lemma-1": {"outcome": "fails"}})
    assert badge.badge_svg(other) != badge.badge_svg(found) and badge.named(readme, other) != readme


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("id", claims.CHECKS)
def test_check_passes_and_rejects_every_wrong_variant(id, seed):
    result = claims.run(id, seed, Scale.SMOKE)
    assert [name for name, e in result.falsifiers.items() if e.passed] == []
    assert result.ok
    expected = OUTCOMES.get(id, "holds")
    # an assumption reports a number that depends on the seed
    found = "departs" if result.outcome.startswith("departs by") else result.outcome
    assert found == expected, result.evidence


def test_what_stands_at_a_glance_holds_and_what_needs_care_does_not():
    page = (Path(__file__).parents[1] / "book" / "at_a_glance.md").read_text(encoding="utf-8")
    stands, care = page.split("## What stands")[1].split("## Experiments")[0].split("## What needs care")
    for part, holds in ((stands, True), (care, False)):
        ids = re.findall(r"{outcome}`([^`]+)`", part)
        assert ids and all((id in claims.CHECKS and id not in OUTCOMES) == holds for id in ids), part


def test_every_statement_of_the_paper_is_at_a_glance_once():
    page = (Path(__file__).parents[1] / "book" / "at_a_glance.md").read_text(encoding="utf-8")
    shown = re.findall(r"{outcome}`([^`]+)`", page)
    assert sorted(shown) == sorted(claim.id for claim in claims.REGISTRY.values() if claim.kind != "beyond")


@pytest.mark.parametrize("id", ["eq-1", "eq-4", "lemma-1"])
def test_same_seed_same_evidence(id):
    check = claims.CHECKS[id]
    # the other seed comes between, so that nothing is read from a cache of one
    first, other, again = (check.run(check.claimed, Scale.SMOKE, seed) for seed in (3, 4, 3))
    assert first == again
    assert other.statistic != first.statistic


def test_unknown_and_unchecked_ids_are_named():
    with pytest.raises(ValueError, match="did you mean 'lemma-4'"):
        claims.run("lema-4", 0)
    with pytest.raises(ValueError, match=r"figure-10.*not yet checked"):
        claims.run("figure-10", 0)
    with pytest.raises(ValueError, match="seed = -1"):
        claims.run("eq-7", -1)
