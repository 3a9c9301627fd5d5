"""Requests sent when they are due, whether or not those before them were answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

from builder.performance.replies import Reply, read_reply, read_vectors
from builder.performance.soak.mix import Question
from builder.performance.soak.series import Asked, Ended
from builder.performance.wire import Exchange, exchange
from builder.server.address import Address
from builder.server.answers import Deviation, Timings

_TICK = 0.5
"""Seconds between two glances at whether to go on."""
_SELDOM = 100
"""What takes long is done again after so many times that."""
_GIVEN_UP = "The soak ended before it was answered."


@dataclass
class Book:
    """What was asked so far; it is kept whatever comes.

    Attributes:
        began: when the load began, on the monotonic clock.
        asked: requests that have ended, in the order of their ends.
        in_flight: requests that are under way.
    """

    began: float = field(default_factory=monotonic)
    asked: list[Asked] = field(default_factory=list)
    in_flight: int = 0

    def now(self) -> float:
        """Seconds since the load began."""
        return monotonic() - self.began


async def send(
    address: Address, due: Iterable[tuple[float, Question]], patience: float, book: Book, go_on: Callable[[], bool]
) -> None:
    """Send each request when it is due, and wait until the last was answered or given up.

    Args:
        due: seconds since the load began, and what is sent then.
        patience: seconds that users wait for a whole answer.
        book: gets what becomes of each.
        go_on: asked a few times a second; what is under way is given up as soon as it says no.
    """
    tasks: set[asyncio.Task[None]] = set()
    try:
        for at, question in due:
            if not await _until(at, book, go_on):
                return
            task = asyncio.create_task(_ask(address, question, at, patience, book))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        while tasks and go_on():
            await asyncio.wait(tasks, timeout=_TICK)
    finally:
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until(at: float, book: Book, go_on: Callable[[], bool]) -> bool:
    """Wait until a moment; whether it came before the end."""
    while True:
        if not go_on():
            return False
        left = at - book.now()
        if left <= 0:
            return True
        await asyncio.sleep(min(left, _TICK))


async def _ask(address: Address, question: Question, due: float, patience: float, book: Book) -> None:
    late = book.now() - due
    book.in_flight += 1
    try:
        done = await exchange(address, question.request, patience)
        late = done.sent - book.began - due
        book.asked.append(_read(question, done, due, book))
    except Deviation as deviation:
        outcome = Ended.TIMED_OUT if isinstance(deviation.__cause__, TimeoutError) else Ended.ERROR
        book.asked.append(Asked(question.kind, due, book.now(), outcome, error=deviation.sentence, late=late))
    except asyncio.CancelledError:
        book.asked.append(Asked(question.kind, due, book.now(), Ended.GIVEN_UP, error=_GIVEN_UP, late=late))
        raise
    finally:
        book.in_flight -= 1


def _read(question: Question, done: Exchange, due: float, book: Book) -> Asked:
    sent, ended = done.sent - book.began, done.ended - book.began
    if question.request.path.endswith("/embeddings"):
        found = read_vectors(done, question.tokens)
        return Asked(
            kind=question.kind,
            sent=due,
            ended=ended,
            outcome=Ended.ANSWERED,
            first=sent + found.seconds,
            prompt_tokens=question.length,
            late=sent - due,
        )
    reply = read_reply(done, question.tokens)
    prompt, cached = tokens_read(reply)
    return Asked(
        kind=question.kind,
        sent=due,
        ended=ended,
        outcome=Ended.ANSWERED,
        first=reply.heard[0] - book.began,
        prompt_tokens=prompt,
        cached_tokens=cached,
        tokens=reply.tokens,
        waited=waited(reply),
        late=sent - due,
    )


def tokens_read(reply: Reply) -> tuple[int | None, int | None]:
    """Tokens of a prompt, and of them those from the cache.

    A server counts only those that it computed in its timings, and all of them in its `usage`.
    """
    timings: Timings | None = reply.timings
    if timings is None:
        return reply.prompt_tokens, None
    if timings.cache_n is not None:
        return timings.prompt_n + timings.cache_n, timings.cache_n
    if reply.prompt_tokens is None:
        return None, None
    return reply.prompt_tokens, max(0, reply.prompt_tokens - timings.prompt_n)


def waited(reply: Reply) -> float | None:
    """Seconds before the first token in which the server did not compute the prompt; None where it does not say."""
    if reply.timings is None:
        return None
    return max(0.0, reply.first - reply.timings.prompt_ms / 1000)


async def alongside(work: Callable[[], None], period: float) -> None:
    """Do something again and again until this is cancelled, and less often where it takes long.

    It is done in a thread, so that requests are sent when they are due; what has begun is waited for.

    Raises:
        Exception: what it raised.
    """
    with suppress(asyncio.CancelledError):
        while True:
            began = monotonic()
            doing = asyncio.ensure_future(asyncio.to_thread(work))
            try:
                await asyncio.shield(doing)
            finally:
                await doing
            await asyncio.sleep(max(period, _SELDOM * (monotonic() - began)))
