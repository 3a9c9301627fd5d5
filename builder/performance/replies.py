"""What users got, and how long it took: streamed chats and vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from pydantic import ValidationError

from builder.performance.wire import Exchange, Received, received
from builder.server.answers import Answer, Deviation, Timings, Vectors, refused, unfit
from builder.server.streams import DONE

_OK = 200


class _Delta(Answer):
    content: str | None = None
    reasoning_content: str | None = None


class _Choice(Answer):
    delta: _Delta
    finish_reason: str | None = None


class _Usage(Answer):
    prompt_tokens: int
    completion_tokens: int = 0


class _Chunk(Answer):
    choices: tuple[_Choice, ...] = ()
    timings: Timings | None = None
    usage: _Usage | None = None


@dataclass(frozen=True)
class Reply:
    """A streamed answer.

    Attributes:
        sent: when it was asked for, on the monotonic clock.
        heard: when each piece of text arrived.
        prompt_tokens: tokens that the server read; None where it does not say.
        tokens: tokens that it made; where it does not say, the pieces that arrived.
        timings: what the server says of its own time; None where it does not.
    """

    sent: float
    heard: tuple[float, ...]
    ended: float
    prompt_tokens: int | None
    tokens: int
    timings: Timings | None

    @property
    def first(self) -> float:
        """Seconds from the request to the first token."""
        return self.heard[0] - self.sent

    @property
    def gaps(self) -> tuple[float, ...]:
        """Seconds between tokens; those that arrived together share the time since the one before them.

        What came together with the first token tells nothing.
        """
        together = tuple(Counter(self.heard).items())
        return tuple(
            (after - before) / count for (before, _), (after, count) in pairwise(together) for _ in range(count)
        )

    @property
    def whole(self) -> float:
        """Seconds from the request to the last token."""
        return self.heard[-1] - self.sent

    @property
    def speaking(self) -> float:
        """Seconds from the first token to the last."""
        return self.heard[-1] - self.heard[0]

    @property
    def speed(self) -> float:
        """Tokens per second after the first; 0 where all arrived together."""
        return (self.tokens - self.heard.count(self.heard[0])) / self.speaking if self.speaking > 0 else 0.0


@dataclass(frozen=True)
class Embedded:
    """Vectors that came in one answer.

    Attributes:
        seconds: from the request to the last byte.
        vectors: how many.
    """

    seconds: float
    vectors: int


def read_reply(done: Exchange, tokens: int) -> Reply:
    """Read a streamed chat.

    Args:
        tokens: how many were asked for.

    Raises:
        Deviation: it is none, is not whole, or has fewer tokens.
    """
    answer = _accepted(done)
    heard: list[float] = []
    finish: str | None = None
    timings: Timings | None = None
    usage: _Usage | None = None
    for moment, chunk in _chunks(answer):
        timings, usage = chunk.timings or timings, chunk.usage or usage
        for choice in chunk.choices[:1]:
            finish = choice.finish_reason or finish
            if choice.delta.content or choice.delta.reasoning_content:
                heard.append(moment)
    if finish is None or not heard:
        raise Deviation(f"A stream ended after {len(heard)} pieces without saying so.")
    made = _made(timings, usage) or len(heard)
    if made < tokens:
        raise Deviation(f"Of {tokens} tokens that were asked for, the server made {made}, and measured so little.")
    read = usage.prompt_tokens if usage else (timings.prompt_n if timings else None)
    return Reply(done.sent, tuple(heard), done.ended, read, made, timings)


def read_vectors(done: Exchange, texts: int) -> Embedded:
    """Read an answer with vectors.

    Args:
        texts: how many were sent.

    Raises:
        Deviation: it is none, or has another number of vectors.
    """
    answer = _accepted(done)
    try:
        found = Vectors.model_validate_json(answer.content)
    except ValidationError as error:
        raise unfit(done.path, error, answer.content.decode(errors="replace")) from error
    if len(found.data) != texts:
        raise Deviation(f"{done.path} gave {len(found.data)} vectors for {texts} texts.")
    return Embedded(answer.body[-1][0] - done.sent, texts)


def _accepted(done: Exchange) -> Received:
    answer = received(done)
    if answer.status != _OK:
        raise refused(done.path, answer.status, answer.content.decode(errors="replace"))
    return answer


def _chunks(answer: Received) -> Iterator[tuple[float, _Chunk]]:
    for moment, line in _lines(answer):
        field, _, value = line.partition(b":")
        value = value.strip()
        if field == b"error" or (field == b"data" and value.startswith(b'{"error"')):
            raise Deviation("A stream was broken off with an error.", (line.decode(errors="replace")[:200],))
        if field == b"data" and value != DONE.encode():
            try:
                yield moment, _Chunk.model_validate_json(value)
            except ValidationError as error:
                raise unfit("A piece of a stream", error, value.decode(errors="replace")) from error


def _lines(answer: Received) -> Iterator[tuple[float, bytes]]:
    """Lines, each with the arrival of the piece that ends it."""
    rest = b""
    for moment, piece in answer.body:
        *lines, rest = (rest + piece).split(b"\n")
        yield from ((moment, line) for line in lines if line.strip())


def _made(timings: Timings | None, usage: _Usage | None) -> int:
    return timings.predicted_n if timings else (usage.completion_tokens if usage else 0)
