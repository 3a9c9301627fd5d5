"""The ledger's page on images that are held back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from builder.channels.ledger.database import Database
from builder.channels.ledger.faults import LedgerError
from builder.channels.ledger.images import Images
from builder.channels.ledger.moves import HoldEntry
from builder.channels.ledger.values import moment_of, spell


class Holds:
    """Images that are not to be promoted, and those that were held once."""

    def __init__(self, database: Database, images: Images) -> None:
        self._database = database
        self._images = images

    def record(self, entry: HoldEntry) -> None:
        """Keep a hold.

        Raises:
            Contradiction: the ledger knows it otherwise.
            LedgerError: the ledger cannot be written to.
        """
        facts = {"digest": entry.digest, "reason": entry.reason, "who": entry.who, "at": spell(entry.at)}
        later = {"lifted": spell(entry.lifted) if entry.lifted else None, "lifted_by": entry.lifted_by}
        with self._database.writing():
            self._images.mention(entry.digest)
            name = f"The hold {entry.id[:9]}"
            self._database.put("holds", {"id": entry.id}, {**facts, **later}, name=name, fill=tuple(later))

    def lift(self, hold: str, who: str, at: datetime) -> None:
        """End a hold.

        Raises:
            LedgerError: there is none that holds, or the ledger cannot be written to.
        """
        changed = self._database.run(
            "UPDATE holds SET lifted = ?, lifted_by = ? WHERE id = ? AND lifted IS NULL", spell(at), who, hold
        )
        if not changed:
            raise LedgerError(f"There is no hold {hold[:9]}, or it was lifted before.", "List the holds there are.")

    def on(self, digest: str) -> tuple[HoldEntry, ...]:
        """What holds an image back now, by whichever of its digests it is held, newest first."""
        with self._database.reading():
            digests = self._images.same(digest)
            marks = ", ".join("?" * len(digests))
            where = f"WHERE lifted IS NULL AND digest IN ({marks})"
            return self._select(where, *digests)

    def all(self) -> tuple[HoldEntry, ...]:
        """Every hold, newest first, the lifted ones among them."""
        return self._select("")

    def _select(self, where: str, *values: str) -> tuple[HoldEntry, ...]:
        rows = self._database.ask(f"SELECT * FROM holds {where} ORDER BY at DESC, id", *values)
        return tuple(_hold(row) for row in rows)


def _hold(row: dict[str, Any]) -> HoldEntry:
    lifted = moment_of(row["lifted"]) if row["lifted"] else None
    return HoldEntry(
        row["id"], row["digest"], row["reason"], row["who"], moment_of(row["at"]), lifted, row["lifted_by"]
    )
