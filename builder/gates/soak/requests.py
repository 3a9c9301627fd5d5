"""Did all get what they asked for, without waiting for a slot, and with the help of the cache?"""

from __future__ import annotations

from collections import Counter

from builder.gates.finding import Finding, bad, good, unknown
from builder.gates.soak.limits import Limits
from builder.gates.verdict import unjudged
from builder.performance.soak.figures import (
    cache_hit_rate,
    counted,
    deepest,
    failed,
    full_for,
    waits_for_slots,
)
from builder.performance.soak.series import Ended, Series

_SHOWN = 3


def errors(series: Series, limits: Limits) -> Finding:
    """Was nearly every request answered, and in time?"""
    name, asked, wrong = "errors", counted(series), failed(series)
    if not asked:
        return unknown(name, "No request came to an end. Let it run longer, or ask more often.")
    rate = len(wrong) / asked
    late = sum(one.outcome is Ended.TIMED_OUT for one in wrong)
    shown = f"{len(wrong)} of {asked} requests failed, {late} of them for want of time"
    if rate > limits.errors:
        said = Counter(one.error for one in wrong)
        lines = tuple(f"{count} times: {sentence}" for sentence, count in said.most_common(_SHOWN))
        return bad(name, f"{shown}; {limits.errors:.2%} may. See the server's log.", lines)
    return good(name, f"All {asked} requests were answered." if not wrong else f"{shown}; {limits.errors:.2%} may.")


def queue(series: Series, slots: int, limits: Limits, doubt: str = "") -> Finding:
    """How many waited for a slot at once?

    Args:
        doubt: what else than the image and the rate may have made it slower, as a sentence; empty for nothing known.
    """
    deep = deepest(series, slots)
    shown = f"At most {deep} requests waited for a slot at once"
    if deep > limits.queue:
        return _too_slow("queue", f"{shown}; {limits.queue} may.", slots, doubt)
    return good("queue", f"{shown}; {limits.queue} may." if deep else "No request ever waited for a slot.")


def slots_full(series: Series, slots: int, limits: Limits, doubt: str = "") -> Finding:
    """Was there a free slot whenever one was wanted, or a moment later?

    Args:
        doubt: what else than the image and the rate may have made it slower, as a sentence; empty for nothing known.
    """
    name = "slots-full"
    waits = waits_for_slots(series.requests, slots)
    long = [wait for wait in waits if wait > limits.wait]
    full = full_for(series)
    if long:
        full_ones = "The only slot was full" if slots == 1 else f"All {slots} slots were full"
        shown = f"{full_ones}: {len(long)} of {len(waits)} requests waited more than {limits.wait:g} s"
        return _too_slow(name, f"{shown} for one, the longest {max(long):.1f} s.", slots, doubt)
    if full > limits.wait:
        shown = f"By the server's own count, requests waited for a slot for {full:.0f} s."
        return _too_slow(name, shown, slots, doubt)
    if not waits:
        return unknown(name, "No request was sent.")
    if max(waits) > 0:
        return good(name, f"No request waited more than {max(waits):.1f} s for a slot; {limits.wait:g} s may be.")
    return good(name, "A slot was free for every request.")


def cache_hits(series: Series, limits: Limits) -> Finding:
    """How much of the prompts came from the cache?"""
    name, rate = "cache-hits", cache_hit_rate(series)
    if rate is None:
        return unknown(name, "Nothing that this server says tells how much of the prompts came from the cache.")
    shown = f"{rate:.0%} of the prompts' tokens came from the cache"
    if rate < limits.cache:
        advice = "More slots, or a larger `--cache-ram` where the server has it, keep more conversations"
        return bad(name, f"{shown}; at least {limits.cache:.0%} have to. {advice}.")
    return good(name, f"{shown}; at least {limits.cache:.0%} have to.")


def _too_slow(name: str, shown: str, slots: int, doubt: str) -> Finding:
    if doubt:
        return Finding(unjudged(name, f"{shown} It need not be the image: {doubt}"))
    advice = f"The rate is too high for {_slots(slots)}: ask less often, or give the profile more slots."
    return bad(name, f"{shown} {advice}")


def _slots(slots: int) -> str:
    return "the only slot" if slots == 1 else f"{slots} slots"
