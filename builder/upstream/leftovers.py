"""What killed git commands leave in a repository: locks, and objects that are half-written.

Whoever updates a mirror holds its lock, but others read it meanwhile, and git may write objects for them that were
left out of it. What they write is left alone.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

_HALF_WRITTEN = ("objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/??/tmp_obj_*")
_LOCKS = ("*.lock", "refs/**/*.lock", "objects/info/**/*.lock", "gc.pid")
_ABANDONED = 3600.0
"""Seconds without a write after which what is half-written was left by a process that is gone."""
_DYING = 1.0
"""Seconds in which a command that was killed lets its files go."""
_PAUSE = 0.05


def half_written(folder: Path) -> set[Path]:
    """The objects that are not whole, in a git folder."""
    return {file for pattern in _HALF_WRITTEN for file in folder.glob(pattern)}


def sweep(folder: Path) -> None:
    """Remove locks, and half-written objects that nobody has touched for long; call it under the lock of the mirror."""
    for lock in (file for place in _LOCKS for file in folder.glob(place)):
        lock.unlink(missing_ok=True)
    now = time.time()
    for file in half_written(folder):
        with suppress(OSError):
            if now - file.stat().st_mtime > _ABANDONED:
                file.unlink()


def discard(files: set[Path]) -> None:
    """Remove the half-written objects of a command that has ended: those that no process has open.

    Another user's process cannot be looked into, so another user's file is left alone.
    """
    ours = {file for file in files if _is_ours(file)}
    deadline = time.monotonic() + _DYING
    while ours and (busy := ours & _open_files()) and time.monotonic() < deadline:
        _remove(ours - busy)
        ours = busy
        time.sleep(_PAUSE)
    _remove(ours - _open_files() if ours else ours)


def _remove(files: set[Path]) -> None:
    for file in files:
        with suppress(OSError):
            file.unlink()


def _is_ours(file: Path) -> bool:
    with suppress(OSError):
        return file.lstat().st_uid == os.geteuid()
    return False


def _open_files() -> set[Path]:
    """Every file that a process of this user has open on this machine."""
    found = set()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            found.add(descriptor.readlink())
    return found
