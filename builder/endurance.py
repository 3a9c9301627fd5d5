"""The load that an image has to stand for a while, and by what it is judged, as `[soak]` of builder.toml says it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from builder.section import Section

_PERCENT = r"^([0-9]{1,4}(\.[0-9]{1,3})?)%$"
_SIZE = r"^(0|[1-9][0-9]{0,5}[kmg])$"
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class Soak(Section):
    """Requests that come at a rate of their own, and what must hold meanwhile."""

    rate: float = Field(30, gt=0, le=60000, description="requests a minute, on the average")
    minutes: float = Field(30, ge=0.1, le=10080, description="how long they come, in minutes")
    spacing: Literal["poisson", "even"] = Field(
        "poisson", description="between requests: poisson, as from users who know nothing of each other, or even"
    )
    seed: int = Field(1, ge=0, description="another one gives other requests at other times")
    timeout: float = Field(90, ge=1, le=3600, description="seconds that users wait for a whole answer")
    answer: int = Field(64, ge=1, le=4096, description="tokens of an answer")
    error_limit: str = Field("0%", pattern=_PERCENT, description="requests that may fail, such as 0.5%")
    drift_limit: str = Field(
        "20%", pattern=_PERCENT, description="how much later the first token may come at the end than at the beginning"
    )
    memory_growth_limit: str = Field(
        "64m", pattern=_SIZE, description="by how much memory may grow in an hour, such as 64m"
    )
    cpu_limit: str = Field(
        "80%", pattern=_PERCENT, description="of the container's processor time, how much it may take on the average"
    )
    cache_hit_floor: str = Field(
        "10%", pattern=_PERCENT, description="of all tokens of prompts, how many must come from the cache; 0%: any"
    )
    queue_limit: int = Field(4, ge=0, description="how many requests may wait for a slot at once")
    wait_limit: float = Field(1, ge=0, le=3600, description="seconds that a request may wait for a slot")


def size(text: str) -> int:
    """`64m` as bytes."""
    return 0 if text == "0" else int(text[:-1]) * _UNITS[text[-1]]
