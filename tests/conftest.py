"""For all tests."""

from __future__ import annotations

import signal

# A shell that starts the tests in the background makes them, and so the programs that they interrupt, ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
