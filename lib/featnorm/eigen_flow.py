"""The dynamics of eigenvalues: w_j of W and phi_j of F = Phi Phi^T in commuting states. Eq. 5, 6 and 7 of the paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from featnorm._validate import Array, array, nonnegative, one_of, positive
from featnorm.matrix_flow import CLOSURES, Closure, clock, unclock
from featnorm.setting import Norms, Setting


def mode_norms(w: Array, phi: Array) -> Norms:
    """N_Phi, N_Psi and N_x from the eigenvalues: N_Phi^2 = sum phi, N_Psi^2 = sum w^2 phi, N_x N_Phi N_Psi = sum w phi.

    >>> mode_norms(np.ones(4), np.ones(4))
    Norms(N_Phi=2.0, N_Psi=2.0, N_x=1.0)
    """
    N_Phi, N_Psi = float(np.sqrt(phi.sum())), float(np.sqrt((w**2 * phi).sum()))
    return Norms(N_Phi, N_Psi, float(np.clip((w * phi).sum() / (N_Phi * N_Psi), -1, 1)) if N_Phi * N_Psi else np.nan)


def rate_terms(w: Array, phi: Array, N: Norms, setting: Setting) -> Array:
    """The three terms of h-hat_j / w_j in Eq. 5, shape (3, h). Divided by w_j, they stay finite where a mode crosses 0.

    >>> rate_terms(np.ones(1), np.ones(1), Norms(1.0, 1.0, 1.0), Setting(h=1, d=1, sigma2=1.0)).ravel().tolist()
    [0.5, -1.0, -0.5]
    """
    scale = N.N_Phi * N.N_Psi
    return (
        np.array([phi / scale, -2.0 * w**2 * phi**2 / (scale * N.N_Psi**2), -N.N_x * w * phi / N.N_Psi**2]) / setting.a
    )


def velocity(
    w: Array, phi: Array, setting: Setting, closure: Closure = "paper", frozen: Norms | None = None
) -> tuple[Array, Array]:
    """Eq. 5: (dw/dt, dphi/dt) = (h-hat/w - rho w, 2 h-hat - 2 rho phi) for every mode at once.

    ``frozen`` fixes N_Phi, N_Psi, N_x; without it they are computed from the modes. ``closure`` as in
    `featnorm.matrix_flow.H_closure`.

    >>> dw, dphi = velocity(np.ones(1), np.ones(1), Setting(h=1, d=1, sigma2=1.0), "leading")
    >>> dw.item(), dphi.item()
    (0.0, 0.0)
    """
    N = frozen or mode_norms(w, phi)
    rate = np.array(CLOSURES[one_of(*CLOSURES)("closure", closure)]) @ rate_terms(w, phi, N, setting)
    return rate - setting.rho * w, 2.0 * w * rate - 2.0 * setting.rho * phi


def parabola_velocity(w: Array, N: Norms, setting: Setting) -> Array:
    """Eq. 7: dw/dt of a mode on the invariant parabola phi = w^2, with N_Phi, N_Psi and N_x frozen.

    >>> parabola_velocity(np.array([0.0, 1.0]), Norms(1.0, 1.0, 1.0), Setting(h=1, d=1, sigma2=1.0, rho=0.5)).tolist()
    [0.0, -1.5]
    """
    w = np.asarray(w, dtype=np.float64)
    scale = N.N_Phi * N.N_Psi
    cosine = -2.0 * w**6 / (scale * N.N_Psi**2) - N.N_x * w**3 / N.N_Psi**2 + w**2 / scale
    return cosine / setting.a - setting.rho * w


@dataclass(frozen=True)
class EigenTrajectory:
    """Modes along time: t (m,), w (m, h), phi (m, h); ``at(t)`` gives (w, phi) at any time by dense output.

    ``extinct_at`` is the time at which every |w_j| has fallen below the chosen fraction of the largest |w_j(0)|, and
    the integration stops; None if that did not happen.
    """

    t: Array
    w: Array
    phi: Array
    at: Callable[[float], tuple[Array, Array]]
    extinct_at: float | None

    def norms(self) -> list[Norms]:
        """N_Phi, N_Psi and N_x at every recorded time."""
        return [mode_norms(w, phi) for w, phi in zip(self.w, self.phi)]


def integrate(
    w0: Array,
    phi0: Array,
    setting: Setting,
    t_end: float,
    closure: Closure = "paper",
    frozen: Norms | None = None,
    extinct: float = 1e-6,
    rtol: float = 1e-9,
) -> EigenTrajectory:
    """Integrate Eq. 5 from (w0, phi0), each of shape (h,), up to ``t_end`` or to extinction.

    Extinction is the event max |w_j| = ``extinct`` max |w_j(0)|; ``extinct = 0`` never stops a run. With norms computed from the
    modes and positive w, the paper's closure reaches it in finite time. Such coupled systems are integrated without
    weight decay, by the clock (`featnorm.matrix_flow.clock`): the shrinking of the norms, which would make them stiff,
    is put back exactly. Raises ValueError for bad input, RuntimeError if the integration breaks down (a frozen system
    can blow up in finite time below its negative equilibrium).

    >>> run = integrate(np.full(3, 0.1), np.full(3, 0.01), Setting(h=3, d=3, rho=1.0), 40.0, frozen=Norms(1, 1, 0))
    >>> run.extinct_at is not None
    True
    """
    h = setting.h
    w0, phi0 = array("w0", w0, (h,)), array("phi0", phi0, (h,))
    if (phi0 < 0).any():
        raise ValueError(f"phi0: must have no negative entry, but the smallest is {phi0.min():.3g}")
    if not w0.any():
        raise ValueError("w0: is zero, so Psi is zero and has no direction")
    if frozen is None:
        mode_norms(w0, phi0)
    one_of(*CLOSURES)("closure", closure)
    positive("t_end", t_end)
    positive("rtol", rtol)
    if nonnegative("extinct", extinct) >= 1.0:
        raise ValueError(f"extinct = {extinct!r}: must be a number >= 0 and < 1")
    floor = extinct * float(np.abs(w0).max())
    if frozen is None and setting.rho * t_end > 350:
        raise ValueError(f"t_end = {t_end!r}: rho t_end must be at most 350, where sizes are below 1e-150")
    # The variable of integration is the time where the norms are frozen, and the clock where they are not.
    rho = setting.rho if frozen is None else 0.0
    inner = setting if frozen is not None else setting.with_(rho=0.0)

    def slope(s: float, y: Array) -> Array:
        if frozen is None and not min(y[h:].sum(), (y[:h] ** 2 * y[h:]).sum()) > 0.0:
            t = float(unclock(s, rho))
            raise RuntimeError(f"Eq. 5 could not be integrated beyond t = {t:.6g}: Phi or Psi vanishes there")
        return np.concatenate(velocity(y[:h], y[h:], inner, closure, frozen))

    def shrunk(s: float | Array, y: Array) -> tuple[Array, Array]:
        factor = np.exp(-rho * unclock(s, rho))
        return factor * y[:h], factor**2 * y[h:]

    def extinction(s: float, y: Array) -> float:
        return float(np.abs(shrunk(s, y)[0]).max()) - floor

    extinction.terminal = True  # type: ignore[attr-defined]
    y0 = np.concatenate([w0, phi0])
    s_end = float(clock(t_end, rho))
    atol = rtol * max(floor, 1e-12 * float(np.abs(y0).max()))
    with np.errstate(over="ignore", invalid="ignore"):  # a blow-up overflows before LSODA gives up
        out = solve_ivp(
            slope, (0.0, s_end), y0, method="LSODA", rtol=rtol, atol=atol, dense_output=True, events=extinction
        )
    finite = np.isfinite(out.y).all(axis=0)
    if not out.success or not finite.all():
        why = out.message if finite.all() else "a mode blows up"
        t = float(unclock(out.t[finite][-1], rho))
        raise RuntimeError(f"Eq. 5 could not be integrated beyond t = {t:.6g}: {why}")
    times = np.array(unclock(out.t, rho))
    ended = float(unclock(out.t_events[0][0], rho)) if len(out.t_events[0]) else None
    if ended is None:
        times[-1] = t_end  # to the last digit

    def at(t: float) -> tuple[Array, Array]:
        if not 0.0 <= t <= times[-1]:
            raise ValueError(f"t = {t!r}: must be from 0 to {times[-1]:.6g}, where the integration ended")
        s = min(float(clock(t, rho)), float(out.t[-1]))  # rounding must not lead beyond the end
        return shrunk(s, out.sol(s))

    w, phi = shrunk(out.t, out.y)
    return EigenTrajectory(times, w.T, phi.T, at, ended)
