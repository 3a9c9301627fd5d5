"""How probable a llama-server holds the tokens that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, nan

from builder.server.answers import Answer

Token = int | str
"""A token by its number, or by its text where a server does not tell numbers."""


@dataclass(frozen=True)
class Step:
    """One token that was made, and how probable it and others were.

    Attributes:
        token: the one that was made.
        likely: logarithms of the probabilities of the most probable tokens; NaN where a server has no number.
        whole: whether these are probabilities among all tokens; servers of 2024 give them among those named.
    """

    token: Token
    likely: Mapping[Token, float]
    whole: bool = True


class _Likely(Answer):
    """What is no number is written as null."""

    id: int
    logprob: float | None


class _Made(Answer):
    id: int
    top_logprobs: tuple[_Likely, ...]

    @property
    def step(self) -> Step:
        return Step(self.id, {one.id: _number(one.logprob) for one in self.top_logprobs})


class _OldLikely(Answer):
    tok_str: str
    prob: float | None


class _OldMade(Answer):
    """Servers before December 2024 tell texts and probabilities instead of numbers and logarithms."""

    content: str
    probs: tuple[_OldLikely, ...]

    @property
    def step(self) -> Step:
        named: dict[Token, float] = {one.tok_str: _logarithm(one.prob) for one in self.probs if one.prob != 0}
        return Step(self.content, named, whole=False)


def _number(logarithm: float | None) -> float:
    return nan if logarithm is None else logarithm


def _logarithm(probability: float | None) -> float:
    return log(probability) if probability is not None and probability > 0 else nan


class Foreseen(Answer):
    """How a server went on with a prompt, and how probable each token was."""

    completion_probabilities: tuple[_Made | _OldMade, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """One for each token that was made."""
        return tuple(made.step for made in self.completion_probabilities)
