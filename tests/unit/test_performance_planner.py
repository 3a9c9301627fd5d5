from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.performance.comparison import Outcome
from builder.performance.planner import Standing, Why, assess
from builder.performance.rules import Rules
from builder.performance.samples import Run
from tests.unit.performance_runs import asked, measured

_TTFT, _RATE = "ttft/2k", "throughput/10"
_RULES = Rules(most_rounds=12)


def _until_it_stops(
    runs: list[Run], names: tuple[str, ...] = (_TTFT,), rules: Rules = _RULES, seconds: float = 0.0
) -> Standing:
    """What a bench does that asks after every round."""
    last = max(run.round for run in runs)
    for number in range(1, last + 1):
        so_far = [run for run in runs if run.round <= number]
        standing = assess(so_far, asked(*names), rules, spent=number * seconds)
        if not standing.step.go_on:
            break
    return standing


def test_it_goes_on_before_the_first_look() -> None:
    step = assess([], asked(_TTFT), _RULES).step
    assert (step.why, step.go_on) == (Why.UNDECIDED, True)


def test_it_stops_as_soon_as_nothing_is_worse() -> None:
    standing = _until_it_stops(measured(12, {_TTFT: 0.0, _RATE: 0.01}), (_TTFT, _RATE))
    assert (standing.step.why, standing.outcome) == (Why.DECIDED, Outcome.NOT_WORSE)
    assert standing.first_batch <= 5
    assert not standing.suspected


def test_a_regression_is_confirmed_by_a_second_batch_before_it_counts() -> None:
    runs = measured(24, {_TTFT: 0.12})
    suspected = _until_it_stops(runs[: 4 * 3])
    assert (suspected.step.why, suspected.step.go_on) == (Why.CONFIRMING, True)
    assert suspected.outcome is Outcome.UNDECIDED
    assert suspected.suspected == {_TTFT}
    confirmed = _until_it_stops(runs)
    assert (confirmed.step.why, confirmed.outcome) == (Why.DECIDED, Outcome.WORSE)
    assert confirmed.confirmed == {_TTFT}
    assert confirmed.first_batch >= 3
    assert confirmed.second_batch >= 3


def test_a_regression_that_does_not_come_back_does_not_count() -> None:
    runs = [*measured(3, {_TTFT: 0.15}), *measured(12, {_TTFT: 0.0}, first=4, seed=2)]
    standing = _until_it_stops(runs)
    assert standing.suspected == {_TTFT}
    assert (standing.step.why, standing.outcome) == (Why.DECIDED, Outcome.NOT_WORSE)
    assert standing.judgements[0].rounds == standing.second_batch


def test_what_only_the_second_batch_finds_worse_was_seen_once_and_is_undecided() -> None:
    both = measured(3, {_TTFT: 0.15, _RATE: 0.05}, scatter=0.012, seed=5)
    runs = [*both, *measured(4, {_TTFT: 0.0, _RATE: 0.3}, first=4, seed=2)]
    standing = assess(runs, asked(_TTFT, _RATE), _RULES)
    assert standing.suspected == {_TTFT}
    assert {one.question.name: one.outcome for one in standing.judgements} == {
        _TTFT: Outcome.NOT_WORSE,
        _RATE: Outcome.UNDECIDED,
    }
    assert not standing.confirmed


def test_it_stops_where_more_rounds_would_hardly_decide() -> None:
    standing = _until_it_stops(measured(12, {_TTFT: 0.05}, scatter=0.02), rules=Rules(most_rounds=12))
    assert standing.step.why is Why.HOPELESS
    assert standing.outcome is Outcome.UNDECIDED
    assert standing.first_batch < 12


def test_it_stops_where_a_figure_is_never_measured() -> None:
    standing = _until_it_stops(measured(12, {_TTFT: 0.0}), (_TTFT, _RATE))
    assert standing.step.why is Why.HOPELESS
    assert _RATE in standing.step.sentence


def test_it_stops_at_the_most_rounds_there_may_be() -> None:
    standing = _until_it_stops(measured(12, {_TTFT: 0.0}, scatter=0.03, seed=4), rules=Rules(most_rounds=4))
    assert standing.step.why is Why.LIMIT
    assert standing.first_batch == 4
    assert standing.step.more_rounds


def test_it_stops_before_a_round_that_would_pass_the_time_limit() -> None:
    rules = Rules(most_rounds=12, time_limit=65)
    standing = _until_it_stops(measured(12, {_TTFT: 0.02}, scatter=0.03), rules=rules, seconds=10)
    assert (standing.step.why, standing.first_batch) == (Why.LIMIT, 6)
    assert "65 s" in standing.step.sentence


def test_rounds_that_do_not_count_do_not_go_on_for_ever() -> None:
    runs = [
        Run(run.subject, run.round, run.order, run.samples, set_aside="" if run.round % 2 else "throttled")
        for run in measured(40, {_TTFT: 0.0}, scatter=0.2)
    ]
    standing = _until_it_stops(runs, rules=Rules(most_rounds=8))
    assert not standing.step.go_on
    assert standing.first_batch <= 12


def test_where_nothing_decides_it_stops_when_every_direction_is_seen() -> None:
    standing = _until_it_stops(measured(12, {"memory/server": 0.1}), ("memory/server",))
    assert (standing.step.why, standing.outcome) == (Why.DECIDED, Outcome.TOLD)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(-0.1, 0.2), st.floats(0.002, 0.05))
def test_it_always_stops_and_says_the_same_again(seed: int, share: float, scatter: float) -> None:
    rules = Rules(most_rounds=5)
    runs = measured(16, {_TTFT: share}, scatter=scatter, seed=seed)
    standing = _until_it_stops(runs, rules=rules)
    assert not standing.step.go_on
    rounds = standing.first_batch + standing.second_batch
    so_far = [run for run in runs if run.round <= rounds]
    assert assess(list(reversed(so_far)), asked(_TTFT), rules) == standing


@pytest.mark.parametrize(("share", "fails"), [(0.0, 0), (0.12, 40)])
def test_over_many_trials_the_same_never_fails_and_a_clear_regression_always_does(share: float, fails: int) -> None:
    rules = Rules(most_rounds=8)
    outcomes = [
        _until_it_stops(measured(20, {_TTFT: share, _RATE: 0.0}, seed=seed), (_TTFT, _RATE), rules).outcome
        for seed in range(40)
    ]
    assert outcomes.count(Outcome.WORSE) == fails
