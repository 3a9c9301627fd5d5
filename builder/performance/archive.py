"""A folder of records, and what is in it at a glance.

A record's name says when it was begun and of what, so that a listing is in order of time. The index holds one line for
each file and is a help, not the truth: a file that is new or changed is read, one that is gone is dropped, and an index
that is missing or damaged is made anew. Several processes may write at once; each record is there whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from builder.errors import SourceError
from builder.performance.comparison import Outcome
from builder.performance.pairing import summarise
from builder.performance.record import Record, read_record, write_record
from builder.performance.rules import usual_statistic
from builder.performance.shelf import Shelf
from builder.staging import disk_errors, exclusive, write_whole

_INDEX = ".index.json"
_LOCK = ".lock"
_VERSION = 1


class Side(BaseModel):
    """One subject of a record, at a glance.

    Attributes:
        figures: by name, the median over all runs that count.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    reference: str
    image: str
    repository: str
    channel: str
    build: str
    profile: str
    overrides: Mapping[str, str]
    figures: Mapping[str, float]


class Entry(BaseModel):
    """One record at a glance.

    Attributes:
        file: its name in the folder.
        stamp: time of its last change and its size, by which a change is seen.
        outcome: nothing where nothing was judged.
        damaged: why it cannot be read; empty where it can.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    stamp: tuple[int, int]
    started: AwareDatetime | None = None
    whole: bool = False
    outcome: Outcome | None = None
    machine: str = ""
    sides: tuple[Side, ...] = ()
    damaged: str = ""


class _Index(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Archive:
    """The folder.

    Attributes:
        say: told when another process has to be waited for.
    """

    folder: Path
    say: Callable[[str], None] = lambda _: None

    @property
    def shelf(self) -> Shelf:
        """Its files by name."""
        return Shelf(self.folder, "builder bench list")

    def place(self, record: Record) -> Path:
        """A file name that no other record has; the same record, written again as it grows, keeps what it got first.

        Raises:
            MachineError: the folder cannot be made.
        """
        return self.shelf.place(record.started, ["-vs-".join(_words(record))])

    def write(self, record: Record, file: Path | None = None) -> Path:
        """Keep a record.

        Args:
            file: its place, where it was kept before; None takes a new one.

        Raises:
            MachineError: the disk is full or may not be written to.
        """
        file = file or self.place(record)
        write_record(record, file)
        return file

    def entries(self) -> tuple[Entry, ...]:
        """Every record at a glance, the oldest first; those that cannot be read are there with the reason.

        Raises:
            MachineError: the folder may not be read, or the index not be written.
        """
        if not self.folder.is_dir():
            return ()
        with exclusive(self.folder / _LOCK, self.say), disk_errors(self.folder):
            known = {entry.file: entry for entry in self._index()}
            found = tuple(self._entry(file, known) for file in self.shelf.files())
            if found != tuple(known.values()):
                index = _Index(version=_VERSION, entries=found)
                write_whole(self.folder / _INDEX, index.model_dump_json().encode() + b"\n")
        return found

    def find(self, words: str) -> Path:
        """The record of this name, or the only one whose name begins so; `latest` is the newest.

        Raises:
            SourceError: there is none, or more than one.
            MachineError: the folder may not be read.
        """
        return self.shelf.find(words)

    def _index(self) -> Iterable[Entry]:
        try:
            index = TypeAdapter(_Index).validate_json((self.folder / _INDEX).read_bytes())
        except (FileNotFoundError, ValidationError):
            return ()
        return index.entries if index.version == _VERSION else ()

    def _entry(self, file: Path, known: Mapping[str, Entry]) -> Entry:
        status = file.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        entry = known.get(file.name)
        if entry is not None and entry.stamp == stamp:
            return entry
        try:
            return _glance(read_record(file), file.name, stamp)
        except SourceError as error:
            return Entry(file=file.name, stamp=stamp, damaged=error.cause)


def history(entries: Iterable[Entry], repository: str, channel: str = "") -> tuple[tuple[Entry, Side], ...]:
    """What was measured of a repository, and of one of its channels, in order of time: whole records alone."""
    return tuple(
        (entry, side)
        for entry in sorted(
            (entry for entry in entries if entry.whole and entry.started), key=lambda one: (one.started, one.file)
        )
        for side in entry.sides
        if side.repository == repository and channel in ("", side.channel)
    )


def sides_of(record: Record) -> tuple[Side, ...]:
    """The subjects of a record at a glance, in its order."""
    return tuple(
        Side(
            figures=_figures(record, subject.name),
            **{key: getattr(subject, key) for key in Side.model_fields if key != "figures"},
        )
        for subject in record.subjects
    )


def _words(record: Record) -> list[str]:
    """What a record is of: the builds, or the settings that differ."""
    names = [subject.build or subject.reference for subject in record.subjects]
    if len(set(names)) > 1:
        return names
    overrides = [",".join(f"{key}={value}" for key, value in subject.overrides.items()) for subject in record.subjects]
    return [names[0], *filter(None, overrides)]


def _glance(record: Record, name: str, stamp: tuple[int, int]) -> Entry:
    machine = ", ".join(gpu.name for gpu in record.machine.gpus) or record.machine.processor
    return Entry(
        file=name,
        stamp=stamp,
        started=record.started,
        whole=record.whole,
        outcome=record.outcome,
        machine=machine,
        sides=sides_of(record),
    )


def _figures(record: Record, subject: str) -> Mapping[str, float]:
    """The median over the runs of what each comes to."""
    from statistics import median

    figures: dict[str, float] = {}
    for part in record.metrics:
        metric = part.metric()
        values = [
            value
            for run in record.runs
            if run.subject == subject and not run.set_aside
            for value, _ in [summarise(run.samples.get(metric.name), usual_statistic(metric))]
            if value is not None
        ]
        if values:
            figures[metric.name] = median(values)
    return figures
