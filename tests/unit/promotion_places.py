"""Places in memory in which tags name digests, and lives that end at a chosen moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.moves import PromotionEntry, Step
from builder.channels.promotion.course import Course
from builder.errors import MachineError
from tests.unit.ledger_entries import after


class Killed(BaseException):
    """What a process sees of SIGKILL: nothing that it would still do happens."""


@dataclass
class Life:
    """Ends before its event with a number, such as a look at a place, one half of a move, or a look at the clock."""

    last: int = 1_000_000
    events: int = 0

    def event(self) -> None:
        self.events += 1
        if self.events > self.last:
            raise Killed

    def now(self) -> datetime:
        self.event()
        return after(self.events)


@dataclass
class MemoryPlace:
    """A place that may be out of order.

    Attributes:
        keeps: whether a tag that is there cannot be taken away, as in a registry.
        fault: is asked before a move and after it, with the subject and `before` or `after`; raises.
    """

    name: str
    names: dict[str, str]
    life: Life = field(default_factory=Life)
    keeps: bool = False
    fault: Callable[[str, str], None] = lambda _subject, _when: None

    def read(self, subject: str) -> str | None:
        self.life.event()
        return self.names.get(subject)

    def has(self, digest: str) -> bool:
        return bool(digest)

    def move(self, subject: str, digest: str | None) -> None:
        self.life.event()
        self.fault(subject, "before")
        if digest is not None:
            self.names[subject] = digest
        elif self.keeps:
            raise MachineError(f"{subject} cannot be taken away.", "Leave it.")
        else:
            self.names.pop(subject, None)
        self.life.event()
        self.fault(subject, "after")


@dataclass
class World:
    """Places with what they name, by place and subject."""

    places: dict[str, MemoryPlace]

    @classmethod
    def before(cls, steps: tuple[Step, ...]) -> World:
        """What steps find."""
        places = {step.place: MemoryPlace(step.place, {}, keeps=step.place == "registry") for step in steps}
        for step in reversed(steps):
            if step.before:
                places[step.place].names[step.subject] = step.before
        return cls(places)

    def names(self) -> Mapping[tuple[str, str], str]:
        """What every subject names."""
        return {(place.name, subject): name for place in self.places.values() for subject, name in place.names.items()}

    def fail_at(self, wanted: str, when: str, times: int = 1) -> None:
        """Let moves of a subject fail, before they are made or after."""
        left = [times]

        def fault(subject: str, moment: str) -> None:
            if (subject, moment) == (wanted, when) and left[0]:
                left[0] -= 1
                raise MachineError(f"{subject} fails.", "Try again.")

        for place in self.places.values():
            place.fault = fault

    def course(self, ledger: Ledger, life: Life | None = None, landing: float = 0.0) -> Course:
        """A process that moves something here."""
        begun = life or Life()
        for place in self.places.values():
            place.life = begun
        return Course(ledger, lambda step: self.places[step.place], begun.now, landing)


def last_state(entry: PromotionEntry) -> Mapping[tuple[str, str], str]:
    """What every subject names after all moves."""
    return {(step.place, step.subject): step.after for step in entry.steps if step.after}
