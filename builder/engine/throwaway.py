"""Containers that answer one question and are gone afterwards, however that ends.

Each carries the run that started it as labels. What a run that was killed left behind is thereby found by the
next one and removed.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep

from builder.process import Completed, Runner

RUN = "local.builder.run"
"""Label: the run that started the container, `<time in UTC>-<process id>`."""
MACHINE = "local.builder.machine"
"""Label: where that process id means something; an engine may serve several machines."""
SANDBOX = (
    *("--network", "none"),
    "--read-only",
    *("--tmpfs", "/tmp"),  # noqa: S108
    *("--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges"),
    *("--pids-limit", "512"),
    *("--memory", "2g"),
    *("--log-driver", "none"),
    "--no-healthcheck",
)
"""Options of `docker run` for a program that is not trusted and only prints."""

_KEPT_OUTPUT = 1 << 20
"""Bytes that are kept of each of the two outputs, from their start."""
_CLEAN_UP = 30.0
"""Seconds for the engine to remove a container."""
_RUN_ID = re.compile(r"\d{8}T\d{6}-(\d{1,7})")
_LISTED = f'{{{{.ID}}}}\t{{{{.CreatedAt}}}}\t{{{{.Label "{RUN}"}}}}'


@dataclass(frozen=True)
class Leftover:
    """A container of a run.

    Attributes:
        created: when it was made, in UTC.
        run: the run that made it.
    """

    container: str
    created: datetime
    run: str


class Throwaway:
    """Runs containers that nothing is left of.

    Args:
        client: the words that every command to the engine starts with.
    """

    def __init__(self, runner: Runner, client: Sequence[str]) -> None:
        self._runner = runner
        self._client = client

    def run(
        self, image: str, words: Sequence[str], *, options: Sequence[str], timeout: float, run_id: str
    ) -> Completed:
        """Run a container to its end; it is gone when this returns or raises.

        Raises:
            CommandTimeout: it did not end in time.
            MachineError: there is no client.
        """
        name = f"builder-{os.urandom(6).hex()}"
        labels = ("--label", f"{RUN}={run_id}", "--label", f"{MACHINE}={this_machine()}")
        command = (
            *(*self._client, "run", "--rm", "--pull", "never", "--name", name),
            *(*labels, *options, "--", image, *words),
        )
        removal = _Removal(self._runner, self._client, name)
        out, err = BoundedOutput(), BoundedOutput()
        started = monotonic()
        try:
            status = self._runner.stream(command, out.take, err.take, on_abort=removal, timeout=timeout)
        except BaseException:
            removal.make_sure()
            raise
        return Completed(command, status, out.text, err.text, monotonic() - started)

    def sweep(self, older_than: timedelta) -> tuple[str, ...]:
        """Remove what runs of this machine left behind whose process is gone.

        Returns:
            IDs of the containers that were removed.
        """
        mine = ("--filter", f"label={RUN}", "--filter", f"label={MACHINE}={this_machine()}")
        listed = self._runner.run(
            [*self._client, "ps", "--all", "--no-trunc", *mine, "--format", _LISTED], timeout=_CLEAN_UP
        )
        abandoned = [found.container for found in parse_leftovers(listed.stdout) if is_abandoned(found, older_than)]
        if not abandoned:
            return ()
        removed = self._runner.run([*self._client, "rm", "--force", *abandoned], timeout=_CLEAN_UP)
        return tuple(removed.stdout.split())


def this_run() -> str:
    """The ID of a run that began now, in this process."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"


def this_machine() -> str:
    """What tells apart the places in which a process ID means something: hosts, and containers on them."""
    with suppress(OSError):
        return f"{platform.node()}-{Path('/proc/self/ns/pid').stat().st_ino}"
    return platform.node()


def parse_leftovers(listing: str) -> Iterator[Leftover]:
    """Read ID, time and run in the lines of `docker ps`; lines of another shape are passed over."""
    for line in listing.splitlines():
        container, _, rest = line.partition("\t")
        created, _, run = rest.partition("\t")
        with suppress(ValueError):
            moment = datetime.strptime(" ".join(created.split()[:3]), "%Y-%m-%d %H:%M:%S %z")
            yield Leftover(container, moment, run)


def is_abandoned(found: Leftover, older_than: timedelta) -> bool:
    """Whether a container is older than that and the process that it was made for is gone."""
    owner = _RUN_ID.fullmatch(found.run)
    if owner is None or datetime.now(UTC) - found.created < older_than:
        return False
    return not _runs_us(int(owner[1]))


def _runs_us(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
    return b"builder" in words or b"python" in words


class BoundedOutput:
    """The start of what a program writes; the rest is read and dropped, so that a flood costs no memory."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def take(self, chunk: bytes) -> None:
        self._bytes += chunk[: max(0, _KEPT_OUTPUT - len(self._bytes))]

    @property
    def text(self) -> str:
        return self._bytes.decode(errors="replace")


class _Removal:
    """Removes one container, whatever state it is in."""

    def __init__(self, runner: Runner, client: Sequence[str], name: str) -> None:
        self._runner = runner
        self._command = [*client, "rm", "--force", name]
        self._name = name
        self._done = False

    def __call__(self) -> None:
        removed = self._runner.run(self._command, timeout=_CLEAN_UP)
        self._done = self._done or self._name in removed.stdout

    def make_sure(self) -> None:
        """Try again while the engine may still be making a container whose client is gone."""
        for _ in range(3):
            if self._done:
                return
            sleep(0.3)
            self()
