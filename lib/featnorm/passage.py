"""When a flow passes the boundary between the regimes: Eq. 7's critical weight decay with norms that move.

Let g(s) be the critical weight decay of Eq. 7 at the norms of the flow *without* decay, at clock time s. With decay
rho the layers are exp(-rho t) times smaller (claim ``beyond-clock``), so the critical value at time t is
exp(2 rho t) g(s(t)). Since exp(2 rho t) = 1 + 2 rho s, the regime is Acute exactly where 1/rho > f(s) = 1/g(s) - 2 s.
One function of the clock decides for every rho.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from featnorm._validate import Array, array, positive
from featnorm.eigen_flow import EigenTrajectory, mode_norms
from featnorm.equilibria import critical_rho
from featnorm.matrix_flow import unclock
from featnorm.setting import Norms, Setting


def barrier(run: EigenTrajectory, setting: Setting) -> Callable[[float], float]:
    """f(s) = 1/g(s) - 2 s along a run without weight decay: the regime of a run with rho is Acute where 1/rho > f.

    >>> from featnorm.eigen_flow import integrate
    >>> setting = Setting(h=2, d=2)
    >>> f = barrier(integrate(np.ones(2), np.ones(2), setting, 1.0, "exact"), setting)
    >>> abs(f(0.0) - f(0.5) - 1.0) < 1e-6   # equal modes do not move, so g is constant
    True
    """

    def f(s: float) -> float:
        return 1.0 / critical_rho(mode_norms(*run.at(s)), setting) - 2.0 * s

    return f


def lowest_critical_rho(w0: Array, phi0: Array, setting: Setting) -> float:
    """The least critical weight decay that any state with these ||W||_F and ||Phi||_F has.

    With v = w / N_Psi, the critical value is the maximum over v of (v - N_x N_Phi v^2 - 2 N_Psi^2 v^5) / (a N_Phi), so
    it falls with N_x and with N_Psi; N_x is at most 1, and N_Psi at most ||W||_F ||Phi||_F.

    >>> setting = Setting(h=1, d=1)   # one mode attains both
    >>> abs(lowest_critical_rho(np.ones(1), np.ones(1), setting) - critical_rho(Norms(1, 1, 1), setting)) < 1e-15
    True
    """
    w0 = array("w0", w0, (None,))
    phi0 = array("phi0", phi0, w0.shape)
    N_Phi = float(np.sqrt(phi0.sum()))
    return critical_rho(Norms(N_Phi, float(np.linalg.norm(w0)) * N_Phi, 1.0), setting)


def passage_bounds(w0: Array, phi0: Array, setting: Setting) -> tuple[float, float]:
    """Times between which the flow with ``setting.rho`` passes from Collapse to Acute (claim ``beyond-passing-time``).

    Before the first there is no passage as long as g <= g(0); after the second the regime is Acute. Both are zero where
    no passage is needed.

    >>> low, high = passage_bounds(np.ones(1), np.ones(1), Setting(h=1, d=1, rho=1.0))
    >>> abs(low - high) < 1e-12   # one mode: the passage is known exactly
    True
    """
    rho = positive("rho", setting.rho)
    first = critical_rho(mode_norms(w0, phi0), setting)
    lowest = lowest_critical_rho(w0, phi0, setting)
    low, high = (float(np.log(rho / critical)) / (2.0 * rho) for critical in (first, lowest))
    return max(0.0, low), max(0.0, high)


def passages(run: EigenTrajectory, setting: Setting) -> list[float]:
    """All times at which the flow with ``setting.rho`` changes between Collapse and Acute, in increasing order.

    ``run`` is the flow from the same start without weight decay. Raises ValueError if it ends before `passage_bounds`
    allow to say that no further change follows.

    >>> from featnorm.eigen_flow import integrate
    >>> setting = Setting(h=2, d=2)
    >>> run = integrate(np.ones(2), np.ones(2), setting, 100.0, "exact")
    >>> rho = 3.0 * critical_rho(mode_norms(np.ones(2), np.ones(2)), setting)
    >>> [t] = passages(run, setting.with_(rho=rho))
    >>> bool(abs(t - np.log(3.0) / (2.0 * rho)) < 1e-6)
    True
    """
    rho = positive("rho", setting.rho)
    needed = (1.0 / lowest_critical_rho(run.w[0], run.phi[0], setting) - 1.0 / rho) / 2.0
    if run.t[-1] < needed:
        raise ValueError(f"run: ends at clock time {run.t[-1]:.4g}, must reach {needed:.4g}")
    f = barrier(run, setting)

    def height(s: float) -> float:
        return f(s) - 1.0 / rho

    grid = np.unique(np.concatenate([run.t, (run.t[1:] + run.t[:-1]) / 2]))
    values = [height(float(s)) for s in grid]
    roots = [
        brentq(height, a, b, xtol=1e-12, rtol=1e-12)
        for (a, u), (b, v) in pairwise(zip(grid, values))
        if (u < 0) != (v < 0)
    ]
    return [float(unclock(s, rho)) for s in roots]


def highest_barrier(run: EigenTrajectory, setting: Setting) -> tuple[float, float]:
    """(s, f(s)) at the maximum of `barrier` along a run: a weight decay above 1/f leads through Collapse.

    >>> from featnorm.eigen_flow import integrate
    >>> setting = Setting(h=2, d=2)
    >>> highest_barrier(integrate(np.ones(2), np.ones(2), setting, 1.0, "exact"), setting)[0]   # equal modes
    0.0
    """
    f = barrier(run, setting)
    values = [f(float(s)) for s in run.t]
    i = int(np.argmax(values))
    if i in (0, len(values) - 1):
        return float(run.t[i]), values[i]
    best = minimize_scalar(lambda s: -f(s), bounds=(run.t[i - 1], run.t[i + 1]), method="bounded")
    return (float(best.x), float(-best.fun)) if -best.fun > values[i] else (float(run.t[i]), values[i])
