from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from builder.engine.versions import MINIMUM_BUILDX, reaches, release_of


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("v0.13.1+ds1", "0.13.1"),
        ("Docker version 26.1.5+dfsg1, build 411e817", "26.1.5"),
        ("28.2.2-0ubuntu1~24.04.1", "28.2.2"),
        ("0.12.0-desktop.2", "0.12.0"),
        ("master", None),
        ("", None),
        (None, None),
    ],
)
def test_releases_are_read(text: str | None, release: str | None) -> None:
    assert release_of(text) == (Version(release) if release else None)


def test_versions_compare_by_number_and_not_as_text() -> None:
    assert reaches("0.13.1", MINIMUM_BUILDX)
    assert reaches("0.100", MINIMUM_BUILDX)
    assert not reaches("0.9.9", MINIMUM_BUILDX)


def test_the_unknown_reaches_nothing() -> None:
    assert not reaches(None, Version("0"))
    assert not reaches("dev", Version("0"))


@given(st.lists(st.integers(0, 9999), min_size=1, max_size=4), st.from_regex(r"[-+~ a-z]{0,6}", fullmatch=True))
def test_what_follows_the_number_does_not_count(parts: list[int], suffix: str) -> None:
    number = ".".join(map(str, parts))
    assert release_of(number + suffix) == Version(number)
