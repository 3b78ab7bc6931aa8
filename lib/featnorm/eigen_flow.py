"""The dynamics of eigenvalues: w_j of W and phi_j of F = Phi Phi^T in commuting states. Eq. 5, 6 and 7 of the paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.integrate import solve_ivp

from featnorm._validate import Array, array, in_range, nonnegative, one_of, positive, weights
from featnorm.matrix_flow import CLOSURES, Drift, clock, unclock
from featnorm.normalized_moments import FollowedMoments, diagonal_moments
from featnorm.setting import Norms, Setting

EigenClosure = Literal["paper", "leading", "second_order", "exact"]
EIGEN_CLOSURES = (*CLOSURES, "second_order", "exact")


def _modes(w: Array, phi: Array, h: int | None = None) -> tuple[Array, Array]:
    """w and phi as finite arrays of shape (h,); a phi below zero by rounding is accepted, as integrators make them."""
    w = array("w", w, (h,))
    phi = array("phi", phi, w.shape)
    if not len(w):
        raise ValueError("w: has no entries, so there is no mode")
    if phi.min() < -1e-12 * np.abs(phi).max():
        raise ValueError(f"phi: must have no negative entry, but the smallest is {phi.min():.3g}")
    return w, phi


def mode_norms(w: Array, phi: Array) -> Norms:
    """N_Phi, N_Psi and N_x from the eigenvalues: N_Phi^2 = sum phi, N_Psi^2 = sum w^2 phi, N_x N_Phi N_Psi = sum w phi.

    >>> mode_norms(np.ones(4), np.ones(4))
    Norms(N_Phi=2.0, N_Psi=2.0, N_x=1.0)
    """
    with np.errstate(all="ignore"):  # `Norms` refuses what leaves the floating-point range
        return _mode_norms(*_modes(w, phi))


def _mode_norms(w: Array, phi: Array) -> Norms:
    """`mode_norms` without checks, for inner loops."""
    N_Phi, N_Psi = float(np.sqrt(phi.sum())), float(np.sqrt((w**2 * phi).sum()))
    return Norms(N_Phi, N_Psi, float(np.clip((w * phi).sum() / (N_Phi * N_Psi), -1, 1)) if N_Phi * N_Psi else np.nan)


def rate_terms(w: Array, phi: Array, N: Norms, setting: Setting) -> Array:
    """The three terms of h-hat_j / w_j in Eq. 5, shape (3, h). Divided by w_j, they stay finite where a mode crosses 0.

    >>> rate_terms(np.ones(1), np.ones(1), Norms(1.0, 1.0, 1.0), Setting(h=1, d=1, sigma2=1.0)).ravel().tolist()
    [0.5, -1.0, -0.5]
    """
    w, phi = _modes(w, phi, setting.h)
    with np.errstate(all="ignore"):
        terms = _rate_terms(w, phi, N, setting)
    in_range("w, phi, N", terms)
    return terms


def _rate_terms(w: Array, phi: Array, N: Norms, setting: Setting) -> Array:
    """`rate_terms` without checks, for inner loops."""
    scale = N.N_Phi * N.N_Psi
    return (
        np.array([phi / scale, -2.0 * w**2 * phi**2 / (scale * N.N_Psi**2), -N.N_x * w * phi / N.N_Psi**2]) / setting.a
    )


def second_order_rate(w: Array, phi: Array, setting: Setting) -> Array:
    """k_j = H_jj / w_j with every term of relative order 1/h (claim ``beyond-consistent-closure``), shape (h,).

    With the shares A_j = w_j^2 phi_j / N_Psi^2, B_j = phi_j / N_Phi^2, C_j = w_j phi_j / (N_Phi N_Psi):
    a H_jj = C_j (1 - 3 A_j - B_j + G_1) - A_j N_x (1 - 3 A_j - B_j / a^2 + G_2) + A_j sum_k (3 A_k + B_k) C_k.

    >>> second_order_rate(np.ones(4), np.ones(4), Setting(h=4, d=4)).tolist()   # equal modes do not move
    [0.0, 0.0, 0.0, 0.0]
    """
    return rate(w, phi, setting, "second_order")


def _second_order_rate(w: Array, phi: Array, setting: Setting) -> Array:
    """`second_order_rate` without checks, for inner loops."""
    N, a2 = _mode_norms(w, phi), setting.a**2
    A, B, C = w**2 * phi / N.N_Psi**2, phi / N.N_Phi**2, w * phi / (N.N_Phi * N.N_Psi)
    AA, AB, BB = A @ A, A @ B, B @ B
    G1 = 0.75 * (AA + BB) + AB / (2 * a2)
    G2 = 3.75 * AA + 0.75 * BB + 1.5 * AB / a2
    gain = phi / (N.N_Phi * N.N_Psi) * (1 - 3 * A - B + G1)
    loss = w * phi / N.N_Psi**2 * (N.N_x * (1 - 3 * A - B / a2 + G2) - (3 * A + B) @ C)
    return (gain - loss) / setting.a


def rate(w: Array, phi: Array, setting: Setting, closure: EigenClosure = "paper", frozen: Norms | None = None) -> Array:
    """k_j = H_jj / w_j of every mode, shape (h,), by one of four closures.

    ``exact``: by quadrature (`featnorm.normalized_moments`), to 1e-10 of the largest. ``second_order``: relative error
    of order 1/h^2. ``leading``: of order 1/h. ``paper``: of order 1/h, smaller than ``leading`` near initialisation and
    larger in aligned states. ``frozen`` fixes N_Phi, N_Psi, N_x for the last two; the first two have no such form, and
    ValueError is raised.

    >>> bool(np.abs(rate(np.ones(4), np.ones(4), Setting(h=4, d=4), "exact")).max() < 1e-10)
    True
    """
    one_of(*EIGEN_CLOSURES)("closure", closure)
    if frozen is not None and closure not in CLOSURES:
        raise ValueError(f"frozen: the closure {closure!r} has no form with frozen norms; use paper or leading")
    w, phi = _modes(w, phi, setting.h)
    with np.errstate(all="ignore"):
        k = _rate(w, phi, setting, closure, frozen)
    in_range("w, phi", k)
    return k


def _rate(w: Array, phi: Array, setting: Setting, closure: EigenClosure, frozen: Norms | None) -> Array:
    """`rate` without checks, for inner loops."""
    if closure in CLOSURES:
        return np.array(CLOSURES[closure]) @ _rate_terms(w, phi, frozen or _mode_norms(w, phi), setting)
    if closure == "second_order":
        return _second_order_rate(w, phi, setting)
    return diagonal_moments(w, np.maximum(phi, 0.0), setting).k  # an integrator may overshoot zero by rounding


def velocity(
    w: Array, phi: Array, setting: Setting, closure: EigenClosure = "paper", frozen: Norms | None = None
) -> tuple[Array, Array]:
    """Eq. 5: (dw/dt, dphi/dt) = (k - rho w, 2 w k - 2 rho phi) for every mode at once, k_j = h-hat_j / w_j.

    ``frozen`` fixes N_Phi, N_Psi, N_x; without it they are computed from the modes. ``closure`` as in `rate`; with
    ``exact`` this is the exact dynamics of a commuting state.

    >>> dw, dphi = velocity(np.ones(1), np.ones(1), Setting(h=1, d=1, sigma2=1.0), "leading")
    >>> dw.item(), dphi.item()
    (0.0, 0.0)
    """
    k = rate(w, phi, setting, closure, frozen)
    w, phi = _modes(w, phi, setting.h)
    with np.errstate(all="ignore"):
        out = k - setting.rho * w, 2.0 * w * k - 2.0 * setting.rho * phi
    in_range("w, phi", *out)
    return out


def _velocity(
    w: Array, phi: Array, setting: Setting, closure: EigenClosure, frozen: Norms | None
) -> tuple[Array, Array]:
    """`velocity` without checks, for inner loops."""
    k = _rate(w, phi, setting, closure, frozen)
    return k - setting.rho * w, 2.0 * w * k - 2.0 * setting.rho * phi


def parabola_velocity(w: Array, N: Norms, setting: Setting) -> Array:
    """Eq. 7: dw/dt of a mode on the invariant parabola phi = w^2, with N_Phi, N_Psi and N_x frozen.

    >>> parabola_velocity(np.array([0.0, 1.0]), Norms(1.0, 1.0, 1.0), Setting(h=1, d=1, sigma2=1.0, rho=0.5)).tolist()
    [0.0, -1.5]
    """
    w = array("w", w, None)
    with np.errstate(all="ignore"):
        scale, square = np.float64(N.N_Phi) * N.N_Psi, np.float64(N.N_Psi) * N.N_Psi
        cosine = -2.0 * w**6 / (scale * square) - N.N_x * w**3 / square + w**2 / scale
        out = cosine / setting.a - setting.rho * w
        divisors = np.array([scale, square, scale * square])
        inverses = 1.0 / divisors
    in_range("w, N", divisors, inverses, out)
    return out


class FlowEnded(RuntimeError):
    """A flow that cannot be followed beyond the time ``t``, and ``why``: a norm vanishes or a mode blows up there."""

    def __init__(self, t: float, why: str) -> None:
        super().__init__(f"Eq. 5 could not be integrated beyond t = {t:.6g}: {why}")
        self.t, self.why = t, why


@dataclass(frozen=True)
class EigenTrajectory:
    """Modes along time: t (m,), w (m, h), phi (m, h); ``at(t)`` gives (w, phi) at any time by dense output.

    ``extinct_at`` is the time at which every |w_j| has fallen below the chosen fraction of the largest |w_j(0)|, and
    the integration stops; None if that did not happen. ``rho`` is the weight decay of the run.
    """

    t: Array
    w: Array
    phi: Array
    at: Callable[[float], tuple[Array, Array]]
    extinct_at: float | None
    rho: float = 0.0

    def drift(self) -> Drift:
        """How far the run departs from the exact laws. The closure of Lemma 4 keeps only the balance law.

        >>> run = integrate([1.0, 0.5], [1.0, 2.0], Setting(h=2, d=2, rho=0.1), 5.0, "exact")
        >>> max(run.drift().Phi, run.drift().W, run.drift().balance) < 1e-7
        True
        """
        return Drift.of(self.t, self.rho, self.w, self.phi, self.phi - self.w**2)

    def norms(self) -> list[Norms]:
        """N_Phi, N_Psi and N_x at every recorded time."""
        return [_mode_norms(w, phi) for w, phi in zip(self.w, self.phi)]


def integrate(
    w0: Array,
    phi0: Array,
    setting: Setting,
    t_end: float,
    closure: EigenClosure = "paper",
    frozen: Norms | None = None,
    extinct: float = 1e-6,
    rtol: float = 1e-9,
) -> EigenTrajectory:
    """Integrate Eq. 5 from (w0, phi0), each of shape (h,), up to ``t_end`` or to extinction.

    Extinction is the event max |w_j| = ``extinct`` max |w_j(0)|; ``extinct = 0`` never stops a run. With norms computed
    from the modes and positive w, the paper's closure reaches it in finite time. Such coupled systems are integrated
    without weight decay, by the clock (`featnorm.matrix_flow.clock`): the shrinking of the norms, which would make them
    stiff, is put back exactly. Raises ValueError for bad input, `FlowEnded` if the integration breaks down (a frozen
    system can blow up in finite time below its negative equilibrium).

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
    rate(w0, phi0, setting, closure, frozen)  # refuses a closure that does not fit
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
    moments = FollowedMoments(inner, min(1e-2 * rtol, 1e-2))

    # Psi has vanished, up to what steps can resolve; on the parabola the event of extinction comes before that.
    gone = (0.01 * extinct**4 if extinct > 0 else 1e-20) * float((w0**2 * phi0).sum())

    def slope(s: float, y: Array) -> Array:
        if frozen is None and not (y[h:].sum() > 0.0 and (y[:h] ** 2 * y[h:]).sum() > gone):
            raise FlowEnded(float(unclock(s, rho)), "Phi or Psi vanishes there")
        w, phi = y[:h], y[h:]
        if closure == "exact":  # coupled norms always, so without weight decay by the clock
            k = moments(w, np.maximum(phi, 0.0)).k
            return np.concatenate([k, 2.0 * w * k])
        return np.concatenate(_velocity(w, phi, inner, closure, frozen))

    def shrunk(s: float | Array, y: Array) -> tuple[Array, Array]:
        factor = np.exp(-rho * unclock(s, rho))
        return factor * y[:h], factor**2 * y[h:]

    class Extinction:
        terminal = True  # where the event happens, `solve_ivp` stops

        def __call__(self, s: float, y: Array) -> float:
            return float(np.abs(shrunk(s, y)[0]).max()) - floor

    y0 = np.concatenate([w0, phi0])
    s_end = float(clock(t_end, rho))
    atol = rtol * max(floor, 1e-12 * float(np.abs(y0).max()))
    with np.errstate(over="ignore", invalid="ignore"):  # a blow-up overflows before LSODA gives up
        out = solve_ivp(
            slope, (0.0, s_end), y0, method="LSODA", rtol=rtol, atol=atol, dense_output=True, events=Extinction()
        )
    finite = np.isfinite(out.y).all(axis=0)
    if not out.success or not finite.all():
        why = out.message if finite.all() else "a mode blows up"
        raise FlowEnded(float(unclock(out.t[finite][-1], rho)), why)
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
    return EigenTrajectory(times, w.T, phi.T, at, ended, setting.rho)


def water_level(c: Array, total: float) -> float:
    """The level x at which sum_j max(x + c_j, 0) = total, for total > 0: water poured over the uneven ground -c_j.

    ``c`` has shape (h,), h >= 1. Raises ValueError for other input.

    >>> water_level(np.array([0.0, 0.5, -9.0]), 1.5)
    0.5
    """
    high, total = np.sort(array("c", c, (None,)))[::-1], positive("total", total)
    if not len(high):
        raise ValueError("c: has no entries, so there is no ground")
    # With the m highest c_j under water the level is (total - their sum) / m; the largest m for which all of them are.
    levels = (total - np.cumsum(high)) / np.arange(1, len(high) + 1)
    return float(levels[np.flatnonzero(levels + high > 0)[-1]])


@dataclass(frozen=True)
class TerminalState:
    """Where a flow ends: w and phi of every mode, shape (h,), and the common value ``w_bar`` of the survivors."""

    w: Array
    phi: Array
    w_bar: float


def terminal_state(w0: Array, phi0: Array) -> TerminalState:
    """Where the leading-order flow without weight decay ends, from the start alone (claim ``beyond-terminal-state``).

    With c_j = phi_j(0) - w_j(0)^2, survivors share one w_bar > 0 and phi_j = w_bar^2 + c_j; modes that would come out
    below zero die, and so do those with w_j(0) < 0 and c_j <= 0. The sum of phi is conserved, which fixes w_bar^2 as a
    `water_level`.

    ``w0`` and ``phi0`` have shape (h,), every phi0 > 0 and some w0 > 0; ValueError otherwise.

    >>> end = terminal_state(np.array([1.0, -0.1, -2.0]), np.array([1.0, 1.0, 1.0]))
    >>> end.phi.round(4).tolist(), round(end.w_bar, 4)
    ([1.005, 1.995, 0.0], 1.0025)
    """
    w0 = array("w0", w0, (None,))
    phi0 = array("phi0", phi0, w0.shape)
    if (phi0 <= 0).any():
        raise ValueError(f"phi0: must be positive, but the smallest is {phi0.min():.3g}")
    if not (w0 > 0).any():
        raise ValueError("w0: must have a positive entry, or the survivors need not agree")
    c = phi0 - w0**2
    may_live = (w0 > 0) | (c > 0)
    level = water_level(c[may_live], float(phi0.sum()))
    phi = np.where(may_live, np.maximum(level + c, 0.0), 0.0)
    w_bar = float(np.sqrt(level))
    dead = np.sign(w0) * np.sqrt(np.maximum(-c, 0.0))
    return TerminalState(np.where(phi > 0, w_bar, dead), phi, w_bar)


@dataclass(frozen=True)
class TerminalMatrix:
    """Where a flow from a start that does not commute is predicted to end.

    ``F`` (h, h), its eigenvalues ``phi`` (h,) in the order of the eigenvalues of the conserved matrix, ascending, and
    the common value ``w_bar`` of W on the range of F.
    """

    F: Array
    phi: Array
    w_bar: float


def terminal_state_matrix(W0: Array, Phi0: Array, sign_rule: bool = True) -> TerminalMatrix:
    """An approximation of F at the end of the flow without weight decay from any start (``beyond-terminal-matrix``).

    `terminal_state` with modes that W and F need not have: the eigenvectors u_j of the conserved matrix C = Phi Phi^T -
    W^T W, its eigenvalues c_j, and u_j^T W u_j in the place of w_j(0). F is then sum_j (w_bar^2 + c_j)_+ u_j u_j^T at
    the conserved trace, which fixes w_bar^2. Without the ``sign_rule`` a direction with u_j^T W u_j < 0 and c_j <= 0
    may live too, and the spectrum of C decides alone.

    W0 has shape (h, h), Phi0 (h, d). Raises ValueError for wrong shapes and where Phi0 is zero or, with the sign rule,
    no direction may live.

    >>> w, phi = np.array([1.0, -0.1, -2.0]), np.array([1.0, 1.0, 1.0])
    >>> end = terminal_state_matrix(np.diag(w), np.diag(np.sqrt(phi)))
    >>> bool(np.allclose(np.diag(end.F), terminal_state(w, phi).phi))   # a commuting start
    True
    """
    W0, Phi0 = weights(W0, Phi0)
    F0 = Phi0 @ Phi0.T
    total = positive("the squared norm of Phi0", float(np.trace(F0)))
    c, U = np.linalg.eigh(F0 - W0.T @ W0)
    may_live = (np.sum(U * (W0 @ U), axis=0) > 0) | (c > 0)
    if not sign_rule:
        may_live = np.ones(len(c), dtype=bool)
    elif not may_live.any():
        raise ValueError("W0: u^T W0 u is negative in every direction that could live, so none survives")
    level = water_level(c[may_live], total)
    phi = np.where(may_live, np.maximum(level + c, 0.0), 0.0)
    return TerminalMatrix(U * phi @ U.T, phi, float(np.sqrt(max(level, 0.0))))
