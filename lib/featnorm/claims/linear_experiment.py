"""Checks of the chapter "The linear experiment": archived runs of full length against the statements of Section 5.4."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from featnorm import results
from featnorm._validate import Array
from featnorm.claims.model import Check, Evidence
from featnorm.equilibria import intervals, regime
from featnorm.scale import Scale
from featnorm.setting import Norms, Setting

#: Archives by the words of the chapter.
SETTINGS = {"batch 512": "linear-batch-512", "strong noise": "linear-strong-noise"}


@lru_cache
def archived(name: str) -> results.Archive:
    """The archive of one of the `SETTINGS`, read once."""
    return results.load(SETTINGS[name])


@dataclass(frozen=True)
class Reading:
    """How Eq. 7 is laid under a run: with ``rho_factor`` times rho, at the norms of the start if ``frozen``.

    ``rank`` counts the eigenvalue of W that is followed, 0 for the largest.
    """

    rho_factor: float = 1.0
    frozen: bool = False
    rank: int = 0
    setting: str = "batch 512"


def failures(reading: Reading) -> int:
    """In how many archived runs a part of Figure 6 fails: norms fall, Collapse turns Acute, the eigenvalue stays."""
    archive = archived(reading.setting)
    x, c = archive.arrays, archive.manifest["config"]
    setting = Setting(h=c["h"], d=c["d"], sigma2=c["sigma2"], rho=reading.rho_factor * c["rho"])
    failed = 0
    for N_Phi, N_Psi, N_x, eig_W in zip(x["N_Phi"], x["N_Psi"], x["N_x"], x["eig_W"]):
        first, last = (Norms(float(N_Phi[i]), float(N_Psi[i]), float(N_x[i])) for i in (0, -1))
        late = first if reading.frozen else last
        fall = last.N_Phi < first.N_Phi and last.N_Psi < first.N_Psi
        change = (regime(first, setting), regime(late, setting)) == ("Collapse", "Acute")
        failed += not (fall and change and eig_W[-1, reading.rank] > intervals([late], setting).middle[0])
    return failed


def check_figure_6(reading: Reading, scale: Scale, seed: int) -> Evidence:
    """The archived runs in which a part of the figure fails; none may."""
    runs = len(archived(reading.setting).arrays["N_Phi"])
    return Evidence(failures(reading), 0.0, "every archived run shows the figure", "archived", runs, 0)


@dataclass(frozen=True)
class Part:
    """Which measure of an archived run is compared, at which record (None: the largest of all), in which setting."""

    measure: str
    record: int | None
    setting: str = "batch 512"


def check_nearly(part: Part, scale: Scale, seed: int) -> Evidence:
    """Asymmetry or commutator over what unrelated centred random matrices have, 1 / sqrt 2 for both; the worst run."""
    series = archived(part.setting).arrays[part.measure]
    worst = float((series if part.record is None else series[:, part.record]).max()) * math.sqrt(2.0)
    source = "nearly zero: at most a tenth of what unrelated random matrices have"
    return Evidence(worst, 0.1, source, "archived", len(series), 0, numbers={"measure": worst / math.sqrt(2.0)})


def large(setting: str, record: int = -1) -> Array:
    """How many absolute eigenvalues of W exceed a tenth of the largest, for each archived run, (runs,)."""
    size = np.abs(archived(setting).arrays["eig_W"][:, record])
    return np.sum(size > 0.1 * size.max(axis=1, keepdims=True), axis=1)


def check_figure_8(case: tuple[str, int], scale: Scale, seed: int) -> Evidence:
    """The largest share of eigenvalues of W that stay away from zero; the others have fallen below a tenth."""
    count = large(*case)
    h = archived(case[0]).manifest["config"]["h"]
    source = "a few: at most a tenth of the eigenvalues"
    return Evidence(count.max() / h, 0.1, source, "archived", len(count), 0, numbers={"most": float(count.max())})


CHECKS = {
    "figure-6": Check(
        check_figure_6,
        claimed=Reading(),
        wrong={
            "a quarter of the weight decay in Eq. 7": Reading(rho_factor=0.25),
            "norms of the start kept": Reading(frozen=True),
            "the smallest eigenvalue": Reading(rank=-1),
            "strong noise": Reading(setting="strong noise"),
        },
    ),
    "symmetry-nearly-kept": Check(
        check_nearly,
        claimed=Part("asymmetry", None),
        wrong={
            "at strong noise": Part("asymmetry", None, "strong noise"),
            "the commutator in its place": Part("commutator", None),
        },
    ),
    "commutator-nearly-zero": Check(
        check_nearly,
        claimed=Part("commutator", -1),
        wrong={
            "from the start on": Part("commutator", None),
            "at the start": Part("commutator", 0),
            "all along at strong noise": Part("commutator", None, "strong noise"),
        },
    ),
    "figure-8": Check(
        check_figure_8,
        claimed=("strong noise", -1),
        wrong={"at the start": ("strong noise", 0), "at batch 512 and little noise": ("batch 512", -1)},
    ),
}
