"""What is watched while a soak runs: columns over time, and a line for each request.

Columns are there for every image, profile and machine; what could not be known at a moment is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Column:
    """One figure over time.

    Attributes:
        name: such as `requests_deferred`.
        unit: such as `MiB`; empty for a mere number.
        told: what it is, for people.
        total: it counts from a start on, so that differences tell.
    """

    name: str
    unit: str
    told: str
    total: bool = False


COLUMNS: tuple[Column, ...] = (
    Column("in_flight", "", "requests of ours that are under way"),
    Column("requests_processing", "", "requests that the server computes"),
    Column("requests_deferred", "", "requests that wait for a slot"),
    Column("slots_busy", "", "slots that compute, by /slots"),
    Column("prompt_tokens", "tokens", "tokens of prompts that were computed", total=True),
    Column("prompt_tokens_cached", "tokens", "tokens of prompts that were taken from the cache", total=True),
    Column("tokens_predicted", "tokens", "tokens that were made", total=True),
    Column("decodes", "", "computations", total=True),
    Column("busy_slots_per_decode", "", "slots that one computation serves, on the average since the start"),
    Column("health_seconds", "s", "time that /health took to say that all is well"),
    Column("container_memory", "MiB", "memory that the container holds, without pages of files"),
    Column("container_processor", "s", "processor time of the container", total=True),
    Column("prompt_cache", "MiB", "what the server keeps of earlier prompts in the machine's memory, by its log"),
    Column("process", "", "ID of the server's process"),
    Column("client_processor", "s", "processor time of this program", total=True),
    Column("machine_processor", "s", "processor time of everything on this machine", total=True),
    Column("gpu_memory", "MiB", "memory in use on the GPU"),
    Column("gpu_memory_own", "MiB", "of it what the server's processes hold"),
    Column("gpu_utilisation", "%", "time in which the GPU computed"),
    Column("gpu_clock", "MHz", "clock of the GPU's multiprocessors"),
    Column("gpu_memory_clock", "MHz", "clock of the GPU's memory"),
    Column("gpu_temperature", "°C", "temperature of the GPU"),
    Column("gpu_power", "W", "power that the GPU draws"),
    Column("gpu_slowed", "", "1 where the GPU was slowed down although there was work, else 0"),
)
"""Every column there is; the order is that of the document."""


class Ended(StrEnum):
    """How a request ended."""

    ANSWERED = "answered"
    ERROR = "error"
    TIMED_OUT = "timed out"
    GIVEN_UP = "given up"
    """The soak ended before there was an answer: says nothing of the server."""


@dataclass(frozen=True)
class Asked:
    """One request. Times are seconds since the load began; what is not known is None.

    Attributes:
        kind: `short`, `turn` or `long` for chats; `one`, `whole` or `batch` for texts that become vectors.
        sent: when it was due: users wait from then on, whatever held this program up.
        first: when the first token came; for vectors, when they came.
        ended: when its last byte came, or it was given up.
        prompt_tokens: tokens of the prompt, those from the cache included; of texts that become vectors about as many.
        cached_tokens: of them those that were taken from the cache.
        tokens: that were made.
        waited: seconds in which nothing of it was computed, before the first token: it had no slot.
        error: what was wrong, as a sentence.
        late: seconds by which this program sent it later than it was due; None in records that do not say.
    """

    kind: str
    sent: float
    ended: float
    outcome: Ended
    first: float | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    tokens: int | None = None
    waited: float | None = None
    error: str = ""
    late: float | None = None

    @property
    def computed(self) -> int:
        """Tokens of the prompt that were computed, as far as is known."""
        return (self.prompt_tokens or 0) - (self.cached_tokens or 0)

    @property
    def first_token(self) -> float | None:
        """Seconds until the first token."""
        return None if self.first is None else self.first - self.sent


@dataclass(frozen=True)
class Sample:
    """One look.

    Attributes:
        at: seconds since the load began.
        values: by the column's name; columns that are not there are not known.
    """

    at: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Series:
    """What was seen, in the order of time."""

    samples: tuple[Sample, ...] = ()
    requests: tuple[Asked, ...] = ()

    def column(self, name: str, *, since: float = 0.0) -> tuple[Sequence[float], Sequence[float]]:
        """Times and values of a column where it is known.

        Args:
            since: seconds; what was seen before is left out.
        """
        known = [(one.at, one.values[name]) for one in self.samples if name in one.values and one.at >= since]
        return [at for at, _ in known], [value for _, value in known]

    def grown(self, name: str) -> float | None:
        """By how much a total grew from the first look to the last; None where fewer than two know it."""
        _, values = self.column(name)
        return values[-1] - values[0] if len(values) > 1 else None

    @property
    def seconds(self) -> float:
        """From the beginning of the load to the last that was seen."""
        return max((*(one.at for one in self.samples[-1:]), *(one.ended for one in self.requests)), default=0.0)
