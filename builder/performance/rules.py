"""How a comparison is judged: what is allowed, how sure one has to be, how long one may go on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from builder.performance.samples import Better, Family, Metric


class Statistic(StrEnum):
    """What one run comes to: its samples are taken one after the other and tell little each."""

    MEDIAN = "median"
    MEAN = "mean"
    P95 = "p95"
    P99 = "p99"


TAILS = (Statistic.P95, Statistic.P99)
"""What is told of times beside what they usually come to."""
_USUAL = MappingProxyType(
    {
        Family.LATENCY: Statistic.MEDIAN,
        Family.THROUGHPUT: Statistic.MEAN,
        Family.LLAMA_BENCH: Statistic.MEDIAN,
        Family.START: Statistic.MEDIAN,
        Family.RESOURCE: Statistic.MEAN,
    }
)
ALLOWED: Mapping[Family, float] = MappingProxyType(
    {Family.LATENCY: 0.05, Family.THROUGHPUT: 0.05, Family.LLAMA_BENCH: 0.03}
)
"""So much worse a figure may be, as a share."""
_LARGEST = 230.0
"""Of a logarithm: a ratio of 1e100, beyond any measurement."""
GATING = ("ttft", "generation", "throughput", "embed", "vectors", "llama-bench")
"""First parts of the names of the figures that decide; all others are told."""


@dataclass(frozen=True)
class Rules:
    """What holds for one comparison; nothing of it may change while it runs.

    Attributes:
        allowed: how much worse a figure of a family may be, as a share.
        gating: first parts of the names of the figures that decide.
        confidence: of every interval and every claim, all looks together.
        least_rounds: looked at first after so many whole rounds.
        most_rounds: whole rounds in a batch, at most; a regression is confirmed by a second batch.
        time_limit: seconds for all batches together; 0 is no limit.

    Raises:
        ValueError: the numbers fit no comparison.
    """

    allowed: Mapping[Family, float] = field(default_factory=lambda: ALLOWED)
    gating: tuple[str, ...] = GATING
    confidence: float = 0.98
    least_rounds: int = 3
    most_rounds: int = 16
    time_limit: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1 or not 1 < self.least_rounds <= self.most_rounds:
            raise ValueError("confidence must lie between 0 and 1, and 1 < least_rounds <= most_rounds")
        if not all(0 < share < 1 for share in self.allowed.values()):
            raise ValueError("what is allowed must lie between 0 and 1")

    @property
    def level(self) -> float:
        """Probability of being wrong, both sides together."""
        return 1 - self.confidence

    def allowance(self, metric: Metric) -> float | None:
        """How much worse a figure may be, as a share; None where it decides nothing."""
        return self.allowed.get(metric.family) if metric.name.partition("/")[0] in self.gating else None


def usual_statistic(metric: Metric) -> Statistic:
    """What a run comes to where nobody asks for another.

    The median, which one slow answer does not move; for throughput the mean, which is what all users together got.
    llama-bench repeats the same work, so its median is taken: on a busy machine it scatters half as much.
    """
    return _USUAL[metric.family]


def ratio_of(log_ratio: float) -> float:
    """The ratio of a logarithm; one that no number can hold is the largest or smallest that means anything."""
    return math.exp(max(-_LARGEST, min(_LARGEST, log_ratio)))


def loss(metric: Metric, log_ratio: float) -> float:
    """A logarithm of B over A, turned so that more is worse."""
    return log_ratio if metric.better is Better.LOWER else -log_ratio


def loss_limit(metric: Metric, share: float) -> float:
    """The loss at which a figure is this share worse: 5 % more seconds, or 5 % fewer tokens."""
    return math.log1p(share) if metric.better is Better.LOWER else -math.log1p(-share)
