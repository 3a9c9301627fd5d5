"""Ask a llama-server for its version, without letting it do anything else.

An image is asked in a container without network, without rights, on a read-only file system, with limits on
memory, processes and time; nothing of it is left afterwards. A running container is asked by a second
process inside it, which ends itself when the time is up.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import BinaryIO

from builder.engine.client import Engine
from builder.engine.gpu import access_flags
from builder.engine.statuses import NOT_EXECUTABLE
from builder.engine.throwaway import SANDBOX, BoundedOutput
from builder.errors import MachineError
from builder.process import CommandTimeout, Runner
from builder.server.startup import Driver, Ending, StartFailure, explain, gpus_refused, is_program_missing
from builder.server.subject import BinarySubject, ContainerSubject, ImageSubject
from builder.server.version import BinaryVersion, find_version

GPUS_AUTO = "auto"
GPUS_NONE = "none"

_TEXT_LIMIT = 32 << 20
"""Bytes of text that are read from standard input."""
_SERVERS = ("llama-server", "server", "llama")
_PLACES = (
    "llama-server",
    "/app/llama-server",
    "/usr/local/bin/llama-server",
    "/llama-server",
    "/app/build/bin/llama-server",
    "/server",
    "/app/server",
    "llama",
    "/app/llama",
)
"""Where images keep it: on PATH, upstream's own images, then names of the past and of the unified binary."""


@dataclass(frozen=True)
class Answer:
    """What asking brought: a version or the reason why there is none.

    Attributes:
        version: what the binary says.
        failure: why it says nothing.
        status: with which the program ended that said it.
        image: ID of the image that was asked.
        notes: what a person should know about how it was asked.
        seconds: time taken.
    """

    version: BinaryVersion | None = None
    failure: StartFailure | None = None
    status: int = 0
    image: str | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def read_text(stream: BinaryIO) -> Answer:
    """The version in output that was caught elsewhere."""
    started = monotonic()
    content = stream.read(_TEXT_LIMIT + 1)
    if len(content) > _TEXT_LIMIT:
        failure = StartFailure(
            f"The text is longer than {_TEXT_LIMIT >> 20} MiB.", "Give only the part with the version line."
        )
        return Answer(failure=failure, seconds=monotonic() - started)
    version = find_version(content.decode(errors="replace"))
    failure = StartFailure("There is no version line in the text.", "Give the output of `llama-server --version`.")
    return Answer(version, None if version else failure, seconds=monotonic() - started)


class Prober:
    """Asks subjects for their version.

    Args:
        runner: runs the programs.
        engine: where images and containers are.
        run_id: what this run's containers are labelled with, so that they can be found and removed.
        timeout: seconds for one program to answer.
        gpus: `none`, `all`, device numbers such as `0,1`, or `auto`: none unless the program cannot start without.
    """

    def __init__(self, runner: Runner, engine: Engine, *, run_id: str, timeout: float, gpus: str = GPUS_AUTO) -> None:
        self._runner = runner
        self._engine = engine
        self._run_id = run_id
        self._timeout = timeout
        self._gpus = gpus

    def ask(self, subject: ImageSubject | ContainerSubject | BinarySubject) -> Answer:
        """Ask a subject.

        Raises:
            MachineError: no engine answers.
        """
        started = monotonic()
        if isinstance(subject, ImageSubject):
            answer = self._ask_image(subject.reference)
        elif isinstance(subject, ContainerSubject):
            answer = self._ask_container(subject.name)
        else:
            answer = self._ask_binary(subject.path)
        return replace(answer, seconds=monotonic() - started)

    def _ask_binary(self, path: Path) -> Answer:
        if path.is_dir():
            return Answer(failure=StartFailure(f"{path} is a folder.", "Name the llama-server in it."))
        if not path.is_file():
            return Answer(failure=StartFailure(f"There is no file {path}.", "Name a llama-server that exists."))
        try:
            return _read(self._run([str(path.absolute()), *_question(path.name)]), Driver.ON_THIS_MACHINE)
        except _Silence as silence:
            return Answer(failure=silence.failure)
        except (MachineError, OSError) as error:
            return _read(Ending(NOT_EXECUTABLE, _refusal(error, path)), Driver.ON_THIS_MACHINE)

    def _ask_image(self, reference: str) -> Answer:
        image = self._engine.image(reference)
        if image is None:
            return Answer(failure=_no_image(reference))
        try:
            return replace(self._try_image(image.id, image.entrypoint), image=image.id)
        except _Silence as silence:
            return Answer(failure=silence.failure, image=image.id)

    def _try_image(self, image: str, entrypoint: Sequence[str]) -> Answer:
        asked = self._run_image if self._gpus in (GPUS_AUTO, GPUS_NONE) else self._run_image_with_gpus
        for program in _programs(entrypoint):
            ending = asked(image, program)
            if is_program_missing(ending):
                continue
            answer = _read(ending, Driver.WITHHELD if asked == self._run_image else Driver.HANDED)
            if self._gpus == GPUS_AUTO and answer.failure and answer.failure.wants_driver:
                return self._retry_with_gpus(image, program, answer)
            return answer
        return Answer(failure=_no_server("image"))

    def _retry_with_gpus(self, image: str, program: str, without: Answer) -> Answer:
        answer = _read(self._run_image_with_gpus(image, program), Driver.HANDED)
        note = "It links the NVIDIA driver's library and was therefore asked with this machine's GPUs."
        return replace(answer, notes=(note, *answer.notes)) if answer.version else without

    def _run_image_with_gpus(self, image: str, program: str) -> Ending:
        devices = () if self._gpus in (GPUS_AUTO, "all") else tuple(self._gpus.split(","))
        ending = self._run_image(image, program, access_flags("cdi", devices))
        return self._run_image(image, program, access_flags("runtime", devices)) if gpus_refused(ending) else ending

    def _run_image(self, image: str, program: str, gpus: Sequence[str] = ()) -> Ending:
        options = (*SANDBOX, *gpus, "--entrypoint", program)
        words = _question(program)
        try:
            done = self._engine.run_once(image, words, options=options, timeout=self._timeout, run_id=self._run_id)
        except CommandTimeout as error:
            raise _Silence(_silent_for(self._timeout)) from error
        return Ending(done.returncode, done.stdout + done.stderr)

    def _ask_container(self, name: str) -> Answer:
        described = self._engine.ask("container", "inspect", name)
        if described.returncode:
            failure = StartFailure(f"There is no container {name}.", "See `docker ps --all`.")
            return Answer(failure=failure)
        facts = json.loads(described.stdout)[0]
        state, image = facts["State"], facts["Image"]
        if not state.get("Running") or state.get("Paused"):
            answer = self._ask_image(image)
            note = f"The container is not running ({state.get('Status')}): a fresh one of its image was asked."
            return replace(answer, image=image, notes=(note, *answer.notes))
        try:
            return replace(self._try_container(name, [facts.get("Path") or "", *facts.get("Args", ())]), image=image)
        except _Silence as silence:
            return Answer(failure=silence.failure, image=image)

    def _try_container(self, name: str, running: Sequence[str]) -> Answer:
        limited: tuple[str, ...] = ("timeout", "-s", "KILL", f"{self._timeout:.0f}")
        for program in _programs(running):
            ending = self._exec(name, [*limited, program, *_question(program)])
            if 'exec: "timeout"' in ending.output:
                limited = ()
                ending = self._exec(name, [program, *_question(program)])
            if not is_program_missing(ending):
                return _read(ending, Driver.HANDED)
        return Answer(failure=_no_server("container"))

    def _exec(self, name: str, words: Sequence[str]) -> Ending:
        started = monotonic()
        ending = self._run([*self._engine.command, "exec", name, *words], grace=5.0)
        if monotonic() - started >= self._timeout and not find_version(ending.output):
            raise _Silence(_silent_for(self._timeout))
        return ending

    def _run(self, command: Sequence[str], *, grace: float = 0.0) -> Ending:
        output = BoundedOutput()
        try:
            status = self._runner.stream(command, output.take, output.take, timeout=self._timeout + grace)
        except CommandTimeout as error:
            raise _Silence(_silent_for(self._timeout)) from error
        return Ending(status if status >= 0 else 128 - status, output.text)


class _Silence(Exception):
    """A program did not answer in time."""

    def __init__(self, failure: StartFailure) -> None:
        super().__init__(failure.cause)
        self.failure = failure


def _programs(entrypoint: Sequence[str]) -> Iterator[str]:
    own = next((word for word in entrypoint if PurePosixPath(word).name in _SERVERS), None)
    yield from dict.fromkeys((own, *_PLACES) if own else _PLACES)


def _question(program: str) -> tuple[str, ...]:
    return ("version",) if PurePosixPath(program).name == "llama" else ("--version",)


def _read(ending: Ending, driver: Driver) -> Answer:
    version = find_version(ending.output)
    if version is None:
        return Answer(failure=explain(ending, os.uname().machine, driver))
    notes = (f"It ended with status {ending.status} after it had said so.",) if ending.status else ()
    return Answer(version, status=ending.status, notes=notes)


def _refusal(error: Exception, path: Path) -> str:
    origin = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(origin, FileNotFoundError):
        return f"exec {path.absolute()}: no such file or directory"
    return f'exec: "{path}": {(getattr(origin, "strerror", None) or str(error)).lower()}'


def _no_image(reference: str) -> StartFailure:
    remedies = [f"fetch it with `docker pull {reference}`", "make one with `builder build`"]
    first, second = remedies if "/" in reference else reversed(remedies)
    return StartFailure(f"The engine has no image {reference}.", f"{first.capitalize()}, or {second}.")


def _no_server(kind: str) -> StartFailure:
    return StartFailure(
        f"The {kind} has no llama-server: looked at its entry point, on PATH, in /app and in /usr/local/bin.",
        "Name an image that serves llama.cpp.",
    )


def _silent_for(seconds: float) -> StartFailure:
    return StartFailure(
        f"It printed no version within {seconds:g} s and was stopped.", "Ask again with a longer `--timeout`."
    )
