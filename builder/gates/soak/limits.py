"""What a soak is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from builder.endurance import Soak, size
from builder.performance.soak.plan import Load
from builder.profiles import Profile
from builder.section import parse_share

_MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What may be.

    Attributes:
        errors: share of the requests that may fail.
        drift: share by which the first token may come later at the end than at the beginning.
        growth: MiB by which memory may grow in an hour.
        processor: share of the container's processor time.
        cache: share of the prompts' tokens that has to come from the cache.
        queue: requests that may wait for a slot at once.
        wait: seconds that one may wait for a slot.
        brief: a person asked for this length: what needs longer is left out instead of being in doubt.
    """

    errors: float
    drift: float
    growth: float
    processor: float
    cache: float
    queue: int
    wait: float
    brief: bool

    @classmethod
    def of(cls, wanted: Soak, *, brief: bool) -> Limits:
        """From the configuration."""
        return cls(
            errors=parse_share(wanted.error_limit),
            drift=parse_share(wanted.drift_limit),
            growth=size(wanted.memory_growth_limit) / _MIB,
            processor=parse_share(wanted.cpu_limit),
            cache=parse_share(wanted.cache_hit_floor),
            queue=wanted.queue_limit,
            wait=wanted.wait_limit,
            brief=brief,
        )

    def words(self) -> Mapping[str, str]:
        """For the record, by the configuration's names."""
        return {
            "error-limit": f"{self.errors:.2%}",
            "drift-limit": f"{self.drift:.0%}",
            "memory-growth-limit": f"{self.growth:g} MiB an hour",
            "cpu-limit": f"{self.processor:.0%}",
            "cache-hit-floor": f"{self.cache:.0%}",
            "queue-limit": str(self.queue),
            "wait-limit": f"{self.wait:g} s",
        }


def load_of(wanted: Soak, profile: Profile) -> Load:
    """The load that the configuration asks for."""
    return Load(
        rate=wanted.rate,
        minutes=wanted.minutes,
        spacing=wanted.spacing,
        seed=wanted.seed,
        patience=wanted.timeout,
        answer=wanted.answer,
        conversations=profile.users,
    )
