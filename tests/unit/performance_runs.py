"""Runs as a bench would have measured them, with noise from a fixed seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from builder.performance.comparison import Question, questions
from builder.performance.interleaving import order
from builder.performance.metrics import metric
from builder.performance.samples import Better, Run


def asked(*names: str) -> tuple[Question, ...]:
    """The usual questions about figures of these names."""
    return questions([metric(name) for name in names])


def measured(
    rounds: int,
    slower: Mapping[str, float],
    *,
    subjects: Sequence[str] = ("A", "B"),
    scatter: float = 0.01,
    seed: int = 1,
    samples: int = 5,
    first: int = 1,
    drift: float = 0.0,
) -> list[Run]:
    """Rounds of all subjects.

    Args:
        slower: for each figure how much worse the second subject is than the first, the third than the second and so
            on, as a share.
        drift: so much slower everything gets from run to run, as a share.
    """
    random = np.random.default_rng(seed)
    runs: list[Run] = []
    for number in range(first, first + rounds):
        for subject in order(subjects, number):
            place = len(runs) + (first - 1) * 2 * len(subjects)
            taken = {}
            for name, share in slower.items():
                loss = subjects.index(subject) * math.log1p(share) + random.normal(0, scatter) + place * drift
                sign = 1 if metric(name).better is Better.LOWER else -1
                taken[name] = tuple(np.exp(sign * loss + random.normal(0, 0.001, samples)).tolist())
            runs.append(Run(subject, number, place, taken))
    return runs
