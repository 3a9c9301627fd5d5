from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.performance.comparison import Direction, Judgement, Outcome, Question, compare, questions
from builder.performance.interleaving import order
from builder.performance.metrics import metric
from builder.performance.pairing import pair, summarise
from builder.performance.rules import Rules, Statistic
from builder.performance.samples import Run
from builder.performance.sentences import interval, reason
from tests.unit.performance_runs import asked, measured

_RULES = Rules()
_TTFT, _RATE = "ttft/2k", "throughput/10"


def _one(runs: list[Run], name: str = _TTFT, rules: Rules = _RULES) -> Judgement:
    return compare(runs, asked(name), rules)[0]


def test_the_order_of_runs_goes_there_and_back_and_alternates() -> None:
    assert order("AB", 1) == ("A", "B", "B", "A")
    assert order("AB", 2) == ("B", "A", "A", "B")
    assert order("123", 2) == ("2", "3", "1", "1", "3", "2")


def test_a_slow_down_is_seen_with_its_size() -> None:
    found = _one(measured(8, {_TTFT: 0.10}))
    assert found.outcome is Outcome.WORSE
    assert found.direction is Direction.SLOWER
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1.10 < found.high
    assert found.spread == pytest.approx(0.01, rel=0.5)


def test_a_slow_down_within_what_is_allowed_is_seen_and_not_worse() -> None:
    found = _one(measured(12, {_TTFT: 0.02}))
    assert (found.outcome, found.direction) == (Outcome.NOT_WORSE, Direction.SLOWER)


def test_fewer_tokens_are_worse_and_more_are_better() -> None:
    worse = _one(measured(8, {_RATE: 0.15}), _RATE)
    better = _one(measured(8, {_RATE: -0.15}), _RATE)
    assert (worse.outcome, worse.direction, worse.better) == (Outcome.WORSE, Direction.SLOWER, False)
    assert (better.outcome, better.direction, better.better) == (Outcome.NOT_WORSE, Direction.FASTER, True)


def test_the_same_against_itself_is_not_worse_and_no_difference_is_seen() -> None:
    found = _one(measured(8, {_TTFT: 0.0}))
    assert (found.outcome, found.direction) == (Outcome.NOT_WORSE, Direction.NONE)


def test_what_lies_at_the_limit_stays_undecided() -> None:
    found = _one(measured(16, {_TTFT: 0.05}))
    assert (found.outcome, found.direction) == (Outcome.UNDECIDED, Direction.SLOWER)


def test_memory_is_more_or_less_and_decides_nothing() -> None:
    found = _one(measured(8, {"memory/server": 0.2}), "memory/server")
    assert (found.outcome, found.direction, found.gating) == (Outcome.TOLD, Direction.MORE, False)


def test_a_drift_of_two_per_cent_a_run_does_not_pass_for_a_difference() -> None:
    found = _one(measured(10, {_TTFT: 0.0}, drift=0.02))
    assert found.direction is Direction.NONE
    assert found.ratio == pytest.approx(1.0, abs=0.02)


def test_one_wild_run_hides_no_regression() -> None:
    runs = measured(10, {_TTFT: 0.10})
    first_of_a = next(index for index, run in enumerate(runs) if run.subject == "A" and run.round == 4)
    samples = {_TTFT: tuple(2 * value for value in runs[first_of_a].samples[_TTFT])}
    runs[first_of_a] = replace(runs[first_of_a], samples=samples)
    assert _one(runs).outcome is Outcome.WORSE


def test_too_few_rounds_are_undecided_and_say_how_many_are_missing() -> None:
    found = _one(measured(1, {_TTFT: 0.5}))
    assert found.outcome is Outcome.UNDECIDED
    assert found.direction is Direction.NONE
    assert "it needs 2 more whole rounds to be judged" in reason(found, _RULES)


def test_an_undecided_figure_says_how_many_rounds_would_tell() -> None:
    found = _one(measured(4, {_TTFT: 0.01}, scatter=0.04))
    assert found.outcome is Outcome.UNDECIDED
    assert found.more_rounds is not None
    assert f"{found.more_rounds} more round" in reason(found, _RULES)


def test_nothing_at_all_is_undecided() -> None:
    found = _one([])
    assert found.outcome is Outcome.UNDECIDED
    assert (found.ratio, found.rounds) == (None, 0)
    assert reason(found, _RULES) == f"{_TTFT}: no round counts. It was not measured."


def test_a_figure_that_one_side_has_is_undecided_and_says_which_lacks_it() -> None:
    runs = [
        replace(run, samples=run.samples if run.subject == "A" else {}) for run in measured(6, {_TTFT: 0.0, _RATE: 0.0})
    ]
    found = _one(runs)
    assert found.outcome is Outcome.UNDECIDED
    assert len(found.left_out) == 6
    assert f"{_TTFT} of B was not measured" in found.left_out[0]


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ((math.nan, 1.0), "no measurement"),
        ((math.inf,), "no measurement"),
        ((1.7e308, 1.7e308), "no measurement"),
        ((-1.0,), "no measurement"),
        ((0.0, 0.0), "is 0"),
        ((), "not measured"),
    ],
)
def test_a_round_with_what_is_no_measurement_does_not_count(samples: tuple[float, ...], words: str) -> None:
    runs = measured(5, {_TTFT: 0.0})
    runs[5] = replace(runs[5], samples={_TTFT: samples})
    found = _one(runs)
    assert found.rounds == 4
    assert words in found.left_out[0]
    assert found.left_out[0].startswith("Round 2: ")


def test_a_server_that_gives_nothing_at_all_does_not_pass() -> None:
    runs = [replace(run, samples={_RATE: (0.0,)}) if run.subject == "B" else run for run in measured(8, {_RATE: 0.0})]
    assert _one(runs, _RATE).outcome is Outcome.UNDECIDED


def test_a_round_with_a_run_set_aside_does_not_count_and_says_why() -> None:
    runs = measured(5, {_TTFT: 0.0})
    runs[9] = replace(runs[9], set_aside="the GPU was throttled")
    found = _one(runs)
    assert found.rounds == 4
    assert "the GPU was throttled" in found.left_out[0]


def test_a_round_that_is_not_finished_does_not_count() -> None:
    found = _one(measured(5, {_TTFT: 0.0})[:-1])
    assert found.rounds == 4
    assert "1 runs" in found.left_out[0] or "2 runs" in found.left_out[0]


def test_a_tail_needs_enough_samples() -> None:
    few, enough = [1.0] * 99, [1.0] * 100
    assert summarise(few, Statistic.P99) == (None, "has 99 samples in a run, and p99 needs 100")
    assert summarise(enough, Statistic.P99) == (1.0, "")
    assert summarise([1.0] * 20, Statistic.P95) == (1.0, "")


def test_tails_are_told_of_times_and_decide_nothing() -> None:
    wanted = questions([metric(_TTFT), metric(_RATE)], (Statistic.P95,))
    assert [one.name for one in wanted] == [_TTFT, f"{_TTFT} p95", _RATE]
    runs = measured(8, {_TTFT: 0.2, _RATE: 0.0}, samples=20)
    by_name = {one.question.name: one for one in compare(runs, wanted, _RULES)}
    assert by_name[f"{_TTFT} p95"].outcome is Outcome.TOLD
    assert by_name[f"{_TTFT} p95"].direction is Direction.SLOWER


def test_the_more_figures_decide_the_surer_an_alarm_has_to_be() -> None:
    runs = measured(3, {f"ttft/{number}": 0.0 for number in range(20)} | {_TTFT: 0.09}, seed=3)
    alone = compare(runs, asked(_TTFT), _RULES)[0]
    among = compare(runs, asked(_TTFT, *(f"ttft/{number}" for number in range(20))), _RULES)[0]
    assert alone.outcome is Outcome.WORSE
    assert among.outcome is Outcome.UNDECIDED
    assert (alone.low, alone.high) == (among.low, among.high)


def test_a_figure_of_its_own_threshold_is_judged_by_it() -> None:
    runs = measured(12, {"llama-bench/pp512": 0.045}, scatter=0.005)
    assert _one(runs, "llama-bench/pp512").outcome is Outcome.WORSE
    assert _one(measured(12, {_TTFT: 0.045}, scatter=0.002)).outcome is Outcome.NOT_WORSE


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 8), st.floats(-0.3, 0.3), st.integers(0, 10_000), st.sampled_from([_TTFT, _RATE]))
def test_exchanging_the_subjects_turns_ratio_and_direction_round(
    rounds: int, share: float, seed: int, name: str
) -> None:
    runs = measured(rounds, {name: share}, seed=seed)
    forth = compare(runs, asked(name), _RULES, ("A", "B"))[0]
    back = compare(runs, asked(name), _RULES, ("B", "A"))[0]
    assert forth.ratio is not None
    assert back.ratio is not None
    assert forth.low is not None
    assert back.high is not None
    assert forth.ratio * back.ratio == pytest.approx(1.0)
    assert forth.low * back.high == pytest.approx(1.0)
    opposite = {Direction.SLOWER: Direction.FASTER, Direction.FASTER: Direction.SLOWER}
    assert back.direction is opposite.get(forth.direction, Direction.NONE)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.floats(), max_size=4), min_size=4, max_size=24), st.integers(0, 3))
def test_whatever_was_measured_is_judged_without_an_error(values: list[list[float]], aside: int) -> None:
    runs = [
        Run("AB"[number % 2], number // 4 + 1, number, {_TTFT: tuple(some)}, set_aside="x" if number < aside else "")
        for number, some in enumerate(values)
    ]
    found = _one(runs)
    assert found.outcome in Outcome
    assert found.rounds + len(found.left_out) == len({run.round for run in runs})
    assert reason(found, _RULES)


def test_pairs_are_of_neighbours_in_either_order() -> None:
    value = {"A": 1.0, "B": math.e}
    runs = [
        Run(subject, number, 4 * number + place, {_TTFT: (value[subject],)})
        for number in (1, 2)
        for place, subject in enumerate(order("AB", number))
    ]
    pairs = pair(runs, ("A", "B"), _TTFT, Statistic.MEDIAN)
    assert pairs.rounds == (1, 2)
    assert pairs.differences.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_figures_that_no_number_can_tell_apart_are_judged_and_not_given_up() -> None:
    """Two rounds of a wild figure have an interval beyond every number."""
    values = iter((1e-90, 1e90, 1e90, 1e-90, 1e-90, 1e-90, 1e90, 1e90))
    runs = [
        Run(subject, number, 4 * number + place, {_TTFT: (next(values),)})
        for number in (1, 2)
        for place, subject in enumerate(order("AB", number))
    ]
    found = _one(runs, rules=Rules(least_rounds=2, most_rounds=2))
    assert found.outcome is Outcome.UNDECIDED
    assert found.low is not None
    assert found.high is not None
    assert found.spread is not None
    assert all(math.isfinite(value) for value in (found.low, found.high, found.spread))
    assert found.high > 1e90


def test_intervals_are_written_for_people() -> None:
    found = _one(measured(8, {_TTFT: 0.10}))
    assert interval(replace(found, ratio=1.052, low=1.031, high=1.073)) == "+5.2 % (+3.1 % to +7.3 %)"
    assert interval(replace(found, ratio=0.99996, low=None, high=None)) == "0.0 %"


def test_a_question_is_named_by_its_figure() -> None:
    assert Question(metric(_TTFT), Statistic.MEDIAN).name == _TTFT
    assert Question(metric(_TTFT), Statistic.P99).name == f"{_TTFT} p99"


@pytest.mark.parametrize("wrong", [{"confidence": 1.0}, {"least_rounds": 1}, {"least_rounds": 9, "most_rounds": 8}])
def test_rules_that_fit_no_comparison_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="least_rounds"):
        Rules(**wrong)  # type: ignore[arg-type]
