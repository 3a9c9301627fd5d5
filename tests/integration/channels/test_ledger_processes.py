"""Many processes at one ledger, killed at any moment; disks that are full, small or read-only."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.ledger.moves import StepState
from tests.integration.channels.writing import finish
from tests.unit.ledger_entries import digest, verdict

REPOSITORY = Path(__file__).parents[3]
WRITING = (sys.executable, "-m", "tests.integration.channels.writing")
KILLS = 40
WRITERS = 8


def start(*arguments: object, before: Sequence[str] = ()) -> subprocess.Popen[str]:
    command = [*before, *WRITING, *map(str, arguments)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def written(ledger: Ledger, writer: str) -> list[int]:
    """The rounds of a writer, each whole: what is recorded together is there together."""
    rounds = []
    for entry in ledger.promotions.history("llama"):
        if entry.variant == writer:
            (judged,) = ledger.verdicts.of(entry.after)
            image = ledger.images.find(entry.after)
            assert image is not None
            assert len(image.manifests) == 1
            assert judged.digest == entry.after
            assert len(entry.steps) == 3
            rounds.append(entry)
    numbers = [round((entry.at - rounds[-1].at).total_seconds() / 60) for entry in reversed(rounds)] if rounds else []
    assert numbers == list(range(len(rounds)))
    return numbers


def test_a_writer_that_is_killed_at_any_moment_leaves_a_ledger_that_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    chance = random.Random(6)  # noqa: S311
    told = -1
    states: set[tuple[StepState, ...]] = set()
    for _ in range(KILLS):
        process = start(file, "w", 1_000_000)
        assert process.stdout is not None
        lines: list[str] = []
        first = process.stdout.readline()
        assert first, process.communicate()[1]
        reader = threading.Thread(target=lambda out=process.stdout, into=lines: into.extend(out), daemon=True)
        reader.start()
        time.sleep(chance.random() * 0.05)
        process.kill()
        process.wait(20)
        reader.join(20)
        told = max(told, *(int(line.split()[1]) for line in (first, *lines) if line.endswith("\n")))
        process.stdout.close()
        assert process.stderr is not None
        process.stderr.close()
        with open_ledger(file) as ledger:
            numbers = written(ledger, "w")
            assert numbers[-1] in (told, told + 1)
            for left in ledger.promotions.under_way():
                states.add(tuple(step.state for step in left.steps))
                assert [step.state for step in left.steps] == sorted(
                    (step.state for step in left.steps), key=("done", "begun", "planned").index
                )
            ledger.verify()
    assert len(states) > 3, "the kills all came at the same moment"
    with open_ledger(file) as ledger:
        finish(ledger, "w")
        assert ledger.promotions.under_way() == ()
        adopted = ledger.promotions.adopted("llama", "latest", "w")
        assert adopted is not None
        assert adopted.after == digest(f"w {written(ledger, 'w')[-1]}")


def test_processes_killed_while_they_make_the_ledger_leave_one_that_opens(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311
    for number in range(12):
        file = tmp_path / f"{number}.sqlite"
        processes = [start(file, writer, 1) for writer in "ab"]
        time.sleep(0.1 + chance.random() * 0.5)
        for process in processes:
            process.kill()
            process.communicate(timeout=20)
        with open_ledger(file) as ledger:
            ledger.verify()
            ledger.verdicts.record(verdict())
            assert verdict() in ledger.verdicts.all()


def test_eight_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    file, rounds = tmp_path / "ledger.sqlite", 15
    processes = [start(file, f"w{number}", rounds) for number in range(WRITERS)]
    for process in processes:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        assert len(out.splitlines()) == rounds
    with open_ledger(file) as ledger:
        for number in range(WRITERS):
            assert written(ledger, f"w{number}") == list(range(rounds))
        assert ledger.promotions.under_way() == ()
        assert len(ledger.verdicts.all()) == WRITERS * rounds
        ledger.verify()


def test_of_eight_at_once_that_plan_the_same_one_wins(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    script = (
        "import sys; from pathlib import Path\n"
        "from builder.channels.ledger.ledger import open_ledger\n"
        "from builder.channels.ledger.faults import LedgerError\n"
        "from tests.unit.ledger_entries import promotion\n"
        "with open_ledger(Path(sys.argv[1])) as ledger:\n"
        "    try: ledger.promotions.plan(promotion(ledger.id, sys.argv[2]))\n"
        "    except LedgerError as error: sys.exit(error.cause)\n"
    )
    command = [sys.executable, "-c", script, str(file)]
    processes = [
        subprocess.Popen([*command, str(number)], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
        for number in range(WRITERS)
    ]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, *[1] * (WRITERS - 1)]
    assert all("is under way since" in words for words in said if words)
    with open_ledger(file) as ledger:
        assert len(ledger.promotions.under_way()) == 1


def test_a_writer_that_is_stopped_makes_others_wait_and_then_say_so(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    script = (
        "import sys, time; from pathlib import Path\n"
        "from builder.channels.ledger.ledger import open_ledger\n"
        "from tests.unit.ledger_entries import verdict\n"
        "with open_ledger(Path(sys.argv[1])) as ledger, ledger.together():\n"
        "    ledger.verdicts.record(verdict('lost')); print('held', flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(file)]
    holder = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGSTOP)
        with open_ledger(file, patience=0.3) as ledger:
            with pytest.raises(Exception, match="Another process keeps the ledger"):
                ledger.verdicts.record(verdict())
            assert ledger.verdicts.all() == ()
            holder.kill()
            holder.wait(20)
            ledger.verdicts.record(verdict())
            assert ledger.verdicts.all() == (verdict(),)


def in_a_disk_of_its_own(tmp_path: Path, commands: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run commands of a shell with a mount of their own at `$1`, which others never see."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("a disk of its own needs root and unshare")
    place = tmp_path / "disk"
    place.mkdir()
    command = ["unshare", "--mount", "sh", "-euc", commands, "sh", str(place), *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)


WRITE = f'"{sys.executable}" -m tests.integration.channels.writing'


def test_a_full_disk_is_said_and_takes_nothing_away(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    done = in_a_disk_of_its_own(
        tmp_path,
        'mount -t tmpfs -o size=700k none "$1"\n'
        f'{WRITE} "$1/ledger.sqlite" w 1000 > "$2/told" 2> "$2/said" && exit 9\n'
        'cp "$1"/ledger.sqlite* "$2"',
        kept,
    )
    assert done.returncode == 0, done.stderr
    said = (kept / "said").read_text()
    assert "LedgerError: The disk that holds the ledger" in said
    assert "is full" in said
    told = len((kept / "told").read_text().splitlines())
    with open_ledger(kept / "ledger.sqlite") as ledger:
        ledger.verify()
        assert len(written(ledger, "w")) in (told, told + 1)
        finish(ledger, "w")
        assert told > 3


def test_a_disk_with_no_room_at_all_is_said(tmp_path: Path) -> None:
    done = in_a_disk_of_its_own(
        tmp_path,
        f'mount -t tmpfs -o size=16k none "$1"; head -c 16384 /dev/zero > "$1/filler"\n{WRITE} "$1/ledger.sqlite" w 1',
    )
    assert done.returncode == 1
    assert "LedgerError: The disk that holds the ledger" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("made", [True, False], ids=["with a ledger", "empty"])
def test_a_disk_that_is_read_only_is_said(tmp_path: Path, made: bool) -> None:
    make = f'{WRITE} "$1/ledger.sqlite" w 1\n' if made else ""
    done = in_a_disk_of_its_own(
        tmp_path,
        f'mount -t tmpfs -o size=4m none "$1"\n{make}mount -o remount,ro "$1"\n{WRITE} "$1/ledger.sqlite" w 1',
    )
    assert done.returncode == 1
    assert "LedgerError: The ledger" in done.stderr
    assert "cannot be written to" in done.stderr
    assert "BUILDER_STATE" in done.stderr
    assert "Traceback" not in done.stderr
