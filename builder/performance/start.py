"""How long a server takes from nothing to its first answer.

Its container is a fresh one whose file system cannot be written to, so that code which the GPU's driver compiles at the
first start is compiled each time, as in every new container of a fleet.
"""

from __future__ import annotations

import asyncio
from time import monotonic, sleep

from builder.performance.errors import CouldNotMeasure
from builder.performance.load import Samples
from builder.performance.wire import Request, received, together
from builder.server.address import Address
from builder.server.answers import Deviation
from builder.server.client import Client
from builder.server.running import RunningServer

_HEALTHY = 200
_PAUSE = 0.02
_LOOK = 0.5
"""Seconds between two looks at whether the process is still there."""


def until_healthy(server: RunningServer, client: Client, limit: float) -> Samples:
    """Wait until it says that it is healthy.

    Args:
        limit: seconds since the engine was asked to start it.

    Raises:
        CouldNotMeasure: it is not in time.
        Deviation: it ended.
    """
    looked = monotonic()
    while (now := monotonic()) - server.began < limit:
        if client.health() == _HEALTHY:
            return {"start/healthy": (monotonic() - server.began,)}
        if now - looked > _LOOK:
            looked = now
            if not server.state().running:
                raise Deviation("The server ended before it was healthy.")
        sleep(_PAUSE)
    raise CouldNotMeasure(
        f"The server was not healthy within {limit:g} s.", "Raise the profile's health-limit, or see the log."
    )


def first_request(address: Address, what: Request, limit: float) -> Samples:
    """Ask for the first time.

    Raises:
        Deviation: it does not answer as it should.
    """
    done, spent = asyncio.run(together(address, ((what,),), limit))
    answer = received(done[0][0])
    if answer.status != _HEALTHY:
        raise Deviation(f"The first request was answered with status {answer.status}.")
    return {"start/first-request": (spent.seconds,)}
