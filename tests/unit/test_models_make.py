"""Models that are made on the spot."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from gguf import GGUFReader
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import MachineError, UsageError
from builder.server.models.make import Model, make_model
from builder.server.models.shape import TINY, ModelKind, Shape
from builder.server.models.vocabulary import SPACE, sentence_pieces, word_pieces

DIGESTS = {
    ModelKind.LLAMA: "sha256:e65edb9a5b9119eaffc19825bbc79e48c1527ee8605b2e598176c7f830bcc1b3",
    ModelKind.BERT: "sha256:fb45e1a898fd45485180a54324b6b5f952f6274c869cb8c8458e4c51f4be3eba",
    ModelKind.NOMIC_BERT: "sha256:d0bbe5c26aae0687deb2052c6ab297ad1019033118461abc6fb91a0dc77ee6fc",
}
"""Another digest means other weights: raise the recipe's number with them."""


@pytest.mark.parametrize("kind", ModelKind)
def test_the_same_bytes_come_out_everywhere(tmp_path: Path, kind: ModelKind) -> None:
    model = make_model(kind, tmp_path)
    assert model.digest == DIGESTS[kind]
    assert model.path.stat().st_size < 20_000_000
    assert (model.layers, model.context, model.kind) == (TINY[kind].layers, TINY[kind].context, kind)
    assert model.shape == TINY[kind]


@pytest.mark.parametrize("kind", ModelKind)
def test_a_model_is_what_its_shape_says(tmp_path: Path, kind: ModelKind) -> None:
    shape = Shape(width=512, layers=3, heads=4, kv_heads=4, inner=512, vocabulary=2304, context=1024)
    reader = GGUFReader(make_model(kind, tmp_path, shape).path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.architecture"] == kind
    assert fields[f"{kind}.embedding_length"] == 512
    assert fields[f"{kind}.block_count"] == 3
    assert fields[f"{kind}.context_length"] == 1024
    assert len(fields["tokenizer.ggml.tokens"]) == 2304
    tensors = {tensor.name: tuple(map(int, tensor.shape)) for tensor in reader.tensors}
    assert tensors["token_embd.weight"] == (512, 2304)
    assert sum(name.endswith("ffn_down.weight") for name in tensors) == 3


def test_a_kept_model_is_used_as_it_is(tmp_path: Path) -> None:
    first = make_model(ModelKind.LLAMA, tmp_path)
    before = first.path.stat()
    assert make_model(ModelKind.LLAMA, tmp_path) == first
    assert first.path.stat().st_mtime_ns == before.st_mtime_ns


def _cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def _alter(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.seek(1_000_000)
        stream.write(b"x")


def _lose_note(file: Path) -> None:
    file.with_suffix(".json").unlink()


def _spoil_note(file: Path) -> None:
    file.with_suffix(".json").write_text("[]")


def _lose(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("damage", [_cut, _alter, _lose_note, _spoil_note, _lose])
def test_a_model_that_is_not_as_it_was_is_made_anew(tmp_path: Path, damage: object) -> None:
    first = make_model(ModelKind.BERT, tmp_path)
    content = first.path.read_bytes()
    assert callable(damage)
    damage(first.path)
    said: list[str] = []
    assert make_model(ModelKind.BERT, tmp_path, say=said.append) == first
    assert first.path.read_bytes() == content
    assert said == ([] if damage is _lose else [f"{first.path} was changed; making it anew."])


def test_other_sizes_are_other_files(tmp_path: Path) -> None:
    small = Shape(layers=1, inner=256)
    assert make_model(ModelKind.LLAMA, tmp_path, small).path != make_model(ModelKind.LLAMA, tmp_path).path
    assert len(list(tmp_path.glob("*.gguf"))) == 2


def test_many_at_once_make_one(tmp_path: Path) -> None:
    made: list[Model] = []
    threads = [threading.Thread(target=lambda: made.append(make_model(ModelKind.LLAMA, tmp_path))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert len(set(made)) == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix) == sorted(
        [made[0].path.name, made[0].path.with_suffix(".json").name]
    )


def test_anybody_may_read_it(tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        model = make_model(ModelKind.NOMIC_BERT, tmp_path)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(model.path.stat().st_mode) == 0o644


MAKE = """
import resource, sys
from pathlib import Path
from builder.errors import MachineError
from builder.server.models.make import make_model
from builder.server.models.shape import ModelKind
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, resource.RLIM_INFINITY))
try:
    make_model(ModelKind.LLAMA, Path(sys.argv[1]))
except MachineError as error:
    print(error.cause)
"""


def test_a_disk_without_room_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MAKE, str(tmp_path)], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout == f"The disk that holds {tmp_path} is full.\n"
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"width": 300}, "no multiple of 256"),
        ({"inner": 700}, "no multiple of 256"),
        ({"heads": 8}, "heads of width 32"),
        ({"heads": 3}, "do not divide"),
        ({"kv_heads": 3}, "do not divide"),
        ({"vocabulary": 100}, "less than 2048"),
        ({"layers": 0}, "at least 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes: dict[str, int], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Shape(**sizes)


@pytest.mark.parametrize("size", [2048, 5000, 32000])
def test_vocabularies_have_the_size_asked_for_and_no_token_twice(size: int) -> None:
    for vocabulary in (sentence_pieces(size), word_pieces(size)):
        assert len(vocabulary.tokens) == len(set(vocabulary.tokens)) == size
        assert len(vocabulary.scores) == len(vocabulary.types) == size


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40))
def test_every_ascii_character_is_a_token(word: str) -> None:
    sentences, words = set(_TOKENS), set(_WORDS)
    assert set(word) <= sentences
    assert all(letter in words or SPACE + letter in words for letter in word.lower())


_TOKENS = sentence_pieces(2048).tokens
_WORDS = word_pieces(2048).tokens
_VOCABULARY = sentence_pieces(2048)


@given(st.integers(0, 2047))
def test_what_is_foretold_is_text_and_goes_through_all_of_it(token: int) -> None:
    ahead = _VOCABULARY.foretell(token, 2048 - _VOCABULARY.first_word)
    assert min(ahead) == _VOCABULARY.first_word
    assert len(set(ahead)) == len(ahead)
    assert SPACE not in _VOCABULARY.spell(ahead[:20])


def test_an_unwritable_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(MachineError):
        make_model(ModelKind.LLAMA, tmp_path / "absent")
