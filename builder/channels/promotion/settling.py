"""What becomes of a promotion that a process left in the middle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from builder.channels.ledger.moves import PromotionEntry, Result
from builder.channels.promotion.course import Course
from builder.channels.promotion.faults import stopped
from builder.channels.promotion.moves import Sight, strayed
from builder.errors import BuilderError

Wish = Literal["whatever", "finish", "undo"]


@dataclass(frozen=True)
class Settled:
    """How a promotion that was left in the middle ended.

    Attributes:
        why: clause, why it was not finished; empty where nothing was against it.
    """

    entry: PromotionEntry
    result: Result
    why: str = ""


def settle(
    course: Course,
    entry: PromotionEntry,
    against: Callable[[PromotionEntry], str],
    wish: Wish = "whatever",
    *,
    over: bool = False,
) -> Settled:
    """Finish a promotion or undo it, by what its places say.

    Nobody's wish to finish counts where it was decided to undo it. Without a wish it is undone where
    nothing was moved yet, and else finished if nothing is against that.

    Args:
        against: says why it may not be finished; empty where it may.
        over: even where somebody else moved something meanwhile.

    Raises:
        MovedPartly: it still stands in the middle.
    """
    course.await_landing(entry)
    why = _why_not(course, entry, against, wish, over=over)
    if why is None:
        return _finished(course, entry, over=over)
    if stuck := course.undo(entry, over=over):
        raise stopped(entry, course.sights(entry), stuck[0])
    return Settled(entry, "undone", why)


def _why_not(
    course: Course, entry: PromotionEntry, against: Callable[[PromotionEntry], str], wish: Wish, *, over: bool
) -> str | None:
    """Why a promotion is undone; None where it is finished."""
    if wish == "whatever" and not any(step.begun for step in entry.steps):
        return "nothing had moved"
    sights = course.sights(entry)
    if trouble := next(filter(None, (_trouble(sight, over=over) for sight in sights)), None):
        raise stopped(entry, sights, trouble)
    if entry.turned or any(step.undone for step in entry.steps):
        return "it was being undone"
    if wish == "undo":
        return ""
    if all(sight.is_after for sight in sights):
        return None
    if wish == "whatever" and all(sight.is_before for sight in sights):
        return "nothing had moved"
    try:
        return against(entry) or None
    except BuilderError as error:
        raise stopped(entry, sights, error) from error


def _trouble(sight: Sight, *, over: bool) -> BuilderError | None:
    """Why nothing is done about a promotion with a subject like this."""
    if sight.has_strayed and not over:
        return strayed(sight.step, sight.names)
    return sight.fault


def _finished(course: Course, entry: PromotionEntry, *, over: bool) -> Settled:
    try:
        course.finish(entry, over=over)
    except BuilderError as error:
        raise stopped(entry, course.sights(entry), error) from error
    return Settled(entry, "done")
