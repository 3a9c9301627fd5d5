"""Choosing among tags."""

from __future__ import annotations

import pytest

from builder.upstream.git import nearest, newest_release, newest_tag, settings_as_environment


@pytest.mark.parametrize(
    ("tags", "newest"),
    [
        (["b9999", "b10991", "b998", "v0.9.0"], "b10991"),
        (["v0.9.0", "v0.10.0", "v0.10.0-rc1"], "v0.10.0"),
        (["b0", "b1", "v0.1.0"], "v0.1.0"),
        (["master-1234", "b20261001120000"], None),
        ([], None),
    ],
)
def test_newest_tag(tags: list[str], newest: str | None) -> None:
    assert newest_tag(tags) == newest


def test_releases_are_compared_as_versions() -> None:
    assert newest_release(["v0.9.0", "v0.10.0", "b5", "vision"]) == "0.10.0"


def test_nearest_build_tags_are_near_in_number() -> None:
    assert nearest("b5000", ["b4999", "b50", "b5003", "b9000", "master"], 2) == ["b4999", "b5003"]


def test_nearest_names_are_near_in_spelling() -> None:
    assert nearest("mastr", ["master", "b1", "gg/branch"]) == ["master"]


def test_settings_follow_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    assert settings_as_environment({"a.b": "c"}) == {
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_2": "a.b",
        "GIT_CONFIG_VALUE_2": "c",
    }
