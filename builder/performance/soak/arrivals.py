"""When requests come: at a rate of their own, whatever becomes of those before them.

A closed loop, in which users wait for an answer before they ask again, asks a slow server less and so hides that it is
slow ("coordinated omission"). Here a request is due when it is due.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Literal

Spacing = Literal["poisson", "even"]


def arrivals(rate: float, seconds: float, spacing: Spacing, seed: int) -> Iterator[float]:
    """Seconds from the beginning at which requests come, the first at once.

    Args:
        rate: requests a minute on the average.
        seconds: nothing comes from then on.
        spacing: `poisson` for users who know nothing of each other, `even` for a clock.
        seed: the same one gives the same times.
    """
    gap = 60 / rate
    # The choice of times protects nothing.
    chosen = random.Random(f"arrivals/{seed}")  # noqa: S311
    number, at = 0, 0.0
    while at < seconds:
        yield at
        number += 1
        at = number * gap if spacing == "even" else at + chosen.expovariate(1 / gap)
