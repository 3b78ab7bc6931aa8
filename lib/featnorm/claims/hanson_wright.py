"""Checks of the chapter "Hanson-Wright and the concentration of feature norms"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
