"""The server that other tests measure by counts, cuts and comes back as they expect."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.integration.git_server import Traffic, serve
from tests.integration.upstreams import hours_ago, small_upstream


def clone(url: str, folder: Path, *options: str) -> bool:
    command = ["git", "clone", "--quiet", "--bare", *options, url, str(folder)]
    return not subprocess.run(command, check=False, capture_output=True).returncode


def test_what_moves_is_counted_both_ways(tmp_path: Path) -> None:
    upstream = small_upstream(tmp_path)
    with serve(upstream.folder.parent) as server:
        assert server.proxy.moved() == Traffic()
        assert clone(server.url(upstream.folder.name), tmp_path / "full")
        full = server.proxy.moved()
        assert clone(server.url(upstream.folder.name), tmp_path / "blobless", "--filter=blob:none")
        blobless = server.proxy.moved() - full
    packed = sum(file.stat().st_size for file in (tmp_path / "full").rglob("*.pack"))
    assert packed < full.down < packed * 1.05
    assert full.connections == 1
    assert 0 < full.up < full.down
    assert blobless.down < full.down / 10


def test_a_cut_connection_breaks_the_clone_and_the_next_one_works(tmp_path: Path) -> None:
    upstream = small_upstream(tmp_path)
    with serve(upstream.folder.parent) as server:
        url = server.url(upstream.folder.name)
        server.proxy.cut_after = 50_000
        assert not clone(url, tmp_path / "broken")
        assert server.proxy.moved().down < 50_000
        server.proxy.cut_after = None
        assert clone(url, tmp_path / "whole")


def test_a_server_that_was_stopped_comes_back_at_the_same_address(tmp_path: Path) -> None:
    upstream = small_upstream(tmp_path)
    with serve(upstream.folder.parent) as server:
        url = server.url(upstream.folder.name)
        server.daemon.stop()
        assert not clone(url, tmp_path / "nobody")
        server.daemon.start()
        assert clone(url, tmp_path / "back")


def test_an_upstream_is_changed_as_upstream_changes(tmp_path: Path) -> None:
    upstream = small_upstream(tmp_path, ends=hours_ago(1))
    before = upstream.git("rev-parse", "master")
    tag, commit = upstream.build(when=hours_ago(0))
    assert tag == "b301"
    assert upstream.git("rev-parse", "master~1", f"{tag}^{{commit}}").split() == [before, commit]
    rewritten = upstream.commit({"README.md": b"new\n", "CMakeLists.txt": None}, "other", parent="master~5")
    assert upstream.git("rev-parse", "master") == rewritten
    assert upstream.git("rev-list", "--count", "master") == "297"
    assert upstream.read("README.md") == b"new\n"
    upstream.tag(tag, before)
    assert upstream.git("rev-parse", f"{tag}^{{commit}}") == before
    upstream.delete(f"refs/tags/{tag}")
    assert tag not in upstream.git("tag").split()
