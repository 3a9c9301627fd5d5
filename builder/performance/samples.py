"""What is measured, and what came of measuring it once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Better(StrEnum):
    """Which way a figure is better."""

    LOWER = "lower"
    HIGHER = "higher"


class Family(StrEnum):
    """Where a figure comes from; thresholds are set for a family."""

    LATENCY = "latency"
    """seconds that a user waits: first token, between tokens, whole answers"""
    THROUGHPUT = "throughput"
    """tokens or vectors that the server gives in a second"""
    LLAMA_BENCH = "llama-bench"
    """tokens in a second by llama-bench, without a server"""
    START = "start"
    """seconds until it is healthy, and of its first request"""
    RESOURCE = "resource"
    """memory and processor time; told, never a reason to fail"""


@dataclass(frozen=True)
class Metric:
    """One figure.

    Attributes:
        name: such as `ttft/2k`, `throughput/10`, `llama-bench/pp512`.
        unit: such as `s`, `tokens/s`, `MiB`.
    """

    name: str
    unit: str
    better: Better
    family: Family


@dataclass(frozen=True)
class Run:
    """One subject measured once, in containers of its own.

    Attributes:
        subject: `A` or `B`, or the number of a sweep's subject.
        round: rounds count from 1; in each, every subject is measured equally often.
        order: place among all runs, from 0.
        samples: by the metric's name, in the order they were taken; a figure that is there once is a tuple of one.
        conditions: what was watched beside it, such as `gpu_clock_mhz`.
        set_aside: why it does not count, such as throttling; empty where it does.
    """

    subject: str
    round: int
    order: int
    samples: Mapping[str, tuple[float, ...]]
    conditions: Mapping[str, float] = field(default_factory=dict)
    set_aside: str = ""
