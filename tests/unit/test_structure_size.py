"""Limits of an image's size in the configuration's words."""

from __future__ import annotations

import pytest

from builder.config import load
from builder.errors import UsageError
from builder.gates.structure.size import SizeLimit


@pytest.mark.parametrize(
    ("most", "growth", "limit"),
    [
        ("", "", SizeLimit()),
        ("900MB", "", SizeLimit(900_000_000)),
        ("1.5GB", "20%", SizeLimit(1_500_000_000, 20)),
        ("", "0%", SizeLimit(None, 0)),
    ],
)
def test_limits_are_read(most: str, growth: str, limit: SizeLimit) -> None:
    gates = load(environ={"BUILDER_GATES_SIZE_LIMIT": most, "BUILDER_GATES_GROWTH_LIMIT": growth}).settings.gates
    assert SizeLimit.parse(gates.size_limit, gates.growth_limit, None) == limit


@pytest.mark.parametrize(
    ("key", "value"), [("SIZE_LIMIT", "900"), ("SIZE_LIMIT", "1.GB"), ("SIZE_LIMIT", "2g"), ("GROWTH_LIMIT", "20")]
)
def test_other_words_are_refused_with_an_example(key: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"cannot be '{value}'") as refusal:
        load(environ={f"BUILDER_GATES_{key}": value})
    assert "such as" in refusal.value.remedy
