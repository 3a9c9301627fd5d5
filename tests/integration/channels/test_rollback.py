"""`builder rollback` on an engine alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.channels.ledger.evidence import ImageEntry
from builder.engine.client import Engine
from builder.errors import ExitCode
from builder.process import Runner
from tests.integration.channels.promotion_labs import Lab, promotion_lab

REFUSED = int(ExitCode.NOTHING_MOVED)


@pytest.fixture
def lab(engine: Engine, runner: Runner, tmp_path: Path) -> Iterator[Lab]:
    with promotion_lab(engine, runner, tmp_path, {}) as lab:
        yield lab


def test_the_real_image_before_comes_back_and_the_other_is_held(lab: Lab, cpu_image: str) -> None:
    real = f"{lab.repository}:{cpu_image.rpartition(':')[2]}"
    lab.engine.tag(cpu_image, real)
    lab.judge(real)
    broken = lab.judged(10002)
    lab.done("promote", real)
    lab.done("promote", broken)
    document = lab.document("rollback", "--why", "loses tokens")
    assert document["result"] == "done"
    assert lab.channels() == (lab.id(real), lab.id(real))
    with lab.ledger() as ledger:
        held = ledger.holds.on(lab.id(broken))
        assert [(hold.reason, hold.who) for hold in held] == [("loses tokens", document["promotion"]["who"])]
        assert ledger.promotions.history()[0].action == "rollback"
    assert "loses tokens" in lab.done("promote", broken, status=REFUSED)


def test_asked_twice_it_does_not_swing_back(lab: Lab) -> None:
    first, second = lab.judged(10001), lab.judged(10002)
    lab.done("promote", first)
    lab.done("promote", second)
    lab.done("rollback")
    for words in ((), ("--to", "b10001")):
        assert lab.document("rollback", *words)["result"] == "already"
    assert lab.channels() == (lab.id(first), lab.id(first))
    third = lab.judged(10003)
    lab.done("promote", third)
    assert lab.channels() == (lab.id(third), lab.id(first))
    # The image that is held is not what a rollback goes back to.
    lab.done("rollback", "--dry-run")
    assert "is held" in lab.done("rollback", "--to", "b10002", status=REFUSED)


def test_it_goes_back_to_any_that_was_adopted_whatever_its_verdicts_are_by_now(lab: Lab) -> None:
    first, second, third = (lab.judged(number) for number in (10001, 10002, 10003))
    for reference in (first, second, third):
        lab.done("promote", reference)
    lab.judge(first, outcome="fail")
    lab.judge(second, outcome="fail")
    document = lab.document("rollback", "--to", first.rpartition(":")[2])
    assert document["image"]["build"] == "b10001"
    assert lab.channels() == (lab.id(first), lab.id(first))


def test_what_was_never_adopted_needs_its_verdicts(lab: Lab) -> None:
    first, never = lab.judged(10001), lab.make(10002)
    lab.done("promote", first)
    assert "version was not judged" in lab.done("rollback", "--to", never, status=REFUSED)
    lab.judge(never)
    lab.done("rollback", "--to", never)
    assert lab.channels() == (lab.id(never), lab.id(never))


@pytest.mark.parametrize("server", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho no version\n"])
def test_nothing_moves_to_what_does_not_start(lab: Lab, server: str) -> None:
    first = lab.make(10001, server=server)
    lab.judge(first)
    second = lab.judged(10002)
    lab.done("promote", first)
    lab.done("promote", second)
    assert "does not start here" in lab.done("rollback", status=REFUSED)
    assert "does not start here" in lab.done("rollback", "--dry-run", "--force", "at all costs", status=REFUSED)
    assert lab.channels() == (lab.id(second), lab.id(first))
    with lab.ledger() as ledger:
        assert not ledger.holds.all()


def test_without_anything_before_there_is_nothing_to_go_back_to(lab: Lab) -> None:
    assert "Nothing was adopted before" in lab.done("rollback", status=REFUSED)
    lab.done("promote", lab.judged(10001))
    assert "Nothing was adopted before" in lab.done("rollback", status=REFUSED)
    assert "There is no image" in lab.done("rollback", "--to", "b10009", status=REFUSED)


def test_where_nothing_was_left_in_the_middle_there_is_nothing_to_see_to(lab: Lab) -> None:
    assert "Nothing was left in the middle." in lab.done("rollback", "--resume")
    assert lab.document("promote", "--undo") == {"schema_version": 1, "settled": [], "left": []}
    assert lab.run("promote", "--undo", "--resume").returncode == ExitCode.USAGE


def test_what_was_adopted_by_force_or_by_hand_alone_needs_its_verdicts_and_its_force_is_shown(lab: Lab) -> None:
    legacy, forced, by_hand, last = lab.make(10001), lab.make(10002), lab.make(10003), lab.judged(10004)
    lab.engine.tag(legacy, f"{lab.repository}:latest")
    lab.done("promote", forced, "--force", "the other one burns")
    lab.engine.tag(by_hand, f"{lab.repository}:latest")
    lab.done("promote", last, "--accept-moved")
    refused = " ".join(lab.done("rollback", "--to", forced, status=REFUSED).split())
    assert "version was not judged" in refused or "lacks what promotion asks for: version" in refused
    assert "It was adopted by force alone: the other one burns." in refused
    assert "lacks what promotion asks for" in lab.done("rollback", "--to", by_hand, status=REFUSED)
    told = " ".join(lab.done("rollback", "--to", forced, "--force", "it is the only one").split())
    assert "It was adopted by force before: the other one burns" in told
    # What was there before the very first promotion needs nothing.
    lab.done("rollback", "--to", legacy)
    assert lab.channels() == (lab.id(legacy), lab.id(legacy))


def test_a_tag_that_was_put_by_hand_is_written_down_once_it_has_its_verdicts(lab: Lab) -> None:
    reference = lab.make(10001)
    lab.engine.tag(reference, f"{lab.repository}:latest")
    assert lab.run("ledger", "check").returncode == ExitCode.UNJUDGED
    assert "lacks what promotion asks for" in lab.done("promote", reference, status=REFUSED)
    lab.judge(reference)
    document = lab.document("promote", reference)
    assert (document["result"], document["moves"], document["promotion"]["result"]) == ("already", [], "done")
    lab.done("ledger", "check")
    assert lab.document("promote", reference)["promotion"] is None


def test_every_command_knows_the_candidate_and_a_name_that_was_several_images_is_refused(lab: Lab) -> None:
    first, second = lab.judged(10001), lab.judged(10002)
    lab.engine.tag(second, f"{lab.repository}:candidate")
    lab.done("hold", "add", "candidate", "slow")
    with lab.ledger() as ledger:
        assert ledger.holds.on(lab.id(second))
        assert not ledger.holds.on(lab.id(first))
        for reference in (first, second):
            ledger.images.record(ImageEntry(lab.id(reference), references=(f"{lab.repository}:gone",)))
    assert "may be any of 2 images" in lab.done("hold", "add", f"{lab.repository}:gone", "slow", status=2)
    assert "It is b10002" in lab.run("judge", "candidate", "--gate", "version").stdout
