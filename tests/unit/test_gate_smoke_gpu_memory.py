"""What samples of a GPU's memory come to."""

from __future__ import annotations

import os
from collections.abc import Sequence

from builder.engine.nvml import GpuProcess, GpuSample
from builder.gates.finding import Finding
from builder.gates.smoke.gpu_memory import gpu_memory
from builder.gates.verdict import Outcome

MIB = 1 << 20
SERVER, OTHER = 100, 999_999_999
FLAT, GROWING = [800 * MIB] * 13, [(800 + number) * MIB for number in range(13)]


def found(used: Sequence[int | None], *processes: tuple[int, Sequence[int | None]]) -> Finding:
    """Thirteen samples, ten requests apart, of the whole GPU and of processes."""
    samples = [
        GpuSample(
            float(number),
            memory_used=whole,
            processes=tuple(GpuProcess(pid, held[number]) for pid, held in processes),
            unknown={} if whole else {"memory_used": "No driver."},
        )
        for number, whole in enumerate(used)
    ]
    return gpu_memory("memory", samples, {SERVER}, 10)


def test_flat_memory_of_the_server_passes() -> None:
    finding = found(FLAT, (SERVER, FLAT))
    assert finding.check.outcome is Outcome.PASS
    assert finding.measurements == {"gpu_memory_mib": 800.0, "gpu_growth_kib_per_request": 0.0, "gpu_neighbours": 0}


def test_growing_memory_of_the_server_fails() -> None:
    finding = found(GROWING, (SERVER, GROWING))
    assert finding.check.outcome is Outcome.FAIL
    assert "grows by 102 KiB with each of many requests that are all alike; 64 KiB may be" in finding.check.detail


def test_pages_that_the_driver_adds_once_are_no_leak() -> None:
    jumps = [*FLAT[:5], *[804 * MIB] * 8]
    assert found(jumps, (SERVER, jumps)).check.outcome is Outcome.PASS


def test_what_a_neighbour_takes_is_not_blamed_on_the_server() -> None:
    finding = found(GROWING, (SERVER, FLAT), (os.getpid(), GROWING))
    assert finding.check.outcome is Outcome.PASS
    assert finding.measurements["gpu_neighbours"] == 1
    assert f"this GPU is used by process {os.getpid()} (" in finding.check.detail
    assert "with 812 MiB" in finding.check.detail


def test_growth_that_may_be_a_neighbours_is_not_judged() -> None:
    unknown: list[int | None] = [None] * 13
    finding = found(GROWING, (SERVER, unknown), (OTHER, unknown))
    assert finding.check.outcome is Outcome.UNJUDGED
    assert f"process {OTHER}" in finding.check.detail
    assert finding.measurements["gpu_memory_mib"] == 812.0


def test_the_whole_gpu_is_judged_where_the_driver_does_not_tell_of_processes() -> None:
    assert found(FLAT).check.outcome is Outcome.PASS
    assert found(GROWING).check.outcome is Outcome.FAIL
    assert found(GROWING, (OTHER, GROWING)).check.outcome is Outcome.FAIL, "seen from a container, it is the server"


def test_memory_that_nobody_can_watch_is_not_judged() -> None:
    finding = found([None] * 13)
    assert finding.check.outcome is Outcome.UNJUDGED
    assert finding.check.detail == "The GPU's memory could not be watched. No driver."
