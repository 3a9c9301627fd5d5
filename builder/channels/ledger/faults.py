"""What can be wrong with a ledger, in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import BuilderError, MachineError, UsageError

_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FORBIDDEN = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY = 0xFF
"""The bits of an extended result code that are the plain one."""


class LedgerError(MachineError):
    """The ledger cannot be used as it is, or where it is; nothing was written."""


class Contradiction(UsageError):
    """An entry says something else than the ledger does; nothing was written."""


def damaged(file: Path, how: str) -> LedgerError:
    """What to tell about a file that is a ledger no more, or never was."""
    return LedgerError(
        f"The ledger {file} cannot be read: {how}.",
        "Move it and what begins with its name away, then bring the last export back with"
        " `builder ledger import --restore FILE`.",
    )


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Tell what SQLite says as a person can act on it.

    Raises:
        LedgerError: of every fault of the file, its disk and its rights.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _explanation(error, file) from error


def _explanation(error: sqlite3.Error, file: Path) -> BuilderError:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    primary = code & _PRIMARY
    if primary in _FULL or code in _FULL:
        return LedgerError(f"The disk that holds the ledger {file} is full.", "Free some space, and try again.")
    if primary in _BUSY:
        return LedgerError(f"Another process keeps the ledger {file} locked.", "Wait for it to end, and try again.")
    if primary in _FORBIDDEN:
        return LedgerError(
            f"The ledger {file} cannot be written to: {error}.",
            "Check the permissions of its folder and whether its disk is mounted read-only, or set BUILDER_STATE.",
        )
    if primary in _DAMAGED:
        return damaged(file, str(error))
    if primary == sqlite3.SQLITE_CONSTRAINT:
        return Contradiction(f"The ledger {file} does not take an entry: {error}.", "Record first what it refers to.")
    return LedgerError(f"The ledger {file} cannot be used: {error}.", "Check the disk and the folder.")
