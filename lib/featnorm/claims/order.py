"""Checks of the chapter "Which order are the dynamics?"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
