"""What processes left in the middle that were killed, seen to before anything else is moved."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from builder.channels.ledger.moves import PromotionEntry, Step
from builder.channels.places.place import ENGINE, REGISTRY
from builder.channels.promotion.course import Course
from builder.channels.promotion.evidence import require_unheld, require_verdicts
from builder.channels.promotion.scene import Scene
from builder.channels.promotion.settling import Settled, Wish, settle
from builder.channels.promotion.target import target_of
from builder.errors import NothingMoved

_LANDING = 3.0
"""Seconds in which a registry that answers at all has put a manifest, once it has the request."""
_ID = 9
"""Characters of a promotion's name that are shown."""


def course_of(scene: Scene) -> Course:
    """What promotions are made with."""
    return Course(scene.ledger, scene.reach.of, scene.clock, _LANDING)


def settle_left(
    scene: Scene, say: Callable[[str], None], wish: Wish = "whatever", *, over: bool = False
) -> tuple[Settled, ...]:
    """Finish or undo every promotion of our images that was left in the middle, and say so.

    Args:
        over: even where somebody else moved something meanwhile.

    Raises:
        MovedPartly: one still stands in the middle.
    """
    settled = []
    for entry in scene.ledger.promotions.under_way(scene.repository):
        one = settle(course_of(scene), entry, partial(_against, scene), wish, over=over)
        say(spell_settled(one))
        settled.append(one)
    return tuple(settled)


def announce_left(scene: Scene, say: Callable[[str], None]) -> None:
    """Say what was left in the middle, where it is not to be touched."""
    for entry in scene.ledger.promotions.under_way(scene.repository):
        say(f"{_spelt(entry)} is under way, or was left in the middle: the next one that moves anything sees to it.")


def spell_settled(settled: Settled) -> str:
    """One line for a person."""
    if settled.result == "done":
        return f"{_spelt(settled.entry)} was left in the middle and is finished now."
    because = f": {settled.why}" if settled.why else ""
    return f"{_spelt(settled.entry)} was left in the middle and is undone now{because}."


def _spelt(entry: PromotionEntry) -> str:
    return f"The {entry.action} {entry.id[:_ID]} by {entry.who}"


def _against(scene: Scene, entry: PromotionEntry) -> str:
    """Why a promotion may not be finished, as a clause; empty where it may.

    Raises:
        MachineError: the engine or a registry does not answer.
    """
    if lost := next((step for step in entry.steps if not _has(scene, step)), None):
        return f"the {lost.place} does not have the image any more"
    image = scene.reach.engine.image(entry.after)
    if image is None:
        return "the engine does not have the image any more"
    if entry.action == "rollback" or entry.forced:
        return ""
    target = target_of(image, scene.repository)
    try:
        require_unheld(scene.ledger, target)
        require_verdicts(scene.ledger, target, scene.config.settings, scene.clock())
    except NothingMoved as error:
        return error.cause.rstrip(".")
    return ""


def _has(scene: Scene, step: Step) -> bool:
    """Whether the place of a step has what its subject is to name."""
    if step.after is None or step.place not in (ENGINE, REGISTRY):
        return True
    place = scene.reach.tags if step.place == ENGINE else scene.reach.registry(step.subject)
    return place.has(step.after)
