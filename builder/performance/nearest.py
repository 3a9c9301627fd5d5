"""The nearest way to a server in a container.

A published port leads through a process of the engine's, which passes every token on and takes processor time for it,
as much as a small model does on a host with two cores. Other containers of a stack do not go through it; nor does a
process on the engine's own machine that asks the container's own address.
"""

from __future__ import annotations

import socket
from dataclasses import replace

from builder.engine.client import Engine
from builder.server.address import Address
from builder.server.running import PORT, RunningServer

_PATIENCE = 0.5
_ADDRESS = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"


def nearest_address(server: RunningServer, published: Address, engine: Engine) -> Address:
    """The container's own address where it can be reached from here, else the published one.

    The server has to listen already.
    """
    done = engine.ask("container", "inspect", "--format", _ADDRESS, server.name)
    for host in done.stdout.split() if not done.returncode else ():
        try:
            with socket.create_connection((host, PORT), timeout=_PATIENCE):
                return replace(published, url=f"http://{host}:{PORT}")
        except OSError:
            continue
    return published
