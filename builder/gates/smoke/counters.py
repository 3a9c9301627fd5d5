"""Do slots and counters say what was done?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic, sleep

from builder.gates.finding import Finding, bad, good
from builder.gates.smoke.live import Live
from builder.gates.smoke.pace import TEXT
from builder.server.client import Client

_PAUSE = 0.05
_TOKENS = 8
_PROMPT = "prompt_tokens_total"
_PREDICTED = "tokens_predicted_total"
_DECODED = "n_decode_total"
_COUNTERS = (_PROMPT, _PREDICTED)
_COUNTED = 3.0
"""Seconds for a counter to move after the answer came."""


def slots(live: Live) -> Finding:
    """Is there a slot for each user of the profile, and all idle while nobody asks?"""
    found = live.client.slots()
    if len(found) != live.profile.slots:
        return bad("slots", f"/slots names {len(found)} slots, the profile {live.profile.slots}.")
    limit = live.pace.until_idle(1)
    if not idle_within(live.client, limit):
        return bad("slots", f"A slot is busy {limit:g} s after the last user got an answer.")
    return good("slots", f"/slots names {len(found)} slots, all idle.")


def metrics(live: Live) -> Finding:
    """Do the counters move by what a request made?"""
    before = live.client.metrics()
    if missing := [name for name in _COUNTERS if name not in before]:
        return bad("metrics", f"/metrics does not name {' and '.join(missing)}.")
    return _made(live, before) if live.profile.kind == "chat" else _embedded(live, before)


def _made(live: Live, before: Mapping[str, float]) -> Finding:
    live.client.complete(TEXT, _TOKENS)
    moved = _moved(live, before, lambda by: by[_PROMPT] > 0 and by[_PREDICTED] >= _TOKENS)
    shown = f"moved by {moved[_PROMPT]:.0f} tokens of prompt and {moved[_PREDICTED]:.0f} that were made"
    if not moved[_PROMPT] > 0 or moved[_PREDICTED] != _TOKENS:
        return bad("metrics", f"The counters {shown}; one request made {_TOKENS}.")
    return good("metrics", f"The counters {shown}, as they should.")


def _embedded(live: Live, before: Mapping[str, float]) -> Finding:
    """Servers before the summer of 2026 do not count the tokens of texts that become vectors."""
    live.client.embed([TEXT])
    moved = _moved(live, before, lambda by: by[_PROMPT] > 0 or by[_DECODED] > 0)
    if not any(moved[name] > 0 for name in (_PROMPT, _DECODED)):
        return bad("metrics", "No counter moved by a text that became a vector.")
    shown = f"{moved[_PROMPT]:.0f} tokens and {moved[_DECODED]:.0f} computations"
    return good("metrics", f"The counters moved by {shown} for a text.")


def _moved(
    live: Live, before: Mapping[str, float], enough: Callable[[Mapping[str, float]], bool]
) -> Mapping[str, float]:
    until = monotonic() + _COUNTED
    while True:
        now = live.client.metrics()
        by = {name: now.get(name, 0.0) - before.get(name, 0.0) for name in (*_COUNTERS, _DECODED)}
        if enough(by) or monotonic() > until:
            return by
        sleep(_PAUSE)


def idle_within(client: Client, limit: float) -> bool:
    """Whether all slots are idle, or become so within this many seconds."""
    until = monotonic() + limit
    while not all(slot.idle for slot in client.slots()):
        if monotonic() > until:
            return False
        sleep(_PAUSE)
    return True
