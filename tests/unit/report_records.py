"""Records as a bench would have left them, with figures of a usual size and noise from a fixed seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np

from builder.performance.comparison import questions
from builder.performance.interleaving import order
from builder.performance.metrics import metric
from builder.performance.planner import assess
from builder.performance.record import (
    GpuRecord,
    JudgementRecord,
    MachineRecord,
    ModelRecord,
    Record,
    SubjectRecord,
    record_of_rules,
    records_of_metrics,
    records_of_runs,
)
from builder.performance.rules import Rules, Statistic
from builder.performance.samples import Better, Run

STARTED = datetime(2026, 10, 1, 12, tzinfo=UTC)
CHAT: Mapping[str, tuple[float, int]] = {
    "ttft/short": (0.0123, 12),
    "ttft/2k": (0.231, 6),
    "ttft/10": (0.184, 30),
    "itl/10": (0.0312, 240),
    "e2e/2k": (0.94, 6),
    "generation/alone": (118.0, 12),
    "throughput/10": (402.0, 1),
    "llama-bench/pp512": (8900.0, 5),
    "llama-bench/tg64": (124.0, 5),
    "start/healthy": (2.4, 1),
    "start/first-request": (0.31, 1),
    "memory/gpu": (7420.0, 1),
    "memory/container": (812.0, 1),
    "processor/load": (9.1, 1),
}
"""Of a chat: what a run usually comes to, and its samples."""
GPU = GpuRecord(
    name="NVIDIA GeForce RTX 3090",
    uuid="GPU-0f3c4c6e-8a7b-4c2d-9c11-aaaaaaaaaaaa",
    memory=24 * 2**30,
    compute_capability="8.6",
    driver="580.65.06",
    power_limit=350.0,
)
MACHINE = MachineRecord(
    host="h1",
    processor="AMD EPYC 7502",
    cores=32,
    memory=2**37,
    system="Debian GNU/Linux 12 (bookworm)",
    kernel="6.1.0-32",
    engine="28.3.1",
    gpus=(GPU,),
)


def subject(name: str, build: str = "", **other: Any) -> SubjectRecord:
    known = {
        "name": name,
        "reference": f"local-ai-llama:{build}-cuda13.0-1e2285f6a7" if build else "local-ai-llama:candidate",
        "image": "sha256:" + (name.lower() * 64)[:64],
        "repository": "local-ai-llama",
        "build": build,
        "profile": "chat",
        "settings": {"context": "32768", "ubatch": "512", "flash-attention": "on"},
        "model": ModelRecord(name="model-8b-q4_k_m.gguf", digest="sha256:" + "1" * 64, size=4_920_000_000),
    }
    return SubjectRecord(**known | other)


def runs(
    rounds: int,
    worse: Mapping[str, float] | None = None,
    *,
    subjects: Sequence[str] = ("A", "B"),
    figures: Mapping[str, tuple[float, int]] = CHAT,
    scatter: float = 0.008,
    seed: int = 1,
) -> list[Run]:
    """Rounds of all subjects.

    Args:
        worse: by figure, how much worse each subject is than the one before it, as a share.
    """
    random = np.random.default_rng(seed)
    made: list[Run] = []
    for number in range(1, rounds + 1):
        for name in order(subjects, number):
            samples = {}
            for figure, (usual, count) in figures.items():
                share = (worse or {}).get(figure, 0.0)
                loss = subjects.index(name) * math.log1p(share) + random.normal(0, scatter)
                sign = 1 if metric(figure).better is Better.LOWER else -1
                tail = random.gamma(2.0, 0.03, count) if metric(figure).better is Better.LOWER else np.zeros(count)
                samples[figure] = tuple((usual * np.exp(sign * loss + random.normal(0, 0.01, count) + tail)).tolist())
            made.append(Run(name, number, len(made), samples, {"gpu_clock_mhz_mean": 1695.0}))
    return made


def record(
    measured: Sequence[Run] | None = None, *, tails: tuple[Statistic, ...] = (Statistic.P95,), **other: Any
) -> Record:
    """A record of some runs, judged as a bench does; anything of it may be otherwise."""
    known = _usual(tails) if measured is None else _judged(measured, tails)
    return Record(**{**known, **other})


@cache
def _usual(tails: tuple[Statistic, ...]) -> Mapping[str, Any]:
    """What most tests need, judged once for all."""
    return _judged(runs(6), tails)


def _judged(taken: Sequence[Run], tails: tuple[Statistic, ...]) -> Mapping[str, Any]:
    metrics = [metric(name) for name in dict.fromkeys(name for run in taken for name in run.samples)]
    names = list(dict.fromkeys(run.subject for run in taken))
    rules = Rules(most_rounds=8)
    standing = assess(taken, questions(metrics, tails), rules) if set(names) == {"A", "B"} else None
    return {
        "product": "0.1.0",
        "started": STARTED,
        "ended": STARTED + timedelta(minutes=4, seconds=12),
        "subjects": tuple(subject(name, f"b{10991 + 4 * place}") for place, name in enumerate(names)),
        "machine": MACHINE,
        "arguments": {"users": "10", "lengths": "short, 2k", "repetitions": "5"},
        "metrics": records_of_metrics(metrics),
        "rules": record_of_rules(rules),
        "runs": records_of_runs(taken),
        "judgements": tuple(map(JudgementRecord.of, standing.judgements)) if standing else (),
        "outcome": standing.outcome if standing else None,
    }
