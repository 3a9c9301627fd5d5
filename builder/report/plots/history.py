"""A figure over builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from xml.etree.ElementTree import Element

from builder.report.past import Past
from builder.report.plots.axis import Axis
from builder.report.plots.parts import GUTTER, LEVELS, anchor, levels, mark, ticks_of
from builder.report.plots.svg import element, path, plot, share

_HEIGHT, _TOP, _SCALE = 110, 16, 18
_MARGIN = 0.06
_APART, _LETTER = 0.04, 0.025
"""Shares of the width on a phone: what is free between two names below at least, and what a letter takes."""
_RING = 7


def history_plot(past: Past) -> Element:
    """A mark for each time a build was measured, a line through the builds' medians, rings around adopted ones."""
    along = Axis(0.0, max(1.0, len(past.builds) - 1.0), _MARGIN, GUTTER)
    up = Axis.around(point.value for point in past.points)
    places = {build: along.place(number) for number, build in enumerate(past.builds)}
    middles = [
        (places[build], up.place(median(point.value for point in past.points if point.build == build)))
        for build in past.builds
    ]
    drawn = levels(up, partial(_height, up), ticks_of(up, past.scale, LEVELS))
    drawn.append(path(middles, _TOP, _HEIGHT - 2 * _TOP, "line s0"))
    for point in past.points:
        x, y = share(places[point.build]), _height(up, point.value)
        if point.adopted:
            drawn.append(element("circle", cx=x, cy=y, r=_RING, class_="adopted"))
        adopted = ", adopted" if point.adopted else ""
        drawn.append(mark(x, y, 0, f"{point.build}, {point.day}: {past.scale.spell(point.value)}{adopted}"))
    for build in _named(past.builds, places):
        place = places[build]
        drawn.append(
            element("text", x=share(place), y=_HEIGHT + 13, class_="tick", text_anchor=anchor(place), text=build)
        )
    return plot(_HEIGHT + _SCALE, _told(past), *drawn)


def _height(up: Axis, value: float) -> float:
    return _TOP + (1 - up.place(value)) * (_HEIGHT - 2 * _TOP)


def _named(builds: Sequence[str], places: Mapping[str, float]) -> list[str]:
    """The last, and of those before it from the first on as many as meet neither it nor each other."""
    named: list[str] = []
    begins, _ = extent(builds[-1], places[builds[-1]])
    free = 0.0
    for build in builds[:-1]:
        left, right = extent(build, places[build])
        if left >= free and right + _APART <= begins:
            named.append(build)
            free = right + _APART
    return [*named, builds[-1]]


def extent(name: str, place: float) -> tuple[float, float]:
    """From where to where a name below a plot reaches, as shares of the width on a phone."""
    before = {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor(place)]
    width = _LETTER * len(name)
    return place - before * width, place + (1 - before) * width


def _told(past: Past) -> str:
    values = [point.value for point in past.points]
    adopted = dict.fromkeys(point.build for point in past.points if point.adopted)
    told = f" Adopted: {', '.join(adopted)}." if adopted else ""
    span = f"from {past.scale.spell(min(values))} to {past.scale.spell(max(values))}"
    return f"{past.name} over {len(past.builds)} builds, {past.builds[0]} to {past.builds[-1]}, {span}.{told}"
