"""Words for numbers in the text of a chapter."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def span(values: ArrayLike, form: str) -> str:
    """Least and largest of the values, in the format ``form``; one number where both read the same.

    >>> span([0.304, 0.25, 0.31], ".2f"), span([0.301, 0.3], ".2f")
    ('0.25 to 0.31', '0.30')
    """
    low, high = (format(value, form) for value in (np.min(values), np.max(values)))
    return low if low == high else f"{low} to {high}"
