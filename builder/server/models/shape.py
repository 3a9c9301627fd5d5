"""What a made model looks like."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from builder.errors import UsageError

WIDTH_STEP = 256
"""K-quants work on rows of 256 weights."""
_LEAST_HEAD = 64
"""Widths of attention heads below this have no flash-attention kernel on a GPU."""
_HEADS = (64, 80, 96, 112, 128, 256)
_LEAST_VOCABULARY = 2048


class ModelKind(StrEnum):
    """Architectures that can be made, in llama.cpp's words."""

    LLAMA = "llama"
    BERT = "bert"
    NOMIC_BERT = "nomic-bert"


@dataclass(frozen=True)
class Shape:
    """The sizes of a model.

    Attributes:
        width: numbers per token between layers, a multiple of 256.
        layers: blocks of attention and feed-forward network.
        heads: attention heads; width / heads is 64 or more.
        kv_heads: heads that share one key and value each; a divisor of `heads`.
        inner: width inside the feed-forward network, a multiple of 256.
        vocabulary: number of tokens, at least 2048.
        context: tokens that the model says it was trained on.

    Raises:
        UsageError: the sizes do not fit together.
    """

    width: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    inner: int = 768
    vocabulary: int = _LEAST_VOCABULARY
    context: int = 8192

    def __post_init__(self) -> None:
        if wrong := next((words for fits, words in self._rules() if not fits), None):
            raise UsageError(f"No model has these sizes: {wrong}.", "Give sizes that fit together.")

    @property
    def head_width(self) -> int:
        """Numbers per attention head."""
        return self.width // self.heads

    @property
    def kv_width(self) -> int:
        """Numbers per token in the cache of keys, and as many in that of values."""
        return self.head_width * self.kv_heads

    def _rules(self) -> tuple[tuple[bool, str], ...]:
        numbers = (self.width, self.layers, self.heads, self.kv_heads, self.inner, self.vocabulary, self.context)
        if any(number < 1 for number in numbers):
            return ((False, "each must be at least 1"),)
        return (
            (self.width % WIDTH_STEP == 0, f"the width {self.width} is no multiple of {WIDTH_STEP}"),
            (self.inner % WIDTH_STEP == 0, f"the inner width {self.inner} is no multiple of {WIDTH_STEP}"),
            (self.width % self.heads == 0, f"{self.heads} heads do not divide a width of {self.width}"),
            (self.heads % self.kv_heads == 0, f"{self.kv_heads} key heads do not divide {self.heads} heads"),
            (
                self.width // self.heads in _HEADS,
                f"heads of width {self.width // self.heads}, which is none of {', '.join(map(str, _HEADS))}",
            ),
            (
                self.vocabulary >= _LEAST_VOCABULARY,
                f"a vocabulary of {self.vocabulary}, which is less than {_LEAST_VOCABULARY}",
            ),
        )


TINY = {
    ModelKind.LLAMA: Shape(),
    ModelKind.BERT: Shape(kv_heads=4, inner=1024, context=2048),
    ModelKind.NOMIC_BERT: Shape(kv_heads=4, context=2048),
}
"""What is made where nothing else is asked for; each file is below 10 MB."""
