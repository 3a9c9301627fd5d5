"""A folder of records: their names say when each was begun and of what, so that a listing is in order of time."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from builder.errors import SourceError
from builder.staging import disk_errors

LATEST = "latest"
_SUFFIX = ".json"
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 60


@dataclass(frozen=True)
class RecordStore:
    """The folder.

    Attributes:
        lister: the command that shows what is in it, such as `builder bench list`.
    """

    folder: Path
    lister: str

    def place(self, started: datetime, words: Iterable[str]) -> Path:
        """A file name that no other record has.

        Args:
            words: what the record is of.

        Raises:
            MachineError: the folder cannot be made.
        """
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        moment = started.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        plain = _PLAIN.sub("-", "-".join(words)).strip("-.")[:_LONGEST]
        return self.folder / f"{moment}-{plain}-{secrets.token_hex(3)}{_SUFFIX}"

    def files(self) -> list[Path]:
        """Every record, the oldest first.

        Raises:
            MachineError: the folder may not be read.
        """
        if not self.folder.is_dir():
            return []
        with disk_errors(self.folder):
            return sorted(
                file for file in self.folder.iterdir() if file.suffix == _SUFFIX and not file.name.startswith(".")
            )

    def find(self, words: str) -> Path:
        """The record of this name, or the only one whose name begins so; `latest` is the newest.

        Raises:
            SourceError: there is none, or more than one.
            MachineError: the folder may not be read.
        """
        names = [file.name for file in self.files()]
        if words == LATEST and names:
            return self.folder / names[-1]
        found = [name for name in names if words in (name, name.removesuffix(_SUFFIX))]
        found = found or [name for name in names if words and name.startswith(words)]
        if len(found) == 1:
            return self.folder / found[0]
        if not names:
            raise SourceError(f"There is no record yet in {self.folder}.", "Name the file of one, or measure first.")
        how_many = f"{len(found)} records begin with" if found else "There is no record"
        raise SourceError(f"{how_many} {words!r} in {self.folder}.", f"`{self.lister}` shows them.")
