"""Making things in the cache so that nobody ever sees half of one.

A thing is made under a temporary name beside its place and renamed when it is whole. Whoever makes something
holds a lock, so whatever temporary name is found under the lock was left by a process that is gone.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import MachineError, SourceError

_TEMPORARY = ".new-"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_BAD_NAME = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EILSEQ})


@contextmanager
def exclusive(lock: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock file; it is let go with the process, however that ends.

    Args:
        say: told when another process has to be waited for.
    """
    with disk_errors(lock.parent):
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waiting for another builder that uses {lock.parent}.")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def staged(place: Path, label: str = "") -> Iterator[Path]:
    """A fresh folder inside `place`; what is still in it at the end is removed.

    Call it under the lock of that place.

    Args:
        label: tells apart what is made in one place under several locks.

    Raises:
        MachineError: the disk is full or may not be written to.
    """
    sweep(place, label)
    with disk_errors(place):
        folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY + label, dir=place))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(place: Path, label: str = "") -> None:
    """Remove what dead processes left; call it under the lock of that place."""
    for leftover in place.glob(f"{_TEMPORARY}{label}*"):
        shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn what the system says about a disk into an error that a person can act on."""
    try:
        yield
    except OSError as error:
        raise _explained(error, place) from error


def write_whole(file: Path, content: bytes) -> None:
    """Write a file so that it is there as a whole or not at all."""
    with disk_errors(file.parent):
        descriptor, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            os.replace(name, file)  # noqa: PTH105
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _explained(error: OSError, place: Path) -> MachineError | SourceError:
    name = error.filename if isinstance(error.filename, str) else str(place)
    if error.errno in _FULL:
        return MachineError(f"The disk that holds {place} is full.", "Free some space, or set BUILDER_CACHE elsewhere.")
    if error.errno in _FORBIDDEN:
        return MachineError(f"{name} may not be used: {error.strerror}.", "Check its permissions.")
    if error.errno in _BAD_NAME:
        return SourceError(f"The name {name!r} cannot be used here: {error.strerror}.", "Take another source.")
    return MachineError(f"{name}: {error.strerror or error}.", "Check the disk and the folder.")
