"""Does a server's memory, and what it holds of its GPU's, stay what it is while it answers?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from time import monotonic

from builder.engine.nvml import GpuSample, watch_gpu
from builder.gates.finding import Finding, bad, good, unknown
from builder.gates.smoke.gpu_memory import gpu_memory
from builder.gates.smoke.live import Live
from builder.gates.smoke.pace import TEXT
from builder.gates.smoke.slope import slope
from builder.gates.verdict import Check, Outcome

NAME = "memory"
_WARM_UP = 20
"""Requests after which buffers have found their size."""
_ROUNDS, _IN_A_ROUND = 12, 10
_FEWEST = 4
_LONG = 120.0
"""Seconds that all rounds may be expected to take; on slower machines there are fewer."""
_TOKENS = 2
_MOST = 16 << 10
"""Bytes for each request by which it may grow: real servers grew by none over hundreds of requests, and a leak of one
such request a second would be 1.4 GB a day."""
_KIB, _MIB = 1 << 10, 1 << 20


def memory(live: Live) -> Finding:
    """Is memory flat over many short requests that are all alike, the GPU's too?"""
    rounds = rounds_for(_ask(live, _WARM_UP))
    held: list[Mapping[int, int]] = []
    samples: list[GpuSample] = []
    with ExitStack() as stack:
        watch = stack.enter_context(watch_gpu(live.trial.gpu.uuid)) if live.trial.gpu else None
        for number in range(rounds + 1):
            if number:
                _ask(live, _IN_A_ROUND)
            held.append(live.server.processes())
            if watch:
                samples.append(watch.sample())
    finding = _of_processes(held)
    if not samples:
        return finding
    own = {pid for processes in held for pid in processes}
    return _both(finding, gpu_memory(NAME, samples, own, _IN_A_ROUND, _scale(rounds)))


def rounds_for(each: float) -> int:
    """How many there are where a request takes so many seconds."""
    return max(_FEWEST, min(_ROUNDS, int(_LONG / max(each * _IN_A_ROUND, _LONG / _ROUNDS))))


def _scale(rounds: int) -> float:
    """How much more growth may be in fewer rounds: one page that comes late is no leak, however few they are."""
    return _ROUNDS / rounds


def _of_processes(held: Sequence[Mapping[int, int]]) -> Finding:
    if not all(held):
        return unknown(NAME, "The engine does not tell how much memory its processes hold.")
    known = [sum(processes.values()) for processes in held]
    rounds = len(known) - 1
    growth, most = slope(known) / _IN_A_ROUND, _MOST * _scale(rounds)
    fewer = f" There were {rounds} rounds instead of {_ROUNDS}, for it is slow." if rounds < _ROUNDS else ""
    figures = {"memory_mib": round(known[-1] / _MIB, 1), "growth_kib_per_request": round(growth / _KIB, 2)}
    asked = rounds * _IN_A_ROUND
    if growth > most:
        grew = f"It grows by {growth / _KIB:.0f} KiB with each of {asked} short requests that are all alike"
        return bad(NAME, f"{grew}; {most / _KIB:.0f} KiB may be.{fewer}", (), figures)
    grown = f"growing by {growth / _KIB:.1f} KiB with each of" if growth > 0 else "not growing over"
    detail = f"{known[-1] / _MIB:.0f} MiB, {grown} {asked} requests.{fewer}"
    return good(NAME, detail, figures)


def _both(host: Finding, gpu: Finding) -> Finding:
    """One finding of two: the worse decides, and what it says comes first."""
    figures = {**host.measurements, **gpu.measurements}
    order = (Outcome.FAIL, Outcome.UNJUDGED, Outcome.PASS)
    first, second = sorted((host.check, gpu.check), key=lambda check: order.index(check.outcome))
    return Finding(Check(NAME, first.outcome, f"{first.detail} {second.detail}", first.excerpt), figures)


def _ask(live: Live, times: int) -> float:
    """Ask so many times; seconds that each took."""
    began = monotonic()
    for _ in range(times):
        if live.profile.embeddings:
            live.client.embed([TEXT])
        else:
            live.client.complete(TEXT, _TOKENS)
    return (monotonic() - began) / times
