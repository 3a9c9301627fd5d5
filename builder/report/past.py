"""What was measured of a repository's builds so far, figure by figure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.performance.metrics import metric
from builder.report.numbers import Scale, scale_of

if TYPE_CHECKING:
    from builder.performance.archive import Entry, Side

_NUMBER = re.compile(r"b(\d+)\b")


@dataclass(frozen=True)
class PastPoint:
    """One build measured once.

    Attributes:
        build: upstream's name of it, or the image's where it has none.
        day: when it was measured.
        adopted: the image was adopted at some time.
    """

    build: str
    day: str
    value: float
    adopted: bool


@dataclass(frozen=True)
class Past:
    """One figure over builds.

    Attributes:
        builds: in their order.
        points: in order of time.
    """

    name: str
    scale: Scale
    builds: tuple[str, ...]
    points: tuple[PastPoint, ...]


def past_of(
    history: Sequence[tuple[Entry, Side]], adopted: Collection[str], *, machine: str, profile: str, work: str
) -> tuple[Past, ...]:
    """Figures that at least two builds have, on like machines, with one model in one profile, asked for the same.

    Args:
        history: in order of time, see `builder.performance.archive.history`.
        adopted: IDs of images that were adopted at some time.
        machine: as entries name it.
        work: as `builder.performance.archive.work_of` tells it.
    """
    alike = [
        (entry, side)
        for entry, side in history
        if entry.machine == machine and side.profile == profile and side.work == work and not side.overrides
    ]
    builds = _in_order(side.build or side.reference for _, side in alike)
    names = dict.fromkeys(name for _, side in alike for name in side.figures)
    made = (_past(name, builds, alike, adopted) for name in names)
    return tuple(past for past in made if len({point.build for point in past.points}) > 1)


def _past(name: str, builds: Sequence[str], alike: Iterable[tuple[Entry, Side]], adopted: Collection[str]) -> Past:
    points = tuple(
        PastPoint(
            build=side.build or side.reference,
            day=f"{entry.started:%Y-%m-%d}" if entry.started else "",
            value=side.figures[name],
            adopted=side.image in adopted,
        )
        for entry, side in alike
        if name in side.figures
    )
    there = {point.build for point in points}
    scale = scale_of((point.value for point in points), _unit(name))
    return Past(name, scale, tuple(build for build in builds if build in there), points)


def _unit(name: str) -> str:
    try:
        return metric(name).unit
    except KeyError:
        return ""


def _in_order(builds: Iterable[str]) -> tuple[str, ...]:
    """By their numbers where all have one, else in the order in which they were first measured."""
    once: Mapping[str, None] = dict.fromkeys(builds)
    numbers = {build: found for build in once if (found := _NUMBER.match(build))}
    if len(numbers) < len(once):
        return tuple(once)
    return tuple(sorted(once, key=lambda build: int(numbers[build][1])))
