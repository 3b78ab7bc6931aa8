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


def array(name: str, value: ArrayLike, shape: tuple[int | None, ...]) -> Array:
    """A finite float64 array of the given shape; None stands for any length."""
    try:
        if np.asarray(value).dtype.kind in "cSU":  # NumPy would drop imaginary parts and read text as numbers
            raise TypeError("it holds complex numbers or text")
        out = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: must be an array of real numbers ({error})") from error
    wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
    if out.ndim != len(shape) or any(n is not None and n != m for n, m in zip(shape, out.shape)):
        raise ValueError(f"{name}: has shape {out.shape}, must have shape {wanted}")
    if not np.isfinite(out).all():
        raise ValueError(f"{name}: has {np.count_nonzero(~np.isfinite(out))} entries that are not finite numbers")
    return out


def symmetric(name: str, value: ArrayLike, h: int | None = None) -> Array:
    """A finite symmetric h x h array, up to rounding."""
    out = array(name, value, (h, h))
    if out.shape[0] != out.shape[1]:
        raise ValueError(f"{name}: has shape {out.shape}, must be square")
    gap = float(np.abs(out - out.T).max())
    if gap > 1e-12 * float(np.abs(out).max()):
        raise ValueError(f"{name}: must be symmetric, but differs from its transpose by {gap:.3g}")
    return out
