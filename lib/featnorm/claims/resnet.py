"""What an archived run with a ResNet shows of Figures 10, 11 and 12.

No check yet, not even one that ends undecided: the runs on a CPU are too small to count, and the cuts below were
written after the first two of them. They are applied and shown in the chapter "ResNet-18", and wait for the GPU.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from featnorm._validate import Array
from featnorm.claims.model import Check
from featnorm.equilibria import Intervals, intervals
from featnorm.setting import Norms, Setting

CHECKS: dict[str, Check] = {}

ARCHIVE = "image-resnet-cpu"


def predicted(run: Mapping[str, Array], rho: float) -> Intervals:
    """The regions of Eq. 7 at the measured norms and the effective a of each record of one run.

    nan where the features of two views do not agree, or agree exactly: Eq. 7 then says nothing.

    >>> run = {"N_Phi": [1.0, 1.0], "N_Psi": [1.0, 1.0], "N_x": [0.0, 0.0], "a": [2.0, 1.0]}
    >>> found = predicted(run, 0.01)
    >>> bool(found.middle[0] < found.high[0]), bool(np.isnan(found.low[1]))
    (True, True)
    """
    rows = []
    for N_Phi, N_Psi, N_x, a in zip(*(map(float, run[name]) for name in ("N_Phi", "N_Psi", "N_x", "a"))):
        if not np.isfinite([N_Phi, N_Psi, N_x, a]).all() or a <= 1.0 or min(N_Phi, N_Psi) <= 0:
            rows.append([np.nan] * 3)
            continue
        at = intervals([Norms(N_Phi, N_Psi, float(np.clip(N_x, -1, 1)))], Setting(1, 1, a - 1.0, rho))
        rows.append([at.low[0], at.middle[0], at.high[0]])
    return Intervals(*np.array(rows).reshape(-1, 3).T)


def parts(run: Mapping[str, Array], rho: float) -> dict[str, bool]:
    """Each part of what the paper says of Figures 10, 11 and 12, and whether one run shows it.

    ``run``: records by the names of `featnorm.simsiam.image.measure`; eig_W (n, h). The cuts are conventions, each the
    mildest reading of the words: *shrink* is to end below the start; *most* is more than half; *zero* is below a tenth
    of the largest absolute eigenvalue; *becomes asymmetric and then symmetric* is to end below half of the maximum;
    *nearly* commuting is to lie, at the end, below a tenth of the value that Assumption 4 starts with.

    >>> names = ("N_Phi", "N_Psi", "a", "commutator")
    >>> run = {name: np.array([2.0, 1.5]) for name in names} | {"N_x": np.zeros(2), "asymmetry": np.array([0.0, 0.1])}
    >>> found = parts(run | {"eig_W": np.array([[1.0, 0.5, 0.4], [1.0, 0.0, 0.0]])}, 0.01)
    >>> found["most eigenvalues go to zero"], found["W returns to symmetry"]
    (True, False)
    """
    at = predicted(run, rho)
    size = np.sort(np.abs(run["eig_W"]), axis=1)[:, ::-1]
    alive = size[-1] > 0.1 * size[-1, 0]
    trace = np.abs(run["N_x"] * run["N_Phi"] * run["N_Psi"])
    outside = np.isfinite(at.low[0]) and np.isnan(at.high[0])
    border, stable = at.middle[-1], at.high[-1]
    return {
        "most eigenvalues go to zero": bool(np.mean(alive) < 0.5),
        "N_Phi and N_Psi shrink": bool(run["N_Phi"][-1] < run["N_Phi"][0] and run["N_Psi"][-1] < run["N_Psi"][0]),
        "N_x shrinks, as a cosine": bool(abs(run["N_x"][-1]) < abs(run["N_x"][0])),
        "N_x shrinks, as a trace, from its maximum": bool(trace[-1] < 0.5 * trace.max()),
        "W returns to symmetry": bool(run["asymmetry"][-1] < 0.5 * run["asymmetry"].max()),
        "F and W nearly commute": bool(run["commutator"][-1] < 0.1 * run["commutator"][0]),
        "starts in Collapse": bool(outside),
        "ends in Acute": bool(np.isfinite(stable)),
        "survivors end in the interval of convergence": bool(size[-1][alive].min() > border),
        "the others end below it": bool((~alive).any() and size[-1][~alive].max() < border),
    }
