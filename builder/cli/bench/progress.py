"""How far a bench is: one line that is rewritten on a terminal, a line for each round elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status

    from builder.console import Reporter
    from builder.performance.loop import Taken
    from builder.performance.progress import PlainProgress, Progress
    from builder.performance.rounds import Start
    from builder.performance.tools import Moment

_STEPS = {
    "start": "starting",
    "short": "short prompts",
    "2k": "prompts of 2k tokens",
    "near": "prompts near the context",
    "batch": "many texts at once",
    "users": "all users at once",
}


@contextmanager
def showing(reporter: Reporter, *, quiet: bool) -> Iterator[Progress]:
    """What shows the progress of one bench.

    Args:
        quiet: say nothing.
    """
    from builder.performance.progress import NoProgress, PlainProgress

    if quiet or not reporter.live:
        yield NoProgress() if quiet else PlainProgress(reporter)
        return
    from rich.status import Status

    with Status("looking at the images", console=reporter.err) as status:
        yield _LiveProgress(PlainProgress(reporter), status)


class _LiveProgress:
    """Rewrites a line with each step, below one for each round."""

    def __init__(self, plain: PlainProgress, status: Status) -> None:
        self._plain = plain
        self._status = status
        self._until: float | None = None

    def begun(self, start: Start) -> None:
        self._plain.begun(start)

    def measuring(self, moment: Moment) -> None:
        self._status.update(line(moment, None if self._until is None else self._until - monotonic()))

    def round_over(self, taken: Taken, left: float | None) -> None:
        self._until = None if left is None else monotonic() + left
        self._plain.round_over(taken, left)


def line(moment: Moment, left: float | None) -> str:
    """What is measured now, in less than 80 columns."""
    from builder.console import spell_duration

    where = f"round {moment.round}" if moment.round else "first look, which does not count"
    remaining = f", about {spell_duration(left)} left" if left and left > 0 else ""
    return f"{where}: {moment.subject}, {_STEPS.get(moment.step, moment.step)}{remaining}"
