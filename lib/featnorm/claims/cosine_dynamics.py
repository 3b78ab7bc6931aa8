"""Checks of the chapter "Cosine dynamics on the parabola"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
