"""Does a server become healthy, and in time?"""

from __future__ import annotations

from time import monotonic, sleep

from builder.gates.finding import Finding, bad, good
from builder.server.client import Client
from builder.server.running import RunningServer

_LOADING = 503
_HEALTHY = 200
_PAUSE = 0.03
_LOOK = 0.5
"""Seconds between two looks at whether the process is still there."""


def start(server: RunningServer, client: Client, limit: int) -> Finding:
    """Is it healthy within the profile's time, and does it say 503 before?

    Args:
        limit: seconds, as the profile says it.
    """
    began, looked = server.began, monotonic()
    seen: dict[int, float] = {}
    while monotonic() - began < limit:
        status = client.health()
        if status is not None:
            seen.setdefault(status, monotonic() - began)
        if status == _HEALTHY:
            return _healthy(seen)
        if monotonic() - looked > _LOOK:
            looked = monotonic()
            if not server.state().running:
                return bad("start", "It ended before it was healthy.")
        sleep(_PAUSE)
    return bad("start", f"It was not healthy within {limit} s: {_instead(seen)}")


def _healthy(seen: dict[int, float]) -> Finding:
    strange = [status for status in seen if status not in {_LOADING, _HEALTHY}]
    figures = {"healthy_seconds": round(seen[_HEALTHY], 3)}
    if strange:
        return bad(
            "start",
            f"While the model was loaded, /health answered with status {strange[0]}; only 503 says that.",
            measurements=figures,
        )
    before = ", after 503 while the model was loaded" if _LOADING in seen else ""
    return good("start", f"/health says 200 after {seen[_HEALTHY]:.1f} s{before}.", figures)


def _instead(seen: dict[int, float]) -> str:
    if not seen:
        return "nothing answers on the port that it was told to listen on."
    return f"/health answered only with status {', '.join(map(str, seen))}."
