"""Soaks that were kept, at a glance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict

from builder.errors import SourceError
from builder.performance.record_store import RecordStore
from builder.performance.soak.record import Said, SoakRecord, read_soak


class SoakEntry(BaseModel):
    """One record at a glance.

    Attributes:
        file: its name in the folder.
        load: rate and minutes that were asked for, in words.
        outcome: nothing where nothing was judged.
        failed: names of the checks that failed.
        interrupted: why it is not whole; empty where it is, and where the load may still run.
        damaged: why it cannot be read; empty where it can.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    started: AwareDatetime | None = None
    reference: str = ""
    image: str = ""
    build: str = ""
    profile: str = ""
    machine: str = ""
    load: str = ""
    outcome: Said | None = None
    failed: tuple[str, ...] = ()
    whole: bool = False
    interrupted: str = ""
    damaged: str = ""


def store_of(folder: Path) -> RecordStore:
    """The folder of the soaks' records."""
    return RecordStore(folder, "builder soak list")


def entries(folder: Path) -> Iterator[SoakEntry]:
    """Every record at a glance, the oldest first; those that cannot be read are there with the reason.

    Raises:
        MachineError: the folder may not be read.
    """
    for file in store_of(folder).files():
        try:
            yield _glance(read_soak(file), file.name)
        except SourceError as error:
            yield SoakEntry(file=file.name, damaged=error.cause)


def _glance(record: SoakRecord, name: str) -> SoakEntry:
    asked = record.arguments
    return SoakEntry(
        file=name,
        started=record.started,
        reference=record.subject.reference,
        image=record.subject.image,
        build=record.subject.build,
        profile=record.subject.profile,
        machine=", ".join(gpu.name for gpu in record.machine.gpus) or record.machine.processor,
        load=f"{asked.get('rate', 'unknown')}, {asked.get('minutes', 'unknown')} min",
        outcome=record.outcome,
        failed=tuple(check.name for check in record.checks if check.outcome == "fail"),
        whole=record.whole,
        interrupted=record.interrupted,
    )
