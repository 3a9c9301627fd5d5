"""What builder.toml asks of speed, as the judgement takes it."""

from __future__ import annotations

from builder.performance.rules import Rules
from builder.performance.samples import Family
from builder.section import parse_share
from builder.speed import Performance

_LEAST = 3
"""Rounds before the first look, where there may be so many."""


def rules_of(wanted: Performance) -> Rules:
    """The rules of a comparison."""
    return Rules(
        allowed={
            Family.LATENCY: parse_share(wanted.latency_limit),
            Family.THROUGHPUT: parse_share(wanted.throughput_limit),
            Family.LLAMA_BENCH: parse_share(wanted.llama_bench_limit),
        },
        confidence=parse_share(wanted.confidence),
        least_rounds=min(_LEAST, wanted.rounds),
        most_rounds=wanted.rounds,
        time_limit=float(wanted.time_limit),
    )
