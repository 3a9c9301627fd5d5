"""Choosing among tags."""

from __future__ import annotations

import pytest

from builder.upstream.git import nearest, newest_release, newest_tag, settings_as_environment
from builder.upstream.revision import Revision


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


def test_a_number_that_is_cut_short_names_what_begins_so() -> None:
    assert nearest("b11", ["b100", "b101", "b102", "b1099", "b1100", "b1101"]) == ["b1100", "b1101", "b100"]


@pytest.mark.parametrize(
    ("revision", "name", "commit"),
    [
        (Revision("0c1e57098ab", 10991, None, None, "", "", dirty=True), "b10991-dirty", "0c1e57098-dirty"),
        (Revision("0c1e57098ab", None, "0.5.0", None, "", "", dirty=True), "v0.5.0-0c1e57098-dirty", "0c1e57098-dirty"),
        (Revision("0c1e57098ab", 10991, None, None, "", ""), "b10991", "0c1e57098"),
        (Revision(None, None, None, None, "", ""), "unknown", "unknown"),
    ],
)
def test_a_revision_with_changes_says_so(revision: Revision, name: str, commit: str) -> None:
    assert (revision.name, revision.described_commit(9)) == (name, commit)
    assert revision.commit is None or revision.described_commit().startswith(revision.commit)


def test_nearest_names_are_near_in_spelling() -> None:
    assert nearest("mastr", ["master", "b1", "gg/branch"]) == ["master"]


def test_settings_follow_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    assert settings_as_environment({"a.b": "c"}) == {
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_2": "a.b",
        "GIT_CONFIG_VALUE_2": "c",
    }
