"""Run a claim's check inside a chapter, show what it found, and let the result travel as cell output.

The result is stored beside the text that is shown, as JSON under a type of its own: the dashboard page and the tests
read it from the chapter's output, whether it was run just now or taken from the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from featnorm import claims
from featnorm.claims.model import Evidence, Result
from featnorm.provenance import commit, machine

MIME = "application/vnd.featnorm.claim+json"

#: A sign for each kind of outcome, the best first.
SIGNS = {
    "holds": "✓",
    "holds loosely": "≈",
    "holds vacuously": "∅",
    "departs": "Δ",
    "fails": "✗",
    "undecided": "?",
    claims.NOT_CHECKED: "…",
}


def number(value: float | None) -> str:
    """A number short enough for a table, with three significant digits; None stands for one that is not finite.

    >>> number(1.23456e-9), number(2.0), number(None)
    ('1.23e-09', '2', 'not finite')
    """
    return "not finite" if value is None else f"{value:.3g}"


def comparison(evidence: Mapping[str, Any]) -> str:
    """The statistic against the threshold, with as many digits as it takes to tell them apart.

    >>> comparison({"statistic": 1.0, "threshold": 2.0, "passed": True})
    '1 ≤ 2'
    >>> comparison({"statistic": 2.0004, "threshold": 2.0, "passed": False})
    '2.0004 > 2'
    """
    statistic, threshold = evidence["statistic"], evidence["threshold"]
    if statistic is None:
        return f"not finite, threshold {number(threshold)}"
    digits = 3
    while statistic != threshold and f"{statistic:.{digits}g}" == f"{threshold:.{digits}g}":
        digits += 1
    return f"{statistic:.{digits}g} {'≤' if evidence['passed'] else '>'} {threshold:.{digits}g}"


def evidence_line(evidence: dict[str, Any]) -> str:
    """One measurement in words, from its JSON form."""
    seed = "" if evidence["seed"] is None else f", seed {evidence['seed']}"
    n = "" if evidence["kind"] == "symbolic" else f", n = {evidence['samples']:,}{seed}"
    sign = "at most" if evidence["passed"] else "above"
    return (
        f"{evidence['kind']}: statistic {number(evidence['statistic'])}, {sign} the threshold "
        f"{number(evidence['threshold'])} ({evidence['source']}){n}"
    )


def word(outcome: str) -> str:
    """The kind of an outcome: that of an assumption without its number.

    >>> word("departs by 0.2"), word("holds loosely")
    ('departs', 'holds loosely')
    """
    return "departs" if outcome.startswith("departs") else outcome


def sign(outcome: str) -> str:
    """The sign that stands for an outcome where there is no room for the word."""
    return SIGNS[word(outcome)]


def outcome_badge(outcome: str) -> str:
    """The outcome as a sign and a coloured word; sign and colour repeat what the word says."""
    return (
        f'<span class="featnorm-outcome featnorm-{word(outcome).split()[0]}">'
        f'<span aria-hidden="true">{sign(outcome)}</span> {escape(outcome)}</span>'
    )


def result_html(result: dict[str, Any], open_: bool = False) -> str:
    """The evidence and every falsifier as HTML, from the JSON form of a result."""
    rows = [
        f"<li>{escape(name)}: {comparison(e)}, <strong>{'accepted' if e['passed'] else 'rejected'}</strong></li>"
        for name, e in result["falsifiers"].items()
    ]
    readings = [f"<li>{escape(name)}: {escape(evidence_line(e))}</li>" for name, e in result["readings"].items()]
    other = f"<p>Other readings of the lost formula:</p><ul>{''.join(readings)}</ul>" if readings else ""
    why = result["evidence"]["undecided"]
    return (
        f"<p>{escape(evidence_line(result['evidence']))}.</p>"
        f"{f'<p>Why it is undecided: {escape(why)}</p>' if why else ''}"
        f"<details{' open' if open_ else ''}><summary>{len(rows)} wrong variant{'s' * (len(rows) != 1)}, "
        f"{sum(not e['passed'] for e in result['falsifiers'].values())} rejected</summary><ul>{''.join(rows)}</ul>"
        f"</details>{other}"
        f'<p class="featnorm-provenance">scale {escape(result["scale"])}, {result["seconds"]:.2f} s, '
        f"commit {escape(result['commit'])}, {escape(result['machine'])}</p>"
    )


def anchor(id: str) -> str:
    """The anchor of a claim's check in the chapter that runs it."""
    return f"check-{id}"


class ClaimBox:
    """What a chapter shows of a result."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.data = {**result.as_dict(), "commit": commit(), "machine": machine()}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        claim = claims.get(self.result.id)
        html = (
            f'<div class="featnorm-result" id="{anchor(claim.id)}"><p><strong>Check of {escape(claim.name)}</strong> '
            f"{outcome_badge(self.result.outcome)}</p>{result_html(self.data)}</div>"
        )
        data = {"text/html": html, "text/plain": f"{claim.name}: {self.result.outcome}", MIME: self.data}
        # Shown and, by this mark, also kept among the chapter's glued values, which survive in the execution cache.
        return data, {"scrapbook": {"name": f"claim {self.result.id}", "mime_prefix": ""}}


def check(id: str, seed: int, expected: str | None = None) -> ClaimBox:
    """Run the check of a claim at the scale that is set and return the box to show.

    Raises AssertionError, which fails the build, if a wrong variant is accepted, or if ``expected`` names an outcome
    that the surrounding text relies on and the check finds another one.
    """
    result = claims.run(id, seed)
    accepted = [name for name, e in result.falsifiers.items() if e.passed]
    if not result.ok:
        cause = f"it accepts {accepted}" if accepted else _describe(result.evidence)
        raise AssertionError(f"{id}: the check decides nothing: {cause}")
    if expected is not None and result.outcome != expected:
        raise AssertionError(
            f"{id}: the text says {expected!r}, the check found {result.outcome!r}: {_describe(result.evidence)}"
        )
    return ClaimBox(result)


def _describe(evidence: Evidence) -> str:
    return f"statistic {number(evidence.statistic)}, threshold {number(evidence.threshold)}"
