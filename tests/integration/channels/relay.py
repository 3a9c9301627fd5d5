"""A way for an engine in a network namespace of its own to a registry on this machine's loopback."""

from __future__ import annotations

import ctypes
import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from builder.engine.client import Engine
from tests.integration.engines import beside

_NETWORK = 0x40000000
"""Linux' number for a namespace of the network."""
_BACKLOG = 32


@contextmanager
def relayed(engine: Engine, host: str) -> Iterator[None]:
    """Let a second engine reach what listens on this machine's loopback, under the very same address.

    Args:
        host: such as `127.0.0.1:5000`.
    """
    address, _, port = host.rpartition(":")
    with ThreadPoolExecutor(1) as pool:
        listening = pool.submit(_listen_in, _namespace(engine), (address, int(port))).result()
    with _Server((address, int(port)), listening) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def _namespace(engine: Engine) -> Path:
    return Path(beside(engine)[1].removeprefix("--net="))


def _listen_in(namespace: Path, address: tuple[str, int]) -> socket.socket:
    """A socket that listens in a namespace; only this thread enters it."""
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _NETWORK):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)
    return socket.create_server(address, backlog=_BACKLOG)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, target: tuple[str, int], listening: socket.socket) -> None:
        super().__init__(target, _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.target = target


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        with socket.create_connection(self.server.target) as there:
            back = threading.Thread(target=_pass_on, args=(there, self.request), daemon=True)
            back.start()
            _pass_on(self.request, there)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
