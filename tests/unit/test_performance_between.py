"""Two records against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from builder.performance.between import between
from builder.performance.comparison import Direction, Outcome
from builder.performance.errors import CouldNotMeasure
from builder.performance.metrics import metric
from builder.performance.record import Record, records_of_metrics, records_of_runs
from builder.performance.rules import Rules, Statistic
from builder.performance.samples import Run
from tests.unit.performance_runs import measured
from tests.unit.report_records import MACHINE, record, subject

_SAME = {"ttft/2k": 0.0, "llama-bench/tg64": 0.0}


def _alone(slower: Mapping[str, float] = _SAME, *, rounds: int = 6, seed: int = 1, **other: Any) -> Record:
    """A base line; the figures are as much worse as the second of two subjects would have them."""
    runs = [replace(run, subject="A") for run in measured(rounds, slower, seed=seed) if run.subject == "B"]
    return _of(runs, **other)


def _of(runs: list[Run], **other: Any) -> Record:
    metrics = records_of_metrics(metric(name) for name in dict.fromkeys(name for run in runs for name in run.samples))
    known = {"subjects": (subject("A", "b10991"),), "runs": records_of_runs(runs), "metrics": metrics}
    return record(judgements=(), outcome=None, notes=(), **known | other)


def test_equal_ones_are_not_worse_and_it_is_said_that_they_were_measured_apart() -> None:
    made = between(_alone(), _alone(seed=2), ("A", "A"), Rules())
    assert made.outcome is Outcome.NOT_WORSE
    assert [one.name for one in made.subjects] == ["A", "B"]
    assert {one.subject for one in made.runs} == {"A", "B"}
    assert any("not measured by turns" in note for note in made.notes)
    assert Record.model_validate_json(made.model_dump_json(), strict=True) == made


def test_a_slower_one_is_named_and_not_confirmed() -> None:
    made = between(_alone(), _alone({**_SAME, "ttft/2k": 0.15}, seed=2), ("A", "A"), Rules())
    assert made.outcome is Outcome.UNDECIDED, "nothing has confirmed it"
    assert "not measured by turns" in made.unsettled
    assert made.notes[0] == made.unsettled
    assert made.notes[1].startswith("ttft/2k: +1")
    assert "more than 5 % worse" in made.notes[1]
    (found,) = (one for one in made.judgements if one.metric == "ttft/2k" and one.statistic is Statistic.MEDIAN)
    assert (found.outcome, found.direction) == (Outcome.UNDECIDED, Direction.SLOWER)


def test_what_drifts_within_each_record_is_scatter_that_no_pairing_takes_out() -> None:
    """Both got slower by the same from round to round; paired in their order, nothing of that would be seen."""

    def drifting(seed: int) -> list[Run]:
        runs = [run for run in measured(6, {"ttft/2k": 0.0}, seed=seed, scatter=0.001) if run.subject == "A"]
        return [
            replace(run, samples={"ttft/2k": tuple(value * 1.05**run.round for value in run.samples["ttft/2k"])})
            for run in runs
        ]

    made = between(_of(drifting(1)), _of(drifting(2)), ("A", "A"), Rules())
    (found,) = (one for one in made.judgements if one.allowed is not None)
    assert found.low is not None
    assert found.high is not None
    assert found.high / found.low > 1.1
    assert made.outcome is Outcome.UNDECIDED


def test_a_recommendation_of_one_of_them_is_none_of_both() -> None:
    made = between(_alone(), _alone(seed=2, recommended="A", recommendation=("Take it.",)), ("A", "A"), Rules())
    assert (made.recommended, made.recommendation) == ("", ())


def test_rounds_that_do_not_count_are_left_out_and_the_rest_meet() -> None:
    before = _alone()
    runs = [replace(run, set_aside="a neighbour") if run.round in (1, 4) else run for run in before.measured_runs()]
    made = between(_of(runs), _alone(seed=2), ("A", "A"), Rules())
    assert made.outcome is Outcome.NOT_WORSE
    assert {one.rounds for one in made.judgements if one.allowed is not None} == {4}


def test_a_subject_of_a_comparison_can_be_taken() -> None:
    both = record(subjects=(subject("A", "b10991"), subject("B", "b10995")))
    made = between(both, both, ("A", "B"), Rules())
    assert [one.build for one in made.subjects] == ["b10991", "b10995"]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"machine": MACHINE.model_copy(update={"gpus": ()})}, "The GPUs differ"),
        ({"arguments": {"answer": "16"}}, "Other things were measured"),
        (
            {"arguments": {**record().arguments, "prompts": "short 100, near 480"}},
            "prompts -, short 100, near 480",
        ),
        (
            {"subjects": (subject("A", model=subject("A").model.model_copy(update={"digest": "sha256:2"})),)},
            "The models differ",
        ),
    ],
)
def test_another_machine_model_or_work_is_refused(other: dict[str, Any], why: str) -> None:
    with pytest.raises(CouldNotMeasure, match="cannot be compared") as told:
        between(_alone(), _alone(**other), ("A", "A"), Rules())
    assert any(why in line for line in told.value.excerpt)


def test_how_often_a_thing_was_asked_is_said_and_no_reason_to_refuse() -> None:
    before, after = ({"answer": "32", "times": times} for times in ("short 3", "short 9"))
    made = between(_alone(arguments=before), _alone(arguments=after), ("A", "A"), Rules())
    assert "They asked unequally often." in made.notes


def test_where_one_had_no_llama_bench_the_rest_is_compared_and_it_is_said() -> None:
    made = between(_alone(), _alone({"ttft/2k": 0.0}, seed=2), ("A", "A"), Rules())
    assert made.outcome is Outcome.NOT_WORSE
    assert "llama-bench is not compared: it is in one record alone." in made.notes


def test_another_figure_that_one_record_lacks_leaves_it_open() -> None:
    made = between(_alone({**_SAME, "generation/alone": 0.0}), _alone(seed=2), ("A", "A"), Rules())
    assert made.outcome is Outcome.UNDECIDED


def test_too_few_rounds_leave_it_open() -> None:
    assert between(_alone(rounds=2), _alone(rounds=2), ("A", "A"), Rules()).outcome is Outcome.UNDECIDED
