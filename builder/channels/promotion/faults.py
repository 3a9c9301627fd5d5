"""What to tell where nothing moved, and where a promotion stands in the middle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from builder.channels.ledger.moves import PromotionEntry
from builder.channels.promotion.moves import Sight
from builder.channels.promotion.plan import is_change
from builder.errors import BuilderError, MovedPartly, NothingMoved

_ID = 9
"""Characters of a promotion's name that are shown."""


@contextmanager
def nothing_moved() -> Iterator[None]:
    """Whatever goes wrong before the first move is a refusal.

    Raises:
        NothingMoved: it did.
        MovedPartly: a promotion stands in the middle.
    """
    try:
        yield
    except (NothingMoved, MovedPartly):
        raise
    except BuilderError as error:
        cause = f"{error.cause} Nothing was moved."
        raise NothingMoved(cause, error.remedy, excerpt=error.excerpt, log=error.log) from error
    except OSError as error:
        raise NothingMoved(f"{told(error).cause} Nothing was moved.", told(error).remedy) from error


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
    moves = [sight for sight in sights if is_change(sight.step) or sight.has_strayed]
    parts = (
        ("moved", [sight for sight in moves if sight.is_after]),
        ("as before", [sight for sight in moves if sight.is_before]),
        ("moved by somebody else", [sight for sight in moves if sight.has_strayed]),
        ("not known", [sight for sight in moves if sight.fault]),
    )
    stands = "; ".join(f"{word}: {', '.join(map(_subject, found))}" for word, found in parts if found)
    strayed = any(sight.has_strayed for sight in moves)
    force = " --force REASON" if strayed else ""
    return MovedPartly(
        f"The {entry.action} {entry.id[:_ID]} stands in the middle ({stands}). {fault.cause}",
        f"Finish it with `builder {entry.action} --resume{force}`, or undo it with `builder {entry.action}"
        f" --undo{force}`.",
        excerpt=tuple(sight.spelt() for sight in moves),
        log=fault.log,
    )


def _subject(sight: Sight) -> str:
    return f"{sight.step.place} {sight.step.subject}"
