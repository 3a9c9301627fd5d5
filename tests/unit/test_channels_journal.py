"""What happened, as people read it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from builder.channels.called import called
from builder.channels.journal import counts, grounds, newest, spell_verdicts, state_of
from builder.channels.ledger.evidence import BenchmarkEntry, BuildEntry, ImageEntry
from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.ledger.moves import HoldEntry
from builder.plan.marks import OWN, PLAN, STANDARD
from tests.unit.ledger_entries import L4, NOON, after, digest, name, promotion, quick_folder, verdict


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with quick_folder() as folder, open_ledger(folder / "ledger.sqlite") as ledger:
        yield ledger


def test_an_image_is_called_by_its_own_tag_as_far_as_that_is_known(ledger: Ledger) -> None:
    assert called(ledger, None) == "nothing"
    assert called(ledger, digest("new")) == digest("new")[:19]
    plan = digest("plan")
    tag = f"b10991-cpu-{plan[7:17]}"
    ledger.images.record_build(BuildEntry(plan, digest("new"), None, NOON, "host", {"plan": {"tag": "b10991-cpu-x"}}))
    assert called(ledger, digest("new")) == "b10991-cpu-x"
    labels = {f"{STANDARD}version": "b10991", PLAN: plan, f"{OWN}cuda": "none", f"{OWN}patches": "none"}
    ledger.images.record(ImageEntry(digest("new"), (digest("manifest"),), labels=labels))
    assert called(ledger, digest("new")) == called(ledger, digest("manifest")) == tag


def test_the_newest_of_every_kind_come_first(ledger: Ledger) -> None:
    ledger.images.record_build(BuildEntry(digest("plan"), digest("new"), None, after(1), "host", {}))
    ledger.verdicts.record(verdict("new", at=after(2), document={"measurements": {"profile": "chat"}}))
    figures = {"profile": "chat", "outcome": "not worse"}
    ledger.verdicts.record_benchmark(BenchmarkEntry(digest("new"), "/x", digest("x"), after(3), "host", figures))
    ledger.promotions.plan(promotion(ledger.id, forced="it burns", at=after(4)))
    ledger.holds.record(HoldEntry(name("hold"), digest("new"), "too slow", "me", after(5)))
    assert [(one.kind, one.what) for one in newest(ledger, 9)] == [
        ("hold", "by me: too slow"),
        ("promote", "llama:latest by me, under way, forced"),
        ("benchmark", "chat not worse on host"),
        ("verdict", "smoke (chat) pass on NVIDIA H100"),
        ("build", "on host"),
    ]
    assert [one.kind for one in newest(ledger, 2)] == ["hold", "promote"]
    assert newest(ledger, 0) == ()
    assert counts(ledger)["promotions"] == counts(ledger)["benchmarks"] == 1


def test_a_promotion_rests_on_what_was_said_before_it(ledger: Ledger) -> None:
    for one in (
        verdict("new", "version", gpus=()),
        verdict("new", at=after(1), outcome="fail"),
        verdict("new", at=after(2)),
        verdict("new", at=after(3), gpus=(L4,)),
        verdict("new", at=after(9), outcome="fail"),
    ):
        ledger.verdicts.record(one)
    entry = promotion(ledger.id, at=after(5))
    told = spell_verdicts(grounds(ledger, entry))
    assert told == "version pass, smoke pass on NVIDIA H100, smoke pass on NVIDIA L4"
    assert spell_verdicts(grounds(ledger, promotion(ledger.id, at=after(-5)))) == "no verdicts"


def test_what_another_ledger_has_not_ended_is_not_under_way_here(ledger: Ledger) -> None:
    entry = promotion(ledger.id, turned=after(1))
    assert state_of(promotion(ledger.id), ledger.id) == "under way"
    assert state_of(entry, ledger.id) == "being undone"
    assert state_of(entry, name("another")) == "not ended when it was brought in"
