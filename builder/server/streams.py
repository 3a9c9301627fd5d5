"""Answers that come piece by piece, as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import ValidationError

from builder.server.answers import Answer, Deviation, Message, Timings, shown, unfit

DONE = "[DONE]"
"""What ends a stream."""


class _Piece(Answer):
    delta: Message
    finish_reason: str | None = None


class _Chunk(Answer):
    choices: tuple[_Piece, ...] = ()
    timings: Timings | None = None


class Streamed(Answer):
    """An answer in a chat that came in pieces.

    Attributes:
        pieces: the pieces of text, thoughts and what was said, in order.
        finish: why it ends, such as `length`; None where it was not said.
        done: `[DONE]` came; servers of 2024 only end the connection.
    """

    pieces: tuple[str, ...]
    finish: str | None
    done: bool
    timings: Timings | None

    @property
    def ended(self) -> bool:
        """Whether it came to its end, and was not broken off."""
        return self.done or self.finish is not None

    @property
    def text(self) -> str:
        """What was thought and said."""
        return "".join(self.pieces)


def read_stream(lines: Iterator[str]) -> Streamed:
    """Read the events of an answer that comes in pieces.

    Raises:
        Deviation: an event is none of a chat, or tells of an error.
    """
    pieces: list[str] = []
    finish: str | None = None
    timings: Timings | None = None
    done = False
    for event in events(lines):
        if event == DONE:
            done = True
            break
        chunk = _chunk(event)
        timings = chunk.timings or timings
        for piece in chunk.choices[:1]:
            if piece.delta.text:
                pieces.append(piece.delta.text)
            finish = piece.finish_reason or finish
    return Streamed(pieces=tuple(pieces), finish=finish, done=done, timings=timings)


def events(lines: Iterator[str]) -> Iterator[str]:
    """The contents of server-sent events, each of one line; comments and empty lines are passed over.

    Raises:
        Deviation: the server tells of an error instead.
    """
    for line in lines:
        field, _, value = line.partition(":")
        if field == "error":
            raise Deviation("A stream was broken off with an error.", shown(line))
        if field == "data":
            yield value.strip()


def _chunk(event: str) -> _Chunk:
    try:
        found: object = json.loads(event)
        if isinstance(found, dict) and "error" in found:
            raise Deviation("A stream was broken off with an error.", shown(event))
        return _Chunk.model_validate_json(event)
    except ValidationError as error:
        raise unfit("A piece of a stream", error, event) from error
    except (ValueError, RecursionError) as error:
        raise Deviation("A piece of a stream is no JSON.", shown(event)) from error
