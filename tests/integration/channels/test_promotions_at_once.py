"""Promotions and rollbacks at once, with engine, registry and files: they come in one order, and none is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from builder.channels.ledger.moves import PromotionEntry
from builder.engine.client import Engine
from builder.process import Runner
from tests.integration.channels.adopting import Machine, machine

PROMOTIONS, ROLLBACKS = 8, 2
_PATIENCE = 600


@pytest.fixture
def made(engine: Engine, runner: Runner, tmp_path: Path) -> Iterator[Machine]:
    with machine(engine, runner, tmp_path, range(10001, 10003 + PROMOTIONS)) as made:
        for image in made.images[:2]:
            made.lab.done("promote", image)
        yield made


def test_eight_promotions_and_two_rollbacks_come_one_after_another(made: Machine) -> None:
    first, images = made.ids[made.images[1]], made.images[2:]
    words: list[tuple[str, ...]] = [("promote", image) for image in images]
    for place in (2, 6):
        words.insert(place, ("rollback",))
    with watched(made) as (here, there):
        said = at_once(made, words)
    assert [status for status, _ in said] == [0] * (PROMOTIONS + ROLLBACKS), said
    with made.lab.ledger() as ledger:
        ledger.verify()
        done = ledger.promotions.history()[:-2][::-1]
    assert {entry.result for entry in done} == {"done"}
    promoted = [entry.after for entry in done if entry.action == "promote"]
    assert sorted(promoted) == sorted(made.ids[image] for image in images)
    order = [first, *(entry.after for entry in done)]
    assert [entry.before for entry in done] == order[:-1]
    back = [entry for entry in done if entry.action == "rollback"]
    assert 1 <= len(back) <= ROLLBACKS
    assert made.held() == {entry.before for entry in back}
    assert made.is_settled_on(order[-1])
    assert is_part(here, order)
    assert is_part(there, [made.digests[image] for image in order])
    assert none_overlap(done)
    made.lab.done("ledger", "check")


def at_once(made: Machine, runs: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """Runs of the program that begin together: how each ended, and what it said."""
    lab = made.lab
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "builder", *words],
            cwd=lab.folder,
            env=lab.environment(),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for words in runs
    ]
    said = [process.communicate(timeout=_PATIENCE)[1] for process in running]
    return [(process.returncode, words) for process, words in zip(running, said, strict=True)]


@contextmanager
def watched(made: Machine) -> Iterator[tuple[list[str], list[str]]]:
    """What engine and registry adopt meanwhile, one after another, as it is seen by someone who looks often."""
    here: list[str] = []
    there: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            here.append(str(made.image_of(f"{made.lab.repository}:latest")))
            there.append(str(made.manifest_of("latest")))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield here, there
    finally:
        over.set()
        watcher.join(60)
    for seen in (here, there):
        assert len(seen) > PROMOTIONS
        seen[:] = [name for name, _ in groupby(seen)]


def is_part(seen: Sequence[str], order: Sequence[str]) -> bool:
    """Whether what was seen came in this order; some of it may not have been seen."""
    left = iter(order)
    return all(name in left for name in seen)


def none_overlap(done: Sequence[PromotionEntry]) -> bool:
    """Whether each began after the one before it had ended."""
    return all(one.ended and one.ended <= other.at for one, other in pairwise(done))
