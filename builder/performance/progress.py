"""Who hears how far a bench is."""

from __future__ import annotations

from typing import Protocol

from builder.console import Reporter, spell_duration
from builder.performance.loop import Taken, progress_of
from builder.performance.rounds import Start
from builder.performance.tools import Moment


class Progress(Protocol):
    """Hears what happens."""

    def begun(self, start: Start) -> None:
        """The first look is over."""

    def measuring(self, moment: Moment) -> None:
        """A step begins."""

    def round_over(self, taken: Taken, left: float | None) -> None:
        """A round is over, and so many seconds are probably left."""


class NoProgress:
    """Says nothing."""

    def begun(self, start: Start) -> None:
        """Nothing."""

    def measuring(self, moment: Moment) -> None:
        """Nothing."""

    def round_over(self, taken: Taken, left: float | None) -> None:
        """Nothing."""


class PlainProgress:
    """Says a line for each round."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def begun(self, start: Start) -> None:
        """Warn of what will keep runs from counting."""
        if start.first.run.set_aside:
            self._reporter.warning(f"{start.first.run.set_aside} Runs during which that is so do not count.")

    def measuring(self, moment: Moment) -> None:
        """Nothing."""

    def round_over(self, taken: Taken, left: float | None) -> None:
        """How far it is."""
        if taken.decision is None or taken.interrupted:
            return
        remaining = f", about {spell_duration(left)} left" if left else ""
        self._reporter.notice(f"round {taken.rounds}: {progress_of(taken)}{remaining}")
