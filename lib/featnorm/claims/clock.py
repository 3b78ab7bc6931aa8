"""Checks of the chapter "Weight decay is a clock"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
