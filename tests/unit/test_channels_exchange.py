"""A ledger as lines: brought in once or twice, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.channels.ledger.evidence import BenchmarkEntry, BuildEntry, ImageEntry, RevisionEntry
from builder.channels.ledger.exchange import BadExport, bring_in, export, restore
from builder.channels.ledger.faults import Contradiction
from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.ledger.moves import HoldEntry, Step
from builder.errors import BuilderError, UsageError
from tests.unit.ledger_entries import NOON, after, digest, name, promotion, quick_folder, verdict
from tests.unit.ledger_strategies import VERDICTS

COMMIT = "0c1e57098" + "0" * 31


def fill(ledger: Ledger) -> None:
    """One entry of every kind, and a promotion that is under way."""
    ledger.images.record_revision(RevisionEntry(COMMIT, 10991, NOON))
    ledger.images.record(ImageEntry(digest("new"), (digest("m"),), (digest("i"),), ("llama:b1",), {"a": "ä"}))
    ledger.images.record_build(BuildEntry(digest("plan"), digest("new"), COMMIT, NOON, "host", {"seconds": 1.5}))
    ledger.verdicts.record(verdict("new"))
    ledger.verdicts.record(verdict("not built here", at=after(1)))
    ledger.verdicts.record_benchmark(BenchmarkEntry(digest("new"), "/x.json", digest("x"), NOON, "host", {}))
    for number in (1, 2):
        entry = promotion(ledger.id, number, at=after(number))
        ledger.promotions.plan(entry)
        for position in range(3 if number == 1 else 1):
            ledger.promotions.mark(entry.id, position, "begun", after(number))
            ledger.promotions.mark(entry.id, position, "done", after(number))
        if number == 1:
            ledger.promotions.end(entry.id, "done", after(1))
    ledger.holds.record(HoldEntry(name(1), digest("m"), "slow", "me", NOON))


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with quick_folder() as folder, open_ledger(folder / "one.sqlite") as opened:
        fill(opened)
        yield opened


@pytest.fixture
def other() -> Iterator[Ledger]:
    with quick_folder() as folder, open_ledger(folder / "two.sqlite") as opened:
        yield opened


def entries(ledger: Ledger) -> list[bytes]:
    return list(export(ledger))[1:]


def test_every_kind_of_entry_arrives(ledger: Ledger, other: Ledger) -> None:
    done = bring_in(other, export(ledger), "x")
    assert (done.ledger, done.entries) == (ledger.id, 9)
    assert entries(other) == entries(ledger)
    assert {json.loads(line)["entry"] for line in entries(other)} == {
        *("revision", "image", "build", "verdict", "benchmark", "promotion", "hold", "end")
    }


def test_bringing_in_twice_or_ones_own_changes_nothing(ledger: Ledger, other: Ledger) -> None:
    lines = list(export(ledger))
    for into in (ledger, other, other):
        bring_in(into, lines, "x")
    assert entries(ledger) == entries(other) == lines[1:]


def test_what_is_under_way_elsewhere_is_nobodys_to_finish_here(ledger: Ledger, other: Ledger) -> None:
    bring_in(other, export(ledger), "x")
    assert [entry.id for entry in ledger.promotions.under_way()] == [name(2)]
    assert other.promotions.under_way() == ()
    assert other.promotions.adopted("llama", "latest", "") is None
    other.promotions.plan(promotion(other.id, 3))
    assert len(other.promotions.history()) == 3


def test_two_machines_merge_what_each_has_and_an_older_export_takes_nothing_back(ledger: Ledger, other: Ledger) -> None:
    old = list(export(ledger))
    other.verdicts.record(verdict("new", gate="soak"))
    bring_in(other, old, "x")
    for position in (1, 2):
        ledger.promotions.mark(name(2), position, "begun", after(3))
        ledger.promotions.mark(name(2), position, "done", after(3))
    ledger.promotions.end(name(2), "done", after(3))
    ledger.holds.lift(name(1), "me", after(3))
    bring_in(other, export(ledger), "x")
    bring_in(other, old, "x")
    bring_in(ledger, export(other), "y")
    assert sorted(entries(ledger)) == sorted(entries(other))
    assert ledger.promotions.adopted("llama", "latest", "") == ledger.promotions.find(name(2))
    assert {entry.gate for entry in ledger.verdicts.of(digest("m"))} == {"smoke", "soak"}


def changed(lines: list[bytes], kind: str, **changes: Any) -> list[bytes]:
    """The lines, with the first entry of a kind changed."""
    documents = [json.loads(line) for line in lines]
    next(one for one in documents if one.get("entry") == kind).update(changes)
    return [json.dumps(one).encode() for one in documents]


@pytest.mark.parametrize(
    ("kind", "changes", "match"),
    [
        ("revision", {"number": 10992}, r"revision 0c1e57098.*number.*line 2 of x\.jsonl"),
        ("image", {"config": digest("another")}, "digest sha256:"),
        ("image", {"labels": {}}, "labels"),
        ("promotion", {"after": digest("another")}, "promotion .* after"),
        ("promotion", {"who": "another"}, "promotion .* who"),
        ("promotion", {"steps": []}, "number of steps"),
        ("hold", {"reason": "another"}, "hold .* reason"),
        ("build", {"commit": "f" * 40}, "FOREIGN KEY"),
    ],
)
def test_what_says_something_else_is_refused_by_name_and_nothing_is_taken(
    ledger: Ledger, kind: str, changes: dict[str, Any], match: str
) -> None:
    before = list(export(ledger))
    extra = json.dumps({"entry": "verdict", **verdict("fresh").plain()}).encode()
    lines = changed([before[0], *before[1:2], extra, *before[2:]], kind, **changes)
    lines[-1] = json.dumps({"entry": "end", "entries": 10}).encode()
    with pytest.raises(Contradiction, match=match):
        bring_in(ledger, lines, "x.jsonl")
    assert list(export(ledger)) == before


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("verdict", {"outcome": "passed"}),
        ("verdict", {"outcome": None}),
        ("verdict", {"extra": 1}),
        ("verdict", {"at": "2026-08-01T12:00:00"}),
        ("verdict", {"at": "0001-01-01T00:00:00+23:00"}),
        ("verdict", {"gpus": "H100"}),
        ("verdict", {"document": []}),
        ("verdict", {"entry": "Verdict"}),
        ("verdict", {"entry": None}),
        ("verdict", {"entry": ["verdict"]}),
        ("revision", {"number": 2**70}),
        ("revision", {"number": "10991"}),
        ("revision", {"number": True}),
        ("revision", {"committed": float("nan")}),
        ("image", {"labels": {"a": "\ud800"}}),
        ("promotion", {"ended": None}),
        ("promotion", {"id": "../x"}),
        ("end", {"entries": 8}),
        ("end", {"more": 1}),
    ],
)
def test_an_entry_that_is_none_is_refused_and_nothing_is_taken(
    ledger: Ledger, other: Ledger, kind: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(BadExport, match=r"x\.jsonl"):
        bring_in(other, changed(list(export(ledger)), kind, **changes), "x.jsonl")
    assert len(entries(other)) == 1


@pytest.mark.parametrize("kept", range(10))
def test_a_file_that_was_cut_is_not_taken_for_a_whole_one(ledger: Ledger, other: Ledger, kept: int) -> None:
    lines = list(export(ledger))
    for cut in (lines[:kept], [*lines[:kept], lines[kept][:-9]]):
        with pytest.raises(BadExport):
            bring_in(other, cut, "x")
    assert len(entries(other)) == 1


def test_two_exports_in_one_file_are_refused(ledger: Ledger, other: Ledger) -> None:
    lines = list(export(ledger))
    with pytest.raises(BadExport, match="last line"):
        bring_in(other, lines + lines, "x")
    assert len(entries(other)) == 1


def test_an_export_of_a_newer_version_is_refused(other: Ledger) -> None:
    header = {"kind": "builder-ledger", "schema_version": 3, "ledger": other.id}
    with pytest.raises(BadExport, match="of version 3, and this builder knows 2"):
        bring_in(other, [json.dumps(header).encode()], "x")


@settings(max_examples=15)
@given(st.lists(st.binary(max_size=20) | st.just(b"[" * 100_000) | st.just(b'{"kind":"builder-ledger"}'), max_size=4))
def test_any_lines_are_an_export_or_refused(lines: list[bytes]) -> None:
    with quick_folder() as folder, open_ledger(folder / "any.sqlite") as ledger:
        header = next(export(ledger))
        for content in (lines, [header, *lines]):
            with pytest.raises(BuilderError):
                bring_in(ledger, content, "x")


@settings(max_examples=10)
@given(st.lists(VERDICTS, max_size=4))
def test_any_verdicts_arrive_as_they_were(judged: list[Any]) -> None:
    with quick_folder() as folder, open_ledger(folder / "one") as one, open_ledger(folder / "two") as two:
        for entry in judged:
            one.verdicts.record(entry)
        bring_in(two, export(one), "x")
        assert {entry.id for entry in two.verdicts.all()} == {entry.id for entry in judged}
        assert entries(two) == entries(one)


def test_an_unfinished_promotion_of_ones_own_is_not_brought_in_over_another(ledger: Ledger) -> None:
    lines = list(export(ledger))
    document = next(one for one in map(json.loads, lines) if one.get("id") == name(2))
    extra = json.dumps({**document, "id": name("forged")}).encode()
    end = json.dumps({"entry": "end", "entries": 10}).encode()
    with pytest.raises(Contradiction):
        bring_in(ledger, [*lines[:-1], extra, end], "x")
    assert [entry.id for entry in ledger.promotions.under_way()] == [name(2)]


def test_a_restored_ledger_is_the_one_that_was_exported_and_another_machines_stays_that(
    ledger: Ledger, other: Ledger
) -> None:
    lines = list(export(ledger))
    assert restore(other, lines, "x").ledger == ledger.id
    with open_ledger(other.file) as restored:
        assert restored.id == ledger.id
        assert restored.promotions.adopted("llama", "latest", "") == ledger.promotions.adopted("llama", "latest", "")
        assert list(export(restored)) == lines
        with pytest.raises(UsageError, match="is not empty"):
            restore(restored, lines, "x")


def test_what_cannot_be_restored_as_a_whole_changes_nothing(ledger: Ledger, other: Ledger) -> None:
    with pytest.raises(BadExport):
        restore(other, list(export(ledger))[:-1], "x")
    with open_ledger(other.file) as same:
        assert (same.id, same.verdicts.all()) == (other.id, ())


def test_an_export_of_the_version_before_is_still_read(ledger: Ledger, other: Ledger) -> None:
    old = []
    for line in export(ledger):
        document = json.loads(line)
        if "schema_version" in document:
            document["schema_version"] = 1
        for new in ("overruled", "overruled_by"):
            document.pop(new, None)
        for step in document.get("steps", ()):
            del step["owed"]
        old.append(json.dumps(document).encode() + b"\n")
    bring_in(other, old, "x")
    assert other.promotions.in_order() == ledger.promotions.in_order()


def test_promotions_travel_in_the_order_in_which_they_were_made(ledger: Ledger, other: Ledger) -> None:
    for seed, at in (("first", after(60)), ("second", NOON)):
        moved = Step("engine", "llama:latest", None, digest(seed), begun=at, done=at)
        facts: dict[str, Any] = {"at": at, "ended": at, "result": "done", "steps": (moved,)}
        ledger.promotions.merge(promotion(ledger.id, seed, seed, **facts))
    restore(other, list(export(ledger)), "x")
    with open_ledger(other.file) as restored:
        last = restored.promotions.adopted("llama", "latest", "")
        assert last
        assert last.after == digest("second")
