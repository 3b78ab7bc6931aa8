"""Who ends where: basins at frozen norms, and how the eigenvalues of Assumption 4 lie in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featnorm._validate import Array, array, positive_int
from featnorm.equilibria.frozen import equilibria
from featnorm.setting import Norms, Setting, initialize, norms

#: Share of the eigenvalues between 0 and the unstable positive point up to which we call a state nearly Stable.
NEARLY_STABLE = 0.05


def destinations(w0: Array, N: Norms, setting: Setting) -> Array:
    """Where eigenvalues that start at w0 on the parabola end under Eq. 7 at frozen norms: -inf, 0 or w_up.

    A start at an equilibrium stays there. Same shape as ``w0``.

    >>> destinations([-2.0, -0.5, 0.1, 0.5, 3.0], Norms(1, 1, 0), Setting(h=1, d=1, sigma2=1.0, rho=0.1)).round(4)
    array([  -inf, 0.    , 0.    , 0.7809, 0.7809])
    """
    w0 = array("w0", w0, None)
    points = equilibria(N, setting)
    out = np.full(w0.shape, -np.inf)
    # From one equilibrium to the next the field has one sign; it points to the neighbour that attracts from that side.
    for left, right in zip(points, (*points[1:], None)):
        inside = (w0 > left.w) & (w0 < (np.inf if right is None else right.w))
        to_left = left.stability == "stable" or (left.name == "w_up" and left.multiplicity == 2)
        out[inside] = left.w if right is None or to_left else right.w
    for e in points:
        out[w0 == e.w] = e.w
    return out


def semicircle_below(x: Array) -> Array:
    """Share of the semicircle law of radius 2, the limit of the eigenvalues of W under Assumption 4, below x.

    >>> semicircle_below([-3.0, 0.0, 2.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    x = np.clip(array("x", x, None), -2.0, 2.0)
    return 0.5 + (x * np.sqrt(4.0 - x**2) + 4.0 * np.arcsin(x / 2.0)) / (4.0 * np.pi)


def near_stable_mass(N: Norms, setting: Setting, eigenvalues: Array | None = None) -> float:
    """Share of eigenvalues from 0 to w_down_plus, which the Stable regime would save and this one sends to zero.

    Zero at rho = 0. The state is nearly Stable if it is at most `NEARLY_STABLE`. In Collapse all positive ones count.
    Without ``eigenvalues`` (n,) they follow the semicircle law.

    >>> round(near_stable_mass(Norms(8, 8, 0), Setting(h=64, d=512, sigma2=1.0, rho=0.001)), 3)
    0.041
    """
    points = {e.name: e.w for e in equilibria(N, setting)}
    top = 0.0 if setting.rho == 0 else points.get("w_down_plus", points.get("w_up", np.inf))
    if eigenvalues is None:
        return float(semicircle_below(np.array(min(top, 2.0))) - 0.5)
    w = array("eigenvalues", eigenvalues, (None,))
    if not len(w):
        raise ValueError("eigenvalues: has no entries, so there is no share of them")
    return float(np.mean((w > 0) & (w < top)))


@dataclass(frozen=True)
class Starts:
    """Starts of Assumption 4: sorted eigenvalues of W (n, h) and the lowest unstable equilibrium of each (n,)."""

    eigenvalues: Array
    lowest_root: Array

    @property
    def below(self) -> Array:
        """Share of the eigenvalues of each start below its lowest unstable equilibrium, (n,)."""
        return (self.eigenvalues < self.lowest_root[:, None]).mean(axis=1)


def starts(setting: Setting, n: int, rng: np.random.Generator) -> Starts:
    """n starts drawn as in Assumption 4, each against w_down_minus at its own norms and ``setting.rho``.

    >>> drawn = starts(Setting(h=4, d=8), 3, np.random.default_rng(0))
    >>> drawn.eigenvalues.shape, bool((drawn.lowest_root < 0).all())
    ((3, 4), True)
    """
    positive_int("n", n)
    spectra, roots = [], []
    for _ in range(n):
        W, Phi = initialize(setting, rng)
        spectra.append(np.linalg.eigvalsh(W))
        roots.append(equilibria(norms(W, Phi), setting)[0].w)
    return Starts(np.array(spectra), np.array(roots))
