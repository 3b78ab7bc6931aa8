"""Checks of the chapter "Lemma 4 and its error"."""

from __future__ import annotations

from featnorm.claims.model import Check

CHECKS: dict[str, Check] = {}
