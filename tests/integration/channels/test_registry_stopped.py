"""A registry that is stopped while something stands in the middle: the way back on this engine stays open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.engine.client import Engine
from builder.errors import ExitCode
from builder.process import Runner
from tests.integration.channels.adopting import FILES, OURS, REPOSITORY, Machine
from tests.integration.channels.promotion_labs import promotion_lab
from tests.integration.channels.registry_labs import registry
from tests.integration.channels.steered import Steered, steered

REFUSED, PARTLY, UNJUDGED = int(ExitCode.NOTHING_MOVED), int(ExitCode.MOVED_PARTLY), int(ExitCode.UNJUDGED)
MARK = {"file": "promotions.py", "function": "mark", "kind": "return"}
"""Each move is marked twice: when it is begun, and when it is done."""
REGISTRY_LATEST = 14
"""How many marks there are once the registry's adopted tag has moved, and the engine's has not."""


@dataclass
class Stopped:
    """A machine whose promotion was killed in the middle, and whose registry was stopped then."""

    made: Machine
    driver: Steered
    running: ExitStack
    folder: Path
    port: int

    def kill(self, *words: str, nth: int = REGISTRY_LATEST) -> None:
        """Kill a run in the middle."""
        lab = self.made.lab
        lab.configure()
        run = self.driver.start(words, lab.folder, lab.environment(), {**MARK, "nth": nth})
        assert run.stops()
        run.kill()

    def start(self) -> None:
        """Have the registry answer again."""
        self.running.enter_context(registry(self.folder, kept=True, port=self.port))

    def without(self, *words: str, status: int = 0) -> str:
        """A run with the registry switched off."""
        settings = dict(self.made.lab.settings)
        self.made.lab.settings = {**settings, "registry": {"repository": ""}}
        try:
            return " ".join(self.made.lab.done(*words, status=status).split())
        finally:
            self.made.lab.settings = settings


@pytest.fixture
def stopped(engine: Engine, runner: Runner, tmp_path: Path) -> Iterator[Stopped]:
    folder, place = tmp_path / "lab", tmp_path / "registry"
    folder.mkdir()
    place.mkdir()
    with ExitStack() as running, steered(tmp_path / "runs") as driver:
        there = running.enter_context(registry(place, kept=True))
        (folder / ".env").write_text(OURS, encoding="utf-8")
        settings = {"registry": {"repository": f"{there.host}/{REPOSITORY}"}, "adoption": FILES}
        with promotion_lab(engine, runner, folder, settings) as lab:
            made = Machine(lab, there)
            try:
                for number in (10001, 10002, 10003):
                    made.add(number)
                for reference in made.images[:2]:
                    lab.done("promote", reference)
                yield Stopped(made, driver, running, place, int(there.host.rpartition(":")[2]))
            finally:
                made.close()


def test_a_rollback_without_the_registry_goes_on_and_what_is_owed_is_made_up_for(stopped: Stopped) -> None:
    made, lab = stopped.made, stopped.made.lab
    first, second, third = made.images
    stopped.kill("promote", third)
    stopped.running.close()
    said = " ".join(lab.done("rollback", status=PARTLY).split())
    assert "BUILDER_REGISTRY_REPOSITORY= builder promote --undo" in said
    told = stopped.without("rollback", "--to", first)
    assert "is undone now: the registry is out of reach" in told
    assert "put off until the registry answers" in told
    assert lab.channels() == (lab.id(first), lab.id(first))
    assert lab.run("ledger", "check").returncode == UNJUDGED
    stopped.start()
    document = lab.document("rollback", "--resume")
    assert f"{lab.settings['registry']['repository']}:latest" in document["settled"][0]["made_up"]
    assert made.manifest_of("latest") == made.digests[made.ids[second]]
    lab.done("rollback", "--to", first)
    assert made.manifest_of("latest") == made.digests[made.ids[first]]
    lab.done("ledger", "check")


@pytest.mark.parametrize(("end", "status", "adopted"), [("--undo", 0, 1), ("--resume", 0, 2)])
def test_by_force_it_is_ended_without_a_registry_that_does_not_answer(
    stopped: Stopped, end: str, status: int, adopted: int
) -> None:
    made, lab = stopped.made, stopped.made.lab
    stopped.kill("promote", made.images[2], nth=REGISTRY_LATEST - 1)
    stopped.running.close()
    before = lab.channels()
    assert "under way" in lab.done("promote", end, "--dry-run")
    assert lab.channels() == before
    lab.done("promote", end, status=PARTLY)
    lab.done("promote", end, "--force", "because of X", status=status)
    assert lab.channels()[0] == made.ids[made.images[adopted]]
    with lab.ledger() as ledger:
        (entry,) = ledger.promotions.owing()
        assert entry.overruled == "because of X"
        assert entry.overruled_by
    assert "because of X" in lab.run("history").stdout
    stopped.start()
    lab.done("promote", "--resume")
    assert made.is_settled_on(made.ids[made.images[adopted]])


def test_a_refusal_tells_what_was_ended_before_it(stopped: Stopped) -> None:
    made, lab = stopped.made, stopped.made.lab
    stopped.kill("promote", made.images[2])
    document = lab.document("promote", lab.make(10009), status=REFUSED)
    assert [one["result"] for one in document["error"]["settled"]] == ["done"]
    assert "was left in the middle and is finished now" in document["error"]["cause"]
    assert made.is_settled_on(made.ids[made.images[2]])
