"""Checks of the chapter "The linear experiment"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
