"""A real `git daemon` on loopback, and a proxy in front of it that counts bytes and can cut connections.

with serve(folder) as server:                   # every repository in that folder
    url = server.url("llama.cpp.git")           # git://127.0.0.1:PORT/llama.cpp.git, through the proxy
    moved = server.proxy.moved()                # bytes both ways so far
    server.proxy.cut_after = 20_000             # then every connection breaks
    server.daemon.stop()                        # and `start()` brings it back at the same address
"""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from builder.upstream.git import settings_as_environment
from tests.ports import free_port

LOOPBACK = "127.0.0.1"
_CHUNK = 1 << 16
_PATIENCE = 60.0
"""Seconds in which a server on this machine must answer, and a connection to it must close."""


@dataclass(frozen=True)
class Traffic:
    """What went through a proxy.

    Attributes:
        down: bytes from the server to its clients.
        up: bytes from clients to the server.
        connections: how many were opened.
    """

    down: int = 0
    up: int = 0
    connections: int = 0

    @property
    def total(self) -> int:
        """Bytes in both directions."""
        return self.down + self.up

    def __sub__(self, earlier: Traffic) -> Traffic:
        return Traffic(self.down - earlier.down, self.up - earlier.up, self.connections - earlier.connections)


@dataclass
class Daemon:
    """A real `git daemon` for every repository below a folder.

    Attributes:
        settings: git settings it serves with, such as `uploadpack.packObjectsHook`.
    """

    base: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve; again on the same port after `stop`."""
        for _ in range(5):
            self.port = self.port or free_port()
            self._process = self._started()
            if self._answers():
                return
            self.stop()
            self.port = 0
        raise TimeoutError("git daemon does not answer")

    def stop(self) -> None:
        """End it with all that it serves at this moment."""
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(_PATIENCE)
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        listening = [f"--listen={LOOPBACK}", f"--port={self.port}", "--reuseaddr", "--max-connections=0"]
        return subprocess.Popen(
            ["git", "daemon", *listening, f"--base-path={self.base}", "--export-all"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **settings_as_environment(self.settings.items())},
        )

    def _answers(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection((LOOPBACK, self.port), 1):
                return self._process.poll() is None
            time.sleep(0.01)
        return False


class Proxy(socketserver.ThreadingTCPServer):
    """Hands every connection on to a server on loopback and counts the bytes.

    Attributes:
        cut_after: once so many bytes more have come from the server, all connections are cut and new ones closed at
            once; None cuts nothing.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, target: Daemon) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.target = target
        self.cut_after: int | None = None
        self._counts = Traffic()
        self._open = 0
        self._changed = threading.Condition()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self.server_address[1]
        return port

    def moved(self) -> Traffic:
        """What went through so far, after every connection has been closed."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._open, _PATIENCE):
                raise TimeoutError("a connection through the proxy is still open")
            return self._counts

    def opened(self, change: int) -> None:
        """A connection was opened (1) or closed (-1)."""
        with self._changed:
            self._open += change
            self._counts = Traffic(self._counts.down, self._counts.up, self._counts.connections + max(change, 0))
            self._changed.notify_all()

    def count(self, *, down: int = 0, up: int = 0) -> bool:
        """Count bytes that are to be handed on.

        Returns:
            Whether they may be.
        """
        with self._changed:
            if self.cut_after is not None:
                self.cut_after -= down
                if self.cut_after <= 0:
                    return False
            self._counts = Traffic(self._counts.down + down, self._counts.up + up, self._counts.connections)
            return True


class _Handler(socketserver.BaseRequestHandler):
    server: Proxy
    request: socket.socket

    def handle(self) -> None:
        self.server.opened(1)
        try:
            with suppress(OSError), socket.create_connection((LOOPBACK, self.server.target.port), _PATIENCE) as behind:
                behind.settimeout(None)
                upward = threading.Thread(target=self._pump, args=(self.request, behind, "up"), daemon=True)
                upward.start()
                self._pump(behind, self.request, "down")
                upward.join(_PATIENCE)
        finally:
            self.server.opened(-1)

    def _pump(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        with suppress(OSError):
            while chunk := source.recv(_CHUNK):
                if not self.server.count(**{way: len(chunk)}):
                    break
                sink.sendall(chunk)
            if way == "up" and not chunk:
                sink.shutdown(socket.SHUT_WR)
                return
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class Server:
    """A daemon and the proxy in front of it."""

    daemon: Daemon
    proxy: Proxy

    def url(self, name: str) -> str:
        """Address of a repository through the proxy."""
        return f"git://{LOOPBACK}:{self.proxy.port}/{name}"


@contextmanager
def serve(base: Path, **settings: str) -> Iterator[Server]:
    """Serve every repository below a folder.

    Args:
        settings: git settings of the server, `__` for a dot: `uploadpack__allowFilter="false"`.
    """
    daemon = Daemon(base, {key.replace("__", "."): value for key, value in settings.items()})
    daemon.start()
    try:
        with Proxy(daemon) as proxy:
            thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            try:
                yield Server(daemon, proxy)
            finally:
                proxy.shutdown()
                thread.join(_PATIENCE)
    finally:
        daemon.stop()
