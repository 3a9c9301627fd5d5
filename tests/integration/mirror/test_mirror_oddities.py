"""Odd moments, odd names, odd times, odd tags."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.console import Reporter
from builder.errors import SourceError
from builder.paths import Paths
from builder.process import Runner
from builder.source.desk import Desk, Request
from builder.source.tree import SourceTree
from builder.upstream.builds import tagged_builds
from builder.upstream.choice import Chooser
from builder.upstream.git import Damaged
from builder.upstream.history import commits_between
from builder.upstream.mirror import Mirror
from builder.upstream.selection import Policy
from builder.upstream.supply import Supply
from tests.integration.git_server import Server
from tests.integration.mirror.looking import copied, offered, run, said, trusted
from tests.integration.upstreams import Upstream

RENEWING = """
import os, signal, sys
from pathlib import Path
from builder.console import Reporter
from builder.process import Runner
from builder.upstream.git import Damaged
from builder.upstream.mirror import Mirror
from builder.upstream.origin import GitUrl

mirror = Mirror.of(GitUrl(sys.argv[1]), Path(sys.argv[2]), Runner(), Reporter())
rename, left = Path.rename, int(sys.argv[3])

def rename_and_die(self, target):
    global left
    rename(self, target)
    if mirror.folder in (self, Path(target)):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

Path.rename = rename_and_die
mirror.renew(Damaged("It is damaged.", ""))
"""
"""A builder that is killed after it has moved its mirror so many times."""


@pytest.mark.parametrize("renames", [1, 2])
def test_killed_while_a_mirror_is_replaced(mirror: Mirror, upstream: Upstream, renames: int) -> None:
    mirror.refresh()
    before = upstream.git("rev-parse", "b290")
    upstream.tag("b290", "b280")
    command = [sys.executable, "-c", RENEWING, mirror.origin.url, str(mirror.folder.parent), str(renames)]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    mirror.refresh()
    assert trusted(mirror)["tags/b290"] == before
    assert [move.name for move in mirror.moves().tags] == ["b290"]
    mirror.renew(Damaged("It is damaged.", ""))
    assert trusted(mirror)["tags/b290"] == before
    assert [path for path in mirror.folder.parent.iterdir() if path.is_dir()] == [mirror.folder]


def test_a_mirror_of_an_earlier_version_learns_the_name_of_its_remote(
    mirror: Mirror, server: Server, upstream: Upstream, take: Callable[[str], SourceTree]
) -> None:
    mirror.refresh()
    run(mirror.folder, "config", "--rename-section", "remote.builder-upstream", "remote.origin")
    upstream.build()
    before = server.proxy.moved()
    mirror.refresh()
    assert (server.proxy.moved() - before).down < 50_000
    assert trusted(mirror) == copied(mirror) == offered(upstream)
    assert take("b290").revision.build_number == 290
    assert "origin" not in run(mirror.folder, "remote").split()


def test_a_server_that_answered_and_is_gone_is_no_reason_to_take_something_else(
    server: Server, upstream: Upstream, cache: Paths, tmp_path: Path
) -> None:
    def use(supply: Supply) -> None:
        server.daemon.stop()
        supply.write(tmp_path / "tree")

    request = Request("auto", repository=server.url(upstream.folder.name), fallback=str(tmp_path / "fallback"))
    with pytest.raises(SourceError, match=r"llama\.cpp\.git cannot be used"):
        Desk(request, use, cache, Runner(), Reporter()).serve()


def test_names_that_hold_what_looks_like_an_end_of_line(mirror: Mirror, upstream: Upstream) -> None:
    upstream.git("branch", "one\u2028two", "b200")
    upstream.git("tag", "b298\u0085b999", "b200")
    upstream.git("tag", "x\u3000b998", "b200")
    repository = mirror.refresh()
    assert trusted(mirror) == offered(upstream)
    assert {"one\u2028two", "b298\u0085b999", "x\u3000b998"} <= set(repository.names())
    commit = upstream.git("rev-parse", "b200")
    assert repository.revision(commit, origin="", ref="").build_number == 200
    assert {build.number for build in tagged_builds(repository)}.isdisjoint({998, 999})


def test_a_commit_from_a_year_that_no_calendar_has(mirror: Mirror, upstream: Upstream) -> None:
    commit = b"commit refs/heads/master\ncommitter a <a@b.invalid> 999999999999 +1400\ndata 1\nx\n"
    upstream.git("fast-import", "--quiet", stdin=commit + b"from refs/heads/master^0\n")
    upstream.tag("b301", "master")
    repository = mirror.refresh()
    for channel in ("nightly", "branch"):
        assert Chooser.of(repository, Policy(channel)).builds[0].committed.year == 9999
    tip = repository.resolve("b301")
    assert repository.revision(tip, origin="", ref="").committed == Chooser.of(repository, Policy()).builds[0].committed
    assert commits_between(repository, "b300", "b301")[0].committed.year == 9999
    assert Chooser.of(repository, Policy()).look_up("master").committed.year == 9999


def test_few_objects_are_looked_up_without_listing_all(mirror: Mirror, upstream: Upstream, commands: Path) -> None:
    mirror.refresh()
    before = commands.read_text()
    mirror.ensure_objects([])
    assert commands.read_text() == before
    here, there = upstream.git("rev-parse", "b290"), upstream.git("rev-parse", "b290:CMakeLists.txt")
    mirror.ensure_objects([here, there, there])
    assert run(mirror.folder, "cat-file", "-t", there) == "blob"
    new = commands.read_text().removeprefix(before)
    assert new.count(" fetch ") == 1
    mirror.ensure_objects([here, there])
    assert commands.read_text().removeprefix(before).count(" fetch ") == 1
    assert "--batch-all-objects" not in commands.read_text()


def test_a_tag_of_a_file_that_was_left_out_costs_that_file(
    mirror: Mirror, server: Server, upstream: Upstream, capfd: pytest.CaptureFixture[str]
) -> None:
    mirror.refresh()
    for name, path in (("key", "CMakeLists.txt"), ("other", "src/llama-model.cpp")):
        upstream.git("tag", name, upstream.git("rev-parse", f"b200:{path}"))
    upstream.build()
    capfd.readouterr()
    before = server.proxy.moved()
    mirror.refresh()
    assert said(capfd) == ""
    assert (server.proxy.moved() - before).connections <= 8
    assert trusted(mirror) == copied(mirror) == offered(upstream)
