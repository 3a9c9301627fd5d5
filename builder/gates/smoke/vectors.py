"""Does a server for embeddings give vectors that mean something?"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, sqrt

from builder.gates.finding import Finding, bad, good
from builder.gates.smoke.live import Live
from builder.gates.smoke.pace import TEXT
from builder.server.answers import Deviation
from builder.server.models.make import Model

NAME = "embeddings"
_OTHERS = ("Revenue grew by 9 % in the third quarter.", "The cat sat on the mat.", "word " * 100)
_LENGTH_OFF = 1e-3
_SAME = 0.999
_OTHER = 0.9999
Vector = Sequence[float]


def embeddings(live: Live) -> Finding:
    """Are vectors finite, of one length, the same for the same text and others for others?"""
    first, *others = live.client.embed([TEXT, *_OTHERS])
    (again,) = live.client.embed([TEXT])
    vectors = (first, *others, again)
    if wrong := wrong_shape(live.trial.model.made, vectors):
        return bad(NAME, wrong)
    if off := next((length for length in map(_length, vectors) if abs(length - 1) > _LENGTH_OFF), None):
        return bad(NAME, f"A vector has the length {off:.4f}, where every one should have 1.")
    if (same := _product(first, again)) < _SAME:
        return bad(NAME, f"The same text gave two vectors, {same:.4f} alike.")
    if (most := max(_product(first, other) for other in others)) > _OTHER:
        return bad(NAME, f"Different texts gave the same vector, {most:.5f} alike.")
    detail = f"{len(first)} numbers for each text; the same text {same:.4f} alike, others {most:.2f} at most."
    return good(NAME, detail, {"dimension": len(first)})


def wrong_shape(made: Model | None, vectors: Sequence[Vector]) -> str:
    """What is wrong with the sizes of vectors; empty where nothing is.

    Args:
        made: the model that gave them, where it was made on the spot.

    Raises:
        Deviation: there is another number of them than was asked for.
    """
    if len(vectors) != len(_OTHERS) + 2:
        raise Deviation(f"/v1/embeddings gave {len(vectors) - 1} vectors for {len(_OTHERS) + 1} texts.")
    sizes = {len(vector) for vector in vectors}
    if len(sizes) != 1 or (made and sizes != {made.shape.width}):
        wanted = f"{made.shape.width}" if made else "one number"
        return f"Vectors have {', '.join(map(str, sorted(sizes)))} numbers, not {wanted}."
    if any(len(set(vector)) == 1 for vector in vectors):
        return "All numbers of a vector are equal."
    return ""


def _length(vector: Vector) -> float:
    return sqrt(_product(vector, vector))


def _product(left: Vector, right: Vector) -> float:
    return fsum(a * b for a, b in zip(left, right, strict=True))
