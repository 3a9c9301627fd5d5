"""One SQLite file: opened, brought to this version, written to by one process at a time.

Every write is one transaction that is on the disk when it returns. A process that is killed leaves the file as it was
before its transaction or as it is after it; the next one that opens it sees to that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from builder.channels.ledger.faults import Contradiction, LedgerError, damaged, explained
from builder.channels.ledger.schema import APPLICATION, MIGRATIONS, Migration
from builder.staging import exclusive

Value = str | int | None
Row = Mapping[str, Value]
_PATIENCE = 60.0
"""Seconds to wait for another writer."""


class Database:
    """An open ledger file.

    Args:
        file: where it is; its folder exists.
        migrations: the versions there are.
        patience: seconds to wait for another writer.

    Raises:
        LedgerError: it is a newer version's, no ledger, damaged, locked for too long, or cannot be written to.
    """

    def __init__(
        self, file: Path, migrations: Sequence[Migration] = MIGRATIONS, *, patience: float = _PATIENCE
    ) -> None:
        self.file = file
        self._writing = False
        with explained(file):
            self._connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rwc", uri=True, isolation_level=None)
            try:
                self._set_up(migrations, patience)
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Let go of the file."""
        with explained(self.file):
            self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all that is written in it is kept, or nothing; one inside another is part of it.

        Raises:
            LedgerError: another process writes for too long, or the disk does not take it.
        """
        if self._writing:
            yield
            return
        with explained(self.file):
            self._connection.execute("BEGIN IMMEDIATE")
            self._writing = True
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite rolls back by itself on some faults, such as a full disk.
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._writing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Several questions to one state of the ledger; nothing is written in between."""
        if self._connection.in_transaction:
            yield
            return
        with explained(self.file):
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")

    def ask(self, statement: str, *values: Value) -> list[dict[str, Value]]:
        """All rows that a question gives."""
        with explained(self.file):
            cursor = self._connection.execute(statement, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def run(self, statement: str, *values: Value) -> int:
        """Change something; returns how many rows were."""
        with self.writing():
            return self._connection.execute(statement, values).rowcount

    def put(self, table: str, key: Row, facts: Row, *, name: str, fill: Sequence[str] = ()) -> None:
        """Add a row, or see that the one that is there says the same.

        Args:
            name: what a person calls the row.
            fill: columns that may become known later: nothing is as good as what is there.

        Raises:
            Contradiction: it says something else.
        """
        where = " AND ".join(f"{column} = ?" for column in key)
        with self.writing():
            found = self.ask(f"SELECT * FROM {table} WHERE {where}", *key.values())
            if not found:
                row = {**key, **facts}
                marks = ", ".join("?" * len(row))
                self.run(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())
                return
            there = found[0]
            news = {column: value for column, value in facts.items() if there[column] != value}
            for column, value in news.items():
                if column not in fill or (there[column] is not None and value is not None):
                    raise _contradiction(self.file, name, column, there[column], value)
            if news := {column: value for column, value in news.items() if value is not None}:
                changes = ", ".join(f"{column} = ?" for column in news)
                self.run(f"UPDATE {table} SET {changes} WHERE {where}", *news.values(), *key.values())

    def verify(self) -> None:
        """Read all of the file.

        Raises:
            LedgerError: it is damaged.
        """
        said = [str(row["integrity_check"]) for row in self.ask("PRAGMA integrity_check")]
        if said != ["ok"]:
            raise damaged(self.file, said[0])
        if lost := self.ask("PRAGMA foreign_key_check"):
            raise damaged(self.file, f"the table {lost[0]['table']} refers to what is not there")

    def _set_up(self, migrations: Sequence[Migration], patience: float) -> None:
        self._connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
        self._connection.execute("PRAGMA foreign_keys = ON")
        if self._version(migrations) < len(migrations):
            lock = self.file.with_name(f"{self.file.name}.lock")
            with exclusive(lock, lambda _: None):
                self._migrate(migrations)
        # The journal's mode is kept in the file, how it is synchronised is not.
        self._connection.execute("PRAGMA synchronous = FULL")

    def _version(self, migrations: Sequence[Migration]) -> int:
        with self.reading():
            version = self._pragma("user_version")
            mark = self._pragma("application_id")
            tables = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if mark != APPLICATION and (mark or version or tables):
            raise LedgerError(f"{self.file} is a database, but no ledger.", "Name another file, or move it away.")
        if version > len(migrations):
            raise LedgerError(
                f"The ledger {self.file} is of version {version}, and this builder knows {len(migrations)} at most.",
                "Use the builder that wrote it, or a newer one.",
            )
        return version

    def _migrate(self, migrations: Sequence[Migration]) -> None:
        mode = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise LedgerError(
                f"The disk of the ledger {self.file} cannot share memory between processes.",
                "Set BUILDER_STATE to a folder on a disk of this machine.",
            )
        self._connection.execute("PRAGMA synchronous = FULL")
        with self.writing():
            version = self._version(migrations)
            for migration in migrations[version:]:
                for statement in migration:
                    self._connection.execute(statement)
            if not version:
                self._connection.execute("INSERT INTO identity VALUES (1, ?)", (uuid4().hex,))
                self._connection.execute(f"PRAGMA application_id = {APPLICATION}")
            self._connection.execute(f"PRAGMA user_version = {len(migrations)}")

    def _pragma(self, name: str) -> int:
        value: int = self._connection.execute(f"PRAGMA {name}").fetchone()[0]
        return value


def _contradiction(file: Path, name: str, column: str, there: Value, value: Value) -> Contradiction:
    return Contradiction(
        f"{name}: the ledger {file} has {column} = {there!r}, and this entry says {value!r}.",
        "Find out which of both is right; the ledger was left as it is.",
    )
