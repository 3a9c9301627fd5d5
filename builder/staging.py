"""Making things in the cache so that nobody ever sees half of one.

A thing is made under a temporary name beside its place and renamed when it is whole. Whoever makes something
holds a lock, so whatever temporary name is found under the lock was left by a process that is gone.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from builder.errors import MachineError, SourceError

_TEMPORARY = ".new-"
_IN_USE = "in-use"
_LABEL = 40
"""Letters of a file's name that its temporary name begins with: a name may have 255 bytes."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_BAD_NAME = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EILSEQ})


@contextmanager
def exclusive(lock: Path, say: Callable[[str], None]) -> Iterator[int]:
    """Hold a lock file; it is let go with the process, however that ends.

    Gives its descriptor: a program that is started with it holds the lock as long as it lives, even where this
    process is killed first. Once the block is done it holds it no more: git may leave a cache of credentials running.

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
        yield descriptor
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


@contextmanager
def unless_held(lock: Path) -> Iterator[bool]:
    """Hold a lock file that is there, unless another process does; gives whether it is held here.

    Raises:
        OSError: it cannot be opened.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
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
    """Remove what dead processes left; call it under the lock of that place.

    Args:
        label: of what `staged` makes; else everything.
    """
    for leftover in place.glob(f"{_TEMPORARY}{glob.escape(label)}*"):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            with suppress(OSError):
                leftover.unlink()


def sweep_beside(file: Path) -> None:
    """Remove what dead processes left that wrote this file whole; call it where nobody else writes it.

    Other files of its folder, which may be anybody's, stay.
    """
    sweep(file.parent, _label(file))


def _label(file: Path) -> str:
    """What tells apart the temporary names of the files of one folder."""
    return f"{file.name[:_LABEL]}-"


@contextmanager
def scratch(purpose: str) -> Iterator[tuple[Path, int]]:
    """A fresh folder among the system's temporary files; those of processes that are gone are removed.

    Gives its lock besides: a program that is started with that descriptor keeps the folder as long as it lives.

    Args:
        purpose: what the folder's name begins with.

    Raises:
        MachineError: the disk is full or may not be written to, or another user took the lock's name.
    """
    place = Path(tempfile.gettempdir())
    with disk_errors(place), ExitStack() as stack:
        with _held(place / f"{purpose}.{os.getuid()}.lock", make=True):
            for leftover in place.glob(f"{purpose}-*"):
                _remove_abandoned(leftover)
            folder = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=place))
            lock = stack.enter_context(_held(folder / _IN_USE, make=True))
        try:
            yield folder, lock
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove a folder of ours whose lock nobody holds."""
    with suppress(OSError):
        if not folder.is_symlink() and folder.stat().st_uid == os.getuid():
            with _held(folder / _IN_USE, wait=False):
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _held(lock: Path, *, make: bool = False, wait: bool = True) -> Iterator[int]:
    """Hold a lock in a place where other users write; no link is followed.

    Args:
        make: whether it may have to be made.
        wait: until others let it go.

    Raises:
        OSError: it cannot be had, or is another user's.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if make else 0), 0o600)
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            raise PermissionError(errno.EACCES, "it belongs to another user", str(lock))
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn what the system says about a disk into an error that a person can act on."""
    try:
        yield
    except OSError as error:
        raise _explained(error, place) from error


def write_whole(file: Path, content: bytes, *, durable: bool = False, shared: bool = False) -> None:
    """Write a file so that it is there as a whole or not at all.

    Args:
        durable: it is on the disk when this returns.
        shared: others use the file too: it keeps the mode and, as far as this user may, the owner of the one that it
            replaces, and a new one can be read by everybody.
    """
    with disk_errors(file.parent):
        descriptor, name = tempfile.mkstemp(prefix=f"{_TEMPORARY}{_label(file)}", dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                if shared:
                    _make_like(file, stream.fileno())
                if durable:
                    os.fsync(stream.fileno())
            os.replace(name, file)  # noqa: PTH105
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        if durable:
            _sync_folder(file.parent)


def _make_like(file: Path, descriptor: int) -> None:
    """Give an open file the owner and the mode of another, if that is there."""
    try:
        there = file.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, 0o644)
        return
    with suppress(PermissionError):
        os.fchown(descriptor, there.st_uid, there.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(there.st_mode))


def _sync_folder(folder: Path) -> None:
    """See that a name in a folder is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explained(error: OSError, place: Path) -> MachineError | SourceError:
    name = error.filename if isinstance(error.filename, str) else str(place)
    if error.errno in _FULL:
        return MachineError(f"The disk that holds {place} is full.", "Free some space, or set BUILDER_CACHE elsewhere.")
    if error.errno in _FORBIDDEN:
        return MachineError(f"{name} may not be used: {error.strerror}.", "Check its permissions.")
    if error.errno in _BAD_NAME:
        return SourceError(f"The name {name!r} cannot be used here: {error.strerror}.", "Take another source.")
    return MachineError(f"{name}: {error.strerror or error}.", "Check the disk and the folder.")
