"""What a made model is asked: the same everywhere, of lengths that matter to a profile's contexts and batches."""

from __future__ import annotations

from dataclasses import dataclass

from builder.profiles import Profile
from builder.server.models.vocabulary import Vocabulary

TOKENS = 24
"""Tokens that are made of each prompt: more than the 16 after which CUDA graphs are in use."""
LONGEST = 8000
"""Tokens of the longest prompt; made models are for 8192. It takes numpy 6 s on two idle cores and
more than a minute on busy ones, once in a process: right answers are kept."""
_LENGTHS = (10, 300, LONGEST, 60)
"""A few tokens, several micro-batches of 128, as many as a slot has room for, and one in between."""
_FEWEST, _MOST = 4, 8
"""Questions: all slots of a profile are to be busy at once."""
_TEXT_LENGTHS = (5, 40, 200, LONGEST)
_ROOM = 4
"""Tokens of a slot that are left free."""
_SEED = 12


@dataclass(frozen=True)
class Question:
    """A prompt for a completion, or a text for a vector.

    Attributes:
        prompt: numbers of its tokens, or words.
        size: what a person knows it by, such as `300 tokens`.
    """

    prompt: tuple[int, ...] | str
    size: str


def prompts(profile: Profile, vocabulary: Vocabulary) -> tuple[Question, ...]:
    """Prompts of a made `llama` model: words at random, never the same beginning twice."""
    room = min(profile.context // profile.slots - TOKENS - _ROOM, LONGEST)
    count = min(max(profile.slots, _FEWEST), _MOST)
    lengths = [max(1, min(_LENGTHS[number % len(_LENGTHS)], room)) for number in range(count)]
    lengths[len(_LENGTHS) :] = [min(length, _LENGTHS[1]) for length in lengths[len(_LENGTHS) :]]
    return tuple(_question(_words(vocabulary, number, length)) for number, length in enumerate(lengths))


def texts(profile: Profile, vocabulary: Vocabulary, trained: int) -> tuple[Question, ...]:
    """Texts for a made `bert` model: words at random between the marks of its start and end.

    Args:
        trained: tokens that the model can take.
    """
    room = min(profile.context // profile.slots, profile.ubatch, trained) - _ROOM
    start, end = vocabulary["[CLS]"], vocabulary["[SEP]"]
    lengths = [max(3, min(length, room)) for length in _TEXT_LENGTHS]
    every = enumerate(lengths)
    return tuple(_question((start, *_words(vocabulary, number, length - 2), end)) for number, length in every)


def written() -> tuple[Question, ...]:
    """Prompts in words for a model of which nothing is known."""
    line = "The quick brown fox jumps over the lazy dog, and the river runs past the old mill. "
    return (_written("Once upon a time there was"), _written(line * 12 + "After that, the fox"))


def _question(prompt: tuple[int, ...]) -> Question:
    return Question(prompt, f"{len(prompt)} tokens")


def _written(prompt: str) -> Question:
    return Question(prompt, f"{len(prompt)} characters")


def _words(vocabulary: Vocabulary, number: int, length: int) -> tuple[int, ...]:
    from numpy.random import PCG64

    words = len(vocabulary.tokens) - vocabulary.first_word
    return tuple(vocabulary.first_word + int(raw) % words for raw in PCG64(_SEED + number).random_raw(length))
