"""Checks of the chapter "Frozen norms, moving norms"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
