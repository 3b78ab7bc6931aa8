"""Checks of the chapter "What is learned": the accuracy of probes against surviving rank and regime, over weight decay.

The runs are those of `featnorm.claims.heavy_decay`. They are not independent: those of one seed share their start and
their batches, those of one setting (loss and decay) differ by the seed alone, and neighbouring decays resemble each
other. So a correlation is taken within each seed and averaged, and its interval comes from drawing whole settings
again, each with all its seeds. It leaves out what the choice of net, images and recipe would add.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from featnorm._validate import Array
from featnorm.claims.heavy_decay import added, archived, collapsed, table
from featnorm.claims.model import Check, Evidence
from featnorm.equilibria import regime
from featnorm.scale import Scale
from featnorm.setting import Norms, Setting

DRAWS = 2000  # of the settings
SHUFFLES = 10  # of the pairs, of which the mean is taken: one alone would pass by chance once in forty


def settings(x: Mapping[str, Array]) -> Array:
    """The accuracies and the surviving rank of each setting: (settings, seeds, 3) of rank, knn and linear.

    Features that are all zero have rank 0: no direction is left. A setting is a kind of loss and a decay; all have the
    same seeds, in the same order.
    """
    names = [f"{kind} {rho:g}" for kind, rho in zip(x["kind"], x["rho"])]
    values = np.stack([np.nan_to_num(x["rank"]), x["knn"], x["linear"]], axis=-1)
    order = np.lexsort((x["seed"], names))
    return values[order].reshape(len(set(names)), -1, 3)


def spearman(pairs: Array) -> Array:
    """Rank correlation of pairs (..., settings, seeds, 2) within each seed, averaged over seeds, (...,).

    nan where a member of the pairs is constant.

    >>> round(float(spearman(np.array([[[1.0, 2.0]], [[2.0, 3.0]], [[3.0, 9.0]]]))), 12)
    1.0
    """
    ranks = rankdata(pairs, axis=-3)
    ranks = ranks - ranks.mean(axis=-3, keepdims=True)
    first, second = ranks[..., 0], ranks[..., 1]
    with np.errstate(invalid="ignore"):
        by_seed = (first * second).sum(axis=-2) / np.sqrt((first**2).sum(axis=-2) * (second**2).sum(axis=-2))
    return by_seed.mean(axis=-1)


@dataclass(frozen=True)
class Correlation:
    """A `spearman` with the interval from ``low`` to ``high``, 95 of 100 draws of settings, and how many there are."""

    value: float
    low: float
    high: float
    settings: int


def correlation(pairs: Array, seed: int) -> Correlation:
    """The `Correlation` of pairs (settings, seeds, 2); draws in which it does not exist are left out.

    >>> x = np.arange(10.0)[:, None, None] * np.ones((10, 3, 2))
    >>> found = correlation(x, 0)
    >>> round(found.value, 12), round(found.low, 12)
    (1.0, 1.0)
    """
    drawn = np.random.default_rng(seed).integers(len(pairs), size=(DRAWS, len(pairs)))
    low, high = np.nanquantile(spearman(pairs[drawn]), [0.025, 0.975])
    return Correlation(float(spearman(pairs)), float(low), float(high), len(pairs))


def shuffled(pairs: Array, rng: np.random.Generator) -> Array:
    """The same pairs with their second members shuffled within each seed."""
    return np.stack([pairs[..., 0], rng.permuted(pairs[..., 1], axis=0)], axis=-1)


def regimes() -> Array:
    """The regime of Eq. 7 at the norms and the effective a that each run of the cosine loss ends with, (runs,).

    Empty for the other kinds, to which Eq. 7 does not apply, and where a norm does not exist.
    """
    x, runs = table(), archived().arrays
    last = np.isfinite(runs["step"]).sum(axis=1) - 1
    out = []
    for i, end in enumerate(last):
        N_Phi, N_Psi, N_x, a = (float(runs[name][i, end]) for name in ("N_Phi", "N_Psi", "N_x", "a"))
        known = np.isfinite([N_Phi, N_Psi, N_x, a]).all() and min(N_Phi, N_Psi) > 0 and a > 1
        if x["kind"][i] != "cosine" or not known:
            out.append("")
            continue
        norms = Norms(N_Phi, N_Psi, float(np.clip(N_x, -1, 1)))
        out.append(regime(norms, Setting(1, 1, a - 1.0, float(x["rho"][i]))))
    return np.array(out)


def groups() -> dict[str, Array]:
    """Which runs of `table` are compared with each other.

    All; those planned before the sweep; those of one loss; those of settings in which no run has collapsed, of all
    losses and of each.
    """
    x = table()
    alive = ~(collapsed(x) | x["diverged"])
    # whole settings only: a setting lives if all its seeds do
    whole = np.array([alive[(x["kind"] == k) & (x["rho"] == r)].all() for k, r in zip(x["kind"], x["rho"])])
    losses = {loss: x["kind"] == loss for loss in ("cosine", "l2")}
    return {"all": np.ones(len(whole), dtype=bool), "planned": ~added(x), **losses} | {
        "alive": whole,
        **{f"alive {loss}": whole & own for loss, own in losses.items()},
    }


def pairs(group: str, probe: str) -> Array:
    """Rank and accuracy of the runs of a group, (settings, seeds, 2); ``probe``: ``knn`` or ``linear``."""
    x, rows = table(), groups()[group]
    found = settings({name: x[name][rows] for name in ("kind", "rho", "seed", "rank", "knn", "linear")})
    return found[..., [0, 1 if probe == "knn" else 2]]


@dataclass(frozen=True)
class Statement:
    """What is said of rank and accuracy: the sign of their correlation within the cosine loss, and who reads better.

    ``wide`` and ``narrow`` name two kinds; at the least decay that each has, ``narrow`` has less rank and reads better.
    ``shuffled``: accuracies are shuffled within each seed first, and the mean of several shuffles is taken.
    """

    sign: float = 1.0
    narrow: str = "nostop"
    wide: str = "l2"
    shuffled: bool = False


def exceptions(x: Mapping[str, Array], narrow: str, wide: str) -> int:
    """In how many seeds ``narrow`` does not have less rank than ``wide`` and an interval of kNN above that of ``wide``.

    Each kind is taken at the least decay that it has.
    """

    def least(kind: str, name: str) -> Array:
        rows = x["kind"] == kind
        rows &= x["decay_time"] == x["decay_time"][rows].min()
        return x[name][rows][np.argsort(x["seed"][rows])]

    agree = (least(narrow, "rank") < least(wide, "rank")) & (least(narrow, "knn_low") > least(wide, "knn_high"))
    return int(np.sum(~agree))


def check_rank(statement: Statement, scale: Scale, seed: int) -> Evidence:
    """How far the correlations within the cosine loss are from lying on their side of zero; infinite with exceptions.

    The statistic is the lower end of the lower interval of the two probes, with a minus sign.
    """
    rng, lows = np.random.default_rng(seed), []
    for probe in ("knn", "linear"):
        found = pairs("cosine", probe) * [statement.sign, 1.0]
        draws = scale.pick(smoke=5, book=SHUFFLES, full=5 * SHUFFLES)
        shuffles = [shuffled(found, rng) for _ in range(draws)] if statement.shuffled else [found]
        lows.append(np.mean([correlation(one, seed).low for one in shuffles]))
    many = exceptions(table(), statement.narrow, statement.wide)
    source = "95 of 100 draws of settings must lie above zero for both probes, and no seed may be an exception"
    return Evidence(-min(lows) if not many else float("inf"), 0.0, source, "archived", len(table()["rho"]), seed)


CHECKS: dict[str, Check] = {
    "beyond-rank-and-accuracy": Check(
        check_rank,
        Statement(),
        {
            "pairs shuffled within each seed": Statement(shuffled=True),
            "less rank, more accuracy": Statement(sign=-1.0),
            "more rank, more accuracy also across losses": Statement(narrow="l2", wide="nostop"),
        },
    )
}
