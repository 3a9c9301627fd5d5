"""Other ways to tell where the middle of paired differences is, for comparison with the product's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from builder.performance.location import locate

if TYPE_CHECKING:
    from numpy import bool_, float64
    from numpy.typing import NDArray

    Numbers = NDArray[float64]

Decide = Callable[["Numbers", float], "NDArray[bool_]"]
"""Of trials of rounds of pairs: in which a difference is seen, at a level for both sides together."""


def ours(differences: Numbers, level: float) -> NDArray[bool_]:
    """Huber's estimate over pairs, the error with what pairs of a round have in common."""
    found = locate(differences)
    return _beyond(found.middle, found.error, found.freedom, level)


def huber_of_rounds(differences: Numbers, level: float) -> NDArray[bool_]:
    """The same over the means of rounds."""
    found = locate(differences.mean(axis=-1, keepdims=True))
    return _beyond(found.middle, found.error, found.freedom, level)


def mean_of_rounds(differences: Numbers, level: float) -> NDArray[bool_]:
    """Student's test on the means of rounds."""
    return _student(differences.mean(axis=-1), level)


def mean_of_pairs(differences: Numbers, level: float) -> NDArray[bool_]:
    """Student's test on pairs, as if each were a witness of its own."""
    return _student(differences.reshape(len(differences), -1), level)


def trimmed(differences: Numbers, level: float) -> NDArray[bool_]:
    """Yuen's test on pairs, a tenth trimmed on each side, one pair at least."""
    flat = np.sort(differences.reshape(len(differences), -1), axis=1)
    count = flat.shape[1]
    cut = max(1, count // 10)
    kept = count - 2 * cut
    middle = flat[:, cut : count - cut].mean(axis=1)
    winsorised = np.clip(flat, flat[:, cut, None], flat[:, count - cut - 1, None])
    error = winsorised.std(axis=1, ddof=1) * np.sqrt((count - 1) / (kept * (kept - 1)))
    return _beyond(middle, error, np.full(len(flat), kept - 1.0), level)


def signed_ranks(differences: Numbers, level: float) -> NDArray[bool_]:
    """Wilcoxon's exact test on the means of rounds, to which the estimate of Hodges and Lehmann belongs."""
    means = differences.mean(axis=-1)
    return np.asarray(stats.wilcoxon(means, axis=1, method="exact").pvalue < level)


RIVALS: Mapping[str, Decide] = {
    "ours": ours,
    "Huber, rounds": huber_of_rounds,
    "mean, rounds": mean_of_rounds,
    "mean, pairs": mean_of_pairs,
    "trimmed, pairs": trimmed,
    "Wilcoxon, rounds": signed_ranks,
}


def _student(flat: Numbers, level: float) -> NDArray[bool_]:
    count = flat.shape[1]
    freedom = np.full(len(flat), count - 1.0)
    return _beyond(flat.mean(axis=1), flat.std(axis=1, ddof=1) / np.sqrt(count), freedom, level)


def _beyond(middle: Numbers, error: Numbers, freedom: Numbers, level: float) -> NDArray[bool_]:
    return np.asarray(np.abs(middle) > stats.t.isf(level / 2, freedom) * error)
