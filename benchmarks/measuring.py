"""Timing commands against a counted server, and showing what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median

from builder.process import CommandTimeout, Completed, Runner
from tests.integration.git_server import Proxy, Traffic

LIMIT = 60.0
"""Seconds after which a command is ended; what moved until then is counted."""
_HEADS = ("what", "how", "seconds", "spread", "bytes moved", "calls", "on disk")
_WORDS = 2
"""So many columns hold words."""
_SPREAD_FROM = 2


@dataclass(frozen=True)
class Sample:
    """One run of a command.

    Attributes:
        ended: it did not end by itself within the limit.
    """

    seconds: float
    traffic: Traffic
    ended: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the table: a command that was run once or several times.

    Attributes:
        what: what was done.
        how: with which kind of clone, or by which means.
        disk: bytes that its result occupies, where that is the question.
    """

    what: str
    how: str
    samples: tuple[Sample, ...]
    disk: int | None = None

    @property
    def seconds(self) -> float:
        """The median."""
        return median(sample.seconds for sample in self.samples)

    def document(self) -> dict[str, object]:
        """The row as JSON-ready data."""
        return {
            "what": self.what,
            "how": self.how,
            "seconds": [round(sample.seconds, 4) for sample in self.samples],
            "bytes_down": [sample.traffic.down for sample in self.samples],
            "bytes_up": [sample.traffic.up for sample in self.samples],
            "connections": [sample.traffic.connections for sample in self.samples],
            "ended_at_limit": any(sample.ended for sample in self.samples),
            "bytes_on_disk": self.disk,
        }

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        times = [sample.seconds for sample in self.samples]
        late = ">" if any(sample.ended for sample in self.samples) else ""
        spread = f"{min(times):.3f}-{max(times):.3f}" if len(times) >= _SPREAD_FROM else ""
        moved = median(sample.traffic.total for sample in self.samples)
        calls = median(sample.traffic.connections for sample in self.samples)
        disk = "" if self.disk is None else size_text(self.disk)
        return (self.what, self.how, f"{late}{self.seconds:.3f}", spread, size_text(int(moved)), f"{calls:.0f}", disk)


@dataclass
class Bench:
    """Runs commands one at a time and keeps what they cost.

    Attributes:
        environment: added to that of every command.
    """

    proxy: Proxy
    runner: Runner
    environment: Mapping[str, str]
    rows: list[Row] = field(default_factory=list)

    def run(self, command: Sequence[str], *, stdin: bytes | None = None, cwd: Path | None = None) -> Completed:
        """Run a command that is not measured.

        Raises:
            RuntimeError: it failed.
        """
        return checked(self.runner.run(command, stdin=stdin, env=self.environment, cwd=cwd, timeout=10 * LIMIT))

    def sample(
        self, command: Sequence[str], *, stdin: bytes | None = None, cwd: Path | None = None, limit: float = LIMIT
    ) -> tuple[Sample, Completed | None]:
        """Run a command and measure it.

        Raises:
            RuntimeError: it failed.
        """
        before = self.proxy.moved()
        try:
            done = checked(self.runner.run(command, stdin=stdin, env=self.environment, cwd=cwd, timeout=limit))
        except CommandTimeout:
            return Sample(limit, self.proxy.moved() - before, ended=True), None
        return Sample(done.seconds, self.proxy.moved() - before), done

    def add(self, what: str, how: str, samples: Sequence[Sample], disk: int | None = None) -> Row:
        """Keep a row."""
        row = Row(what, how, tuple(samples), disk)
        self.rows.append(row)
        return row


def checked(done: Completed) -> Completed:
    """Refuse a command that failed."""
    if done.returncode:
        raise RuntimeError(f"{' '.join(done.args)[:300]}: status {done.returncode}\n{done.stderr[-2000:]}")
    return done


def disk_usage(folder: Path) -> int:
    """Bytes of all files in it."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())


def size_text(count: int) -> str:
    """Bytes as a person reads them."""
    for unit, size in (("MB", 1_000_000), ("kB", 1_000)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def table(rows: Sequence[Row]) -> str:
    """All rows below their heads; words to the left, numbers to the right."""
    lines = [_HEADS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADS))]
    return "".join(f"{_aligned(line, widths)}\n" for line in lines)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = zip(line, widths, strict=True)
    words = [cell.ljust(width) for cell, width in islice(cells, _WORDS)]
    return "  ".join([*words, *(cell.rjust(width) for cell, width in cells)]).rstrip()
