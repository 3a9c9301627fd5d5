"""Several verdicts in one file."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.channels.bundle import is_bundle, read_bundle, write_bundle
from builder.channels.statement import BadStatement, Statement, write_statement
from tests.unit.ledger_entries import verdict
from tests.unit.ledger_strategies import VERDICTS, WORDS

STATEMENTS = [Statement("llama", verdict(gate=gate)) for gate in ("version", "smoke")]


@settings(max_examples=40)
@given(st.lists(st.builds(Statement, WORDS, VERDICTS), min_size=1, max_size=4))
def test_what_is_written_is_read_again_one_statement_a_line(statements: list[Statement]) -> None:
    content = write_bundle(statements)
    assert content.count(b"\n") == len(statements)
    assert is_bundle(content)
    assert list(read_bundle(content, "x")) == statements


def test_a_single_statement_in_many_lines_is_one_too() -> None:
    content = write_statement(STATEMENTS[0])
    assert is_bundle(content)
    assert read_bundle(content, "x") == (STATEMENTS[0],)


def test_empty_lines_are_no_statements() -> None:
    assert list(read_bundle(write_bundle(STATEMENTS).replace(b"\n", b"\n\n"), "x")) == STATEMENTS


def test_what_is_cut_or_changed_is_refused_by_its_line() -> None:
    content = write_bundle(STATEMENTS)
    with pytest.raises(BadStatement, match="Line 2 of x"):
        read_bundle(content[:-40], "x")
    first, second = content.splitlines()
    with pytest.raises(BadStatement, match=r"Line 1 of x does not fit together"):
        read_bundle(first.replace(b"PASSED", b"FAILED") + b"\n" + second, "x")


@pytest.mark.parametrize("content", [b"", b"\n", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"kind": "builder-ledger"}'])
def test_anything_else_is_no_bundle(content: bytes) -> None:
    assert not is_bundle(content)
    with pytest.raises(BadStatement):
        read_bundle(content, "x")


def test_statements_keep_their_words() -> None:
    (line,) = write_bundle([Statement("llämä", verdict(document={"reasons": ["ü\u2028\n"]}))]).split(b"\n")[:-1]
    assert json.loads(line)["subject"][0]["name"] == "llämä"
