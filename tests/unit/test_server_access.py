"""The key that a profile gives its server."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import UsageError
from builder.profiles import Profile, profile
from builder.server.access import Access, access_of
from builder.server.help import parse_help

OLD = parse_help("--api-key KEY   API key to use for authentication (default: none)\n")
NEW = parse_help(
    "--api-key KEY   API key to use, multiple keys can be provided as a comma-separated list (default: none)\n"
)


def chat(*words: str, **variables: str) -> Profile:
    return profile("chat", extra_arguments=words, environment=variables)


@pytest.mark.parametrize(
    ("served", "key"),
    [
        (chat(), ""),
        (chat("--threads", "2"), ""),
        (chat("--api-key", "a"), "a"),
        (chat(LLAMA_API_KEY="b"), "b"),
        (chat("--api-key", "a", LLAMA_API_KEY="b"), "a"),
        (chat("--api-key"), ""),
        (chat(HF_TOKEN="c"), ""),
    ],
)
def test_a_key_is_a_words_or_a_variables(served: Profile, key: str) -> None:
    assert access_of(served, OLD) == Access(key)


@pytest.mark.parametrize(("known", "key"), [(OLD, "a, b"), (NEW, "a")])
def test_several_keys_in_one_word_are_told_by_the_help(known: object, key: str) -> None:
    assert access_of(chat(LLAMA_API_KEY="a, b"), known).key == key  # type: ignore[arg-type]


def test_a_file_of_keys_is_read_and_shown_to_the_server(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("\nfirst\nsecond\n", encoding="utf-8")
    found = access_of(chat("--api-key-file", str(file)), OLD)
    assert found == Access("first", (file,))
    assert "first" not in repr(found)


@pytest.mark.parametrize(
    ("content", "cause"), [(None, "cannot be read"), (b"\xff\xfe", "it is no text"), (b"\n\n", "holds no key")]
)
def test_a_file_without_keys_is_refused(tmp_path: Path, content: bytes | None, cause: str) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=cause):
        access_of(chat("--api-key-file", str(file)), OLD)


def test_a_file_without_a_folder_is_refused() -> None:
    with pytest.raises(UsageError, match="says no folder"):
        access_of(chat("--api-key-file", "keys"), OLD)


@pytest.mark.parametrize("key", ["schlüssel", "a\nb"])
def test_a_key_that_no_request_can_carry_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(UsageError, match="cannot be sent") as caught:
        access_of(chat(LLAMA_API_KEY=key), OLD)
    assert key not in caught.value.cause
