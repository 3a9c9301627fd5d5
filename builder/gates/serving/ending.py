"""How a server's process ended, in words, and whether it ends when it is asked to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from time import monotonic, sleep

from builder.engine.statuses import MISSING, NOT_EXECUTABLE, NOT_STARTED, WORDS
from builder.gates.finding import Finding, bad, good, unknown
from builder.server.client import Client
from builder.server.cuda_errors import advise
from builder.server.log import LogFacts
from builder.server.running import RunningServer, ServerState
from builder.server.startup import Driver, Ending, explain, explain_words

_LIMIT = 10.0
"""Seconds that Docker gives a container to end before it kills it."""
_DYING, _PAUSE = 20.0, 0.1
"""Seconds between the last that is heard of a process and its end, and between two looks."""
_SPEAKS = 2.0
"""Seconds for a process that lives to say how it is."""
_CANNOT_START = (NOT_EXECUTABLE, MISSING)


def in_words(state: ServerState, memory: str = "") -> str:
    """How a process ended, as the predicate of a sentence.

    Args:
        memory: the container's limit.
    """
    if state.out_of_memory:
        within = f"the {memory} that its container may have" if memory else "the memory of this machine"
        return f"was killed because it needed more than {within} (status {state.status})"
    return WORDS.get(state.status, f"ended with status {state.status}")


def ended(look: str, state: ServerState, facts: LogFacts, memory: str, asked: int) -> Finding:
    """What there is to say of a server that ended by itself.

    Args:
        look: during which.
        memory: the container's limit.
        asked: how many requests it had got.
    """
    when = f"after {asked} requests" if asked else "before it answered anything"
    why = _explained(state.status, facts.last) if state.status == MISSING else advise(facts.complaints)
    lines = tuple(dict.fromkeys((*facts.complaints[-4:], *facts.last[-4:])))
    return bad(look, f"The server {in_words(state, memory)} {when}.{f' {why}' if why else ''}", lines)


def has_ended(server: RunningServer) -> bool:
    """Whether a server's process has ended, or does so in a moment; what still says how it is does not."""
    until = monotonic() + _DYING
    while server.state().running:
        if monotonic() > until or _speaks(server):
            return False
        sleep(_PAUSE)
    return True


def _speaks(server: RunningServer) -> bool:
    if server.address is None:
        return False
    with Client(server.address, _SPEAKS) as client:
        return client.health(_SPEAKS) is not None


def not_started(ending: Ending) -> Finding:
    """What there is to say of a server that the engine did not start, or that did not print what it was asked for."""
    said = tuple(line for line in ending.output.splitlines() if line.strip() and "--help" not in line)
    if ending.status == NOT_STARTED:
        return unknown("start", _explained(ending.status, said), said[:4])
    if ending.status in _CANNOT_START or explain_words(ending, os.uname().machine, Driver.HANDED):
        return bad("start", _explained(ending.status, said), said[:4])
    return bad("start", f"The server {in_words(ServerState(False, ending.status, False))} and says no help.", said[-4:])


def _explained(status: int, lines: Sequence[str]) -> str:
    failure = explain(Ending(status, "\n".join(lines)), os.uname().machine, Driver.HANDED)
    return f"{failure.cause} {failure.remedy}"


def stop(server: RunningServer, memory: str) -> Finding:
    """Does it end within the time that Docker gives it, and as it should?

    Args:
        memory: the container's limit.
    """
    stopped = server.stop(_LIMIT)
    figures = {"stop_seconds": round(stopped.seconds, 3)}
    if stopped.state.running:
        return bad(
            "stop",
            f"It did not end within {_LIMIT:g} s of SIGTERM: every restart would wait for it and then kill it.",
            measurements=figures,
        )
    if stopped.state.status:
        how = in_words(stopped.state, memory)
        return bad("stop", f"Asked to end by SIGTERM, it {how} instead of ending with status 0.", (), figures)
    return good("stop", f"It ended {stopped.seconds:.1f} s after SIGTERM, with status 0.", figures)
