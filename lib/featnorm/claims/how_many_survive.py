"""Checks of the chapter "How many modes survive"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
