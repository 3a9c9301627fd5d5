"""Vocabularies that take any English text: every ASCII character, pairs of letters, and common words.

They are written here and belong to no other model. Text that they lack goes through single bytes (llama) or an
unknown token (bert).
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass

SPACE = "\u2581"
"""What stands for a space before a word, in both kinds."""
CHAT_START, CHAT_END = "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    f"{{{{'{CHAT_START}' + message['role'] + '\\n' + message['content'] + '{CHAT_END}' + '\\n'}}}}"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{{{{ '{CHAT_START}assistant\\n' }}}}{{% endif %}}"
)
"""ChatML, which servers of every age know by its first mark, with a template engine and without."""
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_CONSONANTS, _VOWELS = "bcdfghjklmnpqrstvwxz", "aeiou"
_SPREAD = 618_033
"""Has no divisor in common with a million, so that no word comes twice."""
_WORDS = (
    "the and you for are not with this that have from they will would there what about which when make like time "
    "just know take people into year your good some could them see other than then now look only come its over "
    "think also back after use two how our work first well way even new want because any these give day most us "
    "system user assistant model answer question image tool server token count test word line hello world yes no"
)


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in the order of their numbers.

    Attributes:
        tokens: as the file has them.
        scores: the higher, the sooner two pieces are joined to this one.
        types: llama.cpp's numbers of the kinds of tokens.
        first_word: number of the first token that is ordinary text; all after it are.
    """

    tokens: tuple[str, ...]
    scores: tuple[float, ...]
    types: tuple[int, ...]
    first_word: int

    def __getitem__(self, token: str) -> int:
        return self.tokens.index(token)

    def after(self, token: int) -> int:
        """The token that a made `llama` model holds to be the next one."""
        if token < self.first_word:
            return self.first_word + 1 + token
        return token + 1 if token + 1 < len(self.tokens) else self.first_word

    def foretell(self, token: int, count: int) -> tuple[int, ...]:
        """The tokens with which a made `llama` model goes on after this one, where the most probable is taken."""
        ahead: list[int] = []
        for _ in range(count):
            ahead.append(self.after(ahead[-1] if ahead else token))
        return tuple(ahead)

    def spell(self, tokens: Iterable[int]) -> str:
        """The text of tokens that are ordinary text."""
        return "".join(self.tokens[token] for token in tokens).replace(SPACE, " ")


def sentence_pieces(size: int) -> Vocabulary:
    """For `llama`: control tokens, the 256 bytes, then text."""
    control = ("<unk>", "<s>", "</s>", CHAT_START, CHAT_END)
    special = (*control, *(f"<0x{byte:02X}>" for byte in range(256)))
    types = (_UNKNOWN, *[_CONTROL] * 4, *[_BYTE] * 256)
    return _with_text(special, types, size, _text())


def word_pieces(size: int) -> Vocabulary:
    """For `bert`, whose text is lower case: control tokens, then text."""
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    types = (_CONTROL, _UNKNOWN, _CONTROL, _CONTROL, _CONTROL)
    text = tuple(dict.fromkeys(piece.lower() for piece in _text()))
    return _with_text(special, types, size, (*text, *(SPACE + mark for mark in string.punctuation)))


def _with_text(special: tuple[str, ...], types: tuple[int, ...], size: int, text: tuple[str, ...]) -> Vocabulary:
    pieces = tuple(dict.fromkeys(text))
    room = size - len(special)
    filling = tuple(f"{SPACE}{_spelled(number)}" for number in range(max(0, room - len(pieces))))
    tokens = (*special, *_shuffled((*pieces, *filling)[:room]))
    scores = tuple(0.0 if number < len(special) else -1.0 / len(tokens[number]) for number in range(size))
    return Vocabulary(tokens, scores, (*types, *[_NORMAL] * room), len(special))


def _text() -> tuple[str, ...]:
    """Single characters first: what has to be left out for want of room is at the end."""
    letters = string.ascii_lowercase
    characters = [chr(code) for code in range(33, 127)]
    pairs = [first + second for first in letters for second in letters]
    return (
        *characters,
        SPACE,
        *(SPACE + letter for letter in string.ascii_letters + string.digits),
        *(SPACE + word for word in _WORDS.split()),
        *(SPACE + pair for pair in pairs),
        *pairs,
    )


def _spelled(number: int) -> str:
    """A made-up word of three syllables, another one for each number below a million."""
    number = number * _SPREAD % 10**6
    places = (number // 10000, number // 100 % 100, number % 100)
    return "".join(_CONSONANTS[place // 5] + _VOWELS[place % 5] for place in places)


def _shuffled(pieces: tuple[str, ...]) -> tuple[str, ...]:
    """The pieces in an order that has nothing to do with the alphabet, the same everywhere."""
    from hashlib import sha256

    return tuple(sorted(pieces, key=lambda piece: sha256(piece.encode()).digest()))
