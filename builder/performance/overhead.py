"""What the client itself costs: it streams from a trivial server on this machine, whose every piece is known.

A figure that is not far above this is the client's, not the server's.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from threading import Thread
from time import sleep, thread_time

from builder.performance.replies import read_reply
from builder.performance.wire import Exchange, Request, exchange
from builder.server.address import Address

_PIECE = b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":" word"}}],"object":"chunk"}\n\n'
_END = b'data: {"choices":[{"finish_reason":"length","index":0,"delta":{}}]}\n\ndata: [DONE]\n\n'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
_LIMIT = 30.0
_FAR_BELOW = 0.1
"""Of what is measured, what the client may cost."""


@dataclass(frozen=True)
class ClientCost:
    """What the client adds.

    Attributes:
        piece: seconds of processor time for each piece of a stream.
    """

    piece: float

    def distorts(self, gap: float) -> bool:
        """Whether it is too much beside that many seconds between two tokens."""
        return self.piece > _FAR_BELOW * gap


def measure_client(pieces: int = 200, gap: float = 0.001) -> ClientCost:
    """Stream from a trivial server.

    Args:
        pieces: tokens of the answer.
        gap: seconds between them.

    Raises:
        OSError: this machine has no port for it.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(_LIMIT)
        server = Thread(target=_serve, args=(listening, pieces, gap), daemon=True)
        server.start()
        address = Address(f"http://127.0.0.1:{listening.getsockname()[1]}")
        done, processor = asyncio.run(_ask(address))
        server.join(_LIMIT)
    read_reply(done, pieces)
    return ClientCost(processor / pieces)


async def _ask(address: Address) -> tuple[Exchange, float]:
    before = thread_time()
    done = await exchange(address, Request("/", b"{}"), _LIMIT)
    return done, thread_time() - before


def _serve(listening: socket.socket, pieces: int, gap: float) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(_LIMIT)
        connection.recv(1 << 16)
        connection.sendall(_HEAD)
        for _ in range(pieces):
            sleep(gap)
            connection.sendall(_PIECE)
        connection.sendall(_END)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
