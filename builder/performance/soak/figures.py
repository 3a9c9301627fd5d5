"""What a soak comes to, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

from builder.performance.soak.series import Asked, Ended, Series

_LATE = 0.25
"""Seconds after its time until which a request counts as sent in time."""
_WARM_SHARE, _LEAST_WARM, _MOST_WARM = 0.1, 60.0, 0.25
Figures = Mapping[str, float | None]
"""By name with its unit; None is not known."""


def warm_after(seconds: float) -> float:
    """Seconds after which the beginning is over: buffers have found their size, conversations are in the cache.

    Args:
        seconds: that the load lasts; the beginning is a tenth of them, a minute at least and a quarter at most.
    """
    return min(max(_LEAST_WARM, _WARM_SHARE * seconds), _MOST_WARM * seconds)


def answered(series: Series) -> tuple[Asked, ...]:
    """Requests that got a whole answer, in the order in which they were sent."""
    return tuple(one for one in in_order(series.requests) if one.outcome is Ended.ANSWERED)


def in_order(requests: Sequence[Asked]) -> list[Asked]:
    """Requests in the order in which they were sent."""
    return sorted(requests, key=lambda one: one.sent)


def counted(series: Series) -> int:
    """Requests that say something of the server."""
    return sum(one.outcome is not Ended.GIVEN_UP for one in series.requests)


def failed(series: Series) -> tuple[Asked, ...]:
    """Requests that did not get what they asked for, or not in time."""
    return tuple(one for one in series.requests if one.outcome in (Ended.ERROR, Ended.TIMED_OUT))


def first_tokens(requests: Sequence[Asked]) -> list[float]:
    """Seconds until the first token."""
    return [one.first_token for one in requests if one.first_token is not None]


def sent_late(series: Series) -> list[float]:
    """Seconds by which requests were sent after they were due, of those where users would notice it."""
    return [one.late for one in series.requests if one.late is not None and one.late > _LATE]


def cache_hit_rate(series: Series) -> float | None:
    """Of the tokens of all prompts, the share that was taken from the cache; None where the server does not tell.

    By the counters of /metrics where it has both: `prompt_tokens_cached_total` over the sum with `prompt_tokens_total`,
    which counts what was computed alone. Servers without the first tell of each answer what they computed, and of its
    prompt how long it was: the rest came from the cache. Servers of 2024 tell the second only in streams: then what was
    computed is taken from `prompt_tokens_total`.
    """
    computed, cached = series.grown("prompt_tokens"), series.grown("prompt_tokens_cached")
    if computed is not None and cached is not None:
        return cached / (computed + cached) if computed + cached > 0 else None
    told = [(one.prompt_tokens, one.cached_tokens) for one in answered(series)]
    both = [(prompt, kept) for prompt, kept in told if prompt is not None and kept is not None]
    if both:
        return sum(kept for _, kept in both) / max(1, sum(prompt for prompt, _ in both))
    asked = sum(prompt for prompt, _ in told if prompt is not None)
    if not asked or computed is None or len(failed(series)):
        return None
    return max(0.0, 1 - computed / asked)


def processor_share(series: Series, cores: int | None) -> float | None:
    """Of the processor time that the container could have had while requests came, the share that it took."""
    times, values = series.column("container_processor")
    if len(times) < 2 or not cores:  # noqa: PLR2004
        return None
    return (values[-1] - values[0]) / (times[-1] - times[0]) / cores


def busiest_minute(series: Series, cores: int | None) -> float | None:
    """The same in the minute in which it was highest; None where the load lasted no minute."""
    times, values = series.column("container_processor")
    if not cores or not times or times[-1] - times[0] < _LEAST_WARM:
        return None
    highest, start = 0.0, 0
    for end, at in enumerate(times):
        while start + 1 < end and at - times[start + 1] >= _LEAST_WARM:
            start += 1
        if at - times[start] >= _LEAST_WARM:
            highest = max(highest, (values[end] - values[start]) / (at - times[start]) / cores)
    return highest


def foreign_cores(series: Series) -> float | None:
    """How many of this machine's cores others took on the average; None where the kernel does not tell."""
    every, own, client = (series.grown(f"{whose}_processor") for whose in ("machine", "container", "client"))
    times, _ = series.column("machine_processor")
    if every is None or own is None or client is None or times[-1] <= times[0]:
        return None
    return max(0.0, every - own - client) / (times[-1] - times[0])


def full_for(series: Series) -> float:
    """Seconds between the first and the last of looks in a row at each of which a request waited; the longest row."""
    longest, since = 0.0, None
    for at, waiting in zip(*series.column("requests_deferred"), strict=True):
        since = (at if since is None else since) if waiting > 0 else None
        longest = max(longest, at - since if since is not None else 0.0)
    return longest


def deepest(series: Series, slots: int) -> int:
    """The most requests that waited for a slot at once, by the server's count or by what was under way.

    A server counts those alone that its few threads for connections have read: many more may wait before it.
    """
    _, waiting = series.column("requests_deferred")
    moments = sorted((*((one.sent, 1) for one in series.requests), *((one.ended, -1) for one in series.requests)))
    under_way = accumulate(change for _, change in moments)
    return max(int(max(waiting, default=0.0)), max(under_way, default=0) - slots, 0)


def waits_for_slots(requests: Sequence[Asked], slots: int) -> list[float]:
    """Seconds for which each request had no slot, in the order in which they were sent.

    Nobody else asks this server: a request that comes while as many as there are slots are under way has to wait until
    fewer of them are. That needs nothing that the server says.
    """
    waits: list[float] = []
    under_way: list[float] = []
    for one in in_order(requests):
        under_way = sorted(end for end in under_way if end > one.sent)
        surplus = len(under_way) - slots
        waits.append(min(under_way[surplus], one.ended) - one.sent if surplus >= 0 else 0.0)
        under_way.append(one.ended)
    return waits


def figures(series: Series, slots: int, cores: int | None) -> Figures:
    """All of them.

    Args:
        slots: that the server has.
        cores: that its container may use; None where nobody told.
    """
    good = answered(series)
    _, memory = series.column("container_memory")
    _, gpu = series.column("gpu_memory")
    client = series.grown("client_processor")
    seconds = series.seconds
    made = [one.tokens for one in good if one.tokens is not None]
    return {
        "requests": counted(series),
        "errors": len(failed(series)),
        "first_token_median_s": _quantile(first_tokens(good), 0.5),
        "first_token_p95_s": _quantile(first_tokens(good), 0.95),
        "first_token_longest_s": _quantile(first_tokens(good), 1.0),
        "answer_median_s": _quantile([one.ended - one.sent for one in good], 0.5),
        "tokens_per_s": sum(made) / seconds if made and seconds else None,
        "cache_hit_share": cache_hit_rate(series),
        "most_waiting": deepest(series, slots),
        "full_for_s": full_for(series),
        "longest_wait_s": max(waits_for_slots(series.requests, slots), default=None),
        "processor_share": processor_share(series, cores),
        "processor_busiest_minute": busiest_minute(series, cores),
        "foreign_cores": foreign_cores(series),
        "memory_first_mib": memory[0] if memory else None,
        "memory_last_mib": memory[-1] if memory else None,
        "memory_peak_mib": max(memory, default=None),
        "gpu_memory_first_mib": gpu[0] if gpu else None,
        "gpu_memory_last_mib": gpu[-1] if gpu else None,
        "sent_late": len(sent_late(series)),
        "sent_latest_s": max((one.late for one in series.requests if one.late is not None), default=None),
        "client_processor_share": client / seconds if client is not None and seconds else None,
    }


def rounded(found: Figures) -> Figures:
    """For people and documents: no more digits than mean anything."""
    return {name: None if value is None else round(value, 4) for name, value in found.items()}


def _quantile(values: Sequence[float], share: float) -> float | None:
    """The value that this share of them does not exceed."""
    return sorted(values)[max(0, -int(-share * len(values) // 1) - 1)] if values else None
