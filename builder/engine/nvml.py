"""What the driver tells of a GPU while it works, through NVIDIA's management library (NVML).

The library comes with the driver. Where it is missing, too old for a question, or refuses one, the answer is None and
the reason is kept; nothing raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

_MILLI = 1000
_REASONS = {
    0x1: "idle",
    0x2: "clocks set",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "temperature",
    0x40: "temperature (hardware)",
    0x80: "power brake",
    0x100: "display clocks",
}
"""NVML's bits of what holds clocks below their maximum."""
_INTENDED = ("idle", "clocks set", "display clocks")
"""Reasons that are no sign of a GPU that cannot do what it should."""


@dataclass(frozen=True)
class GpuProcess:
    """A process that has something on a GPU.

    Attributes:
        pid: as this machine counts, whatever container it is in.
        memory: bytes of the GPU's memory that it holds; None where the driver does not tell.
    """

    pid: int
    memory: int | None


@dataclass(frozen=True)
class GpuSample:
    """One look at a GPU. What could not be known is None.

    Attributes:
        at: when, on the monotonic clock.
        sm_clock: MHz of the multiprocessors; `memory_clock` of the memory; both with their maximum.
        temperature: degrees Celsius.
        power: W that it draws; `power_limit` is what it may draw.
        utilisation: percent of the last moments in which it computed; `memory_utilisation` in which memory was moved.
        memory_used: bytes, the driver's own included.
        memory_total: bytes.
        reasons: what holds the clocks below their maximum.
        processes: that have something on it.
        unknown: why a field is None, by its name.
    """

    at: float
    sm_clock: int | None = None
    sm_clock_max: int | None = None
    memory_clock: int | None = None
    memory_clock_max: int | None = None
    temperature: int | None = None
    power: float | None = None
    power_limit: float | None = None
    utilisation: int | None = None
    memory_utilisation: int | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    reasons: tuple[str, ...] | None = None
    processes: tuple[GpuProcess, ...] | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)

    @property
    def throttling(self) -> tuple[str, ...] | None:
        """What holds the clocks down although there is work to do; None where the driver does not tell."""
        return None if self.reasons is None else tuple(one for one in self.reasons if one not in _INTENDED)


class GpuWatch:
    """A GPU that can be looked at again and again.

    Attributes:
        absence: why nothing can be seen of it, as a sentence; empty where it can.
    """

    def __init__(self, nvml: Any = None, handle: Any = None, absence: str = "") -> None:
        self._nvml = nvml
        self._handle = handle
        self.absence = absence

    def sample(self) -> GpuSample:
        """Look once; takes a few milliseconds."""
        at = monotonic()
        if self.absence:
            return GpuSample(at, unknown=dict.fromkeys(_QUESTIONS, self.absence))
        known: dict[str, Any] = {}
        unknown: dict[str, str] = {}
        for name, question in _QUESTIONS.items():
            try:
                known[name] = question(self._nvml, self._handle)
            except self._nvml.NVMLError as error:
                unknown[name] = f"The driver does not tell: {error}."
        return GpuSample(at, **known, unknown=unknown)


@contextmanager
def watch_gpu(uuid: str) -> Iterator[GpuWatch]:
    """Watch the GPU of this machine with that UUID while the context lasts."""
    try:
        import pynvml  # type: ignore[import-untyped]
    except ImportError as error:
        yield GpuWatch(absence=f"The Python package nvidia-ml-py cannot be used: {error}.")
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        yield GpuWatch(absence=f"The driver's library libnvidia-ml.so.1 cannot be used: {error}.")
        return
    try:
        yield _watch(pynvml, uuid)
    finally:
        pynvml.nvmlShutdown()


def _watch(nvml: Any, uuid: str) -> GpuWatch:
    try:
        return GpuWatch(nvml, nvml.nvmlDeviceGetHandleByUUID(uuid))
    except nvml.NVMLError as error:
        return GpuWatch(absence=f"The driver's library does not know the GPU {uuid}: {error}.")


def _processes(nvml: Any, gpu: Any) -> tuple[GpuProcess, ...]:
    found = (*_asked(nvml, gpu, "nvmlDeviceGetComputeRunningProcesses"), *_graphical(nvml, gpu))
    return tuple({one.pid: GpuProcess(one.pid, one.usedGpuMemory) for one in found}.values())


def _graphical(nvml: Any, gpu: Any) -> list[Any]:
    try:
        return _asked(nvml, gpu, "nvmlDeviceGetGraphicsRunningProcesses")
    except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
        return []


def _asked(nvml: Any, gpu: Any, question: str) -> list[Any]:
    """Drivers before 510 know only the second form of the question."""
    try:
        answer: list[Any] = getattr(nvml, f"{question}_v3")(gpu)
    except nvml.NVMLError_FunctionNotFound:
        answer = getattr(nvml, f"{question}_v2")(gpu)
    return answer


def _reasons(nvml: Any, gpu: Any) -> tuple[str, ...]:
    """Drivers before 535 know the question by its older name only."""
    try:
        bits = nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu)
    except nvml.NVMLError_FunctionNotFound:
        bits = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)
    return tuple(words for bit, words in _REASONS.items() if bits & bit)


_QUESTIONS: Mapping[str, Callable[[Any, Any], object]] = {
    "sm_clock": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "sm_clock_max": lambda nvml, gpu: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "memory_clock": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
    "memory_clock_max": lambda nvml, gpu: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_MEM),
    "temperature": lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    "power": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / _MILLI,
    "power_limit": lambda nvml, gpu: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / _MILLI,
    "utilisation": lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
    "memory_utilisation": lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).memory,
    "memory_used": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
    "memory_total": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total,
    "reasons": _reasons,
    "processes": _processes,
}
