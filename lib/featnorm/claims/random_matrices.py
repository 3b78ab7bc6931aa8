"""Checks of the chapter "Random matrices at initialisation"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
