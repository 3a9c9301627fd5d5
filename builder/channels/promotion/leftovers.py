"""What processes left in the middle that were killed, seen to before anything else is moved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial

from builder.channels.ledger.moves import PromotionEntry, Step
from builder.channels.places.place import FILE, REGISTRY
from builder.channels.promotion.course import Course
from builder.channels.promotion.evidence import require_unheld, require_verdicts
from builder.channels.promotion.moves import look, make
from builder.channels.promotion.plan import is_change
from builder.channels.promotion.scene import Scene
from builder.channels.promotion.settled import Settled, named
from builder.channels.promotion.settling import End, Settling, settle
from builder.channels.promotion.target import target_of
from builder.channels.registry.faults import RegistrySilent
from builder.errors import BuilderError, NothingMoved

_LANDING = 3.0
"""Seconds in which a registry that answers at all has put a manifest, once it has the request."""


@dataclass(frozen=True)
class Force:
    """Who ends a promotion whatever is in the way, and why."""

    who: str
    why: str


@dataclass(frozen=True)
class Request:
    """How what was left in the middle is to end.

    Attributes:
        end: as a person wants it.
        force: even where somebody else moved something meanwhile; None leaves that to them.
        everywhere: of whichever images, and not only of those that the configuration names.
        tolerant: whether a registry that does not answer is put off, and the rest ended without it.
    """

    end: End = "whatever"
    force: Force | None = None
    everywhere: bool = False
    tolerant: bool = False


def course_of(scene: Scene) -> Course:
    """What promotions are made with."""
    return Course(scene.ledger, scene.reach.of, scene.clock, _LANDING)


def settle_left(scene: Scene, say: Callable[[str], None], request: Request) -> Iterator[Settled]:
    """Finish or undo every promotion that was left in the middle, one after the other, and say so.

    Without a registry in the configuration none is asked: its moves are put off. What was put off is made up for
    where the registry answers again; where it does not, that is said and is in nobody's way.

    Raises:
        MovedPartly: one still stands in the middle.
        LedgerError: the ledger cannot be used.
    """
    for entry in scene.ledger.promotions.under_way(None if request.everywhere else scene.repository):
        away = _out_of_reach(scene, entry, request)
        if request.force:
            scene.ledger.promotions.overrule(entry.id, request.force.who, request.force.why)
        settling = Settling(request.end, request.force is not None, away)
        one = settle(course_of(scene), entry, partial(_against, scene, away), settling)
        yield one
        say(one.spelt())
    if scene.publisher:
        for entry in scene.ledger.promotions.owing():
            yield from _make_up(scene, entry, say)


def left(scene: Scene, request: Request) -> tuple[PromotionEntry, ...]:
    """What is under way, or was left in the middle."""
    return scene.ledger.promotions.under_way(None if request.everywhere else scene.repository)


def announce_left(scene: Scene, say: Callable[[str], None], request: Request) -> None:
    """Say what was left in the middle, or put off, where it is not to be touched."""
    for entry in left(scene, request):
        say(f"{named(entry)} is under way, or was left in the middle: the next one that moves anything sees to it.")
    for entry in scene.ledger.promotions.owing():
        say(f"{named(entry)} has put off {len(entry.owing)} moves of a registry: the next one sees to them.")


def _out_of_reach(scene: Scene, entry: PromotionEntry, request: Request) -> tuple[Step, ...]:
    """The steps of registries that are not to be asked, or do not answer and may be put off."""
    steps = [step for step in entry.steps if step.place == REGISTRY]
    if scene.publisher is None:
        return tuple(steps)
    if not request.tolerant:
        return ()
    first = {_host(step): step for step in reversed(steps)}
    silent = {host for host, step in first.items() if isinstance(_fault(scene, step), RegistrySilent)}
    return tuple(step for step in steps if _host(step) in silent)


def _fault(scene: Scene, step: Step) -> BuilderError | None:
    """Why nobody can tell what a step's subject names; None where it was told."""
    try:
        return look(step, scene.reach.of(step)).fault
    except BuilderError as error:
        return error


def _host(step: Step) -> str:
    return step.subject.partition("/")[0]


def _make_up(scene: Scene, entry: PromotionEntry, say: Callable[[str], None]) -> Iterator[Settled]:
    """Make the moves that were put off, as far as the registry answers by now."""
    made: list[Step] = []
    try:
        for position in entry.owing:
            step = entry.steps[position]
            _catch_up(scene, entry, step, say)
            scene.ledger.promotions.make_up(entry.id, position, scene.clock())
            made.append(step)
    except BuilderError as error:
        say(f"{named(entry)} has put off moves of a registry, and they are not made up for yet: {error.cause}")
    if made and entry.result:
        one = Settled(entry, entry.result, made_up=tuple(filter(is_change, made)))
        if one.made_up:
            yield one
            say(one.spelt())


def _catch_up(scene: Scene, entry: PromotionEntry, step: Step, say: Callable[[str], None]) -> None:
    """Let a subject name what it does by the end of its promotion, unless it was moved on since."""
    place, wanted = scene.reach.of(step), entry.wanted(step)
    now = place.read(step.subject)
    expected = scene.expected(step.place, step.subject)
    if now == wanted or (expected and now == expected.digest):
        return
    if now in (step.before, step.after):
        make(step, place, wanted)
    else:
        say(f"Somebody else moved {step.subject} of the {step.place} meanwhile: it is left as it is.")


def _against(scene: Scene, away: Collection[Step], entry: PromotionEntry) -> str:
    """Why a promotion may not be finished, as a clause; empty where it may.

    Raises:
        MachineError: the engine or a registry does not answer.
    """
    here = [step for step in entry.steps if step not in away]
    if lost := next((step for step in here if not _has(scene, step)), None):
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
    return step.after is None or step.place == FILE or scene.reach.of(step).has(step.after)
