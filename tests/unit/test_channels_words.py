"""Which image a word means, on every command line alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.channels.words import references_of
from builder.config import load
from builder.engine.client import Engine
from builder.process import Runner
from builder.settings import Settings
from tests.unit.ledger_entries import digest


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "builder.toml"
    file.write_text('[image]\nrepository = "llama"\n[channels]\ncandidate = "next"\n', encoding="utf-8")
    return load(file, environ={}).settings


@pytest.mark.parametrize(
    ("word", "references"),
    [
        ("candidate", ("llama:next",)),
        ("latest", ("llama:latest", "latest")),
        ("b10991-cpu-3b0016a650", ("llama:b10991-cpu-3b0016a650", "b10991-cpu-3b0016a650")),
        ("0123456789ab", ("llama:0123456789ab", "0123456789ab")),
        ("other:tag", ("other:tag",)),
        (digest("x"), (digest("x"),)),
        (f"r.lan/llama@{digest('x')}", (f"r.lan/llama@{digest('x')}",)),
        ("", ()),
        ("  ", ()),
    ],
)
def test_a_word_is_a_channel_a_tag_of_ours_or_a_name(
    settings: Settings, word: str, references: tuple[str, ...]
) -> None:
    assert references_of(Engine(Runner()), settings, word) == references
