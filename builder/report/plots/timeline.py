"""A soak's lines over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import pairwise
from xml.etree.ElementTree import Element

from builder.report.lines import Chart, Points
from builder.report.numbers import Scale, scale_of
from builder.report.plots.axis import Axis
from builder.report.plots.parts import GUTTER, LEVELS, anchor, colour, levels, ticks_of
from builder.report.plots.svg import element, path, plot, share

_HEIGHT, _TOP, _SCALE = 110, 14, 18
_MOST = 300
"""Points of a line: more than that the eye does not tell apart."""
_MOST_DOTS = 1500
_MINUTE = 60.0
_DOT = 1.8


def timeline(chart: Chart, seconds: float) -> Element:
    """The lines of a chart over the whole soak.

    Args:
        seconds: that it lasted.
    """
    values = [value for line in chart.lines for _, value in line.points]
    along = Axis(0.0, max(seconds, 1.0) / _MINUTE, gutter=GUTTER)
    up = Axis.around(values, zero=min(values, default=0.0) < 0.5 * max(values, default=0.0))
    scale = scale_of(values, chart.unit)
    drawn = [*levels(up, partial(_height, up), ticks_of(up, scale, LEVELS)), *_minutes(along)]
    for place, line in enumerate(chart.lines):
        if line.dots:
            drawn += _dots(line.points, along, up, place)
        else:
            points = [(along.place(at / _MINUTE), up.place(value)) for at, value in thinned(line.points, _MOST)]
            drawn.append(path(points, _TOP, _HEIGHT - _TOP, f"line {colour(place)}"))
    for at in chart.marks:
        x = share(along.place(at / _MINUTE))
        told = element("title", text=f"{chart.marked}, {at / _MINUTE:.1f} min")
        drawn.append(element("line", told, x1=x, x2=x, y1=_TOP, y2=_HEIGHT, class_="wrong"))
    return plot(_HEIGHT + _SCALE, _told(chart, scale), *drawn)


def thinned(points: Points, most: int) -> Points:
    """At most so many points: of each stretch the lowest and the highest, so that no peak is lost."""
    if len(points) <= most:
        return points
    stretches = most // 2
    edges = [place * len(points) // stretches for place in range(stretches + 1)]
    kept: list[tuple[float, float]] = []
    for start, end in pairwise(edges):
        part = points[start:end]
        ends = {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
        kept += sorted(ends)
    return tuple(kept)


def _height(up: Axis, value: float) -> float:
    return _TOP + (1 - up.place(value)) * (_HEIGHT - _TOP)


def _minutes(along: Axis) -> Iterable[Element]:
    ticks = along.ticks()
    for tick in ticks:
        x = along.place(tick)
        told = f"{tick:g} min" if tick == ticks[-1] else f"{tick:g}"
        yield element("text", x=share(x), y=_HEIGHT + 13, class_="tick", text_anchor=anchor(x), text=told)


def _dots(points: Points, along: Axis, up: Axis, place: int) -> Iterable[Element]:
    for at, value in thinned(points, _MOST_DOTS):
        x = share(along.place(at / _MINUTE))
        yield element("circle", cx=x, cy=_height(up, value), r=_DOT, class_=f"dot {colour(place)}")


def _told(chart: Chart, scale: Scale) -> str:
    def span(name: str, values: Sequence[float]) -> str:
        return f"{name} from {scale.spell(min(values))} to {scale.spell(max(values))}"

    lines = [span(line.name, [value for _, value in line.points]) for line in chart.lines if line.points]
    marks = f"; {len(chart.marks)} times {chart.marked}" if chart.marks else ""
    return f"{chart.title} over time: {', '.join(lines)}{marks}."
