"""SHA-256 of what is read from a stream, while it is read."""

from __future__ import annotations

import hashlib
import io
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIECE = 1 << 20


class Digesting(io.RawIOBase):
    """A stream that is read through this one."""

    def __init__(self, source: IO[bytes]) -> None:
        super().__init__()
        self._source = source
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read on, as the standard library asks for it."""
        place = memoryview(buffer).cast("B")
        piece = self._source.read(len(place))
        place[: len(piece)] = piece
        self._hash.update(piece)
        return len(piece)

    def finish(self) -> str:
        """Read what is left; the digest of all, in hexadecimal digits."""
        while piece := self._source.read(_PIECE):
            self._hash.update(piece)
        return self._hash.hexdigest()
