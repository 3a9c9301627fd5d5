"""One of upstream's test programs in a container: without network and rights, and within limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO

from builder.engine.throwaway import SANDBOX
from builder.gates.correctness.tests_image import Programs
from builder.gates.gate import Scene
from builder.gates.serving.trial import Trial
from builder.plan.marks import FOLDER
from builder.process import CommandTimeout, Completed
from builder.staging import disk_errors

OPERATIONS = "test-backend-ops"
ARCHITECTURES = "test-llama-archs"
_ANSWER = 60.0
"""Seconds for a program that only tells what it can; a cold image is read from disk first."""
_MEMORY = 8 << 30
_SHARE = 0.9
"""Of the machine's memory, where that is less."""
_LONGEST = 64 << 20
"""Bytes of a log; the largest that is known has two."""
_ERRORS = b"\n--- standard error ---\n"
_NAME = re.compile(r"  (?P<name>[A-Z][A-Z0-9_]*)")
PRELOADED = ("--env", f"LD_PRELOAD={FOLDER}/libtest-program.so")
"""Options of `docker run` for ARCHITECTURES, which by itself loads no backend and may end before it has said all."""
_USUAL = re.compile(r"^load_backend: loaded |^\S+ I main: using seed ")
_REFERENCE = "ggml_backend_cpu_set_use_ref"


_OF_SERVER = ("LLAMA_ARG_", "LLAMA_API_KEY")
"""Variables, by the start of their names, that only llama-server hears."""


@dataclass(frozen=True)
class ProgramRun:
    """How a program ended.

    Attributes:
        output: what it printed, its errors not included.
        errors: what it printed as errors; empty where its time was up.
        status: exit status; None where its time was up.
        seconds: time taken.
    """

    output: str
    errors: str
    status: int | None
    seconds: float

    @property
    def last_words(self) -> tuple[str, ...]:
        """The last lines that it printed as errors, but for those that every run has."""
        lines = (line.strip() for line in self.errors.splitlines())
        return tuple(line for line in lines if line and not _USUAL.search(line))[-4:]


@dataclass(frozen=True)
class Abilities:
    """What a `test-backend-ops` takes.

    Attributes:
        many: several operations, set apart by commas.
        parameters: a pattern for the parameters of its cases.
        workers: how many of them are to work.
        listing: the question which operations there are.
    """

    many: bool = False
    parameters: bool = False
    workers: bool = False
    listing: bool = False


@dataclass(frozen=True)
class Bench:
    """Where test programs are run.

    Attributes:
        options: options of `docker run` that hand a container its GPUs and set its variables.
    """

    programs: Programs
    options: tuple[str, ...]
    scene: Scene

    def run(
        self, program: str, words: Sequence[str], log: Path, limit: float, *, options: Sequence[str] = ()
    ) -> ProgramRun:
        """Run a program to its end, or until its time is up.

        Args:
            log: file that gets all it prints.
            limit: seconds.
            options: further options of `docker run`.

        Raises:
            MachineError: no engine answers, or the disk is full.
        """
        started = monotonic()
        errors, status = "", None
        with disk_errors(log.parent), log.open("wb") as stream:
            try:
                done = self._run(program, words, limit, options, _Bounded(stream, _LONGEST).take)
                errors, status = done.stderr, done.returncode
            except CommandTimeout:
                pass
        output = log.read_bytes().decode(errors="replace")
        if errors:
            with disk_errors(log.parent), log.open("ab") as stream:
                stream.write(_ERRORS + errors.encode())
        return ProgramRun(output, errors, status, monotonic() - started)

    def ask(self, program: str, *words: str) -> ProgramRun:
        """Ask a program something that it answers at once.

        Raises:
            MachineError: no engine answers.
        """
        started = monotonic()
        try:
            done = self._run(program, words, _ANSWER)
        except CommandTimeout:
            return ProgramRun("", f"{program} did not answer within {_ANSWER:g} s.", None, _ANSWER)
        return ProgramRun(done.stdout, done.stderr, done.returncode, monotonic() - started)

    def has_reference(self) -> bool | None:
        """Whether `test-backend-ops` asks the CPU's library for its plain way of computing, to compare the CPU with.

        One that does not compares the CPU with itself.

        Returns:
            None where nothing can tell.

        Raises:
            MachineError: no engine answers.
        """
        place = f"{FOLDER}/{OPERATIONS}"
        done = self.ask("grep", "--quiet", "--fixed-strings", "--text", "--", _REFERENCE, place)
        return None if done.status not in (0, 1) else done.status == 0

    def _run(
        self,
        program: str,
        words: Sequence[str],
        limit: float,
        options: Sequence[str] = (),
        take: Callable[[bytes], None] | None = None,
    ) -> Completed:
        engine, run_id = self.scene.engine, self.scene.run_id
        memory = f"{min(_MEMORY, int(engine.info().memory * _SHARE)) >> 20}m"
        limits = ("--pids-limit", "2048", "--ulimit", "core=0", "--memory", memory, "--memory-swap", memory)
        every = (*SANDBOX, *limits, *self.options, *options, "--entrypoint", program)
        return engine.run_once(self.programs.image.id, words, options=every, timeout=limit, run_id=run_id, take=take)


def environment_of(trial: Trial) -> Mapping[str, str]:
    """The variables of a profile that decide what is computed, and so what test programs have to be run with."""
    every = trial.profile.environment.items()
    return {name: value for name, value in every if not name.startswith(_OF_SERVER)}


class _Bounded:
    """Writes the start of a stream, so that a flood fills no disk."""

    def __init__(self, stream: IO[bytes], room: int) -> None:
        self._stream = stream
        self._room = room

    def take(self, chunk: bytes) -> None:
        self._stream.write(chunk[: self._room])
        self._room -= len(chunk[: self._room])


def parse_usage(text: str) -> Abilities | None:
    """What the program takes, by what it prints where it does not understand; None where it prints something else.

    It has no word for help, and says the same to each that it does not know.
    """
    if not text.startswith("Usage: "):
        return None
    return Abilities(
        many=re.search(r"-o <op\S*,\.\.>", text) is not None,
        parameters="-p <" in text,
        workers="-j <n>" in text,
        listing="--list-ops" in text,
    )


def parse_listing(text: str) -> frozenset[str]:
    """The names of all operations, by `--list-ops`."""
    return frozenset(found["name"] for line in text.splitlines() if (found := _NAME.fullmatch(line)))
