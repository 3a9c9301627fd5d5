"""Profiles in the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.config import known_keys, load, value_of
from builder.errors import UsageError
from builder.profiles import choose, profile
from builder.server.models.shape import ModelKind
from builder.server.profile import model_of
from builder.settings import Settings


def _file(folder: Path, text: str) -> Path:
    file = folder / "builder.toml"
    file.write_text(text)
    return file


def test_two_profiles_are_there_without_being_written() -> None:
    profiles = load(None, {}, {}).settings.profiles
    assert list(profiles) == ["chat", "embedding"]
    chat, embedding = profiles.values()
    assert (chat.context, chat.batch, chat.ubatch, chat.cache_reuse) == (8192, 128, 128, 256)
    assert (chat.cache_type_k, chat.cache_type_v, chat.flash_attention) == ("q8_0", "q8_0", True)
    assert (chat.gpu_layers, chat.continuous_batching, chat.embeddings, chat.memory_limit) == (99, True, False, "")
    assert (embedding.context, embedding.batch, embedding.ubatch) == (2048, 512, 512)
    assert (embedding.embeddings, embedding.memory_limit, embedding.cache_type_v) == (True, "512m", "q8_0")


def test_what_is_written_changes_only_what_it_says(tmp_path: Path) -> None:
    file = _file(tmp_path, "[profiles.chat]\ncontext = 4096\n[profiles.embedding]\n")
    config = load(file, environ={})
    assert config.settings.profiles["chat"] == profile("chat", context=4096)
    assert config.settings.profiles["embedding"] == profile("embedding")
    assert config.sources["profiles.chat.context"] == str(file)
    assert config.sources["profiles.chat.batch"] == "default"


def test_new_profiles_take_the_defaults_of_their_kind(tmp_path: Path) -> None:
    text = """
[profiles.long-chat]
kind = "chat"
context = 32768
[profiles.rerank]
kind = "embedding"
pooling = "rank"
"""
    config = load(_file(tmp_path, text), environ={})
    assert list(config.settings.profiles) == ["chat", "embedding", "long-chat", "rerank"]
    assert config.settings.profiles["long-chat"] == profile("chat", context=32768)
    assert config.settings.profiles["rerank"] == profile("embedding", pooling="rank")
    assert value_of(config.settings, "profiles.rerank.memory-limit") == "512m"
    assert {key for key in config.sources if "rerank" in key} == {
        key.replace("chat", "rerank") for key in known_keys() if key.startswith("profiles.chat.")
    }


@pytest.mark.parametrize(
    ("text", "cause", "remedy"),
    [
        ("[profiles.chat]\ncontex = 1\n", "Unknown key `profiles.chat.contex`", "`profiles.chat.context`"),
        ("[profiles.big]\nkind = 'chat'\nslot = 2\n", "Unknown key `profiles.big.slot`", "profiles.big.slots"),
        ("[profiles.big]\nslots = 2\n", "The profile big does not say its kind", 'kind = "chat"'),
        ("[profiles.big]\n", "profiles.big.kind", "chat"),
        ("[profiles.big]\nkind = 'images'\n", "profiles.big.kind in", "chat"),
        ("[profiles.Big]\nkind = 'chat'\n", "'Big' cannot be the name of a profile", "lower-case"),
        ("[profiles.'a.b']\nkind = 'chat'\n", "'a.b' cannot be the name of a profile", "lower-case"),
        ("[profiles]\nchat = 3\n", "profiles.chat in", "[profiles.chat]"),
        ("[profiles.chat]\n'slots.x' = 3\n", "Unknown key `profiles.chat.slots.x`", "profiles.chat.slots"),
        ("profiles = 3\n", "Unknown key `profiles`", ""),
        ("[profiles.chat]\ncontext = 0\n", "profiles.chat.context in", "tokens"),
        ("[profiles.chat]\ncache-type-k = 'q9'\n", "profiles.chat.cache-type-k in", "q8_0"),
        ("[profiles.chat]\nubatch = 256\n", "ubatch 256 is more than batch 128", "Change one"),
        ("[profiles.chat]\nflash-attention = false\n", "cache-type-v q8_0 needs flash-attention", "Change one"),
        ("[profiles.chat]\nmemory-limit = '1 GB'\n", "profiles.chat.memory-limit in", "512m"),
        ("[profiles.chat]\nenvironment = { 'A B' = '1' }\n", "profiles.chat.environment in", "GGML_CUDA"),
        ("[profiles.chat]\nenvironment = { A = 1 }\n", "profiles.chat.environment in", "GGML_CUDA"),
        ("[profiles.chat]\nextra-arguments = '--x'\n", "profiles.chat.extra-arguments in", "further words"),
        ("[profiles.chat]\nhealth-limit = 0\n", "profiles.chat.health-limit in", "It takes 1 to 86400: seconds"),
        ("[profiles.chat]\nslots = 0\n", "profiles.chat.slots in", "It takes 1 to 1024: how many"),
        ("[profiles.chat]\nubatch = 0\n", "profiles.chat.ubatch in", "It takes 1 or more: the most"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path: Path, text: str, cause: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(_file(tmp_path, text), environ={})
    assert cause in caught.value.cause
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("text", ["extra-arguments = '--api-key hush'", "environment = { LLAMA_API_KEY = ['hush'] }"])
def test_what_may_be_secret_is_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(_file(tmp_path, f"[profiles.chat]\n{text}\n"), environ={})
    assert "hush" not in f"{caught.value.cause} {caught.value.remedy}"


def test_a_profile_is_shown_without_its_secrets(tmp_path: Path) -> None:
    words = ["--api-key", "hush", "--alias", "a", "--api-key=hush"]
    secret = profile("chat", environment={"LLAMA_API_KEY": "hush", "A": "1"}, extra_arguments=words)
    shown = secret.without_secrets()
    assert shown.environment == {"LLAMA_API_KEY": "***", "A": "1"}
    assert shown.extra_arguments == ("--api-key", "***", "--alias", "a", "--api-key=***")
    config = load(_file(tmp_path, "[profiles.chat]\nenvironment = { LLAMA_API_KEY = 'hush' }\n"), environ={})
    assert config.settings.profiles["chat"].environment == {"LLAMA_API_KEY": "hush"}
    assert value_of(config.settings, "profiles.chat.environment") == {"LLAMA_API_KEY": "***"}


def test_variables_change_profiles_that_are_there(tmp_path: Path) -> None:
    file = _file(tmp_path, "[profiles.big]\nkind = 'chat'\n")
    environ = {
        "BUILDER_PROFILES_CHAT_SLOTS": "8",
        "BUILDER_PROFILES_CHAT_FLASH_ATTENTION": "true",
        "BUILDER_PROFILES_BIG_EXTRA_ARGUMENTS": "--alias 'a model'",
        "BUILDER_PROFILES_BIG_ENVIRONMENT": "A=1, B=2",
    }
    config = load(file, environ=environ)
    assert config.settings.profiles["chat"] == profile("chat", slots=8)
    assert config.settings.profiles["big"].extra_arguments == ("--alias", "a model")
    assert config.settings.profiles["big"].environment == {"A": "1", "B": "2"}
    assert config.sources["profiles.chat.slots"] == "BUILDER_PROFILES_CHAT_SLOTS"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("BUILDER_PROFILES_CHAT_SLOT", "8", "BUILDER_PROFILES_CHAT_SLOTS"),
        ("BUILDER_PROFILES_OTHER_SLOTS", "8", "BUILDER_PROFILES_"),
        ("BUILDER_PROFILES_CHAT_EXTRA_ARGUMENTS", "'open", "quote"),
        ("BUILDER_PROFILES_CHAT_ENVIRONMENT", "A", "NAME=VALUE"),
    ],
)
def test_variables_that_do_not_fit_are_refused(name: str, value: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(None, {}, {name: value})
    assert name in caught.value.cause
    assert told in caught.value.remedy


def test_profiles_are_chosen_by_name() -> None:
    profiles = load(None, {}, {}).settings.profiles
    assert choose(profiles, ()) == profiles
    assert list(choose(profiles, ("embedding",))) == ["embedding"]
    with pytest.raises(UsageError, match="no profile 'chatt'") as caught:
        choose(profiles, ("chatt",))
    assert "`chat`" in caught.value.remedy


def test_the_schema_describes_profiles() -> None:
    schema = Settings.model_json_schema(by_alias=True)
    assert schema["properties"]["profiles"]["additionalProperties"] == {"$ref": "#/$defs/Profile"}
    described = schema["$defs"]["Profile"]
    assert described["additionalProperties"] is False
    assert all(field["description"] for field in described["properties"].values())


def test_a_profile_without_a_model_gets_a_tiny_one_of_its_kind(tmp_path: Path) -> None:
    config = load(None, {}, {})
    chat = model_of("chat", config, tmp_path, print)
    assert chat.made
    assert (chat.made.kind, chat.path) == (ModelKind.LLAMA, chat.made.path)
    embedding = model_of("embedding", config, tmp_path, print)
    assert embedding.made
    assert embedding.made.kind == ModelKind.BERT


def test_a_model_in_the_file_counts_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(b"GGUF and more")
    config = load(_file(tmp_path, "[profiles.chat]\nmodel = 'mine.gguf'\n"), environ={})
    served = model_of("chat", config, tmp_path, print)
    assert (served.path, served.made) == (tmp_path / "mine.gguf", None)


@pytest.mark.parametrize(
    ("content", "told"), [(None, "cannot be read"), (b"GG", "is no GGUF file"), (b"", "is no GGUF")]
)
def test_a_model_that_is_none_is_refused(tmp_path: Path, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / "mine.gguf").write_bytes(content)
    config = load(_file(tmp_path, "[profiles.chat]\nmodel = 'mine.gguf'\n"), environ={})
    with pytest.raises(UsageError, match=told) as caught:
        model_of("chat", config, tmp_path, print)
    assert "profiles.chat.model" in caught.value.cause


def test_a_profile_that_silences_the_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        load(_file(tmp_path, '[profiles.chat]\nextra-arguments = ["--log-disable"]\n'), environ={})
    assert "leave out --log-disable" in f"{refusal.value.cause} {refusal.value.remedy}"
