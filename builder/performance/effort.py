"""How much is asked of a subject in one run, so that a run takes about as long as one has.

How fast a machine is shows only when it is asked: the first run of a comparison asks for the least, and from what that
took follows how much all others ask. They all ask for the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from builder.performance.lengths import LONG, NEAR, SHORT, Room

ANSWER = 16
"""Tokens of an answer where the machine is slow, and in the first run."""
_REPETITIONS = 2
USERS, BATCH = "users", "batch"
_SHARES: Mapping[str, float] = {SHORT: 0.25, LONG: 0.25, NEAR: 0.15, BATCH: 0.15, USERS: 0.35}
"""Of the time for load."""
_BENCH_SHARE = 0.35
"""What llama-bench may take beside it, of that time."""
_LEAST_TIMES, _MOST_TIMES = 2, 60
_MOST_TURNS = 12
_ENOUGH = 4
"""Answers of full length that have to fit in their share; else they are short ones."""


@dataclass(frozen=True)
class Effort:
    """How long a run may take.

    Attributes:
        seconds: for the requests of one run; starting and ending come on top, and the least that tells anything is
            asked in any case.
        answer: tokens of an answer, where the machine is fast enough.
    """

    name: str
    seconds: float
    answer: int


QUICK = Effort("quick", 3.0, 32)
USUAL = Effort("usual", 9.0, 48)
THOROUGH = Effort("thorough", 30.0, 64)
EFFORTS: Mapping[str, Effort] = {one.name: one for one in (QUICK, USUAL, THOROUGH)}


@dataclass(frozen=True)
class Work:
    """What is asked of each subject in each run.

    Attributes:
        times: requests of a user that is alone, by the name of the prompt's length; a length that is not named is
            asked once.
        room: what all subjects take; every prompt fits.
        answer: tokens of each answer.
        turns: requests of each user where all ask at once.
        texts: that one request brings where vectors are asked for in batches.
        repetitions: of llama-bench.
        bench_prompt: tokens that llama-bench reads.
        bench_answer: tokens that it makes.
        limit: seconds for each answer.
        bench_limit: seconds for llama-bench.
    """

    times: Mapping[str, int]
    room: Room
    answer: int = ANSWER
    turns: int = 1
    texts: int = 16
    repetitions: int = _REPETITIONS
    bench_prompt: int = 512
    bench_answer: int = 64
    limit: float = 90.0
    bench_limit: float = 180.0

    @property
    def lengths(self) -> Mapping[str, int]:
        """Tokens of prompts by name, the same for every subject."""
        return self.room.lengths(self.answer)


def least(room: Room) -> Work:
    """What the first run asks."""
    return Work({SHORT: 3}, room)


def fit(effort: Effort, samples: Mapping[str, Sequence[float]], seconds: Mapping[str, float], room: Room) -> Work:
    """How much to ask in each run.

    Args:
        samples: what the run that asked for the least gave.
        seconds: what its steps took, by length and for all users at once.
        room: what all subjects take.
    """
    between = median(samples.get(f"itl/{SHORT}") or [0.0])
    taken = {name: fastest for name in seconds if (fastest := _fastest(samples, name))}
    longer = taken.get(SHORT, 0.0) + (effort.answer - ANSWER) * between
    answer = effort.answer if _ENOUGH * longer < effort.seconds * _SHARES[SHORT] else ANSWER
    more = (answer - ANSWER) * between
    budget = {name: effort.seconds * share for name, share in _SHARES.items()}
    turn = seconds.get(USERS, effort.seconds) * answer / ANSWER
    return replace(
        least(room),
        times={name: _whole(budget[name] / (one + more), _LEAST_TIMES, _MOST_TIMES) for name, one in taken.items()},
        answer=answer,
        turns=_whole(budget[USERS] / turn, 1, _MOST_TURNS),
        repetitions=_repetitions(effort, samples),
    )


def _fastest(samples: Mapping[str, Sequence[float]], name: str) -> float:
    """Seconds of the fastest request, which neighbours have disturbed least."""
    return min((min(values) for kind in ("e2e", "embed") if (values := samples.get(f"{kind}/{name}"))), default=0.0)


def _repetitions(effort: Effort, samples: Mapping[str, Sequence[float]]) -> int:
    """llama-bench runs each test once more than it is told to, to warm up."""
    speeds = {name.rpartition("/")[2]: max(values) for name, values in samples.items() if "llama-bench/" in name}
    each = sum(int(name[2:]) / speed for name, speed in speeds.items() if speed > 0)
    return _whole(effort.seconds * _BENCH_SHARE / each - 1, 2, 10) if each else _REPETITIONS


def _whole(number: float, least: int, most: int) -> int:
    return max(least, min(most, int(number)))
