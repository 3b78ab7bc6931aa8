"""Checks of the chapter "How many modes survive": gradient noise decides, through one variable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import t as student
from scipy.stats import wilcoxon

from featnorm import results
from featnorm._validate import Array
from featnorm.claims.model import FALSE_ALARM, Check, Evidence
from featnorm.eigen_flow import terminal_state_matrix
from featnorm.scale import Scale
from featnorm.setting import Setting, effective_rank, initialize
from featnorm.simsiam.phase import noise, stiffness, survey

EPS = float(np.finfo(float).eps)
#: The archived surveys at constant rate, by h.
SURVEYS = {h: f"phase-h{h}" for h in (8, 16, 32, 64)}
#: Steps are small enough where `stiffness` is below this.
SMALL_STEPS = 0.5


@dataclass(frozen=True, eq=False)
class Cells:
    """Grid points of archived surveys, one entry each: parameters, and means over the seeds of what was measured."""

    h: Array
    d: Array
    batch: Array
    decay: Array
    sigma2: Array
    odd: Array
    rank_first: Array
    rank: Array
    above_half: Array
    modes_F: Array

    @property
    def X(self) -> Array:
        """The scaling variable `featnorm.simsiam.phase.noise`."""
        return noise(self.decay, self.batch, self.sigma2)

    def where(self, mask: Array) -> Cells:
        """Only the points of the mask."""
        return Cells(**{name: value[mask] for name, value in vars(self).items()})

    @property
    def small_steps(self) -> Array:
        """Where steps are small against the relaxation, as many modes as survive taken from the measured rank."""
        return stiffness(self.decay, self.batch, self.sigma2, np.maximum(self.rank, 1.0)) < SMALL_STEPS


@lru_cache
def cells(*names: str) -> Cells:
    """The points of these archives. ``odd`` marks every other one, like the fields of a chess board, in all directions.

    >>> points = cells("phase-h8")
    >>> int(points.odd.sum()), len(points.odd)
    (108, 216)
    """
    columns: dict[str, list[Array]] = {name: [] for name in Cells.__dataclass_fields__}
    for name in names:
        archive = results.load(name)
        config, arrays = archive.manifest["config"], archive.arrays
        axes = [np.array(config[key]) for key in ("ratios", "batches", "decays", "sigma2s")]
        grid = np.meshgrid(*axes, indexing="ij")
        size = grid[0].size
        measured = {
            key: arrays[key].mean(axis=-1, dtype=np.float64).ravel()
            for key in ("rank_first", "rank_last", "above_half", "modes_F")
        }
        row = {
            "h": np.full(size, config["h"]),
            "d": config["h"] * grid[0].ravel(),
            "batch": grid[1].ravel(),
            "decay": grid[2].ravel(),
            "sigma2": grid[3].ravel(),
            "odd": (np.indices(grid[0].shape).sum(axis=0) % 2 == 1).ravel(),
            "rank_first": measured["rank_first"],
            "rank": (measured["rank_first"] + measured["rank_last"]) / 2,
            "above_half": measured["above_half"],
            "modes_F": measured["modes_F"],
        }
        for key, value in row.items():
            columns[key].append(value)
    return Cells(**{key: np.concatenate(value) for key, value in columns.items()})


# --- The gradient of one pair ----------------------------------------------------------------------------------------

#: From the unit vectors z, z1 of both views' features and the eigenvalue w to a gradient of W.
PairGradient = Callable[[Array, Array, float], Array]


def pair_gradient(power: float = 1.0, sign: float = -1.0, swapped: bool = False) -> PairGradient:
    """-(1 - c^2) (p p^T - q q^T) / (2 w): p, q the directions of z + z1 and z - z1, c their cosine. Or a wrong one."""

    def gradient(z: Array, z1: Array, w: float) -> Array:
        c = float(z @ z1)
        p, q = ((z + s * z1) / np.linalg.norm(z + s * z1) for s in (1.0, -1.0))
        difference = np.outer(p, q) + np.outer(q, p) if swapped else np.outer(p, p) + sign * np.outer(q, q)
        return -((1.0 - c * c) ** power) / (2.0 * w) * difference

    return gradient


@dataclass(frozen=True)
class Pair:
    """A formula for the gradient of one pair, and the state it is tried at."""

    gradient: PairGradient = pair_gradient()
    aligned: bool = True
    symmetrised: bool = True


def check_pair_gradient(variant: Pair, scale: Scale, seed: int) -> Evidence:
    """Autograd of the loss of single pairs of views at W = w I, against the formula; random Phi, sizes and views."""
    from featnorm.simsiam.linear import gradients

    rng, cases, worst = np.random.default_rng(seed), scale.pick(10, 50, 500), 0.0
    for _ in range(cases):
        h = int(rng.integers(2, 9))
        Phi, w = rng.standard_normal((h, 2 * h)), float(rng.uniform(0.2, 3.0))
        W = w * np.eye(h)
        if not variant.aligned:
            W = W + 0.3 * w * np.diag(rng.standard_normal(h))
        x, x1 = rng.standard_normal((2, 1, 2 * h))
        found = gradients(W, Phi, x, x1, symmetrised=variant.symmetrised)[0]
        z, z1 = ((Phi @ view[0]) / np.linalg.norm(Phi @ view[0]) for view in (x, x1))
        worst = max(worst, float(np.linalg.norm(found - variant.gradient(z, z1, w)) * w))
    source = "rounding: 2.2e-16 times 100 for the operations"
    return Evidence(worst, 100 * EPS, source, "numerical", cases, seed)


# --- The scaling variable --------------------------------------------------------------------------------------------

#: From decay s, batch B and sigma2 to a number.
Variable = Callable[[Array, Array, Array], Array]


def variable(decay: float = 1.0, batch: float = -1.0, signal: float = 2.0) -> Variable:
    """s^decay B^batch (a - 1/a)^signal: at (1, -1, 2) the variable X of the claim."""

    def value(s: Array, B: Array, sigma2: Array) -> Array:
        a = 1.0 + sigma2
        return s**decay * B**batch * (a - 1.0 / a) ** signal

    return value


#: The variable of the claim first; then its neighbours, and variables that leave something out.
VARIABLES: dict[str, Variable] = {
    "X": variable(),
    "X with the square root of the batch": variable(batch=-0.5),
    "X with the square of the batch": variable(batch=-2.0),
    "X with the square root of the decay": variable(decay=0.5),
    "X with the square of the decay": variable(decay=2.0),
    "X with a - 1/a to the first power": variable(signal=1.0),
    "X with a - 1/a cubed": variable(signal=3.0),
    "X with a for a - 1/a": lambda s, B, sigma2: s / B * (1.0 + sigma2) ** 2,
    "X without sigma2": variable(signal=0.0),
    "X without the batch": variable(batch=0.0),
    "X without the decay": variable(decay=0.0),
}


def held_out(points: Cells, value: Variable, degree: int = 3) -> Array:
    """Error of log rank on the odd points: for every h a polynomial in the log of the variable, fitted on the even ones.

    ``degree`` 0 is the constant. Returns one signed error a held-out point, ordered as the points.
    """
    log_x = np.log(value(points.decay, points.batch, points.sigma2))
    out = np.full(len(log_x), np.nan)
    for h in np.unique(points.h):
        here = points.h == h
        fit = here & ~points.odd
        centre, width = log_x[fit].mean(), max(log_x[fit].std(), 1e-12)
        curve = np.polynomial.Polynomial.fit((log_x[fit] - centre) / width, np.log(points.rank[fit]), degree, domain=[])
        out[here] = np.log(points.rank[here]) - curve((log_x[here] - centre) / width)
    return out[points.odd]


@lru_cache
def held_out_errors(name: str) -> Array:
    """Absolute `held_out` errors of one of `VARIABLES` on the points with small steps of all surveys."""
    points = cells(*SURVEYS.values())
    return np.abs(held_out(points.where(points.small_steps), VARIABLES[name]))


def check_noise_variable(name: str, scale: Scale, seed: int) -> Evidence:
    """Does this variable predict the rank of held-out settings better than each of the others?

    The statistic is the largest probability, over the others, of a lead like the one found if both were equally good.
    """
    mine = held_out_errors(name)
    p_value = max(
        float(wilcoxon(mine - held_out_errors(other), alternative="less").pvalue) for other in VARIABLES if other != name
    )
    numbers = {"rms": float(np.sqrt(np.mean(mine**2)))}
    source = "signed-rank test against every other variable, false alarm 5e-7"
    return Evidence(p_value, FALSE_ALARM, source, "archived", mine.size, 0, numbers=numbers)
