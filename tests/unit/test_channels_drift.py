"""What tags and files name, held against the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from builder.channels.drift import Discrepancy, Seen, drifts, said_by
from builder.channels.ledger.evidence import ImageEntry
from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.ledger.moves import PromotionEntry, Step
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


def seen(*images: object, subject: tuple[str, str] = LATEST, **facts: Any) -> Seen:
    return Seen(*subject, tuple(digest(image) for image in images), **facts)


def only(found: tuple[Discrepancy, ...]) -> Discrepancy:
    (one,) = found
    return one


def test_what_names_what_it_was_made_to_name_is_fine(ledger: Ledger) -> None:
    adopted(ledger, "old")
    adopted(ledger, "new", 5)
    assert said_by(ledger)[LATEST].digest == digest("new")
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
    assert set(said_by(ledger)) == {("registry", "r.lan/llama:latest")}


def test_what_ended_last_counts_and_not_what_was_asked_last(ledger: Ledger) -> None:
    adopted(ledger, "slow", 1, ended=after(9))
    adopted(ledger, "quick", 2)
    assert said_by(ledger)[LATEST].digest == digest("slow")


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
