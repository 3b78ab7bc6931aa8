"""Hypothesis explores new examples on a developer's machine; in CI it runs the same ones each time."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
