"""What holds and where it came from."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.config import known_keys, load, value_of
from builder.errors import UsageError
from builder.section import parse_duration
from builder.settings import Settings, parse_architectures


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
        ("[upstream]\nchanel = 'nightly'\n", "upstream.chanel", "upstream.channel"),
        ("[upstream]\nhold = [{ ref = 'b9282', reson = 'slow' }]\n", "upstream.hold.reson", "mean `reason`"),
        (
            "[[upstream.hold]]\nref = 'b9282'\nreason = 'slow'\nuntil = 'b9290'\n",
            "upstream.hold.until",
            "Known: ref, reason",
        ),
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
        ("[upstream]\nchannel = 'weekly'\n", "upstream.channel"),
        ("[upstream]\ncooldown = '12'\n", "upstream.cooldown"),
        ("[upstream]\ncooldown = '-1h'\n", "upstream.cooldown"),
        ("[upstream]\ncooldown = '1h30m'\n", "upstream.cooldown"),
        ("[upstream]\ncooldown = 12\n", "upstream.cooldown"),
        ("[upstream]\ncooldown = true\n", "upstream.cooldown"),
        ("[upstream]\ncooldown = '99999w'\n", "upstream.cooldown"),
        ("[upstream]\nhold = 'b9282'\n", "upstream.hold"),
        ("[upstream]\nhold = ['b9282']\n", "upstream.hold"),
        ("[upstream]\nhold = [{ ref = 'b9282' }]\n", "upstream.hold"),
        ("[upstream]\nhold = [{ ref = 'b9282', reason = ' ' }]\n", "upstream.hold"),
        ("[upstream]\nhold = [{ ref = '9282', reason = 'x' }]\n", "upstream.hold"),
        ("[upstream]\nhold = [{ ref = 'b9310..b9300', reason = 'x' }]\n", "upstream.hold"),
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
        ("BUILDER_UPSTREAM_HOLD", "b9282", "REF=REASON"),
        ("BUILDER_UPSTREAM_HOLD", "b9282=", "reason"),
        ("BUILDER_UPSTREAM_HOLD", "slow=b9282", "a commit of at least 7 digits"),
        ("BUILDER_UPSTREAM_COOLDOWN", "soon", "12h"),
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
    profiles = {f"profiles.{name}": values for name, values in written.pop("profiles").items()}
    keys = [f"{section}.{key}" for section, values in {**written, **profiles}.items() for key in values]
    assert sorted(keys) == sorted(known_keys())
    assert load(file, environ={}).settings == Settings()


def test_every_key_has_a_value() -> None:
    assert all(value_of(Settings(), key) is not None for key in known_keys())


@given(st.lists(st.from_regex(r"\d{2,3}a?", fullmatch=True), min_size=1, max_size=6))
def test_architectures_split_at_commas(words: list[str]) -> None:
    assert parse_architectures(" , ".join(words)) == tuple(words)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("3d", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
        ("0", timedelta()),
        ("0h", timedelta()),
    ],
)
def test_a_cooldown_is_a_span_and_shown_as_it_was_written(text: str, span: timedelta) -> None:
    settings = load(None, {"upstream.cooldown": text}, {}).settings
    assert (parse_duration(text), settings.upstream.cooldown_time) == (span, span)
    assert value_of(settings, "upstream.cooldown") == text


def test_a_cooldown_of_zero_needs_no_quotes(tmp_path: Path) -> None:
    assert load(_file(tmp_path, "[upstream]\ncooldown = 0\n"), environ={}).settings.upstream.cooldown == "0"


def test_a_variable_takes_the_form_of_the_file_too() -> None:
    variable = '[{ ref = "b9282", reason = "a, b=c" }, { ref = "b9300..", reason = "slow" }]'
    held = load(None, {}, {"BUILDER_UPSTREAM_HOLD": variable}).settings.upstream.hold
    assert [(hold.ref, hold.reason) for hold in held] == [("b9282", "a, b=c"), ("b9300..", "slow")]


@pytest.mark.parametrize(
    "text", ["b300=", "b300= ", "b299=slow,b300=", "b300", '[{ ref = "b300" }]', "[{ ref = b300 }]"]
)
def test_a_hold_in_a_variable_without_a_reason_is_refused_with_both_forms(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(None, {}, {"BUILDER_UPSTREAM_HOLD": text})
    assert "BUILDER_UPSTREAM_HOLD" in caught.value.cause
    assert "reason" in caught.value.cause or "is not TOML" in caught.value.cause
    assert "REF=REASON,REF=REASON" in caught.value.remedy
    assert 'reason = "' in caught.value.remedy


@pytest.mark.parametrize("entry", ["{ ref = 'b9282' }", "{ ref = 'b9282', reason = ' ' }", "{ reason = 'x' }"])
def test_a_hold_that_lacks_something_is_told_what(tmp_path: Path, entry: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(_file(tmp_path, f"[upstream]\nhold = [{entry}]\n"), environ={})
    assert f"has an entry without `{'ref' if 'ref' not in entry else 'reason'}`" in caught.value.cause


def test_holds_from_a_file_and_from_a_variable_are_the_same(tmp_path: Path) -> None:
    text = """[upstream]
hold = [
  { ref = "b9282", reason = "crashes, badly" },
  { ref = "b9300..b9310", reason = "half  the speed" },
  { ref = "0c1e570", reason = "a=b" },
]
"""
    written = load(_file(tmp_path, text), environ={}).settings.upstream.hold
    variable = "b9282=crashes, badly, b9300..b9310= half the speed,0c1e570=a=b"
    assert load(None, {}, {"BUILDER_UPSTREAM_HOLD": variable}).settings.upstream.hold == written
    assert [(hold.ref, hold.reason) for hold in written] == [
        ("b9282", "crashes, badly"),
        ("b9300..b9310", "half the speed"),
        ("0c1e570", "a=b"),
    ]
    assert str(written[0]) == "b9282: crashes, badly"


def test_the_schema_describes_what_may_be_held() -> None:
    schema = Settings.model_json_schema(by_alias=True)
    held = schema["$defs"]["Held"]
    assert sorted(held["required"]) == ["reason", "ref"]
    assert held["additionalProperties"] is False
    assert schema["$defs"]["Upstream"]["properties"]["hold"]["items"] == {"$ref": "#/$defs/Held"}
