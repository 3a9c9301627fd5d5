"""What became of promotions that were left in the middle, as people and scripts are told."""

from __future__ import annotations

from dataclasses import dataclass

from builder.channels.ledger.moves import PromotionEntry, Result, Step

_ID = 9
"""Characters of a promotion's name that are shown."""


@dataclass(frozen=True)
class Settled:
    """How a promotion that was left in the middle ended.

    Attributes:
        why: clause, why it was not finished; empty where nothing was against it.
        owed: moves that were put off, because their place is out of reach.
        made_up: moves that had been put off before, and were made now.
    """

    entry: PromotionEntry
    result: Result
    why: str = ""
    owed: tuple[Step, ...] = ()
    made_up: tuple[Step, ...] = ()

    def spelt(self) -> str:
        """One or two sentences for a person."""
        if self.made_up:
            return f"{named(self.entry)} had put off {_listed(self.made_up)}: that is made up for."
        late = f" {_listed(self.owed)} is put off until the registry answers." if self.owed else ""
        if self.result == "done":
            return f"{named(self.entry)} was left in the middle and is finished now.{late}"
        because = f": {self.why}" if self.why else ""
        return f"{named(self.entry)} was left in the middle and is undone now{because}.{late}"

    def plain(self) -> dict[str, object]:
        """JSON-ready data."""
        return {
            "promotion": self.entry.id,
            "action": self.entry.action,
            "result": self.result,
            "why": self.why or None,
            "owed": [step.subject for step in self.owed],
            "made_up": [step.subject for step in self.made_up],
        }


def named(entry: PromotionEntry) -> str:
    """A promotion as a person is told of it."""
    return f"The {entry.action} {entry.id[:_ID]} by {entry.who}"


def _listed(steps: tuple[Step, ...]) -> str:
    return " and ".join(f"{step.subject} of the {step.place}" for step in steps)
