"""Verdicts on their way between machines."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.channels.statement import BadStatement, Statement, read_statement, write_statement
from tests.unit.ledger_entries import digest, verdict
from tests.unit.ledger_strategies import VERDICTS, WORDS

CHECKS = [
    {"name": "loads", "outcome": "pass"},
    {"name": "graphs", "outcome": "fail"},
    {"name": "embeddings", "outcome": "could not judge"},
]


def written(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(write_statement(Statement("llama", verdict(**changes))))
    return document


def test_a_statement_is_what_the_predicate_asks_for() -> None:
    document = written(document={"checks": CHECKS})
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert document["subject"] == [{"name": "llama", "digest": {"sha256": digest("image").removeprefix("sha256:")}}]
    predicate = document["predicate"]
    assert predicate["passedTests"] == ["smoke/loads"]
    assert predicate["failedTests"] == ["smoke/graphs"]
    assert predicate["warnedTests"] == ["smoke/embeddings"]
    assert predicate["configuration"][0]["annotations"]["gpus"] == ["NVIDIA H100, driver 580.1, GPU-1"]


@pytest.mark.parametrize(("outcome", "result"), [("pass", "PASSED"), ("fail", "FAILED"), ("could not judge", "WARNED")])
def test_only_what_passed_is_passed(outcome: str, result: str) -> None:
    predicate = written(outcome=outcome)["predicate"]
    assert predicate["result"] == result
    assert predicate["passedTests"] == (["smoke"] if outcome == "pass" else [])


@settings(max_examples=40)
@given(WORDS, VERDICTS)
def test_what_is_written_is_read_again(name: str, judged: Any) -> None:
    statement = Statement(name, judged)
    assert read_statement(write_statement(statement), "x") == statement


def test_blanks_and_the_order_of_keys_do_not_count() -> None:
    document = written()
    reordered = json.dumps(dict(reversed(document.items()))).encode()
    assert read_statement(reordered, "x").verdict == verdict()


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *way, last = path.split(".")
        place: Any = document
        for part in way:
            place = place[int(part) if part.isdecimal() else part]
        place[last] = value

    return change


_CONTENT = "predicate.configuration.0.content"


def _content(**changes: Any) -> str:
    return base64.b64encode(json.dumps({**verdict(outcome="fail").plain(), **changes}).encode()).decode()


@pytest.mark.parametrize(
    "change",
    [
        _set("_type", "https://in-toto.io/Statement/v0.1"),
        _set("predicateType", "https://slsa.dev/provenance/v1"),
        _set("predicate.result", "PASSED"),
        _set("predicate.passedTests", ["smoke"]),
        _set("predicate.extra", 1),
        _set("extra", 1),
        _set("subject", []),
        _set("subject", [{"name": "llama", "digest": {"sha256": "0" * 64}}]),
        _set("subject.0.name", " "),
        _set("subject.0.name", 1),
        _set("predicate", None),
        _set("predicate.configuration", []),
        _set("predicate.configuration.0.annotations.machine", "another"),
        _set("predicate.configuration.0.digest.sha256", "0" * 64),
        _set(_CONTENT, "!"),
        _set(_CONTENT, 1),
        _set(_CONTENT, _content(outcome="pass")),
        _set(_CONTENT, _content(outcome="passed")),
        _set(_CONTENT, _content(extra=1)),
        _set(_CONTENT, _content(document={"outcome": "pass"})),
        _set(_CONTENT, _content(document={"digest": digest("another")})),
        _set(_CONTENT, _content(at="yesterday")),
        _set(_CONTENT, _content(at="0001-01-01T00:00:00+23:59")),
        _set(_CONTENT, _content(digest="sha256:1")),
        _set(_CONTENT, _content(gpus=[{"uuid": "x"}])),
        _set(_CONTENT, base64.b64encode(b"[]").decode()),
    ],
)
def test_a_statement_that_was_changed_is_refused(change: Callable[[dict[str, Any]], None]) -> None:
    document = written(outcome="fail")
    change(document)
    with pytest.raises(BadStatement, match=r"x\.json"):
        read_statement(json.dumps(document).encode(), "x.json")


def test_a_statement_with_checks_that_are_none_is_refused() -> None:
    content = base64.b64encode(json.dumps(verdict().plain() | {"document": {"checks": [1]}}).encode()).decode()
    document = written()
    _set(_CONTENT, content)(document)
    with pytest.raises(BadStatement):
        read_statement(json.dumps(document).encode(), "x.json")


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(BadStatement):
        read_statement(content, "x.json")


def test_what_is_much_too_long_is_not_read() -> None:
    with pytest.raises(BadStatement, match="more than 4 MiB"):
        read_statement(b" " * (5 << 20), "x.json")
