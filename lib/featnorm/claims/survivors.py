"""Checks of the chapter "What survives": the terminal state of the flow, predicted from its start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from featnorm import results
from featnorm._validate import Array
from featnorm.claims.model import FALSE_ALARM, Check, Evidence
from featnorm.eigen_flow import integrate, terminal_state, water_level
from featnorm.scale import Scale
from featnorm.setting import Setting
from featnorm.surveys import commuting_start

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
    """Does the corrected border sort the modes better than the leading one? A sign test over the archived starts.

    Counted are starts whose set one rule gets exactly right and the other does not. If the two were equally good, the
    better one would win each with probability one half; the statistic is the probability of so many wins.
    """
    leading = np.concatenate([exactly_right(h, 0.0) for h in SURVEYED])
    other = np.concatenate([exactly_right(h, strength) for h in SURVEYED])
    wins, losses = int(np.sum(other & ~leading)), int(np.sum(leading & ~other))
    p_value = float(binomtest(wins, wins + losses, alternative="greater").pvalue) if wins + losses else 1.0
    source = "sign test, false alarm 5e-7"
    return Evidence(p_value, FALSE_ALARM, source, "archived", len(leading), 0, numbers={"wins": wins, "losses": losses})


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
            "the correction with the wrong sign": -2.0,
            "the correction ten times as large": 20.0,
        },
    ),
}
