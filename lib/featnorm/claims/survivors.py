"""Checks of the chapter "What survives": the terminal state of the flow, predicted from its start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, wilcoxon

from featnorm import results
from featnorm._validate import Array
from featnorm.claims.commutator import ends
from featnorm.claims.model import FALSE_ALARM, Check, Evidence
from featnorm.eigen_flow import integrate, terminal_state, terminal_state_matrix, water_level
from featnorm.scale import Scale
from featnorm.setting import Setting
from featnorm.surveys import RATIOS, commuting_start

#: From a start to the final phi, both of shape (h,).
Prediction = Callable[[Array, Array], Array]


@lru_cache(maxsize=2)
def leading_ends(cases: int, seed: int) -> list[tuple[Array, Array, Array]]:
    """(w, phi, final phi) of random starts under the leading-order flow, run until it moves no more."""
    rng = np.random.default_rng(seed)
    setting = Setting(h=12, d=24, sigma2=1.0)
    starts = [commuting_start(setting, rng) for _ in range(cases)]
    return [(*s, integrate(*s, setting, 1e7, "leading", extinct=0.0, rtol=1e-10).phi[-1]) for s in starts]


def level_rule(sign_rule: bool = True, offset: float = 1.0) -> Prediction:
    """phi(end) = (level + offset c)_+ at conserved sum, with or without the rule for negative eigenvalues."""

    def predict(w: Array, phi: Array) -> Array:
        c = offset * (phi - w**2)
        may_live = ((w > 0) | (c > 0)) if sign_rule else np.ones(len(w), dtype=bool)
        level = water_level(c[may_live], float(phi.sum()))
        return np.where(may_live, np.maximum(level + c, 0.0), 0.0)

    return predict


def check_terminal_state(predict: Prediction, scale: Scale, seed: int) -> Evidence:
    """The leading-order flow, integrated until it moves no more, against the prediction from its start.

    The statistic is the largest distance, the sum of |phi - predicted| over the sum of phi.
    """
    runs = leading_ends(scale.pick(10, 50, 500), seed)
    worst = max(float(np.abs(end - predict(w, phi)).sum() / phi.sum()) for w, phi, end in runs)
    source = "integrator tolerance 1e-10 per step, times 1e3 for the steps"
    return Evidence(worst, 1e-7, source, "numerical", len(runs), seed)


# --- Who survives the exact flow -------------------------------------------------------------------------------------

#: Sizes of the archived surveys (`featnorm.surveys.terminal_states`).
SURVEYED = (12, 24, 48)


def surviving(w: Array, phi: Array, a: float, strength: float = 2.0) -> NDArray[np.bool_]:
    """Which modes survive by the claim; ``strength`` is the 2 in its border, 0 the leading order. Shape (h,)."""
    end = terminal_state(w, phi)
    c, b = phi - w**2, end.phi / end.phi.sum()
    return (end.w_bar**2 * (1 + strength * (1 - a**-2) * (b @ b)) + c > 0) & ((w > 0) | (c > 0))


def _alive(arrays: Mapping[str, Array]) -> NDArray[np.bool_]:
    """Which modes are alive at the end: above a millionth of the mean, and dead ones have fallen far below that."""
    return arrays["phi"] > 1e-6 * arrays["phi0"].mean(axis=1, keepdims=True)


@lru_cache
def exactly_right(h: int, strength: float) -> NDArray[np.bool_]:
    """For every start of the archived survey of size h, whether the predicted set of survivors is exactly right."""
    arrays = results.load(f"terminal-state-h{h}").arrays
    a = 2.0  # 1 + sigma2 of the surveys
    predicted = [surviving(w, phi, a, strength) for w, phi in zip(arrays["w0"], arrays["phi0"])]
    return (_alive(arrays) == np.array(predicted)).all(axis=1)


@dataclass(frozen=True)
class Scores:
    """How often the surviving set of an archived survey is predicted exactly, and where the survey comes from.

    ``share`` is the mean share of the modes that survive.
    """

    starts: int
    share: float
    leading: int
    corrected: int
    seed: int
    commit: str
    stale: bool


def survivor_scores(h: int) -> Scores:
    """The scores of the archived survey of size h."""
    archive = results.load(f"terminal-state-h{h}")
    right = [exactly_right(h, strength) for strength in (0.0, 2.0)]
    return Scores(
        len(right[0]),
        float(_alive(archive.arrays).mean()),
        int(right[0].sum()),
        int(right[1].sum()),
        archive.manifest["seed"],
        archive.manifest["commit"],
        archive.stale,
    )


def check_survivors(strength: float, scale: Scale, seed: int) -> Evidence:
    """Does this border sort the modes better than those with the factors 0, 1 and 3? Sign tests over archived starts.

    Counted are starts whose set one rule gets exactly right and the other does not. If the two were equally good, the
    better one would win each with probability one half; the statistic is the largest probability of so many wins.
    """

    def right(factor: float) -> NDArray[np.bool_]:
        return np.concatenate([exactly_right(h, factor) for h in SURVEYED])

    mine, p_value = right(strength), 0.0
    for rival in (0.0, 1.0, 2.0, 3.0):
        other = right(rival)
        wins, losses = int(np.sum(mine & ~other)), int(np.sum(other & ~mine))
        if rival != strength:
            p = float(binomtest(wins, wins + losses, alternative="greater").pvalue) if wins + losses else 1.0
            p_value = max(p_value, p)
    source = "sign test against the factors 0, 1 and 3, false alarm 5e-7"
    return Evidence(p_value, FALSE_ALARM, source, "archived", len(mine), 0)


# --- Starts that do not commute --------------------------------------------------------------------------------------


def _poured(c: Array, total: float) -> Array:
    return np.maximum(water_level(c, total) + c, 0.0)


#: Rules for the final spectrum of F, from W and F at the start to (h,), in any order.
SPECTRA: dict[str, Callable[[Array, Array], Array]] = {
    "the rule": lambda W, F: terminal_state_matrix(W, np.linalg.cholesky(F)).phi,
    "without the sign rule": lambda W, F: terminal_state_matrix(W, np.linalg.cholesky(F), sign_rule=False).phi,
    "the offset with the wrong sign": lambda W, F: _poured(np.linalg.eigvalsh(W.T @ W - F), float(np.trace(F))),
    "half the offset": lambda W, F: _poured(np.linalg.eigvalsh(F - W.T @ W) / 2, float(np.trace(F))),
    "the spectrum of the start": lambda W, F: np.linalg.eigvalsh(F),
    "all eigenvalues equal": lambda W, F: np.full(len(F), np.trace(F) / len(F)),
}


#: The archived surveys of Assumption 4's starts: h = 16, and h = 12 with another seed and no SGD.
ENDS = ("assumption-4-ends-h16", "assumption-4-ends-h12")


@lru_cache
def spectrum_errors(rule: str, trained: bool = False, survey: str = ENDS[0]) -> Array:
    """Sum of |phi - predicted| over the sum of phi, both sorted, for each archived d / h and start, (ratios, starts).

    The phi are those at the end of the exact flow, or of SGD (fewer starts), whose trace noise has fed: it is put back.
    """
    arrays = ends(survey).arrays
    found = arrays["F_trained" if trained else "F"]
    out = np.zeros(found.shape[:2])
    for at in np.ndindex(out.shape):
        phi = np.linalg.eigvalsh(found[at])
        predicted = np.sort(SPECTRA[rule](arrays["W0"][at], arrays["F0"][at]))
        out[at] = np.abs(phi / phi.sum() - predicted / predicted.sum()).sum()
    return out


def matrix_errors() -> Array:
    """||F - predicted||_F / ||F||_F at the end of the archived exact flows, (ratios, starts)."""
    arrays = ends().arrays
    out = np.zeros(arrays["F"].shape[:2])
    for at in np.ndindex(out.shape):
        predicted = terminal_state_matrix(arrays["W0"][at], np.linalg.cholesky(arrays["F0"][at])).F
        out[at] = np.linalg.norm(arrays["F"][at] - predicted) / np.linalg.norm(arrays["F"][at])
    return out


def lead(rule: str, other: str, surveys: tuple[str, ...] = ENDS, ratios: tuple[int, ...] = RATIOS) -> float:
    """Probability of a lead of one rule over another like the one found, if both were equally good.

    Wilcoxon's signed-rank test over the starts of archived surveys with these d / h: either rule would then be the
    nearer one as often and by as much.
    """
    rows = [RATIOS.index(ratio) for ratio in ratios]
    gaps = [
        (spectrum_errors(rule, False, name) - spectrum_errors(other, False, name))[rows].ravel() for name in surveys
    ]
    return float(wilcoxon(np.concatenate(gaps), alternative="less").pvalue)


def check_terminal_matrix(rule: str, scale: Scale, seed: int) -> Evidence:
    """Is this rule nearer to the exact flow than each of the others? Over all starts of both archived surveys.

    The statistic is the largest probability, over the other rules, of a `lead` like the one found.
    """
    errors = {
        name: np.concatenate([spectrum_errors(name, False, survey).ravel() for survey in ENDS]) for name in SPECTRA
    }
    mine = errors.pop(rule)
    p_value = max(lead(rule, other) for other in errors)
    numbers = {"error": float(mine.mean()), "next": float(min(other.mean() for other in errors.values()))}
    source = "signed-rank test against every other rule, false alarm 5e-7"
    return Evidence(p_value, FALSE_ALARM, source, "archived", mine.size, 0, numbers=numbers)


CHECKS: dict[str, Check] = {
    "beyond-terminal-state": Check(
        check_terminal_state,
        claimed=lambda w, phi: terminal_state(w, phi).phi,
        wrong={
            "negative eigenvalues survive like positive ones": level_rule(sign_rule=False),
            "half the offset": level_rule(offset=0.5),
            "the offset with the wrong sign": level_rule(offset=-1.0),
            "all modes end equal": lambda w, phi: np.full(len(phi), phi.mean()),
        },
    ),
    "beyond-survivors": Check(
        check_survivors,
        claimed=2.0,
        wrong={
            "the leading order": 0.0,
            "half the correction": 1.0,
            "one and a half times the correction": 3.0,
            "the correction with the wrong sign": -2.0,
            "the correction ten times as large": 20.0,
        },
    ),
    "beyond-terminal-matrix": Check(
        check_terminal_matrix,
        claimed="the rule",
        wrong={name: name for name in SPECTRA if name != "the rule"},
    ),
}
