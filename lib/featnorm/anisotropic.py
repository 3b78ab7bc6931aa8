"""Inputs whose coordinates differ in variance: the leading-order flow of aligned modes, and where it ends.

Coordinate j of the anchor has variance s_j (the signal) and its augmentation noise has variance n_j, so a view has
variance s_j + n_j. A state is aligned where Phi = U diag(p) V^T and W = U diag(w) U^T with the coordinates for V; then
modes (w_j, phi_j = p_j^2) stay apart. The paper's model is s_j = 1, n_j = sigma2.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

from featnorm._validate import Array, array
from featnorm.eigen_flow import TerminalState


def _checked(w0: Array, phi0: Array, signal: Array, noise: Array) -> tuple[Array, Array, Array, Array]:
    w0 = array("w0", w0, (None,))
    phi0, signal, noise = (
        array(name, value, w0.shape) for name, value in (("phi0", phi0), ("signal", signal), ("noise", noise))
    )
    for name, value in (("phi0", phi0), ("signal", signal), ("noise", noise)):
        if not (value > 0).all():
            raise ValueError(f"{name}: must be positive, but the smallest is {value.min(initial=np.inf):.3g}")
    if not (w0 > 0).any():
        raise ValueError("w0: must have a positive entry, or the survivors need not agree")
    return w0, phi0, signal, noise


def aligned_end(w0: Array, phi0: Array, signal: Array, noise: Array) -> TerminalState:
    """Where the leading-order flow of aligned modes ends at rho = 0 (claim ``beyond-anisotropic``).

    With eta_j = s_j / (s_j + n_j) and c_j = phi_j(0) - w_j(0)^2 survivors have w_j = mu eta_j and phi_j = w_j^2 + c_j;
    the others die, and so do those with w_j(0) < 0 and c_j <= 0. The conserved sum of phi fixes mu, which is returned
    as ``w_bar``. All arguments have shape (h,); phi0, signal and noise are positive, some w0 is; ValueError otherwise.

    >>> end = aligned_end(np.ones(2), np.ones(2), np.array([1.0, 3.0]), np.ones(2))
    >>> (end.w / end.w_bar).tolist(), round(float(end.phi.sum()), 12)
    ([0.5, 0.75], 2.0)
    """
    w0, phi0, signal, noise = _checked(w0, phi0, signal, noise)
    eta2, c = (signal / (signal + noise)) ** 2, phi0 - w0**2
    may_live = (w0 > 0) | (c > 0)
    order = np.argsort((-c / eta2)[may_live])  # in this order modes come under water as mu^2 rises
    floor = (-c / eta2)[may_live][order]
    levels = (phi0.sum() - np.cumsum(c[may_live][order])) / np.cumsum(eta2[may_live][order])
    level = float(levels[np.flatnonzero(levels > floor)[-1]])
    phi = np.where(may_live, np.maximum(level * eta2 + c, 0.0), 0.0)
    dead = np.sign(w0) * np.sqrt(np.maximum(-c, 0.0))
    mu = float(np.sqrt(level))
    return TerminalState(np.where(phi > 0, mu * np.sqrt(eta2), dead), phi, mu)


def aligned_velocity(w: Array, phi: Array, signal: Array, noise: Array) -> tuple[Array, Array]:
    """(dw/dt, dphi/dt) of aligned modes under the cosine loss without weight decay, to leading order in 1/h; (h,).

    dw_j/dt = phi_j (s_j - lambda w_j (s_j + n_j)) / (N_v N_u) and dphi_j/dt = 2 w_j dw_j/dt, where N_v^2 and N_u^2 are
    the sums of phi (s + n) and w^2 phi (s + n), and lambda is the sum of w phi s over N_u^2.

    >>> [v.tolist() for v in aligned_velocity(np.ones(2), np.ones(2), np.ones(2), np.ones(2))]   # equal modes rest
    [[0.0, 0.0], [0.0, 0.0]]
    """
    power = signal + noise
    square = w**2 @ (phi * power)
    dw = phi * (signal - (w @ (phi * signal)) / square * w * power) / np.sqrt(square * (phi @ power))
    return dw, 2.0 * w * dw


def aligned_flow(
    w0: Array, phi0: Array, signal: Array, noise: Array, t_end: float, rtol: float = 1e-10
) -> tuple[Array, Array]:
    """(w, phi) at ``t_end`` of `aligned_velocity` from (w0, phi0), each (h,).

    Raises ValueError for what `aligned_end` refuses, RuntimeError if the integration breaks down.

    >>> w, phi = aligned_flow(np.ones(2), np.ones(2), np.ones(2), np.ones(2), 1.0)
    >>> w.tolist()
    [1.0, 1.0]
    """
    w0, phi0, signal, noise = _checked(w0, phi0, signal, noise)

    def slope(_: float, y: Array) -> Array:
        return np.concatenate(aligned_velocity(*np.split(y, 2), signal, noise))

    y0 = np.concatenate([w0, phi0])
    out = solve_ivp(slope, (0.0, t_end), y0, method="LSODA", rtol=rtol, atol=1e-3 * rtol * float(np.abs(y0).max()))
    if not out.success:
        raise RuntimeError(f"the flow could not be integrated: {out.message}")
    w, phi = np.split(out.y[:, -1], 2)
    return w, phi
