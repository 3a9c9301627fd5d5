"""How long prompts are: short, about 2000 tokens, and near what a slot takes; the same for all that are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.profiles import Profile

SHORT, LONG, NEAR = "short", "2k", "near"
_SHORT, _LONG = 100, 1850
"""Tokens; the long one leaves room for its answer in a slot of 2048."""
_TEMPLATE = 80
"""Tokens that a chat template may put around a prompt."""
_FURTHER = 1.25
"""How much longer than the long one the longest has to be to tell more."""
_SAFE = 0.98
"""Words are not tokens in every model."""
_MARKS = 8
"""Tokens that a model of vectors puts around a text."""


@dataclass(frozen=True)
class Room:
    """What every subject of a comparison takes, so that all can be asked the same.

    Attributes:
        slot: tokens that a prompt and its answer may have together.
        ubatch: tokens of a micro-batch.
        embeddings: texts become vectors.
    """

    slot: int
    ubatch: int
    embeddings: bool = False

    @classmethod
    def of(cls, profiles: Iterable[Profile]) -> Room:
        """The smallest slot and the smallest micro-batch of all.

        Raises:
            ValueError: there is no profile.
        """
        known = tuple(profiles)
        return cls(
            slot=min(one.context // one.slots for one in known),
            ubatch=min(one.ubatch for one in known),
            embeddings=any(one.embeddings for one in known),
        )

    def within(self, slot: int) -> Room:
        """The same, where a server says that its slot takes less."""
        return replace(self, slot=min(self.slot, slot))

    def lengths(self, answer: int) -> Mapping[str, int]:
        """Tokens of prompts by name.

        Args:
            answer: tokens of an answer; texts that become vectors have none.
        """
        return text_lengths(self.slot, self.ubatch) if self.embeddings else chat_lengths(self.slot, answer)

    def needed(self, answer: int) -> int:
        """Tokens that a slot has to take for all that is asked."""
        longest = max(self.lengths(answer).values())
        return longest + (_MARKS if self.embeddings else answer + _TEMPLATE)


def chat_lengths(slot: int, answer: int) -> Mapping[str, int]:
    """Tokens of a chat's prompts by name; the longest is left out where it would tell what the long one tells.

    Args:
        slot: tokens that a prompt and its answer may have together.
        answer: tokens of an answer.
    """
    room = max(1, int((slot - answer - _TEMPLATE) * _SAFE))
    lengths = {SHORT: min(_SHORT, room)}
    if room >= _LONG:
        lengths[LONG] = _LONG
    if room >= _LONG * _FURTHER or _SHORT * _FURTHER <= room < _LONG:
        lengths[NEAR] = room
    return lengths


def text_lengths(slot: int, ubatch: int) -> Mapping[str, int]:
    """Tokens of texts that become vectors; a text has to fit in a micro-batch as a whole."""
    room = max(1, int((min(slot, ubatch) - _MARKS) * _SAFE))
    return {SHORT: min(_SHORT, room), **({NEAR: room} if room >= _SHORT * _FURTHER else {})}
