"""Checks of the chapter "The linear experiment": archived runs of full length against the statements of Section 5.4."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.stats import binom

from featnorm import results
from featnorm._validate import Array
from featnorm.claims.model import FALSE_ALARM, Check, Evidence
from featnorm.claims.random_matrices import quantile, slope
from featnorm.equilibria.frozen import scaled
from featnorm.scale import Scale
from featnorm.setting import Norms, Setting

#: Archives by the words of the chapter.
SETTINGS = {
    "batch 512": "linear-batch-512",
    "batch 2048": "linear-batch-2048",
    "strong noise": "linear-strong-noise",
    "long annealing": "linear-long-annealing-d512",
}


@lru_cache
def archived(name: str) -> results.Archive:
    """The archive of one of the `SETTINGS`, read once."""
    return results.load(SETTINGS[name])


# --- Figure 6 --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """How Eq. 7 is laid under a run, and which eigenvalue of W is followed (``rank`` 0 is the largest).

    ``power`` is the exponent of the growing term, ``sixth`` the factor of the term of degree six; ``N_x`` and ``rho``
    multiply these two. ``frozen``: the norms of the start are kept.
    """

    power: int = 2
    sixth: float = 2.0
    N_x: float = 1.0
    rho: float = 1.0
    frozen: bool = False
    rank: int = 0
    setting: str = "batch 512"


def borders(reading: Reading, N: Norms, setting: Setting) -> Array:
    """The positive equilibria, ascending: the roots of -sixth y^5 - theta y^2 + y^(power - 1) - r times sqrt(N_Psi)."""
    theta, r = scaled(N, setting)
    polynomial = np.array([-reading.sixth, 0.0, 0.0, -reading.N_x * theta, 0.0, -reading.rho * r])
    polynomial[6 - reading.power] += 1.0
    roots = np.roots(polynomial)
    real = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 1e-9)]
    return np.sort(real) * math.sqrt(N.N_Psi)


def shows_figure_6(reading: Reading) -> Array:
    """For each archived run whether it shows all of Figure 6, (runs,) booleans.

    N_Phi and N_Psi fall. Eq. 7 has no positive equilibrium at the first norms (Collapse) and two at the last (Acute).
    The eigenvalue ends nearer to the stable one of the two than to the border of the interval of convergence.
    """
    archive = archived(reading.setting)
    x, c = archive.arrays, archive.manifest["config"]
    setting = Setting(h=c["h"], d=c["d"], sigma2=c["sigma2"], rho=c["rho"])
    found = []
    for N_Phi, N_Psi, N_x, eig_W in zip(x["N_Phi"], x["N_Psi"], x["N_x"], x["eig_W"]):
        first, last = (Norms(float(N_Phi[i]), float(N_Psi[i]), float(N_x[i])) for i in (0, -1))
        fall = last.N_Phi < first.N_Phi and last.N_Psi < first.N_Psi
        early, late = (borders(reading, N, setting) for N in (first, first if reading.frozen else last))
        middle = float(np.mean(late)) if len(late) == 2 else math.inf
        found.append(fall and len(early) == 0 and eig_W[-1, reading.rank] > middle)
    return np.array(found)


def sign_test(shown: Array) -> Evidence:
    """Chance of so many runs that show it, if a run of a fresh seed showed it with probability 1/2 or less."""
    runs, hits = len(shown), int(np.sum(shown))
    source = "sign test over seeds: more than half of all runs show it, at the false alarm of one check"
    numbers = {"runs": float(runs), "that show it": float(hits)}
    return Evidence(binom.sf(hits - 1, runs, 0.5), FALSE_ALARM, source, "archived", runs, 0, numbers=numbers)


def check_figure_6(reading: Reading, scale: Scale, seed: int) -> Evidence:
    """The archived runs that show the figure, as a sign test."""
    return sign_test(shows_figure_6(reading))


# --- Near symmetry, near commutation ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """Which measure of a run is nearly zero, in which settings; ``end`` is the record that counts as the end."""

    measure: str
    settings: tuple[str, ...] = ("batch 512", "batch 2048")
    end: int = -1


def check_nearly(part: Part, scale: Scale, seed: int) -> Evidence:
    """In every run the measure stays nearer to 0 than to 1 / sqrt 2, and ends nearer to 0 than to its largest value.

    Unrelated centred random matrices have 1 / sqrt 2 in both measures. A sign test over all runs of the settings.
    """
    series = np.concatenate([archived(name).arrays[part.measure] for name in part.settings])
    largest, end = series.max(axis=1), series[:, part.end]
    found = sign_test((largest < 0.5 / math.sqrt(2.0)) & (end < 0.5 * largest))
    numbers = {**found.numbers, "largest": float(largest.max()), "end": float(end.max())}
    return Evidence(found.statistic, found.threshold, found.source, found.kind, found.samples, 0, numbers=numbers)


@dataclass(frozen=True)
class Falls:
    """Which batch of the archived small runs, and the power of h / d that is claimed for the largest asymmetry."""

    batch: int = 1024
    power: float = 0.5


def check_asymmetry_order(falls: Falls, scale: Scale, seed: int) -> Evidence:
    """The slope of the largest asymmetry of W in training against h / d, over the archived sizes."""
    archive = results.load("asymmetry-by-size")
    c, found = archive.manifest["config"], archive.arrays["asymmetry"]
    by_ratio = found[:, c["batches"].index(falls.batch)].T
    exponent, se = slope(tuple(1 / ratio for ratio in c["ratios"]), list(by_ratio))
    source = "half the gap between the exponents 1/2 and 0 or 1, for the ends of the slope's interval"
    distance = abs(exponent - falls.power) + quantile(2) * se
    return Evidence(distance, 0.25, source, "archived", found.size, 0, numbers={"slope": exponent, "stderr": se})


# --- Figures 8 and 9 -------------------------------------------------------------------------------------------------


def survivors(size: Array) -> Array:
    """How many eigenvalues stand above the widest gap in each row of absolute eigenvalues, (runs,) from (runs, h)."""
    ordered = np.sort(size, axis=1)[:, ::-1]
    return np.argmax(ordered[:, :-1] - ordered[:, 1:], axis=1) + 1


@dataclass(frozen=True)
class Moment:
    """A record of the archived runs of a setting."""

    setting: str = "strong noise"
    record: int = -1


def few(moment: Moment) -> tuple[Array, Array]:
    """For each run whether a minority stands apart from zero, and how many do: (runs,) and (runs,).

    Apart: all the others are nearer to zero than to the smallest that survives.
    """
    size = np.abs(archived(moment.setting).arrays["eig_W"][:, moment.record])
    count = survivors(size)
    ordered = np.sort(size, axis=1)[:, ::-1]
    row = np.arange(len(size))
    return (ordered[row, count] < 0.5 * ordered[row, count - 1]) & (count < size.shape[1] / 2), count


def check_figure_8(moment: Moment, scale: Scale, seed: int) -> Evidence:
    """The archived runs in which a minority of the eigenvalues stands apart from zero, as a sign test."""
    shown, count = few(moment)
    found = sign_test(shown)
    numbers = {**found.numbers, "most": float(count.max())}
    return Evidence(found.statistic, found.threshold, found.source, found.kind, found.samples, 0, numbers=numbers)


def shows_figure_9(reading: Reading) -> Array:
    """For each archived run whether it shows Figure 9, (runs,) booleans.

    A minority stands apart from zero, as in Figure 8, and has its end nearer to the stable point of Eq. 7 than to the
    border of the interval of convergence. The next eigenvalue ends below that border.
    """
    archive = archived(reading.setting)
    x, c = archive.arrays, archive.manifest["config"]
    setting = Setting(h=c["h"], d=c["d"], sigma2=c["sigma2"], rho=c["rho"])
    shown, count = few(Moment(reading.setting))
    for i, k in enumerate(count):
        late = borders(reading, Norms(*(float(x[name][i, -1]) for name in ("N_Phi", "N_Psi", "N_x"))), setting)
        w = x["eig_W"][i, -1]
        inside = len(late) == 2 and w[k - 1 + reading.rank] > np.mean(late) and w[k + reading.rank] < late[0]
        shown[i] &= inside
    return shown


def check_figure_9(reading: Reading, scale: Scale, seed: int) -> Evidence:
    """The archived runs that show the figure, as a sign test. How many eigenvalues survive goes with it."""
    found, count = sign_test(shows_figure_9(reading)), few(Moment(reading.setting))[1]
    numbers = {**found.numbers, "fewest": float(count.min()), "most": float(count.max())}
    return replace(found, numbers=numbers)


#: Near misses of Eq. 7 that both figures must tell from it.
WRONG_EQ_7: Mapping[str, Reading] = {
    "the growing term w^2 replaced by w": Reading(power=1),
    "N_x with the opposite sign": Reading(N_x=-1.0),
    "N_x = 0, as in Appendix C": Reading(N_x=0.0),
}

CHECKS = {
    "figure-6": Check(
        check_figure_6,
        claimed=Reading(),
        wrong={
            **WRONG_EQ_7,
            "without the term of degree six": Reading(sixth=0.0),
            "a quarter of the weight decay in Eq. 7": Reading(rho=0.25),
            "norms of the start kept": Reading(frozen=True),
            "the smallest eigenvalue": Reading(rank=-1),
            "strong noise": Reading(setting="strong noise"),
        },
    ),
    "symmetry-nearly-kept": Check(
        check_nearly,
        claimed=Part("asymmetry"),
        wrong={
            "at strong noise": Part("asymmetry", ("strong noise",)),
            "after a fifth of the run": Part("asymmetry", end=10),
        },
    ),
    "commutator-nearly-zero": Check(
        check_nearly,
        claimed=Part("commutator"),
        wrong={
            "at strong noise": Part("commutator", ("strong noise",)),
            "no better than at the start": Part("commutator", end=0),
        },
    ),
    "beyond-asymmetry-order": Check(
        check_asymmetry_order,
        claimed=Falls(),
        wrong={
            "it does not depend on h / d": Falls(power=0.0),
            "it falls like h / d": Falls(power=1.0),
            "at strong noise, batch 4": Falls(batch=4),
        },
    ),
    "figure-8": Check(
        check_figure_8,
        claimed=Moment(),
        wrong={"at the start": Moment(record=0), "at batch 512 and little noise": Moment("batch 512")},
    ),
    "figure-9": Check(
        check_figure_9,
        claimed=Reading(setting="long annealing"),
        wrong={
            **{name: replace(reading, setting="long annealing") for name, reading in WRONG_EQ_7.items()},
            "one more survives": Reading(setting="long annealing", rank=1),
            "at batch 512": Reading(setting="batch 512"),
            "at strong noise": Reading(setting="strong noise"),
        },
    ),
}
