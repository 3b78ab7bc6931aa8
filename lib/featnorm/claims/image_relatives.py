"""Checks of the chapter "SimSiam on digits"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
