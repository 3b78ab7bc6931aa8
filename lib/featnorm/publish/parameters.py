"""Validated parameters for the chapters.

papermill only prints a line when it is given a name that a chapter does not have, and goes on with the defaults. So a
chapter checks its parameters itself, in the cell after the one tagged ``parameters``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, MutableMapping
from types import ModuleType, SimpleNamespace
from typing import Any

from featnorm._validate import between, natural, nonnegative, one_of, positive, positive_int

__all__ = ["between", "checked", "natural", "nonnegative", "one_of", "positive", "positive_int"]

Rule = Callable[[str, Any], Any]

# IPython's history. Its other public names (get_ipython, open, exit, quit) are functions, which a parameter never is.
_IPYTHON = {"In", "Out"}
_CHECKED = "_featnorm_parameters_checked"


def checked(namespace: MutableMapping[str, Any], **rules: Rule) -> SimpleNamespace:
    """The chapter's parameters, each passed through its rule.

    The parameters cell is the first of a chapter, so at the first call every plain value in ``namespace`` (the
    chapter's ``globals()``) is a parameter; one without a rule is a misspelt name that papermill injected. Later calls
    in the same kernel, when a reader runs a cell again, do not look for such names, since the chapter has made its own.

    Parameters
    ----------
    namespace: the chapter's ``globals()``; it receives one private name that records the call.
    rules: for every parameter a function ``rule(name, value)`` that returns the value to use or raises ValueError.

    Raises
    ------
    ValueError: a parameter is unknown, is not set in the parameters cell, or is refused by its rule.

    Examples
    --------
    >>> p = checked({"h": 8, "rho": 0.02}, h=positive_int, rho=nonnegative)
    >>> p.h, p.rho
    (8, 0.02)
    >>> checked({"h": 8, "rho": 0.02, "roh": 0.1}, h=positive_int, rho=nonnegative)
    Traceback (most recent call last):
        ...
    ValueError: unknown parameter 'roh' (did you mean 'rho'?); the parameters are h = 8, rho = 0.02
    """
    valid = "the parameters are " + ", ".join(f"{name} = {namespace.get(name, 'not set')!r}" for name in rules)
    if _CHECKED not in namespace:
        for name, value in namespace.items():
            if name in rules or name in _IPYTHON or name.startswith("_") or isinstance(value, ModuleType):
                continue
            if callable(value):  # imported functions, this one among them
                continue
            close = difflib.get_close_matches(name, rules, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ValueError(f"unknown parameter {name!r}{hint}; {valid}")
    values = {}
    for name, rule in rules.items():
        if name not in namespace:
            raise ValueError(f"parameter {name!r} is not set in the parameters cell; {valid}")
        try:
            values[name] = rule(name, namespace[name])
        except ValueError as error:
            raise ValueError(f"{error}; {valid}") from error
    namespace[_CHECKED] = True
    return SimpleNamespace(**values)
