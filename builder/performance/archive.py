"""A folder of records, and what is in it at a glance.

A record's name says when it was begun and of what, so that a listing is in order of time. The index holds one line for
each file and is a help, not the truth: a file that is new or changed is read, one that is gone is dropped, and an index
that is missing or damaged is made anew. Several processes may write at once; each record is there whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from builder.errors import SourceError
from builder.performance.comparable import HOW_OFTEN
from builder.performance.comparison import Outcome
from builder.performance.pairing import summarise
from builder.performance.record import Record, SubjectRecord, read_record, write_record
from builder.performance.record_store import RecordStore
from builder.performance.rules import usual_statistic
from builder.staging import disk_errors, exclusive, write_whole

_INDEX = ".index.json"
_LOCK = ".lock"
_VERSION = 2
_DECIDING = (
    *("kind", "context", "slots", "users", "batch", "ubatch", "flash-attention", "cache-type-k", "cache-type-v"),
    *("gpu-layers", "continuous-batching", "extra-arguments"),
)
"""Settings of a profile without which figures of two times say nothing of two images."""


class Side(BaseModel):
    """One subject of a record, at a glance.

    Attributes:
        model: name of its file.
        asked: sizes of what it was asked, in words.
        work: the same for subjects that served the same model in the same way and were asked the same; how often they
            were asked makes figures surer and no others.
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
    model: str
    asked: str
    work: str
    figures: Mapping[str, float]


class Entry(BaseModel):
    """One record at a glance.

    Attributes:
        file: its name in the folder.
        stamp: time of its last change and its size, by which a change is seen.
        unsettled: a limit ended it before a base line or a choice was one.
        outcome: nothing where nothing was judged.
        damaged: why it cannot be read; empty where it can.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    stamp: tuple[int, int]
    started: AwareDatetime | None = None
    whole: bool = False
    unsettled: bool = False
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
    def store(self) -> RecordStore:
        """Its files by name."""
        return RecordStore(self.folder, "builder bench list")

    def place(self, record: Record) -> Path:
        """A file name that no other record has; the same record, written again as it grows, keeps what it got first.

        Raises:
            MachineError: the folder cannot be made.
        """
        return self.store.place(record.started, ["-vs-".join(_words(record))])

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
            found = tuple(self._entry(file, known) for file in self.store.files())
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
        return self.store.find(words)

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
    return tuple(_side(record, subject) for subject in record.subjects)


def work_of(record: Record, subject: SubjectRecord) -> str:
    """What subjects have in common that served the same model in the same way and were asked the same, as a digest."""
    asked = {key: value for key, value in record.arguments.items() if key not in HOW_OFTEN}
    settings = {key: subject.settings.get(key, "") for key in _DECIDING}
    document = json.dumps([subject.model.digest, asked, settings], sort_keys=True)
    return sha256(document.encode()).hexdigest()[:16]


def _side(record: Record, subject: SubjectRecord) -> Side:
    derived = {"model": subject.model.name, "asked": _asked(record, subject), "work": work_of(record, subject)}
    figures = _figures(record, subject.name)
    known = {key: getattr(subject, key) for key in Side.model_fields if key not in (*derived, "figures")}
    return Side(**known, **derived, figures=figures)


def _asked(record: Record, subject: SubjectRecord) -> str:
    sizes = [f"{key} {value}" for key in ("context", "slots", "users") if (value := subject.settings.get(key))]
    prompts = record.arguments.get("prompts")
    return ", ".join((*sizes, *([f"prompts {prompts}"] if prompts else [])))


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
        unsettled=bool(record.unsettled),
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
