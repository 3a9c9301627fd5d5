"""The record of a soak, written while it runs and when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from builder import __version__
from builder.engine.machine_facts import MachineFacts
from builder.gates.gate import Subject
from builder.gates.serving.trial import Trial
from builder.gates.soak.limits import Limits
from builder.gates.verdict import Check, Outcome
from builder.performance.frame import Served, describe
from builder.performance.record import MachineRecord, SubjectRecord
from builder.performance.soak.figures import figures, rounded
from builder.performance.soak.plan import Load
from builder.performance.soak.record import CheckRecord, RequestRecord, SeriesRecord, SoakRecord, write_soak
from builder.performance.soak.run import Soaked
from builder.performance.soak.series import Series

_PERIOD = 60.0
"""Seconds between two writings."""
_SHARE = 50
"""A writing that takes long is not done again before so many times that."""
_NOTHING = Soaked(Series(), whole=False)


@dataclass(frozen=True)
class Known:
    """What is known before the load begins.

    Attributes:
        profile_name: the profile's name in builder.toml.
        digest: of the model's file.
        host: what no other machine has; empty where that is not known.
        notes: a sentence for each thing that a person should know.
    """

    subject: Subject
    profile_name: str
    trial: Trial
    digest: str
    machine: MachineFacts
    host: str
    load: Load
    limits: Limits
    notes: tuple[str, ...] = ()


@dataclass
class Keeper:
    """Keeps the record of one soak.

    Attributes:
        file: where it is written.
        seen: the last that was seen.
        written: whether the file is this soak's record.
    """

    known: Known
    file: Path
    seen: Soaked = _NOTHING
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    written: bool = False
    _due: float = field(default_factory=lambda: monotonic() + _PERIOD)

    def take(self, seen: Soaked) -> None:
        """Remember what was seen so far, and write it down every minute; may be called in any thread.

        Raises:
            MachineError: the disk is full or may not be written to.
        """
        self.seen = seen
        began = monotonic()
        if began >= self._due:
            self._write(self._record())
            self._due = began + max(_PERIOD, _SHARE * (monotonic() - began))

    def interrupt(self, why: str) -> None:
        """Write down what was seen until it was interrupted.

        Raises:
            MachineError: the disk is full or may not be written to.
        """
        self._write(self._record(interrupted=why))

    def finish(self, checks: Iterable[Check], outcome: Outcome, notes: Iterable[str]) -> None:
        """Write down all, with what it was judged to be.

        Raises:
            MachineError: the disk is full or may not be written to.
        """
        judged = tuple(
            CheckRecord(name=one.name, outcome=one.outcome.value, detail=one.detail, excerpt=one.excerpt)
            for one in checks
        )
        ended = "" if self.seen.whole else "The server ended in the middle."
        record = self._record(interrupted=ended).model_copy(
            update={
                "ended": datetime.now(UTC),
                "checks": judged,
                "outcome": outcome.value,
                "notes": (*self.known.notes, *notes),
            }
        )
        self._write(record)

    def _write(self, record: SoakRecord) -> None:
        write_soak(record, self.file)
        self.written = True

    def _record(self, interrupted: str = "") -> SoakRecord:
        known, seen = self.known, self.seen
        found = figures(seen.series, known.trial.profile.slots, seen.cores)
        return SoakRecord(
            product=__version__,
            started=self.started,
            interrupted=interrupted,
            subject=self._subject(),
            machine=MachineRecord.of(known.machine, known.host),
            arguments={**known.load.words(), **(seen.sizes or {})},
            limits=known.limits.words(),
            series=SeriesRecord.of(seen.series.samples),
            requests=tuple(map(RequestRecord.of, seen.series.requests)),
            figures=rounded(found),
            notes=known.notes,
        )

    def _subject(self) -> SubjectRecord:
        known = self.known
        served = Served(known.profile_name, known.trial.profile, known.trial.model.path, known.digest)
        return describe("A", known.subject.name, known.subject.image, served)
