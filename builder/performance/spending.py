"""How sure one has to be at each look, so that looking after every round raises no false alarms.

Lan and DeMets' spending of the error over the looks (Biometrika 70, 1983), by the function `level * t ** 1.5` of Kim
and DeMets (Biometrika 74, 1987), t being the share of the rounds that there may be at most. It lies between Pocock's,
which decides large differences a little sooner, and O'Brien and Fleming's, which decides small ones more often. The
intervals that come of it hold for all looks together (repeated confidence intervals, Jennison and Turnbull, JRSS B 51,
1989): one may stop at any look, for any reason. For few rounds the bounds are taken over to Student's distribution by
their probabilities (Jennison and Turnbull, Group Sequential Methods, 2000, 3.8).
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    Numbers = NDArray[float64]

_POWER = 1.5
_NODES = 121
"""Points at which the density between two bounds is kept; the bounds are exact to about 1e-6."""
_WIDEST = 12.0


@lru_cache(maxsize=256)
def nominal(least: int, most: int, level: float) -> tuple[float, ...]:
    """Probability in one tail beyond the bound, at the look after round least, least + 1, ... most.

    Args:
        least: the round after which is looked first.
        most: the last round that there may be.
        level: probability that any look is beyond its bounds, on either side, where there is no difference.

    Raises:
        ValueError: there is no look, or the level is no probability.
    """
    if not 1 <= least <= most or not 0 < level < 1:
        raise ValueError(f"no looks from {least} to {most} at level {level}")
    from scipy.special import ndtr

    spent = [level * (look / most) ** _POWER for look in range(least, most + 1)]
    shares = [spent[0], *(late - early for early, late in itertools.pairwise(spent))]
    return tuple(float(ndtr(-bound)) for bound in _bounds(shares, least))


def tail(round_count: int, least: int, most: int, level: float) -> float:
    """The same for the look after one round; after more than the last it is as strict as at the last.

    Raises:
        ValueError: it is before the first look.
    """
    if round_count < least:
        raise ValueError(f"round {round_count} is before the first look after {least}")
    tails = nominal(least, most, level)
    return tails[min(round_count, most) - least]


def _bounds(shares: list[float], first: int) -> list[float]:
    """Bounds for the sum of so many rounds over its deviation, by recursion over the looks.

    The density of the sum is carried from look to look over what lies between the bounds (Armitage, McPherson and
    Rowe, JRSS A 132, 1969). A round adds 1 to the variance.
    """
    import numpy as np
    from scipy.optimize import brentq
    from scipy.special import ndtr, ndtri

    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    bounds = [float(-ndtri(shares[0] / 2))]
    edge = bounds[0] * first**0.5
    points = nodes * edge
    mass = weights * edge * _density(points / first**0.5) / first**0.5
    for number, share in enumerate(shares[1:], start=first + 1):
        root = number**0.5

        def excess(bound: float, root: float = root, points: Numbers = points, mass: Numbers = mass) -> float:
            beyond = ndtr(points - bound * root) + ndtr(-points - bound * root)
            return float((mass * beyond).sum())

        bound = float(brentq(lambda z, share=share, excess=excess: excess(z) - share, 0.0, _WIDEST, xtol=1e-9))
        bounds.append(bound)
        fresh = nodes * bound * root
        mass = weights * bound * root * (_density(fresh[:, None] - points[None, :]) @ mass)
        points = fresh
    return bounds


def _density(values: Numbers) -> Numbers:
    import numpy as np

    result: Numbers = np.exp(-(values**2) / 2) / np.sqrt(2 * np.pi)
    return result
