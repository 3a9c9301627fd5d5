"""What is read of a server's answers, and what is said of those that are not what they should be."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from builder.server.answers import SLOTS, Chat, Deviation, Slot, parse_metrics, refused
from builder.server.streams import read_stream

METRICS = b"""# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 43
llamacpp:prompt_seconds_total 0.5
llamacpp:strange none
other:thing 3
"""


def chunk(content: str | None = None, finish: str | None = None, **more: object) -> str:
    choices = [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]
    return "data: " + json.dumps({"choices": choices, **more})


TIMINGS = {"prompt_n": 1, "prompt_ms": 2.0, "predicted_n": 4, "predicted_ms": 4.0, "cache_n": 14}


def test_counters_are_read() -> None:
    assert parse_metrics(METRICS) == {"prompt_tokens_total": 43.0, "prompt_seconds_total": 0.5}


def test_a_counter_that_is_no_number_is_not_read() -> None:
    odd = b"llamacpp:a nan\nllamacpp:b +Inf\nllamacpp:c 1\n"
    assert parse_metrics(odd) == {"c": 1.0}
    with pytest.raises(Deviation, match="names no counter"):
        parse_metrics(b"llamacpp:a NaN\n")


def test_a_page_without_counters_is_a_deviation() -> None:
    with pytest.raises(Deviation, match="names no counter"):
        parse_metrics(b"<html>hello</html>")


@given(st.binary(max_size=300))
def test_any_page_is_read_or_refused(content: bytes) -> None:
    with suppress(Deviation):
        assert parse_metrics(content)


def test_a_stream_is_put_together() -> None:
    lines = [chunk(None), ": a comment", "", chunk("to"), chunk("gether"), chunk(None, "length", timings=TIMINGS)]
    streamed = read_stream(iter([*lines, "data: [DONE]", chunk("after the end")]))
    assert streamed.text == "together"
    assert streamed.pieces == ("to", "gether")
    assert streamed.finish == "length"
    assert streamed.done
    assert streamed.timings
    assert streamed.timings.predicted_per_second == 1000


def test_thoughts_are_read_in_pieces_and_whole() -> None:
    thought = [f"data: {json.dumps({'choices': [{'delta': {'reasoning_content': word}}]})}" for word in ("hm", " so")]
    streamed = read_stream(iter([*thought, chunk("yes"), "data: [DONE]"]))
    assert streamed.pieces == ("hm", " so", "yes")
    message = {"role": "assistant", "content": "yes", "reasoning_content": "hm so"}
    usage = {"prompt_tokens": 1, "completion_tokens": 3}
    whole = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
    assert Chat.model_validate_json(json.dumps(whole)).text == streamed.text


def test_a_stream_of_2024_ends_with_its_reason() -> None:
    assert read_stream(iter([chunk("a"), chunk(None, "stop")])).ended


def test_a_stream_that_is_broken_off_has_not_ended() -> None:
    streamed = read_stream(iter([chunk("a"), chunk("b")]))
    assert not streamed.ended
    assert streamed.text == "ab"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('data: {"error":{"code":500,"message":"no"}}', "broken off with an error"),
        ('error: {"code":500,"message":"no"}', "broken off with an error"),
        ("data: {not json", "no JSON"),
        ('data: {"choices": 7}', "something else than it should: choices"),
        (chunk(timings={**TIMINGS, "predicted_ms": "fast"}), "timings.predicted_ms"),
    ],
)
def test_events_of_another_kind_are_deviations(line: str, sentence: str) -> None:
    with pytest.raises(Deviation, match=sentence) as caught:
        read_stream(iter([chunk("a"), line]))
    assert caught.value.excerpt


@given(st.lists(st.text(max_size=100), max_size=10))
def test_any_stream_is_read_or_refused(lines: list[str]) -> None:
    with suppress(Deviation):
        assert not read_stream(iter([f"data: {line}" for line in lines])).pieces


@pytest.mark.parametrize(
    ("said", "idle"),
    [
        ({"id": 0, "is_processing": False}, True),
        ({"id": 0, "is_processing": True}, False),
        ({"id": 0, "state": 0}, True),
        ({"id": 0, "state": 1}, False),
    ],
)
def test_slots_are_idle_or_busy_in_every_era(said: dict[str, int | bool], idle: bool) -> None:
    assert Slot.model_validate(said).idle is idle


def test_a_slot_that_does_not_say_whether_it_is_busy_is_not_taken_for_idle() -> None:
    with pytest.raises(ValidationError, match="neither is_processing nor state"):
        SLOTS.validate_json('[{"id": 0, "is_processing": false}, {"id": 1}]')


def test_what_is_nested_without_end_is_a_deviation_and_no_crash() -> None:
    deep = "[" * 100_000
    assert refused("/slots", 500, deep).sentence == "/slots was answered with status 500."
    with pytest.raises(Deviation, match="no JSON"):
        read_stream(iter([f"data: {deep}"]))


def test_a_refusal_gives_the_servers_reason() -> None:
    said = json.dumps({"error": {"code": 501, "message": "Start it with `--embeddings`"}})
    deviation = refused("/v1/embeddings", 501, said)
    assert deviation.sentence == "/v1/embeddings was answered with status 501: Start it with `--embeddings`."
    assert deviation.excerpt == (said,)


@pytest.mark.parametrize("said", ["", "<html>", '{"error": "text"}', '{"error": {"message": 7}}', "[]"])
def test_a_refusal_without_a_reason_gives_its_status(said: str) -> None:
    assert refused("/slots", 503, said).sentence == "/slots was answered with status 503."
