"""Where a result goes: the terminal, one JSON document, files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.forms import SCHEMA, publish, require_places

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.cli.session import Session
    from builder.errors import ExitCode
    from builder.performance.record import Record

Out = Annotated[Path | None, typer.Option(help="Also write the record here.")]


@dataclass(frozen=True)
class Outputs:
    """What is written beside what is shown.

    Attributes:
        out: gets the record itself.
    """

    json: bool
    markdown: Path | None = None
    html: Path | None = None
    prometheus: Path | None = None
    out: Path | None = None

    def check(self) -> None:
        """See that every file can be written, before anything is measured for it.

        Raises:
            UsageError: its folder is not there or may not be written to, or it is a folder.
        """
        require_places((self.markdown, self.html, self.prometheus, self.out))

    def give(self, session: Session, record: Record, code: ExitCode, beside: Mapping[str, object]) -> None:
        """Show a record, and write what is to be written.

        Args:
            code: the exit status that stands for it.
            beside: what the document says beside the record.

        Raises:
            MachineError: the disk is full or may not be written to.
        """
        from builder.report.terminal import spell_record

        self._write(session, record)
        if self.json:
            document = {"schema_version": SCHEMA, "exit_code": int(code), **beside}
            session.reporter.show_json({**document, "record": record.model_dump(mode="json")})
        else:
            session.reporter.show(spell_record(record, session.reporter.out.width, record.recommendation))

    def _write(self, session: Session, record: Record) -> None:
        from builder.performance.record import write_record

        if self.markdown:
            from builder.report.markdown import markdown

            publish(self.markdown, markdown(record, record.recommendation))
        if self.html:
            publish(self.html, _page(session, record))
        if self.prometheus:
            from builder.report.prometheus import write_exposition

            write_exposition(self.prometheus, record)
        if self.out:
            write_record(record, self.out)


def _page(session: Session, record: Record) -> str:
    """The page, with what was measured of the same images before, and which of them were adopted."""
    from builder.cli.bench.records import archive
    from builder.performance.archive import history
    from builder.report.page import page

    repository = record.subjects[-1].repository
    past = history(archive(session).entries(), repository) if repository else ()
    adopted = _adopted(session, repository) if past else frozenset()
    return page(record, history=past, adopted=adopted, said=record.recommendation)


def _adopted(session: Session, repository: str) -> frozenset[str]:
    """Images that were adopted; a ledger that cannot be read takes nothing from what was measured."""
    from builder.benching import adopted_images
    from builder.errors import MachineError

    try:
        return adopted_images(session.paths.ledger, repository)
    except MachineError as error:
        session.reporter.notice(f"The page does not mark what was adopted. {error.cause}")
        return frozenset()
