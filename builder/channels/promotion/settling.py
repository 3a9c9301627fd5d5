"""What becomes of a promotion that a process left in the middle."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from builder.channels.ledger.moves import PromotionEntry, Step
from builder.channels.promotion.course import Course
from builder.channels.promotion.faults import stopped
from builder.channels.promotion.moves import Sight, conflict
from builder.channels.promotion.plan import is_change
from builder.channels.promotion.settled import Settled
from builder.errors import BuilderError

End = Literal["whatever", "finish", "undo"]


@dataclass(frozen=True)
class Settling:
    """How to end what was left in the middle.

    Attributes:
        end: how a person wants it to end.
        over: even where somebody else moved something meanwhile.
        away: steps whose places are out of reach, and without which it is to end: they are put off.
    """

    end: End = "whatever"
    over: bool = False
    away: Collection[Step] = ()


_ANY = Settling()


def settle(
    course: Course, entry: PromotionEntry, against: Callable[[PromotionEntry], str], settling: Settling = _ANY
) -> Settled:
    """Finish a promotion or undo it, by what its places say.

    Nobody's wish to finish counts where it was decided to undo it. Without a wish it is undone where
    nothing was moved yet, and else finished if nothing is against that, and no place is out of reach that it needs.

    Args:
        against: says why it may not be finished; empty where it may.

    Raises:
        MovedPartly: it still stands in the middle.
    """
    course.await_landing(entry, away=settling.away)
    why = _why_not(course, entry, against, settling)
    if why is None:
        return _finished(course, entry, settling)
    if stuck := course.undo(entry, over=settling.over, away=settling.away):
        raise stopped(entry, course.sights(entry, away=settling.away), stuck[0])
    owed = tuple(step for step in settling.away if step.begun and is_change(step))
    return Settled(entry, "undone", why, owed)


def _why_not(
    course: Course, entry: PromotionEntry, against: Callable[[PromotionEntry], str], settling: Settling
) -> str | None:
    """Why a promotion is undone; None where it is finished."""
    if settling.end == "whatever" and not any(step.begun for step in entry.steps):
        return "nothing had moved"
    sights = course.sights(entry, away=settling.away)
    if trouble := next(filter(None, (_trouble(sight, over=settling.over) for sight in sights)), None):
        raise stopped(entry, sights, trouble)
    if entry.turned or any(step.undone for step in entry.steps):
        return "it was being undone"
    if settling.end == "undo":
        return ""
    if all(sight.is_after for sight in sights):
        return None
    if settling.end == "whatever" and (why := _not_by_itself(sights, settling)):
        return why
    try:
        return against(entry) or None
    except BuilderError as error:
        raise stopped(entry, sights, error) from error


def _not_by_itself(sights: Sequence[Sight], settling: Settling) -> str:
    """Why nothing is finished without a person's wish; empty where it may be."""
    if all(sight.is_before for sight in sights):
        return "nothing had moved"
    return "the registry is out of reach" if settling.away else ""


def _trouble(sight: Sight, *, over: bool) -> BuilderError | None:
    """Why nothing is done about a promotion with a subject like this."""
    if sight.is_conflict and not over:
        return conflict(sight.step, sight.names)
    return sight.fault


def _finished(course: Course, entry: PromotionEntry, settling: Settling) -> Settled:
    try:
        course.finish(entry, over=settling.over, away=settling.away)
    except BuilderError as error:
        raise stopped(entry, course.sights(entry, away=settling.away), error) from error
    owed = tuple(step for step in settling.away if is_change(step) and not step.done)
    return Settled(entry, "done", owed=owed)
