"""A patch is added from a file, a commit, or a pull request of a real git server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.errors import ExitCode, SourceError, UsageError
from builder.process import Runner
from builder.source.patches.add import NotAdded, add
from builder.source.patches.bench import Bench, bench_of
from builder.source.patches.patch import BadPatch
from builder.source.patches.status import Standing
from builder.upstream.git import Git, Unreachable
from builder.upstream.revision import Revision
from tests.integration.git_server import Server, serve
from tests.integration.patches.patch_labs import PROGRAM, File, Lab, edited, numbered, run_git
from tests.integration.patches.queue_labs import QueueLab

TEXT = numbered(40)
CMAKE = b'cmake_minimum_required(VERSION 3.14)\noption(GGML_CUDA "ggml: use CUDA" OFF)\n'


@pytest.fixture
def lab(tmp_path: Path) -> QueueLab:
    lab = QueueLab.of(tmp_path)
    lab.up.commit({"a.c": TEXT, "b.c": TEXT, "CMakeLists.txt": CMAKE}, "begin")
    return lab


def saved(lab: QueueLab, content: bytes, name: str = "x.patch") -> Path:
    file = lab.folder.parent / name
    file.write_bytes(content)
    return file


def change(lab: QueueLab, line: int = 5, message: str = "CUDA: fix x", base: str = "master") -> bytes:
    return lab.up.mail(base, {"a.c": edited(TEXT, {line: "changed"})}, message=message)


# --- from a file -------------------------------------------------------------------------------------------------


def test_a_file_becomes_the_last_of_the_queue(lab: QueueLab) -> None:
    first, second = change(lab), change(lab, 20, "server : do y (#123)")
    added = lab.add(saved(lab, first))
    assert added.file == lab.folder / "0001-cuda-fix-x.patch"
    assert (added.status.standing, added.status.name) == (Standing.CLEAN, "0001-cuda-fix-x.patch")
    lab.series.write_bytes(lab.series.read_bytes().rstrip(b"\n"))
    lab.add(saved(lab, second))
    assert lab.series.read_text().startswith("# ")
    assert lab.series.read_text().endswith("0001-cuda-fix-x.patch\n0002-server-do-y.patch\n")
    assert lab.files()["0001-cuda-fix-x.patch"] == first
    assert lab.files()["0002-server-do-y.patch"] == second
    assert lab.judge("master").standings == ["clean", "clean"]


def test_the_folder_is_made_where_there_is_none(lab: QueueLab) -> None:
    lab.folder.rmdir()
    lab.add(saved(lab, change(lab)))
    assert sorted(lab.files()) == ["0001-cuda-fix-x.patch", "series"]


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("größer: ein Naïve-Café ☃", "0004-grosser-ein-naive-cafe.patch"),
        ("☃☃☃", "0004-patch.patch"),
        ("word " * 40, f"0004{'-word' * 10}.patch"),
        ("x" * 300, f"0004-{'x' * 49}.patch"),
        ("../../etc/passwd", "0004-etc-passwd.patch"),
        ("series", "0004-series.patch"),
        ("fix (PR #7)", "0004-fix.patch"),
    ],
)
def test_names_are_short_and_plain(lab: QueueLab, subject: str, name: str) -> None:
    (lab.folder / "0003-left-out.patch").write_bytes(b"")
    (lab.folder / "20260101-notes.txt").write_bytes(b"")
    added = lab.add(saved(lab, change(lab, message=subject)))
    assert added.file.name == name
    assert len(added.file.name) <= 60


def test_a_bare_diff_is_named_by_its_file(lab: QueueLab) -> None:
    mail = change(lab)
    file = saved(lab, mail[mail.index(b"diff --git") :], "0017-My Fix.diff")
    assert lab.add(file).file.name == "0001-my-fix.patch"


def test_a_file_that_was_converted_is_converted_back(lab: QueueLab) -> None:
    mail = change(lab)
    lab.add(saved(lab, mail.replace(b"\n", b"\r\n")))
    assert lab.files()["0001-cuda-fix-x.patch"] == mail


def test_a_diff_of_a_file_with_such_line_ends_keeps_them(lab: QueueLab) -> None:
    base = lab.up.commit({"w.txt": TEXT.replace(b"\n", b"\r\n")})
    mail = lab.up.mail(base, {"w.txt": edited(TEXT, {5: "x"}).replace(b"\n", b"\r\n")})
    added = lab.add(saved(lab, mail))
    assert added.file.read_bytes() == mail


@pytest.mark.parametrize("content", [b"", b"# just text\n", b"From: a\nSubject: b\n\nno change\n", b"\0\1\2"])
def test_what_is_no_patch_is_refused(lab: QueueLab, content: bytes) -> None:
    with pytest.raises(BadPatch):
        lab.add(saved(lab, content))
    assert lab.files() == {}


def test_a_patch_that_leaves_the_tree_is_refused(lab: QueueLab) -> None:
    with pytest.raises(BadPatch, match="not inside"):
        lab.add(saved(lab, change(lab).replace(b"b/a.c", b"b/../a.c")))
    assert lab.files() == {}


def test_a_file_that_is_not_there_is_no_commit(lab: QueueLab) -> None:
    for target in ("./nothing", "nothing.patch", "/nowhere/x", "~/nothing-there"):
        with pytest.raises(UsageError, match="There is no file"):
            lab.add(target)


def test_a_change_that_the_queue_has_is_refused(lab: QueueLab) -> None:
    base = lab.up.git("rev-parse", "master").decode().strip()
    lab.add(saved(lab, change(lab)))
    lab.up.commit({"a.c": b"// on top\n" + TEXT})
    before = lab.files()
    moved = lab.up.mail("master", {"a.c": b"// on top\n" + edited(TEXT, {5: "changed"})}, message="other words")
    for content in (moved, change(lab, base=base)):
        with pytest.raises(NotAdded, match=r"as 0001-cuda-fix-x\.patch"):
            lab.add(saved(lab, content), force=True)
    assert lab.files() == before


def test_binary_changes_of_one_file_are_told_apart(lab: QueueLab) -> None:
    base = lab.up.commit({"a.bin": b"\0one" * 50})
    first = lab.up.mail(base, {"a.bin": b"\0two" * 50}, message="two")
    second = lab.up.mail(lab.up.made(), {"a.bin": b"\0three" * 50}, message="three")
    lab.add(saved(lab, first))
    with pytest.raises(NotAdded, match="0001-two"):
        lab.add(saved(lab, first))
    lab.add(saved(lab, second))
    assert lab.judge("master").files["a.bin"].content == b"\0three" * 50


def test_a_change_that_upstream_has_is_refused_with_its_commit(lab: QueueLab) -> None:
    mail = change(lab)
    lab.up.commit({"a.c": edited(TEXT, {5: "changed"})}, "CUDA: fix x (#999)")
    lab.up.commit({"b.c": b"later\n"})
    with pytest.raises(NotAdded, match=r"since b2: CUDA: fix x \(#999\)"):
        lab.add(saved(lab, mail), force=True)
    assert lab.files() == {}


def test_what_does_not_apply_is_refused_unless_forced(lab: QueueLab) -> None:
    mail = change(lab)
    lab.up.commit({"a.c": edited(TEXT, {5: "upstream's"})})
    with pytest.raises(NotAdded, match=r"a\.c: hunk #1 of 1") as refusal:
        lab.add(saved(lab, mail))
    assert "--force" in refusal.value.remedy
    assert lab.files() == {}
    assert lab.add(saved(lab, mail), force=True).status.standing is Standing.CONFLICT
    assert lab.files()["0001-cuda-fix-x.patch"] == mail


def test_it_is_tried_behind_the_queue(lab: QueueLab) -> None:
    lab.add(saved(lab, change(lab)))
    second = lab.up.mail("master", {"a.c": edited(TEXT, {5: "otherwise"})}, message="otherwise")
    with pytest.raises(NotAdded, match=r"0001-cuda-fix-x\.patch"):
        lab.add(saved(lab, second))


def test_nothing_is_added_while_a_refresh_waits(lab: QueueLab) -> None:
    lab.put("0001-x.patch", change(lab))
    newer = lab.up.commit({"a.c": edited(TEXT, {5: "upstream's"})})
    lab.refresh(newer)
    with pytest.raises(UsageError, match="under way"):
        lab.add(saved(lab, change(lab, 20, base="master~1")))


# --- from a commit -----------------------------------------------------------------------------------------------


def on_a_branch(lab: QueueLab, message: str = "llama : better\n\nBecause.\n") -> str:
    """A commit beside the default branch, by somebody with a name of his own."""
    tip = lab.up.git("rev-parse", "master").decode().strip()
    lab.up.commit({"b.c": edited(TEXT, {7: "seven"})}, message, branch="side", parents=[tip])
    tree = lab.up.git("rev-parse", "side^{tree}").decode().strip()
    person = ("-c", "user.name=Jürgen Müller", "-c", "user.email=j@example.invalid")
    made = lab.up.git(*person, "commit-tree", "-p", tip, "-F", "-", tree, stdin=message.encode()).decode().strip()
    lab.up.git("update-ref", "refs/heads/side", made)
    return made


@pytest.mark.parametrize("how", ["whole", "abbreviated", "branch", "tag"])
def test_a_commit_of_upstream(lab: QueueLab, how: str) -> None:
    commit = on_a_branch(lab)
    lab.up.git("tag", "experiment", commit)
    added = lab.add({"whole": commit, "abbreviated": commit[:8], "branch": "side", "tag": "experiment"}[how])
    assert added.file.name == "0001-llama-better.patch"
    patch = lab.patches()[0]
    assert patch.author == "Jürgen Müller <j@example.invalid>"
    assert patch.subject == "llama : better"
    assert patch.body == f"Because.\n\n(cherry picked from commit {commit})"
    assert lab.judge("master").files["b.c"].content == edited(TEXT, {7: "seven"})


def test_a_message_that_looks_like_a_diff_is_told_from_one(lab: QueueLab) -> None:
    message = "x: y\n\nAs in\n---\ndiff --git a/evil b/evil\n--- a/evil\n+++ b/evil\n@@ -1 +1 @@\n-a\n+b\n"
    lab.add(on_a_branch(lab, message))
    assert lab.patches()[0].paths == ("b.c",)
    assert lab.judge("master").standings == ["clean"]


def test_a_message_that_quotes_the_head_of_a_mail(lab: QueueLab) -> None:
    quoted = f"From {'1' * 40} Mon Sep 17 00:00:00 2001\nFrom: somebody"
    lab.add(on_a_branch(lab, f"x: y\n\n{quoted}\n"))
    assert "Mon Sep 17" in lab.patches()[0].body


def test_several_mails_are_several_patches(lab: QueueLab, tmp_path: Path) -> None:
    change(lab, 5, "one")
    lab.up.commit({"a.c": edited(TEXT, {5: "changed", 20: "too"})}, "two", branch="work")
    both = lab.up.git("format-patch", "-2", "--stdout", "work")
    file = saved(lab, both)
    with pytest.raises(BadPatch, match="holds 2 mails") as refusal:
        lab.add(file)
    assert "git mailsplit -oFOLDER FILE" in refusal.value.remedy
    assert lab.files() == {}
    (tmp_path / "split").mkdir()
    run_git(tmp_path, "mailsplit", f"-o{tmp_path / 'split'}", str(file))
    for part in sorted((tmp_path / "split").iterdir()):
        lab.add(part)
    assert list(lab.files()) == ["0001-one.patch", "0002-two.patch", "series"]


def test_a_merge_is_what_it_brought(lab: QueueLab) -> None:
    tip = lab.up.git("rev-parse", "master").decode().strip()
    one = lab.up.commit({"b.c": edited(TEXT, {7: "seven"})}, "one", branch="side", parents=[tip])
    two = lab.up.commit({"new.c": b"new\n"}, "two", branch="side")
    assert one != two
    merge = lab.up.commit(
        {"b.c": edited(TEXT, {7: "seven"}), "new.c": b"new\n"}, "Merge side", branch="next", parents=[tip, two]
    )
    lab.add(merge)
    assert lab.patches()[0].paths == ("b.c", "new.c")


def test_a_commit_that_is_not_there_names_the_nearest(lab: QueueLab) -> None:
    lab.up.git("tag", "experiment", on_a_branch(lab))
    with pytest.raises(SourceError, match="`experimnt`") as refusal:
        lab.add("experimnt")
    assert "experiment" in refusal.value.remedy


@pytest.mark.parametrize("target", ["a..b", "--output=x", "x^", "a b", ""])
def test_what_is_no_name_reaches_no_command(lab: QueueLab, target: str) -> None:
    with pytest.raises(UsageError):
        lab.add(target)


def test_a_source_without_a_history_gives_no_commits(lab: QueueLab, tmp_path: Path) -> None:
    tree = tmp_path / "unpacked"
    tree.mkdir()
    (tree / "a.c").write_bytes(TEXT)

    @contextmanager
    def opened(_: str | None) -> Iterator[tuple[Bench, Revision]]:
        with bench_of(tree, Git(Runner(), "a folder")) as bench:
            yield bench, Revision(None, None, None, None, "a folder", "a folder")

    def added(target: str) -> Path:
        return add(lab.folder, lab.place, target, opened, lab.said.append, force=False).file

    with pytest.raises(UsageError, match="no git repository") as refusal:
        added("b10991")
    with pytest.raises(UsageError, match="no git repository") as refusal:
        added("https://host/o/r/pull/7/files")
    assert "https://host/o/r/pull/7.patch" in refusal.value.remedy
    assert added(str(saved(lab, change(lab)))).exists()


# --- from a pull request -----------------------------------------------------------------------------------------


@pytest.fixture
def server(lab: QueueLab) -> Iterator[Server]:
    with serve(lab.up.folder) as server:
        yield server


def request(up: Lab, number: int = 7, prefix: str = "pull") -> str:
    """Two commits on a branch that took in the default branch between them; also a mode and a binary file."""
    fork = up.git("rev-parse", "master").decode().strip()
    one = {"a.c": edited(TEXT, {5: "five"}), "data.bin": bytes(range(256))}
    up.commit(one, "CUDA: fix x\n\nIts own words.", branch="topic", parents=[fork])
    newer = up.commit({"b.c": edited(TEXT, {30: "thirty"})}, "meanwhile")
    up.commit({**one, "b.c": edited(TEXT, {30: "thirty"})}, "Merge master", branch="topic", parents=["topic", newer])
    head = up.commit({"run.sh": File(b"#!/bin/sh\n", PROGRAM)}, "review: a script", branch="topic")
    up.git("update-ref", f"refs/{prefix}/{number}/head", head)
    up.git("update-ref", "-d", "refs/heads/topic")
    up.commit({"later.c": b"later\n"}, "after it")
    return head


@pytest.mark.parametrize("suffix", ["", "/files", "/commits", "#discussion"])
def test_a_pull_request_is_one_patch_as_its_squash_merge(lab: QueueLab, server: Server, suffix: str) -> None:
    request(lab.up)
    url = server.url("up.git") + "/pull/7"
    added = lab.add(url + suffix)
    assert added.file.name == "0001-cuda-fix-x.patch"
    patch = lab.patches()[0]
    assert patch.subject == "CUDA: fix x (PR #7)"
    assert patch.author == "A Person <person@example.invalid>"
    assert patch.body == f"* CUDA: fix x\n* review: a script\n\n{url}"
    assert patch.paths == ("a.c", "data.bin", "run.sh")
    files = lab.judge("master").files
    assert files["a.c"].content == edited(TEXT, {5: "five"})
    assert files["data.bin"].content == bytes(range(256))
    assert files["run.sh"].mode == PROGRAM
    assert files["b.c"].content == edited(TEXT, {30: "thirty"})


def test_a_request_of_one_commit_keeps_its_message(lab: QueueLab, server: Server) -> None:
    head = lab.up.commit({"a.c": edited(TEXT, {5: "five"})}, "one: x\n\nWhy.", branch="topic", parents=["master"])
    lab.up.git("update-ref", "refs/merge-requests/12/head", head)
    url = server.url("up.git") + "/-/merge_requests/12"
    lab.add(url)
    patch = lab.patches()[0]
    assert (patch.subject, patch.body) == ("one: x (MR !12)", f"Why.\n\n{url}")


def test_a_commit_by_its_address(lab: QueueLab, server: Server) -> None:
    commit = on_a_branch(lab)
    lab.add(f"{server.url('up.git')}/commit/{commit[:10]}")
    assert lab.patches()[0].subject == "llama : better"


def test_another_repository_leaves_upstreams_as_it_was(lab: QueueLab, server: Server, tmp_path: Path) -> None:
    run_git(tmp_path, "clone", "--quiet", "--bare", str(lab.up.git_folder), str(tmp_path / "fork.git"))
    run_git(tmp_path / "fork.git", "fetch", "--quiet", str(lab.up.git_folder), "master")
    fork = tmp_path / "fork.git"
    blob = run_git(fork, "hash-object", "-w", "--stdin", stdin=edited(TEXT, {5: "five"})).decode().strip()
    listed = (
        run_git(fork, "ls-tree", "master")
        .decode()
        .replace(run_git(fork, "rev-parse", "master:a.c").decode().strip(), blob, 1)
    )
    tree = run_git(fork, "mktree", stdin=listed.encode()).decode().strip()
    person = ("-c", "user.name=F", "-c", "user.email=f@example.invalid")
    made = run_git(fork, *person, "commit-tree", tree, "-p", "master", "-m", "fork: x").decode().strip()
    run_git(fork, "update-ref", "refs/pull/3/head", made)
    before = state(lab.up)
    lab.add(server.url("fork.git") + "/pull/3")
    assert lab.patches()[0].subject == "fork: x (PR #3)"
    assert state(lab.up) == before
    with pytest.raises(UsageError, match="abbreviated"):
        lab.add(f"{server.url('fork.git')}/commit/{made[:10]}")
    with pytest.raises(NotAdded, match="0001-fork-x"):
        lab.add(f"{server.url('fork.git')}/commit/{made}")


def state(up: Lab) -> object:
    """Names and objects of a repository."""
    files = sorted(str(file) for file in up.git_folder.rglob("*") if file.is_file())
    return files, up.git("for-each-ref")


def test_a_request_that_is_not_there(lab: QueueLab, server: Server) -> None:
    with pytest.raises(SourceError, match="has no PR #8"):
        lab.add(server.url("up.git") + "/pull/8")


@pytest.mark.parametrize("way", ["git@HOST:o/r.git", "ssh://git@HOST/o/r", "https://HOST:443/o/r.git/"])
def test_upstreams_own_way_is_taken_to_its_requests(lab: QueueLab, server: Server, way: str) -> None:
    """The address has none of the credentials that the configuration may hold."""
    request(lab.up)
    mapped = way.replace("HOST", "forge.invalid")
    lab.up.git("config", "remote.origin.url", mapped)
    lab.up.git("config", f"url.{server.url('up.git')}.insteadOf", mapped)
    lab.add("https://forge.invalid/o/r/pull/7/files")
    assert lab.patches()[0].body.endswith("https://forge.invalid/o/r/pull/7")


def test_a_request_that_was_merged_already(lab: QueueLab, server: Server) -> None:
    lab.up.git("update-ref", "refs/pull/7/head", "master")
    with pytest.raises(SourceError, match="no change"):
        lab.add(server.url("up.git") + "/pull/7")


def test_a_request_without_a_common_history(lab: QueueLab, server: Server) -> None:
    tree = lab.up.git("rev-parse", "master^{tree}").decode().strip()
    person = ("-c", "user.name=F", "-c", "user.email=f@example.invalid")
    lab.up.git("update-ref", "refs/pull/7/head", lab.up.git(*person, "commit-tree", tree, "-m", "x").decode().strip())
    with pytest.raises(SourceError, match="shares no history"):
        lab.add(server.url("up.git") + "/pull/7")


@pytest.mark.parametrize("host", ["127.0.0.1:99999", "[::1", "no-such-host.invalid"])
def test_an_impossible_address_is_one_line(lab: QueueLab, host: str) -> None:
    lab.up.git("config", "remote.origin.url", "git@host:o/r.git")
    with pytest.raises(SourceError) as refusal:
        lab.add(f"http://{host}/o/r/pull/7")
    assert "\n" not in refusal.value.cause


@pytest.mark.parametrize("scheme", ["git", "http"])
def test_a_server_that_does_not_answer_is_named_without_the_password(lab: QueueLab, scheme: str) -> None:
    with pytest.raises(Unreachable) as refusal:
        lab.add(f"{scheme}://me:hunter2-secret@127.0.0.1:1/o/r/pull/7")
    assert "127.0.0.1:1/o/r" in refusal.value.cause
    assert "hunter2" not in refusal.value.cause + refusal.value.remedy


def test_as_a_user_adds_it_from_a_mirror_without_file_contents(lab: QueueLab, server: Server, tmp_path: Path) -> None:
    request(lab.up)
    lab.up.git("config", "uploadpack.allowFilter", "true")
    lab.up.git("config", "uploadpack.allowAnySHA1InWant", "true")
    (tmp_path / "builder.toml").write_text(
        f'[upstream]\norigin = "{server.url("up.git")}"\nref = "tip"\n[version]\nminimum = 0\n'
    )
    env = {**os.environ, "BUILDER_CACHE": str(tmp_path / "cache"), "COLUMNS": "80"}
    command = [sys.executable, "-m", "builder", "patches", "add", server.url("up.git") + "/pull/7", "--json"]
    done = subprocess.run(command, check=False, cwd=tmp_path, env=env, text=True, capture_output=True)
    assert done.returncode == ExitCode.DONE, done.stderr
    assert json.loads(done.stdout)["patch"]["standing"] == "clean"
    mirror = next((tmp_path / "cache" / "mirrors").glob("*.git"))
    assert b"refs/pull" not in run_git(mirror, "for-each-ref")
    assert lab.judge("master").files["a.c"].content == edited(TEXT, {5: "five"})
    again = subprocess.run(command, check=False, cwd=tmp_path, env=env, text=True, capture_output=True)
    assert again.returncode == ExitCode.SOURCE
    assert "0001-cuda-fix-x.patch" in again.stderr
