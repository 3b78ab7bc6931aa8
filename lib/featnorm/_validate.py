"""Rules for arguments: each returns its value or raises a ValueError that names argument, value and rule."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def _is_real(value: Any) -> bool:
    try:
        return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond the floating-point range
        return False


def positive_int(name: str, value: Any) -> int:
    """A whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} = {value!r}: must be a whole number >= 1")
    return int(value)


def natural(name: str, value: Any) -> int:
    """A whole number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 0:
        raise ValueError(f"{name} = {value!r}: must be a whole number >= 0")
    return int(value)


def nonnegative(name: str, value: Any) -> float:
    """A finite number of at least 0."""
    if not _is_real(value) or value < 0:
        raise ValueError(f"{name} = {value!r}: must be a finite number >= 0")
    return float(value)


def positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    if not _is_real(value) or value <= 0:
        raise ValueError(f"{name} = {value!r}: must be a finite number > 0")
    return float(value)


def between(low: float, high: float) -> Callable[[str, Any], float]:
    """The rule for a number of the closed interval [low, high]."""

    def rule(name: str, value: Any) -> float:
        if not _is_real(value) or not low <= value <= high:
            raise ValueError(f"{name} = {value!r}: must be a number from {low:g} to {high:g}")
        return float(value)

    return rule


def one_of(*words: str) -> Callable[[str, Any], str]:
    """The rule for one of the given words."""

    def rule(name: str, value: Any) -> str:
        if value not in words:
            raise ValueError(f"{name} = {value!r}: must be one of {', '.join(words)}")
        return str(value)

    return rule


def array(name: str, value: ArrayLike, shape: tuple[int | None, ...] | None) -> Array:
    """A finite float64 array of the given shape; None stands for any length, or for any shape."""
    try:
        raw = np.asarray(value)
        plain = raw.dtype.kind in "biuf"
        # None becomes NaN, which is refused below; complex numbers, text and dates would be converted silently
        if not plain and not (raw.dtype == object and all(v is None or isinstance(v, numbers.Real) for v in raw.flat)):
            raise TypeError(f"it holds {raw.dtype}")
        out = np.asarray(raw, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name}: must be an array of real numbers ({error})") from error
    if shape is not None and (len(shape) != out.ndim or any(n not in (None, m) for n, m in zip(shape, out.shape))):
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ValueError(f"{name}: has shape {out.shape}, must have shape {wanted}")
    if not np.isfinite(out).all():
        raise ValueError(f"{name}: has {np.count_nonzero(~np.isfinite(out))} entries that are not finite numbers")
    return out


def symmetric(name: str, value: ArrayLike, h: int | None = None) -> Array:
    """A finite symmetric h x h array, up to rounding."""
    out = square(name, array(name, value, (h, h)))
    gap = float(np.abs(out - out.T).max())
    if gap > 1e-12 * float(np.abs(out).max()):
        raise ValueError(f"{name}: must be symmetric, but differs from its transpose by {gap:.3g}")
    return out


def square(name: str, value: ArrayLike) -> Array:
    """A finite h x h array, h >= 1."""
    out = array(name, value, (None, None))
    if out.shape[0] != out.shape[1] or not out.size:
        raise ValueError(f"{name}: has shape {out.shape}, must be square, with at least one row")
    return out


def weights(W: ArrayLike, Phi: ArrayLike) -> tuple[Array, Array]:
    """W (h, h) and Phi (h, d), both finite, with h and d at least 1."""
    W = square("W", W)
    Phi = array("Phi", Phi, (len(W), None))
    if not Phi.size:
        raise ValueError(f"Phi: has shape {Phi.shape}, must have at least one column")
    return W, Phi


def sample(W: ArrayLike, Phi: ArrayLike, x: ArrayLike, x1: ArrayLike) -> tuple[Array, Array, Array, Array]:
    """A state as in `weights` and a sample of at least one pair of views: x and x1 of the same shape (n, d)."""
    W, Phi = weights(W, Phi)
    x = array("x", x, (None, Phi.shape[1]))
    if not len(x):
        raise ValueError("x: has no rows, so there is no sample")
    return W, Phi, x, array("x1", x1, x.shape)


def in_range(names: str, *results: Any) -> None:
    """Refuse the named arguments where a result left the floating-point range."""
    if not all(np.isfinite(result).all() for result in results):
        raise ValueError(f"{names}: too large or too small, since a result leaves the floating-point range")
