"""A promotion or a rollback that is ended at any moment: what is adopted is right each time, and so is the next run.

It is stopped at moments spread evenly over its whole course, counted in calls and returns of the program's own
functions: a slow machine and a fast one see it end at the same places. From there it is killed on the spot or in the
middle of what it does next, alone or with all that it started, or interrupted once or twice.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.engine.client import Engine
from builder.errors import ExitCode
from builder.process import Runner
from tests.integration.channels.adopting import FILES, Machine, Named, machine
from tests.integration.channels.steered import Ended, Run, Steered, steered

KILLS = int(os.environ.get("TEST_KILLS", "20"))
WAYS = ("kill", "kill later", "kill all later", "kill", "interrupt", "kill later", "terminate", "kill", "twice", "kill")
NEXT = ("same", "other", "--resume", "same", "--undo", "unjudged", "killed")
ACTIONS = ("promote", "promote", "rollback")
MOVING = 4
"""Of five runs so many are ended while they move something."""
_LATER = 0.12
"""Seconds until a run is killed that goes on."""


@dataclass
class Killer:
    """Ends runs of the program, and looks at what they left.

    Attributes:
        events: how many a run has that nobody ends, by action and phase.
        where: how far the ended runs had come.
        how: how they ended, and what became of what they left.
    """

    machine: Machine
    driver: Steered
    chance: random.Random
    unjudged: str
    events: dict[tuple[str, str], int] = field(default_factory=dict)
    where: Counter[str] = field(default_factory=Counter)
    how: Counter[str] = field(default_factory=Counter)

    def run(self, *words: str, status: int = 0) -> Ended:
        """A run to its end, which has to be as it should."""
        ended = self.start(words).end()
        assert ended.status == status, ended
        return ended

    def start(self, words: tuple[str, ...], stop: dict[str, object] | None = None) -> Run:
        lab = self.machine.lab
        return self.driver.start(words, lab.folder, lab.environment(), stop)

    def measure(self) -> None:
        """See how many events a run has that nobody ends."""
        first, second, third, *_ = self.machine.images
        self.run("promote", first)
        self._count("promote", self.run("promote", second))
        self._count("rollback", self.run("rollback"))
        self.machine.lift_all()
        self.run("promote", third)
        assert min(self.events.values()) > 100, self.events

    def kill_one(self, number: int) -> None:
        """End one run, look, and see the next one to its end."""
        action, way = ACTIONS[number % len(ACTIONS)], WAYS[number % len(WAYS)]
        words = self._words(action)
        before = self.machine.named()
        old, new = str(before.adopted), self._target(words, before)
        stop = self._stop(action, number)
        sys.stderr.write(f"{number}: {way} {words} at {stop}, then {NEXT[number % len(NEXT)]}\n")
        ended = self._end(words, way, stop)
        self._look(before, (old, new))
        self._see_next(NEXT[number % len(NEXT)], words, (old, new), ended)
        self.machine.lift_all()

    def _count(self, action: str, ended: Ended) -> None:
        self.events |= {(action, phase): count for phase, count in ended.counts.items()}

    def _words(self, action: str) -> tuple[str, ...]:
        named = self.machine.named()
        if action == "rollback" and named.previous not in (None, named.adopted):
            return ("rollback",)
        others = [one for one in self.machine.images if self.machine.ids[one] not in (named.adopted, named.previous)]
        return "promote", self.chance.choice(others)

    def _target(self, words: tuple[str, ...], before: Named) -> str:
        return str(before.previous) if words[0] == "rollback" else self.machine.ids[words[1]]

    def _stop(self, action: str, number: int) -> dict[str, object]:
        """A moment, such that all of them together are spread over the whole course."""
        phase = "moving" if number % (MOVING + 1) < MOVING else "before"
        part = (number * _GOLDEN) % 1
        return {"phase": phase, "event": 1 + int(self.events[action, phase] * part)}

    def _end(self, words: tuple[str, ...], way: str, stop: dict[str, object]) -> Ended:
        run = self.start(words, stop)
        if run.stops():
            if "later" in way:
                run.go_on()
                time.sleep(self.chance.uniform(0, _LATER))
            if "kill" in way:
                children = run.kill(with_all="all" in way)
                self.how.update(["with Docker's client at work"] if children else [])
            else:
                self._interrupt(run, way)
        ended = run.end()
        self.how[f"{way}: {ended.status}"] += 1
        assert "Traceback" not in ended.stderr, ended.stderr
        assert ended.status in (0, -signal.SIGKILL, 128 + signal.SIGINT, 128 + signal.SIGTERM), ended
        return ended

    def _interrupt(self, run: Run, way: str) -> None:
        run.tell(signal.SIGTERM if way == "terminate" else signal.SIGINT)
        if way == "twice":
            time.sleep(self.chance.uniform(0, _LATER))
            run.tell(signal.SIGINT)

    def _look(self, before: Named, both: tuple[str, str]) -> None:
        """See that all that names something names what it named, or what it was to name, and that it is there."""
        now, digests = self.machine.named(), {self.machine.digests[image] for image in both}
        assert now.adopted in both
        assert now.there in digests
        assert now.previous in {before.previous, *both}
        assert now.previous_there in {before.previous_there, *digests}
        assert set(now.files.values()) <= digests
        assert len(now.files) == len(FILES) - 1
        for digest in {str(now.there), str(now.previous_there), *now.files.values()}:
            assert self.machine.is_whole(digest)
        left = self.machine.under_way()
        assert self.machine.last()
        assert len(left) <= 1
        self.where[" ".join(_far(one.steps, turned=bool(one.turned)) for one in left) or "nothing is under way"] += 1

    def _see_next(self, next_: str, words: tuple[str, ...], both: tuple[str, str], ended: Ended) -> None:
        """See what the next run makes of it."""
        left = bool(self.machine.under_way())
        if next_ == "killed":
            self._end(words, "kill later", {"phase": "moving", "event": self.chance.randint(1, 6000)})
            next_ = "same"
        if next_ == "same":
            self.run(*words)
            self._require(both[1:])
        elif next_ == "other":
            named = self.machine.named()
            taken = (*both, named.adopted, named.previous)
            other = next(one for one in self.machine.images if self.machine.ids[one] not in taken)
            self.run("promote", other)
            self._require((self.machine.ids[other],))
        elif next_ == "unjudged":
            said = self.run("promote", self.unjudged, status=int(ExitCode.NOTHING_MOVED))
            assert ("left in the middle" in said.stderr) == left, said.stderr
            self._require(both)
        else:
            self.run(words[0], next_)
            self._require(both)
            if left:
                self._require(both[1:] if next_ == "--resume" else both)
        now = self.machine.named().adopted
        became = {both[0]: "old", both[1]: "new"}.get(str(now), "other")
        self.how[f"next {next_}, {'something' if left else 'nothing'} was left: {became}"] += 1
        assert ended.status or became != "old" or next_ in ("other", "--undo"), "a run that was done was undone"

    def _require(self, images: tuple[str, ...]) -> None:
        adopted = self.machine.named().adopted
        assert adopted in images
        assert self.machine.is_settled_on(str(adopted))


_GOLDEN = 0.6180339887
"""The part of the course by which the next kill is further on: so they are spread evenly, however many there are."""


def _far(steps: object, *, turned: bool) -> str:
    """How far a promotion has come."""
    states = [step.state.value for step in steps]  # type: ignore[attr-defined]
    begun = sum(state != "planned" for state in states)
    if turned:
        return f"turned, {states.count('undone')} of {begun} undone"
    return f"{begun} begun, {states.count('done')} done"


@pytest.fixture
def killer(engine: Engine, runner: Runner, tmp_path: Path) -> Iterator[Killer]:
    folder = tmp_path / "machine"
    folder.mkdir()
    with machine(engine, runner, folder, range(10001, 10006)) as made, steered(tmp_path / "runs") as driver:
        killer = Killer(made, driver, random.Random(20_261_124), made.lab.make(10009))  # noqa: S311
        killer.measure()
        yield killer


def test_whenever_it_is_ended_what_is_adopted_is_right_and_the_next_run_sees_to_the_rest(killer: Killer) -> None:
    for number in range(KILLS):
        killer.kill_one(number)
    killer.run("ledger", "check")
    figures = (killer.where, killer.how)
    for figure in figures:
        sys.stderr.write("".join(f"{count:4}  {what}\n" for what, count in sorted(figure.items())))
    in_the_middle = sum(count for what, count in killer.where.items() if what != "nothing is under way")
    assert in_the_middle >= KILLS // 4, figures
    assert len(killer.where) >= min(KILLS // 4, 10), figures
