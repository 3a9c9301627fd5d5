"""Adoption files as a place in which something names an image.

What such a file held, and what it is to hold, is kept by its digest, so that every move can be taken back. It may hold
others' secrets: only its owner reads what is kept.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from builder.channels.ledger.values import digest_of
from builder.channels.places.place import FILE
from builder.errors import MachineError, SourceError
from builder.staging import sweep, sweep_beside, write_whole


@dataclass(frozen=True)
class FilePlace:
    """Files by their absolute paths; a digest is that of a whole content.

    A symbolic link is followed: what it points at is written, and it stays a link.

    Attributes:
        store: folder of contents by digest.
    """

    store: Path
    name: ClassVar[str] = FILE

    def keep(self, content: bytes) -> str:
        """Have a content, so that a file can be moved to it.

        Returns:
            Its digest.

        Raises:
            MachineError: it cannot be kept.
        """
        digest = digest_of(content)
        kept = self._kept(digest)
        with _told(kept):
            if _content(kept) != content:
                write_whole(kept, content, durable=True)
        return digest

    def read(self, subject: str) -> str | None:
        """The digest of what a file holds; None where there is none.

        Raises:
            MachineError: it cannot be read.
        """
        file = Path(subject)
        with _told(file):
            content = _content(file)
        return None if content is None else digest_of(content)

    def has(self, digest: str) -> bool:
        """Whether a content is kept.

        Raises:
            MachineError: that cannot be read.
        """
        kept = self._kept(digest)
        with _told(kept):
            return kept.exists()

    def forget(self, wanted: Collection[str]) -> None:
        """Let go of all contents but those with these digests: they may hold secrets.

        Raises:
            MachineError: one cannot be removed.
        """
        names = {self._kept(digest).name for digest in wanted}
        with _told(self.store):
            for kept in self.store.iterdir():
                if kept.name not in names:
                    kept.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what killed processes left; call it where nobody else keeps anything."""
        sweep(self.store)

    def move(self, subject: str, digest: str | None) -> None:
        """Let a file hold the content that is kept under a digest; None removes it. What it held before is kept.

        Raises:
            MachineError: nothing, or something else, is kept under the digest, or the file cannot be written.
        """
        file = Path(subject)
        target = Path(os.path.realpath(file))
        with _told(file):
            if (before := _content(target)) is not None:
                self.keep(before)
            sweep_beside(target)
            if digest is None:
                target.unlink(missing_ok=True)
            else:
                write_whole(target, self._content_of(digest), durable=True, shared=True)
        if (now := self.read(subject)) != digest:
            raise MachineError(
                f"{file} holds {now or 'nothing'} after {digest or 'nothing'} was written there.",
                "See what else writes it.",
            )

    def _content_of(self, digest: str) -> bytes:
        content = _content(self._kept(digest))
        if content is None or digest_of(content) != digest:
            raise MachineError(
                f"The content {digest} of an adoption file is {'lost' if content is None else 'damaged'} in"
                f" {self.store}.",
                "Write the file anew with `builder promote`.",
            )
        return content

    def _kept(self, digest: str) -> Path:
        return self.store / digest.removeprefix("sha256:")


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Whatever keeps a file from being used is this machine's fault."""
    try:
        yield
    except OSError as error:
        raise MachineError(f"{file} cannot be used: {error.strerror}.", "Check its folder and permissions.") from error
    except SourceError as error:
        raise MachineError(error.cause, error.remedy) from error
