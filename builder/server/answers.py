"""What a llama-server answers, and what is to be said where an answer is not what it should be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, Self

import httpx
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError, model_validator

_SHOWN = 200
"""Characters of an answer that are quoted."""


class Deviation(Exception):
    """An answer that is not what it should be.

    Attributes:
        sentence: what is wrong.
        excerpt: what the server said.
    """

    def __init__(self, sentence: str, excerpt: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.excerpt = excerpt


class TooLate(Deviation):
    """An answer that did not come in time: slow, or never to come."""


class Answer(BaseModel):
    """Part of what a server says; what else it says is passed over."""

    model_config = ConfigDict(frozen=True, strict=True)


class _Generation(Answer):
    n_ctx: int | None = None


class Properties(Answer):
    """What a server says of itself.

    Attributes:
        build_info: `b<number>-<commit>`; None in servers that did not say so yet.
    """

    build_info: str | None = None
    total_slots: int
    model_path: str | None = None
    default_generation_settings: _Generation | None = None

    @property
    def slot_context(self) -> int | None:
        """Tokens that one user's prompt and answer may have together; None where the server does not say."""
        return self.default_generation_settings.n_ctx if self.default_generation_settings else None


class Slot(Answer):
    """A place for one user.

    Attributes:
        is_processing: whether it computes; servers before the autumn of 2024 say `state` instead.
    """

    id: int
    is_processing: bool | None = None
    state: int | None = None

    @model_validator(mode="after")
    def _says_it(self) -> Self:
        if self.is_processing is None and self.state is None:
            raise ValueError("neither is_processing nor state says whether the slot is busy")
        return self

    @property
    def idle(self) -> bool:
        """Whether it waits for a user."""
        return not (self.is_processing if self.is_processing is not None else self.state)


class Timings(Answer):
    """How long an answer took.

    Attributes:
        prompt_n: tokens of the prompt that were computed.
        predicted_n: tokens that were made.
        cache_n: tokens of the prompt that were taken from the cache; None where a server does not say.
    """

    prompt_n: int
    prompt_ms: FiniteFloat
    predicted_n: int
    predicted_ms: FiniteFloat
    cache_n: int | None = None

    @property
    def prompt_per_second(self) -> float:
        """Tokens of the prompt per second; 0 where no time is told."""
        return self.prompt_n / self.prompt_ms * 1000 if self.prompt_ms > 0 else 0.0

    @property
    def predicted_per_second(self) -> float:
        """Tokens made per second; 0 where no time is told."""
        return self.predicted_n / self.predicted_ms * 1000 if self.predicted_ms > 0 else 0.0


class Completion(Answer):
    """How a server went on with a prompt."""

    content: str
    tokens_predicted: int
    tokens_evaluated: int
    timings: Timings


class Message(Answer):
    """What was said, or a piece of it; a model that thinks says its thoughts apart, before all else."""

    content: str | None = None
    reasoning_content: str | None = None

    @property
    def text(self) -> str:
        return (self.reasoning_content or "") + (self.content or "")


class _Choice(Answer):
    message: Message
    finish_reason: str | None


class _Usage(Answer):
    prompt_tokens: int
    completion_tokens: int = 0


class Chat(Answer):
    """A whole answer in a chat."""

    choices: tuple[_Choice, ...] = Field(min_length=1)
    usage: _Usage

    @property
    def text(self) -> str:
        """What was thought and said."""
        return self.choices[0].message.text

    @property
    def finish(self) -> str | None:
        """Why it ends, such as `length` or `stop`."""
        return self.choices[0].finish_reason


class _Vector(Answer):
    embedding: tuple[FiniteFloat, ...]
    index: int = 0


class Vectors(Answer):
    """A vector for each text."""

    data: tuple[_Vector, ...]


class Tokens(Answer):
    """The numbers of tokens."""

    tokens: tuple[int, ...]


class Text(Answer):
    """The text of tokens."""

    content: str


SLOTS = TypeAdapter(tuple[Slot, ...])


def parse_metrics(content: bytes) -> Mapping[str, float]:
    """Read metrics in Prometheus' text format; lines of another shape, and what is no number, are passed over.

    Raises:
        Deviation: there are none of llama-server's.
    """
    found: dict[str, float] = {}
    for line in content.decode(errors="replace").splitlines():
        name, _, value = line.strip().partition(" ")
        if name.startswith("llamacpp:"):
            try:
                number = float(value)
            except ValueError:
                continue
            if isfinite(number):
                found[name.removeprefix("llamacpp:")] = number
    if not found:
        raise Deviation("/metrics names no counter of llama-server.", shown(content.decode(errors="replace")))
    return found


def unanswered(path: str, error: httpx.HTTPError) -> Deviation:
    """What there is to say where no whole answer came."""
    if isinstance(error, httpx.TimeoutException):
        return TooLate(f"{path} did not answer in time.")
    words = str(error) or type(error).__name__
    return Deviation(f"{path} gave no whole answer: {words}.")


def refused(what: str, status: int, said: str) -> Deviation:
    """What there is to say of an answer with another status than 200."""
    try:
        reason: Any = json.loads(said)["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        reason = ""
    because = f": {reason}" if isinstance(reason, str) and reason else ""
    sentence = f"{what} was answered with status {status}{because[:_SHOWN]}"
    return Deviation(sentence.rstrip(".") + ".", shown(said))


def unfit(what: str, error: ValidationError, said: str) -> Deviation:
    """What there is to say of an answer that lacks something, or has something else in its place."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return Deviation(f"{what} says something else than it should: {place}: {first['msg']}.", shown(said))


def shown(text: str) -> tuple[str, ...]:
    """What of a foreign text is quoted: its first lines, and of these the beginning."""
    return tuple(line[:_SHOWN] for line in text.splitlines()[:2] if line.strip())
