"""Whatever a person's own settings and environment say: the same names are trusted, and trees are the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.console import Reporter
from builder.errors import SourceError
from builder.paths import Paths
from builder.process import Runner
from builder.source.desk import Request
from builder.source.prepare import prepare
from builder.source.tree import SourceTree
from tests.integration.git_http import serve_http
from tests.integration.git_server import Server
from tests.integration.mirror.looking import mirror_of, refs, trusted
from tests.integration.upstreams import Upstream

LOGIN = "user:hunter2-secret"
SETTINGS = {
    "tags are followed": '[remote "origin"]\n\tfetch = +refs/tags/*:refs/tags/*\n',
    "branches are followed": '[remote "origin"]\n\tfetch = +refs/heads/*:refs/heads/*\n',
    "pull requests are fetched": '[remote "origin"]\n\tfetch = +refs/pull/*:refs/pull/*\n',
    "everything is mirrored": '[remote "origin"]\n\tmirror = true\n\tfetch = +refs/*:refs/*\n',
    "tags are pruned": "[fetch]\n\tprune = true\n\tpruneTags = true\n",
    "lines end as elsewhere": "[core]\n\tautocrlf = true\n\teol = crlf\n",
    "links are files": "[core]\n\tsymlinks = false\n",
    "many habits": (
        "[color]\n\tui = always\n[core]\n\tsplitIndex = true\n[log]\n\tshowSignature = true\n\tshowRoot = false\n"
        "[submodule]\n\trecurse = true\n[clone]\n\trejectShallow = true\n\tdefaultRemoteName = elsewhere\n"
    ),
    "attributes of a person's own": "[core]\n\tattributesFile = ~/.attributes\n",
}
VARIABLES = {
    "settings as git hands them to its children": (
        "GIT_CONFIG_PARAMETERS",
        "'core.eol'='crlf' 'core.symlinks'='false'",
    ),
    "settings that are none": ("GIT_CONFIG_COUNT", "abc"),
    "settings that are not there": ("GIT_CONFIG_COUNT", "3"),
    "a repository around": ("GIT_DIR", "/nonexistent"),
    "a hook around": ("GIT_QUARANTINE_PATH", "/nonexistent"),
    "a config file of its own": ("GIT_CONFIG", "/nonexistent"),
    "other object names": ("GIT_DEFAULT_HASH", "sha256"),
    "other references": ("GIT_DEFAULT_REF_FORMAT", "reftable"),
    "attributes of a commit": ("GIT_ATTR_SOURCE", "nowhere"),
    "paths without case": ("GIT_ICASE_PATHSPECS", "1"),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's own folder, with nothing in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    return folder


def take(url: str, ref: str, cache: Paths) -> SourceTree:
    return prepare(Request(url, ref), paths=cache, runner=Runner(), reporter=Reporter())


@pytest.mark.parametrize("hostile", [*SETTINGS, *VARIABLES])
def test_nothing_of_a_persons_own_changes_what_is_taken(
    server: Server, upstream: Upstream, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile: str
) -> None:
    upstream.commit({".gitattributes": b"*.cpp text\n"})
    link = b"commit refs/heads/master\ncommitter a <a@b.invalid> 1790000000 +0000\ndata 1\nx\n"
    upstream.git("fast-import", "--quiet", stdin=link + b"from refs/heads/master^0\nM 120000 inline link\ndata 1\nx\n")
    upstream.git("branch", "side", "b200")
    upstream.git("update-ref", "refs/pull/7/head", "b210")
    url, cache = server.url(upstream.folder.name), Paths(tmp_path / "hostile")
    before = upstream.git("rev-parse", "b290"), upstream.git("rev-parse", "side")
    plain = take(url, "master", Paths(tmp_path / "plain"))

    def on_that_machine() -> SourceTree:
        with monkeypatch.context() as machine:
            if hostile in VARIABLES:
                machine.setenv(*VARIABLES[hostile])
            (home / ".gitconfig").write_text(SETTINGS.get(hostile, ""))
            (home / ".attributes").write_text("* text eol=crlf\n")
            tree = take(url, "master", cache)
            assert mirror_of(url, cache).moves() == moved
        (home / ".gitconfig").unlink()
        return tree

    moved = mirror_of(url, Paths(tmp_path / "plain")).moves()
    assert on_that_machine().digest == plain.digest
    upstream.tag("b290", "b280")
    upstream.git("branch", "--force", "side", "b100")
    upstream.build()
    after = take(url, "master", Paths(tmp_path / "plain"))
    moved = mirror_of(url, Paths(tmp_path / "plain")).moves()
    assert [move.name for move in (*moved.tags, *moved.branches)] == ["b290", "side"]
    assert on_that_machine().digest == after.digest
    names = trusted(mirror_of(url, cache))
    assert (names["tags/b290"], names["heads/side"]) == before
    assert {name.split("/")[0] for name in refs(mirror_of(url, cache).folder)} == {
        *("heads", "tags", "upstream", "rewritten")
    }


@pytest.mark.parametrize("stored", ["", "http://other:login@{host}\n"])
def test_the_login_of_the_url_is_used_and_stored_nowhere(
    upstream: Upstream, home: Path, cache: Paths, tmp_path: Path, stored: str
) -> None:
    (home / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    with serve_http(upstream.folder.parent, LOGIN) as host:
        credentials = home / ".git-credentials"
        credentials.write_text(stored.format(host=host))
        before = credentials.read_text()
        tree = take(f"http://{LOGIN}@{host}/{upstream.folder.name}", "b290", cache)
        assert tree.revision.build_number == 290
        assert credentials.read_text() == before
    written = [file for file in tmp_path.rglob("*") if file.is_file() and b"hunter2" in file.read_bytes()]
    assert written == []


def test_nobody_is_asked_for_a_password_where_there_is_no_terminal(
    upstream: Upstream, home: Path, cache: Paths, tmp_path: Path
) -> None:
    asked, asking = tmp_path / "asked", tmp_path / "ask"
    asking.write_text(f"#!/bin/sh\ntouch {asked}\n")
    asking.chmod(0o755)
    (home / ".gitconfig").write_text(f"[core]\n\taskPass = {asking}\n")
    with serve_http(upstream.folder.parent, LOGIN) as host, pytest.raises(SourceError, match="wants credentials"):
        take(f"http://{host}/{upstream.folder.name}", "b290", cache)
    assert not asked.exists()
