"""Two answers to one prompt, token by token: what another computation expects, and what a server said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, isfinite, log, sqrt

from builder.gates.correctness.tolerances import Tolerance
from builder.server.foresight import Step, Token

_EXCERPT = 6
"""Lines that show what differs."""


@dataclass(frozen=True)
class Difference:
    """How far the logarithm of one token's probability is from what it should be.

    Attributes:
        place: of the step, counted from 1.
        token: whose probability it is.
    """

    place: int
    token: Token
    expected: float
    said: float

    @property
    def size(self) -> float:
        """How far apart the two are."""
        return abs(self.said - self.expected)


@dataclass(frozen=True)
class Compared:
    """What came of a comparison.

    Attributes:
        differences: of each token that was named at each step.
        wrong: a sentence where the words are others, or are missing; empty where they are the same.
    """

    differences: tuple[Difference, ...]
    wrong: str = ""

    @property
    def steps(self) -> int:
        """How many tokens were compared: all up to the end, or up to the first that is another one."""
        return len({one.place for one in self.differences})

    @property
    def mean(self) -> float:
        """The root of the mean square of all differences."""
        return sqrt(fsum(one.size**2 for one in self.differences) / max(1, len(self.differences)))

    @property
    def most(self) -> float:
        """The largest of them."""
        return max((one.size for one in self.differences), default=0.0)

    def within(self, tolerance: Tolerance) -> bool:
        """Whether the words are the same, and as probable as they should be."""
        return not self.wrong and self.mean <= tolerance.mean and self.most <= tolerance.most


Spelling = Callable[[Token], str]


def compare(expected: Sequence[Step], said: Sequence[Step], tolerance: Tolerance, spell: Spelling = str) -> Compared:
    """Compare what a server said with what is expected.

    The first token that is another one ends it, for all after it stand in another context. It is wrong unless both are
    equally probable, within the tolerance; how many were compared is told besides.

    Args:
        spell: a token's text.
    """
    differences: list[Difference] = []
    for place, (right, made) in enumerate(zip(expected, said, strict=False), start=1):
        if not _numbers(right):
            return Compared(tuple(differences), f"what token {place} is compared with has no numbers as probabilities")
        if not _numbers(made):
            return Compared(tuple(differences), f"the probabilities of token {place} are no numbers")
        differences += _differences(place, right, made)
        if made.token != right.token:
            return Compared(tuple(differences), _other_word(place, right, made, tolerance, spell))
    if len(said) < len(expected):
        return Compared(tuple(differences), f"it made {len(said)} tokens with probabilities instead of {len(expected)}")
    return Compared(tuple(differences))


def described(compared: Compared, tolerance: Tolerance, spell: Spelling = str) -> str:
    """What is wrong with an answer, without a full stop."""
    if compared.wrong:
        return compared.wrong
    worst = max(compared.differences, key=lambda one: one.size)
    return (
        f"the words are right, but logarithms of probabilities are off by {compared.mean:.3f} in the mean and "
        f"{compared.most:.2f} at most (token {worst.place}, {spell(worst.token)!r}: {worst.said:.2f} instead of "
        f"{worst.expected:.2f}); {tolerance} may be"
    )


def excerpt(compared: Compared, spell: Spelling = str) -> tuple[str, ...]:
    """The largest differences, a line each."""
    worst = sorted(compared.differences, key=lambda one: one.size, reverse=True)[:_EXCERPT]
    return tuple(
        f"token {one.place}: {spell(one.token)!r} has {one.said:.3f}, expected {one.expected:.3f}" for one in worst
    )


def _numbers(step: Step) -> bool:
    return bool(step.likely) and all(map(isfinite, step.likely.values()))


def _differences(place: int, right: Step, made: Step) -> list[Difference]:
    expected, said = _on_one_scale(right, made)
    found = [Difference(place, token, expected[token], said[token]) for token in said if token in expected]
    return found + _overlooked(place, right, made)


def _overlooked(place: int, right: Step, made: Step) -> list[Difference]:
    """Tokens that should have been named, before some that were."""
    if not made.likely or not made.whole or not right.whole:
        return []
    least = min(made.likely.values())
    missing = {token: value for token, value in right.likely.items() if value > least and token not in made.likely}
    return [Difference(place, token, value, least) for token, value in missing.items()]


def _on_one_scale(right: Step, made: Step) -> tuple[Mapping[Token, float], Mapping[Token, float]]:
    """Logarithms of probabilities among all tokens, or among those that both name where one of them tells no others."""
    if right.whole and made.whole:
        return right.likely, made.likely
    common = [token for token in made.likely if token in right.likely]
    return _shares(right.likely, common), _shares(made.likely, common)


def _shares(likely: Mapping[Token, float], tokens: Sequence[Token]) -> Mapping[Token, float]:
    if not tokens:
        return {}
    total = log(fsum(exp(likely[token]) for token in tokens))
    return {token: likely[token] - total for token in tokens}


def _other_word(place: int, right: Step, made: Step, tolerance: Tolerance, spell: Spelling) -> str:
    wanted, instead = right.likely.get(right.token), right.likely.get(made.token)
    if wanted is not None and instead is not None and wanted - instead <= tolerance.most:
        return ""
    right_word, other_word = (
        f"{spell(token)!r} ({'not among the most probable' if likely is None else f'{likely:.2f}'})"
        for token, likely in ((right.token, wanted), (made.token, instead))
    )
    return f"token {place} is {other_word} where {right_word} is right, by the logarithms of their probabilities"
