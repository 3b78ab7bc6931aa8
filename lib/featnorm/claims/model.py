"""What a claim is, what counts as evidence for it, and how its outcome is computed.

A claim is a statement with an address in the paper. A check measures it and returns `Evidence`. The same check is then
run on deliberately wrong variants, the falsifiers: a check that accepts one of them decides nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from scipy.stats import t as student

from featnorm.scale import Scale

Kind = Literal["statement", "definition", "assumption", "remark", "figure", "beyond"]
Restored = Literal["exact", "constants", "guess"]
Collapse = Literal["complete", "dimensional", "functional"]
#: ``symbolic``: an identity; ``certified``: exact or enclosing arithmetic on every case, rounding cannot decide;
#: ``numerical``: floating point; ``archived``: read from a stored run.
EvidenceKind = Literal["symbolic", "certified", "numerical", "archived"]

#: What stands in place of an outcome where there is no check.
NOT_CHECKED = "not yet checked"


@dataclass(frozen=True)
class Claim:
    """One statement: where the paper makes it, what it says, and what it rests on.

    Attributes
    ----------
    id: short name, also the anchor of the statement in the book, such as ``lemma-1``.
    kind: what sort of statement it is; ``beyond`` marks those the paper does not make.
    name: how the text refers to it, such as ``Lemma 1`` or ``Norm law``.
    title: a few words that say what it is about.
    place: where in the paper, such as ``Sec. 4``.
    statement: the statement itself in MyST Markdown; displayed formulas carry the paper's equation numbers.
    restored: how sure the formula is, since the source text had lost its formulas: ``exact`` (forced by the words and
        the derivation), ``constants`` (up to constants or conventions) or ``guess``. Ours are always ``exact``.
    chapter: the page under ``book/`` that states and checks it; None puts it on the page "Not yet checked".
    uses: ids of the claims it rests on.
    collapse: for a statement about collapse, which one it means: ``complete`` (absolute size), ``dimensional`` (rank)
        or ``functional`` (constant normalised features).
    nearest, new: for ``beyond`` only: the nearest known result (MyST, with its citation) and what is new here.

    >>> claim = Claim("tiny", "statement", "Tiny", "one is one", "Sec. 0", "$1 = 1$", restored="exact")
    >>> claim.chapter is None   # so it would stand on the page "Not yet checked"
    True
    """

    id: str
    kind: Kind
    name: str
    title: str
    place: str
    statement: str
    restored: Restored
    chapter: str | None = None
    uses: tuple[str, ...] = ()
    collapse: tuple[Collapse, ...] = ()
    nearest: str = ""
    new: str = ""


@dataclass(frozen=True)
class Evidence:
    """One measurement: it passes when ``statistic <= threshold``; anything that is not a number fails.

    ``source`` says where the threshold comes from (a standard error, a floating-point bound, a scaling fit).
    ``tightness`` is the ratio of the truth to a bound at the worst point, for bounds only.
    ``vacuous`` is set by checks that also test an empty variant of the statement and find that it passes too.
    ``undecided`` is set by checks whose rule, fixed before the runs, can end without an answer: what it asked, what was
    seen, and what would decide it, for the reader.
    ``numbers`` are named figures for the text.

    >>> Evidence(1e-16, 2e-16, "rounding", "numerical", samples=1, seed=None).passed
    True
    >>> Evidence(float("nan"), 1.0, "rounding", "numerical", samples=1, seed=None).passed
    False
    """

    statistic: float
    threshold: float
    source: str
    kind: EvidenceKind
    samples: int
    seed: int | None
    tightness: float | None = None
    vacuous: bool = False
    undecided: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Plain Python numbers, so that the evidence can be written as JSON.
        for name in ("statistic", "threshold"):
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def passed(self) -> bool:
        """Whether the measurement lies within its threshold."""
        return math.isfinite(self.statistic) and self.statistic <= self.threshold


@dataclass(frozen=True)
class Check:
    """How a claim is tested: one measurement, run on the claimed variant and on wrong ones.

    ``run(variant, scale, seed)`` measures how far ``variant`` is from the truth. ``wrong`` maps a few words on what is
    wrong to a wrong variant; at least one. ``readings`` are other plausible readings of a formula that was lost.

    >>> def sums_to_ten(variant, scale, seed):
    ...     return Evidence(abs(variant - 10), 0.0, "whole numbers", "symbolic", 1, None)
    >>> check = Check(sums_to_ten, claimed=1 + 2 + 3 + 4, wrong={"without the 4": 1 + 2 + 3})
    >>> check.run(check.claimed, Scale.SMOKE, 0).passed, check.run(check.wrong["without the 4"], Scale.SMOKE, 0).passed
    (True, False)
    """

    run: Callable[[Any, Scale, int], Evidence]
    claimed: Any
    wrong: Mapping[str, Any]
    readings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.wrong:
            raise ValueError("wrong = {}: a check needs at least one wrong variant that it must reject")


@dataclass(frozen=True)
class Result:
    """What a check found: the outcome and everything it was computed from.

    >>> exact = Evidence(0.0, 0.0, "whole numbers", "symbolic", 1, None)
    >>> result = Result("tiny", "holds", exact, falsifiers={}, readings={}, scale="smoke", seconds=0.1)
    >>> result.ok, result.as_dict()["evidence"]["passed"]
    (True, True)
    """

    id: str
    outcome: str
    evidence: Evidence
    falsifiers: Mapping[str, Evidence]
    readings: Mapping[str, Evidence]
    scale: str
    seconds: float

    @property
    def ok(self) -> bool:
        """False where the check is at fault: it accepts a wrong variant, or leaves undecided without a reason."""
        accepts = any(e.passed for e in self.falsifiers.values())
        return not accepts and (self.outcome != "undecided" or bool(self.evidence.undecided))

    def as_dict(self) -> dict[str, Any]:
        """The result as plain JSON data, with ``passed`` written out for each measurement.

        A statistic or number that is not finite becomes None, since JSON has no word for it.
        """

        def finite(value: float) -> float | None:
            return float(value) if math.isfinite(value) else None

        def flat(e: Evidence) -> dict[str, Any]:
            numbers = {name: finite(value) for name, value in e.numbers.items()}
            return {**asdict(e), "statistic": finite(e.statistic), "numbers": numbers, "passed": e.passed}

        return {
            "id": self.id,
            "outcome": self.outcome,
            "evidence": flat(self.evidence),
            "falsifiers": {k: flat(e) for k, e in self.falsifiers.items()},
            "readings": {k: flat(e) for k, e in self.readings.items()},
            "scale": self.scale,
            "seconds": self.seconds,
        }


def outcome(
    claim: Claim, evidence: Evidence, falsifiers: Mapping[str, Evidence], readings: Mapping[str, Evidence]
) -> str:
    """The outcome that follows from the measurements; never typed by hand.

    ``undecided`` if the measurement says why it decides nothing, or if a wrong variant passes; the latter is a fault of
    the check, and `Result.ok` tells the two apart. ``fails`` needs every plausible reading of the formula to fail, so a
    formula that was not restored exactly can fail only if other readings were tried. A bound that is never nearer to
    the truth than a factor of ten ``holds loosely``. An assumption reports how far the truth departs from it
    (``numbers["departure"]``), and is ``undecided`` if the measurement itself does not pass.
    """
    if evidence.undecided or any(e.passed for e in falsifiers.values()):
        return "undecided"
    if claim.kind == "assumption":
        return f"departs by {evidence.numbers['departure']:.2g}" if evidence.passed else "undecided"
    if evidence.passed:
        if evidence.vacuous:
            return "holds vacuously"
        if evidence.tightness is not None and evidence.tightness < 0.1:
            return "holds loosely"
        return "holds"
    settled = claim.restored == "exact" or bool(readings)
    return "fails" if settled and not any(e.passed for e in readings.values()) else "undecided"


def run_check(claim: Claim, check: Check, scale: Scale, seed: int) -> Result:
    """Run a check on the claimed variant, on every wrong one and on every other reading."""
    start = time.perf_counter()
    evidence = check.run(check.claimed, scale, seed)
    falsifiers = {name: check.run(variant, scale, seed) for name, variant in check.wrong.items()}
    readings = {name: check.run(variant, scale, seed) for name, variant in check.readings.items()}
    return Result(
        claim.id,
        outcome(claim, evidence, falsifiers, readings),
        evidence,
        falsifiers,
        readings,
        str(scale),
        time.perf_counter() - start,
    )


#: Chance that one random check rejects a true statement. With fewer than two hundred random checks in the book, all of
#: them together raise a false alarm with probability below 1e-4.
FALSE_ALARM = 5e-7


def t_threshold(comparisons: int, blocks: int) -> float:
    """Largest |mean - truth| / stderr that chance explains, for several means whose standard errors come from blocks.

    The two-sided Student quantile with blocks - 1 degrees of freedom, corrected for the number of comparisons
    (Bonferroni).

    >>> round(t_threshold(1, 64), 2)
    5.6
    """
    return float(student.isf(FALSE_ALARM / (2 * comparisons), blocks - 1))
