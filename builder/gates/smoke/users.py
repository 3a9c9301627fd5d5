"""Does a server bear many users at once, some of whom hang up?"""

from __future__ import annotations

from builder.gates.finding import Finding, bad, good
from builder.gates.smoke.counters import idle_within
from builder.gates.smoke.live import Live
from builder.gates.verdict import unjudged
from builder.server.load import TEXTS, Crowd, serve_crowd

_HEALTHY = 200
_TOKENS = 24
_TURNS = 3
_LONG = 180.0
"""Seconds that all turns may be expected to take; on slower machines there are fewer."""


def users(live: Live) -> Finding:
    """Do those who stay get whole answers, and is every slot free again afterwards?"""
    name, crowd = "users", crowd_of(live)
    served = serve_crowd(live.client.address, crowd)
    live.client.asked += served.answered + served.hung_up
    figures = {"users": crowd.users, "answered": served.answered, "hung_up": served.hung_up}
    if served.deviations:
        first = served.deviations[0]
        count = len(served.deviations)
        detail = f"Of {crowd.users * crowd.turns} requests of {crowd.users} users at once, {count} got no whole answer"
        return bad(name, f"{detail}. The first: {first.sentence}", first.excerpt, figures)
    limit = live.pace.until_idle(_units(live))
    if crowd.to_hang_up and not served.hung_up:
        told = "Nobody could hang up: every answer was whole at once. Judge it with a longer model, or more users"
        return Finding(unjudged(name, f"{told}."), figures)
    if not idle_within(live.client, limit):
        return bad(name, f"A slot is still busy {limit:.0f} s after the users left.", (), figures)
    if (health := live.client.health()) != _HEALTHY:
        return bad(name, f"After the users left, /health says {health}.", (), figures)
    stayed = f"{served.answered} requests were answered whole, {served.hung_up} hung up"
    fewer = f" Each asked {crowd.turns} times instead of {_TURNS}, for it is slow." if crowd.turns < _TURNS else ""
    return good(name, f"{crowd.users} users at once: {stayed}, no slot is lost.{fewer}", figures)


def crowd_of(live: Live) -> Crowd:
    """The users of a profile, who wait as long as this server needs, and ask less often where that is long."""
    turn = live.pace.expected(_units(live))
    turns = _TURNS if turn * _TURNS <= _LONG else max(1, int(_LONG / turn))
    patience = live.pace.patience(_units(live))
    return Crowd(live.profile.users, patience, turns, _TOKENS, embeddings=live.profile.embeddings)


def _units(live: Live) -> int:
    """What all users together ask for in one turn."""
    return live.profile.users * (TEXTS if live.profile.embeddings else _TOKENS)
