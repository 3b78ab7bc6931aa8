"""A linear run against the theory of one mode: where Eq. 7 would send each eigenvalue at the norms of each moment.

Nothing here is stored with a run: the norms are, and the rest follows from them. A module of its own, so that a change
in the theory does not make the archived runs of `featnorm.simsiam.linear` stale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featnorm import equilibria
from featnorm._validate import Array
from featnorm.equilibria import Intervals
from featnorm.setting import Norms
from featnorm.simsiam.linear import LinearRun


def moments(run: LinearRun) -> list[Norms]:
    """The norms of each record, in the form that `featnorm.equilibria` takes. Raises ValueError for a state of zeros.

    >>> from featnorm.simsiam.linear import LinearConfig, train
    >>> len(moments(train(LinearConfig(h=4, d=8, batch=8, epochs=1, steps_per_epoch=2, record_every=1))))
    3
    """
    return [Norms(*map(float, row)) for row in zip(run.N_Phi, run.N_Psi, run.N_x)]


def regimes(run: LinearRun) -> list[equilibria.Regime]:
    """The regime of Section 5.2 at each record. Under the L2 loss it is that of Eq. 8, the same at all times.

    >>> from featnorm.simsiam.linear import LinearConfig, train
    >>> regimes(train(LinearConfig(h=4, d=8, rho=1.0, batch=8, epochs=1, steps_per_epoch=1)))
    ['Collapse', 'Collapse']
    """
    setting = run.config.setting
    if run.config.loss == "l2":
        return [equilibria.l2_regime(setting)] * len(run.step)
    return [equilibria.regime(N, setting) for N in moments(run)]


def intervals(run: LinearRun) -> Intervals:
    """The equilibria of Eq. 7 at each record, (n,) each, NaN where there is none; Eq. 8 under the L2 loss.

    Under Eq. 8 no negative eigenvalue diverges: ``low`` is minus infinity.

    >>> from featnorm.simsiam.linear import LinearConfig, train
    >>> found = intervals(train(LinearConfig(h=4, d=8, rho=1.0, batch=8, epochs=1, steps_per_epoch=1)))
    >>> bool((found.low < 0).all()), found.high.tolist()
    (True, [nan, nan])
    """
    if run.config.loss == "cosine":
        return equilibria.intervals(moments(run), run.config.setting)
    points = {e.name: e.w for e in equilibria.l2_equilibria(run.config.setting)}
    high = points.get("w_up", np.nan)
    middle = points.get("w_down_plus", 0.0 if run.config.rho == 0 else high)
    return Intervals(*(np.full(len(run.step), value) for value in (-np.inf, middle, high)))


@dataclass(frozen=True, eq=False)
class Alignment:
    """How near the eigenvalues of W (symmetric part) are to where Eq. 7 sends them, at each of n records.

    An eigenvalue above ``middle`` of `intervals` is sent to ``high``, one between ``low`` and ``middle`` to 0. Those
    below ``low`` would diverge: they have no place to be near to, and are left out. Over the others, with w the vector
    of eigenvalues and p that of their places:

    cosine: <w, p> / (|w| |p|), 1 where the spectrum has the predicted shape; NaN where all of p is zero.
    distance: |w - p| / |w|, 0 where each eigenvalue is at its place, 1 where all are sent to zero.
    kept: number of eigenvalues that are sent to ``high``.  diverging: number of those left out.

    Near zero noise the distance is small late in a run whatever the theory of the path says: if the survivors share one
    eigenvalue, the leading terms of Eq. 7 cancel there by construction.
    """

    cosine: Array
    distance: Array
    kept: Array
    diverging: Array


def alignment(run: LinearRun) -> Alignment:
    """`Alignment` of predicted and observed eigenvalues at each record of a run.

    >>> from featnorm.simsiam.linear import LinearConfig, train
    >>> at = alignment(train(LinearConfig(h=4, d=8, rho=1.0, batch=8, epochs=1, steps_per_epoch=1)))
    >>> at.distance.tolist(), at.kept.tolist()               # in the Collapse regime every eigenvalue is sent to zero
    ([1.0, 1.0], [0, 0])
    """
    at, w = intervals(run), run.eig_W
    sent = w > at.middle[:, None]  # false where there is no middle
    place = np.where(sent, at.high[:, None], 0.0)
    diverging = w < at.low[:, None]
    w, place = np.where(diverging, 0.0, w), np.where(diverging, 0.0, place)
    size, size_place = np.linalg.norm(w, axis=1), np.linalg.norm(place, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):  # a state of zeros has no direction
        cosine = np.sum(w * place, axis=1) / (size * size_place)
        distance = np.linalg.norm(w - place, axis=1) / size
    return Alignment(cosine, distance, sent.sum(axis=1), diverging.sum(axis=1))
