"""The trend of a figure that is read again and again."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def slope(values: Sequence[int]) -> float:
    """The growth from one value to the next: the median over all pairs, which single jumps do not move."""
    pairs = [(j, i) for i in range(len(values)) for j in range(i)]
    return median((values[i] - values[j]) / (i - j) for j, i in pairs)
