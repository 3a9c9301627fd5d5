"""What a container holds in memory, as its control group counts it.

The engine's interface tells that for both kinds of control groups, and from inside a container too, at once.
`docker stats` takes a second for each look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

_PAUSE = 0.25
"""Seconds between two looks."""
_ANSWER = 10.0
_SOCKET = "unix://"


@dataclass(frozen=True)
class ContainerMemory:
    """What one look told.

    Attributes:
        held: bytes that cannot be given back: everything but pages of files, which can be read again.
        limit: bytes that the container may have.
    """

    held: int
    limit: int


class MemoryWatch:
    """Looks at a container's memory again and again, whatever becomes of one look.

    Attributes:
        peak: the look that found most; None where nothing was told.
        blind: the longest time without a look that was told anything, in seconds; 0 where all were.
    """

    def __init__(self) -> None:
        self.peak: ContainerMemory | None = None
        self.blind = 0.0
        self._blind_since: float | None = None

    def take(self, found: ContainerMemory | None, began: float, ended: float) -> None:
        """Keep a look if it found more than all before, or for how long nothing has been told.

        Args:
            found: None where nothing was told.
            began: when the look began, on the monotonic clock.
            ended: when it ended.
        """
        if self._blind_since is None and found is None:
            self._blind_since = began
        if self._blind_since is not None:
            self.blind = max(self.blind, ended - self._blind_since)
        if found:
            self._blind_since = None
            if self.peak is None or found.held > self.peak.held:
                self.peak = found


@contextmanager
def watch_memory(endpoint: str, container: str) -> Iterator[MemoryWatch]:
    """Look at a container's memory while the context lasts.

    Args:
        endpoint: of the engine, such as `unix:///var/run/docker.sock`; of one elsewhere nothing is told.
    """
    watch, ended = MemoryWatch(), Event()
    if not endpoint.startswith(_SOCKET):
        yield watch
        return
    thread = Thread(target=_look, args=(endpoint.removeprefix(_SOCKET), container, watch, ended), daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join(_ANSWER)
        if thread.is_alive():
            watch.blind = max(watch.blind, _ANSWER)


def read_stats(document: Mapping[str, Any]) -> ContainerMemory | None:
    """What the engine's statistics of a container tell; None where its control group does not count memory."""
    memory = document.get("memory_stats")
    if not isinstance(memory, Mapping) or not memory.get("usage") or not memory.get("limit"):
        return None
    kinds = memory.get("stats") or {}
    files = kinds.get("file", kinds.get("total_cache"))
    if files is None:
        return None
    kept = kinds.get("shmem", kinds.get("total_shmem", 0))
    given_back = files - kept + kinds.get("slab_reclaimable", 0)
    return ContainerMemory(max(0, memory["usage"] - given_back), memory["limit"])


def _look(socket: str, container: str, watch: MemoryWatch, ended: Event) -> None:
    import httpx

    transport = httpx.HTTPTransport(uds=socket)
    with httpx.Client(transport=transport, base_url="http://engine", timeout=_ANSWER) as client:
        while True:
            began = monotonic()
            watch.take(_told(client, container), began, monotonic())
            if ended.wait(_PAUSE):
                return


def _told(client: httpx.Client, container: str) -> ContainerMemory | None:
    import httpx

    try:
        answer = client.get(f"/containers/{container}/stats?stream=false&one-shot=true")
        return read_stats(answer.json()) if answer.is_success else None
    except (httpx.HTTPError, ValueError, TypeError, AttributeError, RecursionError):
        return None
