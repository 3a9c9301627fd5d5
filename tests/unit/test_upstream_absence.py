"""What is remembered of servers that were waited for in vain, and what a git command that fails means."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from builder.errors import BuilderError, MachineError
from builder.process import CommandTimeout, Completed, Runner
from builder.upstream.absence import Absence
from builder.upstream.git import Damaged, Failed, Git, Unreachable
from builder.upstream.leftovers import discard


def wait_in_vain(seconds: float) -> None:
    time.sleep(seconds)
    raise Unreachable("It did not answer.", "Wait.")


@pytest.mark.parametrize(("age", "remembered"), [(0, True), (300, True), (700, False), (-3600, False)])
def test_an_absence_is_remembered_for_a_while(tmp_path: Path, age: float, remembered: bool) -> None:
    absence = Absence.of(tmp_path / "x.git")
    absence.check()
    absence.mark.write_text("It did not answer.")
    os.utime(absence.mark, (time.time() - age,) * 2)
    if remembered:
        with pytest.raises(Unreachable, match=r"It did not answer \(asked .* ago\)\."):
            absence.check()
    else:
        absence.check()


def test_only_a_server_that_kept_its_caller_waiting_is_remembered(tmp_path: Path) -> None:
    absence = Absence(tmp_path / "x.unreachable", patience=0.1)
    with pytest.raises(Unreachable), absence.noting():
        wait_in_vain(0)
    assert not absence.mark.exists()
    with pytest.raises(Unreachable), absence.noting():
        wait_in_vain(0.2)
    with pytest.raises(Unreachable):
        absence.check()
    with absence.noting():
        pass
    assert not absence.mark.exists()


@pytest.mark.parametrize("fails", [True, False])
def test_a_mark_that_cannot_be_written_hides_nothing(tmp_path: Path, fails: bool) -> None:
    absence = Absence(tmp_path / "x.unreachable", patience=0.1)
    absence.mark.mkdir()
    absence.check()
    if not fails:
        with absence.noting():
            pass
        return
    with pytest.raises(Unreachable, match="It did not answer"), absence.noting():
        wait_in_vain(0.2)


LAZY = "fatal: unable to connect\nfatal: could not fetch 12 from promisor remote"


@pytest.mark.parametrize(
    ("args", "said", "kind"),
    [
        (("ls-remote", "--", "git://h/x"), "fatal: unable to connect", Unreachable),
        (("--git-dir=/m", "fetch", "x"), "fatal: strange", Unreachable),
        (("env", "-u", "GIT_DIR", "git", "clone", "x"), "fatal: strange", Unreachable),
        (("--git-dir=/m", "read-tree", "HEAD"), LAZY, Unreachable),
        (("--git-dir=/m", "read-tree", "HEAD"), "fatal: strange", Failed),
        (("-C", "fetch", "status"), "fatal: strange", Failed),
        (("--git-dir=/m", "rev-parse", "fetch"), "fatal: strange", Failed),
        (("--git-dir=/m", "gc"), "fatal: bad object 12", Damaged),
        (("clone", "x"), "fatal: cannot mkdir /m/x.git: Permission denied", MachineError),
        (("fetch", "x"), "error: Unable to create '/m/a b.lock': Read-only file system", MachineError),
        (("fetch", "x"), "remote: fatal: cannot open /x: Permission denied\nfatal: strange", Unreachable),
        (("fetch", "x"), 'Load key "/h/.ssh/id": Permission denied\na@h: Permission denied (publickey).', Unreachable),
        (("--git-dir=/m", "gc"), "fatal: No space left on device", MachineError),
    ],
)
def test_only_what_asks_a_server_finds_it_out_of_reach(
    args: tuple[str, ...], said: str, kind: type[BuilderError]
) -> None:
    command = args if "git" in args else ("git", *args)
    assert type(Git(Runner(), "x").explained(Completed(command, 128, "", said, 0.1))) is kind


def test_a_command_of_this_machine_that_takes_too_long_is_no_absence() -> None:
    with pytest.raises(CommandTimeout):
        Git(Runner(grace=0.1), "x", (("alias.hang", "!sleep 9"),)).read("hang", timeout=0.2)


def test_what_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "tmp_pack_1", tmp_path / "tmp_pack_2"
    ours.touch()
    with theirs.open("wb"):
        discard({ours, theirs, tmp_path / "gone"})
        assert sorted(tmp_path.iterdir()) == [theirs]
    discard({theirs})
    assert list(tmp_path.iterdir()) == []
