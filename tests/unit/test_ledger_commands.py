"""`builder ledger`, `builder history` and what they say, without an engine."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.channels.bundle import write_bundle
from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.statement import Statement
from builder.cli.app import main
from builder.errors import ExitCode
from builder.paths import Paths
from tests.unit.ledger_entries import after, digest, promotion, verdict

Say = Callable[..., str]


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger of a person who has none yet."""
    monkeypatch.setenv("BUILDER_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return Paths.default().ledger


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: str, code: int = ExitCode.DONE) -> str:
        assert main([*words]) == code
        told = capsys.readouterr()
        assert max(map(len, told.out.splitlines()), default=0) <= 80 or "export" in words or "--json" in words
        return told.out + told.err

    return run


def fill(file: Path) -> None:
    with open_ledger(file) as ledger:
        ledger.verdicts.record(verdict("new", "version", gpus=()))
        ledger.verdicts.record(verdict("new"))
        adopt(ledger, forced="the fleet burns", why="at three in the morning")


def adopt(ledger: Ledger, **changes: Any) -> None:
    entry = promotion(ledger.id, repository="local-ai-llama", at=after(5), **changes)
    ledger.promotions.plan(entry)
    for position in range(len(entry.steps)):
        ledger.promotions.mark(entry.id, position, "begun", after(6))
        ledger.promotions.mark(entry.id, position, "done", after(7))
    ledger.promotions.end(entry.id, "done", after(8))


def test_an_empty_ledger_says_so(say: Say) -> None:
    assert "verdicts 0" in say("ledger", "show")
    assert "Nothing of local-ai-llama was promoted yet." in say("history")
    assert "Nothing was promoted yet." in say("history", "--all")
    assert "Nothing is held." in say("hold", "list")


def test_what_the_ledger_holds_is_shown(file: Path, say: Say) -> None:
    fill(file)
    told = say("ledger", "show")
    assert "verdicts 2" in told
    assert "local-ai-llama:latest by me, done, forced" in " ".join(told.split())
    document = json.loads(say("ledger", "show", "--limit", "1", "--json"))
    assert (document["file"], document["counts"]["promotions"], document["version"]) == (str(file), 1, 2)
    assert [one["kind"] for one in document["newest"]] == ["promote"]


def test_a_history_says_who_why_and_by_which_verdicts_and_shows_what_was_forced(file: Path, say: Say) -> None:
    fill(file)
    told = " ".join(say("history").split())
    assert f"{digest('old')[:19]} -> {digest('new')[:19]}" in told
    for words in ("FORCED: the fleet burns", "by me: at three in the morning", "version pass", "smoke pass on NVIDIA"):
        assert words in told
    (one,) = json.loads(say("history", "--json"))["history"]
    assert (one["forced"], one["state"], one["result"]) == ("the fleet burns", "done", "done")
    assert [(v["gate"], v["outcome"], v["gpus"]) for v in one["verdicts"]] == [
        ("smoke", "pass", ["NVIDIA H100"]),
        ("version", "pass", []),
    ]


def test_another_repository_is_in_the_whole_history_alone(file: Path, say: Say) -> None:
    with open_ledger(file) as ledger:
        ledger.promotions.plan(promotion(ledger.id))
    assert json.loads(say("history", "--json"))["history"] == []
    assert [one["state"] for one in json.loads(say("history", "--all", "--json"))["history"]] == ["under way"]


def test_an_export_brings_everything_to_another_ledger(
    file: Path, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(file)
    said = say("ledger", "export")
    assert "holds the ledger" in say("ledger", "export", "all.jsonl")
    assert (tmp_path / "all.jsonl").read_text() == said
    monkeypatch.setenv("BUILDER_STATE", str(tmp_path / "elsewhere"))
    document = json.loads(say("ledger", "import", "all.jsonl", "--json"))
    assert document["entries"] == 3
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(said.encode())))
    assert "3 entries of standard input" in say("ledger", "import", "-")
    assert json.loads(say("ledger", "show", "--json"))["counts"] == {
        "revisions": 0,
        "images": 0,
        "builds": 0,
        "verdicts": 2,
        "benchmarks": 0,
        "promotions": 1,
        "holds": 0,
    }


def test_statements_are_brought_in_all_or_none(file: Path, say: Say, tmp_path: Path) -> None:
    content = write_bundle([Statement("llama", verdict("new", gate)) for gate in ("version", "smoke")])
    (tmp_path / "cut.jsonl").write_bytes(content[:-9])
    assert "Line 2 of cut.jsonl" in say("ledger", "import", "cut.jsonl", code=ExitCode.USAGE)
    with open_ledger(file) as ledger:
        assert ledger.verdicts.all() == ()
    (tmp_path / "whole.jsonl").write_bytes(content)
    for _ in range(2):
        assert "2 entries of whole.jsonl (statements)" in say("ledger", "import", "whole.jsonl")
    with open_ledger(file) as ledger:
        assert {one.gate for one in ledger.verdicts.of(digest("new"))} == {"version", "smoke"}


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("ledger", "import", "nothing.jsonl"), "There is no file nothing.jsonl"),
        (("ledger", "import", "."), ". is a folder"),
        (("ledger", "export", "."), "is a folder"),
        (("ledger", "export", "no/such.jsonl"), "There is no folder"),
        (("history", "--limit", "0"), "--limit"),
        (("hold", "add", "b10991", " "), "The reason is empty"),
    ],
)
def test_what_makes_no_sense_is_refused(say: Say, words: tuple[str, ...], match: str) -> None:
    assert match in say(*words, code=ExitCode.USAGE)


def test_a_file_that_is_neither_export_nor_statements_is_refused(say: Say, tmp_path: Path) -> None:
    for content in (b"", b"# A text\n", b"\xff\xfe", b"[]", b'{"kind": "another"}'):
        (tmp_path / "odd").write_bytes(content)
        assert "error:" in say("ledger", "import", "odd", code=ExitCode.USAGE)


def test_a_damaged_ledger_is_the_machines_fault(file: Path, say: Say) -> None:
    file.write_bytes(b"This is no ledger at all. " * 100)
    for words in (("ledger", "show"), ("ledger", "check"), ("ledger", "export"), ("history",), ("hold", "list")):
        assert "cannot be read" in say(*words, code=ExitCode.MACHINE)
    assert json.loads(say("ledger", "show", "--json", code=ExitCode.MACHINE).partition("error:")[0])["error"]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("promote", "b10991", "--resume"), "An image means nothing with --resume"),
        (("rollback", "--to", "b10991", "--undo"), "An image means nothing with --undo"),
        (("rollback", "--undo", "--why", "W"), "--why means nothing with --undo"),
        (("promote", "--resume", "--accept-moved"), "--accept-moved means nothing with --resume"),
        (("promote", "--resume", "--undo"), "contradict each other"),
        (("promote", "--resume", "--force", " "), "--force has no reason"),
    ],
)
def test_what_means_nothing_where_something_was_left_in_the_middle_is_refused(
    say: Say, words: tuple[str, ...], match: str
) -> None:
    assert match in " ".join(say(*words, code=ExitCode.USAGE).split())


def test_what_was_ended_by_force_is_shown_in_every_listing(file: Path, say: Say) -> None:
    with open_ledger(file) as ledger:
        entry = promotion(ledger.id, repository="local-ai-llama")
        ledger.promotions.plan(entry)
        ledger.promotions.overrule(entry.id, "ops", "because of X")
        ledger.promotions.end(entry.id, "undone", after(1))
    assert "FORCED: undone by ops: because of X" in " ".join(say("history").split())
    assert "undone, forced" in " ".join(say("ledger", "show").split())
    (one,) = json.loads(say("history", "--json"))["history"]
    assert (one["overruled"], one["overruled_by"]) == ("because of X", "ops")


def test_a_lost_ledger_is_restored_as_what_it_was(
    file: Path, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(file)
    say("ledger", "export", "all.jsonl")
    identity = json.loads(say("ledger", "show", "--json"))["ledger"]
    assert "is not empty" in " ".join(say("ledger", "import", "--restore", "all.jsonl", code=ExitCode.USAGE).split())
    monkeypatch.setenv("BUILDER_STATE", str(tmp_path / "new"))
    say("ledger", "import", "--restore", "all.jsonl")
    assert json.loads(say("ledger", "show", "--json"))["ledger"] == identity
