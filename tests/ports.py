"""Ports of loopback for servers that must be told one."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

_OURS = range(20_000, 32_000)
"""Below those that the system hands out by itself, to other tests and to containers, before a server of ours is up."""


def free_port() -> int:
    """A port that nobody has.

    Raises:
        OSError: there is none.
    """
    for _ in range(100):
        port = random.SystemRandom().choice(_OURS)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port of loopback is free")
