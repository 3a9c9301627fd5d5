"""Runs in the order in which they were measured: what drifts with the machine is seen here."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from builder.report.figures import Figure
from builder.report.plots.axis import Axis
from builder.report.plots.parts import mark
from builder.report.plots.svg import element, plot, share

_HEIGHT, _TOP = 64, 8
_MARGIN = 0.03


def course(figure: Figure, names: Sequence[str]) -> Element:
    """A mark for each run, from the first to the last.

    Args:
        names: of all subjects, in their order.
    """
    known = [(point, point.value) for point in figure.points if point.value is not None]
    along = Axis.around((point.order for point, _ in known), margin=_MARGIN)
    up = Axis.around(value for _, value in known)
    drawn = [element("line", x1=0, x2="100%", y1=y, y2=y, class_="grid") for y in (_TOP, _HEIGHT - _TOP)]
    for point, value in known:
        aside = "" if point.counts else ", set aside"
        told = f"{point.subject}, run {point.order}: {figure.scale.spell(value)}{aside}"
        y = _TOP + (1 - up.place(value)) * (_HEIGHT - 2 * _TOP)
        place = names.index(point.subject) if point.subject in names else 0
        drawn.append(mark(share(along.place(point.order)), y, place, told, hollow=not point.counts))
    span = f"from {figure.scale.spell(up.low)} at the bottom to {figure.scale.spell(up.high)} at the top"
    return plot(
        _HEIGHT, f"{len(known)} runs of {figure.name} in the order in which they were measured, {span}.", *drawn
    )
