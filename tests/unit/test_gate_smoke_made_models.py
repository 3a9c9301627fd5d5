"""What the smoke gate expects of models that are made larger than the tiny one, and of those that rank."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.engine.images import Image
from builder.gates.serving.trial import Trial
from builder.gates.smoke.gate import ranks
from builder.gates.smoke.vectors import wrong_shape
from builder.profiles import profile
from builder.server.models.make import Model
from builder.server.models.shape import ModelKind, Shape
from builder.server.profile import ServedModel

WIDE = Shape(width=768, layers=12, heads=12, kv_heads=12, inner=3072, vocabulary=30000, context=2048)


def trial(made: Model | None = None, **values: object) -> Trial:
    image = Image("sha256:0", (), (), 0, {}, (), "", "amd64")
    return Trial(image, profile("embedding", **values), ServedModel(Path("model.gguf"), made), ())


@pytest.mark.parametrize(("width", "words"), [(768, ""), (256, "Vectors have 256 numbers, not 768.")])
def test_vectors_are_as_wide_as_the_model_that_was_made(width: int, words: str) -> None:
    made = Model(Path("model.gguf"), "sha256:0", ModelKind.BERT, WIDE)
    vector = (1.0, *(0.0 for _ in range(width - 1)))
    assert wrong_shape(made, [vector] * 5) == words


def test_a_profile_that_ranks_is_known_before_it_is_served() -> None:
    assert ranks(trial(pooling="rank"))
    assert ranks(trial(extra_arguments=("--reranking",)))
    assert not ranks(trial(pooling="mean"))
