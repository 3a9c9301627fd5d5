"""Verdicts that are kept while they come: in the ledger, and as statements that travel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from builder.cli.forms import require_places

if TYPE_CHECKING:
    from pathlib import Path

    from builder.channels.ledger.evidence import VerdictEntry
    from builder.channels.statement import Statement
    from builder.cli.session import Session
    from builder.errors import ExitCode
    from builder.gates.gate import Subject
    from builder.gates.verdict import Verdict
    from builder.judging import Case


class Keeping:
    """What judges an image hands its verdicts to.

    Args:
        out: file that gets a statement for each verdict; None for none.

    Raises:
        UsageError: that file cannot be written.
    """

    def __init__(self, session: Session, case: Case, out: Path | None = None) -> None:
        from builder.recording import Recorder

        machine = case.lanes[0].scene.machine
        self._subject: Subject = case.subject
        self._containerd_store = bool(machine and machine.containerd_store)
        self._recorder = Recorder(session.paths, session.reporter)
        self._out = out
        self._statements: list[Statement] = []
        self._reporter = session.reporter
        self._unwritten = False
        require_places((out,))
        self._recorder.look()

    def each(self, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
        """The verdicts, each kept before it is handed on; where that does not work, a person is told."""
        for verdict in verdicts:
            self._take(verdict)
            yield verdict

    @property
    def recorded(self) -> bool:
        """Whether the ledger has all of them."""
        return not self._recorder.failed

    def exit_code(self, code: ExitCode) -> ExitCode:
        """The exit status: the machine's fault where one could not be kept and all was well otherwise."""
        from builder.errors import ExitCode

        kept = self._recorder.exit_code(code)
        return ExitCode.MACHINE if self._unwritten and kept is ExitCode.DONE else kept

    def _take(self, verdict: Verdict) -> None:
        from datetime import UTC, datetime

        from builder.recording import verdict_entry

        image = self._subject.image
        entry = verdict_entry(verdict, image, datetime.now(UTC))
        self._recorder.verdict(entry, image, containerd_store=self._containerd_store)
        if self._out:
            self._write(entry, self._out)

    def _write(self, entry: VerdictEntry, out: Path) -> None:
        from builder.channels.bundle import write_bundle
        from builder.channels.statement import Statement
        from builder.errors import BuilderError
        from builder.staging import write_whole

        self._statements.append(Statement(_name(self._subject), entry))
        try:
            write_whole(out, write_bundle(self._statements))
        except BuilderError as error:
            if not self._unwritten:
                self._reporter.error(error)
            self._unwritten = True


def _name(subject: Subject) -> str:
    """What the image is called, without a tag where it has a name."""
    name = next(iter(subject.image.references), "")
    return name.rpartition(":")[0] or subject.name
