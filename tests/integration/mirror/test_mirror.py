"""The mirror against a real `git daemon`: what it fetches, whom it trusts, how it mends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from builder.errors import SourceError, UsageError
from builder.paths import Paths
from builder.upstream.choice import Chooser
from builder.upstream.git import Unreachable
from builder.upstream.mirror import Mirror
from builder.upstream.moves import Move, Moves
from builder.upstream.remote import REMOTE
from builder.upstream.selection import Policy
from tests.integration.git_server import Server
from tests.integration.mirror.looking import DRIVER, copied, mirror_of, offered, run, said, trusted
from tests.integration.upstreams import Upstream

# --- what is fetched ---------------------------------------------------------------------------------------------


def test_an_unchanged_mirror_costs_one_round_trip(mirror: Mirror, server: Server, upstream: Upstream) -> None:
    mirror.refresh()
    assert trusted(mirror) == copied(mirror) == offered(upstream)
    before = server.proxy.moved()
    mirror.refresh()
    assert (server.proxy.moved() - before).connections == 1


def test_one_commit_moves_one_commit(mirror: Mirror, server: Server, upstream: Upstream) -> None:
    mirror.refresh()
    before = server.proxy.moved()
    mirror.refresh()
    listing = (server.proxy.moved() - before).total
    tag, commit = upstream.build()
    before = server.proxy.moved()
    assert mirror.refresh().resolve(tag) == commit
    moved = server.proxy.moved() - before
    assert moved.connections == 2
    assert moved.total < 3 * listing + 10_000
    assert trusted(mirror) == copied(mirror) == offered(upstream)


def test_file_contents_stay_upstream_until_they_are_needed(mirror: Mirror, upstream: Upstream) -> None:
    mirror.refresh()
    missing = run(mirror.folder, "rev-list", "--objects", "--all", "--missing=print").count("\n?")
    assert missing > 100
    assert run(mirror.folder, "rev-list", "--count", "HEAD") == upstream.git("rev-list", "--count", "master")


def test_pull_requests_are_not_even_listed(mirror: Mirror, server: Server, upstream: Upstream) -> None:
    mirror.refresh()
    before = server.proxy.moved()
    mirror.refresh()
    plain = (server.proxy.moved() - before).down
    tip = upstream.git("rev-parse", "master")
    orders = "".join(f"create refs/pull/{number}/head {tip}\n" for number in range(1000))
    upstream.git("update-ref", "--stdin", stdin=orders.encode())
    before = server.proxy.moved()
    mirror.refresh()
    assert (server.proxy.moved() - before).down < plain + 1000
    assert run(mirror.folder, "for-each-ref", "refs/pull", "refs/upstream/pull") == ""


def test_two_builders_at_once_fetch_once(server: Server, upstream: Upstream, cache: Paths, tmp_path: Path) -> None:
    url = server.url(upstream.folder.name)
    for round_ in range(2):
        before = server.proxy.moved()
        command = [sys.executable, "-c", DRIVER, url, str(cache.mirrors)]
        both = [
            subprocess.Popen([*command, str(tmp_path / f"{round_}-{n}")], stderr=subprocess.DEVNULL) for n in range(2)
        ]
        assert [process.wait(300) for process in both] == [0, 0]
        assert (server.proxy.moved() - before).connections == 3
        lines = [line for n in range(2) for line in (tmp_path / f"{round_}-{n}").read_text().splitlines()]
        assert len([line for line in lines if " fetch " in line or " clone " in line]) == 1
        assert trusted(mirror_of(url, cache)) == offered(upstream)
        upstream.build()


# --- whom it trusts ----------------------------------------------------------------------------------------------


def test_a_moved_tag_stays_until_it_is_accepted(
    mirror: Mirror, upstream: Upstream, capfd: pytest.CaptureFixture[str]
) -> None:
    mirror.refresh()
    before = upstream.git("rev-parse", "b290")
    upstream.tag("b290", "b280")
    after = upstream.git("rev-parse", "b280")
    capfd.readouterr()
    repository = mirror.refresh()
    assert "warning: Upstream moved the tag b290" in said(capfd)
    assert repository.resolve("b290") == before
    assert mirror.moves() == Moves(tags=(Move("b290", before, after),))
    with pytest.raises(SourceError, match=f"{before}.*{after}") as refusal:
        mirror.repository_with("b290")
    assert "accept b290" in refusal.value.remedy
    assert mirror.repository_with(before).resolve(before) == before
    assert mirror.accept(["b290"]) == (Move("b290", before, after),)
    assert not mirror.moves()
    assert mirror.repository_with("b290").resolve("b290") == after


def test_an_annotated_tag_that_is_made_again_has_moved(mirror: Mirror, upstream: Upstream) -> None:
    upstream.git("tag", "-a", "-m", "one", "v9.0.0", "b290")
    mirror.refresh()
    upstream.git("tag", "-f", "-a", "-m", "two", "v9.0.0", "b291")
    one, two = (upstream.git("rev-parse", f"b29{number}") for number in (0, 1))
    with pytest.raises(SourceError, match=f"{one}.*{two}"):
        mirror.repository_with("v9.0.0")


def test_a_withdrawn_tag_is_kept_and_reported(
    mirror: Mirror, upstream: Upstream, capfd: pytest.CaptureFixture[str]
) -> None:
    mirror.refresh()
    commit = upstream.git("rev-parse", "b290")
    upstream.delete("refs/tags/b290")
    assert mirror.repository_with("b290").resolve("b290") == commit
    assert "withdrew the tag b290" in said(capfd)
    assert mirror.moves() == Moves(withdrawn=(Move("b290", commit, None),))
    mirror.accept(["b290"])
    assert trusted(mirror) == offered(upstream)
    with pytest.raises(SourceError, match="has no tag"):
        mirror.repository_with("b290").resolve("b290")


def test_a_rewritten_branch_stays_until_it_is_accepted(
    mirror: Mirror, upstream: Upstream, commands: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    upstream.git("branch", "gg/side", "b200")
    mirror.refresh()
    before = upstream.git("rev-parse", "master")
    theirs = upstream.commit({"x": b"x\n"}, parent="master~3")
    side = upstream.commit({"y": b"y\n"}, branch="gg/side", parent="b150")
    capfd.readouterr()
    assert mirror.refresh().resolve("tip") == before
    heard = said(capfd)
    assert "warning: Upstream rewrote the branch master" in heard
    assert "Upstream rewrote the branch gg/side; here it stays." in heard
    assert heard.count("warning") == 1
    assert mirror.moves().branches == (
        Move("gg/side", upstream.git("rev-parse", "b200"), side),
        Move("master", before, theirs),
    )
    assert run(mirror.folder, "rev-parse", before) == before
    commands.unlink()
    mirror.refresh()
    assert "merge-base" not in commands.read_text()
    for name in ("master", "gg/side"):
        with pytest.raises(SourceError, match="rewrote the branch"):
            mirror.repository_with(name)
    mirror.accept(["master", "gg/side"])
    assert trusted(mirror) == offered(upstream)
    assert not run(mirror.folder, "for-each-ref", "refs/rewritten")


def test_a_branch_that_is_rewritten_back_goes_on(mirror: Mirror, upstream: Upstream) -> None:
    mirror.refresh()
    ours = upstream.git("rev-parse", "master")
    upstream.commit({"x": b"x\n"}, parent="master~3")
    mirror.refresh()
    assert mirror.moves()
    forward = upstream.commit({"y": b"y\n"}, parent=ours)
    assert mirror.refresh().resolve("master") == forward
    assert not mirror.moves()


def test_branches_come_go_forward_and_go(mirror: Mirror, upstream: Upstream) -> None:
    upstream.git("branch", "side", "b200")
    mirror.refresh()
    upstream.git("branch", "new", "b100")
    upstream.git("branch", "--force", "side", "b210")
    mirror.refresh()
    assert trusted(mirror) == offered(upstream)
    upstream.delete("refs/heads/side")
    mirror.refresh()
    assert trusted(mirror) == copied(mirror) == offered(upstream)
    assert not mirror.moves()


def test_only_what_moved_can_be_accepted(mirror: Mirror, upstream: Upstream) -> None:
    with pytest.raises(UsageError, match="not mirrored yet"):
        mirror.accept(["b290"])
    mirror.refresh()
    upstream.tag("b290", "b280")
    mirror.refresh()
    with pytest.raises(UsageError, match="did not rewrite `b291`") as refusal:
        mirror.accept(["b290", "b291"])
    assert "b290" in refusal.value.remedy
    assert mirror.moves().tags


def test_names_that_are_in_each_others_way(mirror: Mirror, upstream: Upstream) -> None:
    upstream.git("tag", "x", "b290")
    upstream.git("branch", "y", "b290")
    mirror.refresh()
    upstream.delete("refs/tags/x")
    upstream.delete("refs/heads/y")
    upstream.git("tag", "x/1", "b291")
    upstream.git("branch", "y/1", "b291")
    mirror.refresh()
    assert copied(mirror) == offered(upstream)
    assert {"heads/y/1", "tags/x"} <= trusted(mirror).keys()
    mirror.accept(["x"])
    assert trusted(mirror) == offered(upstream)
    upstream.delete("refs/tags/x/1")
    upstream.delete("refs/heads/y/1")
    upstream.git("branch", "y", "b291")
    mirror.refresh()
    assert {"heads/y", "tags/x/1"} <= trusted(mirror).keys()


def test_what_was_fetched_and_not_taken_over_is_taken_over(mirror: Mirror, server: Server, upstream: Upstream) -> None:
    mirror.refresh()
    upstream.build()
    upstream.tag("b290", "b280")
    everything = ("+refs/heads/*:refs/upstream/heads/*", "+refs/tags/*:refs/upstream/tags/*")
    run(mirror.folder, "fetch", "--quiet", "--no-tags", REMOTE, *everything)
    before = server.proxy.moved()
    mirror.refresh()
    assert (server.proxy.moved() - before).connections == 1
    assert trusted(mirror).keys() == offered(upstream).keys()
    assert [move.name for move in mirror.moves().tags] == ["b290"]


def test_the_mirror_of_an_earlier_version_is_taken_over(mirror: Mirror, server: Server, upstream: Upstream) -> None:
    mirror.refresh()
    for name in copied(mirror):
        run(mirror.folder, "update-ref", "-d", f"refs/upstream/{name}")
    upstream.tag("b290", "b280")
    upstream.build()
    before = server.proxy.moved()
    mirror.refresh()
    assert (server.proxy.moved() - before).down < 150_000
    assert copied(mirror) == offered(upstream)
    assert [move.name for move in mirror.moves().tags] == ["b290"]


# --- the default branch ------------------------------------------------------------------------------------------


def test_the_default_branch_is_followed(mirror: Mirror, upstream: Upstream) -> None:
    upstream.git("branch", "aaa", "master")
    mirror.refresh()
    assert run(mirror.folder, "symbolic-ref", "HEAD") == "refs/heads/master"
    upstream.git("branch", "trunk", "master")
    upstream.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    mirror.refresh()
    assert run(mirror.folder, "symbolic-ref", "HEAD") == "refs/heads/trunk"
    upstream.delete("refs/heads/master")
    mirror.refresh()
    assert run(mirror.folder, "symbolic-ref", "HEAD") == "refs/heads/trunk"


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("head", ["detached", "unborn"])
def test_a_remote_whose_head_is_no_branch(mirror: Mirror, upstream: Upstream, head: str, first: bool) -> None:
    if not first:
        mirror.refresh()
    if head == "detached":
        upstream.git("update-ref", "--no-deref", "HEAD", "b150")
    else:
        upstream.git("symbolic-ref", "HEAD", "refs/heads/nowhere")
    upstream.build()
    mirror.refresh()
    assert trusted(mirror) == offered(upstream)
    assert mirror.repository.resolve("HEAD") == upstream.git("rev-parse", "master")


def test_an_empty_repository(server: Server, upstream: Upstream, cache: Paths) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", upstream.folder.with_name("empty.git")], check=True)
    mirror = mirror_of(server.url("empty.git"), cache)
    assert mirror.refresh().names() == []
    assert mirror.refresh().names() == []
    with pytest.raises(SourceError, match="has no tag, branch or commit"):
        mirror.repository_with("latest").resolve("tip")


# --- tags that are no commits ------------------------------------------------------------------------------------


def test_a_tag_that_is_no_commit_is_passed_over_and_refused(mirror: Mirror, upstream: Upstream) -> None:
    upstream.git("tag", "b9001", upstream.git("rev-parse", "master:CMakeLists.txt"))
    upstream.git("tag", "b9002", upstream.git("rev-parse", "master^{tree}"))
    upstream.git("tag", "-a", "-m", "x", "b9003", upstream.git("rev-parse", "b100:CMakeLists.txt"))
    upstream.git("tag", "-a", "-m", "x", "b9000", "master")
    repository = mirror.refresh()
    assert not {"b9001", "b9002", "b9003"} & set(repository.names())
    assert Chooser.of(repository, Policy()).choose("latest").ref == "b9000"
    for name, kind in (("b9001", "blob"), ("b9002", "tree"), ("b9003", "blob")):
        with pytest.raises(SourceError, match=f"names a {kind}, no commit"):
            mirror.repository_with(name).resolve(name)


# --- single things -----------------------------------------------------------------------------------------------


def test_missing_contents_come_in_one_request_and_stay(mirror: Mirror, server: Server, upstream: Upstream) -> None:
    mirror.refresh()
    listed = upstream.git("ls-tree", "-r", "b100").splitlines()
    blobs = [line.split()[2] for line in listed]
    before = server.proxy.moved()
    mirror.ensure_objects(blobs)
    assert (server.proxy.moved() - before).connections == 1
    server.daemon.stop()
    mirror.ensure_objects(blobs)
    for blob in blobs[:3]:
        assert run(mirror.folder, "cat-file", "-t", blob) == "blob"
    server.daemon.start()
    with pytest.raises(SourceError, match="does not give") as refusal:
        mirror.ensure_objects(["12" * 20, blobs[0]])
    assert not isinstance(refusal.value, Unreachable)
