"""What load a soak is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from builder.performance.soak.arrivals import Spacing

_MINUTE = 60
_LOOKS = 900
_LEAST_PERIOD, _MOST_PERIOD = 1.0, 30.0


@dataclass(frozen=True)
class Load:
    """What is asked, how often and how long.

    Attributes:
        rate: requests a minute, on the average.
        minutes: in which they come; answers may come after.
        spacing: between them.
        seed: the same one gives the same requests at the same times.
        patience: seconds that users wait for a whole answer.
        answer: tokens of an answer.
        conversations: that go on at once.
    """

    rate: float
    minutes: float
    spacing: Spacing
    seed: int
    patience: float
    answer: int
    conversations: int

    @property
    def seconds(self) -> float:
        """In which requests come."""
        return self.minutes * _MINUTE

    @property
    def period(self) -> float:
        """Seconds between two looks: some hundred looks in all, and none further apart than half a minute."""
        return min(_MOST_PERIOD, max(_LEAST_PERIOD, self.seconds / _LOOKS))

    def words(self) -> Mapping[str, str]:
        """For the record."""
        return {
            "rate": f"{self.rate:g} a minute",
            "minutes": f"{self.minutes:g}",
            "spacing": self.spacing,
            "seed": str(self.seed),
            "patience": f"{self.patience:g} s",
            "answer": f"{self.answer} tokens",
            "conversations": str(self.conversations),
        }
