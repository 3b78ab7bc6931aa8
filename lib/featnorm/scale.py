"""How much work a check or a chapter does: ``smoke`` (tests), ``book`` (the default) or ``full``.

The environment variable ``FEATNORM_SCALE`` chooses; everything that depends on it says so by taking a `Scale`.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Scale(StrEnum):
    """The three sizes of the book.

    >>> Scale("smoke").pick(smoke=1, book=10, full=100)
    1
    """

    SMOKE = "smoke"
    BOOK = "book"
    FULL = "full"

    def pick(self, smoke: T, book: T, full: T) -> T:
        """The value for this scale."""
        return {Scale.SMOKE: smoke, Scale.BOOK: book, Scale.FULL: full}[self]


def current() -> Scale:
    """The scale set in the environment variable ``FEATNORM_SCALE``; ``book`` when it is not set.

    Raises ValueError for any other word.

    >>> current() in set(Scale)
    True
    """
    word = os.environ.get("FEATNORM_SCALE", Scale.BOOK)
    if word not in set(Scale):
        raise ValueError(f"FEATNORM_SCALE = {word!r}: must be one of {', '.join(Scale)}")
    return Scale(word)
