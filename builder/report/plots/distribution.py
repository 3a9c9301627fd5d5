"""How a figure's samples lie, subject below subject on one scale, with what each run comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from builder.report.figures import Figure
from builder.report.names import shortened
from builder.report.plots.axis import Axis
from builder.report.plots.parts import colour, mark, scale_below, ticks_of
from builder.report.plots.svg import element, path, plot, share

_BINS = 60
_LABEL, _HILL, _DOTS, _SCALE = 18, 26, 14, 18
"""Pixels of a lane's words, of its hill, of its marks, and of the numbers below all lanes."""
_LANE = _LABEL + _HILL + _DOTS
_MARGIN = 0.02
_TAIL = 0.02
"""Share of the samples on each side that may lie beyond the plot, where few are far out."""
_FAR = 3.0
"""So many times as wide as the rest a plot may be before far samples are left out."""
_MANY = 2
"""Samples for each run from which a hill says more than the marks."""


def distribution(figure: Figure, titles: Mapping[str, str]) -> Element:
    """A lane for each subject: the hill of all samples, a line at the median, a mark for each run.

    Args:
        titles: what the subjects are called, by name.
    """
    names = [name for name in titles if figure.values.get(name) is not None]
    axis = _span(figure, names)
    hills = {name: _hill(figure.samples[name], axis) for name in names if _many(figure, name)}
    highest = max((max(hill) for hill in hills.values()), default=1.0) or 1.0
    bottom = _LANE * len(names)
    drawn = scale_below(axis, bottom, ticks_of(axis, figure.scale))
    for lane, name in enumerate(names):
        place = list(titles).index(name)
        drawn += _lane(
            figure, name, titles[name], place, lane * _LANE, axis, [bar / highest for bar in hills.get(name, ())]
        )
    return plot(bottom + _SCALE, _told(figure, names), *drawn)


def _span(figure: Figure, names: Sequence[str]) -> Axis:
    """All samples, but for a few that are so far out that nothing could be seen of the rest."""
    runs = [point.value for point in figure.points if point.value is not None]
    inner, whole = list(runs), list(runs)
    for name in names:
        ordered = sorted(figure.samples[name])
        cut = int(len(ordered) * _TAIL)
        inner += ordered[cut : len(ordered) - cut]
        whole += ordered
    close, wide = Axis.around(inner, margin=_MARGIN), Axis.around(whole, margin=_MARGIN)
    return close if wide.high - wide.low > _FAR * (close.high - close.low) else wide


def _many(figure: Figure, name: str) -> bool:
    runs = sum(point.subject == name and point.counts for point in figure.points)
    return len(figure.samples[name]) > _MANY * runs


def _hill(samples: Sequence[float], axis: Axis) -> list[float]:
    """The share of the samples in each of many narrow spans, smoothed with its neighbours."""
    counts = [0.0] * _BINS
    for sample in samples:
        if axis.holds(sample):
            inner = (sample - axis.low) / (axis.high - axis.low)
            counts[min(_BINS - 1, int(inner * _BINS))] += 1 / len(samples)
    padded = [0.0, *counts, 0.0]
    return [
        (before + 2 * here + after) / 4 for before, here, after in zip(padded, padded[1:], padded[2:], strict=False)
    ]


def _lane(
    figure: Figure, name: str, title: str, place: int, top: int, axis: Axis, hill: Sequence[float]
) -> list[Element]:
    median = share(axis.place(figure.values[name]))
    value = figure.scale.spell(figure.values[name])
    words = f"{name}  {shortened(title)}, {value}" if title != name else value
    drawn = [element("text", element("title", text=title), x=0, y=top + 12, class_="label", text=words)]
    ground = top + _LABEL + _HILL
    if hill:
        width = (axis.high - axis.low) / _BINS
        tops = [(axis.place(axis.low + (number + 0.5) * width), bar) for number, bar in enumerate(hill)]
        outline = [(axis.place(axis.low), 0.0), *tops, (axis.place(axis.high), 0.0)]
        drawn.append(path(outline, top + _LABEL, _HILL, f"hill {colour(place)}", closed=True))
    drawn.append(
        element("line", x1=median, x2=median, y1=top + _LABEL, y2=ground + _DOTS - 2, class_=f"middle {colour(place)}")
    )
    for point in figure.points:
        if point.subject == name and point.value is not None:
            told = f"{name}, run {point.order}: {figure.scale.spell(point.value)}"
            x = share(axis.place(point.value))
            drawn.append(mark(x, ground + _DOTS / 2, place, told, hollow=not point.counts))
    return drawn


def _told(figure: Figure, names: Sequence[str]) -> str:
    lanes = [
        f"{name}: median {figure.scale.spell(figure.values[name])}, {len(figure.samples[name])} samples from "
        f"{figure.scale.spell(min(figure.samples[name]))} to {figure.scale.spell(max(figure.samples[name]))}"
        for name in names
    ]
    return f"Samples of {figure.name}. {'; '.join(lanes)}."
