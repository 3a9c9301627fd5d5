"""llama-server in a container of ours: on loopback only, without rights, with limits, and gone afterwards.

The file system is read-only but for a small `/tmp`; the model is mounted read-only. What the server logs goes to a
file as it comes.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Self

from builder.engine.client import Engine
from builder.errors import MachineError
from builder.process import CommandTimeout, Completed, Runner
from builder.server.access import Access
from builder.server.address import Address
from builder.server.startup import Ending

PORT = 8080
"""Where the server listens in its container, which it shares with nobody."""
MODELS = "/models"
"""Where it sees its model."""
_FENCE = (
    "--read-only",
    *("--tmpfs", "/tmp:rw,nosuid,nodev,size=256m"),  # noqa: S108
    *("--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges"),
    *("--pids-limit", "2048"),
    *("--ulimit", "core=0"),
    *("--log-driver", "json-file", "--log-opt", "max-size=256m", "--log-opt", "max-file=2"),
    "--no-healthcheck",
    *("--publish", f"127.0.0.1::{PORT}"),
)
_SHARD = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})\.gguf")
_GOING = frozenset({"removing", "dead"})
"""What the engine says of a container that somebody removes: its process was killed for that."""
_LOG_END = 10.0
"""Seconds for the last lines of a server that has ended to arrive."""
_KIBI = 1024


@dataclass(frozen=True)
class ServerState:
    """What the engine says of a server's process.

    Attributes:
        status: exit status where it does not run; 128 and the signal's number where a signal ended it.
        out_of_memory: it was killed because its container reached the memory limit.
    """

    running: bool
    status: int
    out_of_memory: bool


@dataclass(frozen=True)
class Stopped:
    """What came of asking a server to end.

    Attributes:
        seconds: from the signal to its end, or to when nobody waited any longer.
        state: how it ended; it still runs where it did not end in time.
    """

    seconds: float
    state: ServerState


class ServerNotStarted(Exception):
    """The engine did not start the container.

    Attributes:
        ending: the status and what the engine said.
    """

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.output)
        self.ending = ending


@dataclass(frozen=True)
class Serving:
    """What is to be served, and how.

    Attributes:
        image: ID of an image whose entry point is llama-server.
        words: arguments of llama-server; it is to listen on PORT at every address, and finds its model under MODELS.
        model: the model's file on this machine; the further files of a model in parts are taken along.
        memory: limit of the container, such as `512m`; empty sets none.
        options: further options of `docker run`, such as those that hand it a GPU or set its variables.
        access: what the server wants to be shown by those who ask it.
    """

    image: str
    words: tuple[str, ...]
    model: Path
    memory: str = ""
    options: tuple[str, ...] = ()
    access: Access = field(default_factory=Access)


class RunningServer:
    """A server that was started; it may have ended since.

    Attributes:
        name: of its container.
        address: where it is asked; None where it ended before it was published.
        began: when the engine was asked to start it, on the monotonic clock.
    """

    def __init__(self, engine: Engine, runner: Runner, name: str, began: float, key: str = "") -> None:
        self._engine = engine
        self._runner = runner
        self.name = name
        self.began = began
        self.address = self._published(key)

    def state(self) -> ServerState:
        """Whether it runs, and how it ended.

        Raises:
            MachineError: somebody removed the container, or is about to.
        """
        done = self._engine.ask("container", "inspect", "--format", "{{json .State}}", self.name)
        facts: Mapping[str, Any] = {} if done.returncode else json.loads(done.stdout)
        if not facts or (not facts["Running"] and facts.get("Status") in _GOING):
            raise MachineError(f"The container {self.name} is gone.", "Let nothing else remove it, and try again.")
        return ServerState(bool(facts["Running"]), int(facts["ExitCode"]), bool(facts.get("OOMKilled")))

    def processes(self) -> Mapping[int, int]:
        """Bytes that each of its processes holds, by process ID on the engine's machine; none where nobody can tell."""
        done = self._engine.ask("top", self.name, "-eo", "pid,rss")
        rows = re.findall(r"^ *(\d+) +(\d+)$", done.stdout, re.MULTILINE) if not done.returncode else []
        return {int(pid): int(held) * _KIBI for pid, held in rows}

    def execute(self, words: Sequence[str], limit: float) -> Completed:
        """Run a program beside it in its container, as the same user.

        Args:
            limit: seconds.

        Raises:
            CommandTimeout: it did not end in time.
            MachineError: no engine answers.
        """
        return self._engine.ask("exec", self.name, *words, timeout=limit)

    def stop(self, limit: float) -> Stopped:
        """Ask it to end by SIGTERM, and see whether it does.

        Args:
            limit: seconds that it has.
        """
        started = monotonic()
        self._engine.ask("kill", "--signal", "TERM", self.name)
        with suppress(CommandTimeout):
            self._runner.run([*self._engine.command, "wait", self.name], timeout=limit)
        seconds = monotonic() - started
        return Stopped(seconds, self.state())

    def _published(self, key: str) -> Address | None:
        done = self._engine.ask("port", self.name, f"{PORT}/tcp")
        first = next(iter(done.stdout.split()), "")
        return None if done.returncode or not first else Address(f"http://{first}", key)


@contextmanager
def serve(
    what: Serving, engine: Engine, runner: Runner, *, log: Path, run_id: str | None = None
) -> Iterator[RunningServer]:
    """A server that runs while the context lasts; its container is gone afterwards, however that ends.

    Args:
        log: file that gets all the server says.
        run_id: the run it is done for, which the container is labelled with.

    Raises:
        ServerNotStarted: the engine refused, or found no such program.
        CommandTimeout: the engine did not start it in time.
        MachineError: no engine answers.
    """
    limit = ("--memory", what.memory, "--memory-swap", what.memory) if what.memory else ()
    options = (*_FENCE, *limit, *mounts(what.model), *_shown(what.access.files), *what.options)
    began = monotonic()
    with (
        _Follower(engine, runner, log) as follower,
        engine.hold(what.image, what.words, options=options, run_id=run_id) as (name, started),
    ):
        if started.returncode:
            raise ServerNotStarted(Ending(started.returncode, started.stdout + started.stderr))
        follower.start(name)
        yield RunningServer(engine, runner, name, began, what.access.key)


def model_in_container(model: Path) -> str:
    """The path under which the server finds its model."""
    return f"{MODELS}/{model.name}"


def mounts(model: Path) -> tuple[str, ...]:
    """Options of `docker run` that show a container a model, all its parts, and nothing else of this machine."""
    return tuple(word for part in _parts(model) for word in _mount(part.absolute(), model_in_container(part)))


def _shown(files: Sequence[Path]) -> tuple[str, ...]:
    """Options that show it files where they are on this machine."""
    return tuple(word for file in files for word in _mount(file, str(file)))


def _mount(source: Path, target: str) -> tuple[str, str]:
    return "--mount", _as_csv(("type=bind", f"source={source}", f"target={target}", "readonly"))


def _parts(model: Path) -> tuple[Path, ...]:
    if not (found := _SHARD.fullmatch(model.name)):
        return (model,)
    count = found["count"]
    return tuple(model.with_name(f"{found['stem']}-{number:05}-of-{count}.gguf") for number in range(1, int(count) + 1))


def _as_csv(fields: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


class _Follower:
    """Writes what a container says to a file, until the container has ended."""

    def __init__(self, engine: Engine, runner: Runner, log: Path) -> None:
        self._engine = engine
        self._runner = runner
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    def start(self, name: str) -> None:
        command = [*self._engine.command, "logs", "--follow", name]
        self._process = self._runner.detach(command, self._log)

    def wait(self) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(_LOG_END)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if self._process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
