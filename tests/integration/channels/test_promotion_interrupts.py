"""A promotion that is interrupted just where it hurts most."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from builder.engine.client import Engine
from builder.process import Runner
from tests.integration.channels.adopting import Machine, machine
from tests.integration.channels.faulty_proxy import Fault, Proxy, faulty
from tests.integration.channels.steered import Run, Steered, steered

SLOW = 3.0
"""Seconds that the registry takes for one move."""
MARKS = 15
"""Marks of a promotion until its last step is begun."""


@dataclass
class Place:
    """A machine that adopts something already, before a registry that may be slow."""

    made: Machine
    proxy: Proxy
    driver: Steered

    def promote(self, stop: Mapping[str, object] | None = None) -> tuple[Run, str, str]:
        """Begin to promote an image; gives what is adopted and what is to be, too."""
        named = self.made.named()
        image = next(one for one in self.made.images if self.made.ids[one] not in (named.adopted, named.previous))
        lab = self.made.lab
        run = self.driver.start(("promote", image), lab.folder, lab.environment(), stop)
        return run, str(named.adopted), self.made.ids[image]


@pytest.fixture(scope="module")
def place(engine: Engine, runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("machine")
    with (
        machine(engine, runner, folder, range(10001, 10004)) as made,
        faulty(made.registry.host) as proxy,
        steered(tmp_path_factory.mktemp("runs")) as driver,
    ):
        made.promoted_by(proxy.host)
        place = Place(made, proxy, driver)
        for _ in range(2):
            assert place.promote()[0].end().status == 0
        yield place


@pytest.mark.parametrize("kind", ["call", "return"])
def test_at_the_very_end_it_is_whole_or_as_before(place: Place, kind: str) -> None:
    run, old, new = place.promote({"file": "course.py", "function": "_end", "kind": kind, "nth": 1})
    assert run.stops()
    run.tell(signal.SIGTERM)
    assert run.end().status == 128 + signal.SIGTERM
    assert place.made.is_settled_on({"call": old, "return": new}[kind])


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGHUP])
def test_what_the_registry_is_about_to_move_does_not_move_later(place: Place, signum: signal.Signals) -> None:
    place.proxy.seen.clear()
    place.proxy.faults.append(Fault("PUT .*/latest$", lambda answer: answer, times=1, before=False, wait=SLOW))
    run, old, _ = place.promote()
    wait_until(lambda: any(asked.startswith("PUT") and asked.endswith("/latest") for asked in place.proxy.seen))
    run.tell(signum)
    assert run.end().status == 128 + signum
    time.sleep(SLOW + 1)
    assert place.made.is_settled_on(old)


def test_a_second_time_does_not_keep_it_from_being_taken_back(place: Place) -> None:
    run, old, _ = place.promote({"file": "promotions.py", "function": "mark", "kind": "return", "nth": MARKS})
    assert run.stops()
    run.tell(signal.SIGINT)
    wait_until(lambda: any(entry.turned for entry in place.made.under_way()))
    run.tell(signal.SIGTERM)
    assert run.end().status == 128 + signal.SIGINT
    assert place.made.is_settled_on(old)


def wait_until(come: Callable[[], bool]) -> None:
    """Wait for something that comes soon."""
    deadline = time.monotonic() + 60
    while not come():
        assert time.monotonic() < deadline
        time.sleep(0.01)
