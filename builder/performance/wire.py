"""Requests whose answers are noted as they arrive, and read only when all is over.

On a host with two weak cores the client takes time from the server that it measures: a general client spends 0.2 ms on
every piece of a stream, as much as a small model on a token. This one notes when each piece arrived and nothing else;
h11 reads the answers afterwards.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic, thread_time
from urllib.parse import urlsplit

import h11

from builder.server.address import Address
from builder.server.answers import Deviation

_HTTP = 80


@dataclass(frozen=True)
class Request:
    """What is sent: made before the clock runs."""

    path: str
    content: bytes


@dataclass(frozen=True)
class Exchange:
    """One request and what arrived, on the monotonic clock.

    Attributes:
        sent: when the request was handed to the network, its connection being open.
        arrivals: when each piece arrived, and its bytes.
        ended: when the server closed the connection.
        path: what was asked.
    """

    path: str
    sent: float
    arrivals: tuple[tuple[float, bytes], ...]
    ended: float


@dataclass(frozen=True)
class Received:
    """An answer.

    Attributes:
        body: its pieces, each with the time of its arrival.
    """

    status: int
    body: tuple[tuple[float, bytes], ...]

    @property
    def content(self) -> bytes:
        """The whole body."""
        return b"".join(piece for _, piece in self.body)


def request(path: str, content: Mapping[str, object]) -> Request:
    """A request to post this as JSON."""
    return Request(path, json.dumps(content, separators=(",", ":")).encode())


async def exchange(address: Address, what: Request, limit: float) -> Exchange:
    """Send a request over a connection of its own, and note what arrives until the server closes it.

    Args:
        limit: seconds.

    Raises:
        Deviation: the server cannot be reached, breaks the connection, or does not answer in time.
    """
    parts = urlsplit(address.url)
    host, port = parts.hostname or "", parts.port or _HTTP
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(limit):
            transport, listener = await loop.create_connection(_Listener, host, port)
            try:
                words = _as_bytes(what, parts.netloc, address)
                sent = monotonic()
                transport.write(words)
                ended = await listener.ended
            finally:
                transport.abort()
    except TimeoutError as error:
        raise Deviation(f"{what.path} did not answer within {limit:g} s.") from error
    except OSError as error:
        raise Deviation(f"{what.path} gave no whole answer: {error.strerror or error}.") from error
    if not listener.arrivals:
        raise Deviation(f"{what.path} gave no answer: the server closed the connection.")
    return Exchange(what.path, sent, tuple(listener.arrivals), ended)


def received(done: Exchange) -> Received:
    """Read what arrived.

    Raises:
        Deviation: it is no whole answer.
    """
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "it")]))
    connection.send(h11.EndOfMessage())
    status = 0
    body: list[tuple[float, bytes]] = []
    try:
        for moment, piece in (*done.arrivals, (done.ended, b"")):
            connection.receive_data(piece)
            while (event := connection.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    body.append((moment, bytes(event.data)))
                elif isinstance(event, h11.EndOfMessage):
                    return Received(status, tuple(body))
                elif isinstance(event, h11.ConnectionClosed):
                    break
    except h11.RemoteProtocolError as error:
        raise Deviation(f"{done.path} gave no whole answer: {error}.") from error
    raise Deviation(f"{done.path} gave no whole answer: the server closed the connection.")


@dataclass(frozen=True)
class Spent:
    """What it cost to ask.

    Attributes:
        seconds: from the first request to the end of the last answer.
        processor: seconds of processor time that the client took meanwhile.
    """

    seconds: float
    processor: float


async def together(
    address: Address, users: tuple[tuple[Request, ...], ...], limit: float
) -> tuple[tuple[tuple[Exchange, ...], ...], Spent]:
    """Let users ask at once, each its next request as soon as it has its answer; one user is one that is alone.

    This is a closed loop: a server that stalls is asked less, and a stall delays one request of each user, not all
    that would have come meanwhile. That is fair between subjects that get the same work, and no picture of a crowd
    that does not wait; the soak asks at a rate of its own.

    Args:
        users: the requests of each.
        limit: seconds for each answer.

    Raises:
        Deviation: one was not answered; the others are given up.
    """
    began, processor = monotonic(), thread_time()

    async def ask(requests: tuple[Request, ...]) -> tuple[Exchange, ...]:
        return tuple([await exchange(address, what, limit) for what in requests])

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(requests)) for requests in users]
    except* Deviation as failures:
        raise _first(failures) from None
    done = tuple(task.result() for task in tasks)
    return done, Spent(monotonic() - began, thread_time() - processor)


class _Listener(asyncio.Protocol):
    def __init__(self) -> None:
        self.arrivals: list[tuple[float, bytes]] = []
        self.ended: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.arrivals.append((monotonic(), data))

    def connection_lost(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error:
            self.ended.set_exception(error)
        else:
            self.ended.set_result(monotonic())


def _as_bytes(what: Request, host: str, address: Address) -> bytes:
    connection = h11.Connection(h11.CLIENT)
    headers = [
        ("Host", host),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(what.content))),
        ("Connection", "close"),
        *address.headers.items(),
    ]
    parts = (
        connection.send(h11.Request(method="POST", target=what.path, headers=headers)),
        connection.send(h11.Data(data=what.content)),
        connection.send(h11.EndOfMessage()),
    )
    return b"".join(part for part in parts if part)


def _first(failures: BaseExceptionGroup[Deviation]) -> Deviation:
    found: BaseException = failures
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, Deviation)
    return found
