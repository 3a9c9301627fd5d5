"""What a person sees of a running soak: one line that is written anew, or one a minute where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from time import monotonic

from builder.console import Reporter, spell_duration
from builder.performance.sentences import plural
from builder.performance.soak.figures import answered, counted, failed, first_tokens
from builder.performance.soak.plan import Load
from builder.performance.soak.run import Soaked

_INTERVAL = 60.0
_REFRESHES = 2


@contextmanager
def showing(reporter: Reporter, load: Load) -> Iterator[Callable[[Soaked], None]]:
    """Show what was seen so far for as long as the context lasts, on standard error."""
    if not reporter.live:
        yield _Plain(reporter, load).show
        return
    from rich.status import Status

    with Status("starting the server", console=reporter.err, refresh_per_second=_REFRESHES) as status:
        yield lambda seen: status.update(line(seen, load))


def line(seen: Soaked, load: Load) -> str:
    """What was seen so far, in less than 80 columns."""
    series = seen.series
    _, memory = series.column("container_memory")
    waited = first_tokens(answered(series))
    parts = [
        f"{_clock(series.seconds)} of {_clock(load.seconds)}",
        plural(counted(series), "request"),
        plural(len(failed(series)), "error"),
        *([f"first token {median(waited):.2f} s"] if waited else []),
        *([f"{memory[-1]:.0f} MiB"] if memory else []),
    ]
    return ", ".join(parts)


class _Plain:
    """A line a minute."""

    def __init__(self, reporter: Reporter, load: Load) -> None:
        self._reporter = reporter
        self._load = load
        self._next = monotonic() + _INTERVAL
        reporter.notice(f"soak: {load.rate:g} requests a minute for {spell_duration(load.seconds)}")

    def show(self, seen: Soaked) -> None:
        if (now := monotonic()) >= self._next:
            self._next = now + _INTERVAL
            self._reporter.notice(f"soak: {line(seen, self._load)}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
