"""What all tests share.

Hypothesis explores new examples on a developer's machine; in CI it runs the same ones each time. A shell that starts
the tests in the background has Ctrl-C ignored, which the tests of Ctrl-C and their child processes would inherit.
"""

import os
import signal

from hypothesis import settings

signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
