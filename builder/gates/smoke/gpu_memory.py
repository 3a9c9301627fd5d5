"""Does what a server holds of a GPU's memory stay what it is while it answers?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from builder.engine.nvml import GpuProcess, GpuSample
from builder.gates.finding import Finding, bad, good, unknown
from builder.gates.smoke.slope import slope
from builder.gates.verdict import unjudged

_MOST = 64 << 10
"""Bytes for each request by which it may grow. The driver hands out pages of 2 MiB: over 120 requests this is less than
four of them, and a leak of it at one request a second would be 5.7 GB a day."""
_KIB, _MIB = 1 << 10, 1 << 20
_SHOWN = 3


@dataclass(frozen=True)
class _Series:
    """What was held at each sample, in bytes.

    Attributes:
        by: whose memory it is.
        shared: whether others than the server may have a part in it.
    """

    held: Sequence[int]
    by: str
    shared: bool


def gpu_memory(
    name: str, samples: Sequence[GpuSample], own: Collection[int], requests: int, scale: float = 1.0
) -> Finding:
    """Is the GPU's memory flat over many short requests that are all alike?

    The memory of the server's own processes is judged where the driver tells it, else that of the whole GPU, which says
    nothing while others use it and it grows.

    Args:
        name: the check's.
        own: the server's processes.
        requests: between two samples.
        scale: how many times the usual growth may be, for fewer samples than usual.
    """
    neighbours = _neighbours(samples, own)
    series = _of_processes(samples, own) or _of_gpu(samples, shared=bool(neighbours))
    if series is None:
        return unknown(
            name, f"The GPU's memory could not be watched. {samples[-1].unknown.get('memory_used', '')}".strip()
        )
    growth, most = slope(series.held) / requests, _MOST * scale
    figures = {
        "gpu_memory_mib": round(series.held[-1] / _MIB, 1),
        "gpu_growth_kib_per_request": round(growth / _KIB, 2),
        "gpu_neighbours": len(neighbours),
    }
    beside = f" Beside it, this GPU is used by {_spell(neighbours)}." if neighbours else ""
    if growth <= most:
        grown = f"growing by {growth / _KIB:.1f} KiB with each" if growth > 0 else "not growing"
        detail = f"{series.held[-1] / _MIB:.0f} MiB of the GPU's memory {series.by}, {grown}."
        return good(name, f"{detail}{beside}", figures)
    grew = (
        f"The GPU's memory {series.by} grows by {growth / _KIB:.0f} KiB with each of many requests that are all alike"
    )
    if series.shared:
        detail = f"{grew}, and it may be another's.{beside} Judge it while nobody else uses this GPU."
        return Finding(unjudged(name, detail), figures)
    return bad(name, f"{grew}; {most / _KIB:.0f} KiB may be.{beside}", (), figures)


def _of_processes(samples: Iterable[GpuSample], own: Collection[int]) -> _Series | None:
    held: list[int] = []
    for sample in samples:
        mine = [process.memory for process in sample.processes or () if process.pid in own]
        if not mine or None in mine:
            return None
        held.append(sum(memory for memory in mine if memory is not None))
    return _Series(held, "that its processes hold", shared=False)


def _of_gpu(samples: Iterable[GpuSample], *, shared: bool) -> _Series | None:
    used = [sample.memory_used for sample in samples]
    known = [one for one in used if one is not None]
    return _Series(known, "that is in use", shared) if len(known) == len(used) else None


def _neighbours(samples: Iterable[GpuSample], own: Collection[int]) -> tuple[GpuProcess, ...]:
    """Other processes on the GPU; a single one that is not known may be the server's, seen from another container."""
    others = {one.pid: one for sample in samples for one in sample.processes or () if one.pid not in own}
    seen = any(one.pid in own for sample in samples for one in sample.processes or ())
    return tuple(others.values()) if seen or len(others) > 1 else ()


def _spell(processes: Sequence[GpuProcess]) -> str:
    shown = [f"process {one.pid}{_program(one.pid)}{_holding(one)}" for one in processes[:_SHOWN]]
    more = len(processes) - len(shown)
    return ", ".join((*shown, *([f"{more} more"] if more else [])))


def _program(pid: int) -> str:
    with suppress(OSError):
        return f" ({Path(f'/proc/{pid}/comm').read_text(encoding='utf-8', errors='replace').strip()})"
    return ""


def _holding(process: GpuProcess) -> str:
    return "" if process.memory is None else f" with {process.memory / _MIB:.0f} MiB"
