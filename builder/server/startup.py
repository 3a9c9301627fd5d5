"""Why a llama-server does not start, in words that a person can act on."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from builder.engine.statuses import KILLED, MISSING, NOT_EXECUTABLE, NOT_STARTED, WORDS
from builder.server.version import plain_lines

_EXCERPT = 300
"""Characters of foreign output that are quoted."""
_DRIVER_LIBRARY = re.compile(r"lib(?:cuda|nvidia-[\w-]+|nvcuvid)\.so")
_ENGINE_PREFIX = "docker: Error response from daemon: "
_HINT = "Run 'docker run --help' for more information"


@dataclass(frozen=True)
class Ending:
    """How a program ended.

    Attributes:
        status: its exit status; 128 and the signal's number where a signal ended it.
        output: all it wrote, and what the engine wrote about it.
    """

    status: int
    output: str


@dataclass(frozen=True)
class StartFailure:
    """Why a program says nothing.

    Attributes:
        cause: one sentence.
        remedy: one sentence.
        excerpt: the line of its output that shows the cause; empty where it wrote none.
        library: the shared library that is missing.
    """

    cause: str
    remedy: str
    excerpt: str = ""
    library: str | None = None

    @property
    def wants_driver(self) -> bool:
        """Whether it would start where the NVIDIA driver's libraries are."""
        return self.library is not None and bool(_DRIVER_LIBRARY.match(self.library))

    @property
    def sentences(self) -> tuple[str, ...]:
        """Cause, evidence and remedy."""
        stop = "" if self.excerpt.endswith((".", "!", "?")) else "."
        evidence = (f"It says: {self.excerpt}{stop}",) if self.excerpt else ()
        return (self.cause, *evidence, self.remedy)


class Driver(Enum):
    """Whether the program could find the NVIDIA driver's libraries."""

    WITHHELD = "no GPU was handed to the container"
    HANDED = "a GPU was handed to the container"
    ON_THIS_MACHINE = "the program ran outside of containers"


Explanation = Callable[[re.Match[str]], tuple[str, str]]

_PROGRAM_MISSING = re.compile(
    r'exec: "(?!timeout)[^"]*": executable file not found'
    r'|exec: "(?!timeout)[^"]*": stat [^:]*: no such file or directory'
    r"|executable file `[^`]*` not found"
    r"|timeout: (?:failed to run command|can't execute|exec) .*No such file or directory"
)
_GPUS_REFUSED = re.compile(
    r"could not select device driver|unresolvable CDI devices|nvidia.com/gpu=\S+ is not an absolute path"
)
_REBUILD = "Build the image anew, or take another one."


def is_program_missing(ending: Ending) -> bool:
    """Whether the container has no such program, as against one that does not start."""
    return ending.status != 0 and bool(_PROGRAM_MISSING.search(ending.output))


def gpus_refused(ending: Ending) -> bool:
    """Whether the engine has no such way of handing GPUs to a container, or no such GPUs."""
    return ending.status == NOT_STARTED and bool(_GPUS_REFUSED.search(ending.output))


def explain(ending: Ending, machine: str, driver: Driver) -> StartFailure:
    """Why this ending brought no version.

    Args:
        machine: architecture of the machine, such as `x86_64`.
        driver: whether the driver's libraries were there to be found.
    """
    if failure := explain_words(ending, machine, driver):
        return failure
    cause, remedy = _by_status(ending.status)
    lines = _lines(ending)
    return StartFailure(cause, remedy, lines[-1][:_EXCERPT] if lines else "")


def explain_words(ending: Ending, machine: str, driver: Driver) -> StartFailure | None:
    """The same from what was said alone; None where that is no known cause."""
    for line in _lines(ending):
        for pattern, explanation in _BY_LINE:
            if match := pattern.search(line):
                cause, remedy = explanation(match)
                groups = match.groupdict()
                library = groups.get("library") or groups.get("musl")
                failure = StartFailure(cause.replace("{machine}", machine), remedy, line[:_EXCERPT], library)
                return _driver_missing(failure, driver) if failure.wants_driver else failure
    return None


def _lines(ending: Ending) -> list[str]:
    return [line.removeprefix(_ENGINE_PREFIX) for line in plain_lines(ending.output) if line and _HINT not in line]


def _driver_missing(failure: StartFailure, driver: Driver) -> StartFailure:
    why, remedy = _DRIVER_MISSING[driver]
    cause = f"It links the NVIDIA driver's library {failure.library}, and {why}."
    return replace(failure, cause=cause, remedy=remedy)


def _by_status(status: int) -> tuple[str, str]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status == 0:
        return "It ran and printed no version line.", "Make sure that it is a llama-server."
    return f"It ended with status {status} and printed no version line.", "Run it by hand with `--version`."


_DRIVER_MISSING = {
    Driver.WITHHELD: ("no GPU is handed to it", "Ask on a machine with an NVIDIA driver, with `--gpus all`."),
    Driver.HANDED: (
        "the container that it runs in came without it",
        "The image must set NVIDIA_DRIVER_CAPABILITIES to compute,utility; see also `builder doctor`.",
    ),
    Driver.ON_THIS_MACHINE: ("this machine has none", "Ask on a machine with an NVIDIA driver."),
}

_BY_STATUS = {
    NOT_STARTED: ("The engine did not start the container.", "See `builder doctor`."),
    NOT_EXECUTABLE: ("The program in it may not be executed.", _REBUILD),
    MISSING: ("It lacks a program or a library that it needs to start.", _REBUILD),
    132: (
        f"It {WORDS[132]}.",
        "Build it with GGML_NATIVE=OFF, or on the machine that runs it.",
    ),
    134: (f"It {WORDS[134]}.", "Run it by hand with `--version` and read its last lines."),
    135: (f"It {WORDS[135]}.", "Check the memory and the disk of this machine."),
    KILLED: (f"It {WORDS[KILLED]}, most likely for want of memory.", "Free some memory and ask again."),
    139: (f"It {WORDS[139]}.", _REBUILD),
}

_BY_LINE: tuple[tuple[re.Pattern[str], Explanation], ...] = (
    (
        re.compile(
            r"error while loading shared libraries: (?P<library>[^:\s]+): cannot open shared object file"
            r"|Error loading shared library (?P<musl>[^:\s]+): No such file"
        ),
        lambda found: (f"The shared library {found['library'] or found['musl']} is missing.", _REBUILD),
    ),
    (
        re.compile(r"error while loading shared libraries: (?P<damaged>[^:\s]+): (?P<why>.+)"),
        lambda found: (f"The shared library {found['damaged']} cannot be loaded: {found['why']}.", _REBUILD),
    ),
    (
        re.compile(r"(?P<file>\S+): version [`'](?P<wanted>\w+_[\d.]+)' not found"),
        lambda found: (f"It needs {found['wanted']}, which {found['file']} does not have.", _REBUILD),
    ),
    (
        re.compile(r"symbol lookup error: .*undefined symbol: (?P<symbol>\S+)"),
        lambda found: (f"Its libraries do not fit together: none has the symbol {found['symbol']}.", _REBUILD),
    ),
    (
        re.compile(r"exec format error", re.IGNORECASE),
        lambda _: (
            "The program is not made for this machine's architecture ({machine}).",
            "Take an image for this architecture.",
        ),
    ),
    (
        re.compile(r"\bexec (?P<program>/\S+): no such file or directory"),
        lambda found: (f"The loader or interpreter that {found['program']} asks for is missing.", _REBUILD),
    ),
    (
        re.compile(r'exec: "(?P<program>[^"]+)": permission denied'),
        lambda found: (f"{found['program']} may not be executed.", _REBUILD),
    ),
    (
        _GPUS_REFUSED,
        lambda _: ("The engine cannot hand a GPU to a container here.", "See `builder doctor`."),
    ),
    (
        re.compile(r"nvidia-container-cli: (?P<why>.*unsatisfied condition: .*?)(?:: unknown)?$"),
        lambda found: (f"The image wants a newer NVIDIA driver: {found['why']}.", "Update the driver."),
    ),
    (
        re.compile(r"unable to find user (?P<user>[^\s:]+)"),
        lambda found: (f"The image runs as the user {found['user']}, whom it does not have.", _REBUILD),
    ),
    (
        re.compile(r"(?:unknown|invalid|unrecognized) (?:argument|option):? '?--version"),
        lambda _: (
            "It does not know `--version`, as very old servers did not: it is most likely too old.",
            "Build a new one with `builder build`.",
        ),
    ),
)
