"""What was recorded is there, once, and says what it said."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from builder.channels.ledger.database import Database
from builder.channels.ledger.evidence import BenchmarkEntry, BuildEntry, ImageEntry, RevisionEntry
from builder.channels.ledger.faults import Contradiction, LedgerError
from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.ledger.moves import HoldEntry, Step, StepState
from builder.channels.ledger.promotions import Mark
from builder.channels.ledger.schema import APPLICATION, MIGRATIONS
from builder.errors import MachineError
from builder.paths import Paths
from tests.unit.ledger_entries import H100, L4, NOON, after, digest, name, promotion, quick_folder, verdict

COMMIT = "0c1e57098" + "0" * 31


@pytest.fixture
def file() -> Iterator[Path]:
    with quick_folder() as folder:
        yield folder / "ledger.sqlite"


@pytest.fixture
def ledger(file: Path) -> Iterator[Ledger]:
    with open_ledger(file) as opened:
        yield opened


def image(seed: object, *manifests: object, **changes: Any) -> ImageEntry:
    return ImageEntry(digest(seed), tuple(map(digest, manifests)), **changes)


def test_a_ledger_keeps_its_name_and_what_it_has(file: Path) -> None:
    with open_ledger(file) as first:
        first.verdicts.record(verdict())
    with open_ledger(file) as second:
        assert second.id == first.id
        assert second.verdicts.all() == (verdict(),)
        second.verify()


def test_what_is_written_is_on_the_disk_before_it_is_said_to_be(file: Path) -> None:
    for _ in ("made", "opened again"):
        with open_ledger(file) as ledger:
            held = {name: ledger.database.ask(f"PRAGMA {name}")[0][name] for name in ("journal_mode", "synchronous")}
            assert held == {"journal_mode": "wal", "synchronous": 2}
            assert ledger.database.ask("PRAGMA foreign_keys") == [{"foreign_keys": 1}]


def test_the_ledger_is_not_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BUILDER_STATE", str(tmp_path / "state"))
    assert Paths.default().ledger == tmp_path / "state" / "ledger.sqlite"
    assert (tmp_path / "state").is_dir()
    monkeypatch.delenv("BUILDER_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    assert tmp_path / "home" in Paths.default().ledger.parents


def test_a_file_where_the_folder_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(MachineError, match=r"state of the ledger cannot be used") as caught:
        _ = Paths(tmp_path, tmp_path / "state").ledger
    assert "BUILDER_STATE" in caught.value.remedy


def test_an_image_is_found_by_each_of_its_digests_and_names(ledger: Ledger) -> None:
    ledger.images.record(image("config", "manifest", references=("llama:b1",)))
    ledger.images.record(image("config", "other", references=("llama:latest",), indexes=(digest("index"),)))
    whole = ImageEntry(
        digest("config"),
        tuple(sorted((digest("manifest"), digest("other")))),
        (digest("index"),),
        ("llama:b1", "llama:latest"),
    )
    for seed in ("config", "manifest", "other", "index"):
        assert ledger.images.find(digest(seed)) == whole
    assert ledger.images.named("llama:latest") == (whole,)
    assert ledger.images.find(digest("nobody's")) is None


def test_one_digest_is_never_two_images(ledger: Ledger) -> None:
    ledger.images.record(image("config", "manifest"))
    for entry in (image("another", "manifest"), image("manifest"), image("another", "fresh", "config")):
        with pytest.raises(Contradiction, match="The digest sha256:"):
            ledger.images.record(entry)
    assert ledger.images.all() == (image("config", "manifest"),)
    assert ledger.images.find(digest("fresh")) is None


def test_labels_may_come_later_and_never_change(ledger: Ledger) -> None:
    for labels in (None, {"a": "b"}, None, {"a": "b"}):
        ledger.images.record(image("config", labels=labels))
    assert ledger.images.all()[0].labels == {"a": "b"}
    with pytest.raises(Contradiction, match="labels"):
        ledger.images.record(image("config", labels={"a": "c"}))


def test_what_is_known_of_a_commit_grows_and_never_changes(ledger: Ledger) -> None:
    for number, committed in ((None, None), (10991, None), (None, NOON)):
        ledger.images.record_revision(RevisionEntry(COMMIT, number, committed))
    assert ledger.images.revisions() == (RevisionEntry(COMMIT, 10991, NOON),)
    with pytest.raises(Contradiction, match=r"The revision 0c1e57098: .* number = 10991, and this entry says 10992"):
        ledger.images.record_revision(RevisionEntry(COMMIT, 10992))


def test_a_build_needs_its_revision_and_is_found_by_every_digest_of_its_image(ledger: Ledger) -> None:
    build = BuildEntry(digest("plan"), digest("config"), COMMIT, NOON, "host", {"seconds": 1.5})
    with pytest.raises(Contradiction, match="FOREIGN KEY"):
        ledger.images.record_build(build)
    ledger.images.record_revision(RevisionEntry(COMMIT))
    ledger.images.record_build(build)
    ledger.images.record_build(build)
    assert ledger.images.builds(digest("config")) == (build,)
    ledger.images.record(image("config", "manifest"))
    assert ledger.images.builds() == ledger.images.builds(digest("manifest")) == (build,)
    assert ledger.images.builds(digest("another")) == ()


def test_a_verdict_counts_for_every_digest_of_its_image_even_if_that_is_learned_later(ledger: Ledger) -> None:
    ledger.verdicts.record(verdict("manifest"))
    assert ledger.verdicts.of(digest("config")) == ()
    ledger.images.record(image("config", "manifest"))
    assert ledger.verdicts.of(digest("config")) == (verdict("manifest"),)
    assert ledger.verdicts.of(digest("another")) == ()


def test_the_newest_verdict_of_each_gate_and_kind_of_gpu_counts(ledger: Ledger) -> None:
    early = verdict(outcome="pass")
    late = verdict(outcome="fail", at=after(1))
    other = verdict(gpus=(L4,), at=after(2))
    both = verdict(gate="performance", gpus=(L4, H100))
    without = verdict(gate="version", gpus=())
    for entry in (late, early, other, both, without):
        ledger.verdicts.record(entry)
    assert ledger.verdicts.newest(digest("image")) == {
        ("smoke", ("NVIDIA H100",)): late,
        ("smoke", ("NVIDIA L4",)): other,
        ("performance", ("NVIDIA H100", "NVIDIA L4")): both,
        ("version", ()): without,
    }


@pytest.mark.parametrize("order", [1, -1])
def test_of_verdicts_of_one_moment_the_worst_counts(ledger: Ledger, order: int) -> None:
    entries = [verdict(outcome=outcome) for outcome in ("pass", "could not judge", "fail")]
    for count in (2, 3):
        for entry in entries[:count][::order]:
            ledger.verdicts.record(entry)
        (newest,) = ledger.verdicts.newest(digest("image")).values()
        assert newest == entries[count - 1]


def test_a_verdict_knows_its_age(ledger: Ledger) -> None:
    ledger.verdicts.record(verdict(at=NOON.astimezone(timezone(timedelta(hours=5)))))
    (kept,) = ledger.verdicts.all()
    assert kept.at == NOON
    assert kept.age(after(90)) == timedelta(minutes=90)


def test_a_benchmark_is_found_by_its_image(ledger: Ledger) -> None:
    entry = BenchmarkEntry(digest("manifest"), "/runs/1.json", digest("file"), NOON, "host", {"t/s": 12.5})
    ledger.verdicts.record_benchmark(entry)
    ledger.verdicts.record_benchmark(entry)
    ledger.images.record(image("config", "manifest"))
    assert ledger.verdicts.benchmarks(digest("config")) == ledger.verdicts.benchmarks() == (entry,)


def test_a_hold_is_on_the_image_by_all_its_digests_until_it_is_lifted(ledger: Ledger) -> None:
    ledger.images.record(image("config", "manifest"))
    hold = HoldEntry(name(1), digest("manifest"), "rolled back: slow", "me", NOON)
    ledger.holds.record(hold)
    assert ledger.holds.on(digest("config")) == (hold,)
    ledger.holds.lift(hold.id, "you", after(1))
    ledger.holds.record(hold)
    assert ledger.holds.on(digest("config")) == ()
    assert [(one.lifted, one.lifted_by) for one in ledger.holds.all()] == [(after(1), "you")]
    with pytest.raises(LedgerError, match="lifted before"):
        ledger.holds.lift(hold.id, "you", after(2))


def test_a_promotion_is_walked_step_by_step(ledger: Ledger) -> None:
    entry = promotion(ledger.id)
    ledger.promotions.plan(entry)
    assert ledger.promotions.under_way() == (entry,)
    for position in range(3):
        ledger.promotions.mark(entry.id, position, "begun", after(position))
        states = [step.state for step in ledger.promotions.under_way()[0].steps]
        done = [StepState.DONE] * position
        assert states == [*done, StepState.BEGUN, *[StepState.PLANNED] * (2 - position)]
        with pytest.raises(LedgerError):
            ledger.promotions.end(entry.id, "done", after(9))
        ledger.promotions.mark(entry.id, position, "done", after(position + 0.5))
    assert ledger.promotions.adopted("llama", "latest", "") is None
    ledger.promotions.end(entry.id, "done", after(9))
    adopted = ledger.promotions.adopted("llama", "latest", "")
    assert adopted is not None
    assert (adopted.after, adopted.result, adopted.ended) == (digest("new"), "done", after(9))
    assert ledger.promotions.under_way() == ()
    assert ledger.promotions.adopted("llama", "latest", "cpu") is None


def test_a_promotion_can_be_undone_from_the_middle(ledger: Ledger) -> None:
    entry = promotion(ledger.id)
    ledger.promotions.plan(entry)
    ledger.promotions.mark(entry.id, 0, "begun", NOON)
    ledger.promotions.mark(entry.id, 0, "done", NOON)
    ledger.promotions.mark(entry.id, 1, "begun", NOON)
    ledger.promotions.turn(entry.id, after(1))
    assert ledger.promotions.under_way()[0].turned == after(1)
    for position in (1, 0):
        with pytest.raises(LedgerError):
            ledger.promotions.end(entry.id, "undone", after(9))
        ledger.promotions.mark(entry.id, position, "undone", after(2))
    ledger.promotions.end(entry.id, "undone", after(3))
    (kept,) = ledger.promotions.history()
    assert [step.state for step in kept.steps] == [StepState.UNDONE, StepState.UNDONE, StepState.PLANNED]
    assert ledger.promotions.adopted("llama", "latest", "") is None


def test_after_the_decision_to_undo_nothing_more_is_begun_or_finished(ledger: Ledger) -> None:
    step = promotion(ledger.id).steps[0]
    one = promotion(ledger.id, steps=(step,))
    ledger.promotions.plan(one)
    ledger.promotions.turn(one.id, NOON)
    with pytest.raises(LedgerError):
        ledger.promotions.mark(one.id, 0, "begun", NOON)
    ledger.promotions.end(one.id, "undone", NOON)
    two = promotion(ledger.id, 2, steps=(step,))
    ledger.promotions.plan(two)
    ledger.promotions.mark(two.id, 0, "begun", NOON)
    ledger.promotions.turn(two.id, NOON)
    ledger.promotions.mark(two.id, 0, "done", NOON)
    with pytest.raises(LedgerError):
        ledger.promotions.end(two.id, "done", NOON)
    ledger.promotions.mark(two.id, 0, "undone", NOON)
    ledger.promotions.end(two.id, "undone", NOON)


def test_a_step_cannot_be_what_it_was_not_on_the_way_to(ledger: Ledger) -> None:
    entry = promotion(ledger.id)
    ledger.promotions.plan(entry)
    marks: tuple[Mark, ...] = ("done", "undone")
    for mark in marks:
        with pytest.raises(LedgerError, match="Step 1 "):
            ledger.promotions.mark(entry.id, 0, mark, NOON)
    ledger.promotions.mark(entry.id, 0, "begun", NOON)
    ledger.promotions.mark(entry.id, 0, "begun", after(1))
    ledger.promotions.mark(entry.id, 0, "undone", NOON)
    with pytest.raises(LedgerError):
        ledger.promotions.mark(entry.id, 0, "done", NOON)
    with pytest.raises(LedgerError):
        ledger.promotions.mark(entry.id, 7, "begun", NOON)
    assert ledger.promotions.under_way()[0].steps[0].begun == NOON
    ledger.promotions.end(entry.id, "undone", NOON)
    with pytest.raises(LedgerError):
        ledger.promotions.mark(entry.id, 0, "undone", NOON)
    with pytest.raises(LedgerError):
        ledger.promotions.turn(entry.id, NOON)
    with pytest.raises(LedgerError):
        ledger.promotions.end(entry.id, "undone", NOON)


def test_one_promotion_of_the_same_images_is_under_way_at_a_time(ledger: Ledger) -> None:
    ledger.promotions.plan(promotion(ledger.id, 1))
    with pytest.raises(LedgerError, match="by me is under way since 2026-08-01"):
        ledger.promotions.plan(promotion(ledger.id, 2, channel="candidate"))
    ledger.promotions.plan(promotion(ledger.id, 3, variant="cpu"))
    assert len(ledger.promotions.under_way("llama")) == 2
    assert len(ledger.promotions.under_way("llama", "cpu")) == 1


def test_what_is_recorded_together_is_there_as_a_whole_or_not_at_all(ledger: Ledger) -> None:
    def fail_between() -> None:
        with ledger.together():
            ledger.verdicts.record(verdict())
            ledger.promotions.plan(promotion(ledger.id))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_between()
    assert ledger.verdicts.all() == ()
    assert ledger.promotions.history() == ()
    ledger.verdicts.record(verdict())
    assert ledger.verdicts.all() == (verdict(),)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RevisionEntry(COMMIT, 1),
        lambda: RevisionEntry("main"),
        lambda: RevisionEntry(COMMIT, 2, datetime(2026, 1, 1)),
        lambda: RevisionEntry(COMMIT, 2, datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
        lambda: ImageEntry("sha256:1"),
        lambda: verdict(gate="Smoke!"),
        lambda: verdict(machine=" "),
        lambda: verdict(gpus=(H100, H100)),
        lambda: verdict(document={"x": float("nan")}),
        lambda: verdict(document={"x": "\ud800"}),
        lambda: verdict(document={"outcome": "fail"}),
        lambda: Step("engine", "x", None, None, done=NOON),
        lambda: promotion("0" * 31),
        lambda: promotion("0" * 32, result="done"),
        lambda: promotion("0" * 32, result="done", ended=NOON),
        lambda: promotion("0" * 32, forced=""),
        lambda: HoldEntry(name(1), digest(1), "x", "me", NOON, lifted=NOON),
    ],
)
def test_what_cannot_be_is_no_entry(make: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()


def test_a_ledger_of_a_newer_version_is_left_alone(file: Path) -> None:
    with open_ledger(file):
        pass
    with sqlite3.connect(file) as raw:
        raw.execute("PRAGMA user_version = 9")
    raw.close()
    with pytest.raises(LedgerError, match=r"is of version 9, and this builder knows 2 at most"), open_ledger(file):
        pytest.fail("it was opened")


def test_another_programs_database_is_left_alone(file: Path) -> None:
    with sqlite3.connect(file) as raw:
        raw.execute("CREATE TABLE theirs (x)")
    raw.close()
    before = file.read_bytes()
    with pytest.raises(LedgerError, match="is a database, but no ledger"), open_ledger(file):
        pytest.fail("it was opened")
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all " * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_what_is_no_database_is_left_alone(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(LedgerError, match="cannot be read") as caught, open_ledger(file):
        pytest.fail("it was opened")
    assert "builder ledger import" in caught.value.remedy
    assert file.read_bytes() == content


def test_a_damaged_page_is_found(file: Path) -> None:
    with open_ledger(file) as ledger, ledger.together():
        for number in range(300):
            ledger.verdicts.record(verdict(number))
    with file.open("r+b") as raw:
        raw.seek(5 * 4096)
        raw.write(b"\xa5" * (file.stat().st_size - 6 * 4096))

    def look() -> None:
        with open_ledger(file) as opened:
            opened.verify()

    with pytest.raises(LedgerError, match="cannot be read"):
        look()


def test_a_migration_is_made_as_a_whole_or_not_at_all(file: Path) -> None:
    with open_ledger(file) as ledger:
        ledger.verdicts.record(verdict())
    more = ("ALTER TABLE holds ADD COLUMN until TEXT", "CREATE TABLE notes (x TEXT) STRICT")
    with pytest.raises(LedgerError):
        Database(file, (*MIGRATIONS, (*more, "CREATE TABLE holds (x TEXT)")))
    with open_ledger(file) as ledger:
        assert ledger.verdicts.all() == (verdict(),)
    newer = Database(file, (*MIGRATIONS, more))
    assert newer.ask("SELECT until FROM holds") == []
    assert newer.ask("PRAGMA user_version") == [{"user_version": 3}]
    assert newer.ask("PRAGMA application_id") == [{"application_id": APPLICATION}]
    newer.close()
    with pytest.raises(LedgerError, match="version 3"), open_ledger(file):
        pytest.fail("it was opened")


def test_a_ledger_that_another_keeps_locked_is_said_to_be(file: Path) -> None:
    with open_ledger(file) as one, open_ledger(file, patience=0.2) as two:
        with one.together(), pytest.raises(LedgerError, match="Another process keeps the ledger"):
            two.verdicts.record(verdict())
        two.verdicts.record(verdict())
        assert one.verdicts.all() == (verdict(),)


def test_moments_are_kept_in_utc() -> None:
    assert verdict(at=datetime(2026, 8, 1, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))) == verdict(at=NOON)
    assert verdict(at=NOON).plain()["at"] == "2026-08-01T12:00:00.000000Z"
    assert NOON.tzinfo is UTC


def test_a_ledger_of_the_first_version_is_brought_to_this_one(file: Path) -> None:
    first = Database(file, MIGRATIONS[:1])
    identity = first.ask("SELECT ledger FROM identity")[0]["ledger"]
    old, new = digest("old"), digest("new")
    for one in (old, new):
        first.run("INSERT INTO digests (digest) VALUES (?)", one)
    first.run(
        "INSERT INTO promotions VALUES"
        " (?, ?, 'promote', 'llama', 'latest', '', ?, ?, 'me', '', ?, NULL, NULL, ?, 'done')",
        "1" * 32,
        identity,
        old,
        new,
        "2026-08-01T12:00:00.000000Z",
        "2026-08-01T12:00:00.000000Z",
    )
    first.close()
    with open_ledger(file) as ledger:
        last = ledger.promotions.adopted("llama", "latest", "")
        assert last
        assert (last.after, last.overruled, ledger.id) == (new, None, identity)


def test_what_is_ended_by_force_is_kept_with_who_and_why(ledger: Ledger) -> None:
    entry = promotion(ledger.id)
    ledger.promotions.plan(entry)
    ledger.promotions.overrule(entry.id, "ops", "because of X")
    ledger.promotions.turn(entry.id, NOON)
    ledger.promotions.end(entry.id, "undone", NOON)
    kept = ledger.promotions.find(entry.id)
    assert kept
    assert kept.forces == ("undone by ops: because of X",)
    with pytest.raises(LedgerError):
        ledger.promotions.overrule(entry.id, "ops", "too late")
