"""What to tell where nothing moved, and where a promotion stands in the middle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from builder.channels.ledger.moves import PromotionEntry
from builder.channels.places.place import REGISTRY
from builder.channels.promotion.moves import Sight
from builder.channels.promotion.plan import is_change
from builder.channels.promotion.settled import Settled
from builder.channels.registry.faults import RegistrySilent
from builder.errors import BuilderError, MovedPartly, NothingMoved, PromotionError

_ID = 9
"""Characters of a promotion's name that are shown."""


@contextmanager
def nothing_moved(settled: Sequence[Settled] = ()) -> Iterator[None]:
    """Whatever goes wrong before the first move is a refusal.

    Args:
        settled: what was left in the middle by others and ended before that; it may grow until something goes wrong.

    Raises:
        NothingMoved: it did; it tells what was settled.
        MovedPartly: a promotion stands in the middle.
    """
    with mentioning(settled):
        try:
            yield
        except PromotionError:
            raise
        except BuilderError as error:
            raise _refusal(error, settled) from error
        except OSError as error:
            raise _refusal(told(error), settled) from error


@contextmanager
def mentioning(settled: Sequence[Settled]) -> Iterator[None]:
    """Have errors tell what was left in the middle by others and ended before: that moved something.

    Raises:
        NothingMoved, MovedPartly: as they were raised.
    """
    try:
        yield
    except PromotionError as error:
        if not settled:
            raise
        cause = " ".join((error.cause, *(one.spelt() for one in settled)))
        more = type(error)(cause, error.remedy, excerpt=error.excerpt, log=error.log)
        more.settled = tuple(one.plain() for one in settled)
        raise more from error


def _refusal(error: BuilderError, settled: Sequence[Settled]) -> NothingMoved:
    cause = f"{error.cause} Nothing {'else ' if settled else ''}was moved."
    return NothingMoved(cause, error.remedy, excerpt=error.excerpt, log=error.log)


def told(error: OSError) -> BuilderError:
    """What the system says, as a person can act on it."""
    where = f"{error.filename}: " if error.filename else ""
    return BuilderError(f"{where}{error.strerror or error}.", "Check the disk and its permissions.")


def stopped(entry: PromotionEntry, sights: Sequence[Sight], fault: BuilderError) -> MovedPartly:
    """The error for a promotion that is neither whole nor as before: what stands, and how to go on or back.

    Args:
        sights: what the subject of each step names.
        fault: why it stopped.
    """
    moves = [sight for sight in sights if is_change(sight.step) or sight.is_conflict]
    parts = (
        ("moved", [sight for sight in moves if sight.is_after]),
        ("as before", [sight for sight in moves if sight.is_before]),
        ("moved by somebody else", [sight for sight in moves if sight.is_conflict]),
        ("not known", [sight for sight in moves if sight.fault]),
    )
    stands = "; ".join(f"{word}: {', '.join(map(_subject, found))}" for word, found in parts if found)
    conflict = any(sight.is_conflict for sight in moves)
    silent = any(sight.step.place == REGISTRY and isinstance(sight.fault, RegistrySilent) for sight in moves)
    force = " --force REASON" if conflict else ""
    way = f"builder {entry.action} --undo{force}"
    without = f" Without its registry, `BUILDER_REGISTRY_REPOSITORY= {way}` undoes the rest." if silent else ""
    return MovedPartly(
        f"The {entry.action} {entry.id[:_ID]} stands in the middle ({stands}). {fault.cause}",
        f"Finish it with `builder {entry.action} --resume{force}`, or undo it with `{way}`.{without}",
        excerpt=tuple(sight.spelt() for sight in moves),
        log=fault.log,
    )


def _subject(sight: Sight) -> str:
    return f"{sight.step.place} {sight.step.subject}"
