"""Checks of the chapter "Discrete steps"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
