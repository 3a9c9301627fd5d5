"""What was moved, and what may not be, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from builder.channels.ledger.values import DIGEST, ID, NAME, Entry, require, require_words
from builder.channels.places.place import FILE

Action = Literal["promote", "rollback"]
Result = Literal["done", "undone"]


class StepState(StrEnum):
    """How far a step has come."""

    PLANNED = "planned"
    BEGUN = "begun"
    DONE = "done"
    UNDONE = "undone"


@dataclass(frozen=True)
class Step(Entry):
    """One move of a promotion.

    Attributes:
        place: what is moved there, such as `engine`, `registry` or `file`.
        subject: what is moved, such as a tag's whole name.
        before: digest that it named; None for nothing.
        after: digest that it is to name; None for nothing.
        begun: when it was begun.
        done: when it was seen to be done.
        undone: when it was seen to be as before.
        owed: when it was put off, because its place was out of reach: that is made up for once the place answers.
    """

    place: str
    subject: str
    before: str | None
    after: str | None
    begun: datetime | None = None
    done: datetime | None = None
    undone: datetime | None = None
    owed: datetime | None = None

    def check(self) -> None:
        require(NAME, place=self.place)
        require_words(subject=self.subject)
        require(DIGEST, before=self.before, after=self.after)
        if self.done and not self.begun:
            raise ValueError("a step is done that was never begun")

    @property
    def state(self) -> StepState:
        """How far it has come."""
        if self.undone:
            return StepState.UNDONE
        if self.done:
            return StepState.DONE
        return StepState.BEGUN if self.begun else StepState.PLANNED


@dataclass(frozen=True)
class PromotionEntry(Entry):
    """One change of what a channel names, with its moves in order.

    Attributes:
        id: 32 hexadecimal digits.
        ledger: of the ledger it was made in; only that one finishes or undoes it.
        action: what was asked for.
        repository: name of the images.
        channel: such as `latest`.
        variant: such as `cuda13.0`; empty where there is one only.
        before: digest that the channel named; None for nothing.
        after: digest that it is to name.
        who: who asked.
        why: in their words; may be empty.
        at: when.
        forced: why it was done without the verdicts; None where they were there.
        steps: the moves, in order.
        turned: when it was decided to undo it.
        ended: when it was whole, or as before.
        result: which of both; None while it is neither.
        overruled: why it was finished or undone by force; None where that took none.
        overruled_by: who did that.
    """

    id: str
    ledger: str
    action: Action
    repository: str
    channel: str
    variant: str
    before: str | None
    after: str
    who: str
    why: str
    at: datetime
    forced: str | None
    steps: tuple[Step, ...]
    turned: datetime | None = None
    ended: datetime | None = None
    result: Result | None = None
    overruled: str | None = None
    overruled_by: str | None = None

    def check(self) -> None:
        require(ID, id=self.id, ledger=self.ledger)
        require(DIGEST, before=self.before, after=self.after)
        require_words(repository=self.repository, channel=self.channel, who=self.who, forced=self.forced)
        require_words(overruled=self.overruled, overruled_by=self.overruled_by)
        if (self.overruled is None) != (self.overruled_by is None):
            raise ValueError("what was forced has both a reason and a name")
        if (self.ended is None) != (self.result is None):
            raise ValueError("a promotion has a result exactly when it has ended")
        if self.turned and self.result == "done":
            raise ValueError("a promotion that was to be undone is done")
        wanted = {"done": {StepState.DONE}, "undone": {StepState.PLANNED, StepState.UNDONE}}
        if self.result and not {step.state for step in self.steps if not step.owed} <= wanted[self.result]:
            raise ValueError(f"a promotion is {self.result} while some of its steps are not")

    @property
    def adopting(self) -> tuple[Step, ...]:
        """The steps by which the channel's own tags come to name the image, one for each place with tags."""
        return tuple(step for step in self.steps if step.place != FILE and step.subject.endswith(f":{self.channel}"))

    @property
    def owing(self) -> tuple[int, ...]:
        """Positions of the steps that were put off and are not made up for; none while it is under way."""
        if self.result is None:
            return ()
        return tuple(
            position
            for position, step in enumerate(self.steps)
            if step.owed and not (step.done if self.result == "done" else step.undone)
        )

    @property
    def forces(self) -> tuple[str, ...]:
        """What was forced about it, as people are told; empty where nothing was."""
        ended = {"done": "finished", "undone": "undone"}.get(self.result or "", "gone on with")
        later = f"{ended} by {self.overruled_by}: {self.overruled}" if self.overruled else None
        return tuple(filter(None, (self.forced, later)))

    def wanted(self, step: Step) -> str | None:
        """What the subject of one of its steps names once it has ended; None for nothing."""
        return step.before if self.result == "undone" else step.after


@dataclass(frozen=True)
class HoldEntry(Entry):
    """An image that is not to be promoted.

    Attributes:
        id: 32 hexadecimal digits.
        digest: of the image.
        reason: why, for people.
        who: who held it.
        at: when.
        lifted: when the hold ended; None while it holds.
        lifted_by: who ended it.
    """

    id: str
    digest: str
    reason: str
    who: str
    at: datetime
    lifted: datetime | None = None
    lifted_by: str | None = None

    def check(self) -> None:
        require(ID, id=self.id)
        require(DIGEST, digest=self.digest)
        require_words(reason=self.reason, who=self.who, lifted_by=self.lifted_by)
        if (self.lifted is None) != (self.lifted_by is None):
            raise ValueError("a lifted hold has both a time and a name")
