"""Nobody ever sees half of a thing."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from builder.errors import BuilderError, MachineError, SourceError
from builder.staging import disk_errors, exclusive, staged, write_whole


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
        assert waiting.wait(5)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]
    assert str(tmp_path) in said[0]


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
