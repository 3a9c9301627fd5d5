"""Runs of two subjects as pairs: what is compared is what was measured side by side.

In a round A B B A the first A goes with the first B and the second with the second. Where the machine gets steadily
slower, one pair is as much too large as the other is too small: the mean of the round holds nothing of it. What a steep
drift adds to the spread makes an interval wider, never wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING

from builder.performance.rules import Statistic
from builder.performance.samples import Run

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

_LARGEST = 1e100
"""No measurement is larger, and sums stay finite."""
_SHARES = {Statistic.P95: 0.95, Statistic.P99: 0.99}


@dataclass(frozen=True)
class Pairs:
    """Two subjects in one figure.

    Attributes:
        rounds: the rounds that count, in order.
        differences: natural logarithms of B over A, a row for each round, in it one for each pair of runs.
        left_out: for each round that does not count a sentence that says why.
    """

    rounds: tuple[int, ...]
    differences: NDArray[float64]
    left_out: tuple[str, ...]


def pair(runs: Iterable[Run], subjects: tuple[str, str], name: str, statistic: Statistic) -> Pairs:
    """Pair the runs of two subjects, round by round.

    A round counts where all its runs do and each subject has as many as in the other rounds; its drift would not cancel
    otherwise.

    Args:
        subjects: the names of A and B.
        name: the figure's.
    """
    import numpy as np

    by_round: dict[int, list[Run]] = {}
    for run in sorted(runs, key=lambda one: one.order):
        if run.subject in subjects:
            by_round.setdefault(run.round, []).append(run)
    whole = max((len(members) for members in by_round.values()), default=0)
    rows: dict[int, list[float]] = {}
    left_out: list[str] = []
    for number, members in sorted(by_round.items()):
        row, reason = _row(members, subjects, name, statistic, whole)
        if reason:
            left_out.append(f"Round {number}: {reason}")
        else:
            rows[number] = row
    width = whole // 2
    return Pairs(tuple(rows), np.array(list(rows.values()), dtype=float).reshape(len(rows), width), tuple(left_out))


def summarise(samples: Sequence[float] | None, statistic: Statistic) -> tuple[float | None, str]:
    """What the samples of one run come to, or None and why they do not count.

    They do not count where one is no finite number or negative, where there are fewer than the tail needs that is asked
    for, or where they come to 0: nothing was measured then, and no ratio has it.
    """
    if not samples:
        return None, "was not measured"
    if not all(0 <= value < _LARGEST for value in samples):
        return None, "holds what is no measurement"
    share = _SHARES.get(statistic)
    needed = 1 if share is None else round(1 / (1 - share))
    if len(samples) < needed:
        return None, f"has {len(samples)} samples in a run, and {statistic} needs {needed}"
    value = _reduced(samples, statistic, share)
    return (value, "") if value > 0 else (None, "is 0")


def _reduced(samples: Sequence[float], statistic: Statistic, share: float | None) -> float:
    if share is None:
        return fmean(samples) if statistic is Statistic.MEAN else median(samples)
    import numpy as np

    return float(np.quantile(samples, share))


def _row(
    members: Sequence[Run], subjects: tuple[str, str], name: str, statistic: Statistic, whole: int
) -> tuple[list[float], str]:
    if aside := next((run for run in members if run.set_aside), None):
        return [], f"a run of {aside.subject} was set aside: {aside.set_aside}"
    first, second = ([run for run in members if run.subject == subject] for subject in subjects)
    if len(members) != whole or len(first) != len(second):
        return [], f"there are {len(first)} runs of {subjects[0]} and {len(second)} of {subjects[1]}"
    values: dict[str, list[float]] = {}
    for run in members:
        value, reason = summarise(run.samples.get(name), statistic)
        if value is None:
            return [], f"{name} of {run.subject} {reason}"
        values.setdefault(run.subject, []).append(math.log(value))
    return [later - former for former, later in zip(*(values[subject] for subject in subjects), strict=True)], ""
