"""The ledger: one file, and its pages.

with open_ledger(paths.ledger) as ledger:
    ledger.images.record(image)
    ledger.verdicts.record(verdict)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.channels.ledger.database import Database
from builder.channels.ledger.holds import Holds
from builder.channels.ledger.images import Images
from builder.channels.ledger.promotions import Promotions
from builder.channels.ledger.verdicts import Verdicts
from builder.staging import exclusive

_PATIENCE = 60.0


@dataclass(frozen=True)
class Ledger:
    """An open ledger.

    Attributes:
        id: 32 hexadecimal digits; made with the file.
    """

    id: str
    file: Path
    images: Images
    verdicts: Verdicts
    promotions: Promotions
    holds: Holds
    database: Database

    def together(self) -> AbstractContextManager[None]:
        """One transaction: all that is recorded in it is kept, or nothing.

        Raises:
            LedgerError: another process writes for too long, or the disk does not take it.
        """
        return self.database.writing()

    def at_once(self) -> AbstractContextManager[None]:
        """Several questions to one state of the ledger."""
        return self.database.reading()

    def alone(self, say: Callable[[str], None]) -> AbstractContextManager[int]:
        """Be the only process that moves what the ledger records, which takes longer than a transaction may.

        Args:
            say: told when another process has to be waited for.
        """
        return exclusive(self.file.with_name(f"{self.file.name}.moving"), say)

    def take_over(self, identity: str) -> None:
        """Be another ledger from the next time that the file is opened.

        Args:
            identity: 32 hexadecimal digits.

        Raises:
            LedgerError: the ledger cannot be written to.
        """
        self.database.run("UPDATE identity SET ledger = ?", identity)

    def verify(self) -> None:
        """Read all of the file.

        Raises:
            LedgerError: it is damaged.
        """
        self.database.verify()


@contextmanager
def open_ledger(file: Path, *, patience: float = _PATIENCE) -> Iterator[Ledger]:
    """Open the ledger, which is made where there is none.

    Args:
        patience: seconds to wait for another writer.

    Raises:
        LedgerError: it is a newer version's, no ledger, damaged, locked for too long, or cannot be written to.
    """
    database = Database(file, patience=patience)
    try:
        identity = str(database.ask("SELECT ledger FROM identity")[0]["ledger"])
        images = Images(database)
        yield Ledger(
            identity,
            file,
            images,
            Verdicts(database, images),
            Promotions(database, images, identity),
            Holds(database, images),
            database,
        )
    finally:
        database.close()
