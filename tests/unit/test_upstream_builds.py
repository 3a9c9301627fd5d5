"""What a repository has to choose from, on real repositories."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder.process import Runner
from builder.upstream.builds import (
    Build,
    astray,
    branch_builds,
    default_branch,
    is_on_line,
    number_of,
    release_of,
    stands_on,
    tagged_builds,
    with_numbers,
)
from builder.upstream.git import Git
from builder.upstream.repository import Repository

MASTER = "refs/heads/master"
_AT_WORK = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{who}_NAME": "a" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "a@example.invalid" for who in ("AUTHOR", "COMMITTER")},
}


class Work:
    """A repository that is made by hand; each commit is an hour younger than the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._hour = 0
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=master")

    def git(self, *args: str, stdin: bytes = b"") -> str:
        time = f"{1_790_000_000 + self._hour * 3600} +0200"
        environment = {**os.environ, **_AT_WORK, "GIT_AUTHOR_DATE": time, "GIT_COMMITTER_DATE": time}
        command = ["git", "-C", str(self.folder), *args]
        return (
            subprocess.run(command, input=stdin, check=True, capture_output=True, env=environment)
            .stdout.decode()
            .strip()
        )

    def commit(self, *tags: str) -> str:
        self._hour += 1
        self.git("commit", "--quiet", "--allow-empty", "--message", f"change {self._hour}")
        for tag in tags:
            self.git("tag", tag)
        return self.git("rev-parse", "HEAD")

    @property
    def repository(self) -> Repository:
        return Repository(Git(Runner(), "upstream"), self.folder / ".git")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "work")


@pytest.mark.parametrize(
    ("tag", "number", "release"),
    [
        ("b2", 2, None),
        ("b100000", 100_000, None),
        ("v0.10.0", None, "0.10.0"),
        *((tag, None, None) for tag in ("b0", "b1", "b1234567", "b2-cuda", "v0.5", "v0.5.0-rc1", "master-b1234")),
    ],
)
def test_what_a_tag_tells(tag: str, number: int | None, release: str | None) -> None:
    assert (number_of(tag), release_of(tag)) == (number, release)


def test_tags_of_one_commit_make_one_build(work: Work) -> None:
    commit = work.commit("b10621")
    work.git("tag", "--annotate", "--message=x", "v0.3.0")
    (build,) = tagged_builds(work.repository)
    assert (build.commit, build.number, build.releases, build.name) == (commit, 10_621, ("0.3.0",), "b10621")
    assert build.tags == ("b10621", "v0.3.0")
    assert build.committed == datetime.fromtimestamp(1_790_003_600, UTC)


def test_every_kind_of_tag(work: Work) -> None:
    light = work.commit("b5")
    annotated = work.commit()
    work.git("tag", "--annotate", "--message=x", "b6")
    nested = work.commit()
    work.git("tag", "--annotate", "--message=x", "inner")
    work.git("tag", "--annotate", "--message=x", "b7", "inner")
    blob = work.git("hash-object", "-w", "--stdin", stdin=b"x")
    for name, target in (("b8", blob), ("v9.9.9", work.git("rev-parse", "HEAD^{tree}"))):
        work.git("tag", name, target)
    work.git("tag", "--annotate", "--message=x", "b9", blob)
    work.commit("b1", "b0", "b1234567", "stable")
    assert [(build.number, build.commit) for build in tagged_builds(work.repository)] == [
        (7, nested),
        (6, annotated),
        (5, light),
    ]


def test_numbers_are_ordered_as_numbers(work: Work) -> None:
    for number in (99_999, 100_000, 9_999, 10_000):
        work.commit(f"b{number}")
    assert [build.number for build in tagged_builds(work.repository)] == [100_000, 99_999, 10_000, 9_999]


def test_a_repository_without_tags_or_commits_has_no_builds(work: Work) -> None:
    assert tagged_builds(work.repository) == ()
    work.commit()
    assert tagged_builds(work.repository) == ()


def test_commits_of_a_branch_are_numbered_as_git_counts_them(work: Work) -> None:
    """Through merges, of which one brings a history of its own, and one stands on another."""
    for _ in range(3):
        work.commit()
    work.git("checkout", "--quiet", "-b", "side", "HEAD~1")
    work.commit()
    work.git("checkout", "--quiet", "master")
    work.commit()
    work.git("merge", "--quiet", "--no-ff", "--message=merged", "side")
    work.git("checkout", "--quiet", "--orphan", "other")
    work.commit()
    work.commit()
    work.git("checkout", "--quiet", "master")
    work.git("merge", "--quiet", "--no-ff", "--allow-unrelated-histories", "--message=joined", "other")
    work.commit()
    builds = branch_builds(work.repository, MASTER, ())
    line = work.git("rev-list", "--first-parent", "master").split()
    assert [build.commit for build in builds] == line
    assert [build.number for build in builds[:-1]] == [int(work.git("rev-list", "--count", one)) for one in line[:-1]]
    assert builds[-1].number is None, "a first commit counts one, which means unknown"


def test_a_tag_tells_the_number_of_a_commit_of_a_branch(work: Work) -> None:
    work.commit()
    work.commit("v0.1.0")
    work.commit("b777")
    builds = branch_builds(work.repository, MASTER, tagged_builds(work.repository))
    assert [(build.number, build.tags) for build in builds] == [(777, ("b777",)), (2, ("v0.1.0",)), (None, ())]


def test_only_the_default_branch_s_own_commits_are_named_by_their_count(work: Work) -> None:
    work.commit()
    base = work.commit()
    work.git("checkout", "--quiet", "-b", "side")
    side, named = work.commit(), work.commit("b900")
    work.git("checkout", "--quiet", "master")
    work.commit()
    work.git("merge", "--quiet", "--no-ff", "--message=merged", "side")
    newest = work.commit()
    repository = work.repository
    line = work.git("rev-list", "--first-parent", "master").split()
    for commit in work.git("rev-list", "--all").split():
        assert is_on_line(repository, commit) == (commit in line)
    names = [build.name for build in branch_builds(repository, "refs/heads/side", tagged_builds(repository))]
    assert names == ["b900", side[:9], "b2", line[-1][:9]]
    (counted,) = with_numbers(repository, [Build(side, datetime.now(UTC), None)])
    assert (counted.number, counted.name, counted.handle) == (3, side[:9], side[:9])
    (counted,) = with_numbers(repository, [Build(newest, datetime.now(UTC), None)])
    assert (counted.name, counted.handle) == ("b7", newest[:9]), "there is no such tag"
    (tagged,) = tagged_builds(repository)
    assert (tagged.commit, tagged.name, tagged.handle) == (named, "b900", "b900")
    assert base in line


def test_what_the_default_branch_does_not_stand_on_is_astray(work: Work, tmp_path: Path) -> None:
    for number in range(2, 6):
        lost = work.commit(f"b{number}")
    work.git("reset", "--quiet", "--hard", "HEAD~2")
    new = work.commit("b6")
    assert astray(work.repository) == {"b4", "b5"}
    assert not stands_on(work.repository, "HEAD", lost)
    assert stands_on(work.repository, "HEAD", new)
    shallow = tmp_path / "shallow.git"
    clone = ["git", "clone", "--quiet", "--bare", "--depth=1", f"file://{work.folder}", str(shallow)]
    subprocess.run(clone, check=True, capture_output=True)
    assert astray(Repository(Git(Runner(), "upstream"), shallow)) == frozenset(), "nobody can tell"


def test_a_release_without_a_number_is_counted(work: Work) -> None:
    for _ in range(4):
        work.commit()
    work.git("tag", "v0.1.0")
    builds = with_numbers(work.repository, tagged_builds(work.repository))
    assert [(build.number, build.release) for build in builds] == [(4, "0.1.0")]


def test_what_is_not_tagged_in_a_shallow_repository_has_no_number(work: Work, tmp_path: Path) -> None:
    for _ in range(4):
        work.commit()
    work.git("tag", "v0.1.0")
    work.commit("b900")
    shallow = tmp_path / "shallow.git"
    clone = ["git", "clone", "--quiet", "--bare", "--depth=3", f"file://{work.folder}", str(shallow)]
    subprocess.run(clone, check=True, capture_output=True)
    repository = Repository(Git(Runner(), "upstream"), shallow)
    tagged = tagged_builds(repository)
    assert [build.number for build in with_numbers(repository, tagged)] == [900, None]
    assert [build.number for build in branch_builds(repository, MASTER, tagged)] == [900, None, None]


def test_the_default_branch(work: Work) -> None:
    work.commit()
    assert default_branch(work.repository) == "master"
    work.git("checkout", "--quiet", "-b", "gg/side")
    assert default_branch(work.repository) == "gg/side"
    work.git("checkout", "--quiet", "--detach")
    assert default_branch(work.repository) is None
