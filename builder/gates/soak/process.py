"""Was it one process from beginning to end, in good health, with memory and processor time to spare?"""

from __future__ import annotations

from itertools import pairwise

from builder.gates.finding import Finding, bad, good, unknown
from builder.gates.serving.ending import in_words
from builder.gates.soak.limits import Limits
from builder.performance.soak.figures import busiest_minute, processor_share
from builder.performance.soak.run import Soaked
from builder.performance.soak.series import Series
from builder.server.log import LogFacts
from builder.server.running import ServerState

_HEALTH = 5.0
"""Seconds within which a container's health check expects its answer."""
_COUNTERS = ("prompt_tokens", "tokens_predicted", "decodes")


def same_process(soaked: Soaked, state: ServerState, facts: LogFacts, memory: str) -> Finding:
    """Was it the same process all along?

    Args:
        state: how the engine says it is at the end.
        memory: the container's limit.
    """
    name = "process"
    if not state.running:
        asked = len(soaked.series.requests)
        lines = tuple(dict.fromkeys((*facts.complaints[-4:], *facts.last[-4:])))
        at = _last_seen(soaked.series)
        return bad(name, f"The server {in_words(state, memory)} {at} and {asked} requests.", lines)
    if not soaked.processes:
        return unknown(name, "The engine did not tell which process the container runs.")
    runs = {(one.pid, one.started) for one in soaked.processes if one.running}
    if len(runs) > 1 or any(one.restarts for one in soaked.processes):
        return bad(name, f"The engine started the server {len(runs)} times. See its log for why it ended.")
    if fallen := _fallen(soaked.series):
        return bad(name, f"The counter {fallen} fell: what answers began anew in the middle. See its log.")
    (pid, _) = next(iter(runs), (0, ""))
    return good(name, f"It was process {pid} at each of {len(soaked.series.samples)} looks, and never began anew.")


def out_of_memory(soaked: Soaked, state: ServerState, memory: str) -> Finding:
    """Was nothing of it ended for want of memory?"""
    name = "out-of-memory"
    if state.out_of_memory or any(one.out_of_memory for one in soaked.processes):
        advice = "Raise the profile's memory-limit, or lower its context, batch or slots"
        return bad(name, f"The kernel ended a process of it for want of memory; {memory} may be had. {advice}.")
    if not soaked.processes:
        return unknown(name, "The engine did not tell whether a process was ended for want of memory.")
    return good(name, "Nothing was ended for want of memory.")


def health(soaked: Soaked) -> Finding:
    """Did it answer its health check in time, whatever else it did?"""
    name = "health"
    looks = [one.values.get("health_seconds") for one in soaked.series.samples if "process" in one.values]
    if not looks:
        return unknown(name, "It was never asked for its health.")
    late = [one is None or one > _HEALTH for one in looks]
    longest = max((one for one in looks if one is not None), default=0.0)
    if any(first and second for first, second in pairwise(late)):
        shown = f"At {sum(late)} of {len(looks)} looks, several in a row, /health gave no good answer in {_HEALTH:g} s"
        return bad(name, f"{shown}: the engine would call it unhealthy. See its log, or ask less often.")
    return good(name, f"/health answered within {max(longest, 0.001):.2g} s at {len(looks) - sum(late)} looks.")


def processor(soaked: Soaked, limits: Limits) -> Finding:
    """Is there processor time to spare?"""
    name, cores = "cpu", soaked.cores
    taken = processor_share(soaked.series, cores)
    if taken is None:
        return unknown(name, "The engine does not tell how much processor time the container took.")
    busiest = busiest_minute(soaked.series, cores)
    peak = f", {busiest:.0%} in the busiest minute" if busiest is not None else ""
    shown = f"The container took {taken:.0%} of the time of its {cores} cores{peak}"
    if taken > limits.processor:
        return bad(name, f"{shown}; {limits.processor:.0%} may be. Ask less often, or give it more cores.")
    return good(name, f"{shown}; {limits.processor:.0%} may be.")


def _fallen(series: Series) -> str:
    """A counter that went down; empty where none did."""
    for name in _COUNTERS:
        _, values = series.column(name)
        if any(after < before for before, after in pairwise(values)):
            return name
    return ""


def _last_seen(series: Series) -> str:
    times, _ = series.column("process")
    return f"after {times[-1]:.0f} s" if times else "at once"
