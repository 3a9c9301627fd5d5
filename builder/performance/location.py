"""Where the middle of a few noisy differences is, and how well that is known.

Huber's estimate: differences near the middle count fully, far ones no more than one at the edge of what is usual, so a
single wild run moves it little. Two differences of one round are no two independent witnesses where a disturbance lasts
longer than a run: what they have in common is measured and makes the error larger. `benchmarks/power.py` has the
figures, for this and for the mean, for rounds as the unit, and for Wilcoxon's and trimmed estimates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    Numbers = NDArray[float64]

LEAST = 2
"""Differences that an estimate needs at least."""
_EDGE = 2.0
"""Distance from the middle, in usual deviations, beyond which a difference counts less."""
_NORMAL = 1.4826
"""Standard deviations in one median absolute deviation, where the noise is normal."""
_FEW = 2.5
"""The median deviation of n differences is too small by about this over n."""
_STEPS = 25


@dataclass(frozen=True)
class Location:
    """The middle of differences, one for each trial.

    Attributes:
        middle: the estimate.
        error: its standard error.
        freedom: degrees of freedom of Student's distribution that error and middle follow.
        spread: standard deviation of one difference, what is far out counting as the edge.
    """

    middle: Numbers
    error: Numbers
    freedom: Numbers
    spread: Numbers


def locate(differences: Numbers) -> Location:
    """The middle of the differences along the last two axes: rounds, and pairs within a round.

    Follows Huber, Robust Statistics (1981), 6.6: a fixed scale, the median absolute deviation, and the standard error
    with its correction for few values. Where more than half of the differences are the same, so that the scale is 0, it
    is the mean and its standard error. The variance grows by the design effect of Kish (Survey Sampling, 1965), the
    correlation within rounds being taken for 0 where it comes out below.

    Raises:
        ValueError: there are fewer than two.
    """
    import numpy as np

    rounds, width = differences.shape[-2:]
    count = rounds * width
    if count < LEAST:
        raise ValueError(f"{count} differences have no spread")
    flat = differences.reshape(*differences.shape[:-2], count)
    scale = _scale(flat)
    middle = np.median(flat, axis=-1, keepdims=True)
    for _ in range(_STEPS):
        distance = np.abs(flat - middle) / scale
        weight = np.minimum(1.0, _EDGE / np.maximum(distance, _EDGE))
        middle = (weight * flat).sum(axis=-1, keepdims=True) / weight.sum(axis=-1, keepdims=True)
    distance = (flat - middle) / scale
    inside = np.maximum((np.abs(distance) <= _EDGE).mean(axis=-1), 1 / count)
    pulls = np.clip(distance, -_EDGE, _EDGE)
    common = _common(pulls.reshape(differences.shape))
    deviation = np.sqrt((pulls**2).sum(axis=-1) / (count - 1)) * scale[..., 0]
    few = 1 + (1 - inside) / inside / count
    error = few * deviation / np.sqrt(count) / inside * np.sqrt(1 + (width - 1) * common)
    freedom = count * inside - 1 - rounds * (width - 1) * common / width
    return Location(middle[..., 0], error, np.maximum(freedom, 1.0), deviation)


def _common(pulls: Numbers) -> Numbers:
    """Correlation of two differences of a round, 0 where it is below."""
    import numpy as np

    width = pulls.shape[-1]
    squares = (pulls**2).sum(axis=(-2, -1))
    if width == 1:
        return np.zeros_like(squares)
    products = (pulls.sum(axis=-1) ** 2).sum(axis=-1) - squares
    share: Numbers = products / np.maximum(squares, np.finfo(float).tiny) / (width - 1)
    return np.clip(share, 0.0, 1.0)


def _scale(differences: Numbers) -> Numbers:
    """The usual deviation from the median; so wide that everything counts fully where it would be 0."""
    import numpy as np

    count = differences.shape[-1]
    median = np.median(differences, axis=-1, keepdims=True)
    usual = np.median(np.abs(differences - median), axis=-1, keepdims=True) * _NORMAL * (1 + _FEW / count)
    widest = np.maximum(np.ptp(differences, axis=-1, keepdims=True), np.finfo(float).tiny)
    scale: Numbers = np.where(usual > 0, usual, widest)
    return scale
