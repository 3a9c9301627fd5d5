"""The one way to run another program.

Commands are lists, never shell strings. Each is recorded as one line that can be pasted into a shell, so
that whatever was done can be repeated by hand. Output is bytes that need not be UTF-8. A command runs in a
process group of its own, which is ended as a whole when time is up or the caller is interrupted.
"""

from __future__ import annotations

import logging
import os
import re
import selectors
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import IO

from builder.errors import MachineError
from builder.secrets import without_secrets

_CREDENTIALS = re.compile(r"(?<=://)(?!/)(?:[^/?#\s]*[:@]\S*|\S*[^/\s])@(?!sha256:)")
"""Up to the last `@`, for a password may hold any character. What has no `:` or `@` before its first slash and `@` only
at the start of a later part, such as `https://registry.npmjs.org/@scope`, holds none; nor does an image's digest."""
_QUERY = re.compile(r"(://[^\s?'\"]+)\?[^\s#'\"]+")
_GRACE = 10.0


@dataclass(frozen=True)
class Completed:
    """What a finished command left behind; output decoded with replacement characters.

    Attributes:
        raw: standard output as it came.
    """

    args: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float
    raw: bytes = field(default=b"", repr=False)


class CommandTimeout(MachineError):
    """A command did not end within its time limit and was ended."""


def without_credentials(text: str) -> str:
    """The text with the user part and the query of every URL left out: either may hold a token.

    Where it is not clear what belongs to a password, rather too much is left out.
    """
    return _QUERY.sub(r"\1", _CREDENTIALS.sub("", text))


def credentials_in(url: str) -> str:
    """What `without_credentials` takes for the user part of a URL, `@` included; empty where it has none."""
    found = _CREDENTIALS.search(url)
    return found[0] if found else ""


def as_shell_line(args: Sequence[str]) -> str:
    """The command as one line for a shell, without the credentials of URLs, variables and options."""
    return without_credentials(shlex.join(without_secrets(args)))


class Runner:
    """Runs commands and records each of them.

    Where the first cannot be recorded it is not run: MachineError. Where a later one cannot, as on a disk that became
    full, what is under way goes on without a record.

    Args:
        record: file that gets one line per command; None records nothing.
        say: called with each line as it is recorded.
        warn: told once where commands are not recorded any more.
        grace: seconds between SIGTERM and SIGKILL for a command that has to go.
    """

    def __init__(
        self,
        record: Path | None = None,
        say: Callable[[str], None] | None = None,
        warn: Callable[[str], None] | None = None,
        *,
        grace: float = _GRACE,
    ) -> None:
        self._record = record
        self._say = say
        self._warn = warn
        self._grace = grace
        self._has_recorded = False

    def run(
        self,
        args: Sequence[str],
        *,
        timeout: float | None = None,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Completed:
        """Run to the end and collect the output.

        Args:
            timeout: seconds.
            env: added to the environment of this process.
            pass_fds: open files that the program keeps open, such as a lock that it is to hold. Where it fails, what
                is left of its process group is told to end, for that would keep them open.

        Raises:
            MachineError: the program is not installed.
            CommandTimeout: it did not end in time; its process group is gone.
        """
        started = monotonic()
        process = self._start(args, stdin=stdin is not None, env=env, cwd=cwd, pass_fds=pass_fds)
        try:
            out, err = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            self._end_group(process)
            raise _timed_out(args, timeout) from None
        except BaseException:
            self._end_group(process)
            raise
        if process.returncode and pass_fds:
            _signal_group(process, signal.SIGTERM)
        return Completed(
            tuple(args),
            process.returncode,
            out.decode(errors="replace"),
            err.decode(errors="replace"),
            monotonic() - started,
            out,
        )

    def stream(
        self,
        args: Sequence[str],
        on_stdout: Callable[[bytes], None],
        on_stderr: Callable[[bytes], None],
        *,
        on_idle: Callable[[], None] | None = None,
        on_abort: Callable[[], None] | None = None,
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> int:
        """Run to the end, handing over output as it comes, in chunks of no particular shape.

        Args:
            on_idle: called a few times a second, output or not.
            on_abort: ends what the command started outside its process group, such as a container; called before
                the group is ended because time is up or the caller is interrupted.
            timeout: seconds.

        Returns:
            The exit status; negative for a signal.

        Raises:
            MachineError: the program is not installed.
            CommandTimeout: it did not end in time; its process group is gone.
        """
        process = self._start(args, stdin=False, env=env, cwd=cwd)
        assert process.stdout is not None
        assert process.stderr is not None
        deadline = None if timeout is None else monotonic() + timeout
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ, on_stdout)
                selector.register(process.stderr, selectors.EVENT_READ, on_stderr)
                while selector.get_map():
                    for key, _ in selector.select(0.2):
                        chunk = os.read(key.fd, 1 << 16)
                        if chunk:
                            key.data(chunk)
                        else:
                            selector.unregister(key.fileobj)
                    if on_idle:
                        on_idle()
                    if deadline is not None and monotonic() > deadline:
                        raise _timed_out(args, timeout)
            return process.wait(None if deadline is None else max(0.1, deadline - monotonic()))
        except subprocess.TimeoutExpired:
            raise _timed_out(args, timeout) from None
        finally:
            if process.poll() is None:
                self._abort(process, on_abort)
            process.stdout.close()
            process.stderr.close()

    def detach(
        self, args: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program that outlives this one, in a session of its own.

        Args:
            log: file to which its output is appended.
            env: added to the environment of this process.

        Raises:
            MachineError: the program is not installed.
        """
        with log.open("ab") as output:
            return self._start(args, stdin=False, env=env, cwd=None, output=output)

    def _abort(self, process: subprocess.Popen[bytes], on_abort: Callable[[], None] | None) -> None:
        try:
            if on_abort:
                # Nobody reads any more, and an engine ends no container whose output waits for its reader.
                _close_streams(process)
                on_abort()
        finally:
            self._end_group(process)

    def _end_group(self, process: subprocess.Popen[bytes]) -> None:
        _signal_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(self._grace)
        _signal_group(process, signal.SIGKILL)
        process.wait()
        _close_streams(process)

    def record_commands_of(self, library: str) -> None:
        """Record also the commands that a library runs by itself and logs as `Running command: ...`."""
        logger = logging.getLogger(library)
        logger.addHandler(_CommandHandler(self._note))
        logger.setLevel(logging.DEBUG)
        logger.propagate = False

    def _note(self, line: str) -> None:
        if self._say:
            self._say(f"$ {line}")
        if self._record:
            self._keep(self._record, line)

    def _keep(self, record: Path, line: str) -> None:
        try:
            _append(record, f"{line}\n".encode())
        except OSError as error:
            why = f"The record of commands {record} cannot be written: {error.strerror}."
            if not self._has_recorded:
                raise MachineError(why, "Free some space, or set BUILDER_CACHE to a folder elsewhere.") from error
            self._record = None
            if self._warn:
                self._warn(f"{why} The commands from here on are missing in it.")
        self._has_recorded = True

    def _start(
        self,
        args: Sequence[str],
        *,
        stdin: bool,
        env: Mapping[str, str] | None,
        cwd: Path | None,
        output: IO[bytes] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        self._note(as_shell_line(args))
        try:
            return subprocess.Popen(
                list(args),
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=output or subprocess.PIPE,
                stderr=output or subprocess.PIPE,
                env=None if env is None else {**os.environ, **env},
                cwd=cwd,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        except FileNotFoundError as error:
            if cwd is not None and not cwd.exists():
                raise MachineError(f"The folder {cwd} is not there.", "Make it, or name another.") from error
            raise MachineError(f"The program `{args[0]}` is not installed.", "Run `builder setup`.") from error
        except PermissionError as error:
            raise MachineError(f"The program `{args[0]}` may not be executed.", "Check its permissions.") from error


class _CommandHandler(logging.Handler):
    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(logging.DEBUG)
        self._notes = note

    def emit(self, record: logging.LogRecord) -> None:
        _, found, command = record.getMessage().partition("Running command: ")
        if found:
            self._notes(without_credentials(" ".join(without_secrets(command.split(" ")))))


def _append(file: Path, content: bytes) -> None:
    """Add to a file as a whole or not at all: half a command may mean something else.

    Raises:
        OSError: the disk is full, or may not be written to.
    """
    with file.open("ab", buffering=0) as stream:
        end = stream.tell()
        written = 0
        try:
            while written < len(content):
                written += stream.write(content[written:])
        except OSError:
            if written:
                stream.truncate(end)
            raise


def _timed_out(args: Sequence[str], timeout: float | None) -> CommandTimeout:
    return CommandTimeout(
        f"`{as_shell_line(args)[:200]}` did not end within {timeout:g} s and was stopped.",
        "Run it by hand to see what it waits for.",
    )


def _close_streams(process: subprocess.Popen[bytes]) -> None:
    streams: tuple[IO[bytes] | None, ...] = (process.stdin, process.stdout, process.stderr)
    for stream in streams:
        if stream:
            with suppress(OSError):
                stream.close()


def _signal_group(process: subprocess.Popen[bytes], signum: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signum)
