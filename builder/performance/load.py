"""What users ask a server, and what the time that it took comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from builder.performance.effort import USERS
from builder.performance.wire import Exchange, Request, Spent, together
from builder.server.address import Address

Samples = Mapping[str, tuple[float, ...]]
Readings = tuple[tuple[Exchange, ...], ...]
_CLIENT_SHARE = 0.25
"""Of one core that the client may take while it measures."""


@dataclass(frozen=True)
class Figures:
    """What the answers of a step say.

    Attributes:
        samples: by the metric's name.
        notes: a sentence for each thing that a person should know of them.
    """

    samples: Samples
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """What is asked in one go.

    Attributes:
        users: the requests of each; one user is one that is alone.
        read: makes figures of the answers.
    """

    name: str
    users: tuple[tuple[Request, ...], ...]
    read: Callable[[Readings, Spent], Figures]


@dataclass(frozen=True)
class Phase:
    """A step that was taken.

    Attributes:
        seconds: it took.
        client: share of one core that the client took meanwhile.
    """

    name: str
    figures: Figures
    seconds: float
    client: float
    notes: tuple[str, ...] = field(default=())


def take(address: Address, steps: Iterable[Step], limit: float) -> Iterator[Phase]:
    """Take one step after the other; what was measured is handed over step by step, so that it is not lost.

    Args:
        limit: seconds for each answer.

    Raises:
        Deviation: the server did not answer as it should.
    """
    for step in steps:
        done, spent = asyncio.run(together(address, step.users, limit))
        yield Phase(
            step.name, step.read(done, spent), spent.seconds, spent.processor / spent.seconds, _busy(step, spent)
        )


def _busy(step: Step, spent: Spent) -> tuple[str, ...]:
    share = spent.processor / spent.seconds
    if share <= _CLIENT_SHARE:
        return ()
    who = "all users asked at once" if step.name == USERS else f"`{step.name}` was measured"
    return (f"While {who}, the client itself took {share:.0%} of a core: part of what was measured is its own.",)
