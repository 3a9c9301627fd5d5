"""Models that are made as large as real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.config import load
from builder.errors import UsageError
from builder.server.models.make import make_model
from builder.server.models.shape import ModelKind, Shape
from builder.server.models.sizes import shape_of
from builder.server.profile import model_of


def parameters(shape: Shape) -> int:
    layer = 2 * shape.width**2 + 2 * shape.kv_width * shape.width + 3 * shape.inner * shape.width
    return shape.layers * layer + 2 * shape.vocabulary * shape.width


def test_the_names_say_how_large_they_are() -> None:
    kind, large = shape_of("made:1b", embeddings=False)
    assert kind is ModelKind.LLAMA
    assert 1.0e9 < parameters(large) < 1.2e9
    _, small = shape_of("made:100m", embeddings=False)
    assert 0.8e8 < parameters(small) < 1.5e8
    assert shape_of("made:100m", embeddings=True)[0] is ModelKind.BERT


@pytest.mark.parametrize(
    ("name", "embeddings", "help_text"),
    [("made:1B", False, "`made:1b`"), ("made:", False, "made:"), ("made:70b", True, "made:100m")],
)
def test_a_name_that_there_is_not_is_refused_with_those_there_are(name: str, embeddings: bool, help_text: str) -> None:
    with pytest.raises(UsageError) as refused:
        shape_of(name, embeddings=embeddings)
    assert repr(name) in refused.value.cause
    assert help_text in refused.value.remedy


def test_a_profile_may_name_one(tmp_path: Path) -> None:
    config = load(None, {}, {"BUILDER_PROFILES_CHAT_MODEL": "made:tiny"})
    made = model_of("chat", config, tmp_path, lambda _: None).made
    assert made
    assert made.path == make_model(ModelKind.LLAMA, tmp_path).path
