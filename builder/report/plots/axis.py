"""From values to places."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Axis:
    """A span of values.

    Attributes:
        low, high: its ends.
        margin: share of the width that is left free on each side, so that what is at an end is seen whole.
        gutter: share of it that is left free before that, for words.
    """

    low: float
    high: float
    margin: float = 0.0
    gutter: float = 0.0

    @classmethod
    def around(cls, values: Iterable[float], *, zero: bool = False, margin: float = 0.0) -> Axis:
        """The span of some values; of equal ones a span around them.

        Args:
            zero: begin at 0.
        """
        known = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = min(known), max(known)
        low = min(0.0, low) if zero else low
        if high - low <= abs(high) * 1e-9:
            room = abs(high) * 0.05 or 1.0
            low, high = (low, high + room) if zero else (low - room, high + room)
        return cls(low, high, margin)

    def place(self, value: float) -> float:
        """Where a value stands, from 0 to 1; what is beyond an end stands at it."""
        inner = (value - self.low) / (self.high - self.low)
        return self.gutter + self.margin + min(1.0, max(0.0, inner)) * (1 - self.gutter - 2 * self.margin)

    def holds(self, value: float) -> bool:
        """Whether a value is within."""
        return self.low <= value <= self.high

    def ticks(self, most: int = 5) -> list[float]:
        """Round values within, evenly apart, at most so many."""
        rough = (self.high - self.low) / max(1, most - 1)
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(step * size for step in _STEPS if step * size >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]
