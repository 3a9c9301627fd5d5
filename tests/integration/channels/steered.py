"""A program that is stopped wherever a test wants it, and ended or let go on from there."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PATIENCE = 180.0
"""Seconds for a run of the program on a slow machine."""


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        status: exit status; negative for a signal.
        counts: events before it went on with a promotion, and since; none where it was killed.
    """

    status: int
    stdout: str
    stderr: str
    counts: Mapping[str, int]


@dataclass
class Steered:
    """Runs of the program, one at a time.

    Attributes:
        process: makes the runs.
        folder: where it writes what they say.
        last: process ID of the run that was started last.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    last: int = 0
    _said: bytearray = field(default_factory=bytearray)

    def start(
        self, words: Sequence[str], folder: Path, env: Mapping[str, str], stop: Mapping[str, object] | None = None
    ) -> Run:
        """Start a run.

        Args:
            folder: where it is started.
            stop: where it is stopped, as the driver takes it.
        """
        files = {name: self.folder / name for name in ("stdout", "stderr", "counts")}
        files["counts"].unlink(missing_ok=True)
        order = {"words": list(words), "folder": str(folder), "env": dict(env), "stop": dict(stop or {})}
        order |= {name: str(file) for name, file in files.items()}
        assert self.process.stdin
        self.process.stdin.write(f"{json.dumps(order)}\n".encode())
        self.process.stdin.flush()
        self.last = int(self.hear()["pid"])
        return Run(self, self.last)

    def hear(self) -> dict[str, Any]:
        """What the driver says next."""
        assert self.process.stdout
        while b"\n" not in self._said:
            ready, _, _ = select.select([self.process.stdout], [], [], _PATIENCE)
            assert ready, "the driver says nothing"
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            assert piece, "the driver is gone"
            self._said += piece
        line, _, rest = bytes(self._said).partition(b"\n")
        self._said = bytearray(rest)
        said: dict[str, Any] = json.loads(line)
        if "status" in said:
            self.last = 0
        return said


@dataclass
class Run:
    """One run of the program.

    Attributes:
        ended: how it ended; None while it runs.
    """

    steered: Steered
    pid: int
    ended: Ended | None = None

    def stops(self) -> bool:
        """Wait until it stops, or ends; whether it stopped."""
        said = self.steered.hear()
        if "stopped" in said:
            return True
        text = {
            name: (self.steered.folder / name).read_text(encoding="utf-8", errors="replace")
            for name in ("stdout", "stderr")
        }
        self.ended = Ended(int(said["status"]), text["stdout"], text["stderr"], said["counts"] or {})
        return False

    def end(self) -> Ended:
        """Wait for its end, without another stop."""
        while not self.ended:
            assert not self.stops(), "it stopped, and was to go on"
        return self.ended

    def go_on(self) -> None:
        """Let it go on from where it stopped."""
        os.kill(self.pid, signal.SIGCONT)

    def tell(self, signum: signal.Signals) -> None:
        """Send it a signal, and let it go on if it is stopped."""
        for one in (signum, signal.SIGCONT):
            with suppress(ProcessLookupError):
                os.kill(self.pid, one)

    def kill(self, *, with_all: bool = False) -> tuple[str, ...]:
        """Kill it.

        Args:
            with_all: what it started too.

        Returns:
            What it was doing by other programs.
        """
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGSTOP)
        children = tuple(_descendants(self.pid))
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        for pid, _ in children if with_all else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while not self.ended:
            self.stops()
        return tuple(words for _, words in children)


@contextmanager
def steered(folder: Path) -> Iterator[Steered]:
    """A driver that lives as long as the context."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.integration.channels.steered_driver"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        driver = Steered(process, folder)
        try:
            assert driver.hear() == {"ready": True}
            yield driver
        finally:
            process.kill()
            with suppress(ProcessLookupError):
                os.kill(driver.last or process.pid, signal.SIGKILL)


def _descendants(pid: int) -> Iterator[tuple[int, str]]:
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace").split("\0")
            yield int(child), " ".join(word for word in words[1:4] if not word.startswith("-"))
            yield from _descendants(int(child))
