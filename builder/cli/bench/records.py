"""Records by the words of a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.cli.session import Session
    from builder.performance.archive import Archive
    from builder.performance.record import Record


def archive(session: Session) -> Archive:
    """Where records are kept."""
    from builder.performance.archive import Archive

    return Archive(session.paths.benches, session.reporter.notice)


def find(session: Session, words: str) -> tuple[Path, Record]:
    """A record by its file, its name, or the beginning of that.

    Raises:
        SourceError: there is none, more than one, or it is no record.
    """
    from builder.performance.record import read_record

    file = Path(words)
    if not file.is_file():
        file = archive(session).find(words)
    return file, read_record(file)
