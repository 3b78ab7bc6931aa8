"""Checks of the chapter "Relatives of SimSiam on the same model"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
