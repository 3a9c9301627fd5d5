"""Exit statuses of what runs in a container, and what they mean.

A signal's status is 128 and its number.
"""

from __future__ import annotations

from collections.abc import Mapping

NOT_STARTED = 125
"""The engine's client speaks: no container was started."""
NOT_EXECUTABLE = 126
MISSING = 127
"""There is no such program, or a library that it needs is missing."""
KILLED = 137

WORDS: Mapping[int, str] = {
    0: "ended by itself as if it had been asked to (status 0)",
    1: "gave up with an error of its own (status 1)",
    MISSING: "could not start for want of a program or a library (status 127)",
    132: "used an instruction that this machine's processor does not have (status 132)",
    134: "aborted (status 134)",
    135: "died of a bus error (status 135)",
    KILLED: "was killed (status 137)",
    139: "crashed (status 139: a segmentation fault, or an abort, which ends in one in a container)",
    143: "was ended by SIGTERM (status 143)",
}
"""How a program ended, as the predicate of a sentence."""
