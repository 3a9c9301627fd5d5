"""Looks at the server, its container and the GPU every few seconds, in a thread of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

from builder.performance.conditions import look_at_processor
from builder.performance.soak.container import ContainerWatch, Look
from builder.performance.soak.sending import Book
from builder.performance.soak.series import Sample
from builder.server.answers import Deviation
from builder.server.client import Client

if TYPE_CHECKING:
    from builder.engine.container_memory import ContainerMemory
    from builder.engine.nvml import GpuSample, GpuWatch
    from builder.performance.soak.container import Process

_OK = 200
ANSWER = 5.0
"""Seconds that the server has for each of our questions; after those it was not looked at, but all else was."""
_MIB = 1 << 20
_LAST = 15.0
_METRICS: Mapping[str, str] = {
    "requests_processing": "requests_processing",
    "requests_deferred": "requests_deferred",
    "prompt_tokens_total": "prompt_tokens",
    "prompt_tokens_cached_total": "prompt_tokens_cached",
    "tokens_predicted_total": "tokens_predicted",
    "n_decode_total": "decodes",
    "n_busy_slots_per_decode": "busy_slots_per_decode",
}
"""Names in the server's /metrics, and our columns."""
_CACHE = re.compile(r"cache state: \d+ prompts, (?P<size>[\d.]+) MiB")
_TAIL = 1 << 20


class Onlooker:
    """What was seen so far.

    Attributes:
        samples: every look.
        processes: every process that the container ran, in the order in which they were seen.
        peak: the look at which the container held most.
        cores: that the container may use; None where nobody told.
        slow_reasons: what slowed the GPU down, whenever it was.
        ended: the container runs no more, or is gone, or nobody looks any more.
        failure: why nobody looks any more; None where somebody does.
    """

    def __init__(self, book: Book, client: Client, container: ContainerWatch, gpu: GpuWatch | None, log: Path) -> None:
        self._book = book
        self._client = client
        self._container = container
        self._gpu = gpu
        self._cache = _CacheState(log)
        self.samples: list[Sample] = []
        self.processes: list[Process] = []
        self.peak: ContainerMemory | None = None
        self.cores: int | None = None
        self.slow_reasons: dict[str, None] = {}
        self.ended = False
        self.failure: Exception | None = None

    def look(self) -> None:
        """Look once."""
        at, seen = self._book.now(), self._container.look()
        self._note(seen)
        values: dict[str, float | None] = {"in_flight": self._book.in_flight, **self._of_container(seen)}
        if not self.ended:
            values |= self._of_server()
        moment = look_at_processor()
        values |= {"client_processor": moment.own, "machine_processor": moment.busy}
        values["prompt_cache"] = self._cache.read()
        if self._gpu:
            values |= self._of_gpu(self._gpu.sample())
        known = {name: float(value) for name, value in values.items() if value is not None}
        self.samples.append(Sample(at, known))

    def _note(self, seen: Look) -> None:
        self.cores = seen.cores or self.cores
        if seen.memory and (self.peak is None or seen.memory.held > self.peak.held):
            self.peak = seen.memory
        if seen.process is None:
            self.ended = self.ended or seen.gone
            return
        if seen.process not in self.processes:
            self.processes.append(seen.process)
        self.ended = not seen.process.running

    def _of_container(self, seen: Look) -> Mapping[str, float | None]:
        running = seen.process if seen.process and seen.process.running else None
        return {
            "container_memory": seen.memory.held / _MIB if seen.memory else None,
            "container_processor": seen.processor,
            "process": running.pid if running else None,
        }

    def _of_server(self) -> Mapping[str, float | None]:
        began = monotonic()
        healthy = self._client.health(ANSWER) == _OK
        values: dict[str, float | None] = {"health_seconds": monotonic() - began if healthy else None}
        if not healthy:
            return values
        try:
            told = self._client.metrics()
            values |= {column: told.get(name) for name, column in _METRICS.items()}
            values["slots_busy"] = sum(not slot.idle for slot in self._client.slots())
        except Deviation:
            return values
        return values

    def _of_gpu(self, sample: GpuSample) -> Mapping[str, float | None]:
        slowed = sample.throttling
        self.slow_reasons |= dict.fromkeys(slowed or ())
        own = self._container.processes()
        held = [one.memory for one in sample.processes or () if one.pid in own]
        known = [memory for memory in held if memory is not None]
        return {
            "gpu_memory": _mib(sample.memory_used),
            "gpu_memory_own": _mib(sum(known)) if known and len(known) == len(held) else None,
            "gpu_utilisation": sample.utilisation,
            "gpu_clock": sample.sm_clock,
            "gpu_memory_clock": sample.memory_clock,
            "gpu_temperature": sample.temperature,
            "gpu_power": sample.power,
            "gpu_slowed": None if slowed is None else float(bool(slowed)),
        }


@contextmanager
def looking(onlooker: Onlooker, period: float) -> Iterator[Onlooker]:
    """Look at once, every few seconds while the context lasts, and once more at its end.

    Args:
        period: seconds between two looks.

    Raises:
        Exception: a look failed; what is not looked at proves nothing.
    """
    over = Event()
    thread = Thread(target=_again, args=(onlooker, period, over), daemon=True, name="soak")
    thread.start()
    try:
        yield onlooker
    finally:
        over.set()
        thread.join(_LAST)
    if onlooker.failure:
        raise onlooker.failure


def _again(onlooker: Onlooker, period: float, over: Event) -> None:
    due = monotonic()
    try:
        while not over.wait(max(0.0, due - monotonic())):
            onlooker.look()
            due = max(due + period, monotonic())
        onlooker.look()
    except Exception as error:  # noqa: BLE001 it is raised by the thread that waits for this one
        onlooker.failure, onlooker.ended = error, True


class _CacheState:
    """What a server's log says last of the prompts that it keeps in memory, which newer servers do."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self._size: float | None = None

    def read(self) -> float | None:
        """MiB; None where it has not said so."""
        try:
            with self._log.open("rb") as stream:
                end = stream.seek(0, os.SEEK_END)
                stream.seek(max(self._read, end - _TAIL))
                said = stream.read()
        except OSError:
            return self._size
        self._read = end - len(said.rpartition(b"\n")[2])
        for found in _CACHE.finditer(said.decode(errors="replace")):
            self._size = float(found["size"])
        return self._size


def _mib(size: int | None) -> float | None:
    return None if size is None else size / _MIB
