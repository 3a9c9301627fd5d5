"""Noise as servers have it: runs of A and B that are the same but for chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy import float64
    from numpy.random import Generator
    from numpy.typing import NDArray

    Numbers = NDArray[float64]

RUNS = 4
"""Runs in a round."""
_WILD = 0.03
Make = Callable[["Generator", int, int, float], "Numbers"]
"""Logarithms of so many trials of so many runs, in the order they are measured, by the usual scatter of a run."""


def clean(random: Generator, trials: int, runs: int, scatter: float) -> Numbers:
    """Lognormal, each run for itself."""
    return random.normal(0, scatter, (trials, runs))


def drifting(random: Generator, trials: int, runs: int, scatter: float) -> Numbers:
    """A steady drift of up to 10 % in either direction, and a random walk beside it."""
    steady = 0.1 * np.linspace(0, 1, runs) * random.uniform(-1, 1, (trials, 1))
    walk = np.cumsum(random.normal(0, scatter / 3, (trials, runs)), axis=1)
    noisy: Numbers = clean(random, trials, runs, scatter) + steady + walk
    return noisy


def lasting(random: Generator, trials: int, runs: int, scatter: float) -> Numbers:
    """Half of the noise lasts from run to run, with a correlation of 0.6."""
    slow = random.normal(0, scatter, (trials, runs))
    for run in range(1, runs):
        slow[:, run] = 0.6 * slow[:, run - 1] + 0.8 * slow[:, run]
    noisy: Numbers = (clean(random, trials, runs, scatter) + slow) / np.sqrt(2)
    return noisy


def twos(random: Generator, trials: int, runs: int, scatter: float) -> Numbers:
    """Every disturbance lasts just two runs: the worst case for rounds of four."""
    steps = random.normal(0, scatter, (trials, runs + 1))
    noisy: Numbers = (steps[:, 1:] + steps[:, :-1]) / np.sqrt(2)
    return noisy


def wild(random: Generator, trials: int, runs: int, scatter: float) -> Numbers:
    """A neighbour makes 3 % of the runs slower, by 20 % on average."""
    spikes = (random.random((trials, runs)) < _WILD) * random.exponential(0.2, (trials, runs))
    return clean(random, trials, runs, scatter) + spikes


def skewed(random: Generator, trials: int, runs: int, scatter: float) -> Numbers:
    """A long tail towards slow."""
    tail = random.lognormal(0, 0.8, (trials, runs))
    noisy: Numbers = (tail - np.exp(0.32)) * scatter / 1.3
    return noisy


def everything(random: Generator, trials: int, runs: int, scatter: float) -> Numbers:
    """Drift, lasting noise and wild runs together."""
    return (
        drifting(random, trials, runs, scatter)
        + lasting(random, trials, runs, scatter / 2)
        + wild(random, trials, runs, 0)
    )


NOISES: Mapping[str, Make] = {
    "clean": clean,
    "drift": drifting,
    "lasting": lasting,
    "twos": twos,
    "wild": wild,
    "skewed": skewed,
    "everything": everything,
}


def differences(series: Numbers, effect: float, *, alternating: bool = True) -> Numbers:
    """B minus A for trials of rounds of two pairs, in the order of `interleaving`, or of A B B A each time.

    Args:
        effect: so much longer B takes, as a share.
    """
    rounds = series.reshape(len(series), -1, RUNS)
    pairs = np.stack([rounds[..., 1] - rounds[..., 0], rounds[..., 2] - rounds[..., 3]], axis=-1)
    if alternating:
        pairs[:, 1::2] *= -1
    moved: Numbers = pairs + np.log1p(effect)
    return moved
