"""What was built, judged and measured, as the ledger keeps it.

A ledger that cannot be written to takes nothing away from what is shown: it is told, and the exit status says so.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.channels.ledger.evidence import (
    BenchmarkEntry,
    BuildEntry,
    ImageEntry,
    RevisionEntry,
    UsedGpu,
    VerdictEntry,
)
from builder.channels.ledger.faults import Contradiction
from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.ledger.values import canonical, digest_of
from builder.console import Reporter
from builder.engine.images import Image
from builder.errors import BuilderError, ExitCode, MachineError
from builder.gates.verdict import Verdict
from builder.paths import Paths
from builder.plan.plan import BuildPlan

if TYPE_CHECKING:
    from builder.performance.archive import Side
    from builder.performance.record import Record


def verdict_entry(verdict: Verdict, image: Image, at: datetime, machine: str = "") -> VerdictEntry:
    """A verdict as the ledger keeps it.

    Args:
        at: when it was given.
        machine: name of the machine, where the verdict does not say; empty takes this one's.

    Raises:
        ValueError: it says of its GPU or of itself what cannot be.
    """
    from dataclasses import asdict

    facts = verdict.machine
    gpus = tuple(UsedGpu(gpu.uuid, gpu.name, gpu.driver) for gpu in facts.gpus) if facts else ()
    name = (facts.name if facts else "") or machine or platform.node()
    document = _plain({**asdict(verdict), "digest": image.id, "measurements": dict(verdict.measurements)})
    return VerdictEntry(image.id, verdict.gate, verdict.outcome.value, at, name, gpus, document)


def record_image(ledger: Ledger, image: Image, *, containerd_store: bool) -> None:
    """Keep an image of an engine.

    In the classic store its ID is the digest of its configuration. In containerd's it is a manifest's or an index's, of
    which the engine does not say what it holds: a registry does.

    Raises:
        LedgerError: the ledger cannot be written to.
    """
    if containerd_store:
        ledger.images.mention(image.id)
    else:
        ledger.images.record(ImageEntry(image.id, references=image.references, labels=image.labels))


def record_verdicts(ledger: Ledger, verdicts: Sequence[VerdictEntry], image: Image, *, containerd_store: bool) -> None:
    """Keep verdicts and the image that they are about, all or nothing.

    Raises:
        LedgerError: the ledger cannot be written to.
    """
    with ledger.together():
        record_image(ledger, image, containerd_store=containerd_store)
        for verdict in verdicts:
            ledger.verdicts.record(verdict)


def record_build(ledger: Ledger, plan: BuildPlan, image: Image, at: datetime, machine: str, seconds: float) -> None:
    """Keep a build and its revision; a build that the ledger has is not kept again for an image that was found.

    Args:
        at: when it ended.
        seconds: that it took.

    Raises:
        LedgerError: the ledger cannot be written to.
    """
    revision = plan.revision
    with ledger.together():
        if any(build.plan == plan.digest for build in ledger.images.builds(image.id)):
            return
        if revision.commit:
            _record_revision(ledger, RevisionEntry(revision.commit, revision.build_number, revision.committed))
        document = _plain({"seconds": round(seconds, 3), "plan": plan.document()})
        ledger.images.record_build(BuildEntry(plan.digest, image.id, revision.commit, at, machine, document))


def record_bench(ledger: Ledger, record: Record, file: Path, machine: str) -> None:
    """Keep where a record of measurements is, once for each image that it is about.

    Raises:
        LedgerError: the ledger cannot be written to.
        OSError: the file cannot be read.
    """
    from builder.performance.archive import sides_of

    content = digest_of(file.read_bytes())
    at = record.ended or record.started
    with ledger.together():
        for side in sides_of(record):
            document = _plain(_summary(record, side))
            entry = BenchmarkEntry(side.image, str(file.absolute()), content, at, machine, document)
            ledger.verdicts.record_benchmark(entry)


class Recorder:
    """Keeps things in the ledger of this machine, and tells where that does not work.

    Args:
        machine: its name, where what is kept does not say; empty takes what this machine calls itself.
    """

    def __init__(self, paths: Paths, reporter: Reporter, machine: str = "") -> None:
        self._paths = paths
        self._reporter = reporter
        self._machine = machine or platform.node()
        self._told: set[str] = set()

    @property
    def failed(self) -> bool:
        """Whether anything was not kept."""
        return bool(self._told)

    def exit_code(self, code: ExitCode) -> ExitCode:
        """The exit status: the machine's fault where something was not kept and all was well otherwise."""
        return ExitCode.MACHINE if self.failed and code is ExitCode.DONE else code

    def look(self) -> None:
        """See whether the ledger can be opened, so that a person is told before what takes long begins."""
        self.keep(lambda _: None)

    def verdict(self, entry: VerdictEntry, image: Image, *, containerd_store: bool) -> None:
        """Keep a verdict; one about speed with its measurements."""
        self.keep(lambda ledger: record_verdicts(ledger, (entry,), image, containerd_store=containerd_store))
        measurements = entry.document["measurements"]
        if entry.gate == "performance" and (record := measurements.get("record")):
            self.bench_file(Path(str(record)))

    def build(self, plan: BuildPlan, image: Image, seconds: float, *, containerd_store: bool) -> None:
        """Keep a build with its image."""
        at = datetime.now(UTC)

        def write(ledger: Ledger) -> None:
            record_image(ledger, image, containerd_store=containerd_store)
            record_build(ledger, plan, image, at, self._machine, seconds)

        self.keep(write)

    def bench(self, record: Record, file: Path) -> None:
        """Keep what was measured."""
        self.keep(lambda ledger: record_bench(ledger, record, file, self._machine))

    def bench_file(self, file: Path) -> None:
        """Keep what was measured, by the file alone."""

        def write(ledger: Ledger) -> None:
            from builder.performance.record import read_record

            record_bench(ledger, read_record(file), file, self._machine)

        self.keep(write)

    def keep(self, write: Callable[[Ledger], None]) -> None:
        """Write to the ledger, all or nothing; what is in the way is told once."""
        try:
            with open_ledger(self._paths.ledger) as ledger, ledger.together():
                write(ledger)
        except BuilderError as error:
            self._tell(error)
        except (OSError, ValueError) as error:
            self._tell(MachineError(f"{error}.", "Check the folder of the ledger."))

    def _tell(self, error: BuilderError) -> None:
        if error.cause not in self._told:
            self._told.add(error.cause)
            self._reporter.error(MachineError(f"The ledger does not keep this. {error.cause}", error.remedy))


def _record_revision(ledger: Ledger, entry: RevisionEntry) -> None:
    """Keep a revision; where it is known otherwise, such as by a build number that somebody gave, that stays."""
    try:
        ledger.images.record_revision(entry)
    except Contradiction:
        ledger.images.record_revision(RevisionEntry(entry.commit))


def _summary(record: Record, side: Side) -> dict[str, Any]:
    return {
        "whole": record.whole,
        "outcome": record.outcome,
        "against": [one.image for one in record.subjects if one.name != side.name],
        **side.model_dump(mode="json", exclude={"image"}),
    }


def _plain(document: object) -> Any:
    """A document as JSON has it; a figure that is no number becomes nothing."""
    return json.loads(canonical(_finite(document)))


def _finite(value: object) -> object:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(name): _finite(part) for name, part in value.items()}
        case list() | tuple():
            return [_finite(part) for part in value]
        case _:
            return value
