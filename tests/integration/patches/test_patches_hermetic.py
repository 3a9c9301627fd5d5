"""Judging is the same everywhere, and leaves no trace."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from builder.errors import SourceError
from builder.process import Runner
from builder.source.patches.bench import bench_of, bench_on
from builder.source.patches.judge import judge
from builder.source.patches.patch import Patch
from builder.upstream.git import Git
from builder.upstream.repository import Repository, have_all
from tests.integration.git_server import serve
from tests.integration.patches.patch_labs import (
    LINK,
    PROGRAM,
    SUBMODULE,
    File,
    Lab,
    contents_of,
    edited,
    numbered,
    run_git,
    snapshot,
)

TEXT = numbered(40)
TOP = b"// one\n// two\n// three\n"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab")


@pytest.fixture
def base(lab: Lab) -> str:
    return lab.commit({"a.c": TEXT, "b.c": numbered(40, "other"), "d/e.c": numbered(9, "deep")}, "first")


# --- the same everywhere -----------------------------------------------------------------------------------------

HOSTILE = """
[apply]
    whitespace = fix
    ignoreWhitespace = change
[core]
    autocrlf = true
    eol = crlf
    splitIndex = true
    quotePath = true
    abbrev = 4
    attributesFile = {attributes}
    excludesFile = {excludes}
    fileMode = false
[diff]
    noprefix = true
    mnemonicPrefix = true
    external = false
    algorithm = patience
    renames = false
[merge]
    conflictStyle = diff3
    renames = false
    renormalize = true
    default = union
    directoryRenames = true
[i18n]
    commitEncoding = ISO-8859-1
    logOutputEncoding = ISO-8859-1
[log]
    follow = true
    showRoot = false
    showSignature = true
[commit]
    gpgSign = true
[init]
    defaultBranch = other
[user]
    useConfigOnly = true
"""

JUDGE = """
import json, sys
from pathlib import Path
from builder.process import Runner
from builder.source.patches.bench import bench_of, bench_on
from builder.source.patches.judge import judge
from builder.source.patches.queue import load_queue
from builder.upstream.git import Git
from builder.upstream.repository import Repository, have_all
repository, commit, queue, out = sys.argv[1:]
git = Git(Runner(), "the lab")
place = Path(repository)
opened = bench_on(Repository(git, place), commit) if commit else bench_of(place, git)
with opened as bench:
    judgement = judge(bench, load_queue(Path(queue)).patches)
    bench.write(judgement.tree, Path(out))
    made = bench.commit_tree(judgement.tree, None, "é".encode(), {"GIT_AUTHOR_NAME": "Jörg"})
details = [(status.name, status.standing, status.detail) for status in judgement.statuses]
print(json.dumps([judgement.base, judgement.tree, judgement.trees, made, details]))
"""


def test_the_tree_is_the_same_under_any_settings(lab: Lab, tmp_path: Path) -> None:
    crlf = TEXT.replace(b"\n", b"\r\n")
    files = {
        "a.c": TEXT,
        "w.c": crlf,
        "d/one.c": numbered(30, "one"),
        "d/two.c": numbered(30, "two"),
        "s.c": b"a \t\nb \n",
    }
    base = lab.commit({**files, "run": File(b"#!/bin/sh\n", PROGRAM), "l": File(b"a.c", LINK)})
    queue = tmp_path / "patches"
    queue.mkdir()
    changes: list[dict[str, bytes | File | None]] = [
        {"a.c": edited(TEXT, {20: "trailing blanks  \t"})},
        {"w.c": crlf.replace(b"line 5\r", b"f\xc3\xbcnf  \r")},
        {"d/three.c": b"three\r\n"},
        {"a.c": edited(TEXT, {30: "conflict"})},
        {"d/one.c": edited(numbered(30, "one"), {15: "fifteen"})},
        {"s.c": b"a \t\nb  \n"},
    ]
    for number, change in enumerate(changes):
        (queue / f"{number}.patch").write_bytes(lab.mail(base, change))
    (queue / "series").write_text("".join(f"{number}.patch\n" for number in range(len(changes))))
    tip = lab.commit(
        {"a.c": edited(TEXT, {18: "near", 30: "theirs"}), "d/one.c": None, "e/one.c": numbered(30, "one")}, "löse"
    )
    home = tmp_path / "home"
    home.mkdir()
    (home / "attributes").write_text("* text eol=crlf merge=union ident\n")
    (home / "excludes").write_text("*.c\n")
    (home / ".gitconfig").write_text(HOSTILE.format(attributes=home / "attributes", excludes=home / "excludes"))
    (home / ".gitattributes").write_text("* merge=union -diff\n")
    folder = tmp_path / "folder"
    lab.repository().write(tip, folder)
    plain = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    hostile = {**plain, "HOME": str(home), "TZ": "Asia/Kathmandu", "LANG": "de_DE.ISO-8859-1", "LC_ALL": "tr_TR.UTF-8"}
    hostile |= {"GIT_EXTERNAL_DIFF": "false", "GIT_AUTHOR_DATE": "now", "GIT_DIR": str(home), "GIT_INDEX_FILE": "x"}
    before = sorted(path.name for path in lab.git_folder.iterdir())
    said = {}
    for name, place, commit, env, cwd in (
        ("plain", lab.git_folder, tip, plain, tmp_path),
        ("hostile", lab.git_folder, tip, hostile, home),
        ("folder", folder, "", plain, tmp_path),
        ("hostile folder", folder, "", hostile, home),
    ):
        out = tmp_path / f"out {name}"
        command = [sys.executable, "-c", JUDGE, str(place), commit, str(queue), str(out)]
        done = subprocess.run(
            command,
            env={**env, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        said[name] = done.stdout, snapshot(out)
    assert said["plain"] == said["hostile"]
    assert said["folder"] == said["hostile folder"]
    assert said["plain"][1] != snapshot(folder)
    assert sorted(path.name for path in lab.git_folder.iterdir()) == before
    assert '"conflict"' in said["plain"][0]
    assert '"fuzzy"' in said["plain"][0]


def test_a_folder_gives_the_same_as_a_commit(lab: Lab, base: str, tmp_path: Path) -> None:
    patch = lab.patch(base, {"a.c": edited(TEXT, {20: "twenty"}), "d/new": b"x"}, "1.patch")
    tip = lab.commit({"a.c": TOP + TEXT, "l": File(b"a.c", LINK), "run": File(b"x", PROGRAM), ".gitignore": b"*\n"})
    judged = lab.judge(tip, patch)
    folder = tmp_path / "folder"
    lab.repository().write(tip, folder)
    with bench_of(folder, Git(Runner(), "a folder")) as bench:
        judgement = judge(bench, [patch])
        assert contents_of(bench, judgement.tree) == judged.files
        assert (judgement.base, judgement.tree) == (judged.judgement.base, judged.judgement.tree)
        assert judgement.statuses == judged.judgement.statuses
        assert bench.commit is None


def test_what_a_folder_holds_is_taken_byte_for_byte(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    files = {".gitattributes": b"* text eol=crlf ident\n*.u text working-tree-encoding=UTF-16\n", "a.c": b"$Id$\r\nx\n"}
    files |= {"a.u": b"plain\n", ".gitignore": b"*\n", "sub/x.o": b"\0\1", "é \t": b"x"}
    for path, content in files.items():
        (folder / path).write_bytes(content)
    with bench_of(folder, Git(Runner(), "a folder")) as bench:
        assert {path: file.content for path, file in contents_of(bench, bench.base).items()} == files
        bench.write(bench.base, tmp_path / "out")
    assert snapshot(tmp_path / "out") == snapshot(folder)


# --- repositories ------------------------------------------------------------------------------------------------


def test_nothing_is_written_to_the_repository_and_nothing_is_left(
    lab: Lab, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    patch = lab.patch(base, {"a.c": edited(TEXT, {20: "twenty"})}, "1.patch")
    tip = lab.commit({"a.c": edited(TEXT, {18: "near"})})
    before = snapshot(lab.git_folder)
    lab.git_folder.joinpath("objects").chmod(0o555)
    assert lab.judge(tip, patch).standings == ["fuzzy"]
    assert snapshot(lab.git_folder) == before
    assert list(scratch.glob("*-*/")) == []
    with pytest.raises(RuntimeError), lab.bench(tip):
        raise RuntimeError
    assert [path.name for path in scratch.iterdir()] == [f"builder-patches.{os.getuid()}.lock"]


def test_a_repository_with_an_odd_name_and_one_seen_from_its_work_tree(
    lab: Lab, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch = lab.patch(base, {"a.c": edited(TEXT, {20: "twenty"})}, "1.patch")
    tip = lab.commit({"a.c": edited(TEXT, {18: "near"})})
    odd = tmp_path / 'odd:na"me' / "work"
    run_git(tmp_path, "clone", "--quiet", str(lab.git_folder), str(odd))
    (odd / ".gitattributes").write_text("* -merge -diff\n")
    linked = tmp_path / "linked"
    run_git(odd, "worktree", "add", "--quiet", "--detach", str(linked))
    for place in (odd / ".git", linked / ".git"):
        monkeypatch.chdir(place.parent)
        with bench_on(Repository(Git(Runner(), "odd"), Path(".git")), tip) as bench:
            assert [status.detail for status in judge(bench, [patch]).statuses] == ["by three-way merge"]


class Partial:
    """A clone without file contents of a served lab, and what it asks its server for."""

    def __init__(self, url: str, place: Path) -> None:
        run_git(place.parent, "clone", "--quiet", "--bare", "--filter=blob:none", url, str(place))
        self.trace = place.parent / "trace"
        self.repository = Repository(Git(Runner(), "partial", (), (), {"GIT_TRACE2_EVENT": str(self.trace)}), place)
        self.ensured: list[Sequence[str]] = []

    def fetch(self, blobs: Sequence[str]) -> None:
        """Have blobs fetched into the clone, all at once."""
        self.ensured.append(blobs)
        folder, data = self.repository.folder, "".join(f"{blob}\n" for blob in blobs).encode()
        options = ("--no-tags", "--no-write-fetch-head", "--filter=blob:none", "--stdin")
        run_git(folder, "-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "origin", *options, stdin=data)

    @property
    def fetches(self) -> int:
        """How often git itself fetched what was missing."""
        text = self.trace.read_text() if self.trace.exists() else ""
        return sum('"event":"start"' in line and '"fetch","origin"' in line for line in text.splitlines())


@pytest.fixture
def served(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path / "served")
    lab.git("config", "uploadpack.allowFilter", "true")
    lab.git("config", "uploadpack.allowAnySHA1InWant", "true")
    return lab


def patches_to_merge(lab: Lab) -> tuple[str, list[Patch]]:
    """Ten patches with abbreviated names, on contents that have been changed since; and the tip."""
    files = {f"{number}.c": numbered(40, f"file {number} line") for number in range(10)}
    base = lab.commit(dict(files))
    patches: list[Patch] = [
        lab.patch(base, {path: edited(content, {20: "twenty"})}, f"{path}.patch", "--abbrev=7")
        for path, content in files.items()
    ]
    return lab.commit({path: edited(content, {18: "near", 1: "first"}) for path, content in files.items()}), patches


@pytest.mark.parametrize("ahead", [False, True])
def test_a_partial_clone_merges_what_it_does_not_hold(served: Lab, tmp_path: Path, ahead: bool) -> None:
    tip, patches = patches_to_merge(served)
    with serve(served.folder) as server:
        partial = Partial(server.url("up.git"), tmp_path / "partial.git")
        objects = snapshot(partial.repository.folder)
        with bench_on(partial.repository, tip, partial.fetch if ahead else have_all) as bench:
            judgement = judge(bench, patches)
            files = contents_of(bench, judgement.tree)
        if not ahead:
            assert snapshot(partial.repository.folder) == objects
    assert [status.detail for status in judgement.statuses] == ["by three-way merge"] * 10
    assert files["3.c"].content == edited(numbered(40, "file 3 line"), {1: "first", 18: "near", 20: "twenty"})
    if ahead:
        assert len(partial.ensured) == 1
        assert partial.fetches == 0
    else:
        assert 1 <= partial.fetches <= 20


def test_what_is_written_out_stays_for_the_next_time(served: Lab, tmp_path: Path) -> None:
    tip, patches = patches_to_merge(served)
    tip = served.commit({"module": File(tip.encode(), SUBMODULE)})
    with serve(served.folder) as server:
        partial = Partial(server.url("up.git"), tmp_path / "partial.git")
        with bench_on(partial.repository, tip, partial.fetch) as bench:
            bench.write(judge(bench, patches[:1]).tree, tmp_path / "out")
    assert partial.fetches == 0
    with bench_on(partial.repository, tip) as bench:
        bench.write(bench.base, tmp_path / "again")
    assert len(snapshot(tmp_path / "again")) == 10


def test_what_cannot_be_fetched_is_no_conflict(served: Lab, tmp_path: Path) -> None:
    tip, patches = patches_to_merge(served)
    with serve(served.folder) as server:
        partial = Partial(server.url("up.git"), tmp_path / "partial.git")
    with bench_on(partial.repository, tip) as bench:
        with pytest.raises(SourceError):
            bench.apply(bench.base, patches[0].diff)
        with pytest.raises(SourceError):
            judge(bench, patches)
    shutil.rmtree(served.folder)
