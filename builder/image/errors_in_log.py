"""The lines of a build's output that say why it failed: the first ones, not the last."""

from __future__ import annotations

import re
from pathlib import Path

_TELLING = re.compile(
    r"\berror\s*:|\bfatal( error)?\s*:|: undefined reference|cannot find -l|CMake Error|ninja: error|^E: "
    r"|No space left on device|\bKilled\b|internal compiler error",
    re.IGNORECASE,
)
_NOISE = re.compile(r"\bwarning:|^\s*\d+ \||^ERROR: failed to solve")
_LIMIT = 8
_WIDTH = 400
_MESSAGE = 4
"""Indented lines after CMake's header that are its message."""


class FirstErrors:
    """Collects the first telling lines of an output, each once."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._indented = 0

    @property
    def lines(self) -> tuple[str, ...]:
        """What was collected, in order."""
        return tuple(self._lines)

    def take(self, line: str) -> None:
        """Look at one line."""
        told = line.strip()[:_WIDTH]
        if self._indented and (not told or line[:1] == " "):
            self._indented -= bool(told)
        elif _TELLING.search(line) and not _NOISE.search(line):
            self._indented = _MESSAGE if "CMake Error" in line else 0
        else:
            self._indented = 0
            return
        if told and told not in self._lines and len(self._lines) < _LIMIT:
            self._lines.append(told)


def first_errors(log: Path) -> tuple[str, ...]:
    """The first telling lines of a log file of any size."""
    found = FirstErrors()
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            found.take(line)
    return found.lines
