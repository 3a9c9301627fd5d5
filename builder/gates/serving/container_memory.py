"""Does what a server holds fit into the memory that its container may have, with room to spare?"""

from __future__ import annotations

from builder.engine.container_memory import ContainerMemory
from builder.gates.finding import Finding, bad, good, unknown
from builder.gates.verdict import unjudged

NAME = "container-memory"
_MOST = 0.9
"""Share of the limit that may be held: with less room left, a longer prompt or one user more may be the end."""
_BLIND = 2.0
"""Seconds without a look in which nothing that matters is missed: what is held grows with requests."""
_MIB = 1 << 20
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def container_memory(peak: ContainerMemory | None, limit: str, *, blind: float = 0.0) -> Finding:
    """Was there always room in the memory that the profile gives, whatever the engine made of that?

    A server's resident memory says nothing of that: it counts pages of files, such as the model's and CUDA's libraries,
    which a full container gives back. An engine that runs without root may pass over a limit: then the smaller of the
    profile's and the engine's decides, so that too large a server fails where nothing stopped it.

    Args:
        peak: the most that was held.
        limit: what the profile says; empty where it sets none.
        blind: the longest time in which nothing was told, in seconds.
    """
    if peak is None:
        return unknown(NAME, "The engine does not tell what the container holds in memory.")
    wanted = _bytes(limit) if limit else peak.limit
    allowed = min(wanted, peak.limit)
    held, most = peak.held / _MIB, allowed / _MIB
    figures = {"container_memory_peak_mib": round(held, 1), "container_memory_limit_mib": round(most, 1)}
    shown = f"At most {held:.0f} MiB were held"
    if not limit:
        return good(NAME, f"{shown}; the profile sets no limit.", figures)
    unbound = "" if peak.limit <= wanted else " The engine did not enforce that limit."
    if peak.held > allowed * _MOST:
        room = f"{shown}, of the {most:.0f} MiB that the profile's memory-limit of {limit} gives"
        advice = f"{100 * _MOST:.0f} % may be. Raise memory-limit, or lower the profile's context, batch or slots"
        return bad(NAME, f"{room}; {advice}.{unbound}", (), figures)
    if blind > _BLIND:
        told = f"{shown} when the engine told it, which it did not for {blind:.0f} s"
        return Finding(unjudged(NAME, f"{told}. See whether it answers in time, and judge again."), figures)
    share = f"{100 * held / most:.0f} % of the {most:.0f} MiB that the container may have"
    return good(NAME, f"{shown}, {share}.{unbound}", figures)


def _bytes(limit: str) -> int:
    return int(limit[:-1]) * _UNITS[limit[-1]]
