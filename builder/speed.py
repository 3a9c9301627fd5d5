"""How images are compared in speed, as the `[performance]` table of builder.toml says it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from builder.section import Section

EffortName = Literal["quick", "usual", "thorough"]
_SHARE = r"^([1-9][0-9]?(\.[0-9]{1,2})?|0\.(0[1-9]|[1-9][0-9]?))%$"
"""Above nothing and below all."""


class Performance(Section):
    """What is asked of an image's speed, and how long that may take."""

    latency_limit: str = Field("5%", pattern=_SHARE, description="by how much users may wait longer, such as 5%")
    throughput_limit: str = Field(
        "5%", pattern=_SHARE, description="how much less the server may give in a second, such as 5%"
    )
    llama_bench_limit: str = Field(
        "3%", pattern=_SHARE, description="how much less llama-bench may give in a second, such as 3%"
    )
    confidence: str = Field(
        "98%", pattern=r"^[5-9][0-9](\.[0-9]{1,2})?%$", description="how sure an answer has to be, such as 98%"
    )
    effort: EffortName = Field("usual", description="how much a run asks: quick, usual or thorough")
    rounds: int = Field(16, ge=2, le=200, description="rounds, at most; a regression is confirmed by as many again")
    time_limit: int = Field(600, ge=0, le=86400, description="seconds for all rounds together; 0: no limit")
