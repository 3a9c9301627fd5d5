"""Many users at once, some of whom hang up in the middle of an answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum

import httpx

from builder.server.address import Address
from builder.server.answers import Deviation, refused, unanswered
from builder.server.client import chat_request, embedding_request
from builder.server.streams import read_stream

_OK = 200
_HEARD = 2
"""Pieces of an answer that a user hears before hanging up."""
_WRITTEN = "http11.send_request_body.complete"
"""What httpx tells once a request is on its way as a whole."""
TEXTS = 16
"""Texts in one request for vectors."""
_TEXT = "Tell me about the server that has to answer user number {user} for the time number {turn}."


@dataclass(frozen=True)
class Crowd:
    """Users who come at once.

    Attributes:
        users: how many.
        limit: seconds for one answer.
        turns: how often each asks.
        tokens: how long an answer is at most.
        embeddings: they ask for vectors, not for a chat.
    """

    users: int
    limit: float
    turns: int = 3
    tokens: int = 24
    embeddings: bool = False

    def hangs_up(self, user: int) -> bool:
        """Whether this user, counted from 0, hangs up before each answer is whole; every third does."""
        return user % 3 == 2  # noqa: PLR2004

    @property
    def to_hang_up(self) -> int:
        """Requests that are to be given up."""
        return self.turns * sum(map(self.hangs_up, range(self.users)))


@dataclass(frozen=True)
class Served:
    """What the users got.

    Attributes:
        answered: requests that got a whole answer.
        hung_up: requests that were given up on purpose.
        deviations: what was wrong with the others.
    """

    answered: int
    hung_up: int
    deviations: tuple[Deviation, ...]


def serve_crowd(address: Address, crowd: Crowd) -> Served:
    """Let all users ask at once, and wait until each has what was asked for or has hung up."""
    return asyncio.run(_serve(address, crowd))


class _Done(Enum):
    ANSWERED = "answered"
    HUNG_UP = "hung up"


async def _serve(address: Address, crowd: Crowd) -> Served:
    limits = httpx.Limits(max_connections=crowd.users, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=address.url, headers=address.headers, timeout=crowd.limit, limits=limits, trust_env=False
    ) as client:
        results = await asyncio.gather(*(_user(client, crowd, user) for user in range(crowd.users)))
    every = [result for user in results for result in user]
    return Served(
        answered=every.count(_Done.ANSWERED),
        hung_up=every.count(_Done.HUNG_UP),
        deviations=tuple(result for result in every if isinstance(result, Deviation)),
    )


async def _user(client: httpx.AsyncClient, crowd: Crowd, user: int) -> list[_Done | Deviation]:
    return [await _attempt(client, crowd, user, turn) for turn in range(crowd.turns)]


async def _attempt(client: httpx.AsyncClient, crowd: Crowd, user: int, turn: int) -> _Done | Deviation:
    ask = _embed if crowd.embeddings else _chat
    try:
        async with asyncio.timeout(crowd.limit):
            return await ask(client, crowd, _TEXT.format(user=user, turn=turn), crowd.hangs_up(user))
    except Deviation as deviation:
        return deviation
    except httpx.HTTPError as error:
        return unanswered("A user's request", error)
    except TimeoutError:
        return Deviation(f"A user had no answer within {crowd.limit:g} s.")


async def _chat(client: httpx.AsyncClient, crowd: Crowd, text: str, hangs_up: bool) -> _Done:
    request = {**chat_request(text, crowd.tokens), "stream": True}
    async with client.stream("POST", "/v1/chat/completions", json=request) as answer:
        await _check(answer)
        lines: list[str] = []
        async for line in answer.aiter_lines():
            if line.startswith(("data:", "error:")):
                lines.append(line)
            if hangs_up and len(lines) >= _HEARD:
                return _Done.HUNG_UP
    if not read_stream(iter(lines)).ended:
        raise Deviation(f"A user's stream ended after {len(lines)} pieces without saying so.")
    return _Done.ANSWERED


async def _embed(client: httpx.AsyncClient, _crowd: Crowd, text: str, hangs_up: bool) -> _Done:
    extensions = {"trace": _hang_up} if hangs_up else {}
    try:
        answer = await client.post("/v1/embeddings", json=embedding_request([text] * TEXTS), extensions=extensions)
    except _HungUp:
        return _Done.HUNG_UP
    await _check(answer)
    return _Done.ANSWERED


class _HungUp(Exception):
    """A user has asked and does not wait for the answer."""


async def _hang_up(event: str, _facts: object) -> None:
    if event == _WRITTEN:
        raise _HungUp


async def _check(answer: httpx.Response) -> None:
    if answer.status_code != _OK:
        raise refused("A user's request", answer.status_code, (await answer.aread()).decode(errors="replace"))
