"""Commits become the same patch files everywhere, and by the way to a server that a person has set up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder.errors import ExitCode
from tests.integration.git_server import serve
from tests.integration.patches.patch_labs import edited
from tests.integration.patches.queue_labs import QueueLab
from tests.integration.patches.test_patches_add import CMAKE, TEXT, on_a_branch


@pytest.fixture
def lab(tmp_path: Path) -> QueueLab:
    lab = QueueLab.of(tmp_path)
    lab.up.commit({"a.c": TEXT, "b.c": TEXT, "CMakeLists.txt": CMAKE}, "begin")
    return lab


@pytest.mark.parametrize(
    ("author", "name", "date"),
    [
        (". <dot@example.invalid> 1700000000 +0100", "dot@example.invalid", "Tue, 14 Nov 2023 23:13:20 +0100"),
        (" <> 1700000000 +0000", "unknown", "Tue, 14 Nov 2023 22:13:20 +0000"),
        ("A Person <a@example.invalid> never", "A Person", "Sat, 1 Jan 2000 00:00:00 +0000"),
        ("A Person <a@example.invalid> 4200000000 +0000", "A Person", "Sun, 4 Feb 2103 02:40:00 +0000"),
    ],
)
def test_an_author_that_git_would_not_take_any_more(lab: QueueLab, author: str, name: str, date: str) -> None:
    tree = lab.up.git("rev-parse", f"{on_a_branch(lab)}^{{tree}}").decode().strip()
    parent = lab.up.git("rev-parse", "master").decode().strip()
    committer = "C <c@example.invalid> 1700000000 +0000"
    content = f"tree {tree}\nparent {parent}\nauthor {author}\ncommitter {committer}\n\nold: one\n"
    commit = lab.up.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=content.encode())
    lab.add(commit.decode().strip())
    patch = lab.patches()[0]
    assert (patch.author or "").partition(" <")[0].strip(chr(34)) == name
    assert patch.date == date


def test_a_persons_own_way_is_taken_to_file_contents(lab: QueueLab, tmp_path: Path) -> None:
    commit = on_a_branch(lab)
    lab.up.git("config", "uploadpack.allowFilter", "true")
    lab.up.git("config", "uploadpack.allowAnySHA1InWant", "true")
    (tmp_path / "builder.toml").write_text(
        '[upstream]\norigin = "git://forge.invalid/up.git"\nref = "tip"\n[version]\nminimum = 0\n'
    )
    with serve(lab.up.folder) as server:
        way = server.url("up.git").removesuffix("up.git")
        (tmp_path / "gitconfig").write_text(f'[url "{way}"]\n\tinsteadOf = git://forge.invalid/\n')
        env = {**os.environ, "BUILDER_CACHE": str(tmp_path / "cache"), "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig")}
        command = [sys.executable, "-m", "builder", "patches", "add", commit]
        done = subprocess.run(command, check=False, cwd=tmp_path, env=env, text=True, capture_output=True)
    assert done.returncode == ExitCode.DONE, done.stderr
    assert lab.judge("master").files["b.c"].content == edited(TEXT, {7: "seven"})


UNUSUAL = """
[diff]
    noprefix = true
    context = 9
    interHunkContext = 30
    orderFile = {order}
    suppressBlankEmpty = true
    statGraphWidth = 1
    renames = copies
    external = false
[format]
    attach = mine
    headers = "X-Mine: yes\\n"
    to = somebody@example.invalid
    cc = somebody@example.invalid
    subjectPrefix = MINE
    signOff = true
    signature = mine
    thread = true
    from = Me <me@example.invalid>
    forceInBodyFrom = true
    notes = true
    numbered = true
    coverLetter = true
    useAutoBase = true
    outputDirectory = mine
[user]
    name = Me
    email = me@example.invalid
"""


def test_a_patch_is_the_same_whatever_a_person_likes(
    lab: QueueLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"z.c": edited(TEXT, {5: "five", 25: "25"}), "a.c": edited(TEXT, {1: ""}), "c.c": TEXT + b"\n\n"}
    lab.up.commit({"z.c": TEXT, "c.c": TEXT + b"\n"})
    commit = lab.up.commit(files, "x: y", branch="side", parents=["master"])
    (tmp_path / "order").write_text("z.c\n")
    (tmp_path / "gitconfig").write_text(UNUSUAL.format(order=tmp_path / "order"))
    plain = lab.add(commit).file.read_bytes()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    for file in lab.folder.iterdir():
        file.unlink()
    assert lab.add(commit).file.read_bytes() == plain
