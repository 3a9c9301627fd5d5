"""How fast a server answers, by its first answers, and how long the others may take by that.

A large model on two weak cores takes a minute for what a GPU does in a second, and the image is no worse for it. What
takes twenty times as long as the first answers foretell is not slow: it hangs.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from builder.gates.finding import Finding, bad, good, unknown
from builder.profiles import Profile
from builder.server.answers import TooLate
from builder.server.client import Client

NAME = "first-answer"
TEXT = "Once upon a time there was a server that would answer"
"""A prompt for every model: common words only."""
_FIRST = 600.0
"""Seconds for the first answer where the profile says nothing of it: a GPU's driver may have to compile."""
_TOKENS = 8
_SLACK = 20.0
_LEAST = 60.0
_TO_END = 6.0
"""Into how much of the time that all users' answers may take, what they left behind has to be done."""


@dataclass(frozen=True)
class Pace:
    """How fast a server answers one user.

    Attributes:
        unit: seconds for one token of an answer, its share of a short prompt included, or for one short text that
            becomes a vector.
        stated: seconds in which each answer must be there, as the profile says it; 0 where it does not.
    """

    unit: float
    stated: float = 0.0

    def patience(self, units: int) -> float:
        """Seconds that an answer may take.

        Args:
            units: tokens, or texts, that are computed until it is there, those of other users included.
        """
        return self.stated or max(_LEAST, _SLACK * self.expected(units))

    @property
    def why(self) -> str:
        """Why an answer that took longer than this patience is none, as a sentence."""
        if self.stated:
            return f"The profile's answer-limit is {self.stated:g} s."
        return f"By its first answers {1 / _SLACK:.0%} of that would do: it hangs."

    def expected(self, units: int) -> float:
        """Seconds that so many tokens or texts take if they are computed one after another."""
        return self.unit * units

    def until_idle(self, units: int) -> float:
        """Seconds until no slot is busy after users who asked for so much have left."""
        return max(_LEAST, _SLACK * self.expected(units)) / _TO_END


def first_patience(profile: Profile) -> float:
    """Seconds for the first answer."""
    return float(profile.answer_limit) or _FIRST


def measure_pace(client: Client, profile: Profile) -> tuple[Pace | None, Finding]:
    """Ask twice, and take the second answer's time: the first one may be late for what is done once.

    Returns:
        None for the pace where no answer came in time.

    Raises:
        Deviation: an answer is not what it should be.
    """
    try:
        first, second = _seconds(client, profile), _seconds(client, profile)
    except TooLate as late:
        return None, _late(late, profile)
    pace = Pace(second / (1 if profile.embeddings else _TOKENS), float(profile.answer_limit))
    figures = {"first_answer_seconds": round(first, 3), "next_answer_seconds": round(second, 3)}
    return pace, good(NAME, f"Its first answer came after {first:.2g} s, the next one after {second:.2g} s.", figures)


def _seconds(client: Client, profile: Profile) -> float:
    began = monotonic()
    if profile.embeddings:
        client.embed([TEXT])
    else:
        client.complete(TEXT, _TOKENS)
    return monotonic() - began


def _late(late: TooLate, profile: Profile) -> Finding:
    if profile.answer_limit:
        return bad(NAME, f"{late.sentence} The profile's answer-limit is {profile.answer_limit} s.")
    advice = "Whether it hangs or is slow cannot be told: judge it on a faster machine, or with a smaller model"
    return unknown(NAME, f"{late.sentence} {advice}.")
