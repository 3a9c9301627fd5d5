"""A promotion on its way: every move is written down before it is made and after it was seen.

Where one fails, those before it are taken back in the reverse order. What a process left that was killed is looked at
in its places, and finished or taken back by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, sleep
from uuid import uuid4

from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.moves import HoldEntry, PromotionEntry, Result, Step, StepState
from builder.channels.ledger.promotions import Mark
from builder.channels.ledger.values import short
from builder.channels.places.place import REGISTRY, Place
from builder.channels.promotion.faults import stopped, told
from builder.channels.promotion.moves import Sight, is_made, look, make, require, take_back
from builder.channels.promotion.plan import is_change
from builder.channels.registry.faults import RegistrySilent
from builder.errors import BuilderError, MachineError, NothingMoved
from builder.interruption import postponed
from builder.process import CommandTimeout

_PAUSE = 0.1


@dataclass(frozen=True)
class Course:
    """What promotions are made with.

    Attributes:
        ledger: ours, which no other process moves by meanwhile.
        place_of: where a step is made.
        clock: tells the time.
        landing: seconds that a place may still be at a request whose sender was killed, or waits no more.
    """

    ledger: Ledger
    place_of: Callable[[Step], Place]
    clock: Callable[[], datetime]
    landing: float = 0.0

    def carry_out(self, entry: PromotionEntry) -> tuple[HoldEntry, ...]:
        """Make all moves of a promotion that is planned, or take back those that were made.

        Returns:
            What is held from now on: what was rolled back from.

        Raises:
            NothingMoved: it failed, and everything is as before.
            MovedPartly: it failed, and so did taking back.
        """
        try:
            return self.finish(entry)
        except BaseException as fault:
            if self._is_whole(entry):
                raise
            with postponed(patient=False) as came:
                error = self._taken_back(entry, fault)
                came.clear()
            if isinstance(fault, Exception) or not isinstance(error, NothingMoved):
                raise error from fault
            raise

    def finish(
        self, entry: PromotionEntry, *, over: bool = False, away: Collection[Step] = ()
    ) -> tuple[HoldEntry, ...]:
        """Make the moves that are not made yet, see that all stand, and write down that it is whole.

        Args:
            over: even where somebody else moved something meanwhile.
            away: steps whose places are out of reach: they are put off.

        Returns:
            What is held from now on: what was rolled back from.

        Raises:
            Conflict: somebody else moved something.
            MachineError: a place or the ledger refuses, or does not answer.
        """
        for position, step in enumerate(entry.steps):
            if step in away:
                if not step.done:
                    self.ledger.promotions.mark(entry.id, position, "owed", self.clock())
                continue
            made = is_made(step, self.place_of(step), over=over)
            if not step.done:
                self.ledger.promotions.mark(entry.id, position, "begun", self.clock())
            if not made:
                make(step, self.place_of(step), step.after)
            self.ledger.promotions.mark(entry.id, position, "done", self.clock())
        for step in entry.steps:
            if step not in away:
                require(step, self.place_of(step))
        return self._end(entry, "done")

    def undo(
        self,
        entry: PromotionEntry,
        *,
        over: bool = False,
        away: Collection[Step] = (),
        unheard: Sequence[int] = (),
    ) -> tuple[BuilderError, ...]:
        """Take back in reverse order what was moved, and write down that everything is as before.

        Where the ledger cannot be written to, it is taken back all the same, and the next process finds it so.

        Args:
            over: even where somebody else moved something meanwhile.
            away: steps whose places are out of reach: they are put off.
            unheard: positions of steps that may have been made late: they are looked at again after all others.

        Returns:
            What was in the way; empty where everything is as before.
        """
        with suppress(BuilderError):
            self.ledger.promotions.turn(entry.id, self.clock())
        positions = (*reversed(self._begun(entry)), *unheard)
        errors = [
            self._put_off(entry, one) if entry.steps[one] in away else self._undo_step(entry, one, over=over)
            for one in positions
        ]
        stuck = tuple(error for error in errors if error)
        if not stuck:
            with suppress(BuilderError):
                self._end(entry, "undone")
        return stuck

    def await_landing(self, entry: PromotionEntry, *, away: Collection[Step] = ()) -> None:
        """Wait until no move of a process that was killed can come any more: it looks unmade until it is made."""
        for step in entry.steps:
            if step.place == REGISTRY and step.state is StepState.BEGUN and is_change(step) and step not in away:
                self._await(step)

    def sights(self, entry: PromotionEntry, *, away: Collection[Step] = ()) -> tuple[Sight, ...]:
        """What the subject of each step names now; those out of reach are left out, a silent registry is asked once."""
        found: list[Sight] = []
        silence: BuilderError | None = None
        for step in (one for one in entry.steps if one not in away):
            known = silence if step.place == REGISTRY else None
            found.append(Sight(step, None, known) if known else look(step, self.place_of(step)))
            if isinstance(found[-1].fault, RegistrySilent):
                silence = found[-1].fault
        return tuple(found)

    def _await(self, step: Step) -> None:
        """Wait until a move that was begun is made, or cannot be any more."""
        end = monotonic() + self.landing
        while monotonic() < end and look(step, self.place_of(step)).is_before:
            sleep(_PAUSE)

    def _is_whole(self, entry: PromotionEntry) -> bool:
        """Whether it is written down that all moves stand: what comes after that undoes nothing."""
        with suppress(BuilderError):
            known = self.ledger.promotions.find(entry.id)
            return known is not None and known.result == "done"
        return False

    def _taken_back(self, entry: PromotionEntry, fault: BaseException) -> BuilderError:
        error = fault if isinstance(fault, BuilderError) else _unforeseen(fault)
        unheard = self._in_flight(entry) if _may_come_late(fault) else ()
        for position in unheard:
            self._await(entry.steps[position])
        if stuck := self.undo(entry, unheard=unheard):
            why = f"{error.cause} Nor could it be taken back: {stuck[0].cause}"
            return stopped(entry, self.sights(entry), MachineError(why, error.remedy, log=error.log))
        cause = f"{error.cause} What had moved was moved back."
        return NothingMoved(cause, error.remedy, excerpt=error.excerpt, log=error.log)

    def _in_flight(self, entry: PromotionEntry) -> tuple[int, ...]:
        """Positions of the steps that are begun and of which nobody knows whether they were made."""
        with suppress(BuilderError):
            known = self.ledger.promotions.find(entry.id) or entry
            return tuple(
                position
                for position, step in enumerate(known.steps)
                if step.state is StepState.BEGUN and is_change(step)
            )
        return ()

    def _put_off(self, entry: PromotionEntry, position: int) -> BuilderError | None:
        """Write down that a step is to be seen to later; why that does not work."""
        mark: Mark = "owed" if is_change(entry.steps[position]) else "undone"
        try:
            self.ledger.promotions.mark(entry.id, position, mark, self.clock())
        except BuilderError as error:
            return error
        return None

    def _undo_step(self, entry: PromotionEntry, position: int, *, over: bool) -> BuilderError | None:
        """Take back one step; why that does not work."""
        step = entry.steps[position]
        try:
            take_back(step, self.place_of(step), over=over)
        except OSError as error:
            return told(error)
        except BuilderError as error:
            if not look(step, self.place_of(step)).is_before:
                return error
        with suppress(BuilderError):
            self.ledger.promotions.mark(entry.id, position, "undone", self.clock())
        return None

    def _begun(self, entry: PromotionEntry) -> list[int]:
        """Positions of the steps that may have been made: all of them where the ledger cannot tell."""
        try:
            known = self.ledger.promotions.find(entry.id)
        except BuilderError:
            known = None
        return [number for number, step in enumerate((known or entry).steps) if step.begun or not known]

    def _end(self, entry: PromotionEntry, result: Result) -> tuple[HoldEntry, ...]:
        at = self.clock()
        with self.ledger.together():
            self.ledger.promotions.end(entry.id, result, at)
            return self._hold(entry, at) if (result, entry.action) == ("done", "rollback") else ()

    def _hold(self, entry: PromotionEntry, at: datetime) -> tuple[HoldEntry, ...]:
        """See that what was rolled back from, in whichever place, is not promoted again by itself."""
        target = {*self.ledger.images.same(entry.after), *(step.after for step in entry.adopting)}
        left = dict.fromkeys((entry.before, *(step.before for step in entry.adopting)))
        holds = []
        for digest in left:
            if digest and digest not in target and not self.ledger.holds.on(digest):
                reason = entry.why or f"rolled back from, to {short(entry.after)}"
                holds.append(HoldEntry(uuid4().hex, digest, reason, entry.who, at))
                self.ledger.holds.record(holds[-1])
        return tuple(holds)


def _may_come_late(fault: BaseException) -> bool:
    """Whether a place may still do what it was asked: it was not heard to refuse."""
    return not isinstance(fault, BuilderError) or isinstance(fault, RegistrySilent | CommandTimeout)


def _unforeseen(fault: BaseException) -> BuilderError:
    if isinstance(fault, OSError):
        return told(fault)
    if isinstance(fault, Exception):
        return BuilderError(f"A fault of this program: {fault!r}.", "Report it.")
    return BuilderError("It was interrupted.", "Run it again.")
