"""Checks of the chapter "How many modes survive": gradient noise decides, through one variable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import OptimizeResult, least_squares
from scipy.stats import t as student
from scipy.stats import wilcoxon

from featnorm import results
from featnorm._validate import Array
from featnorm.claims.model import FALSE_ALARM, Check, Evidence
from featnorm.scale import Scale
from featnorm.simsiam.phase import flow_end, noise, rank_over_time, stiffness

EPS = float(np.finfo(float).eps)
#: The archived surveys at constant rate, by h.
SURVEYS = {h: f"phase-h{h}" for h in (8, 16, 32, 64)}
#: A survey of a size that no fit has seen.
LARGER = "phase-h128"
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
    rank_last: Array
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

    def small_steps(self, limit: float = SMALL_STEPS) -> Cells:
        """Only the points with `stiffness` below ``limit`` at the measured rank."""
        return self.where(stiffness(self.decay, self.batch, self.sigma2, np.maximum(self.rank, 1.0)) < limit)


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
            "rank_last": measured["rank_last"],
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


_GRADIENT = pair_gradient()


@dataclass(frozen=True)
class Pair:
    """A formula for the gradient of one pair, and the state it is tried at."""

    gradient: PairGradient = _GRADIENT
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


def curves(points: Cells, log_x: Array, rank: Array, fit: Array, degree: int = 3) -> Array:
    """Residuals of log rank: for every (h, d) a polynomial in ``log_x``, fitted on the points of the mask ``fit``.

    Of lower degree where the variable takes few values. Returns a residual for every point, (points,).
    """
    out = np.empty(len(log_x))
    for h, d in {(h, d) for h, d in zip(points.h, points.d)}:
        here = (points.h == h) & (points.d == d)
        x, y = log_x[here & fit], np.log(rank[here & fit])
        values = len(np.unique(x.round(9)))
        curve = (
            np.polynomial.Polynomial.fit(x, y, min(degree, values - 1))
            if values > 1
            else np.polynomial.Polynomial([y.mean()])
        )
        out[here] = np.log(rank[here]) - curve(log_x[here])
    return out


@dataclass(frozen=True)
class Exponents:
    """Fitted exponents b and c of s B^b (a - 1/a)^c with their standard errors, and the number of points."""

    batch: float
    signal: float
    batch_error: float
    signal_error: float
    points: int


@lru_cache
def exponents(
    rank: str = "rank", half: bool = True, limit: float = SMALL_STEPS, shuffled: int | None = None
) -> Exponents:
    """The two exponents at which one curve for every (h, d) fits best; ``rank`` is one of the three counts of `Cells`.

    ``half``: on the even points only. ``limit``: of `Cells.small_steps`. ``shuffled``: sigma2 permuted among the points
    with this seed.
    """
    points = cells(*SURVEYS.values()).small_steps(limit)
    if half:
        points = points.where(~points.odd)
    a = 1.0 + (points.sigma2 if shuffled is None else np.random.default_rng(shuffled).permutation(points.sigma2))
    s, B, f = np.log(points.decay), np.log(points.batch), np.log(a - 1.0 / a)
    everything, y = np.ones(len(s), dtype=bool), np.maximum(getattr(points, rank), 1.0)

    def residuals(p: Array) -> Array:
        return curves(points, s + p[0] * B + p[1] * f, y, everything)

    found = least_squares(residuals, [-1.0, 2.0])
    free = len(s) - 2 - 4 * len({(h, d) for h, d in zip(points.h, points.d)})
    cov = np.linalg.inv(found.jac.T @ found.jac) * (2.0 * found.cost / free)
    return Exponents(*map(float, found.x), *map(float, np.sqrt(np.diag(cov))), len(s))


@dataclass(frozen=True)
class Variable:
    """s B^batch (a - 1/a)^signal; ``shuffled`` as in `exponents`."""

    batch: float = -1.0
    signal: float = 2.0
    shuffled: int | None = None


def check_noise_variable(variant: Variable, scale: Scale, seed: int) -> Evidence:
    """The exponents fitted on half the grid against these: by how much of half the gap to their neighbours they miss.

    Neighbours are 1/2 away for the batch and 1 for a - 1/a. The ends of the fitted intervals count. Held-out errors, on
    the other half, are among the numbers: `held_out`.
    """
    found = exponents(shuffled=variant.shuffled)
    t = float(student.isf(FALSE_ALARM / 4, found.points))
    batch = (abs(found.batch - variant.batch) + t * found.batch_error) / 0.25
    signal = (abs(found.signal - variant.signal) + t * found.signal_error) / 0.5
    numbers = {"batch": found.batch, "signal": found.signal, "held-out rms": _rms(held_out("X"))}
    source = "half the gap to the neighbouring exponents; intervals of a least-squares fit, false alarm 5e-7"
    return Evidence(max(batch, signal), 1.0, source, "archived", found.points, 0, numbers=numbers)


def _rms(errors: Array) -> float:
    return float(np.sqrt(np.mean(errors**2)))


#: What the rank is predicted from: log of a variable from logs of s, B and a - 1/a; None: a constant.
PREDICTORS: dict[str, Callable[[Array, Array, Array], Array] | None] = {
    "X": lambda s, B, f: s - B + 2 * f,
    "s / B, without σ²": lambda s, B, f: s - B,
    "X with a - 1/a": lambda s, B, f: s - B + f,
    "X with √B": lambda s, B, f: s - B / 2 + 2 * f,
    "σ² alone": lambda s, B, f: f,
    "B alone": lambda s, B, f: B,
    "s alone": lambda s, B, f: s,
    "a constant": None,
}


@lru_cache
def held_out(name: str, rank: str = "rank") -> Array:
    """Errors of log rank on the odd points, predicted by one of `PREDICTORS` with curves fitted on the even points.

    All points with small steps; a curve of its own for every (h, d); the constant too is one for every (h, d).
    """
    points = cells(*SURVEYS.values()).small_steps()
    a, value = 1.0 + points.sigma2, PREDICTORS[name]
    logs = np.log(points.decay), np.log(points.batch), np.log(a - 1.0 / a)
    log_x = np.zeros(len(a)) if value is None else value(*logs)
    return curves(points, log_x, np.maximum(getattr(points, rank), 1.0), ~points.odd)[points.odd]


# --- A law for the rank ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Law:
    """r = floor + 1 / (X^exponent / C + 1 / (share h - floor)), or a law with something else or less in it.

    ``signal`` is the exponent of a - 1/a in X; ``exponent`` 0 leaves X out, so that the rank is a share of h. With
    ``corner`` n the two terms are joined as the n-th root of the sum of their n-th powers.
    """

    exponent: float = 1.0
    signal: float = 2.0
    floor: bool = True
    ceiling: bool = True
    corner: float = 1.0

    def value(self, constants: Array, points: Cells) -> Array:
        """The law at these constants, C, share and floor, for every point."""
        a = 1.0 + points.sigma2
        return self.at(constants, points.decay / points.batch * (a - 1.0 / a) ** self.signal, points.h)

    def at(self, constants: Array, X: ArrayLike, h: ArrayLike) -> Array:
        """The same at a noise X and a size h; they broadcast.

        >>> float(Law().at(np.array([1.0, 1.0, 0.0]), 0.5, 2))
        1.0
        """
        C, share, floor = constants
        floor, n = self.floor * floor, self.corner
        strong, weak = np.asarray(X) ** self.exponent / C, self.ceiling / (share * np.asarray(h) - floor)
        return floor + (strong**n + weak**n) ** (-1.0 / n)


#: The law of the claim first, then laws of another form.
LAWS: dict[str, Law] = {
    "the law": Law(),
    "no floor": Law(floor=False),
    "no share": Law(ceiling=False),
    "a - 1/a to the first power": Law(signal=1.0),
    "a - 1/a cubed": Law(signal=3.0),
    "without σ²": Law(signal=0.0),
    "a share of h": Law(exponent=0.0, floor=False),
}


@dataclass(frozen=True, eq=False)
class Fitted:
    """C, share and floor of a law fitted on the even points, and its errors of log rank on the odd ones."""

    constants: Array
    errors: Array

    @property
    def rms(self) -> float:
        """Root mean square of the held-out errors."""
        return _rms(self.errors)


def _fit(law: Callable[[Array], Law], points: Cells, exponents: int) -> OptimizeResult:
    """Least squares for log C, share, floor and the exponents; share and floor stay where the law has a value."""
    start = [np.log(0.04), 0.9, 2.0] + [1.0] * exponents
    if not exponents:
        start[0] = np.log(20.0) + law(np.array(start)).exponent * np.log(2e-3)
    low, high = [-np.inf, 0.3, 0.0, 0.1], [np.inf, 99.0, 0.29 * points.h.min(), np.inf]
    return least_squares(
        lambda p: np.log(law(p).value(np.array([np.exp(p[0]), *p[1:3]]), points) / points.rank),
        start,
        bounds=(low[: len(start)], high[: len(start)]),
    )


@lru_cache
def fitted(name: str) -> Fitted:
    """One of `LAWS`, its three constants fitted to the log ranks of half the points with small steps."""
    points, law = cells(*SURVEYS.values()).small_steps(), LAWS[name]
    odd, found = points.where(points.odd), _fit(lambda p: law, points.where(~points.odd), 0).x
    constants = np.array([np.exp(found[0]), *found[1:]])
    return Fitted(constants, np.log(law.value(constants, odd) / odd.rank))


@lru_cache
def rival(exponent: float, corner: bool) -> tuple[Law, Fitted]:
    """The law with another exponent of X, as it stands or with a fourth constant, its corner, fitted as the others."""
    points = cells(*SURVEYS.values()).small_steps()
    even, odd = points.where(~points.odd), points.where(points.odd)

    def law(p: Array) -> Law:
        return Law(exponent=exponent, corner=p[3] if corner else 1.0)

    found = _fit(law, even, int(corner)).x
    constants = np.array([np.exp(found[0]), *found[1:3]])
    return law(found), Fitted(constants, np.log(law(found).value(constants, odd) / odd.rank))


def parting(exponent: float, h: int) -> tuple[float, float]:
    """The X from 1e-5 to 1 at which the law and its `rival` with a corner differ most at size h, and by what factor."""
    X = np.geomspace(1e-5, 1.0, 400)
    law, found = rival(exponent, True)
    ratio = law.at(found.constants, X, h) / rank_under_noise(X, h)
    at = int(np.argmax(np.abs(np.log(ratio))))
    return float(X[at]), float(ratio[at])


def without_size(h: int) -> float:
    """Root mean square error of log rank at one h, of the law fitted to all points of the other sizes."""
    points = cells(*SURVEYS.values()).small_steps()
    found = _fit(lambda p: Law(), points.where(points.h != h), 0).x
    here = points.where(points.h == h)
    return _rms(np.log(Law().value(np.array([np.exp(found[0]), *found[1:]]), here) / here.rank))


def rank_under_noise(X: ArrayLike, h: ArrayLike) -> Array:
    """The fitted law of the claim: effective rank at the noise X and the size h."""
    return Law().at(fitted("the law").constants, X, h)


def larger_size_errors(rival_exponent: float | None = None) -> Array:
    """Errors of log rank of the fitted law at h = 128, a size that no fit has seen; a point each, small steps.

    Or of the `rival` with a corner that has this exponent.
    """
    points = cells(LARGER).small_steps()
    law, found = (Law(), fitted("the law")) if rival_exponent is None else rival(rival_exponent, True)
    return np.log(law.value(found.constants, points) / points.rank)


def noise_for(rank: float, h: int) -> float:
    """The X at which the fitted law gives this rank, from above its floor to its share of h."""
    C, share, floor = fitted("the law").constants
    return float(C * (1.0 / (rank - floor) - 1.0 / (share * h - floor)))


@lru_cache
def rank_exponent() -> tuple[float, float, int]:
    """The exponent of X in the law, fitted on the even points with the constants: value, standard error, points."""
    points = cells(*SURVEYS.values()).small_steps()
    points = points.where(~points.odd)
    found = _fit(lambda p: Law(exponent=p[3]), points, 1)
    cov = np.linalg.inv(found.jac.T @ found.jac) * 2.0 * found.cost / (len(points.h) - 4)
    return float(found.x[3]), float(np.sqrt(cov[3, 3])), len(points.h)


@dataclass(frozen=True)
class RankLaw:
    """A form of `LAWS` and an exponent of X in it."""

    form: str = "the law"
    exponent: float = 1.0


def check_rank_law(variant: RankLaw, scale: Scale, seed: int) -> Evidence:
    """Is this the exponent that half the grid gives, and does this form predict the other half better than every other?

    The statistic is the larger of two numbers. The distance of the fitted exponent over what its standard error allows;
    and the probability of a lead over another form like the one found, if both were equally good, over 5e-7.
    """
    value, error, points = rank_exponent()
    away = abs(value - variant.exponent) / (float(student.isf(FALSE_ALARM / 4, points)) * error)
    mine = np.abs(fitted(variant.form).errors)
    p_value = max(
        float(wilcoxon(mine - np.abs(fitted(other).errors), alternative="less").pvalue)
        for other in LAWS
        if other != variant.form
    )
    numbers = {"rms": fitted(variant.form).rms, "exponent": value, "p": p_value}
    source = "standard error of the exponent; signed-rank test against every other form; false alarm 5e-7"
    return Evidence(max(away, p_value / FALSE_ALARM), 1.0, source, "archived", mine.size, 0, numbers=numbers)


def momentum_ratio() -> dict[float, Array]:
    """Rank with momentum 0.9 over rank without, by decay; one number for every batch and sigma2 with small steps."""
    own = cells("phase-momentum").small_steps()
    plain = cells("phase-h16")
    out = {}
    for decay in np.unique(own.decay):
        here = own.where(own.decay == decay)
        ratios = []
        for d, batch, sigma2, rank in zip(here.d, here.batch, here.sigma2, here.rank):
            same = (plain.d == d) & (plain.batch == batch) & (plain.sigma2 == sigma2) & (plain.decay == decay)
            ratios.append(rank / plain.rank[same][0])
        out[float(decay)] = np.array(ratios)
    return out


# --- Few survive -----------------------------------------------------------------------------------------------------

#: The archived survey with the recipe of the official code: momentum, annealed rate, learning rate 0.05.
RECIPE = "phase-recipe"


@dataclass(frozen=True)
class Simulation:
    """A setting of the archived recipe, or None for the flow from the same starts; and a short run beside it."""

    sigma2: float | None = 16.0
    batch: int = 64
    decay: float = 0.04


@lru_cache
def _recipe() -> results.Archive:
    return results.load(RECIPE)


def final_spectra(sigma2: float, batch: int, decay: float) -> Array:
    """|eigenvalues| of W at the end of the archived runs with this setting, descending, (seeds, h)."""
    archive = _recipe()
    config = archive.manifest["config"]
    point = config["batches"].index(batch) * len(config["decays"]) + config["decays"].index(decay)
    spectra = archive.arrays["eig_W"][point, config["sigma2s"].index(sigma2)]
    return np.sort(np.abs(spectra.astype(np.float64)), axis=-1)[:, ::-1]


def alive(spectra: Array) -> Array:
    """How many eigenvalues are above a tenth of the largest; the last axis holds them."""
    sizes = np.abs(spectra)
    return np.count_nonzero(sizes > sizes.max(axis=-1, keepdims=True) / 10, axis=-1)


def check_few_survive(variant: Simulation, scale: Scale, seed: int) -> Evidence:
    """Are at most an eighth of the eigenvalues of W above a tenth of the largest in all archived runs of a setting?

    And is the effective rank of F at most h / 8 in a short run made now, at constant rate with h = 32, d = 64, batches
    of 8? The statistic is the larger of both counts over an eighth of all; where ``sigma2`` is None, that of the flow.
    """
    if variant.sigma2 is None:
        archived, live = max(flow_end(64, 512, 1, seed + i).modes for i in range(3)) / 8, 0.0
    else:
        archived = alive(final_spectra(variant.sigma2, variant.batch, variant.decay)).max() / 8
        rank = rank_over_time(32, 64, variant.sigma2, 8, variant.decay, seeds=1, seed=seed, span=4.0)[1][0]
        live = rank[len(rank) // 2 :].mean() / 4
    numbers = {"alive": 8.0 * archived, "rank": 4.0 * live}
    return Evidence(max(archived, live), 1.0, "few: an eighth of all", "archived", 4, seed, numbers=numbers)


CHECKS: dict[str, Check] = {
    "few-survive": Check(
        check_few_survive,
        claimed=Simulation(),
        wrong={
            "a quarter of the augmentation noise": Simulation(sigma2=4.0),
            "augmentation noise as strong as the data": Simulation(sigma2=1.0),
            "the flow from the same starts": Simulation(sigma2=None),
        },
    ),
    "beyond-pair-gradient": Check(
        check_pair_gradient,
        claimed=Pair(),
        wrong={
            "a factor 1 - c": Pair(lambda z, z1, w: _GRADIENT(z, z1, w) / (1 + z @ z1)),
            "the factor squared": Pair(pair_gradient(power=2.0)),
            "the square root of the factor": Pair(pair_gradient(power=0.5)),
            "a sum of both directions": Pair(pair_gradient(sign=1.0)),
            "a gradient that turns p into q": Pair(pair_gradient(swapped=True)),
            "one order of the views": Pair(symmetrised=False),
            "a head that is not aligned": Pair(aligned=False),
        },
    ),
    "beyond-noise-variable": Check(
        check_noise_variable,
        claimed=Variable(),
        wrong={
            "the square root of the batch": Variable(batch=-0.5),
            "the batch to the power 3/2": Variable(batch=-1.5),
            "a - 1/a to the first power": Variable(signal=1.0),
            "a - 1/a cubed": Variable(signal=3.0),
            "without the batch": Variable(batch=0.0),
            "without sigma2": Variable(signal=0.0),
            "sigma2 shuffled": Variable(shuffled=0),
        },
    ),
    "beyond-noise-rank": Check(
        check_rank_law,
        claimed=RankLaw(),
        wrong={name: RankLaw(name) for name in LAWS if name != "the law"}
        | {"exponent 2/3": RankLaw(exponent=2 / 3), "exponent 4/3": RankLaw(exponent=4 / 3)},
    ),
}
