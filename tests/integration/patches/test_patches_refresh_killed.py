"""A refresh as a user runs it, two at once, and a builder that is killed anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builder.errors import ExitCode, UsageError
from builder.source.patches.queue import QueuePlace
from builder.source.patches.rewrite import NewQueue, Workplace, open_queue
from tests.integration.git_server import serve
from tests.integration.patches.dying import Program, spread
from tests.integration.patches.patch_labs import edited, run_git
from tests.integration.patches.queue_labs import TEXT, QueueLab, conflicting, status, three_ways


@pytest.fixture
def lab(tmp_path: Path) -> QueueLab:
    return QueueLab.of(tmp_path)


BUILDER = (sys.executable, "-m", "builder", "patches", "refresh")
"""Run in a folder with a builder.toml."""


def beside_a_configuration(lab: QueueLab) -> Path:
    home = lab.folder.parent
    cmake = 'cmake_minimum_required(VERSION 3.14)\noption(GGML_CUDA "ggml: use CUDA" OFF)\n'
    lab.up.commit({"CMakeLists.txt": cmake.encode()}, "a tree")
    (home / "builder.toml").write_text(f'[upstream]\norigin = "file://{lab.up.git_folder}"\n[version]\nminimum = 0\n')
    return home


def run(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BUILDER, *args], check=False, cwd=home, env=environment(home), text=True, capture_output=True
    )


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "BUILDER_CACHE": str(home / "cache"), "COLUMNS": "80"}


def refreshing(home: Path, ref: str) -> Program:
    """A refresh that finds no leavings of an earlier one among the system's temporary files."""
    scratch = home / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    return Program((*BUILDER[1:], "--ref", ref), home / "deeds", home, {**environment(home), "TMPDIR": str(scratch)})


def test_as_a_user_runs_it(lab: QueueLab) -> None:
    home = beside_a_configuration(lab)
    newer = conflicting(lab)
    begun = run(home, "--ref", newer)
    assert begun.returncode == ExitCode.SOURCE, begun.stderr
    for text in ("0001-first", "0004-moved", "0002-clash.patch has to be fixed", "--continue", "conflict markers"):
        assert text in begun.stdout
    folder = Path(next(line.strip() for line in begun.stdout.splitlines() if line.startswith("  /")))
    assert status(folder) == ["UU b.c"]
    for flags, said in ((("--continue", "--skip"), "exclude"), (("--continue", "--ref", "x"), "stays on its base")):
        refused = run(home, *flags)
        assert refused.returncode == ExitCode.USAGE
        assert said in refused.stderr
    early = run(home, "--continue")
    assert early.returncode == ExitCode.SOURCE
    assert "b.c: conflict markers on lines 20, 22, 24" in early.stderr
    (folder / "b.c").write_bytes(edited(TEXT, {20: "both"}))
    assert "0003-on-it.patch has to be fixed" in run(home, "--continue").stdout
    done = run(home, "--skip")
    assert done.returncode == ExitCode.DONE
    assert "1 kept, 1 fixed, 1 left out, 1 written anew" in done.stderr
    again = run(home, "--ref", newer, "--json")
    assert json.loads(again.stdout)["changed"] is False
    assert max(map(len, begun.stdout.replace(str(folder), "").splitlines())) <= 80


def test_on_a_mirror_without_file_contents(lab: QueueLab) -> None:
    """The working tree has what it needs, and git there fetches the rest when somebody looks at it."""
    home = beside_a_configuration(lab)
    newer = conflicting(lab)
    lab.up.git("config", "uploadpack.allowFilter", "true")
    lab.up.git("config", "uploadpack.allowAnySHA1InWant", "true")
    with serve(lab.up.folder) as server:
        (home / "builder.toml").write_text(f'[upstream]\norigin = "{server.url("up.git")}"\n[version]\nminimum = 0\n')
        assert run(home, "--ref", newer).returncode == ExitCode.SOURCE
        folder = next((home / "cache" / "patches").glob("*/0002-clash"))
        assert status(folder) == ["UU b.c"]
        assert b"+line 40" in run_git(folder, "log", "--patch", "--root")
        (folder / "b.c").write_bytes(edited(TEXT, {20: "both"}))
        assert run(home, "--continue").returncode == ExitCode.SOURCE
        assert run(home, "--skip").returncode == ExitCode.DONE
    assert lab.judge(newer).standings == ["clean"] * 3


def test_two_at_once_make_one_queue(lab: QueueLab) -> None:
    home = beside_a_configuration(lab)
    newer = three_ways(lab)
    wanted = lab.judge(newer)
    both = [
        subprocess.Popen([*BUILDER, "--ref", newer], cwd=home, env=environment(home), stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[1].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted("Nothing to do" in text for text in said) == [False, True]
    assert lab.judge(newer).standings == ["clean"] * 3
    assert lab.judge(newer).judgement.tree == wanted.judgement.tree


def test_killed_at_any_deed_of_a_refresh(lab: QueueLab, tmp_path: Path) -> None:
    home = beside_a_configuration(lab)
    newer = three_ways(lab)
    shutil.copytree(lab.folder, tmp_path / "old")
    old = lab.files()
    run(home, "--ref", newer)
    new = lab.files()
    assert new != old

    def begin_again() -> Program:
        shutil.rmtree(lab.folder)
        shutil.copytree(tmp_path / "old", lab.folder)
        return refreshing(home, newer)

    ends = []
    for deed in spread(begin_again().count(), 16):
        begin_again().kill_at(deed)
        open_queue(QueuePlace(lab.folder, required=True), home / "cache" / "patches", lab.said.append)
        assert lab.files() in (old, new)
        ends.append(lab.files() == new)
    assert (ends[0], ends[-1]) == (False, True)
    assert ends == sorted(ends)
    begin_again()
    assert run(home, "--ref", newer).returncode == 0
    assert lab.files() == new


def test_killed_at_any_deed_while_a_working_tree_is_made(lab: QueueLab) -> None:
    home = beside_a_configuration(lab)
    newer = conflicting(lab)
    before = lab.files()
    run(home, "--ref", newer)
    run(home, "--abort")
    waited = set()
    for deed in spread(refreshing(home, newer).count(), 8):
        run(home, "--abort")
        refreshing(home, newer).kill_at(deed)
        assert lab.files() == before
        waits = run(home, "--ref", newer)
        waited.add("is under way" in waits.stderr)
        folder = next((home / "cache" / "patches").glob("*/0002-clash*"))
        assert "has to be fixed" in waits.stdout or "is under way" in waits.stderr
        assert status(folder) == ["UU b.c"]
        assert len(list(folder.parent.iterdir())) == 3
    assert waited == {True, False}


PUT = """
import sys
from pathlib import Path
from builder.source.patches.rewrite import NewQueue, Workplace
names = [f"{number}-x.patch" for number in range(6)]
workplace = Workplace.of(Path(sys.argv[1]), Path(sys.argv[2]))
with workplace.held(print):
    workplace.put(NewQueue({name: b"new\\n" for name in names[::2]}, "\\n".join(names[::2]).encode(), names[1::2]))
"""


def test_killed_at_every_deed_while_the_result_is_put_in_place(tmp_path: Path) -> None:
    names = [f"{number}-x.patch" for number in range(6)]
    old = dict.fromkeys(names, b"old\n") | {"series": "\n".join(names).encode()}
    new = dict.fromkeys(names[::2], b"new\n") | {"series": "\n".join(names[::2]).encode()}
    queue, place = tmp_path / "patches", tmp_path / "cache"
    program = Program(("-c", PUT, str(queue), str(place)), tmp_path / "deeds", tmp_path, dict(os.environ))

    def begin_again() -> Program:
        for folder in (queue, place):
            shutil.rmtree(folder, ignore_errors=True)
        queue.mkdir()
        for name, content in old.items():
            (queue / name).write_bytes(content)
        return program

    count = begin_again().count()
    halfway, ends = set(), []
    for deed in range(1, count + 1):
        begin_again().kill_at(deed)
        halfway.add((queue / ".rewriting").exists())
        with Workplace.of(queue, place).held(lambda _: None):
            there = {file.name: file.read_bytes() for file in queue.iterdir()}
        assert there in (old, new)
        ends.append(there == new)
    assert halfway == {True, False}
    assert (ends[0], ends[-1]) == (False, True)
    assert ends == sorted(ends)


def test_a_reader_waits_for_who_rewrites_the_queue(lab: QueueLab) -> None:
    base = lab.up.commit({"a.c": TEXT})
    for line in (5, 20):
        lab.put(f"{line}.patch", lab.up.mail(base, {"a.c": edited(TEXT, {line: "old"})}))
    new = {f"{line}.patch": lab.up.mail(base, {"a.c": edited(TEXT, {line: "new"})}) for line in (5, 20)}
    workplace = Workplace.of(lab.folder, lab.place)
    told, read = threading.Event(), []

    def reader() -> None:
        place = QueuePlace(lab.folder, required=True)
        read.append(open_queue(place, lab.place, lambda _: told.set()))

    with workplace.held(lab.said.append):
        (lab.folder / "5.patch").write_bytes(new["5.patch"])
        thread = threading.Thread(target=reader)
        thread.start()
        assert told.wait(30)
        workplace.put(NewQueue(new, lab.series.read_bytes()))
    thread.join(30)
    assert read[0].contents == tuple(new.values())


def test_what_a_person_keeps_in_the_queue_stays(lab: QueueLab) -> None:
    mine, left = lab.folder / ".new-mine", lab.folder / ".new-queue-left"
    for folder in (mine, left):
        folder.mkdir()
    with Workplace.of(lab.folder, lab.place).held(lab.said.append):
        assert [entry.name for entry in lab.folder.iterdir()] == [".new-mine"]


def test_completing_ends_the_refresh_that_was_under_way(lab: QueueLab) -> None:
    newer = conflicting(lab)
    lab.refresh(newer)
    ready = lab.folder / ".rewriting"
    (ready / "files").mkdir(parents=True)
    (ready / "series").write_bytes(b"")
    (ready / "journal.json").write_text('{"schema_version": 1, "removed": ["0001-first.patch"]}')
    with pytest.raises(UsageError, match="No refresh"):
        lab.go_on()
    assert "0001-first.patch" not in lab.files()
    assert any("in the middle of which" in text for text in lab.said)
    assert lab.patches() == ()
