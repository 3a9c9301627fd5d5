"""Runs as a line of small bars."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median

_BARS = "▁▂▃▄▅▆▇█"
_ASIDE = "x"
_SPAN = 0.1
"""Least difference, as a share, from the lowest bar to the highest: what is smaller is no news."""

Values = Sequence[float | None]
"""Of runs in their order; None for one that does not count."""


def sparklines(series: Sequence[Values], width: int) -> tuple[str, ...]:
    """Lines on one scale, so that they can be held against each other.

    Args:
        width: letters of one line, at most; where there are more values, neighbours share a bar.
    """
    known = [value for values in series for value in values if value is not None]
    if not known:
        return tuple(_ASIDE * min(len(values), width) for values in series)
    low, high = min(known), max(known)
    lacking = max(0.0, _SPAN * median(known) - (high - low)) / 2
    return tuple(_line(_shared(values, width), low - lacking, high + lacking) for values in series)


def _line(values: Values, low: float, high: float) -> str:
    step = (high - low) / len(_BARS) or 1.0
    return "".join(
        _ASIDE if value is None else _BARS[min(int((value - low) / step), len(_BARS) - 1)] for value in values
    )


def _shared(values: Values, width: int) -> Values:
    if len(values) <= width:
        return values
    edges = [round(place * len(values) / width) for place in range(width + 1)]
    parts = [[value for value in values[start:end] if value is not None] for start, end in pairwise(edges)]
    return [fmean(part) if part else None for part in parts]
