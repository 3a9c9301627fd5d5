"""What changed, figure below figure on one scale: to the right is worse, and what is too much is shaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from builder.performance.samples import Better, Metric
from builder.report.figures import Change
from builder.report.plots.axis import Axis
from builder.report.plots.parts import anchor, mark
from builder.report.plots.svg import element, plot, share

_HEIGHT = 24
_SCALE = 18
_LEAST, _MOST = 0.05, 0.4
"""Shares that the scale reaches at least and at most; what lies beyond is drawn as an arrow."""
_ARROW = 7
_AROUND = 1.15


@dataclass(frozen=True)
class Loss:
    """A change turned so that more is worse, as a share: 5 % more seconds, or 5 % fewer tokens."""

    middle: float | None
    low: float | None
    high: float | None
    allowed: float | None


def loss_of(change: Change, metric: Metric) -> Loss:
    """A change as a loss."""
    bounds = [None if ratio is None else _turned(ratio, metric) for ratio in (change.low, change.high)]
    known = sorted(bound for bound in bounds if bound is not None)
    middle = None if change.ratio is None else _turned(change.ratio, metric)
    whole = len(known) == len(bounds)
    return Loss(middle, known[0] if whole else None, known[-1] if whole else None, change.allowed)


def scale_of_losses(losses: Iterable[Loss]) -> Axis:
    """A scale around 0 for the deciding intervals and limits and for every estimate, as far as is sensible."""
    reach = [_LEAST]
    for one in losses:
        seen = (one.low, one.high, one.allowed) if one.allowed is not None else (one.middle,)
        reach += [abs(value) for value in seen if value is not None]
    edge = min(_MOST, max(reach) * _AROUND)
    return Axis(-edge, edge)


def strip(loss: Loss, axis: Axis, place: int, told: str) -> Element:
    """One figure's interval, its estimate, and from where on it is too much.

    Args:
        place: of the subject among all.
    """
    middle = _HEIGHT / 2
    drawn: list[Element] = []
    if loss.allowed is not None:
        x = axis.place(loss.allowed)
        drawn.append(element("rect", x=share(x), y=0, width=share(1 - x), height=_HEIGHT, class_="toomuch"))
        drawn.append(element("line", x1=share(x), x2=share(x), y1=0, y2=_HEIGHT, class_="limit"))
    drawn.append(element("line", x1="50%", x2="50%", y1=0, y2=_HEIGHT, class_="zero"))
    if loss.low is not None and loss.high is not None:
        low, high = share(axis.place(loss.low)), share(axis.place(loss.high))
        drawn.append(element("line", x1=low, x2=high, y1=middle, y2=middle, class_="interval"))
        drawn += [_end(loss.low, axis, low, middle), _end(loss.high, axis, high, middle)]
    if loss.middle is not None:
        drawn.append(mark(share(axis.place(loss.middle)), middle, place))
    return plot(_HEIGHT, told, *drawn)


def ruler(axis: Axis) -> Element:
    """The numbers of the scale."""
    drawn, ticks = [], axis.ticks()
    for tick in ticks:
        way = {ticks[0]: " better", ticks[-1]: " worse"}.get(tick, "")
        x, told = axis.place(tick), f"{abs(tick) * 100:g} %{way}" if tick else "0"
        drawn.append(element("text", x=share(x), y=12, class_="tick", text_anchor=anchor(x), text=told))
    return plot(_SCALE, "Scale from better at the left to worse at the right.", *drawn)


def _turned(ratio: float, metric: Metric) -> float:
    return ratio - 1 if metric.better is Better.LOWER else 1 - ratio


def _end(bound: float, axis: Axis, x: str, y: float) -> Element:
    """The end of an interval: a short line, or an arrow where it goes on beyond the plot."""
    if axis.holds(bound):
        return element("line", x1=x, x2=x, y1=y - 4, y2=y + 4, class_="interval")
    back = _ARROW if bound < 0 else -_ARROW
    points = f"0,0 {back},-4 {back},4"
    return element("svg", element("polygon", points=points, class_="arrow"), x=x, y=y, overflow="visible")
