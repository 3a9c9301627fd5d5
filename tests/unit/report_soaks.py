"""Records of soaks as they would have been left, with noise from a fixed seed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np

from builder.performance.soak.figures import figures, rounded
from builder.performance.soak.record import CheckRecord, RequestRecord, SeriesRecord, SoakRecord
from builder.performance.soak.series import Asked, Ended, Sample, Series
from tests.unit.report_records import MACHINE, STARTED, subject

_SLOTS = 4


def series(seconds: int = 600, *, period: int = 5, errors: int = 0, leak: float = 0.0) -> Series:
    """Ten minutes of load.

    Args:
        errors: requests without an answer.
        leak: MiB a second by which the container's memory grows.
    """
    random = np.random.default_rng(3)
    requests: list[Asked] = []
    for number, sent in enumerate(np.arange(0, seconds, 2.0)):
        first = float(sent + random.gamma(3, 0.05))
        lost = number % 50 == 7 and number // 50 < errors
        requests.append(
            Asked("turn", float(sent), first + 1, Ended.ERROR, error="The server closed the connection.")
            if lost
            else Asked("turn", float(sent), first + 1.1, Ended.ANSWERED, first, 900, 700, 128, 0.0)
        )
    samples = tuple(
        Sample(
            float(at),
            {
                "in_flight": float(random.integers(0, 3)),
                "requests_processing": float(random.integers(0, 3)),
                "requests_deferred": float(random.random() < 0.05),
                "slots_busy": float(random.integers(0, 3)),
                "prompt_tokens": 100.0 * at,
                "prompt_tokens_cached": 350.0 * at,
                "tokens_predicted": 64.0 * at + random.random(),
                "container_memory": 800 + leak * at + random.normal(0, 2),
                "container_processor": 0.4 * at,
                "gpu_memory": 7420.0,
                "gpu_utilisation": float(random.integers(30, 90)),
                "gpu_power": float(random.normal(240, 12)),
            },
        )
        for at in range(0, seconds, period)
    )
    return Series(samples, tuple(requests))


def soak(seen: Series | None = None, **other: Any) -> SoakRecord:
    """A soak's record; anything of it may be otherwise."""
    seen = seen or series()
    known = {
        "product": "0.1.0",
        "started": STARTED,
        "ended": STARTED + timedelta(seconds=seen.seconds),
        "subject": subject("A", "b10995"),
        "machine": MACHINE,
        "arguments": {"rate": "30 a minute", "minutes": "10"},
        "limits": {"errors": "0"},
        "series": SeriesRecord.of(seen.samples),
        "requests": tuple(map(RequestRecord.of, seen.requests)),
        "figures": rounded(figures(seen, _SLOTS, 8)),
        "checks": (
            CheckRecord(name="errors", outcome="pass", detail="Every request was answered."),
            CheckRecord(name="memory", outcome="pass", detail="The container's memory grows by 0.1 MiB an hour."),
        ),
        "outcome": "pass",
    }
    return SoakRecord(**known | other)
