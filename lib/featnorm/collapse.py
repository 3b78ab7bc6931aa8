"""Three things people call collapse, and a number for each.

Complete collapse is about absolute size, dimensional collapse about rank, functional collapse about what a downstream
task sees: the normalised features. They are different; every claim of the book says which one it means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featnorm._validate import Array, array, in_range
from featnorm.setting import effective_rank


@dataclass(frozen=True)
class Collapse:
    """The three measures of one state.

    size: ||Phi||_F; 0 is complete collapse.
    rank: effective rank of F = Phi Phi^T, from 1 (dimensional collapse) to h.
    spread: E||z - E z||^2 of the normalised features z = Phi x / ||Phi x||, from 0 (functional collapse) to 1.

    >>> measure(np.eye(2), np.array([[1.0, 0.0]] * 4)).spread   # all features agree
    0.0
    """

    size: float
    rank: float
    spread: float


def feature_spread(features: Array) -> float:
    """E||z - E z||^2 = 1 - ||E z||^2 over the rows of ``features`` (n, h), z the row over its norm; 0 if all agree.

    >>> feature_spread(np.array([[1.0, 0.0], [-2.0, 0.0]]))
    1.0
    >>> feature_spread(np.array([[1.0, 0.0], [2.0, 0.0]]))
    0.0
    """
    features = array("features", features, (None, None))
    if not len(features):
        raise ValueError("features: has no rows, so there is nothing to measure")
    if not features.any(axis=1).all():
        raise ValueError("features: a row is zero, so it has no direction")
    rows = features / np.abs(features).max(axis=1, keepdims=True)  # no square leaves the floating-point range
    z = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return float(np.mean(np.sum((z - z.mean(axis=0)) ** 2, axis=1)))


def measure(Phi: Array, x: Array) -> Collapse:
    """All three measures of Phi (h, d) on inputs x (n, d).

    Raises ValueError where Phi is zero: that is complete collapse, and rank and spread have no meaning there.

    >>> measure(np.eye(2), np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    Collapse(size=1.4142135623730951, rank=2.0, spread=1.0)
    """
    Phi = array("Phi", Phi, (None, None))
    x = array("x", x, (None, Phi.shape[1]))
    if not Phi.any():
        raise ValueError("Phi: is zero (complete collapse), so it has no rank and its features no direction")
    scale = float(np.abs(Phi).max())
    unit = Phi / scale  # rank and spread do not see the scale, and squares of tiny or huge entries would be lost
    largest = np.abs(x).max(axis=1, keepdims=True)
    rows = x / np.where(largest > 0, largest, 1.0)
    with np.errstate(over="ignore"):
        size = scale * float(np.linalg.norm(unit))
    in_range("Phi", size)
    return Collapse(size, effective_rank(unit @ unit.T), feature_spread(rows @ unit.T))
