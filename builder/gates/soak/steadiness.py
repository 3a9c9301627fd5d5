"""Does what should stay as it is stay so: how long users wait, and memory?

Three answers: the interval of the trend lies below what may be, above it, or holds it and nothing is known yet. Less
than ten minutes show nothing but the beginning: then memory that plainly grows still fails, and nothing passes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from builder.console import spell_duration
from builder.gates.finding import Finding, bad, good
from builder.gates.soak.limits import Limits
from builder.gates.verdict import unjudged
from builder.performance.rules import ratio_of
from builder.performance.soak.figures import in_order, waits_for_slots, warm_after
from builder.performance.soak.series import Ended, Series
from builder.performance.soak.trend import LEAST, Trend, trend

SHORTEST = 600.0
"""Seconds of load below which no trend passes."""
_LATENCIES, _LOOKS = 60, 30
"""Spans of time that medians are taken of."""
_OF_A_KIND = 5
"""Requests of a kind that make its usual time known."""
_LEAST = 1e-6
"""Seconds: nothing takes less."""
_COUNTS = 16.0
"""MiB that memory has to have grown by before that is more than a beginning."""
_HOUR = 3600.0


@dataclass(frozen=True)
class Lasting:
    """How long a load lasted, and by what it is judged.

    Attributes:
        seconds: in which requests came.
        slots: that the server has.
    """

    seconds: float
    limits: Limits
    slots: int

    @property
    def long(self) -> bool:
        """Whether it was long enough for trends."""
        return self.seconds >= SHORTEST

    @property
    def silent(self) -> bool:
        """Whether what needs longer is left out: a person asked for this length."""
        return self.limits.brief and not self.long

    def too_short(self, name: str, shown: str) -> Finding | None:
        """What there is to say where no trend can pass."""
        if self.silent:
            return None
        more = "ask more often" if self.long else f"let it run for at least {spell_duration(SHORTEST)}"
        return Finding(unjudged(name, f"{shown} in {spell_duration(self.seconds)}: {more} to tell."))


def first_token(series: Series, lasting: Lasting, *, vectors: bool, doubt: str = "") -> Finding | None:
    """Does the first token take as long at the end as at the beginning?

    What is asked differs in length, and what of it is in the cache: each time is compared with what is usual for its
    kind and about as many tokens to compute. Logarithms of that rise along a line, so that the change is that of the
    end against the beginning, as the limit is. Time without a slot is left out, for it says how much is asked; that is
    judged by itself.

    Args:
        vectors: texts became vectors; then their arrival is what is waited for.
        doubt: what else than the image may have made it slower, as a sentence; empty for nothing that is known.

    Returns:
        None where a person asked for less time than it takes.
    """
    name, limit = "drift", lasting.limits.drift
    what = "vectors" if vectors else "the first token"
    times, ratios = _compared(series, lasting.slots, warm_after(lasting.seconds))
    found = trend(times, [math.log(ratio) for ratio in ratios], _LATENCIES)
    if found is None:
        return lasting.too_short(name, f"Too few answers came to say whether the time to {what} grows")
    rise, low, high = (ratio_of(value * found.seconds) - 1 for value in (found.slope, found.low, found.high))
    shown = f"From beginning to end the time to {what} changed by {rise:+.0%} ({low:+.0%} to {high:+.0%})"
    figures = {"drift": round(rise, 4), "drift_low": round(low, 4), "drift_high": round(high, 4)}
    if not lasting.long:
        return lasting.too_short(name, f"{shown}, which says little")
    if low > limit:
        if doubt:
            return Finding(unjudged(name, f"{shown}; {limit:.0%} may be. It need not be the image: {doubt}"), figures)
        return bad(name, f"{shown}; {limit:.0%} may be. It gets slower as it serves.", measurements=figures)
    if high <= limit:
        return good(name, f"{shown}; {limit:.0%} may be.", figures)
    needed = _needed(found.needed(math.log1p(limit) / found.seconds, per_run=True))
    return Finding(unjudged(name, f"{shown}; {limit:.0%} may be, and it is open whether it is more. {needed}"), figures)


def memory(series: Series, lasting: Lasting) -> Finding | None:
    """Does the container's memory stay what it is?

    What newer servers keep of earlier prompts in the machine's memory is no leak, and left out as far as their log
    tells of it.
    """
    times, held = series.column("container_memory", since=warm_after(lasting.seconds))
    kept = dict(zip(*series.column("prompt_cache"), strict=True))
    own = [value - kept.get(at, 0.0) for at, value in zip(times, held, strict=True)]
    apart = " apart from the prompts that it keeps" if any(kept.values()) else ""
    return _growth("memory", f"The container's memory{apart}", times, own, lasting)


def gpu_memory(series: Series, lasting: Lasting) -> Finding | None:
    """Does what it holds of the GPU's memory stay what it is?"""
    name = "gpu-memory"
    times, own = series.column("gpu_memory_own", since=warm_after(lasting.seconds))
    if len(times) >= LEAST:
        return _growth(name, "What its processes hold of the GPU's memory", times, own, lasting)
    times, used = series.column("gpu_memory", since=warm_after(lasting.seconds))
    finding = _growth(name, "The memory in use on the GPU", times, used, lasting)
    if finding is None or finding.check.outcome != "fail":
        return finding
    doubt = "It may be another's. Soak it while nobody else uses this GPU."
    return Finding(unjudged(name, f"{finding.check.detail} {doubt}"), finding.measurements)


def _growth(name: str, what: str, times: Sequence[float], values: Sequence[float], lasting: Lasting) -> Finding | None:
    limit = lasting.limits.growth
    found = trend(times, values, _LOOKS)
    if found is None:
        return lasting.too_short(name, f"{what} was seen too seldom")
    rate, low, high = (value * _HOUR for value in (found.slope, found.low, found.high))
    shown = f"{what} is {values[-1]:.0f} MiB, changing by {rate:+.1f} MiB an hour ({low:+.1f} to {high:+.1f})"
    figures = {f"{name.replace('-', '_')}_growth_mib_per_hour": round(rate, 2)}
    if low > limit and found.low * found.seconds > _COUNTS:
        return bad(name, f"{shown}; {limit:g} MiB may be. It leaks, or keeps what it should not.", (), figures)
    if not lasting.long:
        return lasting.too_short(name, f"{shown}, which says little")
    seen = _seen(found, limit)
    if high <= limit:
        return good(name, f"{shown}; {limit:g} MiB may be{seen}.", figures)
    needed = _needed(found.needed(limit / _HOUR))
    detail = f"{shown}; {limit:g} MiB may be, and it is open whether it is more. {needed}"
    return Finding(unjudged(name, detail), figures)


def _seen(found: Trend, limit: float) -> str:
    """After which time a growth of the limit would have been seen."""
    needed = found.needed(limit / _HOUR)
    return f", which {spell_duration(max(needed, 1.0))} of load would have shown" if needed is not None else ""


def _needed(seconds: float | None) -> str:
    if seconds is None:
        return "No length within reach would tell."
    return f"About {spell_duration(warm_after(seconds) + seconds)} of load would tell."


def _compared(series: Series, slots: int, since: float) -> tuple[list[float], list[float]]:
    """When requests were sent, and how long they took beside what is usual for their like."""
    groups: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for one, wait in zip(in_order(series.requests), waits_for_slots(series.requests, slots), strict=True):
        if one.outcome is Ended.ANSWERED and one.sent >= since and one.first_token is not None:
            groups.setdefault((one.kind, one.computed.bit_length()), []).append((one.sent, one.first_token - wait))
    known = [points for points in groups.values() if len(points) >= _OF_A_KIND]
    usual = [max(median(taken for _, taken in points), _LEAST) for points in known]
    pairs = sorted(
        (sent, max(taken, _LEAST) / middle)
        for points, middle in zip(known, usual, strict=True)
        for sent, taken in points
    )
    return [sent for sent, _ in pairs], [ratio for _, ratio in pairs]
