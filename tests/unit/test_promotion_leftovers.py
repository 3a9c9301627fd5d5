"""What was left in the middle while a registry is out of reach, and what is made up for once it answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.ledger.moves import PromotionEntry, Step
from builder.channels.promotion.digests import EngineKind
from builder.channels.promotion.leftovers import Force, Request, announce_left, settle_left
from builder.channels.promotion.scene import Scene
from builder.channels.promotion.settled import Settled
from builder.channels.registry.faults import RegistrySilent
from builder.config import load
from builder.errors import MovedPartly
from tests.unit.ledger_entries import NOON, digest, promotion, quick_folder
from tests.unit.promotion_places import Life, World

OLD, NEW = digest("old"), digest("new")
THERE = ("registry", "r.lan/llama:latest")
HERE = ("engine", "llama:latest")
STEPS = (Step("engine", "llama:new", NEW, NEW), Step(*THERE, OLD, NEW), Step(*HERE, OLD, NEW))


class _Silent(Life):
    def event(self) -> None:
        raise RegistrySilent("The registry does not answer.", "Wait.")


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with quick_folder() as folder, open_ledger(folder / "ledger") as opened:
        yield opened


@pytest.fixture
def world() -> World:
    """Places in which the registry's tag moved, and the engine's did not."""
    world = World.before(STEPS)
    world.places["registry"].names[THERE[1]] = NEW
    return world


@pytest.fixture
def entry(ledger: Ledger) -> PromotionEntry:
    """What was killed right after the registry's tag had moved."""
    entry = promotion(ledger.id, steps=STEPS, before=OLD)
    ledger.promotions.plan(entry)
    for position, marks in enumerate((("begun", "done"), ("begun",))):
        for mark in marks:
            ledger.promotions.mark(entry.id, position, cast("Any", mark), NOON)
    return entry


def scene(ledger: Ledger, world: World, *, off: bool = False) -> Scene:
    """Where that is seen to, with or without a registry in the configuration."""
    reach = SimpleNamespace(of=lambda step: world.places[step.place])
    publisher = None if off else SimpleNamespace()
    config = load(None, {"image.repository": "llama"}, environ={})
    kind = EngineKind("amd64", containerd_store=False)
    return Scene(ledger, config, cast("Any", reach), cast("Any", publisher), kind, lambda: NOON)


def settle(scene: Scene, request: Request) -> tuple[list[Settled], list[str]]:
    told: list[str] = []
    return list(settle_left(scene, told.append, request)), told


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("entry")
def test_a_silent_registry_stops_it_with_a_way_on_without_it(ledger: Ledger, world: World) -> None:
    world.places["registry"].life = _Silent()
    with pytest.raises(MovedPartly) as caught:
        settle(scene(ledger, world), Request())
    assert "`BUILDER_REGISTRY_REPOSITORY= builder promote --undo`" in caught.value.remedy


@pytest.mark.parametrize("end", ["whatever", "undo"])
def test_with_the_registry_switched_off_it_is_undone_and_the_registry_follows_once_it_answers(
    ledger: Ledger, world: World, entry: PromotionEntry, end: Any
) -> None:
    registry = world.places["registry"]
    registry.life = _Silent()
    (one,), _ = settle(scene(ledger, world, off=True), Request(end))
    assert (one.result, [step.subject for step in one.owed]) == ("undone", [THERE[1]])
    assert world.names() == {("engine", "llama:new"): NEW, THERE: NEW, HERE: OLD}
    assert settle(scene(ledger, world, off=True), Request()) == ([], [])
    none, told = settle(scene(ledger, world), Request())
    assert none == []
    assert "not made up for yet: The registry does not answer." in told[0]
    registry.life = Life()
    (made,), _ = settle(scene(ledger, world), Request())
    assert [step.subject for step in made.made_up] == [THERE[1]]
    assert world.names()[THERE] == OLD
    assert settle(scene(ledger, world), Request()) == ([], [])
    assert entry.id == made.entry.id


def test_by_force_a_silent_registry_is_put_off_and_who_and_why_is_kept(
    ledger: Ledger, world: World, entry: PromotionEntry
) -> None:
    world.places["registry"].life = _Silent()
    request = Request("undo", Force("ops", "because of X"), everywhere=True, tolerant=True)
    (one,), _ = settle(scene(ledger, world), request)
    assert one.result == "undone"
    kept = ledger.promotions.find(entry.id)
    assert kept
    assert kept.forces == ("undone by ops: because of X",)


def test_what_somebody_moved_on_meanwhile_is_left_to_them(ledger: Ledger, world: World, entry: PromotionEntry) -> None:
    settle(scene(ledger, world, off=True), Request("undo"))
    world.places["registry"].names[THERE[1]] = digest("theirs")
    _, told = settle(scene(ledger, world), Request())
    assert told[0].startswith("Somebody else moved r.lan/llama:latest")
    assert world.names()[THERE] == digest("theirs")
    assert ledger.promotions.owing() == ()
    assert entry.id


def test_images_of_another_name_are_seen_to_when_a_person_asks_for_it_and_told_in_a_dry_run(
    ledger: Ledger, world: World
) -> None:
    other = promotion(ledger.id, steps=STEPS, before=OLD, repository="renamed")
    ledger.promotions.plan(other)
    assert settle(scene(ledger, world), Request()) == ([], [])
    told: list[str] = []
    announce_left(scene(ledger, world), told.append, Request("undo", everywhere=True))
    assert len(told) == 1
    assert ledger.promotions.under_way()
    (one,), _ = settle(scene(ledger, world), Request("undo", everywhere=True))
    assert one.entry.id == other.id
