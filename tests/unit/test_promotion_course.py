"""Promotions that end at any moment: by a fault, by a person, by SIGKILL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from builder.channels.ledger.evidence import ImageEntry
from builder.channels.ledger.faults import LedgerError
from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.ledger.moves import HoldEntry, PromotionEntry, Step
from builder.channels.promotion.plan import Site, Tag, plan_steps
from builder.channels.promotion.settling import Settling, settle
from builder.channels.registry.faults import RegistryForbids, RegistrySilent
from builder.errors import BuilderError, InterruptedBySignal, MovedPartly, NothingMoved
from builder.process import CommandTimeout
from tests.unit.ledger_entries import NOON, digest, promotion, quick_folder
from tests.unit.promotion_places import Killed, Life, World, last_state

OLD, NEW, OLDER, OTHER = (digest(seed) for seed in ("old", "new", "older", "other"))
ENGINE, REGISTRY, FILE = ("engine", "llama:latest"), ("registry", "r/llama:latest"), ("file", "/.env")


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as folder:
        yield folder


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    with open_ledger(folder / "ledger") as opened:
        yield opened


def moves(action: Any = "promote", adopted: str | None = OLD, previous: str | None = OLDER) -> tuple[Step, ...]:
    """All moves of a promotion with a registry and a file."""
    sites = [
        Site(
            place,
            NEW,
            Tag(f"{repository}:b2", NEW),
            Tag(f"{repository}:latest", adopted, can_return=place == "engine" or adopted is not None),
            Tag(f"{repository}:previous", previous, can_return=place == "engine" or previous is not None),
        )
        for place, repository in (("engine", "llama"), ("registry", "r/llama"))
    ]
    return plan_steps(action, sites, (Step("file", "/.env", None, digest("text")),))


def planned(
    ledger: Ledger, steps: tuple[Step, ...], seed: object = "it", action: Any = "promote", **changes: Any
) -> PromotionEntry:
    entry = replace(promotion(ledger.id, seed, "new", steps=steps, **changes), action=action)
    ledger.promotions.plan(entry)
    return entry


def ended(ledger: Ledger, entry: PromotionEntry) -> str | None:
    found = ledger.promotions.find(entry.id)
    assert found
    return found.result


def test_it_is_whole_and_written_down_step_by_step(ledger: Ledger) -> None:
    entry = planned(ledger, moves())
    world = World.before(entry.steps)
    world.course(ledger).carry_out(entry)
    assert world.names() == last_state(entry)
    kept = ledger.promotions.find(entry.id)
    assert kept
    assert kept.result == "done"
    moments = [moment for step in kept.steps for moment in (step.begun, step.done)]
    assert moments == sorted(moments, key=lambda moment: moment or NOON)
    assert all(moments)


@pytest.mark.parametrize("previous", [OLDER, None])
@pytest.mark.parametrize("action", ["promote", "rollback"])
def test_killed_at_any_moment_the_adopted_tags_name_old_or_new_and_the_next_sees_to_it(
    folder: Path, action: str, previous: str | None
) -> None:
    steps = moves(action, previous=previous)
    last = 0
    while True:
        with open_ledger(folder / "ledger") as ledger:
            entry = planned(ledger, steps, (action, last), action=action)
            world = World.before(steps)
            before = world.names()
            life = Life(last)
            try:
                world.course(ledger, life).carry_out(entry)
            except Killed:
                assert {world.names()[ENGINE], world.names()[REGISTRY]} <= {OLD, NEW}
            else:
                assert world.names() == last_state(entry)
                break
        with open_ledger(folder / "ledger") as ledger:
            left = ledger.promotions.under_way()
            if left:
                settled = settle(world.course(ledger), left[0], lambda _: "")
                assert ended(ledger, entry) == settled.result
            assert world.names() == (last_state(entry) if ended(ledger, entry) == "done" else before)
            assert bool(ledger.holds.on(digest("old"))) == (action == "rollback" and ended(ledger, entry) == "done")
            for hold in ledger.holds.on(digest("old")):
                ledger.holds.lift(hold.id, "me", NOON)
        last += 1
    assert last > 5 * len(steps)


def test_killed_while_it_is_undone_and_again_while_that_is_gone_on_with(folder: Path) -> None:
    steps = moves()
    with open_ledger(folder / "ledger") as ledger:
        for last in range(1, 40):
            entry = planned(ledger, steps, last)
            world = World.before(steps)
            before = world.names()
            with pytest.raises(Killed):
                world.course(ledger, Life(27)).carry_out(entry)
            assert world.names() != before
            for events in (last, last + 3):
                for left in ledger.promotions.under_way():
                    with suppress(Killed):
                        settle(world.course(ledger, Life(events)), left, lambda _: "it failed since")
                assert {world.names()[ENGINE], world.names()[REGISTRY]} <= {OLD, NEW}
            for left in ledger.promotions.under_way():
                # Whoever wants it finished comes too late where it was decided to undo it.
                against = "" if left.turned else "it failed since"
                settled = settle(world.course(ledger), left, partial(_say, against))
                assert settled.why == (against or "it was being undone")
            assert ended(ledger, entry) == "undone"
            assert world.names() == before


def _say(against: str, _: PromotionEntry) -> str:
    return against


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("position", range(len(moves())))
def test_a_move_that_fails_takes_back_all_before_it(ledger: Ledger, position: int, when: str) -> None:
    entry = planned(ledger, moves())
    step = entry.steps[position]
    if step.before == step.after:
        return
    world = World.before(entry.steps)
    before = world.names()
    world.fail_at(step.subject, when)
    with pytest.raises(NothingMoved, match=f"{step.subject} fails. What had moved was moved back") as caught:
        world.course(ledger).carry_out(entry)
    assert caught.value.remedy == "Try again."
    assert world.names() == before
    assert ended(ledger, entry) == "undone"


@pytest.mark.parametrize("wish", ["whatever", "finish", "undo"])
def test_what_cannot_be_taken_back_is_told_and_is_taken_back_later(ledger: Ledger, wish: Any) -> None:
    entry = planned(ledger, moves())
    world = World.before(entry.steps)
    before = world.names()
    registry = world.places["registry"]
    world.fail_at("llama:latest", "after")

    def stuck(subject: str, when: str) -> None:
        if when == "before" and registry.names[subject] == NEW:
            raise OSError(5, "broken")

    registry.fault = stuck
    with pytest.raises(MovedPartly, match=r"llama:latest fails.*Nor could it be taken back.*broken") as caught:
        world.course(ledger).carry_out(entry)
    assert "(moved: registry r/llama:latest; as before: engine llama:previous" in caught.value.cause
    assert "`builder promote --undo`" in caught.value.remedy
    assert f"registry r/llama:latest: {NEW[:19]}; it was {OLD[:19]}" in caught.value.excerpt
    registry.fault = lambda _subject, _when: None
    settled = settle(world.course(ledger), ledger.promotions.under_way()[0], lambda _: "", Settling(wish))
    assert (settled.result, settled.why) == ("undone", "it was being undone")
    assert world.names() == before


def test_a_tag_made_anew_in_a_registry_is_the_only_one_that_cannot_be_taken_back(ledger: Ledger) -> None:
    entry = planned(ledger, moves(adopted=None), before=None)
    world = World.before(entry.steps)
    before = world.names()
    world.fail_at("r/llama:latest", "after")
    with pytest.raises(MovedPartly, match=r"r/llama:latest cannot be taken away"):
        world.course(ledger).carry_out(entry)
    assert world.names() == {**before, REGISTRY: NEW}


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), InterruptedBySignal(15)])
def test_a_person_who_interrupts_it_finds_everything_as_before(ledger: Ledger, interruption: BaseException) -> None:
    entry = planned(ledger, moves())
    world = World.before(entry.steps)
    before = world.names()

    def interrupt(_subject: str, when: str) -> None:
        if when == "after":
            world.places["registry"].fault = lambda _subject, _when: None
            raise interruption

    world.places["registry"].fault = interrupt
    with pytest.raises(type(interruption)):
        world.course(ledger).carry_out(entry)
    assert world.names() == before
    assert ended(ledger, entry) == "undone"


@pytest.mark.parametrize("mark", ["begun", "done"])
@pytest.mark.parametrize("position", range(len(moves())))
def test_a_ledger_that_takes_no_more_leaves_everything_as_before(ledger: Ledger, position: int, mark: str) -> None:
    entry = planned(ledger, moves())
    world = World.before(entry.steps)
    before = world.names()
    ledger.database.run(
        f"CREATE TRIGGER full BEFORE UPDATE OF {mark} ON steps WHEN NEW.position = {position}"
        " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    with pytest.raises(NothingMoved, match="disk full"):
        world.course(ledger).carry_out(entry)
    assert world.names() == before


def test_a_ledger_that_takes_nothing_at_all_is_seen_to_by_the_next(ledger: Ledger) -> None:
    entry = planned(ledger, moves())
    world = World.before(entry.steps)
    before = world.names()
    for table in ("steps", "promotions"):
        when = "WHEN NEW.position = 3 OR NEW.undone IS NOT NULL" if table == "steps" else ""
        ledger.database.run(
            f"CREATE TRIGGER {table}_full BEFORE UPDATE ON {table} {when} BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    with pytest.raises(NothingMoved, match="full"):
        world.course(ledger).carry_out(entry)
    assert world.names() == before
    for table in ("steps", "promotions"):
        ledger.database.run(f"DROP TRIGGER {table}_full")
    settled = settle(world.course(ledger), ledger.promotions.under_way()[0], lambda _: "")
    assert (settled.result, settled.why) == ("undone", "nothing had moved")
    assert world.names() == before


@pytest.mark.parametrize("subject", [ENGINE, REGISTRY, FILE])
def test_what_somebody_else_moved_before_its_move_is_left_alone_and_nothing_is_moved(
    ledger: Ledger, subject: tuple[str, str]
) -> None:
    entry = planned(ledger, moves())
    world = World.before(entry.steps)
    place, name = subject
    world.places[place].names[name] = OTHER
    before = world.names()
    with pytest.raises(NothingMoved, match=f"Somebody else moved {name}"):
        world.course(ledger).carry_out(entry)
    assert world.names() == before


def test_what_somebody_else_moved_after_its_move_stops_it_until_a_person_decides(ledger: Ledger) -> None:
    entry = planned(ledger, moves())
    world = World.before(entry.steps)
    before = world.names()

    def stray(subject: str, when: str) -> None:
        if (subject, when) == ("llama:latest", "after"):
            world.places["registry"].names["r/llama:latest"] = OTHER

    world.places["engine"].fault = stray
    with pytest.raises(MovedPartly) as caught:
        world.course(ledger).carry_out(entry)
    assert "moved by somebody else: registry r/llama:latest" in caught.value.cause
    assert "--undo --force REASON" in caught.value.remedy
    assert world.names() == {**before, REGISTRY: OTHER}
    left = ledger.promotions.under_way()[0]
    with pytest.raises(MovedPartly, match="Somebody else moved r/llama:latest"):
        settle(world.course(ledger), left, lambda _: "")
    assert settle(world.course(ledger), left, lambda _: "", Settling("undo", over=True)).result == "undone"
    assert world.names() == before


def test_a_place_that_does_not_answer_leaves_what_was_left_as_it_is(ledger: Ledger) -> None:
    entry = planned(ledger, moves())
    world = World.before(entry.steps)
    with pytest.raises(Killed):
        world.course(ledger, Life(30)).carry_out(entry)
    there = world.names()
    left = ledger.promotions.under_way()[0]
    course = world.course(ledger)
    world.places["registry"].life = _Silent()
    with pytest.raises(MovedPartly, match="no answer") as caught:
        settle(course, left, lambda _: "")
    assert "not known: registry r/llama" in caught.value.cause
    assert world.names() == there
    assert settle(world.course(ledger), left, lambda _: "").result == "done"


class _Silent(Life):
    def event(self) -> None:
        raise OSError(110, "no answer")


def test_what_is_whole_is_so_although_nobody_would_promote_it_any_more(ledger: Ledger) -> None:
    entry = planned(ledger, moves())
    world = World.before(entry.steps)
    with pytest.raises(Killed):
        # The last look at the clock is for the ledger's last word.
        world.course(ledger, Life(_events(entry) - 1)).carry_out(entry)
    assert world.names() == last_state(entry)
    settled = settle(world.course(ledger), ledger.promotions.under_way()[0], lambda _: "it failed since")
    assert settled.result == "done"


def _events(entry: PromotionEntry) -> int:
    with quick_folder() as folder, open_ledger(folder / "ledger") as ledger:
        copy = planned(ledger, entry.steps)
        life = Life()
        World.before(entry.steps).course(ledger, life).carry_out(copy)
        return life.events


def test_a_rollback_holds_what_was_adopted_with_its_reason_or_that_of_who_asked(ledger: Ledger) -> None:
    for seed, why, reason in (("a", "", f"rolled back from, to {NEW[:19]}"), ("b", "loses tokens", "loses tokens")):
        entry = planned(ledger, moves("rollback"), seed, action="rollback", why=why)
        World.before(entry.steps).course(ledger).carry_out(entry)
        hold = ledger.holds.on(OLD)[0]
        assert (hold.reason, hold.who) == (reason, "me")
        ledger.holds.lift(hold.id, "me", NOON)


@pytest.mark.parametrize("fault", [RegistrySilent("no answer.", "Wait."), CommandTimeout("too late.", "Wait.")])
def test_a_move_that_nobody_heard_of_and_that_lands_late_is_taken_back_too(ledger: Ledger, fault: BuilderError) -> None:
    entry = planned(ledger, moves())
    world = World.before(entry.steps)
    before = world.names()
    late = _Late(world, "r/llama:latest", fault, looks=3)
    with pytest.raises(NothingMoved, match="What had moved was moved back"):
        world.course(ledger, late, landing=60.0).carry_out(entry)
    assert late.landed
    assert world.names() == before
    assert ended(ledger, entry) == "undone"


def test_a_refusal_is_not_waited_for(ledger: Ledger) -> None:
    entry = planned(ledger, moves())
    world = World.before(entry.steps)
    late = _Late(world, "r/llama:latest", RegistryForbids("not you.", "Log in."), looks=1_000_000)
    with pytest.raises(NothingMoved):
        world.course(ledger, late, landing=1_000_000.0).carry_out(entry)


def test_where_nobody_can_tell_whether_it_landed_nothing_is_said_to_be_as_before(ledger: Ledger) -> None:
    entry = planned(ledger, moves())
    world = World.before(entry.steps)
    registry = world.places["registry"]

    def silent(subject: str, when: str) -> None:
        if (subject, when) == ("r/llama:latest", "before"):
            registry.life = _Silent()
            raise RegistrySilent("no answer.", "Wait.")

    registry.fault = silent
    with pytest.raises(MovedPartly, match="not known: registry r/llama") as caught:
        world.course(ledger, landing=60.0).carry_out(entry)
    assert "--undo" in caught.value.remedy
    assert ended(ledger, entry) is None


class _Late(Life):
    """A life in which a place makes a move after a few more looks, though it answered that in no time."""

    def __init__(self, world: World, subject: str, fault: BuilderError, looks: int) -> None:
        super().__init__()
        self.landed = False
        self._names, self._subject, self._looks = world.places["registry"].names, subject, looks
        self._waits = False

        def answer(asked: str, when: str) -> None:
            if (asked, when) == (subject, "before") and not self._waits and not self.landed:
                self._waits = True
                raise fault

        world.places["registry"].fault = answer

    def event(self) -> None:
        super().event()
        if self._waits:
            self._looks -= 1
            if self._looks == 0:
                self._names[self._subject] = NEW
                self._waits, self.landed = False, True


def registry_steps(entry: PromotionEntry) -> tuple[Step, ...]:
    return tuple(step for step in entry.steps if step.place == "registry")


def left_in_the_middle(ledger: Ledger, events: int = 25, action: Any = "promote") -> tuple[World, PromotionEntry]:
    """What a killed process left, with a registry that is out of reach since."""
    entry = planned(ledger, moves(action), action=action)
    world = World.before(entry.steps)
    with pytest.raises(Killed):
        world.course(ledger, Life(events)).carry_out(entry)
    world.places["registry"].life = _Silent()
    (left,) = ledger.promotions.under_way()
    return world, left


@pytest.mark.parametrize(("end", "result"), [("whatever", "undone"), ("undo", "undone"), ("finish", "done")])
def test_without_a_registry_the_rest_is_ended_and_its_moves_are_owed(ledger: Ledger, end: Any, result: str) -> None:
    world, left = left_in_the_middle(ledger)
    course = world.course(ledger)
    world.places["registry"].life = _Silent()
    settled = settle(course, left, lambda _: "", Settling(end, away=registry_steps(left)))
    assert settled.result == ended(ledger, left) == result
    assert world.names()[ENGINE] == (NEW if result == "done" else OLD)
    assert "r/llama:latest" in [step.subject for step in settled.owed]
    assert "put off until the registry answers" in settled.spelt()
    (owing,) = ledger.promotions.owing()
    assert {owing.steps[position].place for position in owing.owing} == {"registry"}
    assert ledger.promotions.under_way() == ()
    # Another one can be planned, and what was put off is made up for.
    planned(ledger, (), "another")
    for position in owing.owing:
        ledger.promotions.make_up(owing.id, position, NOON)
    assert ledger.promotions.owing() == ()
    kept = ledger.promotions.find(left.id)
    assert kept
    assert kept.result == result


def test_what_was_not_put_off_cannot_be_made_up_for(ledger: Ledger) -> None:
    entry = planned(ledger, moves())
    with pytest.raises(LedgerError, match="was not put off"):
        ledger.promotions.make_up(entry.id, 0, NOON)


def test_a_rollback_holds_what_each_place_adopted_and_never_what_it_goes_back_to(ledger: Ledger) -> None:
    there = digest("there")
    steps = (
        Step("engine", "llama:previous", OLD, OLD),
        Step("registry", "r/llama:latest", there, digest("manifest")),
        Step("engine", "llama:latest", NEW, NEW),
    )
    entry = planned(ledger, steps, action="rollback", before=NEW)
    ledger.images.record(ImageEntry(NEW, (digest("manifest"),)))
    held = World.before(steps).course(ledger).carry_out(entry)
    assert [hold.digest for hold in held] == [there]
    assert not ledger.holds.on(NEW)


def test_what_is_held_already_is_not_held_twice_and_not_told(ledger: Ledger) -> None:
    ledger.holds.record(HoldEntry("0" * 32, OLD, "slow", "me", NOON))
    entry = planned(ledger, moves("rollback"), action="rollback")
    held = World.before(entry.steps).course(ledger).carry_out(entry)
    assert OLD not in [hold.digest for hold in held]
    assert len(ledger.holds.on(OLD)) == 1
