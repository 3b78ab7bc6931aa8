"""Growth of norms: the Grönwall-Bellman inequality with a certified checker, and the bounds and laws built on it.

Theorem 1 and Lemmas 10 to 16 of the paper, Appendices A.2 and A.3. The lemmas bound sizes that weight decay shrinks,
and carry the decay as growth, exp(+2 rho t). Beside them stand the laws that the flow obeys, with exp(-2 rho t).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from flint import arb, arb_series
from numpy.typing import ArrayLike
from scipy.special import lambertw

from featnorm._validate import Array, array, nonnegative, positive, positive_int

Verdict = Literal["certified", "refuted", "undecided"]

#: A function of time in ball arithmetic. It is called with an `arb` and with an `arb_series` of length 2, which carries
#: the derivative; formulas such as ``1 + t * t`` or ``(0.5 * t).exp()`` take both. A constant may return an `arb`.
Ball = Callable[[Any], Any]


@dataclass(frozen=True)
class Gronwall:
    """What `verify` found on [0, T], each part ``certified``, ``refuted`` or ``undecided``.

    beta_nonnegative, alpha_nondecreasing: the two assumptions.  hypothesis: u <= alpha + int beta u.
    conclusion: u <= alpha exp(int beta).  cells: into how many cells [0, T] was cut in the end.

    >>> Gronwall("certified", "certified", "undecided", "certified", cells=64).premise
    'undecided'
    """

    beta_nonnegative: Verdict
    alpha_nondecreasing: Verdict
    hypothesis: Verdict
    conclusion: Verdict
    cells: int

    @property
    def premise(self) -> Verdict:
        """The two assumptions and the hypothesis together."""
        parts = {self.beta_nonnegative, self.alpha_nondecreasing, self.hypothesis}
        return next((v for v in ("refuted", "undecided") if v in parts), "certified")


def verify(u: Ball, alpha: Ball, beta: Ball, T: float, exponent: float = 1.0, max_cells: int = 4096) -> Gronwall:
    """Theorem 1 for one triple of functions on [0, T]: are its assumptions, hypothesis and conclusion true?

    Every verdict rests on ball arithmetic (python-flint), which encloses the values, derivatives and integrals of the
    functions over whole cells, rounding included. ``certified`` means true at every t of [0, T]; ``refuted`` means
    false at some grid point; ``undecided`` that an equality, or a gap too small for ``max_cells`` cells, is in the way.

    Parameters
    ----------
    u, alpha, beta: functions of t built from operations that `flint.arb` and `flint.arb_series` share.
    T: end of the interval, > 0.
    exponent: what multiplies the integral in the conclusion; the theorem has 1.
    max_cells: the grid starts with 64 cells and is halved up to this many, at least 64.

    Raises ValueError for a bad T, exponent or max_cells, and where a function does not take or return balls.

    >>> verify(lambda t: t.exp(), lambda t: arb(1.1), lambda t: arb(1), T=2.0)
    Gronwall(beta_nonnegative='certified', alpha_nondecreasing='certified', hypothesis='certified', \
conclusion='certified', cells=64)
    >>> verify(lambda t: t.exp(), lambda t: arb(1.1), lambda t: arb(1), T=2.0, exponent=0.5).conclusion
    'refuted'
    >>> verify(lambda t: t.exp(), lambda t: arb(1), lambda t: arb(1), T=2.0, max_cells=64).hypothesis   # an equality
    'undecided'
    """
    positive("T", T)
    nonnegative("exponent", exponent)
    if positive_int("max_cells", max_cells) < 64:
        raise ValueError(f"max_cells = {max_cells!r}: must be at least 64")
    cells = 64
    while True:
        found = _verify_on(u, alpha, beta, T, exponent, cells)
        if "undecided" not in (found.hypothesis, found.conclusion, found.premise) or 2 * cells > max_cells:
            return found
        cells *= 2


def _jet(name: str, f: Ball, t: arb, slope: bool) -> tuple[arb, arb]:
    """Enclosures of f and, where ``slope``, of its derivative over the ball t."""
    try:
        out = f(arb_series([t, 1], 2) if slope else t)
        # A constant function may return a plain number; its derivative is zero.
        return (out[0], out[1]) if isinstance(out, arb_series) else (arb(out), arb(0))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{name}: must map a ball (flint.arb, flint.arb_series) to a ball ({error})") from error


class _Order:
    """Is upper - lower >= 0? Fed cell by cell with its value at the left end and its slope over the cell."""

    def __init__(self) -> None:
        self.everywhere, self.broken = True, False

    def add(self, left: arb, slope: arb, step: arb) -> None:
        self.everywhere &= bool((left + step * slope).lower() >= 0)
        self.broken |= bool(left.upper() < 0)

    def verdict(self) -> Verdict:
        return "refuted" if self.broken else "certified" if self.everywhere else "undecided"


def _verify_on(u: Ball, alpha: Ball, beta: Ball, T: float, exponent: float, cells: int) -> Gronwall:
    named = {"u": u, "alpha": alpha, "beta": beta}
    width = arb(T) / cells
    within = arb(0).union(width)  # how far a point of a cell lies from its left end
    # Integrals of beta u and of beta from 0 to the left end of the cell.
    fed, grown = arb(0), arb(0)
    sign, rise, hypothesis, conclusion = _Order(), _Order(), _Order(), _Order()
    for i in range(cells + 1):
        left = width * i
        a = {name: _jet(name, f, left, False)[0] for name, f in named.items()}
        bound = a["alpha"] * (exponent * grown).exp()
        if i == cells:  # the right end of [0, T], a point and no cell
            for order, gap in (
                (sign, a["beta"]),
                (hypothesis, a["alpha"] + fed - a["u"]),
                (conclusion, bound - a["u"]),
            ):
                order.add(gap, arb(0), arb(0))
            break
        over = {name: _jet(name, f, left + within, True) for name, f in named.items()}
        (u_in, du), (alpha_in, dalpha), (beta_in, dbeta) = over["u"], over["alpha"], over["beta"]
        sign.add(a["beta"], dbeta, within)
        rise.add(width * dalpha, arb(0), arb(0))
        hypothesis.add(a["alpha"] + fed - a["u"], dalpha + beta_in * u_in - du, within)
        growth = (exponent * (grown + within * beta_in)).exp()
        conclusion.add(bound - a["u"], (dalpha + exponent * alpha_in * beta_in) * growth - du, within)
        middle = left + width / 2
        beta_mid = _jet("beta", beta, middle, False)[0]
        grown += _midpoint(beta_mid, dbeta, width)
        fed += _midpoint(beta_mid * _jet("u", u, middle, False)[0], dbeta * u_in + beta_in * du, width)
    return Gronwall(sign.verdict(), rise.verdict(), hypothesis.verdict(), conclusion.verdict(), cells)


def _midpoint(middle: arb, slope: arb, width: arb) -> arb:
    """Integral of a function over a cell from its value in the middle and an enclosure of its derivative.

    The middle of the enclosure contributes nothing by symmetry; what is left is at most its radius times width^2 / 4.
    """
    error = slope.rad() * width * width / 4
    return width * middle + (-error).union(error)


# --- The lemmas ------------------------------------------------------------------------------------------------------


def _arguments(t: ArrayLike, rho: float, **sizes: float) -> Array:
    t = array("t", t, None)
    if (t < 0).any():
        raise ValueError(f"t: must have no negative entry, but the smallest is {t.min():.3g}")
    nonnegative("rho", rho)
    for name, value in sizes.items():
        nonnegative(name, value)
    return t


def growth_bound(start: float, speed: float, t: ArrayLike, rho: float) -> Array:
    """Lemmas 10 to 13: (start + speed t) exp(2 rho t), what Theorem 1 makes of Eq. 12.

    ``start`` is the norm at t = 0. ``speed`` bounds what the loss adds to it in a unit of time: C for ||F||_F and
    ||Phi^T Phi||_F, 2 for ||W W^T|| in either norm, C ||x0|| for ||Phi^T Phi x0||. Times t of any shape, >= 0.
    Raises ValueError for a negative argument.

    >>> growth_bound(1.0, 2.0, [0.0, 1.0], rho=0.0).tolist()
    [1.0, 3.0]
    """
    t = _arguments(t, rho, start=start, speed=speed)
    return (start + speed * t) * np.exp(2.0 * rho * t)


def product_growth_bound(start: float, head: float, speed: float, t: ArrayLike, rho: float, c: float = 4.0) -> Array:
    """Lemmas 14 to 16: {start + (c / rho)(head + speed t) exp(2 rho t)} exp(4 rho t), for rho > 0.

    ``start`` is the norm at t = 0. Lemmas 14 and 15: head = ||F(0)||_F + ||W W^T(0)||_F, speed = 1. Lemma 16: head =
    ||W W^T(0)|| ||x0|| + ||Phi^T Phi(0) x0||, speed = ||x0||. The default c is what the proof gives if the constants of
    Eq. 11, 14 and 15 are 1. Raises ValueError for a negative argument and for rho = 0.

    >>> product_growth_bound(1.0, 2.0, 1.0, [0.0], rho=0.5).tolist()
    [17.0]
    """
    t = _arguments(t, positive("rho", rho), start=start, head=head, speed=speed, c=c)
    return (start + c / rho * (head + speed * t) * np.exp(2.0 * rho * t)) * np.exp(4.0 * rho * t)


# --- The laws --------------------------------------------------------------------------------------------------------


def decay_bound(start: float, speed: float, t: ArrayLike, rho: float) -> Array:
    """Variation of constants: exp(-2 rho t) start + speed (1 - exp(-2 rho t)) / (2 rho) solves y' = speed - 2 rho y.

    With start = ||W W^T(0)|| and speed = 2 it bounds ||W W^T(t)||, as Lemma 12 does, but with the decay kept as decay.
    Arguments as for `growth_bound`.

    >>> decay_bound(1.0, 2.0, [0.0, 1.0], rho=0.0).tolist()
    [1.0, 3.0]
    """
    t = _arguments(t, rho, start=start, speed=speed)
    return start * np.exp(-2.0 * rho * t) - speed * (np.expm1(-2.0 * rho * t) / (2.0 * rho) if rho > 0 else -t)


def product_decay_bound(start: float, head: float, speed: float, t: ArrayLike, rho: float, c: float = 4.0) -> Array:
    """exp(-4 rho t) {start + c s (head + speed s)} at the clock s = (exp(2 rho t) - 1) / (2 rho): decay kept as decay.

    What the proofs of Lemmas 14 to 16 give without decay, carried to rho by the clock. Unlike `product_growth_bound` it
    exists at rho = 0 too, where s = t. Other arguments as there.

    >>> product_decay_bound(1.0, 2.0, 1.0, [0.0, 1.0], rho=0.0).tolist()
    [1.0, 13.0]
    """
    t = _arguments(t, rho, start=start, head=head, speed=speed, c=c)
    decayed, moved = np.exp(-2.0 * rho * t), decay_bound(0.0, 1.0, t, rho)  # the second is exp(-2 rho t) s
    return decayed**2 * start + c * moved * (decayed * head + speed * moved)


def law_bound(norm_Phi: float, norm_W: float, t: ArrayLike, rho: float) -> tuple[Array, Array]:
    """What the norm law alone says of ||F||_F (and ||Phi^T Phi||_F) and of ||Psi Psi^T||_F.

    From ||Phi(t)||_F = exp(-rho t) ||Phi(0)||_F and the same for W (claim ``beyond-norm-law``): at most
    exp(-2 rho t) ||Phi(0)||_F^2 and exp(-4 rho t) ||W(0)||_F^2 ||Phi(0)||_F^2. Arguments as for `growth_bound`.

    >>> [float(part[0]) for part in law_bound(2.0, 3.0, [0.0], rho=0.1)]
    [4.0, 36.0]
    """
    t = _arguments(t, rho, norm_Phi=norm_Phi, norm_W=norm_W)
    decayed = np.exp(-2.0 * rho * t)
    return decayed * norm_Phi**2, decayed**2 * (norm_W * norm_Phi) ** 2


def window(limit: ArrayLike, rho: float) -> Array:
    """The time t at which t exp(2 rho t) reaches ``limit`` >= 0: how far the bounds of Lemmas 10 and 11 stay below it.

    Remark 1 asks for a limit that is small compared with a power of h. Raises ValueError for a negative argument.

    >>> bool(abs(window(3.0, 0.5) * np.exp(window(3.0, 0.5)) - 3.0) < 1e-12), float(window(3.0, 0.0))
    (True, 3.0)
    """
    limit = array("limit", limit, None)
    if (limit < 0).any():
        raise ValueError(f"limit: must have no negative entry, but the smallest is {limit.min():.3g}")
    return lambertw(2.0 * rho * limit).real / (2.0 * rho) if nonnegative("rho", rho) > 0 else limit
