"""What trials of a bench come to, and what they do not show."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.trialbook import SAME, SLOWER, Terms, Trial, append, is_kept, lacking, read

_ROOT = Path(__file__).parents[2]


def _trial(kind: str, *, slower: bool = False, counted: int = 5) -> Trial:
    return Trial(kind, "undecided", ("llama-bench/tg128",) if slower else (), (), {}, 5, counted, 9.0)


def test_few_trials_show_nothing_however_they_end() -> None:
    trials = [_trial(SAME), _trial(SLOWER, slower=True)]
    assert is_kept(trials)
    assert lacking(trials, 2) == f"1 of 2 {SAME}, 1 of 2 {SLOWER}"
    assert lacking(trials, 1) == ""


def test_trials_that_others_have_spoilt_are_not_counted() -> None:
    trials = [_trial(SAME), _trial(SAME, counted=2), _trial(SLOWER, slower=True)]
    assert lacking(trials, 2).startswith(f"1 of 2 {SAME}")


def test_a_false_alarm_in_ten_and_two_that_are_missed_are_too_many() -> None:
    found = [_trial(SLOWER, slower=True)] * 10
    assert not is_kept([*[_trial(SAME)] * 9, _trial(SAME, slower=True), *found])
    assert not is_kept([*[_trial(SAME)] * 10, *found[2:], *[_trial(SLOWER)] * 2])


def test_what_was_tried_is_read_back(tmp_path: Path) -> None:
    terms = Terms("sha256:1", 5.0, "pp512 tg128, 3 times", 9, 60.0)
    file = tmp_path / "trials.jsonl"
    append(file, terms, _trial(SAME))
    with file.open("a") as stream:
        stream.write('{"terms": ')
    (kept,) = read(file, terms)
    assert (kept.kind, kept.counts) == (SAME, True)


@pytest.mark.parametrize("words", [("--rounds", "2"), ("--trials", "0"), ("--share", "100")])
def test_trials_that_cannot_be_are_refused(words: tuple[str, str]) -> None:
    command = [sys.executable, str(_ROOT / "benchmarks" / "trials.py"), "none", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert words[0] in done.stderr
