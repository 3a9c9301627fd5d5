"""Records of soaks by the words of a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.cli.session import Session
    from builder.performance.soak.record import SoakRecord


def find(session: Session, words: str) -> tuple[Path, SoakRecord]:
    """A record by its file, its name, or the beginning of that.

    Raises:
        SourceError: there is none, more than one, or it is no record of a soak.
    """
    from builder.performance.soak.archive import store_of
    from builder.performance.soak.record import read_soak

    file = Path(words)
    if not file.is_file():
        file = store_of(session.paths.soaks).find(words)
    return file, read_soak(file)
