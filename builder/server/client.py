"""Asks a running llama-server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar

import httpx
from pydantic import ValidationError

from builder.server.address import Address
from builder.server.answers import (
    SLOTS,
    Chat,
    Completion,
    Deviation,
    Properties,
    Slot,
    Text,
    Tokens,
    TooLate,
    Vectors,
    parse_metrics,
    refused,
    shown,
    unanswered,
    unfit,
)
from builder.server.foresight import Foreseen, Step
from builder.server.streams import Streamed, read_stream

_OK = 200
_MOST = 64 << 20
"""Bytes of an answer; a thousand vectors of a large model are less."""
FRESH = httpx.Limits(max_keepalive_connections=0)
"""A connection for each request: the server closes those that were used often, just when they may be used again."""

_Reading = TypeVar("_Reading")


class Client:
    """Asks one server.

    Args:
        timeout: seconds for one whole answer.

    Attributes:
        asked: how many requests were sent, without those for health.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self.address = address
        self.timeout = timeout
        self.asked = 0
        self._http = httpx.Client(
            base_url=address.url, headers=address.headers, timeout=timeout, trust_env=False, limits=FRESH
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def health(self, timeout: float = 5.0) -> int | None:
        """The status of `/health`: 200, or 503 while the model is loaded; None where nothing answers."""
        began = monotonic()
        try:
            with self._http.stream("GET", "/health", timeout=timeout) as answer:
                for _ in _in_time("/health", answer, began, timeout):
                    pass
                return answer.status_code
        except (httpx.HTTPError, Deviation):
            return None

    def properties(self) -> Properties:
        """What `/props` says.

        Raises:
            Deviation: it says something else.
        """
        return self._get("/props", Properties.model_validate_json)

    def slots(self) -> tuple[Slot, ...]:
        """What `/slots` says.

        Raises:
            Deviation: it says something else.
        """
        return self._get("/slots", SLOTS.validate_json)

    def metrics(self) -> Mapping[str, float]:
        """The counters of `/metrics` by name, without the `llamacpp:` before it.

        Raises:
            Deviation: it says something else.
        """
        return self._get("/metrics", parse_metrics)

    def tokenize(self, text: str) -> tuple[int, ...]:
        """The numbers of a text's tokens.

        Raises:
            Deviation: it says something else.
        """
        return self._post("/tokenize", {"content": text}, Tokens.model_validate_json).tokens

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of tokens.

        Raises:
            Deviation: it says something else.
        """
        return self._post("/detokenize", {"tokens": list(tokens)}, Text.model_validate_json).content

    def complete(self, prompt: str, tokens: int) -> Completion:
        """Go on with a prompt for this many tokens, always with the most probable one, nothing taken from a cache.

        Raises:
            Deviation: it says something else.
        """
        return self._post("/completion", completion_request(prompt, tokens), Completion.model_validate_json)

    def foresee(self, prompt: str | Sequence[int], tokens: int, likely: int) -> tuple[Step, ...]:
        """Go on with a prompt as `complete` does, and say how probable the most probable tokens were each time.

        Args:
            prompt: a text, or the numbers of its tokens.
            tokens: how many are made.
            likely: how many are named for each.

        Raises:
            Deviation: it says something else.
        """
        request = foresight_request(prompt, tokens, likely)
        return self._post("/completion", request, Foreseen.model_validate_json).steps

    def chat(self, text: str, tokens: int) -> Chat:
        """Answer a user with at most this many tokens, always with the most probable one.

        Raises:
            Deviation: it says something else.
        """
        return self._post("/v1/chat/completions", chat_request(text, tokens), Chat.model_validate_json)

    def stream_chat(self, text: str, tokens: int) -> Streamed:
        """Answer a user as `chat` does, piece by piece.

        Raises:
            Deviation: it says something else.
        """
        path, request = "/v1/chat/completions", {**chat_request(text, tokens), "stream": True}
        with self._request(path, "POST", request) as (answer, pieces):
            if answer.status_code != _OK:
                raise refused(path, answer.status_code, _text(b"".join(pieces)))
            return read_stream(_lines(pieces))

    def embed(self, texts: Sequence[str | Sequence[int]]) -> tuple[tuple[float, ...], ...]:
        """A vector for each text, in their order.

        Args:
            texts: texts, or the numbers of each one's tokens.

        Raises:
            Deviation: it says something else.
        """
        found = self._post("/v1/embeddings", embedding_request(texts), Vectors.model_validate_json)
        return tuple(entry.embedding for entry in sorted(found.data, key=lambda entry: entry.index))

    def _get(self, path: str, read: Callable[[bytes], _Reading]) -> _Reading:
        return self._ask(path, read, "GET", None)

    def _post(self, path: str, content: Mapping[str, object], read: Callable[[bytes], _Reading]) -> _Reading:
        return self._ask(path, read, "POST", content)

    def _ask(
        self, path: str, read: Callable[[bytes], _Reading], method: str, content: Mapping[str, object] | None
    ) -> _Reading:
        with self._request(path, method, content) as (answer, pieces):
            said = b"".join(pieces)
        if answer.status_code != _OK:
            raise refused(path, answer.status_code, _text(said))
        try:
            return read(said)
        except ValidationError as error:
            raise unfit(path, error, _text(said)) from error

    @contextmanager
    def _request(
        self, path: str, method: str, content: Mapping[str, object] | None
    ) -> Iterator[tuple[httpx.Response, Iterator[bytes]]]:
        """Count a request, and see that its whole answer comes, and in time."""
        self.asked += 1
        began = monotonic()
        try:
            with self._http.stream(method, path, json=content) as answer:
                yield answer, _in_time(path, answer, began, self.timeout)
        except httpx.HTTPError as error:
            raise unanswered(path, error) from error


def _in_time(path: str, answer: httpx.Response, began: float, limit: float) -> Iterator[bytes]:
    """The pieces of an answer as they come, while there is time for it and room.

    httpx limits the time for each piece alone, so that an answer in very small ones would never end.

    Args:
        began: when it was asked for, on the monotonic clock.
        limit: seconds for the whole answer.

    Raises:
        TooLate: time is up.
        Deviation: it is larger than any answer of llama-server.
    """
    size = 0
    for piece in answer.iter_bytes():
        size += len(piece)
        if size > _MOST:
            raise Deviation(f"{path} answered with more than {_MOST >> 20} MiB.", shown(_text(piece)))
        if (taken := monotonic() - began) > limit:
            raise TooLate(f"{path} took {taken:.1f} s to answer, more than {limit:g} s.")
        yield piece
    if (taken := monotonic() - began) > limit:
        raise TooLate(f"{path} took {taken:.1f} s to answer, more than {limit:g} s.")


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    held = b""
    for piece in pieces:
        *whole, held = (held + piece).split(b"\n")
        yield from (_text(line).rstrip("\r") for line in whole)
    if held:
        yield _text(held)


def _text(said: bytes) -> str:
    return said.decode(errors="replace")


def completion_request(prompt: str, tokens: int) -> Mapping[str, object]:
    """The content of a request to go on with a prompt."""
    wanted = {"n_predict": tokens, "temperature": 0.0, "top_k": 1, "seed": 1, "ignore_eos": True}
    return {"prompt": prompt, **wanted, "cache_prompt": False}


def foresight_request(prompt: str | Sequence[int], tokens: int, likely: int) -> Mapping[str, object]:
    """The content of a request to go on with a prompt and to tell probabilities.

    A temperature below 0 takes the most probable token in every era, as 0 does, and makes servers of July 2024 tell
    probabilities, which they do not at 0.
    """
    prompt = prompt if isinstance(prompt, str) else list(prompt)
    plain = {"temperature": -1.0, "repeat_penalty": 1.0, "n_probs": likely}
    return {**completion_request("", tokens), "prompt": prompt, **plain}


def chat_request(text: str, tokens: int) -> Mapping[str, object]:
    """The content of a request to answer a user."""
    messages = [{"role": "user", "content": text}]
    return {"messages": messages, "max_tokens": tokens, "temperature": 0.0, "seed": 1, "cache_prompt": False}


def embedding_request(texts: Sequence[str | Sequence[int]]) -> Mapping[str, object]:
    """The content of a request for vectors.

    A single text in numbers goes without a list around it, which servers of July 2024 do not take.
    """
    every = [text if isinstance(text, str) else list(text) for text in texts]
    return {"input": every[0] if len(every) == 1 and isinstance(every[0], list) else every, "model": "served"}
