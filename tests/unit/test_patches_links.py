"""Addresses of pull requests and commits."""

from __future__ import annotations

import pytest

from builder.errors import UsageError
from builder.source.patches.links import is_link, parse_link


@pytest.mark.parametrize(
    ("text", "repository", "wanted", "title"),
    [
        ("https://github.com/o/r/pull/7", "https://github.com/o/r", "refs/pull/7/head", "PR #7"),
        ("https://github.com/o/r/pull/7/files", "https://github.com/o/r", "refs/pull/7/head", "PR #7"),
        ("https://github.com/o/r/pull/7/commits/abc1234", "https://github.com/o/r", "refs/pull/7/head", "PR #7"),
        ("https://github.com/o/r/pull/7?diff=split#x", "https://github.com/o/r", "refs/pull/7/head", "PR #7"),
        ("https://github.com/o/r/pull/7.patch", "https://github.com/o/r", "refs/pull/7/head", "PR #7"),
        ("https://github.com/o/r/pull/7/", "https://github.com/o/r", "refs/pull/7/head", "PR #7"),
        ("http://host:3000/o/r/pulls/7", "http://host:3000/o/r", "refs/pull/7/head", "PR #7"),
        ("git://127.0.0.1:9/r.git/pull/7", "git://127.0.0.1:9/r.git", "refs/pull/7/head", "PR #7"),
        ("file:///srv/r.git/pull/7", "file:///srv/r.git", "refs/pull/7/head", "PR #7"),
        ("https://gl/g/s/r/-/merge_requests/12", "https://gl/g/s/r", "refs/merge-requests/12/head", "MR !12"),
        ("https://gl/g/r/-/merge_requests/12/diffs", "https://gl/g/r", "refs/merge-requests/12/head", "MR !12"),
        ("https://github.com/o/r/commit/0c1e57098", "https://github.com/o/r", "0c1e57098", ""),
        ("https://gl/g/r/-/commit/0c1e57098", "https://gl/g/r", "0c1e57098", ""),
    ],
)
def test_an_address_names_a_repository_and_what_to_fetch(text: str, repository: str, wanted: str, title: str) -> None:
    assert is_link(text)
    link = parse_link(text)
    assert (link.repository.name, link.wanted, link.title) == (repository, wanted, title)


def test_credentials_stay_with_the_repository_alone() -> None:
    link = parse_link("https://me:hunter2-secret@host/o/r/pull/7/files")
    assert link.repository.url == "https://me:hunter2-secret@host/o/r"
    assert link.url == "https://host/o/r/pull/7"


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/o/r",
        "https://github.com/o/r/pull/",
        "https://github.com/o/r/pull/x",
        "https://github.com/o/r/pull/7x",
        "https://github.com/o/r/tree/pull",
        "ftp://host/o/r/pull/7",
        "https:///pull/7",
        "https://github.com/o/r/commit/xyz",
        "https://me:hunter2-secret@host/o/r",
    ],
)
def test_what_is_no_address_of_a_change_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_link(text)
    assert "hunter2" not in refusal.value.cause + refusal.value.remedy


@pytest.mark.parametrize("text", ["b10991", "0001-x.patch", "/tmp/a.patch", "feature/x"])
def test_files_and_commits_are_no_addresses(text: str) -> None:
    assert not is_link(text)
