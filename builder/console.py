"""What is said to a person, apart from how it is shown.

Results go to standard output. Everything else, from notices to errors, goes to standard error, so that
`--json` leaves exactly one document on standard output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING

from builder.documents import Documents
from builder.errors import BuilderError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


_ENDLESS = 10_000
"""Columns of what is no terminal: nothing is so wide that it would be wrapped, and every line can be searched."""


def on_github() -> bool:
    """Whether this process runs as a step of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def printable(text: str) -> str:
    """Foreign text for one line of a terminal: whatever could steer that, or is no character, becomes a blank."""
    return "".join(letter if letter.isprintable() or letter == "\t" else " " for letter in text)


def spell_duration(seconds: float) -> str:
    """Seconds as a person writes them: `0.4 s`, `12 s`, `3 min 05 s`, `1 h 02 min`."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def spell_age(age: timedelta, *, up: bool = False) -> str:
    """A span of time, roughly: `40 min`, `3 h`, `5 days`.

    Args:
        up: round up, as for something to wait for.
    """
    minutes = abs(age.total_seconds()) / 60
    for unit, size, below in (("min", 1, 2 * 60), ("h", 60, 2 * 24 * 60)):
        if minutes < below:
            return f"{_whole(minutes / size, up=up)} {unit}"
    return f"{_whole(minutes / (24 * 60), up=up)} days"


def _whole(number: float, *, up: bool) -> int:
    return -int(-number // 1) if up else int(number)


def spell_size(size: float) -> str:
    """Bytes in decimal units, as Docker shows them: `671 MB`, `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit != "GB" else f"{size:.2f} {unit}"
        size /= 1000
    return f"{size:.2f} TB"


class Reporter:
    """Says things on standard error; shows results on standard output.

    Args:
        verbose: also show details, such as the commands that are run.
        name: put before each line, for what is done beside other things.
        documents: the program's one document; None for one that gives none.
    """

    def __init__(self, *, verbose: bool = False, name: str = "", documents: Documents | None = None) -> None:
        self.verbose = verbose
        self._documents = documents or Documents()
        self._prefix = f"{name}: " if name else ""
        self._github = on_github()

    @cached_property
    def err(self) -> Console:
        """The console on standard error."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())

    @cached_property
    def out(self) -> Console:
        """The console on standard output; where that is no terminal, lines are as long as they are."""
        from rich.console import Console

        terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
        return Console(highlight=False, soft_wrap=not sys.stdout.isatty(), width=None if terminal else _ENDLESS)

    @property
    def live(self) -> bool:
        """Whether standard error is a terminal on which lines can be rewritten."""
        return self.err.is_terminal and not self._github

    def show(self, renderable: RenderableType) -> None:
        """Show a result on standard output."""
        if self.out.is_terminal:
            self.out.print(renderable)
            return
        with self.out.capture() as shown:
            self.out.print(renderable)
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in shown.get().splitlines()))

    def show_json(self, document: object) -> None:
        """Write one JSON document on standard output; the program's first one is its only one."""
        self._documents.give(document)

    def notice(self, text: str) -> None:
        """One line a person should know: a choice made for them and its reason, a step done."""
        self._say(text)

    def warning(self, text: str, because: BuilderError | None = None) -> None:
        """One line about something that is not as it should be but stops nothing.

        Args:
            because: a failure whose excerpt and log are shown below.
        """
        if self._github:
            self._workflow_command("warning", f"{self._prefix}{text}")
        else:
            self._say(f"warning: {text}", "yellow")
        if because:
            self._show_evidence(because)

    def detail(self, text: str) -> None:
        """One line that only those who asked for details see."""
        if self.verbose:
            for line in text.split("\n"):
                self._say(line, "dim")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Frame what is said inside: a group on GitHub, a heading and the time taken elsewhere."""
        started = monotonic()
        if self._github:
            self._workflow_command("group", title)
        else:
            self._say(title, "bold")
        try:
            yield
        finally:
            if self._github:
                self._workflow_command("endgroup", "")
            self.detail(f"{title}: {spell_duration(monotonic() - started)}")

    def error(self, error: BuilderError) -> None:
        """The cause, what shows it, what to do, and where the whole log is."""
        if self._github:
            self._workflow_command("error", f"{error.cause} {error.remedy}")
        self._say(f"error: {error.cause}", "bold red")
        self._show_evidence(error)
        if error.remedy:
            self._say(f"  help: {error.remedy}")

    def _show_evidence(self, error: BuilderError) -> None:
        for line in error.excerpt:
            self._say(f"  | {line}", "dim")
        if error.log:
            self._print(f"  log: {error.log}", soft_wrap=True)

    def _say(self, text: str, style: str | None = None) -> None:
        self._print(printable(self._prefix + text), style)

    def _print(self, text: str, style: str | None = None, *, soft_wrap: bool | None = None) -> None:
        """Say it; what cannot be said, as into a file on a full disk, decides nothing."""
        with suppress(OSError):
            self.err.print(text, markup=False, style=style, soft_wrap=soft_wrap)

    def _workflow_command(self, name: str, text: str) -> None:
        escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        self._print(f"::{name}::{printable(escaped)}", soft_wrap=True)
