"""Nobody ever sees half of a thing."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builder.errors import BuilderError, MachineError, SourceError
from builder.staging import disk_errors, exclusive, scratch, staged, sweep, write_whole


def _ignore(_text: str) -> None:
    return


def test_whatever_ends_the_making_leaves_nothing(tmp_path: Path) -> None:
    def make() -> None:
        with staged(tmp_path) as scratch:
            (scratch / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make()
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_the_dead_are_swept_and_others_stay(tmp_path: Path) -> None:
    for name in (".new-a-1", ".new-b-1", "kept"):
        (tmp_path / name).mkdir()
    with staged(tmp_path, "a-"):
        assert not (tmp_path / ".new-a-1").exists()
    assert {path.name for path in tmp_path.iterdir()} == {".new-b-1", "kept"}


def test_the_second_waits_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    order: list[str] = []
    waiting = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        waiting.set()

    def second() -> None:
        with exclusive(tmp_path / ".lock", say):
            order.append("second")

    with exclusive(tmp_path / ".lock", _ignore):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(60)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]
    assert str(tmp_path) in said[0]


def test_what_a_program_left_running_holds_no_lock_of_a_block_that_is_done(tmp_path: Path) -> None:
    said: list[str] = []
    with exclusive(tmp_path / ".lock", said.append) as lock:
        left = subprocess.Popen(["sleep", "5"], pass_fds=(lock,))
    with exclusive(tmp_path / ".lock", said.append):
        pass
    left.kill()
    left.wait()
    assert said == []


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, MachineError),
        (errno.EDQUOT, MachineError),
        (errno.EROFS, MachineError),
        (errno.EIO, MachineError),
        (errno.ENAMETOOLONG, SourceError),
    ],
)
def test_system_errors_are_explained(tmp_path: Path, number: int, kind: type[BuilderError]) -> None:
    with pytest.raises(kind), disk_errors(tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path))


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "f", b"old")
    write_whole(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_scratch_of_the_dead_goes_and_that_of_the_living_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, foreign = tmp_path / "test-dead", tmp_path / "test-unlocked"
    for folder in (dead, foreign):
        folder.mkdir()
    (dead / "in-use").touch()
    with scratch("test") as (first, _):
        assert not dead.exists()
        assert foreign.exists(), "nothing says that it is one of ours"
        with scratch("test") as (second, _):
            assert first.is_dir()
            assert second != first
    assert sorted(tmp_path.glob("test-*")) == [foreign]
    assert (tmp_path / f"test.{os.getuid()}.lock").stat().st_mode & 0o777 == 0o600


LEAVING = """
import os, subprocess
from builder.staging import scratch
with scratch("test") as (_, lock):
    subprocess.Popen(["cat"], pass_fds=[lock])
    os._exit(0)
"""


def test_scratch_is_kept_for_a_program_that_outlives_its_builder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    command = [sys.executable, "-c", LEAVING]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}, stdin=subprocess.PIPE) as builder:
        assert builder.wait(30) == 0
        (left,) = tmp_path.glob("test-*")
        with scratch("test"):
            assert left.is_dir()
    with exclusive(left / "in-use", _ignore):
        pass
    with scratch("test"):
        assert not left.exists()


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"test.{os.getuid()}.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BuilderError), scratch("test"):
        pass
    assert not (tmp_path / "elsewhere").exists()


LIVING = """
from builder.staging import scratch
for _ in range(300):
    with scratch("test") as (folder, _):
        (folder / "mine").touch()
        assert (folder / "in-use").exists() and (folder / "mine").exists()
"""


def test_many_at_once_do_not_take_each_others_scratch(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", LIVING]
    living = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(4)]
    said = [process.communicate(timeout=60)[1].decode() for process in living]
    assert [process.returncode for process in living] == [0] * 4, said
    assert list(tmp_path.glob("test-*")) == []


def test_files_that_were_not_finished_are_swept_too(tmp_path: Path) -> None:
    (tmp_path / ".new-abc").write_text("half")
    (tmp_path / ".new-link").symlink_to(tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
