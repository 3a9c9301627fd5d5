"""From pieces that the engine hands over to a stream that is read."""

from __future__ import annotations

import fcntl
import os
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import IO, TypeVar

from builder.errors import MachineError

_PIECE = 1 << 20
_Found = TypeVar("_Found")


def piped(give: Callable[[Callable[[bytes], None]], None], read: Callable[[IO[bytes]], _Found]) -> _Found:
    """Read an archive while it is handed over.

    Args:
        give: hands over each piece of it, in order.
        read: takes it from start to end, or as far as it likes.

    Raises:
        MachineError: it is no archive, or cut off.
    """
    source, sink = os.pipe()
    with suppress(OSError):
        fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, _PIECE)
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(_read, source, read)
        try:
            give(lambda piece: _write_all(sink, piece))
        except BrokenPipeError:
            # The reader gave up, and says why below.
            pass
        finally:
            os.close(sink)
        return reader.result()


def _write_all(sink: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(sink, rest) :]


def _read(source: int, read: Callable[[IO[bytes]], _Found]) -> _Found:
    with os.fdopen(source, "rb", buffering=_PIECE) as stream:
        try:
            found = read(stream)
        except tarfile.TarError as error:
            raise MachineError(f"The engine's archive of the image cannot be read: {error}.", "Try again.") from error
        while stream.read(_PIECE):
            pass
        return found
