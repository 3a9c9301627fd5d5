"""What BuildKit tells of a running build, read from `--progress=rawjson`.

A sequence of JSON objects, one a line or spread over lines as buildx 0.13 writes them, and plain text at the end
of a build that failed. `vertexes` are steps, `logs` are pieces of their output in base64. Only what is shown or needed
for an error is kept, so that memory does not grow with the log.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from builder.image.errors_in_log import FirstErrors

_COUNTER = re.compile(r"^\[(\d+)/(\d+)\]\s+(.*)")
_LINE_LIMIT = 4096
"""Characters of a line that are kept."""
_CONTEXT = 8


@dataclass(frozen=True)
class Position:
    """Where a build stands.

    Attributes:
        step: name of the step that runs.
        done: compilations finished, as ninja counts them; 0 where nothing is counted.
        total: of how many; 0 where nothing is counted.
        doing: what was finished last.
    """

    step: str
    done: int
    total: int
    doing: str


@dataclass(frozen=True)
class LogLine:
    """One line of a step's output."""

    step: str
    text: str


class ProgressReader:
    """Reads rawjson chunk by chunk.

    Holds a bounded amount of text whatever the length of the log: the first telling lines, the last few lines,
    an unfinished line per running step.
    """

    def __init__(self) -> None:
        self._pending = b""
        self._object: list[bytes] = []
        self._names: dict[str, str] = {}
        self._partial: dict[str, str] = {}
        self.position = Position("", 0, 0, "")
        self.errors = FirstErrors()
        self.last: deque[str] = deque(maxlen=_CONTEXT)
        self.failures: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[LogLine]:
        """Take in what arrived; yield the lines of output that it completes."""
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        for line in lines:
            yield from self._line(line)

    def finish(self) -> Iterator[LogLine]:
        """Yield what was left unfinished."""
        pending, self._pending = self._pending, b""
        yield from self._line(pending)
        for vertex in list(self._partial):
            text = self._partial.pop(vertex)
            if text:
                yield self._note(vertex, text)

    def _line(self, line: bytes) -> Iterator[LogLine]:
        if line.startswith(b"{") and self._object:
            yield from self._plain(b"\n".join(self._object))
            self._object.clear()
        if self._object or line.startswith(b"{"):
            self._object.append(line)
            if line.rstrip().endswith(b"}") and (len(self._object) == 1 or line.startswith(b"}")):
                text = b"".join(self._object)
                self._object.clear()
                yield from self._status(text)
        else:
            yield from self._plain(line)

    def _plain(self, text: bytes) -> Iterator[LogLine]:
        """What buildx itself says, such as why it did not start."""
        for line in text.decode(errors="replace").splitlines():
            if line.strip():
                self.last.append(line[:_LINE_LIMIT])
                self.errors.take(line)
                yield LogLine("", line[:_LINE_LIMIT])

    def _status(self, text: bytes) -> Iterator[LogLine]:
        try:
            status: Any = json.loads(text)
        except ValueError:
            yield from self._plain(text)
            return
        for vertex in status.get("vertexes") or ():
            self._vertex(vertex)
        for log in status.get("logs") or ():
            yield from self._log(log)

    def _vertex(self, vertex: dict[str, Any]) -> None:
        digest, name = str(vertex.get("digest")), str(vertex.get("name", ""))
        self._names[digest] = name
        if vertex.get("started") and not vertex.get("completed") and not name.startswith("[internal]"):
            self.position = Position(name, 0, 0, "")
        failure = vertex.get("error")
        if failure and "context canceled" not in failure and failure not in self.failures:
            self.failures.append(str(failure)[:_LINE_LIMIT])

    def _log(self, log: dict[str, Any]) -> Iterator[LogLine]:
        vertex = str(log.get("vertex"))
        try:
            data = base64.b64decode(log.get("data") or "")
        except (binascii.Error, ValueError):
            return
        text = self._partial.pop(vertex, "") + data.decode(errors="replace")
        *lines, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        if rest:
            self._partial[vertex] = rest[-_LINE_LIMIT:]
        for line in lines:
            yield self._note(vertex, line)

    def _note(self, vertex: str, text: str) -> LogLine:
        text = text[:_LINE_LIMIT]
        step = self._names.get(vertex, "")
        if counted := _COUNTER.match(text):
            self.position = Position(step, int(counted[1]), int(counted[2]), counted[3])
        self.last.append(text)
        self.errors.take(text)
        return LogLine(step, text)
