"""What holds and where it came from."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.config import Settings, known_keys, load, parse_architectures, value_of
from builder.errors import UsageError


def _file(folder: Path, text: str) -> Path:
    file = folder / "builder.toml"
    file.write_text(text)
    return file


def test_flags_over_variables_over_file_over_defaults(tmp_path: Path) -> None:
    file = _file(tmp_path, '[build]\ncuda = "12.8"\njobs = 3\n[upstream]\nref = "b1"\n')
    environ = {"BUILDER_BUILD_JOBS": "5", "BUILDER_UPSTREAM_REF": "b2"}
    config = load(file, {"upstream.ref": "b3", "upstream.origin": None}, environ)
    assert (config.settings.build.cuda, config.sources["build.cuda"]) == ("12.8", str(file))
    assert (config.settings.build.jobs, config.sources["build.jobs"]) == (5, "BUILDER_BUILD_JOBS")
    assert (config.settings.upstream.ref, config.sources["upstream.ref"]) == ("b3", "command line")
    assert config.sources["upstream.origin"] == "default"


@pytest.mark.parametrize(
    ("text", "named", "near"),
    [
        ("[build]\narchitecture = ['86']\n", "build.architecture", "build.architectures"),
        ("[biuld]\ncuda = '13.0'\n", "biuld", "build"),
        ("cuda = '13.0'\n", "cuda", ""),
    ],
)
def test_unknown_keys_are_refused_by_name(tmp_path: Path, text: str, named: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(_file(tmp_path, text), environ={})
    assert f"`{named}`" in caught.value.cause
    assert near in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[build]\ncuda = '13'\n", "build.cuda"),
        ("[build]\nfeatures = ['warp-drive']\n", "build.features"),
        ("[bases]\nprovider = 'alpine'\n", "bases.provider"),
        ("[build]\njobs = -1\n", "build.jobs"),
        ("[image]\nrepository = 'Local AI'\n", "image.repository"),
        ("[image]\nrepository = 'a:b'\n", "image.repository"),
        ("[bases]\ndevel = '--help'\n", "bases.devel"),
        ("[bases]\nruntime = '-x'\n", "bases.runtime"),
        ("[bases]\nruntime = 'an image'\n", "bases.runtime"),
        ("[bases]\nruntime = 'name:'\n", "bases.runtime"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_key_and_file(tmp_path: Path, text: str, named: str) -> None:
    file = _file(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load(file, environ={})
    assert caught.value.cause.startswith(f"{named} in {file}")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("BUILDER_BUILD_JBOS", "1", "BUILDER_BUILD_JOBS"),
        ("BUILDER_BUILD_DEFINITIONS", "xx", "NAME=VALUE"),
        ("BUILDER_VERSION_MINIMUM", "junk", "v0.3.0"),
        ("BUILDER_BUILD_CUDA", "99.9", "13.0"),
    ],
)
def test_variables_that_do_not_fit_are_refused_with_what_would(name: str, value: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(None, {}, {name: value})
    assert name in caught.value.cause
    assert told in caught.value.remedy


def test_variables_of_others_are_left_alone() -> None:
    assert load(None, {}, {"BUILDER_FOO": "1", "BUILDER_CACHE": "/x"}).settings == load(None, {}, {}).settings


@pytest.mark.parametrize("name", ["local-ai-llama", "host:5000/a/b", "ghcr.io/owner/a_b.c"])
def test_names_of_images(name: str) -> None:
    assert load(None, {"image.repository": name}, {}).settings.image.repository == name


def test_text_that_is_not_toml(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not TOML"):
        load(_file(tmp_path, "[build\n"), environ={})


def test_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no configuration file"):
        load(tmp_path / "other.toml", environ={})


def test_every_key_can_be_set_by_a_variable() -> None:
    environ = {
        "BUILDER_BUILD_FEATURES": "cuda, f16",
        "BUILDER_BUILD_ARCHITECTURES": "86,89",
        "BUILDER_BUILD_DEFINITIONS": "A=1,B=2",
        "BUILDER_BASES_AS_OF": "2026-11",
        "BUILDER_VERSION_MINIMUM": "v0.3.0",
    }
    settings = load(None, {}, environ).settings
    assert settings.build.features == ("cuda", "f16")
    assert settings.build.architectures == ("86", "89")
    assert settings.build.definitions == {"A": "1", "B": "2"}
    assert (settings.bases.as_of, settings.version.minimum) == ("2026-11", "v0.3.0")


def test_the_file_of_the_project_holds_every_default() -> None:
    file = Path(__file__).parents[2] / "builder.toml"
    written = tomllib.loads(file.read_text())
    keys = [f"{section}.{key}" for section, values in written.items() for key in values]
    assert sorted(keys) == sorted(known_keys())
    assert load(file, environ={}).settings == Settings()


def test_every_key_has_a_value() -> None:
    assert all(value_of(Settings(), key) is not None for key in known_keys())


@given(st.lists(st.from_regex(r"\d{2,3}a?", fullmatch=True), min_size=1, max_size=6))
def test_architectures_split_at_commas(words: list[str]) -> None:
    assert parse_architectures(" , ".join(words)) == tuple(words)
