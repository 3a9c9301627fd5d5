"""What plots have in common: axes with their numbers, and marks that differ in shape as well as in colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.etree.ElementTree import Element

from builder.report.numbers import Scale
from builder.report.plots.axis import Axis
from builder.report.plots.svg import element, share

COLOURS = 8
"""Classes `s0` to `s7` in the page's style."""
LEVELS = 5
"""Numbers at the left of a plot, at most."""
GUTTER = 0.15
"""Share of the width that they need."""
_SIZE = 3.6
_EDGE = 0.08
"""Share of the width within which words of an axis are turned inwards."""


def colour(place: int) -> str:
    """The class of a subject by its place among all."""
    return f"s{place % COLOURS}"


def mark(x: str, y: float, place: int, told: str = "", *, hollow: bool = False) -> Element:
    """A subject's mark: its shape tells it apart where colours cannot.

    Args:
        x: share of the width.
        told: shown where a pointer rests on it.
        hollow: it does not count.
    """
    inner = (element("title", text=told),) if told else ()
    style = f"mark {colour(place)}{' hollow' if hollow else ''}"
    if place % 2 == 0:
        return element("circle", *inner, cx=x, cy=y, r=_SIZE, class_=style)
    box = element("rect", *inner, x=-_SIZE, y=-_SIZE, width=2 * _SIZE, height=2 * _SIZE, class_=style)
    box.set("transform", "rotate(45)")
    return element("svg", box, x=x, y=y, overflow="visible")


def scale_below(axis: Axis, y: float, spell: Callable[[float], str], most: int = 5) -> list[Element]:
    """Numbers below a plot, each with its line up to the top."""
    drawn: list[Element] = []
    for tick in axis.ticks(most):
        x = axis.place(tick)
        drawn.append(element("line", x1=share(x), x2=share(x), y1=0, y2=y, class_="grid"))
        drawn.append(element("text", x=share(x), y=y + 13, class_="tick", text_anchor=anchor(x), text=spell(tick)))
    return drawn


def levels(axis: Axis, y: Callable[[float], float], spell: Callable[[float], str]) -> list[Element]:
    """Numbers at the left of a plot, in the gutter, each on its line."""
    drawn: list[Element] = []
    for tick in axis.ticks(LEVELS):
        drawn.append(element("line", x1=0, x2="100%", y1=y(tick), y2=y(tick), class_="grid"))
        drawn.append(element("text", x=0, y=y(tick) - 3, class_="tick", text=spell(tick)))
    return drawn


def anchor(x: float) -> str:
    """Which end of a word stands at a place, so that it stays within the plot."""
    return "start" if x < _EDGE else "end" if x > 1 - _EDGE else "middle"


def ticks_of(axis: Axis, scale: Scale, most: int = 5) -> Callable[[float], str]:
    """How the numbers of an axis are written: no more digits than tell them apart, the unit on the last."""
    ticks = axis.ticks(most)
    digits = next((digits for digits in range(5) if _told_apart(ticks, scale, digits)), 5)
    unit = f" {scale.unit}".rstrip()

    def spell(value: float) -> str:
        return f"{value * scale.factor:.{digits}f}{unit if value == ticks[-1] else ''}"

    return spell


def _told_apart(values: Sequence[float], scale: Scale, digits: int) -> bool:
    shown = [value * scale.factor for value in values]
    return all(abs(round(value, digits) - value) <= 1e-6 * max(1.0, abs(value)) for value in shown)
