"""Runs of two subjects that were not measured by turns: two independent samples, a value for each round.

Welch's interval for the difference of their means, looked at once. It holds what scatters from round to round within a
record; what the machine did between the two records is in the difference, and no interval shows it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from builder.performance.evidence import Evidence
from builder.performance.pairing import Pairs, summarise
from builder.performance.rules import Rules, Statistic, loss, ratio_of
from builder.performance.samples import Metric, Run

_LEAST = 2


@dataclass(frozen=True)
class SingleLook(Evidence):
    """Evidence that is looked at once, when all of it is there."""

    def _width_after(self, number: int, rules: Rules, level: float) -> float:  # noqa: ARG002
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, 1 - level / 2)) * (self.error or 0.0) * math.sqrt(self.rounds / number)


def unpaired(
    runs: Iterable[Run], subjects: tuple[str, str], metric: Metric, statistic: Statistic
) -> tuple[Pairs, Evidence | None]:
    """What the runs of two subjects say of a figure.

    Args:
        runs: those that count.

    Returns:
        The rounds that count and why others do not, and the evidence; None where one subject has no round.
    """
    import numpy as np

    taken = list(runs)
    values, left_out = zip(*(_rounds(taken, one, metric.name, statistic) for one in subjects), strict=True)
    number = min(map(len, values))
    counted = Pairs(tuple(range(1, number + 1)), np.empty((0, 0)), tuple(why for told in left_out for why in told))
    return counted, _welch(metric, *values) if number else None


def _rounds(runs: Sequence[Run], subject: str, name: str, statistic: Statistic) -> tuple[list[float], list[str]]:
    """The mean logarithm of each round, and why others do not count."""
    by_round: dict[int, list[Run]] = {}
    for run in runs:
        if run.subject == subject:
            by_round.setdefault(run.round, []).append(run)
    found: Mapping[int, list[tuple[float | None, str]]] = {
        number: [summarise(run.samples.get(name), statistic) for run in members] for number, members in by_round.items()
    }
    values: list[float] = []
    left_out: list[str] = []
    for number, made in sorted(found.items()):
        known = [math.log(value) for value, _ in made if value is not None]
        if len(known) == len(made):
            values.append(fmean(known))
        else:
            why = next(why for value, why in made if value is None)
            left_out.append(f"Round {number}: {name} of {subject} {why}")
    return values, left_out or ([] if values else [f"{name} of {subject} was not measured"])


def _welch(metric: Metric, first: Sequence[float], second: Sequence[float]) -> Evidence:
    rounds = min(len(first), len(second))
    middle = loss(metric, fmean(second) - fmean(first))
    if rounds < _LEAST:
        return SingleLook(rounds, middle, None, 0.0, None)
    parts = [(variance(one) / len(one), len(one) - 1) for one in (first, second)]
    whole = sum(part for part, _ in parts)
    weight = sum(part**2 / freedom for part, freedom in parts)
    freedom = whole**2 / weight if weight else float(2 * rounds - 2)
    spread = ratio_of(math.sqrt((variance(first) + variance(second)) / 2)) - 1
    return SingleLook(rounds, middle, math.sqrt(whole), freedom, spread)
