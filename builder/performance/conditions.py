"""What goes on around a run: the GPU's clock, temperature and power, and neighbours on the GPU and on the processor.

A run under other conditions than the rest says nothing about its subject, and is set aside with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.engine.nvml import GpuSample, GpuWatch

_PERIOD = 0.25
"""Seconds between two looks; one look takes a few milliseconds."""
_SLOWED = ("hardware slowdown", "temperature", "temperature (hardware)", "power brake")
"""What holds clocks down because something is wrong. The power cap is not among them: many GPUs meet it at every full
load, for every subject alike; its share of the time is told."""
_CAPPED = "power cap"
SLOWED_SHARE = 0.02
"""Of the looks at a GPU: one in fifty."""
NEIGHBOUR = 0.5
"""Cores that others may take on the average while a subject computes on the processor."""
NEIGHBOURS_UNSEEN = (
    "Nothing tells how much of the processor others took: measure on this machine itself, where containers' control "
    "groups can be read."
)
_MIB = 1 << 20
_STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Conditions:
    """What was seen.

    Attributes:
        figures: by name, such as `gpu_clock_mhz`.
        set_aside: why a run under them does not count; empty where it does.
        unseen: what would set a run aside and could not be looked for, as a sentence; empty where all could.
    """

    figures: Mapping[str, float] = field(default_factory=dict)
    set_aside: str = ""
    unseen: str = ""


class Watch:
    """Looks at the GPU again and again in a thread of its own.

    Args:
        gpu: None where none is used.

    Attributes:
        samples: what was seen so far.
    """

    def __init__(self, gpu: GpuWatch | None) -> None:
        self._gpu = gpu
        self._ended = Event()
        self.samples: list[GpuSample] = []
        self.before: frozenset[int] = frozenset()
        self.memory_before = 0
        self._thread = Thread(target=self._look, daemon=True)

    def begin(self) -> None:
        """Remember what is on the GPU before anything of ours is, and start to look."""
        if self._gpu is None:
            return
        first = self._gpu.sample()
        self.before = frozenset(process.pid for process in first.processes or ())
        self.memory_before = first.memory_used or 0
        self._thread.start()

    @property
    def used(self) -> bool:
        """Whether there is a GPU to look at."""
        return self._gpu is not None

    @property
    def absence(self) -> str:
        """Why nothing can be seen of it, as a sentence; empty where it can."""
        return self._gpu.absence if self._gpu else ""

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def gpu_memory(self) -> float | None:
        """MiB of the GPU's memory that came into use since it began; None where the driver does not tell."""
        held = self._gpu.sample().memory_used if self._gpu else None
        return None if held is None else max(0, held - self.memory_before) / _MIB

    def _look(self) -> None:
        assert self._gpu is not None
        while not self._ended.wait(_PERIOD):
            self.samples.append(self._gpu.sample())


@contextmanager
def watching(gpu: GpuWatch | None) -> Iterator[Watch]:
    """Watch while the context lasts."""
    watch = Watch(gpu)
    watch.begin()
    try:
        yield watch
    finally:
        watch.end()


def gpu_conditions(watch: Watch) -> Conditions:
    """What the looks at the GPU come to: those at which it worked, where it ever did."""
    samples = [sample for sample in watch.samples if sample.utilisation] or watch.samples
    figures: dict[str, float] = {}
    for name, values in _series(samples).items():
        if values:
            figures |= {
                f"{name}_min": min(values),
                f"{name}_mean": sum(values) / len(values),
                f"{name}_max": max(values),
            }
    told = [sample.reasons for sample in samples if sample.reasons is not None]
    if not told:
        return Conditions(figures, unseen=slowdown_unseen(watch.absence) if watch.used else "")
    slowed = [reasons for reasons in told if set(reasons) & set(_SLOWED)]
    figures["gpu_slowed_share"] = len(slowed) / len(told)
    figures["gpu_power_capped_share"] = sum(_CAPPED in reasons for reasons in told) / len(told)
    if len(slowed) / len(told) <= SLOWED_SHARE:
        return Conditions(figures)
    why = ", ".join(dict.fromkeys(reason for reasons in slowed for reason in reasons if reason in _SLOWED))
    return Conditions(figures, f"The GPU was slowed down ({why}) in {len(slowed)} of {len(told)} looks.")


def slowdown_unseen(absence: str) -> str:
    """That a GPU may have been slowed down without anybody seeing it.

    Args:
        absence: why nothing can be seen of it; empty where only that is not told.
    """
    why = absence or "Its driver does not tell."
    return f"Nothing tells whether the GPU was slowed down by heat or for want of power. {why}"


def gpu_neighbours(watch: Watch, own: frozenset[int]) -> Conditions:
    """Processes that were on the GPU before ours, or came and are none of ours.

    Where a driver counts processes otherwise than we do, as between containers, ours are not among those it names; then
    only those tell that were there before.

    Args:
        own: processes of the containers that are measured.
    """
    unseen = _neighbours_unseen(watch, own) if watch.used else ""
    seen = {process.pid for sample in watch.samples for process in sample.processes or ()}
    foreign = seen & watch.before
    if own & seen:
        foreign = (seen - own) | foreign
    if not foreign:
        return Conditions(unseen=unseen)
    who = ", ".join(f"process {pid}" for pid in sorted(foreign)[:3])
    return Conditions({}, f"Another process was on the GPU ({who}).", unseen)


def _neighbours_unseen(watch: Watch, own: frozenset[int]) -> str:
    told = [sample.processes for sample in watch.samples if sample.processes is not None]
    if not told:
        return f"Nothing tells which processes are on the GPU. {watch.absence or 'Its driver does not tell.'}"
    if own & {process.pid for processes in told for process in processes}:
        return ""
    return "The driver counts processes otherwise than this machine: neighbours that come to the GPU are not seen."


def _series(samples: list[GpuSample]) -> Mapping[str, list[float]]:
    fields: Mapping[str, Callable[[GpuSample], float | None]] = {
        "gpu_clock_mhz": lambda sample: sample.sm_clock,
        "gpu_temperature": lambda sample: sample.temperature,
        "gpu_power_w": lambda sample: sample.power,
    }
    return {name: [value for sample in samples if (value := of(sample)) is not None] for name, of in fields.items()}


@dataclass(frozen=True)
class Moment:
    """Processor time so far.

    Attributes:
        at: on the monotonic clock.
        busy: seconds of all processors together; None where the kernel does not tell.
        own: seconds of this process.
    """

    at: float
    busy: float | None
    own: float


def look_at_processor() -> Moment:
    """Processor time of this machine and of this process."""
    times = os.times()
    return Moment(monotonic(), _busy(), times.user + times.system)


def processor_conditions(
    before: Moment, after: Moment, container: float | None, *, on_gpu: bool, during: str = ""
) -> Conditions:
    """How many cores others took meanwhile.

    Args:
        container: seconds that the measured container took.
        on_gpu: the subject computes on a GPU; the processor's neighbours are then told and decide nothing.
        during: what ran meanwhile, which names the figure; empty for the server under load.
    """
    seconds = after.at - before.at
    if container is None or before.busy is None or after.busy is None or seconds <= 0:
        return Conditions(unseen="" if on_gpu else NEIGHBOURS_UNSEEN)
    foreign = max(0.0, after.busy - before.busy - (after.own - before.own) - container) / seconds
    when = f"while {during} ran" if during else "meanwhile"
    why = f"Others took {foreign:.1f} of this machine's cores {when}." if foreign > NEIGHBOUR and not on_gpu else ""
    return Conditions({f"foreign_cores/{during}" if during else "foreign_cores": foreign}, why)


def parse_busy(text: str, ticks: int) -> float | None:
    """Seconds in which processors worked, in the text of /proc/stat, time stolen by other machines included."""
    row = next((line.split() for line in text.splitlines() if line.startswith("cpu ")), [])
    if len(row) < 9 or not all(cell.isdecimal() for cell in row[1:9]):  # noqa: PLR2004
        return None
    user, nice, system, _idle, _waiting, irq, softirq, steal = map(int, row[1:9])
    return (user + nice + system + irq + softirq + steal) / ticks


def _busy() -> float | None:
    try:
        return parse_busy(_STAT.read_text(encoding="utf-8"), os.sysconf("SC_CLK_TCK"))
    except OSError:
        return None
