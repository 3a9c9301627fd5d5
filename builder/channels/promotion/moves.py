"""One move and its way back, each seen to be made."""

from __future__ import annotations

from dataclasses import dataclass

from builder.channels.ledger.moves import Step
from builder.channels.ledger.values import short
from builder.channels.places.place import Place
from builder.errors import BuilderError, MachineError
from builder.interruption import postponed


class Conflict(MachineError):
    """A tag or file names neither what it should before a move nor what it should after: somebody else moved it."""


@dataclass(frozen=True)
class Sight:
    """What the subject of a step names.

    Attributes:
        names: a digest; None for nothing.
        fault: why nobody can tell; None where it was told.
    """

    step: Step
    names: str | None
    fault: BuilderError | None = None

    @property
    def is_after(self) -> bool:
        """Whether the move is made, or was none."""
        return not self.fault and self.names == self.step.after

    @property
    def is_before(self) -> bool:
        """Whether the move is not made, or was none."""
        return not self.fault and self.names == self.step.before

    @property
    def is_conflict(self) -> bool:
        """Whether it names something else."""
        return not (self.fault or self.is_after or self.is_before)

    def spelt(self) -> str:
        """One line for a person."""
        step = self.step
        if self.fault:
            return f"{step.place} {step.subject}: not known. {self.fault.cause}"
        now = short(self.names)
        if not self.is_conflict:
            other = f"it was {short(step.before)}" if self.is_after else f"it was to be {short(step.after)}"
            return f"{step.place} {step.subject}: {now}" + (f"; {other}" if step.before != step.after else "")
        wanted = dict.fromkeys((short(step.before), short(step.after)))
        return f"{step.place} {step.subject}: {now}, by somebody else; it should be {' or '.join(wanted)}"


def look(step: Step, place: Place) -> Sight:
    """What a step's subject names, or why that cannot be told."""
    try:
        return Sight(step, place.read(step.subject))
    except BuilderError as error:
        return Sight(step, None, error)
    except OSError as error:
        return Sight(step, None, MachineError(f"{error}.", "Check the disk and its permissions."))


def is_made(step: Step, place: Place, *, over: bool = False) -> bool:
    """Whether a subject names what it is to name, and not yet what it named before.

    Args:
        over: whatever it names is taken for what it named before.

    Raises:
        Conflict: it names neither.
        MachineError: the place does not answer.
    """
    now = place.read(step.subject)
    if now not in (step.before, step.after) and not over:
        raise conflict(step, now)
    return now == step.after


def make(step: Step, place: Place, digest: str | None) -> None:
    """Let a subject name a digest; it is not broken off, for a place may do later what nobody waits for any more.

    Raises:
        MachineError: the place refuses, or does not answer.
    """
    with postponed(patient=False):
        place.move(step.subject, digest)


def take_back(step: Step, place: Place, *, over: bool = False) -> None:
    """See that a subject names what it named before.

    Args:
        over: even where it names something else by now.

    Raises:
        Conflict: it does.
        MachineError: the place refuses, or does not answer.
    """
    now = place.read(step.subject)
    if now == step.before:
        return
    if now != step.after and not over:
        raise conflict(step, now)
    make(step, place, step.before)


def require(step: Step, place: Place) -> None:
    """See that a move still stands.

    Raises:
        Conflict: it does not.
        MachineError: the place does not answer.
    """
    if (now := place.read(step.subject)) != step.after:
        raise conflict(step, now)


def conflict(step: Step, now: str | None) -> Conflict:
    """What to tell where a subject names something else than a step says."""
    return Conflict(
        f"Somebody else moved {step.subject} of the {step.place}: it names {short(now)}, and should name"
        f" {' or '.join(dict.fromkeys((short(step.before), short(step.after))))}.",
        "See who moved it.",
    )
