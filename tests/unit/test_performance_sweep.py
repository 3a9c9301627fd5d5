from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from builder.performance.planner import Why
from builder.performance.rules import Rules
from builder.performance.samples import Run
from builder.performance.sweep import Recommendation, recommend
from tests.unit.performance_runs import asked, measured

_RULES = Rules(most_rounds=10)
_TITLES = {"1": "ubatch 64", "2": "ubatch 128", "3": "ubatch 256"}
_NAMES = ("ttft/short", "ttft/2k", "throughput/10")


def _sweep(rounds: int, times: Sequence[float], rates: Sequence[float] = (1, 1, 1), seed: int = 1) -> list[Run]:
    """Runs of three subjects with these times to first token and these rates."""
    base = measured(rounds, dict.fromkeys(_NAMES, 0.0), subjects="123", seed=seed)
    return [
        Run(run.subject, run.round, run.order, _scaled(run, times[int(run.subject) - 1], rates[int(run.subject) - 1]))
        for run in base
    ]


def _scaled(run: Run, time: float, rate: float) -> Mapping[str, tuple[float, ...]]:
    factors = {"ttft": time, "throughput": rate}
    return {
        name: tuple(value * factors[name.partition("/")[0]] for value in values) for name, values in run.samples.items()
    }


def _recommended(runs: list[Run], current: str = "2", target: str = "") -> Recommendation:
    return recommend(runs, asked(*_NAMES), _RULES, _TITLES, current=current, target=target)


def test_the_fastest_to_the_first_token_is_recommended() -> None:
    found = _recommended(_sweep(6, (0.8, 1.0, 1.3)))
    assert (found.subject, found.decided, found.alike) == ("1", True, ("1",))
    assert found.sentences[0].startswith("Take ubatch 64: -")
    assert found.step.why is Why.DECIDED
    assert found.target == ("ttft/short", "ttft/2k")


def test_the_current_one_is_kept_where_it_cannot_be_told_from_the_best() -> None:
    found = _recommended(_sweep(8, (1.0, 1.0, 1.3)))
    assert found.subject == "2"
    assert sorted(found.alike) == ["1", "2"]
    assert found.sentences[0] == "ubatch 64 and ubatch 128 cannot be told apart; keep ubatch 128, the current one."


def test_the_current_one_is_kept_where_it_is_the_best() -> None:
    found = _recommended(_sweep(6, (1.2, 1.0, 1.3)))
    assert (found.subject, found.alike) == ("2", ("2",))
    assert found.sentences[0] == "No other is better; keep ubatch 128, the current one."


def test_two_that_both_beat_the_current_one_are_said_to_be_alike() -> None:
    found = _recommended(_sweep(8, (0.8, 1.0, 0.8)))
    assert found.subject in ("1", "3")
    assert "cannot be told apart" in found.sentences[1]


def test_one_that_costs_throughput_is_left_out() -> None:
    found = _recommended(_sweep(8, (0.8, 1.0, 1.0), (0.8, 1.0, 1.0)))
    assert found.subject == "2"
    assert "throughput/10 -19" in found.refused["1"]
    assert found.refused["1"].endswith("is worse")
    assert any(sentence.startswith("ubatch 64 is left out") for sentence in found.sentences)


def test_one_whose_throughput_is_not_known_is_left_out_and_more_rounds_are_wanted() -> None:
    runs = [
        Run(
            run.subject,
            run.round,
            run.order,
            {name: values for name, values in run.samples.items() if "ttft" in name or run.subject != "1"},
        )
        for run in _sweep(6, (0.8, 1.0, 1.3))
    ]
    found = _recommended(runs)
    assert found.subject == "2"
    assert "is not known not to be worse" in found.refused["1"]
    assert found.step.go_on


def test_a_person_may_name_the_target() -> None:
    runs = _sweep(8, (1.0, 1.0, 1.0), (1.0, 1.0, 1.4))
    assert _recommended(runs, target="throughput").subject == "3"
    assert _recommended(runs).subject == "2"


def test_too_few_rounds_keep_the_current_one_and_decide_nothing() -> None:
    found = _recommended(_sweep(2, (0.5, 1.0, 1.3)))
    assert (found.subject, found.decided, found.step.go_on) == ("2", False, True)


def test_it_stops_at_the_most_rounds_there_may_be() -> None:
    names = dict.fromkeys(_NAMES, 0.0)
    runs = measured(10, names, subjects="123", scatter=0.3)
    assert _recommended(runs).step.why is Why.LIMIT


def test_eight_equal_subjects_seldom_give_a_winner() -> None:
    titles = {str(number): str(number) for number in range(8)}
    changed = 0
    for seed in range(6):
        runs = measured(5, dict.fromkeys(_NAMES, 0.0), subjects="01234567", seed=seed, samples=2)
        found = recommend(runs, asked(*_NAMES), _RULES, titles, current="0")
        changed += found.subject != "0"
    assert changed <= 1


@pytest.mark.parametrize(("current", "target"), [("9", ""), ("2", "nothing")])
def test_an_unknown_subject_or_target_is_refused(current: str, target: str) -> None:
    with pytest.raises(ValueError, match=target or current):
        _recommended(_sweep(3, (1, 1, 1)), current, target)
