"""`builder promote` on an engine alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder.channels.ledger.moves import HoldEntry
from builder.engine.client import Engine
from builder.errors import ExitCode
from builder.process import Runner
from tests.integration.channels.promotion_labs import Lab, promotion_lab

REFUSED = int(ExitCode.NOTHING_MOVED)
FILES = {"env-file": ".env", "compose-file": "override.yaml", "services": ["chat"]}


@pytest.fixture
def lab(engine: Engine, runner: Runner, tmp_path: Path) -> Iterator[Lab]:
    with promotion_lab(engine, runner, tmp_path, {"adoption": FILES}) as lab:
        yield lab


def test_tags_and_files_follow_what_was_judged_and_previous_what_was_adopted(lab: Lab) -> None:
    first, second = lab.judged(10001), lab.judged(10002)
    (lab.folder / ".env").write_text("# ours\nMODEL=a.gguf\n", encoding="utf-8")
    lab.engine.tag(first, f"{lab.repository}:candidate")
    document = lab.document("promote")
    assert (document["result"], document["image"]["name"]) == ("done", first)
    assert lab.channels() == (lab.id(first), "")
    document = lab.document("promote", "b10002", "--why", "the fix for long prompts")
    assert lab.channels() == (lab.id(second), lab.id(first))
    assert [move["place"] for move in document["moves"]] == ["engine", "file", "file", "engine"]
    assert document["promotion"]["why"] == "the fix for long prompts"
    assert document["promotion"]["forced"] is None
    assert (lab.folder / ".env").read_text() == f"# ours\nMODEL=a.gguf\nLLAMA_IMAGE={lab.id(second)}\n"
    assert f'image: "{lab.id(second)}"' in (lab.folder / "override.yaml").read_text()
    before = (lab.folder / "override.yaml").read_bytes()
    assert lab.document("promote", "b10002")["result"] == "already"
    assert (lab.folder / "override.yaml").read_bytes() == before
    with lab.ledger() as ledger:
        assert [entry.after for entry in ledger.promotions.history()] == [lab.id(second), lab.id(first)]


def test_a_dry_run_shows_the_moves_and_makes_none(lab: Lab) -> None:
    reference = lab.judged(10001)
    done = lab.run("promote", reference, "--dry-run")
    assert done.returncode == 0
    assert f"{lab.repository}:latest" in done.stdout
    assert "nothing was moved" in done.stderr
    assert lab.channels() == ("", "")
    assert not (lab.folder / ".env").exists()
    with lab.ledger() as ledger:
        assert not ledger.promotions.history()


def test_what_was_not_judged_or_failed_is_refused_with_the_command_that_brings_it(lab: Lab) -> None:
    reference = lab.make(10001)
    for words in ((), ("--dry-run",)):
        said = lab.done("promote", reference, *words, status=REFUSED)
        assert "version was not judged" in said
        assert f"builder judge {reference} --gate version" in said
    lab.judge(reference)
    lab.judge(reference, outcome="fail")
    assert "version failed" in lab.done("promote", reference, status=REFUSED)
    assert lab.channels() == ("", "")


def test_force_has_a_reason_that_is_recorded_and_shown(lab: Lab) -> None:
    reference = lab.make(10001)
    assert lab.run("promote", reference, "--force", " ").returncode == ExitCode.USAGE
    assert "Forced: the other one burns" in lab.done("promote", reference, "--force", "the other one burns")
    assert lab.channels() == (lab.id(reference), "")
    with lab.ledger() as ledger:
        assert [entry.forced for entry in ledger.promotions.history()] == ["the other one burns"]


def test_what_is_held_is_refused_with_the_reason(lab: Lab) -> None:
    reference = lab.judged(10001)
    with lab.ledger() as ledger:
        ledger.holds.record(HoldEntry("a" * 32, lab.id(reference), "loses tokens", "ops", datetime.now(UTC)))
    said = lab.done("promote", "b10001", status=REFUSED)
    assert "by ops: loses tokens" in said
    assert "builder hold lift aaaaaaaaa" in said


@pytest.mark.parametrize("word", ["b10009", "nobody/has:it", f"sha256:{'1' * 64}", "", "UPPER:case", "candidate"])
def test_an_image_that_is_not_there_is_refused(lab: Lab, word: str) -> None:
    said = lab.done("promote", word, status=REFUSED)
    assert "Nothing was moved." in said
    assert "Traceback" not in said


def test_tests_images_and_those_of_others_are_refused_the_latter_unless_forced(lab: Lab) -> None:
    tests = lab.make(10001, tests="test-backend-ops")
    others = lab.make(10002, plan="")
    assert "test programs" in lab.done("promote", tests, "--force", "please", status=REFUSED)
    assert "was not built by builder" in lab.done("promote", others, status=REFUSED)
    lab.done("promote", others, "--force", "please")
    assert lab.channels()[0] == lab.id(others)
    assert lab.id(f"{lab.repository}:id-{lab.id(others)[7:19]}") == lab.id(others)


def test_a_tag_that_never_moves_does_not_move(lab: Lab) -> None:
    first = lab.judged(10001)
    image = lab.id(first)
    lab.engine.tag(lab.make(10002), first)
    said = lab.done("promote", image, status=REFUSED)
    assert f"{first} is already another image" in said
    assert lab.channels() == ("", "")


def test_a_name_that_may_be_several_builds_is_refused_with_them(lab: Lab) -> None:
    first = lab.judged(10001)
    other = f"{lab.repository}:b10001-cpu-0123456789"
    lab.engine.tag(lab.make(10002), other)
    said = lab.done("promote", "b10001", status=REFUSED)
    assert first in said
    assert other in said


def test_a_tag_that_somebody_moved_by_hand_is_shown_and_gone_on_from_only_when_told(lab: Lab) -> None:
    first, second, by_hand = lab.judged(10001), lab.judged(10002), lab.make(10003)
    lab.done("promote", first)
    lab.engine.tag(by_hand, f"{lab.repository}:latest")
    said = lab.done("promote", second, status=REFUSED)
    assert f"Somebody else moved {lab.repository}:latest" in said
    assert f"{lab.id(by_hand)[:19]}, and not {lab.id(first)[:19]}" in said
    assert lab.channels() == (lab.id(by_hand), "")
    lab.done("promote", second, "--accept-moved")
    assert lab.channels() == (lab.id(second), lab.id(by_hand))


def test_an_image_is_not_lost_with_its_last_name(lab: Lab) -> None:
    first, second, third = (lab.judged(number) for number in (10001, 10002, 10003))
    image = lab.id(first)
    lab.done("promote", first)
    lab.engine.remove_image(first)
    lab.done("promote", second)
    lab.done("promote", third)
    kept = lab.engine.image(image)
    assert kept
    assert kept.references == (f"{lab.repository}:kept-{image[7:19]}",)


def test_a_ledger_that_cannot_be_used_moves_nothing(lab: Lab) -> None:
    reference = lab.judged(10001)
    with lab.ledger() as ledger:
        ledger.database.run("PRAGMA user_version = 99")
    assert "is of version 99" in lab.done("promote", reference, status=REFUSED)
    (lab.state / "ledger.sqlite").write_bytes(b"no ledger at all" * 100)
    assert "error" in lab.document("promote", reference, status=REFUSED)
    assert lab.channels() == ("", "")


def test_a_file_that_is_not_ours_is_not_overwritten_and_nothing_is_moved(lab: Lab) -> None:
    reference = lab.judged(10001)
    (lab.folder / "override.yaml").write_text("services: {}\n", encoding="utf-8")
    assert "was not written by builder" in lab.done("promote", reference, status=REFUSED)
    assert (lab.folder / "override.yaml").read_text() == "services: {}\n"
    assert lab.channels() == ("", "")


def test_each_variant_may_have_tags_of_its_own(lab: Lab) -> None:
    names = {"candidate": "{variant}-candidate", "adopted": "{variant}-latest", "previous": "{variant}-previous"}
    lab.settings = {"channels": names}
    cpu, cuda, neither = lab.judged(10001), lab.make(10002, variant="cuda"), lab.make(10003, variant="")
    lab.engine.tag(cpu, f"{lab.repository}:cpu-candidate")
    lab.done("promote")
    lab.done("promote", cuda, "--force", "no GPU here")
    assert "does not say its variant" in lab.done("promote", neither, "--force", "x", status=REFUSED)
    tags = {tag: lab.id(f"{lab.repository}:{tag}") for tag in ("cpu-latest", "cuda-latest", "cpu-previous")}
    assert tags == {"cpu-latest": lab.id(cpu), "cuda-latest": lab.id(cuda), "cpu-previous": ""}
    lab.engine.tag(cuda, f"{lab.repository}:cuda-candidate")
    assert "may be any of 2 images" in lab.done("promote", status=REFUSED)


def test_several_at_once_come_one_after_another(lab: Lab) -> None:
    images = [lab.judged(number) for number in range(10001, 10005)]
    lab.done("promote", images[0])
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "builder", "promote", image],
            cwd=lab.folder,
            env=lab.environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        for image in images[1:]
    ]
    said = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    with lab.ledger() as ledger:
        history = ledger.promotions.history()
    assert {entry.after for entry in history} == {lab.id(image) for image in images}
    assert [entry.before for entry in history[:-1]] == [entry.after for entry in history[1:]]
    assert lab.channels() == (history[0].after, history[1].after)


def test_a_state_folder_that_may_not_be_written_to_moves_nothing(lab: Lab) -> None:
    reference = lab.judged(10001)
    lab.state.rename(lab.folder / "elsewhere")
    lab.state.write_text("", encoding="utf-8")
    assert "Nothing was moved." in lab.done("promote", reference, status=REFUSED)
    assert lab.channels() == ("", "")
