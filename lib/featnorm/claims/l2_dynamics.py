"""Checks of the chapter "L2 cannot escape"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
