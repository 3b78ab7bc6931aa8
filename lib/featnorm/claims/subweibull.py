"""Checks of the chapter "Sub-Weibull variables"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
