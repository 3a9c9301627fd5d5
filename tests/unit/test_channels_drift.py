"""What tags and files name, held against the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from builder.channels.drift import Actual, Discrepancy, drifts, expected_of
from builder.channels.ledger.evidence import ImageEntry
from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.ledger.moves import PromotionEntry, Step
from builder.channels.ledger.values import short
from tests.unit.ledger_entries import after, digest, name, promotion, quick_folder, verdict

LATEST = ("engine", "llama:latest")
OTHER_LEDGER = name("another ledger")


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with quick_folder() as folder, open_ledger(folder / "ledger.sqlite") as ledger:
        yield ledger


def adopted(ledger: Ledger, image: object, minutes: float = 0, *steps: Step, **changes: Any) -> PromotionEntry:
    """A promotion that is whole, brought in as it would be from an export."""
    moment = after(minutes)
    tag = Step("engine", "llama:latest", None, digest(image))
    made = tuple(replace(step, begun=moment, done=moment) for step in (tag, *steps))
    facts = {"at": moment, "steps": made, "ended": moment, "result": "done", **changes}
    entry = promotion(facts.pop("owner", ledger.id), f"{image} {minutes}", image, **facts)
    ledger.promotions.merge(entry)
    return entry


def seen(*images: object, subject: tuple[str, str] = LATEST, **facts: Any) -> Actual:
    return Actual(*subject, tuple(digest(image) for image in images), **facts)


def expected(ledger: Ledger, subject: tuple[str, str] = LATEST) -> str | None:
    known = expected_of(ledger, *subject)
    return known.digest if known else None


def only(found: tuple[Discrepancy, ...]) -> Discrepancy:
    (one,) = found
    return one


def test_what_names_what_it_was_made_to_name_is_fine(ledger: Ledger) -> None:
    adopted(ledger, "old")
    adopted(ledger, "new", 5)
    assert expected(ledger) == digest("new")
    assert drifts(ledger, [seen("new")]) == ()


def test_a_tag_that_was_moved_by_hand_is_told_with_the_way_back(ledger: Ledger) -> None:
    adopted(ledger, "new")
    found = only(drifts(ledger, [seen("by hand")]))
    assert (found.kind, found.said, found.seen) == ("moved", digest("new"), (digest("by hand"),))
    assert found.remedy.startswith(f"`docker tag {digest('new')[7:19]} llama:latest` puts it back")


def test_a_tag_that_is_gone_is_told(ledger: Ledger) -> None:
    adopted(ledger, "new")
    assert only(drifts(ledger, [seen()])).kind == "gone"


def test_an_image_that_is_gone_is_not_to_be_tagged_again(ledger: Ledger) -> None:
    adopted(ledger, "new")
    found = only(drifts(ledger, [seen(present=False)]))
    assert found.remedy.startswith(f"The engine does not have {digest('new')[:19]} any more")


def test_the_same_image_by_another_digest_is_no_drift(ledger: Ledger) -> None:
    adopted(ledger, "config")
    ledger.images.record(ImageEntry(digest("config"), (digest("manifest"),)))
    assert drifts(ledger, [seen("manifest")]) == ()


def test_what_names_something_without_any_promotion_is_told(ledger: Ledger) -> None:
    found = only(drifts(ledger, [seen("by hand")]))
    assert (found.kind, found.said) == ("unknown", None)
    assert drifts(ledger, [seen()]) == ()


def test_a_candidate_is_an_image_that_was_seen_built_or_judged(ledger: Ledger) -> None:
    candidate = seen("new", subject=("engine", "llama:candidate"), built=True)
    assert only(drifts(ledger, [candidate])).remedy == "`builder judge llama:candidate`."
    ledger.verdicts.record(verdict("new"))
    assert drifts(ledger, [candidate]) == ()


def test_what_was_undone_says_nothing(ledger: Ledger) -> None:
    adopted(ledger, "old")
    moment = after(5)
    undone = Step("engine", "llama:latest", digest("old"), digest("new"), begun=moment, undone=moment)
    facts: dict[str, Any] = {"at": moment, "turned": moment, "ended": moment, "result": "undone", "steps": (undone,)}
    ledger.promotions.merge(promotion(ledger.id, "undone", **facts))
    assert drifts(ledger, [seen("old")]) == ()


def test_another_ledger_speaks_of_registries_and_not_of_this_engine(ledger: Ledger) -> None:
    remote = Step("registry", "r.lan/llama:latest", None, digest("theirs"))
    adopted(ledger, "theirs", 0, remote, owner=OTHER_LEDGER)
    assert expected(ledger) is None
    assert expected(ledger, ("registry", "r.lan/llama:latest")) == digest("theirs")


@pytest.mark.parametrize("ahead", [60, -60])
def test_our_own_promotions_are_in_the_order_in_which_they_were_made_whatever_a_clock_said(
    ledger: Ledger, ahead: float
) -> None:
    adopted(ledger, "first", ahead)
    adopted(ledger, "second")
    assert expected(ledger) == digest("second")
    assert drifts(ledger, [seen("second")]) == ()
    last = ledger.promotions.adopted("llama", "latest", "")
    assert last
    assert last.after == digest("second")


def test_between_ledgers_what_ended_last_counts(ledger: Ledger) -> None:
    tag = ("registry", "r.lan/llama:latest")
    adopted(ledger, "theirs", 2, Step(*tag, None, digest("theirs")), owner=OTHER_LEDGER)
    adopted(ledger, "ours", 1, Step(*tag, None, digest("ours")))
    assert expected(ledger, tag) == digest("theirs")
    adopted(ledger, "ours", 3, Step(*tag, None, digest("ours")))
    assert expected(ledger, tag) == digest("ours")


def test_what_is_under_way_is_told_and_its_tags_may_name_either_end(ledger: Ledger) -> None:
    adopted(ledger, "old")
    steps = (Step("engine", "llama:latest", digest("old"), digest("new")),)
    entry = promotion(ledger.id, "under way", at=after(5), steps=steps)
    ledger.promotions.plan(entry)
    for image in ("old", "new"):
        found = only(drifts(ledger, [seen(image)]))
        assert (found.kind, found.place) == ("under way", "ledger")
        assert "0 of 1 moves" in found.why
    assert [one.kind for one in drifts(ledger, [seen("by hand")])] == ["under way", "moved"]
    ledger.promotions.turn(entry.id, after(6))
    assert "is to be undone" in only(drifts(ledger, [seen("old")])).why


def test_a_place_that_does_not_answer_is_told_and_not_taken_for_empty(ledger: Ledger) -> None:
    adopted(ledger, "new")
    found = only(drifts(ledger, [seen(unread="The registry is silent.")]))
    assert (found.kind, found.why) == ("unread", "The registry is silent.")


def test_an_adoption_file_pins_the_adopted_image_as_any_place_names_it(ledger: Ledger) -> None:
    remote = Step("registry", "r.lan/llama:latest", None, digest("manifest"))
    adopted(ledger, "new", 0, remote, Step("file", "/stack/.env", None, digest("content")))
    env = ("file", "/stack/.env")
    assert drifts(ledger, [seen("new", subject=env)]) == drifts(ledger, [seen("manifest", subject=env)]) == ()
    assert only(drifts(ledger, [seen("old", subject=env)])).kind == "moved"
    assert only(drifts(ledger, [seen("new", "old", subject=env)])).kind == "moved"
    assert only(drifts(ledger, [seen(subject=env)])).kind == "gone"


def test_parts_that_a_registry_lost_are_told_though_the_tag_is_right(ledger: Ledger) -> None:
    tag = ("registry", "r.lan/llama:latest")
    adopted(ledger, "new", 0, Step(*tag, None, digest("manifest")))
    found = only(drifts(ledger, [seen("manifest", subject=tag, lost=(digest("blob"),))]))
    assert (found.kind, found.said) == ("damaged", digest("manifest"))


def test_a_tag_that_a_promotion_took_away_and_that_is_back_is_told(ledger: Ledger) -> None:
    adopted(ledger, "new", 0, Step("engine", "llama:previous", digest("old"), None))
    previous = ("engine", "llama:previous")
    assert drifts(ledger, [seen(subject=previous)]) == ()
    assert only(drifts(ledger, [seen("old", subject=previous)])).remedy.startswith("Take the tag away")


def test_what_is_said_of_a_file_is_an_image_as_the_file_pins_it(ledger: Ledger) -> None:
    env = ("file", "/stack/.env")
    adopted(ledger, "new", 0, Step(*env, None, digest("content")))
    found = only(drifts(ledger, [seen("old", subject=env)]))
    assert found.said == digest("new")
    assert digest("new")[:19] in found.why
    assert digest("content")[:19] not in found.why
    remote = Step("registry", "r.lan/llama:latest", None, digest("manifest"))
    adopted(ledger, "newer", 5, remote, Step(*env, digest("content"), digest("newer content")))
    assert only(drifts(ledger, [seen("old", subject=env)])).said == digest("manifest")


def test_a_name_in_a_file_is_told_whole() -> None:
    assert short("local-ai-llama:latest") == "local-ai-llama:latest"
    assert short(digest("x")) == digest("x")[:19]
    assert short(None) == "nothing"


def test_what_was_put_off_is_told_and_its_tag_may_name_either_end(ledger: Ledger) -> None:
    tag = ("registry", "r.lan/llama:latest")
    adopted(ledger, "old", 0, Step(*tag, None, digest("old there")))
    steps = (Step(*tag, digest("old there"), digest("new there")), Step(*LATEST, digest("old"), digest("new")))
    entry = promotion(ledger.id, "put off", at=after(5), steps=steps, before=digest("old"))
    ledger.promotions.plan(entry)
    ledger.promotions.mark(entry.id, 0, "owed", after(6))
    ledger.promotions.mark(entry.id, 1, "begun", after(6))
    ledger.promotions.mark(entry.id, 1, "done", after(6))
    ledger.promotions.end(entry.id, "done", after(7))
    for there in ("old there", "new there"):
        found = only(drifts(ledger, [seen("new"), seen(there, subject=tag)]))
        assert (found.kind, found.said) == ("owed", digest("new"))
        assert "r.lan/llama:latest" in found.why
    assert [one.kind for one in drifts(ledger, [seen("by hand", subject=tag)])] == ["owed", "moved"]
    ledger.promotions.make_up(entry.id, 0, after(8))
    assert drifts(ledger, [seen("new there", subject=tag)]) == ()
