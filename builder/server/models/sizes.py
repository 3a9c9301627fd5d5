"""Models to measure with, by name: as large as real ones, for speed does not depend on what the weights are."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from builder.errors import UsageError
from builder.server.models.shape import TINY, ModelKind, Shape

MADE = "made:"
"""What a profile's model begins with where it is to be made: `made:1b`."""
_LLAMA: Mapping[str, Shape] = {
    "tiny": TINY[ModelKind.LLAMA],
    "100m": Shape(width=768, layers=12, heads=12, kv_heads=4, inner=2048, vocabulary=32000),
    "1b": Shape(width=2048, layers=16, heads=32, kv_heads=8, inner=8192, vocabulary=32000, context=32768),
}
_BERT: Mapping[str, Shape] = {
    "tiny": TINY[ModelKind.BERT],
    "100m": Shape(width=768, layers=12, heads=12, kv_heads=12, inner=3072, vocabulary=30000, context=2048),
}
"""The larger ones are shaped like Llama 3.2 1B and BERT base; in half precision they take 2.2 GB and 0.2 GB."""


def shape_of(model: str, *, embeddings: bool) -> tuple[ModelKind, Shape]:
    """Architecture and sizes of a model that is to be made.

    Args:
        model: such as `made:1b`.
        embeddings: whether it is to give vectors.

    Raises:
        UsageError: there is none of that name.
    """
    name = model.removeprefix(MADE)
    kind, shapes = (ModelKind.BERT, _BERT) if embeddings else (ModelKind.LLAMA, _LLAMA)
    if name in shapes:
        return kind, shapes[name]
    known = [MADE + one for one in shapes]
    near = difflib.get_close_matches(model, known, n=1)
    hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(known)}."
    raise UsageError(f"There is no model {model!r} to be made.", hint)
