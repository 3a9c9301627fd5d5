"""What a person sees of a running build."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from builder.console import Reporter, spell_duration
from builder.image.progress import Position, ProgressReader

_INTERVAL = 30.0
"""Seconds between two lines of progress where there is no terminal."""
_STAGE = re.compile(r"^\[(?P<name>[\w-]+)\s+\d+/\d+\]")
_ACTIONS = {
    "configured": "configuring",
    "compiled": "compiling",
    "gathered": "gathering libraries",
    "served": "adding layers",
    "tests-compiled": "compiling tests",
    "tests-gathered": "gathering libraries",
    "tests": "adding layers",
    "evidence": "reading CMake's answer",
}
"""What happens in a stage of llama-server.Dockerfile."""
_ACTION_WIDTH = 22


class Display:
    """Shows where a build stands."""

    def update(self, position: Position) -> None:
        """Show a position; called a few times a second."""

    def close(self) -> None:
        """The build has ended."""


class LiveDisplay(Display):
    """A line on a terminal: what is built, what happens, `[n/m]`, time taken, time left."""

    def __init__(self, reporter: Reporter, title: str) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[doing]}", markup=False),
            TextColumn("{task.fields[time]}", markup=False),
            console=reporter.err,
            transient=True,
            speed_estimate_period=600,
        )
        self._task = self._progress.add_task(title, total=None, doing="", time="")
        self._progress.start()

    def update(self, position: Position) -> None:
        """Move the bar while something is counted; else let it run to and fro."""
        if position.total:
            doing = f"[{position.done}/{position.total}]"
            self._progress.update(self._task, completed=position.done, total=position.total, doing=doing)
        else:
            self._progress.update(self._task, total=None, doing=action(position.step))
        self._progress.update(self._task, time=self._time())

    def _time(self) -> str:
        task = self._progress.tasks[0]
        taken = spell_duration(task.elapsed or 0)
        return taken if task.time_remaining is None else f"{taken}, {spell_duration(task.time_remaining)} left"

    def close(self) -> None:
        """Take the line away."""
        self._progress.stop()


class PlainDisplay(Display):
    """A line now and then where nothing can be rewritten."""

    def __init__(self, reporter: Reporter, title: str) -> None:
        self._reporter = reporter
        self._title = title
        self._started = monotonic()
        self._next = 0.0

    def update(self, position: Position) -> None:
        """A line every half minute while something is counted."""
        now = monotonic()
        if position.total and now >= self._next:
            self._next = now + _INTERVAL
            self._reporter.notice(f"{self._title}: [{position.done}/{position.total}]{self._left(position, now)}")

    def _left(self, position: Position, now: float) -> str:
        taken = now - self._started
        if position.done < 1 or taken < _INTERVAL / 2:
            return ""
        return f", about {spell_duration(taken * (position.total - position.done) / position.done)} left"


@contextmanager
def display(reporter: Reporter, title: str, reader: ProgressReader) -> Iterator[Display]:
    """What fits where standard error goes, for as long as the build runs."""
    shown: Display = LiveDisplay(reporter, title) if reporter.live else PlainDisplay(reporter, title)
    try:
        yield shown
        shown.update(reader.position)
    finally:
        shown.close()


def action(step: str) -> str:
    """BuildKit's name of a step in words: `[gathered 1/1] RUN ...` is `gathering libraries`."""
    if stage := _STAGE.match(step):
        return _ACTIONS.get(stage["name"], "preparing")[:_ACTION_WIDTH]
    return "exporting" if step.startswith("exporting") else "preparing"
