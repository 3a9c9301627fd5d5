"""The generated history is what tests and benchmarks take it for."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.history import SMALL, repository, stream
from benchmarks.llama_shape import HOT_FILE
from builder.upstream.layout import declared_release, require_llama_tree


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(SMALL, tmp_path_factory.mktemp("histories"))


def git(folder: Path, *args: str) -> list[str]:
    done = subprocess.run(["git", "-C", str(folder), *args], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def test_the_same_shape_gives_the_same_history_and_another_seed_another() -> None:
    def digest(seed: int) -> str:
        return hashlib.sha256(b"".join(stream(replace(SMALL, seed=seed)))).hexdigest()

    assert digest(1) == digest(1) != digest(2)


def test_a_build_tag_carries_the_count_of_its_commit(made: Path) -> None:
    line = git(made, "rev-list", "--reverse", "master")
    assert len(line) == SMALL.commits
    tagged = dict(entry.split() for entry in git(made, "for-each-ref", "--format=%(refname:strip=2) %(objectname)"))
    builds = {int(name[1:]): commit for name, commit in tagged.items() if name[0] == "b"}
    assert len(git(made, "tag")) == SMALL.tags
    assert set(range(SMALL.commits - SMALL.dense + 1, SMALL.commits + 1)) <= builds.keys()
    assert all(line[number - 1] == commit for number, commit in builds.items())


def test_releases_name_builds_and_rise(made: Path) -> None:
    releases = git(made, "tag", "--list", "v*", "--sort=version:refname")
    assert len(releases) == SMALL.releases
    counts = [int(git(made, "rev-list", "--count", release)[0]) for release in releases]
    assert counts == sorted(counts)
    assert {f"b{count}" for count in counts} <= set(git(made, "tag"))


def test_times_never_run_backwards_and_end_where_they_should(made: Path) -> None:
    times = [int(time) for time in git(made, "log", "--reverse", "--format=%ct", "master")]
    assert times == sorted(times)
    assert datetime.fromtimestamp(times[-1], UTC) == SMALL.ends
    assert SMALL.ends - datetime.fromtimestamp(times[0], UTC) <= timedelta(days=SMALL.days)


def test_every_release_is_a_llama_tree_that_says_so(made: Path, tmp_path: Path) -> None:
    for release in git(made, "tag", "--list", "v*"):
        tree = tmp_path / release
        tree.mkdir()
        git(made, f"--work-tree={tree}", "checkout", release, "--", "CMakeLists.txt", "ggml", "src")
        require_llama_tree(tree, release)
        assert f"v{declared_release(tree)}" == release
        assert (tree / HOT_FILE).stat().st_size > 30_000


def test_what_is_made_is_found_again(made: Path) -> None:
    again = repository(SMALL, made.parent)
    assert again == made
    assert [path.name for path in made.parent.iterdir() if path.name.startswith(".new-")] == []
