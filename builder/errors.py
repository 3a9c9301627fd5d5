"""What can go wrong, by class; each class carries the exit code of the process.

The codes are a contract with scripts: 2 usage and configuration, 3 the machine, 4 the source, 5 the build,
6 something newer would be taken (an answer, given only where it is asked for), 10 and up the gates (one number each),
20 what could not be judged, 21 a promotion or rollback of which nothing moved, 22 one that moved partly, 130
interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """Exit status of the process."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    MACHINE = 3
    SOURCE = 4
    BUILD = 5
    NEWER = 6
    VERSION = 10
    STRUCTURE = 11
    SMOKE = 12
    CORRECTNESS = 13
    PERFORMANCE = 14
    SOAK = 15
    UNJUDGED = 20
    NOTHING_MOVED = 21
    MOVED_PARTLY = 22
    INTERRUPTED = 130


class BuilderError(Exception):
    """A failure that a person can act on.

    Args:
        cause: one sentence, what is wrong, with the name of the thing.
        remedy: one sentence, what to do about it.
        excerpt: lines of foreign output that show the cause, most telling first.
        log: file with the whole output, if there is one.
    """

    exit_code = ExitCode.UNEXPECTED

    def __init__(self, cause: str, remedy: str, *, excerpt: tuple[str, ...] = (), log: Path | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy
        self.excerpt = excerpt
        self.log = log

    def document(self) -> dict[str, object]:
        """The error as JSON-ready data."""
        return {
            "exit_code": int(self.exit_code),
            "cause": self.cause,
            "remedy": self.remedy,
            "excerpt": list(self.excerpt),
            "log": str(self.log) if self.log else None,
        }


class UsageError(BuilderError):
    """The command line or the configuration asks for something that does not exist or does not fit together."""

    exit_code = ExitCode.USAGE


class MachineError(BuilderError):
    """This machine lacks something: an engine, rights, disk, a GPU, a program."""

    exit_code = ExitCode.MACHINE


class SourceError(BuilderError):
    """The upstream source could not be had, or is not what it should be."""

    exit_code = ExitCode.SOURCE


class BuildError(BuilderError):
    """The source does not configure, compile or make an image that holds what was planned."""

    exit_code = ExitCode.BUILD


class PromotionError(BuilderError):
    """A promotion or a rollback did not come to its end.

    Attributes:
        settled: what others had left in the middle and was ended before that, as JSON-ready data.
    """

    settled: tuple[Mapping[str, object], ...] = ()

    def document(self) -> dict[str, object]:
        """The error as JSON-ready data."""
        return {**super().document(), "settled": list(self.settled)}


class NothingMoved(PromotionError):
    """A promotion or a rollback was refused, or is undone: every tag and file is as before."""

    exit_code = ExitCode.NOTHING_MOVED


class MovedPartly(PromotionError):
    """A promotion or a rollback stopped in the middle; the cause says what stands, the remedy how to go on or back."""

    exit_code = ExitCode.MOVED_PARTLY


class InterruptedBySignal(BaseException):
    """The process was asked to end by a signal other than SIGINT.

    Not an Exception: nothing but clean-up and the entry point may catch it.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
