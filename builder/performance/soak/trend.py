"""Whether a figure rises with time, how surely that is known, and how long one would have to look to know it.

The slope of Theil and Sen: the median of the slopes between all pairs of points, which single jumps do not move, with
the interval that Sen derived from Kendall's rank correlation (Journal of the American Statistical Association 63,
1968), by scipy. Neighbouring looks see nearly the same, and would make the interval too narrow: medians over equal
spans of time are taken first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

LEAST = 8
"""Points without which nothing is said."""
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Trend:
    """How a figure changes with time.

    Attributes:
        slope: of the figure in a second.
        low: where its interval of 95 % begins; `high` where it ends.
        seconds: between the first point and the last.
        middle: median of the figure.
    """

    slope: float
    low: float
    high: float
    seconds: float
    middle: float

    @property
    def half(self) -> float:
        """Half of the interval."""
        return (self.high - self.low) / 2

    def needed(self, limit: float, *, per_run: bool = False) -> float | None:
        """Seconds of looking after which it would probably be known on which side of a limit the slope is.

        The interval narrows with the time in which one looks to the power of 3/2: more points, and a longer lever.

        Args:
            limit: of the slope.
            per_run: the limit is one of the rise from beginning to end, however long that is; then the power is 1/2.

        Returns:
            None where the slope seems to be the limit, so that nobody could wait for it.
        """
        gap = abs(limit - self.slope)
        if gap <= 0:
            return 0.0 if self.half <= 0 else None
        return self.seconds * float((self.half / gap) ** (2.0 if per_run else 2 / 3))


def trend(times: Sequence[float], values: Sequence[float], spans: int) -> Trend | None:
    """How a figure changes with time; None where there is too little to say it.

    Args:
        times: seconds, rising.
        spans: equal spans of time of which medians are taken, fewer where points are fewer.
    """
    if len(times) < LEAST or times[-1] <= times[0]:
        return None
    from scipy.stats import theilslopes

    points = medians(times, values, spans)
    if len(points) < LEAST:
        return None
    x, y = zip(*points, strict=True)
    found = theilslopes(y, x, _CONFIDENCE)
    low, high = sorted((float(found.low_slope), float(found.high_slope)))
    return Trend(float(found.slope), low, high, times[-1] - times[0], median(values))


def medians(times: Sequence[float], values: Sequence[float], spans: int) -> list[tuple[float, float]]:
    """The middle of each span's times and of its values; spans in which nothing was seen are left out."""
    first, length = times[0], (times[-1] - times[0]) / spans
    groups: dict[int, list[tuple[float, float]]] = {}
    for at, value in zip(times, values, strict=True):
        groups.setdefault(min(spans - 1, int((at - first) / length)), []).append((at, value))
    return [(median(at for at, _ in group), median(value for _, value in group)) for group in groups.values()]
