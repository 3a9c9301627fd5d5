"""What a container holds in memory, from what engines say of both kinds of control groups."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from builder.engine.container_memory import ContainerMemory, MemoryWatch, read_stats, watch_memory
from builder.gates.serving.container_memory import container_memory
from builder.gates.verdict import Outcome

MIB = 1 << 20
OLD = {
    "usage": 500 * MIB,
    "max_usage": 512 * MIB,
    "limit": 512 * MIB,
    "stats": {"cache": 300 * MIB, "total_cache": 320 * MIB, "rss": 150 * MIB, "total_rss": 150 * MIB},
}
"""Control groups of the first kind, the further groups inside counted in `total_`."""
NEW = {
    "usage": 500 * MIB,
    "limit": 512 * MIB,
    "stats": {"anon": 150 * MIB, "file": 330 * MIB, "shmem": 20 * MIB, "slab_reclaimable": 5 * MIB},
}
"""Those of the second kind."""


@pytest.mark.parametrize(("memory", "held"), [(OLD, 180), (NEW, 185)])
def test_pages_of_files_are_not_held_and_shared_memory_is(memory: dict[str, object], held: int) -> None:
    assert read_stats({"memory_stats": memory}) == ContainerMemory(held * MIB, 512 * MIB)


@pytest.mark.parametrize(
    "document",
    [{}, {"memory_stats": {}}, {"memory_stats": None}, {"memory_stats": {"usage": 1, "limit": 2, "stats": {}}}],
)
def test_what_is_not_told_is_not_known(document: dict[str, object]) -> None:
    assert read_stats(document) is None


def test_a_full_container_fails_and_one_with_room_passes() -> None:
    full = container_memory(ContainerMemory(470 * MIB, 512 * MIB), "512m").check
    assert full.outcome is Outcome.FAIL
    assert "At most 470 MiB were held, of the 512 MiB that the profile's memory-limit of 512m gives" in full.detail
    assert container_memory(ContainerMemory(450 * MIB, 512 * MIB), "512m").check.outcome is Outcome.PASS


@pytest.mark.parametrize(("held", "outcome"), [(2000, Outcome.FAIL), (100, Outcome.PASS)])
def test_a_limit_that_the_engine_passes_over_decides_all_the_same(held: int, outcome: Outcome) -> None:
    finding = container_memory(ContainerMemory(held * MIB, 24105 * MIB), "512m")
    assert finding.check.outcome is outcome
    assert finding.check.detail.endswith("The engine did not enforce that limit.")
    assert finding.measurements["container_memory_limit_mib"] == 512


def test_an_engine_that_gives_less_than_the_profile_says_decides() -> None:
    check = container_memory(ContainerMemory(500 * MIB, 512 * MIB), "1g").check
    assert check.outcome is Outcome.FAIL
    assert "did not enforce" not in check.detail


def test_without_a_limit_what_was_held_is_told_and_judged_by_nothing() -> None:
    finding = container_memory(ContainerMemory(99 * MIB, 100 * MIB), "")
    assert finding.check.outcome is Outcome.PASS
    assert finding.measurements["container_memory_peak_mib"] == 99


def test_what_nobody_tells_is_not_judged() -> None:
    assert container_memory(None, "512m").check.outcome is Outcome.UNJUDGED


def test_an_engine_that_is_elsewhere_or_gone_tells_nothing(tmp_path: Path) -> None:
    for endpoint in ("tcp://192.0.2.1:2375", f"unix://{tmp_path}/none.sock"):
        with watch_memory(endpoint, "any") as watched:
            pass
        assert watched.peak is None


def test_a_look_that_fails_does_not_end_the_watch(tmp_path: Path) -> None:
    stats = json.dumps({"memory_stats": NEW}).encode()
    good = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(stats), stats)
    answers = [b"nonsense\r\n\r\n", b"", b"HTTP/1.1 500 Odd\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", good]
    said = threading.Event()

    def engine(listener: socket.socket) -> None:
        while not said.is_set():
            with listener.accept()[0] as asked, suppress(OSError):
                asked.recv(1 << 16)
                asked.sendall(answers.pop(0) if len(answers) > 1 else good)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        thread = threading.Thread(target=engine, args=(listener,))
        thread.start()
        with watch_memory(f"unix://{tmp_path}/s", "any") as watched:
            until = monotonic() + 60
            while watched.peak is None and monotonic() < until:
                sleep(0.01)
        said.set()
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(tmp_path / "s"))
        thread.join()
    assert watched.peak == ContainerMemory(185 * MIB, 512 * MIB)
    assert watched.blind > 0


def test_the_longest_time_without_a_look_is_remembered() -> None:
    watch, found = MemoryWatch(), ContainerMemory(1 * MIB, 512 * MIB)
    looks: list[tuple[ContainerMemory | None, float, float]] = [
        *((found, 0, 9), (None, 10, 10.1), (None, 11, 12), (found, 13, 15)),
        *((None, 20, 21), (found, 22, 22.5)),
    ]
    for look in looks:
        watch.take(*look)
    assert watch.blind == 5
    watch.take(None, 30, 31)
    watch.take(None, 36, 37)
    assert watch.blind == 7


def test_what_nobody_saw_for_long_is_not_judged_unless_it_was_too_much_before() -> None:
    small, full = ContainerMemory(100 * MIB, 512 * MIB), ContainerMemory(500 * MIB, 512 * MIB)
    finding = container_memory(small, "512m", blind=7.0)
    assert finding.check.outcome is Outcome.UNJUDGED
    assert "did not for 7 s" in finding.check.detail
    assert container_memory(small, "512m", blind=0.5).check.outcome is Outcome.PASS
    assert container_memory(full, "512m", blind=7.0).check.outcome is Outcome.FAIL
