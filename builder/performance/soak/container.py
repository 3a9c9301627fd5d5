"""A container that runs, as the engine sees it, at the cost of two short questions over its socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from builder.engine.container_memory import ContainerMemory, read_stats

_SOCKET = "unix://"
_ANSWER = 10.0
"""Seconds."""
_NANO = 1e9


@dataclass(frozen=True)
class Process:
    """The process that a container runs.

    Attributes:
        pid: as the engine's machine counts.
        started: when, in the engine's words; another one is another process.
        restarts: how often the engine started it again.
        out_of_memory: the kernel ended a process of the container for want of memory.
    """

    pid: int
    started: str
    running: bool
    restarts: int
    out_of_memory: bool


@dataclass(frozen=True)
class Look:
    """What was seen once. What could not be known is None.

    Attributes:
        processor: seconds of processor time since the container started.
        cores: that it may use.
        gone: the engine has no such container.
    """

    process: Process | None = None
    memory: ContainerMemory | None = None
    processor: float | None = None
    cores: int | None = None
    gone: bool = False


class ContainerWatch:
    """Looks at a container again and again.

    Args:
        endpoint: of the engine, such as `unix:///var/run/docker.sock`; of one elsewhere nothing is told.
        name: the container's.
    """

    def __init__(self, endpoint: str, name: str) -> None:
        import httpx

        self._name = name
        self._gone = False
        path = endpoint.removeprefix(_SOCKET) if endpoint.startswith(_SOCKET) else None
        transport = httpx.HTTPTransport(uds=path) if path else None
        self._http = httpx.Client(transport=transport, base_url="http://engine", timeout=_ANSWER) if path else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http:
            self._http.close()

    def look(self) -> Look:
        """What it takes now, and which process it is."""
        stats = self._ask("stats?stream=false&one-shot=true")
        used = stats.get("cpu_stats") if isinstance(stats.get("cpu_stats"), Mapping) else {}
        total = (used or {}).get("cpu_usage", {}).get("total_usage")
        return Look(
            process=read_process(self._ask("json")),
            memory=read_stats(stats),
            processor=total / _NANO if total else None,
            cores=(used or {}).get("online_cpus") or None,
            gone=self._gone,
        )

    def processes(self) -> frozenset[int]:
        """IDs of all its processes, as the engine's machine counts; none where it does not tell."""
        rows = self._ask("top?ps_args=-eo%20pid").get("Processes") or []
        return frozenset(int(row[0]) for row in rows if row and str(row[0]).isdecimal())

    def _ask(self, what: str) -> Mapping[str, Any]:
        import httpx

        if self._http is None:
            return {}
        try:
            answer = self._http.get(f"/containers/{self._name}/{what}")
            self._gone = answer.status_code == httpx.codes.NOT_FOUND
            document = answer.json() if answer.is_success else {}
        except (httpx.HTTPError, ValueError):
            return {}
        return document if isinstance(document, Mapping) else {}


def read_process(document: Mapping[str, Any]) -> Process | None:
    """The process in the engine's description of a container; None where it has none."""
    state = document.get("State")
    if not isinstance(state, Mapping):
        return None
    return Process(
        pid=int(state.get("Pid") or 0),
        started=str(state.get("StartedAt") or ""),
        running=bool(state.get("Running")),
        restarts=int(document.get("RestartCount") or 0),
        out_of_memory=bool(state.get("OOMKilled")),
    )
