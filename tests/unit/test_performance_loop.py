"""When rounds go on and when they end, with made-up measurements."""

from __future__ import annotations

import signal
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import InterruptedBySignal, MachineError
from builder.performance.aims import Aim, Baseline, Decision, Pair, Sweep
from builder.performance.comparison import Outcome
from builder.performance.errors import CouldNotMeasure
from builder.performance.loop import Taken, progress_of, seconds_left, take_rounds
from builder.performance.measure import Measured
from builder.performance.planner import Why
from builder.performance.rules import Rules
from builder.performance.samples import Run
from tests.unit.performance_runs import measured

_SAME = {"ttft/2k": 0.0, "generation/alone": 0.0}
_TOOK = 10.0
_RULES = Rules(most_rounds=8)
_PAIR = Pair("A", "B", _RULES)
Ends = Callable[[Run], BaseException | None]


def _nothing(_: Run) -> None:
    return None


class _Made:
    """Gives rounds that were made up, and remembers what was asked for."""

    def __init__(
        self,
        slower: Mapping[str, float],
        *,
        subjects: str = "AB",
        rounds: int = 40,
        scatter: float = 0.01,
        change: Callable[[Run], Run] = lambda run: run,
        ends: Ends = _nothing,
    ) -> None:
        self._runs = [change(run) for run in measured(rounds, slower, subjects=tuple(subjects), scatter=scatter)]
        self._ends = ends
        self.asked: list[str] = []

    def __call__(self, number: int, gone: Container[str]) -> Iterator[Measured]:
        for run in (run for run in self._runs if run.round == number):
            if run.subject in gone:
                continue
            self.asked.append(f"{run.subject}{run.round}")
            ending = self._ends(run)
            if ending is not None and not isinstance(ending, CouldNotMeasure):
                raise ending
            yield Measured(run, {}, (f"Round {number} was noisy.",), ending, Path("log"), _TOOK)


def _take(made: _Made, aim: Aim) -> tuple[Taken, list[Taken]]:
    told: list[Taken] = []
    return take_rounds(made, aim, lambda _: None, told.append), told


def test_equal_subjects_are_found_not_worse_as_soon_as_it_is_known() -> None:
    taken, kept = _take(_Made(_SAME), _PAIR)
    assert taken.decision
    assert taken.decision.outcome is Outcome.NOT_WORSE
    assert taken.decision.settled
    assert 3 <= taken.rounds < 8
    assert [one.rounds for one in kept] == list(range(1, taken.rounds + 1)), "it is kept after every round"
    assert taken.spent == _TOOK * len(taken.runs)


def test_a_slower_subject_fails_only_after_a_second_batch() -> None:
    taken, kept = _take(_Made({"ttft/2k": 0.15, "generation/alone": 0.0}), _PAIR)
    assert taken.decision
    assert taken.decision.outcome is Outcome.WORSE
    assert any(one.decision and one.decision.step.why is Why.CONFIRMING for one in kept)
    assert taken.rounds >= 6
    assert "ttft/2k" in taken.decision.sentences[0]
    assert "confirming a regression" in " ".join(map(progress_of, kept))


def test_noise_that_decides_nothing_ends_undecided() -> None:
    taken, _ = _take(_Made(_SAME, scatter=0.6), _PAIR)
    assert taken.decision
    assert taken.decision.outcome is Outcome.UNDECIDED
    assert not taken.decision.settled
    assert any("open" in sentence for sentence in taken.decision.sentences)


def test_a_time_limit_ends_it() -> None:
    taken, _ = _take(_Made(_SAME, scatter=0.05), Pair("A", "B", replace(_RULES, time_limit=170)))
    assert taken.rounds == 4, "a fifth round would take it to 200 s"
    assert taken.decision
    assert taken.decision.step.why is Why.LIMIT


def test_a_server_that_dies_in_round_three_leaves_two_rounds_and_the_reason() -> None:
    def dies(run: Run) -> BaseException | None:
        return CouldNotMeasure("The server ended.", "See its log.") if (run.subject, run.round) == ("B", 3) else None

    taken, kept = _take(_Made(_SAME, ends=dies), _PAIR)
    assert taken.error
    assert taken.interrupted == "In round 3: The server ended."
    assert taken.rounds == 3
    last = taken.runs[-1]
    assert (last.subject, last.round, last.set_aside) == ("B", 3, "The server ended.")
    assert taken.decision, "what two rounds said is still there"
    assert taken.decision.outcome is Outcome.UNDECIDED
    assert kept[-1] == taken


def test_one_that_dies_at_once_leaves_no_decision() -> None:
    taken, _ = _take(_Made(_SAME, ends=lambda _: CouldNotMeasure("It does not fit.", "")), _PAIR)
    assert taken.decision is None
    assert taken.interrupted == "In round 1: It does not fit."


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (KeyboardInterrupt(), "Interrupted in round 2."),
        (InterruptedBySignal(signal.SIGTERM), "Ended by SIGTERM in round 2."),
        (MachineError("No engine answers.", ""), "In round 2: No engine answers."),
        (ZeroDivisionError(), "The program failed in round 2."),
    ],
)
def test_whatever_ends_it_what_was_measured_is_kept_before(ending: BaseException, said: str) -> None:
    kept: list[Taken] = []
    made = _Made(_SAME, ends=lambda run: ending if run.round == 2 and run.order == 6 else None)
    with pytest.raises(type(ending)):
        take_rounds(made, _PAIR, kept.append)
    assert kept[-1].interrupted == said
    assert [run.order for run in kept[-1].runs] == [0, 1, 2, 3, 4, 5]


class _Failing(Pair):
    """Cannot decide after the second round."""

    def decide(self, runs: Sequence[Run], spent: float) -> Decision:
        if max(run.round for run in runs) > 1:
            raise KeyboardInterrupt
        return super().decide(runs, spent)


def test_a_round_that_was_measured_is_kept_whatever_becomes_of_its_decision() -> None:
    kept: list[Taken] = []
    with pytest.raises(KeyboardInterrupt):
        take_rounds(_Made(_SAME), _Failing("A", "B", _RULES), kept.append)
    assert kept[-2].rounds == 2, "before it is decided on"
    assert kept[-2].interrupted == ""
    assert (kept[-1].rounds, kept[-1].interrupted) == (2, "Interrupted in round 2.")


def test_what_could_not_be_looked_for_is_kept() -> None:
    made = _Made(_SAME)

    def blind(number: int, gone: Container[str]) -> Iterator[Measured]:
        for one in made(number, gone):
            yield replace(one, unseen=("Nothing tells whether the GPU was slowed down.",))

    taken = take_rounds(blind, _PAIR, lambda _: None)
    assert taken.unseen == ("Nothing tells whether the GPU was slowed down.",)


def test_a_base_line_ends_after_the_rounds_that_were_wanted() -> None:
    taken, _ = _take(_Made(_SAME, subjects="A"), Baseline("A", _RULES, 4))
    assert taken.rounds == 4
    assert taken.decision
    assert taken.decision.outcome is None
    assert taken.decision.settled
    assert taken.decision.sentences == ("This is a base line of 4 rounds.",)


def test_a_base_line_that_the_time_ends_says_so() -> None:
    rules = replace(_RULES, time_limit=45)
    taken, _ = _take(_Made(_SAME, subjects="A"), Baseline("A", rules, 4))
    assert taken.rounds == 2, "a third round would take it to 60 s"
    assert taken.decision
    assert not taken.decision.settled
    assert taken.decision.sentences == (
        "A base line takes 4 rounds, and 2 count. Another round would pass the limit of 45 s.",
    )


def test_rounds_that_do_not_count_are_made_up_for_up_to_a_point() -> None:
    def noisy(run: Run) -> Run:
        return replace(run, set_aside=f"Others took {run.round}.5 cores.") if run.round > 1 else run

    taken, _ = _take(_Made(_SAME, subjects="A", change=noisy), Baseline("A", _RULES, 4))
    assert taken.rounds == 6
    assert taken.decision
    assert not taken.decision.settled
    assert taken.decision.sentences[0].startswith("A base line takes 4 rounds, and 1 counts. Others took 2.5 cores.")
    nothing = [replace(run, set_aside=f"Others took {run.order} cores.") for run in taken.runs]
    decision = Baseline("A", _RULES, 4).decide(nothing, 0.0)
    assert not decision.settled
    (said,) = decision.sentences
    assert said.startswith("A base line takes 4 rounds, and none counts. Others took 0 cores. (And 11 times more.) ")
    assert said.endswith(" There were 6 rounds in this batch, as many as there may be.")


_TITLES = {"1": "ubatch=64", "2": "ubatch=128", "3": "ubatch=256"}


def test_a_sweep_recommends_what_is_better() -> None:
    made = _Made({"ttft/2k": -0.2, "generation/alone": 0.0}, subjects="123")
    taken, _ = _take(made, Sweep(_TITLES, "2", "", _RULES))
    assert taken.decision
    assert taken.decision.chosen == "3"
    assert taken.decision.settled
    assert "Take ubatch=256" in taken.decision.sentences[0]
    assert taken.decision.outcome is None


def test_a_sweep_goes_on_without_one_that_does_not_fit() -> None:
    def too_large(run: Run) -> BaseException | None:
        return CouldNotMeasure("It does not fit.", "") if run.subject == "3" else None

    made = _Made({"ttft/2k": -0.2, "generation/alone": 0.0}, subjects="123", ends=too_large)
    taken, _ = _take(made, Sweep(_TITLES, "1", "", _RULES))
    assert taken.error is None
    assert taken.gone == {"3": "It does not fit."}
    assert made.asked.count("31") == 1, "it is not tried again in the same round"
    assert not any(one.startswith("3") for one in made.asked[6:])
    assert taken.decision
    assert taken.decision.chosen == "2"


@pytest.mark.parametrize("lost", ["1", "23"])
def test_a_sweep_ends_where_nothing_is_left_to_choose(lost: str) -> None:
    def gone(run: Run) -> BaseException | None:
        return CouldNotMeasure("It does not fit.", "") if run.subject in lost else None

    taken, _ = _take(_Made(_SAME, subjects="123", ends=gone), Sweep(_TITLES, "1", "", _RULES))
    assert taken.error


def test_a_figure_of_one_subject_alone_is_not_taken_for_decided() -> None:
    def mute(run: Run) -> Run:
        return replace(run, samples={"ttft/2k": run.samples["ttft/2k"]}) if run.subject == "B" else run

    taken, _ = _take(_Made(_SAME, change=mute), _PAIR)
    assert taken.decision
    assert taken.decision.outcome is Outcome.UNDECIDED
    assert "generation/alone of B was not measured" in " ".join(taken.decision.sentences)


def test_in_a_sweep_it_is_left_out_and_said() -> None:
    def mute(run: Run) -> Run:
        return replace(run, samples={"ttft/2k": run.samples["ttft/2k"]}) if run.subject == "3" else run

    taken, _ = _take(_Made(_SAME, subjects="123", change=mute), Sweep(_TITLES, "1", "", _RULES))
    assert taken.decision
    assert taken.decision.notes[-1] == "generation/alone was not measured of all, and is left out."


@pytest.mark.parametrize("target", ["generation", ""])
def test_a_sweep_whose_target_not_all_have_recommends_nothing_and_says_so(target: str) -> None:
    lost = "generation/alone" if target else "ttft/2k"
    names = {"generation/alone": 0.0, "ttft/2k": 0.0} if target else {"ttft/2k": 0.0, "memory/container": 0.0}

    def mute(run: Run) -> Run:
        left = {name: values for name, values in run.samples.items() if name != lost}
        return replace(run, samples=left) if run.subject == "3" else run

    taken, _ = _take(_Made(names, subjects="123", change=mute), Sweep(_TITLES, "1", target, _RULES))
    assert taken.rounds == 1
    assert taken.decision
    assert (taken.decision.settled, taken.decision.chosen) == (False, "")
    assert "was not measured of all, so nothing is recommended" in taken.decision.sentences[0]
    assert f"{lost} was not measured of all, and is left out." in taken.decision.notes


def test_a_sweep_makes_up_for_rounds_that_do_not_count_as_a_comparison_does() -> None:
    def noisy(run: Run) -> Run:
        return replace(run, set_aside="Others took 3 cores.") if run.round % 2 else run

    rules = Rules(most_rounds=4)
    same = _Made({"ttft/2k": 0.0}, subjects="12", change=noisy, scatter=0.5)
    taken, _ = _take(same, Sweep({"1": "64", "2": "128"}, "1", "", rules))
    assert taken.rounds == 6
    assert taken.decision
    assert taken.decision.step.why is Why.LIMIT


def test_the_time_that_is_left_lies_within_the_limit() -> None:
    _, kept = _take(_Made(_SAME, scatter=0.05), Pair("A", "B", replace(_RULES, time_limit=1000)))
    left = [seconds_left(one, Pair("A", "B", replace(_RULES, time_limit=130))) for one in kept[:3]]
    assert all(one is not None and 0 <= one <= 130 - 40 * number for number, one in enumerate(left, start=1))
    assert seconds_left(Taken(), _PAIR) is None
    assert seconds_left(kept[-1], _PAIR) == 0.0
