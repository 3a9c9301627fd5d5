"""Texts of a known number of tokens, all different from their first word on, so that no cache helps.

The words are those of the made models, where each is one token. How many tokens another model makes of them is asked
once, of its own server. The same words in the same order are sent to every subject.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from builder.server.models.vocabulary import SPACE, sentence_pieces

_SAMPLE = 400
_LEAST_LETTERS = 3
_VOCABULARY = 2048
Count = Callable[[str], int]
"""How many tokens a server makes of a text."""


def _words() -> tuple[str, ...]:
    tokens = (token.removeprefix(SPACE) for token in sentence_pieces(_VOCABULARY).tokens if token.startswith(SPACE))
    return tuple(word for word in tokens if len(word) >= _LEAST_LETTERS and word.isascii() and word.isalpha())


@dataclass(frozen=True)
class Prompts:
    """Makes texts.

    Attributes:
        seed: another one gives other texts; a round's number.
        tokens_per_word: of the server at hand.
    """

    words: tuple[str, ...]
    seed: str
    tokens_per_word: float

    @classmethod
    def for_server(cls, count: Count, seed: str) -> Prompts:
        """Texts for a server's own tokenizer."""
        words = _words()
        sample = Prompts(words, "sample", 1.0).text(_SAMPLE, "tokens")
        return cls(words, seed, max(0.2, (count(sample) - 1) / _SAMPLE))

    def text(self, tokens: int, which: str) -> str:
        """A text of about this many tokens.

        Args:
            which: another one gives another text.
        """
        # The choice of words protects nothing.
        chosen = random.Random(f"{self.seed}/{which}")  # noqa: S311
        return " ".join(chosen.choices(self.words, k=max(1, round(tokens / self.tokens_per_word))))
