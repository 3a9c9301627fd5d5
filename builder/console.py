"""What is said to a person, apart from how it is shown.

Results go to standard output. Everything else, from notices to errors, goes to standard error, so that
`--json` leaves exactly one document on standard output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING

from builder.errors import BuilderError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def on_github() -> bool:
    """Whether this process runs as a step of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def spell_duration(seconds: float) -> str:
    """Seconds as a person writes them: `0.4 s`, `12 s`, `3 min 05 s`, `1 h 02 min`."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


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
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self.verbose = verbose
        self._github = on_github()

    @cached_property
    def err(self) -> Console:
        """The console on standard error."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())

    @cached_property
    def out(self) -> Console:
        """The console on standard output."""
        from rich.console import Console

        return Console(highlight=False, soft_wrap=not sys.stdout.isatty())

    @property
    def live(self) -> bool:
        """Whether standard error is a terminal on which lines can be rewritten."""
        return self.err.is_terminal and not self._github

    def show(self, renderable: RenderableType) -> None:
        """Show a result on standard output."""
        self.out.print(renderable)

    def show_json(self, document: object) -> None:
        """Write one JSON document on standard output."""
        import json

        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    def notice(self, text: str) -> None:
        """One line a person should know: a choice made for them and its reason, a step done."""
        self.err.print(text, markup=False)

    def warning(self, text: str) -> None:
        """One line about something that is not as it should be but stops nothing."""
        if self._github:
            self._workflow_command("warning", text)
        else:
            self.err.print(f"warning: {text}", markup=False, style="yellow")

    def detail(self, text: str) -> None:
        """One line that only those who asked for details see."""
        if self.verbose:
            self.err.print(text, markup=False, style="dim")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Frame what is said inside: a group on GitHub, a heading and the time taken elsewhere."""
        started = monotonic()
        if self._github:
            self._workflow_command("group", title)
        else:
            self.err.print(title, markup=False, style="bold")
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
        self.err.print(f"error: {error.cause}", markup=False, style="bold red")
        for line in error.excerpt:
            self.err.print(f"  | {line}", markup=False, style="dim")
        if error.log:
            self.err.print(f"  log: {error.log}", markup=False, soft_wrap=True)
        if error.remedy:
            self.err.print(f"  help: {error.remedy}", markup=False)

    def _workflow_command(self, name: str, text: str) -> None:
        escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        self.err.print(f"::{name}::{escaped}", markup=False, soft_wrap=True)
