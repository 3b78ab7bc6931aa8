"""Equilibria of a mode on the parabola at frozen norms (Eq. 7, Eq. 8), and what is exact about them.

`frozen` finds them for one parameter set and `batched` for millions, `certified` counts them in exact arithmetic,
`continuation` follows their branches, `bath` puts one exact mode among many others, `basins` says who ends where.
"""

from featnorm.equilibria.batched import NAMES, REGIMES, Classified, classify, classify_scaled
from featnorm.equilibria.frozen import (
    FOLD_TOLERANCE,
    Equilibrium,
    Intervals,
    Regime,
    Stability,
    critical_rho,
    equilibria,
    fold,
    intervals,
    l2_critical_rho,
    l2_equilibria,
    l2_regime,
    l2_velocity,
    leading_equilibria,
    regime,
    scaled,
)

__all__ = [
    "FOLD_TOLERANCE",
    "NAMES",
    "REGIMES",
    "Classified",
    "Equilibrium",
    "Intervals",
    "Regime",
    "Stability",
    "classify",
    "classify_scaled",
    "critical_rho",
    "equilibria",
    "fold",
    "intervals",
    "l2_critical_rho",
    "l2_equilibria",
    "l2_regime",
    "l2_velocity",
    "leading_equilibria",
    "regime",
    "scaled",
]
