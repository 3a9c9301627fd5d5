"""The client of measurements against real servers on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from threading import Thread
from time import monotonic, sleep

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.performance.overhead import ClientCost, measure_client
from builder.performance.prompts import Prompts
from builder.performance.replies import Reply, read_reply, read_vectors
from builder.performance.wire import Exchange, Request, exchange, received, request, together
from builder.server.address import Address
from builder.server.answers import Deviation

HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
ASK = Request("/v1/chat/completions", b"{}")


def event(text: str | None, finish: str | None = None, **more: object) -> bytes:
    delta = {} if text is None else {"content": text}
    return b"data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": finish}], **more}).encode() + b"\n\n"


def chunked(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


TIMINGS = {"prompt_n": 5, "prompt_ms": 1.0, "predicted_n": 2, "predicted_ms": 2.0}
WHOLE = event(" a") + event(" b") + event(None, "length", timings=TIMINGS) + b"data: [DONE]\n\n"


@contextmanager
def server(script: Sequence[bytes | float], heard: list[bytes] | None = None) -> Iterator[Address]:
    """A server that writes these bytes to each that asks, sleeping where a number stands, and then hangs up."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)

    def talk(connection: socket.socket) -> None:
        with connection:
            said = connection.recv(1 << 16)
            if heard is not None:
                heard.append(said)
            for part in script:
                if isinstance(part, bytes):
                    connection.sendall(part)
                else:
                    sleep(part)

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            Thread(target=talk, args=(connection,), daemon=True).start()

    Thread(target=serve, daemon=True).start()
    try:
        yield Address(f"http://127.0.0.1:{listening.getsockname()[1]}")
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def asked(script: Sequence[bytes | float], limit: float = 60.0) -> Exchange:
    with server(script) as address:
        return asyncio.run(exchange(address, ASK, limit))


def test_pieces_have_the_times_at_which_they_arrive() -> None:
    done = asked([HEAD, 0.1, event(" a"), 0.05, event(" b"), event(None, "length"), 0.2])
    reply = read_reply(done, 2)
    assert 0.1 <= reply.first < reply.whole
    assert reply.whole >= 0.15
    assert reply.whole == pytest.approx(reply.first + reply.gaps[0])
    assert reply.tokens == 2
    assert reply.timings is None


def test_what_the_server_says_of_itself_is_kept_beside() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    reply = read_reply(asked([HEAD, event(" a"), event(" b"), event(None, "length", usage=usage, timings=TIMINGS)]), 2)
    assert reply.prompt_tokens == 7
    assert reply.timings
    assert reply.timings.prompt_ms == 1.0


def test_a_request_is_one_that_servers_understand() -> None:
    heard: list[bytes] = []
    with server([HEAD + WHOLE], heard) as address:
        asyncio.run(exchange(address, request("/v1/x", {"a": 1}), 5.0))
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/x HTTP/1.1\r\n")
    assert b"Content-Length: 7" in head
    assert b"Connection: close" in head
    assert body == b'{"a":1}'


@given(st.lists(st.integers(0, 400), max_size=8), st.booleans())
def test_a_stream_is_read_however_it_is_cut(cuts: list[int], in_chunks: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" if in_chunks else HEAD
    whole = head + (chunked(WHOLE[:40]) + chunked(WHOLE[40:]) + b"0\r\n\r\n" if in_chunks else WHOLE)
    places = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    pieces = [whole[start:end] for start, end in pairwise(places)]
    arrivals = tuple((float(moment), piece) for moment, piece in enumerate(pieces, start=1))
    reply = read_reply(Exchange("/", 0.0, arrivals, 99.0), 2)
    assert len(reply.heard) == 2
    assert reply.tokens == 2
    last = whole.index(b"b", whole.index(b'" b"'))
    assert reply.heard[1] >= next(number for number, end in enumerate(places[1:], start=1) if end > last)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ([], "the server closed the connection"),
        ([b"nonsense\r\n\r\n"], "gave no whole answer"),
        ([HEAD], "A stream ended after 0 pieces"),
        ([HEAD, event(" a")], "A stream ended after 1 pieces"),
        ([HEAD, event(" a"), event(None, "stop")], "Of 2 tokens that were asked for, the server made 1"),
        ([HEAD, b'data: {"error": {"message": "out of luck"}}\n\n'], "broken off with an error"),
        ([HEAD, b"error: out of luck\n\n"], "broken off with an error"),
        ([HEAD, b"data: {\n\n"], "says something else than it should"),
        (
            [b'HTTP/1.1 500 No\r\nConnection: close\r\n\r\n{"error":{"message":"out of luck"}}'],
            "status 500: out of luck",
        ),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", event(" a")], "gave no whole answer"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunked(event(" a"))], "gave no whole answer"),
    ],
)
def test_an_answer_that_is_none_is_told(script: list[bytes | float], says: str) -> None:
    with pytest.raises(Deviation) as told:
        read_reply(asked(script), 2)
    assert says in told.value.sentence


def test_a_key_is_shown_to_the_server_and_to_nobody_else() -> None:
    heard: list[bytes] = []
    with server([HEAD + WHOLE], heard) as address:
        keyed = replace(address, key="hush")
        asyncio.run(exchange(keyed, ASK, 5.0))
        asyncio.run(exchange(address, ASK, 5.0))
    assert b"\r\nAuthorization: Bearer hush\r\n" in heard[0]
    assert b"Authorization" not in heard[1]
    assert "hush" not in repr(keyed)


def test_a_server_that_stalls_is_given_up_in_time() -> None:
    began = monotonic()
    with pytest.raises(Deviation, match=r"did not answer within 0\.3 s"):
        asked([HEAD, event(" a"), 120.0], limit=0.3)
    assert monotonic() - began < 60


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Deviation, match="gave no whole answer"):
        asyncio.run(exchange(Address(f"http://127.0.0.1:{port}"), ASK, 2.0))


def test_vectors_are_counted() -> None:
    body = json.dumps({"data": [{"embedding": [0.1, 0.2], "index": 0}]}).encode()
    done = asked([HEAD, 0.05, body])
    assert received(done).content == body
    found = read_vectors(done, 1)
    assert found.vectors == 1
    assert found.seconds >= 0.05
    with pytest.raises(Deviation, match="1 vectors for 2 texts"):
        read_vectors(done, 2)


def test_users_ask_at_once_and_each_one_after_the_other() -> None:
    with server([HEAD, 0.5, WHOLE]) as address:
        done, spent = asyncio.run(together(address, ((ASK, ASK),) * 10, 60.0))
    assert [len(user) for user in done] == [2] * 10
    assert all(first.ended <= second.sent for first, second in done)
    assert 1.0 <= spent.seconds < 9, "not one user after the other, which takes 10 s"
    assert spent.processor < spent.seconds


def test_one_that_gets_nothing_ends_it_for_all() -> None:
    began = monotonic()
    with server([]) as broken, pytest.raises(Deviation):
        asyncio.run(together(broken, ((ASK,) * 3,) * 4, 60.0))
    assert monotonic() - began < 60


def reply(*heard: float, tokens: int | None = None) -> Reply:
    return Reply(0.0, heard, heard[-1], 5, tokens or len(heard), None)


def test_tokens_that_arrive_together_share_the_time_since_the_one_before() -> None:
    assert reply(1.0, 1.0, 3.0, 3.0, 4.0).gaps == (1.0, 1.0, 1.0)
    assert reply(1.0, 1.0, 3.0, 3.0, 4.0).speed == 1.0
    assert reply(1.0, 1.0).gaps == ()
    assert reply(1.0, 1.0).speed == 0.0


def test_the_client_costs_far_less_than_a_token() -> None:
    costs = (measure_client(pieces=200, gap=0.001) for _ in range(40))
    far_less = (one for one in costs if 0 < one.piece < 0.0005)
    cost = next(far_less, None)
    assert cost, "whatever else the machine does, it is so once in a while"
    assert not cost.distorts(0.010)


def test_a_client_that_costs_a_tenth_of_a_token_distorts_it() -> None:
    assert ClientCost(piece=0.0002).distorts(0.001)
    assert not ClientCost(piece=0.00002).distorts(0.001)


def counting(per_word: float) -> Callable[[str], int]:
    return lambda text: round(len(text.split()) * per_word) + 1


@pytest.mark.parametrize("per_word", [0.7, 1.0, 2.6])
def test_a_text_has_as_many_tokens_as_the_server_at_hand_is_to_read(per_word: float) -> None:
    count = counting(per_word)
    prompts = Prompts.for_server(count, "round 1")
    for tokens in (100, 1850, 7000):
        assert count(prompts.text(tokens, "a")) == pytest.approx(tokens, rel=0.02, abs=3)


def test_texts_differ_from_their_first_words_on_and_are_the_same_again() -> None:
    prompts = Prompts.for_server(counting(1.0), "round 1")
    texts = [prompts.text(100, f"short/{number}") for number in range(200)]
    assert len({tuple(text.split()[:3]) for text in texts}) == 200
    assert texts == [prompts.text(100, f"short/{number}") for number in range(200)]
    other = Prompts.for_server(counting(1.0), "round 2")
    assert other.text(100, "short/0") != texts[0]
