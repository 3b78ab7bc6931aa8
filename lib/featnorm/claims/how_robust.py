"""Checks of the chapter "How robust"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
