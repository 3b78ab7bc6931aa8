"""Checks of the chapter "What survives": the terminal state of the flow, predicted from its start."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from featnorm._validate import Array
from featnorm.claims.model import Check, Evidence
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
}
