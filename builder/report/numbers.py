"""Figures with their units as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """How the values of one figure are written, all alike.

    Attributes:
        factor: what a value is multiplied by.
        unit: what it is then a number of; empty for a number alone.
        digits: after the point.
    """

    factor: float
    unit: str
    digits: int

    def number(self, value: float) -> str:
        """A value without its unit."""
        return f"{value * self.factor:.{self.digits}f}"

    def spell(self, value: float | None) -> str:
        """A value with its unit; a dash where there is none."""
        if value is None or not math.isfinite(value):
            return "-"
        return f"{self.number(value)} {self.unit}".rstrip()

    def bare(self, value: float | None) -> str:
        """As `spell`, without a unit that is the same for all figures beside it, as tokens in a second are."""
        words = self.spell(value)
        return words.partition(" ")[0] if "/" in self.unit else words


_STEPS: Mapping[str, tuple[tuple[float, str], ...]] = {
    "s": ((1e6, "us"), (1e3, "ms"), (1.0, "s")),
    "MiB": ((1.0, "MiB"), (1 / 1024, "GiB")),
    "bytes": ((1.0, "B"), (2.0**-10, "KiB"), (2.0**-20, "MiB"), (2.0**-30, "GiB")),
    "ratio": ((100.0, "%"),),
}
_LARGE: Mapping[str, float] = {"MiB": 10.0}
"""How large a value has to be in the next unit before that is taken, where it is not 1."""
_TWO_DIGITS, _ONE_DIGIT = 10, 100


def scale_of(values: Iterable[float | None], unit: str) -> Scale:
    """The scale that suits the largest of some values, with three digits that mean something."""
    known = [abs(value) for value in values if value is not None and math.isfinite(value)]
    largest = max(known, default=0.0)
    steps = _STEPS.get(unit, ((1.0, unit),))
    factor, name = next(((factor, word) for factor, word in steps if factor == 1 or len(steps) == 1), steps[0])
    if largest:
        factor, name = steps[0]
        for further, word in steps[1:]:
            if largest * further >= _LARGE.get(unit, 1.0):
                factor, name = further, word
    shown = largest * factor
    whole = not largest or (not unit and all(value == int(value) for value in known))
    return Scale(factor, name, 0 if whole else 2 if shown < _TWO_DIGITS else 1 if shown < _ONE_DIGIT else 0)
