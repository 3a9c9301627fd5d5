"""What an origin hands over: one content, and what is known of it before and after it is written out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from builder.upstream.revision import Revision


@dataclass(frozen=True)
class Traces:
    """What a content says of itself once it lies there.

    Attributes:
        commit: upstream's object name; None where the content does not tell.
        committed: time of that commit; None likewise.
    """

    commit: str | None = None
    committed: datetime | None = None


class Supply(Protocol):
    """One content of an origin, ready to be written out."""

    @property
    def revision(self) -> Revision:
        """What is known without writing it out."""

    @property
    def identity(self) -> str | None:
        """Name that no other content has, fit for a file name; None where that cannot be known without reading it."""

    def write(self, folder: Path) -> Traces:
        """Write the tree into an empty folder.

        Raises:
            SourceError: the content is damaged, out of reach or no llama.cpp tree.
            MachineError: this machine cannot hold it.
        """
