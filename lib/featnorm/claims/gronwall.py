"""Checks of the chapter "Gronwall, and how norms really move"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
