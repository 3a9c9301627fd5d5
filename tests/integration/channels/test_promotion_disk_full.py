"""A promotion whose disk becomes full just where it hurts most: the ledger's, and that of the run's own logs."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.engine.client import Engine
from builder.errors import ExitCode
from builder.process import Runner
from tests.integration.channels.adopting import OURS, Machine, machine
from tests.integration.channels.faulty_proxy import Fault, Proxy, drop, faulty
from tests.integration.channels.steered import Ended, Run, Steered, steered

REFUSED, PARTLY = int(ExitCode.NOTHING_MOVED), int(ExitCode.MOVED_PARTLY)
SIZE = 6 << 20
"""Bytes of the small disk."""
MARKS = 16
"""Marks of a promotion: each step is begun and done."""
UNRECORDED = "The record of commands"


@dataclass
class Disk:
    """A small file system."""

    folder: Path

    def fill(self) -> None:
        """Leave no byte free, not even in the last block of what grows."""
        for size, file in ((4096, self.folder / "filler"), *((1, log) for log in self.folder.glob("cache/logs/*/*"))):
            with file.open("ab", buffering=0) as stream, until_full():
                for _ in range(SIZE):
                    stream.write(b"\n" * size)
                raise AssertionError(f"{file} takes all that is written to it")

    def empty(self) -> None:
        """Have room again."""
        (self.folder / "filler").unlink()


@contextmanager
def until_full() -> Iterator[None]:
    """End a block where a disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


@dataclass
class Place:
    """A machine that adopts something already, and whose ledger and logs are on a small disk."""

    made: Machine
    proxy: Proxy
    driver: Steered
    disk: Disk

    def promote(self, number: int) -> tuple[Run, str]:
        """Begin to promote an image up to a mark; gives what is to be adopted, too."""
        stop = {"file": "promotions.py", "function": "mark", "kind": "return", "nth": number}
        return self._start(stop)

    def promote_until_planned(self) -> tuple[Run, str]:
        """Begin to promote an image until its moves are to be written down."""
        return self._start({"file": "promotions.py", "function": "plan", "kind": "call", "nth": 1})

    def again(self, *words: str) -> Ended:
        """What comes next, with nothing in its way."""
        lab = self.made.lab
        return self.driver.start(words or ("promote", self.next()), lab.folder, lab.environment()).end()

    def next(self) -> str:
        """An image that is neither adopted nor was before."""
        named = self.made.named()
        return next(one for one in self.made.images if self.made.ids[one] not in (named.adopted, named.previous))

    def _start(self, stop: dict[str, object]) -> tuple[Run, str]:
        image, lab = self.next(), self.made.lab
        run = self.driver.start(("promote", image), lab.folder, lab.environment(), stop)
        assert run.stops(), run.ended
        return run, image


@pytest.fixture(scope="module")
def place(engine: Engine, runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("machine")
    with (
        small_disk(folder / "disk") as disk,
        machine(engine, runner, folder, range(10001, 10004)) as made,
        faulty(made.registry.host) as proxy,
        steered(tmp_path_factory.mktemp("runs")) as driver,
    ):
        made.promoted_by(proxy.host)
        place = Place(made, proxy, driver, disk)
        for _ in range(2):
            assert place.again().status == 0
        yield place


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """A file system of a few megabytes with the program's folders on it."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        for name in ("state", "cache"):
            (folder / name).mkdir()
            (folder.parent / name).symlink_to(folder / name)
        yield Disk(folder)
    finally:
        subprocess.run(["umount", folder], check=True)


def test_where_no_move_can_be_written_down_none_is_made(place: Place) -> None:
    before = place.made.named()
    run, image = place.promote_until_planned()
    place.disk.fill()
    run.go_on()
    ended = run.end()
    assert (ended.status, place.made.named()) == (REFUSED, before), ended.stderr
    assert "is full" in ended.stderr
    place.disk.empty()
    assert place.made.under_way() == ()
    assert place.again("promote", image).status == 0
    assert place.made.is_settled_on(place.made.ids[image])


@pytest.mark.parametrize("number", range(1, MARKS + 1))
def test_between_two_moves_all_is_moved_back_and_the_next_one_ends_it(place: Place, number: int) -> None:
    before = place.made.named()
    run, image = place.promote(number)
    place.disk.fill()
    run.go_on()
    ended = run.end()
    assert (ended.status, place.made.named()) == (REFUSED, before), ended.stderr
    assert "is full" in ended.stderr
    assert "What had moved was moved back." in ended.stderr
    assert ended.stderr.count(UNRECORDED) == 1
    place.disk.empty()
    assert len(place.made.under_way()) == 1
    ended = place.again("promote", image)
    assert ended.status == 0, ended.stderr
    assert "was left in the middle and is undone now: nothing had moved" in ended.stderr
    assert place.made.is_settled_on(place.made.ids[image])


@pytest.mark.parametrize("way", ["--undo", "--resume"])
def test_what_cannot_be_moved_back_either_is_told_and_ended_later(place: Place, way: str) -> None:
    before = place.made.named()
    run, image = place.promote(MARKS)
    place.disk.fill()
    place.proxy.faults.append(Fault("/manifests/latest$", drop))
    run.go_on()
    ended = run.end()
    place.proxy.faults.clear()
    place.disk.empty()
    assert ended.status == PARTLY, ended.stderr
    assert f"builder promote {way}" in ended.stderr
    told = next(line for line in ended.stderr.splitlines() if "stands in the middle" in line)
    here, there = place.made.lab.repository, f"{place.proxy.host}/ai/llama:latest"
    assert f"not known: registry {there})" in told
    assert f"engine {here}:latest" in told.partition("as before: ")[2]
    now = place.made.named()
    assert (now.adopted, now.files) == (before.adopted, before.files)
    ended = place.again("promote", way)
    assert ended.status == 0, ended.stderr
    assert place.made.is_settled_on(place.made.ids[image] if way == "--resume" else str(before.adopted))


def test_a_file_that_cannot_be_written_back_is_told_as_what_stands(place: Place) -> None:
    before, file = place.made.named(), place.made.lab.folder / ".env"
    kept = place.disk.folder / ".env"
    kept.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(kept)
    run, image = place.promote(MARKS)
    place.disk.fill()
    run.go_on()
    ended = run.end()
    place.disk.empty()
    assert ended.status == PARTLY, ended.stderr
    told = next(line for line in ended.stderr.splitlines() if "stands in the middle" in line)
    assert f"(moved: file {file}; as before: " in told
    assert place.made.named().adopted == before.adopted
    ended = place.again("promote", image)
    assert ended.status == 0, ended.stderr
    assert place.made.is_settled_on(place.made.ids[image])
    assert file.is_symlink()
    assert kept.read_text(encoding="utf-8").startswith(OURS)
