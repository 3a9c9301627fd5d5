"""Round after round, every subject twice in each, interleaved so that what changes with time meets all alike."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from builder.performance.effort import Effort, Work, fit, least
from builder.performance.interleaving import order
from builder.performance.lengths import Room
from builder.performance.measure import Measured, Place, measure
from builder.performance.overhead import ClientCost, measure_client
from builder.performance.prepare import Prepared
from builder.performance.tools import Tools


@dataclass(frozen=True)
class Start:
    """What the first look at a comparison's first subject gave.

    Attributes:
        first: that run; it counts for nothing, for it also fetches files from the disk.
        work: what every run asks from now on.
        client: what the client itself costs on this machine.
    """

    first: Measured
    work: Work
    client: ClientCost

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence where the client costs too much beside what it measures."""
        gaps = self.first.run.samples.get("itl/short", ())
        if not gaps or not self.client.distorts(median(gaps)):
            return ()
        ours, theirs = self.client.piece * 1e6, median(gaps) * 1e6
        return (f"The client needs {ours:.0f} us of processor time for a token, and one comes each {theirs:.0f} us.",)


class Rounds:
    """Measures subjects in rounds.

    Args:
        subjects: made ready, in the order in which they are named.
        effort: how long a run may take.
    """

    def __init__(self, subjects: Sequence[Prepared], effort: Effort, tools: Tools) -> None:
        self._subjects = tuple(subjects)
        self._effort = effort
        self._tools = tools
        self._done = 0

    def begin(self) -> Start:
        """See how fast the machine is, and decide how much is asked of every subject.

        Where that run has an error, the rest is not worth beginning.

        Raises:
            MachineError: no engine answers, or the disk is full.
        """
        room = Room.of(one.subject.profile for one in self._subjects)
        first = self._measure(self._subjects[0], least(room), Place(0, 0))
        room = room if first.slot is None else room.within(first.slot)
        return Start(first, fit(self._effort, first.run.samples, first.seconds, room), measure_client())

    def measure(self, number: int, work: Work, gone: Container[str] = ()) -> Iterator[Measured]:
        """One round, run by run; a caller that has seen an error may take no more of them.

        Args:
            number: the round's, from 1.
            gone: names of subjects that are left out; it is looked at before each run.

        Raises:
            MachineError: no engine answers, or the disk is full.
        """
        subjects = {one.subject.name: one for one in self._subjects}
        for name in order(list(subjects), number):
            if name not in gone:
                self._done += 1
                yield self._measure(subjects[name], work, Place(number, self._done))

    def _measure(self, subject: Prepared, work: Work, place: Place) -> Measured:
        from builder.engine.nvml import watch_gpu

        with ExitStack() as stack:
            watched = self._tools.gpu if subject.subject.on_gpu else None
            watch = stack.enter_context(watch_gpu(watched.uuid)) if watched else None
            return measure(subject, work, place, self._tools, watch)
