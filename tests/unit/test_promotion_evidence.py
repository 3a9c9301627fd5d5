"""What counts as adopted once, and what errors tell of what was ended before them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from builder.channels.ledger.evidence import ImageEntry
from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.ledger.moves import PromotionEntry, Step
from builder.channels.promotion.evidence import inherited, was_adopted
from builder.channels.promotion.faults import mentioning, nothing_moved
from builder.channels.promotion.settled import Settled
from builder.errors import BuilderError, MachineError, MovedPartly, NothingMoved
from tests.unit.ledger_entries import after, digest, name, promotion, quick_folder


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with quick_folder() as folder, open_ledger(folder / "ledger") as opened:
        yield opened


def adopt(ledger: Ledger, before: object, image: object, *, result: Any = "done", **changes: Any) -> PromotionEntry:
    """A promotion that has ended."""
    ends = {"done": after(1)} if result == "done" else {"undone": after(1)}
    step = Step("engine", "llama:latest", digest(before), digest(image), begun=after(0), **ends)
    facts = {"steps": (step,), "ended": after(1), "result": result, **changes}
    owner = facts.pop("owner", ledger.id)
    entry = promotion(owner, f"{before} {image} {result}", image, before=digest(before), **facts)
    ledger.promotions.merge(entry)
    return entry


def was(ledger: Ledger, image: object) -> bool:
    return was_adopted(ledger, ledger.images.same(digest(image)))


def test_what_was_adopted_by_what_it_showed_was_adopted(ledger: Ledger) -> None:
    adopt(ledger, "legacy", "first")
    assert was(ledger, "first")
    ledger.images.record(ImageEntry(digest("first"), (digest("manifest"),)))
    assert was(ledger, "manifest")


def test_what_the_very_first_promotion_found_was_adopted_and_what_a_later_one_found_was_put_by_hand(
    ledger: Ledger,
) -> None:
    adopt(ledger, "legacy", "undone", result="undone")
    adopt(ledger, "legacy", "first")
    adopt(ledger, "by hand", "second")
    assert was(ledger, "legacy")
    assert not was(ledger, "by hand")


def test_what_was_forced_or_ended_by_force_shows_nothing_until_it_is_adopted_without(ledger: Ledger) -> None:
    adopt(ledger, "legacy", "first")
    adopt(ledger, "first", "forced", forced="it burns")
    adopt(ledger, "forced", "resumed", overruled="at once", overruled_by="ops")
    assert not was(ledger, "forced")
    assert not was(ledger, "resumed")
    assert inherited(ledger, [digest("forced")]) == ("it burns",)
    assert inherited(ledger, [digest("resumed")]) == ("finished by ops: at once",)
    adopt(ledger, "other", "forced")
    assert was(ledger, "forced")
    assert inherited(ledger, [digest("forced")]) == ()


def test_a_first_promotion_that_was_forced_upon_what_is_there_already_is_no_past(ledger: Ledger) -> None:
    adopt(ledger, "by hand", "by hand", forced="it burns")
    assert not was(ledger, "by hand")


def test_what_was_undone_was_never_adopted(ledger: Ledger) -> None:
    adopt(ledger, "legacy", "undone", result="undone")
    assert not was(ledger, "undone")
    assert not was(ledger, "legacy")


def test_what_another_machine_adopted_counts_too(ledger: Ledger) -> None:
    adopt(ledger, "theirs before", "theirs", owner=name("another ledger"))
    assert was(ledger, "theirs")


def settled(ledger: Ledger) -> Settled:
    return Settled(promotion(ledger.id), "undone", "it failed since")


@pytest.mark.parametrize("error", [MachineError("The disk is full.", "Free some."), OSError(28, "No space left")])
def test_a_refusal_after_something_was_ended_does_not_say_that_nothing_was_moved(
    ledger: Ledger, error: Exception
) -> None:
    with pytest.raises(NothingMoved, match=r"Nothing was moved\.$"), nothing_moved():
        raise error
    before = [settled(ledger)]
    with pytest.raises(NothingMoved) as caught, nothing_moved(before):
        raise error
    assert "Nothing else was moved. The promote" in caught.value.cause
    assert "is undone now: it failed since." in caught.value.cause
    document = caught.value.document()
    assert document["settled"] == [before[0].plain()]


@pytest.mark.parametrize("kind", [NothingMoved, MovedPartly])
def test_what_was_ended_before_is_told_with_every_end(ledger: Ledger, kind: type[BuilderError]) -> None:
    before = [settled(ledger)]
    with pytest.raises(kind) as caught, mentioning(before):
        raise kind("It is held.", "Lift that.", excerpt=("a line",))
    assert caught.value.cause.startswith("It is held. The promote")
    assert (caught.value.remedy, caught.value.excerpt) == ("Lift that.", ("a line",))
    assert caught.value.document()["settled"] == [before[0].plain()]
    with pytest.raises(kind) as plain, mentioning([]):
        raise kind("It is held.", "Lift that.")
    assert plain.value.document()["settled"] == []


def test_what_is_ended_is_told_although_the_next_is_not() -> None:
    told: list[int] = []

    def ends() -> Iterator[int]:
        yield 1
        raise MovedPartly("The second stands.", "See to it.")

    with pytest.raises(MovedPartly):
        told.extend(ends())
    assert told == [1]
