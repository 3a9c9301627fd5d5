"""Containers that answer one question and are gone afterwards, however that ends.

Each carries the run that started it as labels. What a run that was killed left behind is thereby found by the
next one and removed.
"""

from __future__ import annotations

import os
import platform
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep

from builder.process import CommandTimeout, Completed, Runner
from builder.secrets import may_be_secret

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


class RunEnded(BaseException):
    """The run was ended from another thread.

    Not an Exception: nothing but clean-up and who ended the run may catch it.
    """


class Throwaway:
    """Runs containers that nothing is left of.

    Args:
        client: the words that every command to the engine starts with.
        clean_up: seconds for the engine to remove a container, each time that it is tried.
    """

    def __init__(self, runner: Runner, client: Sequence[str], *, clean_up: float = _CLEAN_UP) -> None:
        self._runner = runner
        self._clean_up = clean_up
        self._client = client
        self._ended = threading.Event()
        self._held: set[str] = set()

    def end_all(self) -> None:
        """Remove all containers that are held now, and let none start any more.

        Threads that use one, or want one from now on, get RunEnded.
        """
        self._ended.set()
        if held := tuple(self._held):
            # What holds them removes each by itself too, and tries more than once.
            with suppress(CommandTimeout):
                self._runner.run([*self._client, "rm", "--force", "--volumes", *held], timeout=self._clean_up)

    def run(
        self,
        image: str,
        words: Sequence[str],
        *,
        options: Sequence[str],
        timeout: float,
        run_id: str,
        take: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Run a container to its end; it is gone when this returns or raises.

        Args:
            take: gets its standard output as it comes, all of it, of which nothing is kept then.

        Raises:
            CommandTimeout: it did not end in time.
            MachineError: there is no client.
        """
        out, err = BoundedOutput(), BoundedOutput()
        started = monotonic()
        with self._named() as name:
            shown, hidden = without_values(options)
            command = (
                *(*self._client, "run", "--rm", "--pull", "never", "--name", name),
                *(*_labels(run_id), *shown, "--", image, *words),
            )
            removal = _Removal(self._runner, self._client, name, self._clean_up)
            try:
                status = self._runner.stream(
                    *(command, take or out.take, err.take),
                    on_idle=self._go_on,
                    on_abort=removal,
                    timeout=timeout,
                    env=hidden,
                )
            except BaseException:
                removal.make_sure()
                raise
        self._go_on()
        return Completed(command, status, out.text, err.text, monotonic() - started)

    def export(self, image: str, take: Callable[[bytes], None], *, timeout: float, run_id: str) -> Completed:
        """Hand over an image's file system as a tar stream, from a container that never runs and is gone afterwards.

        Args:
            take: called with each piece of the stream; what it raises ends the export.

        Returns:
            How it ended, with nothing of the stream.

        Raises:
            CommandTimeout: it did not end in time.
            MachineError: there is no client.
        """
        started = monotonic()
        made = None
        with self._named() as name:
            removal = _Removal(self._runner, self._client, name, self._clean_up)
            create = (*self._client, "create", "--pull", "never", "--name", name)
            try:
                # The word after the image is never run; an image without a command makes no container without one.
                made = self._runner.run([*create, *_labels(run_id), *SANDBOX, "--", image, "/"], timeout=timeout)
                if made.returncode:
                    return made
                err = BoundedOutput()
                command = (*self._client, "export", name)
                left = max(1.0, timeout - (monotonic() - started))
                status = self._runner.stream(command, take, err.take, on_idle=self._go_on, timeout=left)
                return Completed(command, status, "", err.text, monotonic() - started)
            finally:
                if made is None or not made.returncode:
                    removal()
                    removal.make_sure()

    @contextmanager
    def hold(
        self, image: str, words: Sequence[str], *, options: Sequence[str], timeout: float, run_id: str
    ) -> Iterator[tuple[str, Completed]]:
        """A container that runs in the background while the context lasts, whether it ends by itself or not.

        Args:
            timeout: seconds for the engine to start it.

        Yields:
            Its name, and what the engine said when it was asked to start it.

        Raises:
            CommandTimeout: the engine did not answer in time.
            MachineError: there is no client.
        """
        with self._named() as name:
            shown, hidden = without_values(options)
            command = (
                *(*self._client, "run", "--detach", "--pull", "never", "--name", name),
                *(*_labels(run_id), *shown, "--", image, *words),
            )
            removal = _Removal(self._runner, self._client, name, self._clean_up)
            try:
                started = self._runner.run(command, timeout=timeout, env=hidden)
                self._go_on()
                yield name, started
                self._go_on()
            finally:
                removal()
                removal.make_sure()

    @contextmanager
    def _named(self) -> Iterator[str]:
        name = f"builder-{os.urandom(6).hex()}"
        self._held.add(name)
        try:
            self._go_on()
            yield name
        finally:
            self._held.discard(name)

    def _go_on(self) -> None:
        if self._ended.is_set():
            raise RunEnded

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
        removed = self._runner.run([*self._client, "rm", "--force", "--volumes", *abandoned], timeout=_CLEAN_UP)
        return tuple(removed.stdout.split())


def without_values(options: Sequence[str]) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Options of `docker run` that name variables which may be secret without their values, and these by name.

    Everybody on the machine sees a command's words; what its environment holds only who may see it anyway. Docker takes
    from there what `--env NAME` names.
    """
    shown, hidden, before = list[str](), dict[str, str](), ""
    for word in options:
        name, equals, value = word.partition("=")
        if before == "--env" and equals and may_be_secret(name):
            hidden[name] = value
            shown.append(name)
        else:
            shown.append(word)
        before = word
    return tuple(shown), hidden


def _labels(run_id: str) -> tuple[str, ...]:
    return ("--label", f"{RUN}={run_id}", "--label", f"{MACHINE}={this_machine()}")


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

    def __init__(self, runner: Runner, client: Sequence[str], name: str, limit: float) -> None:
        self._runner = runner
        self._limit = limit
        self._command = [*client, "rm", "--force", "--volumes", name]
        self._name = name
        self._done = False

    def __call__(self) -> None:
        """Ask the engine to remove it; that it takes too long is no error, for it would hide why the container goes."""
        with suppress(CommandTimeout):
            removed = self._runner.run(self._command, timeout=self._limit)
            self._done = self._done or self._name in removed.stdout

    def make_sure(self) -> None:
        """Try again while the engine is slow, or may still be making a container whose client is gone."""
        for _ in range(3):
            if self._done:
                return
            sleep(0.3)
            self()
