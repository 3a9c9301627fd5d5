"""What the ledger says of an image, and so what is still to be asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from builder.channels.ledger.evidence import VerdictEntry
from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.moves import HoldEntry
from builder.channels.requirements import Lack, lacks, last_words, verdicts_of
from builder.gates.catalogue import NAMES
from builder.gates.soak.gate import NAME as SOAK
from builder.settings import Settings


@dataclass(frozen=True)
class Known:
    """What the ledger says of an image.

    Attributes:
        said: the last word of each gate, for each profile and GPU.
        lacks: what promotion asks for that the image has not shown.
        holds: what keeps it from being promoted.
    """

    said: tuple[VerdictEntry, ...] = ()
    lacks: tuple[Lack, ...] = ()
    holds: tuple[HoldEntry, ...] = ()

    @property
    def failed(self) -> tuple[str, ...]:
        """Gates at which it has failed, cheap first: asking them again would tell nothing new."""
        failed = {verdict.gate for verdict in self.said if verdict.outcome == "fail"}
        return tuple(name for name in NAMES if name in failed)

    def to_ask(self, *, soak: bool) -> tuple[str, ...]:
        """Gates that are to be asked, cheap first; none where it has failed at one.

        Args:
            soak: whether the soak is wanted although promotion does not ask for it.
        """
        if self.failed:
            return ()
        passed = {verdict.gate for verdict in self.said if verdict.outcome == "pass"}
        wanted = {lack.requirement.gate for lack in self.lacks} | ({SOAK} - passed if soak else set())
        return tuple(name for name in NAMES if name in wanted)


def look_up(ledger: Ledger, digest: str, variant: str, settings: Settings, now: datetime) -> Known:
    """What the ledger says of an image.

    Args:
        digest: any under which it is known.
        variant: the image's own: `cuda` or `cpu`.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with ledger.at_once():
        digests = ledger.images.same(digest)
        return Known(
            last_words(verdicts_of(ledger, digests)),
            lacks(ledger, digests, variant, settings, now),
            ledger.holds.on(digest),
        )
