"""llama-bench run once, with what went on around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import TYPE_CHECKING

from builder.errors import BuilderError
from builder.performance.conditions import (
    Conditions,
    Moment,
    Watch,
    gpu_neighbours,
    look_at_processor,
    processor_conditions,
)
from builder.performance.llama_bench import run_bench
from builder.performance.resources import Meter

if TYPE_CHECKING:
    from builder.engine.client import Engine
    from builder.performance.effort import Work
    from builder.performance.prepare import Prepared
    from builder.performance.tools import Tools

_PERIOD = 0.1
"""Seconds between two readings; one reads a few files of the kernel."""
_NAME = "llama-bench"
_NOTHING = (Moment(0.0, None, 0.0), 0.0)


@dataclass(frozen=True)
class BenchRun:
    """What came of one.

    Attributes:
        samples: tokens per second by metric.
        conditions: what was seen while it ran.
    """

    samples: Mapping[str, tuple[float, ...]]
    conditions: tuple[Conditions, ...]


def take_bench(
    prepared: Prepared, work: Work, tools: Tools, watch: Watch, own: frozenset[int] = frozenset()
) -> BenchRun:
    """Run a subject's llama-bench, and look meanwhile at what others do to the processor and the GPU.

    Args:
        prepared: a subject that has a llama-bench.
        watch: what has watched its GPU since before anything of the subject was on it.
        own: processes of the subject that were on that GPU before.

    Raises:
        CouldNotMeasure: it failed, took too long, computed elsewhere, or measured nothing.
        MachineError: no engine answers.
    """
    assert prepared.bench is not None
    on_gpu = prepared.subject.on_gpu
    with TemporaryDirectory(prefix="llama-bench-") as folder:
        identity = Path(folder) / "container"
        with _overseeing(identity, tools.engine) as seen:
            samples = run_bench(
                prepared.bench,
                prepared.subject.profile,
                prepared.serving,
                work,
                tools,
                on_gpu=on_gpu,
                identity=identity,
            )
    around = seen.conditions(on_gpu=on_gpu)
    return BenchRun(samples, (around, gpu_neighbours(watch, own | seen.processes)))


class _Overseer:
    """Reads what a container takes for as long as it runs; its control group is gone with it."""

    def __init__(self, identity: Path, engine: Engine) -> None:
        self._identity = identity
        self._engine = engine
        self._readings: list[tuple[Moment, float]] = []
        self.processes: frozenset[int] = frozenset()

    def conditions(self, *, on_gpu: bool) -> Conditions:
        """How many cores others took between the first reading and the last."""
        ends = (self._readings[0], self._readings[-1]) if self._readings else (_NOTHING, _NOTHING)
        (before, first), (after, last) = ends
        return processor_conditions(before, after, last - first, on_gpu=on_gpu, during=_NAME)

    def watch(self, over: Event) -> None:
        """Read again and again until it is over; an engine that does not answer leaves it unknown."""
        meter: Meter | None = None
        with suppress(BuilderError):
            while not over.wait(_PERIOD):
                meter = meter or self._meter()
                spent = meter.read().processor if meter else None
                if spent is not None:
                    self._readings.append((look_at_processor(), spent))

    def _meter(self) -> Meter | None:
        try:
            container = self._identity.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        meter = Meter(container, self._engine) if container else None
        if meter is None or meter.process is None:
            return None
        self.processes = frozenset({meter.process})
        return meter


@contextmanager
def _overseeing(identity: Path, engine: Engine) -> Iterator[_Overseer]:
    overseer, over = _Overseer(identity, engine), Event()
    thread = Thread(target=overseer.watch, args=(over,), daemon=True, name=_NAME)
    thread.start()
    try:
        yield overseer
    finally:
        over.set()
        thread.join()
