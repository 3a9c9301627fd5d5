"""A soak over time: which of its columns are drawn, and as what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from builder.performance.soak.series import Ended

if TYPE_CHECKING:
    from builder.performance.soak.record import SoakRecord
    from builder.performance.soak.series import Series

Points = tuple[tuple[float, float], ...]
"""Seconds since the load began, and values."""


@dataclass(frozen=True)
class Line:
    """Something over time.

    Attributes:
        name: what it is, beside others in the same chart.
        dots: each point is something by itself, such as a request; a line between them would say nothing.
    """

    name: str
    points: Points
    dots: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines with one unit.

    Attributes:
        title: what is drawn, for people.
        marks: seconds at which something went wrong.
        marked: what that was.
    """

    title: str
    unit: str
    lines: tuple[Line, ...]
    marks: tuple[float, ...] = ()
    marked: str = ""


def charts_of(record: SoakRecord) -> tuple[Chart, ...]:
    """What a soak's record has to draw, what users feel first; what was never known is not there."""
    seen = record.seen()
    made = (_waiting(seen), *_counted(seen), *(_plain(seen, title, unit, names) for title, unit, names in _PLAIN))
    return tuple(chart for chart in made if any(line.points for line in chart.lines))


_PLAIN: Sequence[tuple[str, str, Mapping[str, str]]] = (
    ("Requests", "", {"requests_processing": "computed", "requests_deferred": "waiting for a slot"}),
    ("Slots that compute", "", {"slots_busy": "busy"}),
    ("Answer of /health", "s", {"health_seconds": "until it came"}),
    ("Memory of the container", "MiB", {"container_memory": "held", "prompt_cache": "earlier prompts"}),
    ("Memory on the GPU", "MiB", {"gpu_memory": "in use", "gpu_memory_own": "by the server"}),
    ("Time in which the GPU computed", "%", {"gpu_utilisation": "busy"}),
    ("Clock of the GPU", "MHz", {"gpu_clock": "multiprocessors"}),
    ("Power of the GPU", "W", {"gpu_power": "drawn"}),
    ("Temperature of the GPU", "°C", {"gpu_temperature": "measured"}),
)


def _waiting(seen: Series) -> Chart:
    first = tuple((asked.sent, asked.first_token) for asked in seen.requests if asked.first_token is not None)
    failed = tuple(asked.sent for asked in seen.requests if asked.outcome in (Ended.ERROR, Ended.TIMED_OUT))
    line = Line("a request", tuple(sorted(first)), dots=True)
    return Chart("Time to first token", "s", (line,), failed, "a request without an answer")


def _counted(seen: Series) -> Iterator[Chart]:
    """What the totals come to from look to look."""
    tokens = {"tokens_predicted": "made", "prompt_tokens": "of prompts"}
    lines = tuple(Line(told, _rates(seen, name)) for name, told in tokens.items())
    yield Chart("Tokens in a second", "tokens/s", lines)
    yield Chart("Prompt tokens from the cache", "ratio", (Line("share so far", _cached(seen)),))
    yield Chart("Cores that the container takes", "", (Line("cores", _rates(seen, "container_processor")),))


def _plain(seen: Series, title: str, unit: str, names: Mapping[str, str]) -> Chart:
    lines = tuple(Line(told, tuple(zip(*seen.column(name), strict=True))) for name, told in names.items())
    return Chart(title, unit, tuple(line for line in lines if line.points))


def _rates(seen: Series, name: str) -> Points:
    """What a total grew by in a second; where it fell, another process began to count."""
    points = zip(*seen.column(name), strict=True)
    return tuple(
        (later, (more - less) / (later - before))
        for (before, less), (later, more) in pairwise(points)
        if later > before and more >= less
    )


def _cached(seen: Series) -> Points:
    """The share of prompt tokens that came from the cache since the load began; the server counts them apart."""
    looks = [one for one in seen.samples if {"prompt_tokens", "prompt_tokens_cached"} <= one.values.keys()]
    points: list[tuple[float, float]] = []
    for look in looks[1:]:
        computed, cached = (
            look.values[name] - looks[0].values[name] for name in ("prompt_tokens", "prompt_tokens_cached")
        )
        if computed >= 0 <= cached and computed + cached > 0:
            points.append((look.at, cached / (computed + cached)))
    return tuple(points)
