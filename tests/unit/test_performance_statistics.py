from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from benchmarks.noise import NOISES, differences
from builder.performance.location import locate
from builder.performance.rules import Rules
from builder.performance.spending import nominal, tail

_VALUES = st.floats(-1, 1, allow_subnormal=False).map(lambda value: round(value, 6))
_PAIRS = st.integers(2, 12).flatmap(lambda rounds: arrays(float, (rounds, 2), elements=_VALUES))


def test_clean_differences_are_placed_as_their_mean_and_its_error_place_them() -> None:
    pairs = np.random.default_rng(1).normal(0.05, 0.01, (4000, 8, 2))
    found = locate(pairs)
    assert abs(found.middle.mean() - 0.05) < 0.0005
    assert found.middle.std() == pytest.approx(0.01 / 4, rel=0.07)
    assert np.sqrt((found.error**2).mean()) == pytest.approx(found.middle.std(), rel=0.15)


def test_one_wild_difference_hardly_moves_the_estimate() -> None:
    pairs = np.random.default_rng(2).normal(0, 0.01, (6, 2))
    wild = pairs.copy()
    wild[2, 1] += 0.8
    moved = float(locate(wild).middle - locate(pairs).middle)
    assert abs(moved) < 0.01 < abs(float(wild.mean() - pairs.mean()))


def test_what_the_pairs_of_a_round_have_in_common_makes_the_error_larger() -> None:
    rounds = np.random.default_rng(3).normal(0, 0.01, (2000, 8, 1))
    same = np.repeat(rounds, 2, axis=2)
    assert locate(same).error.mean() == pytest.approx(locate(rounds).error.mean(), rel=0.1)


@settings(max_examples=40, deadline=None)
@given(_PAIRS, st.floats(-1, 1), st.floats(0.5, 2.0))
def test_the_estimate_follows_a_shift_and_a_change_of_scale(pairs: object, shift: float, scale: float) -> None:
    values = np.asarray(pairs)
    found, moved = locate(values), locate(values * scale + shift)
    assert float(moved.middle) == pytest.approx(float(found.middle) * scale + shift, abs=1e-6)
    assert float(moved.error) == pytest.approx(float(found.error) * scale, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(_PAIRS)
def test_exchanging_the_subjects_turns_the_estimate_round(pairs: object) -> None:
    values = np.asarray(pairs)
    found, turned = locate(values), locate(-values)
    assert float(turned.middle) == pytest.approx(-float(found.middle), abs=1e-9)
    assert float(turned.error) == pytest.approx(float(found.error), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(_PAIRS)
def test_the_estimate_lies_among_the_differences_and_its_error_is_a_number(pairs: object) -> None:
    values = np.asarray(pairs)
    found = locate(values)
    assert values.min() - 1e-9 <= float(found.middle) <= values.max() + 1e-9
    assert math.isfinite(float(found.error))
    assert float(found.error) >= 0
    assert float(found.freedom) >= 1


def test_equal_differences_have_no_error() -> None:
    assert float(locate(np.full((5, 2), 0.25)).error) == 0.0


def test_a_single_difference_has_no_spread() -> None:
    with pytest.raises(ValueError, match="no spread"):
        locate(np.array([[0.1]]))


def test_the_bounds_spend_the_level_over_all_looks() -> None:
    least, most, level = 3, 10, 0.05
    bounds = stats.norm.isf(nominal(least, most, level))
    sums = np.cumsum(np.random.default_rng(4).normal(0, 1, (200_000, most)), axis=1)
    looks = np.arange(least, most + 1)
    crossed = (np.abs(sums[:, least - 1 :]) > bounds * np.sqrt(looks)).any(axis=1).mean()
    assert crossed == pytest.approx(level, abs=0.002)


def test_a_single_look_spends_the_whole_level() -> None:
    assert nominal(8, 8, 0.05) == pytest.approx((0.025,))


def test_looks_after_the_last_are_as_strict_as_the_last() -> None:
    assert tail(40, 3, 16, 0.02) == nominal(3, 16, 0.02)[-1]


def test_a_look_before_the_first_is_refused() -> None:
    with pytest.raises(ValueError, match="before the first look"):
        tail(2, 3, 16, 0.02)


@settings(max_examples=12, deadline=None)
@given(st.integers(2, 6), st.integers(0, 8), st.floats(0.001, 0.2))
def test_every_look_is_stricter_than_the_level_alone(least: int, further: int, level: float) -> None:
    tails = nominal(least, least + further, level)
    assert len(tails) == further + 1
    assert all(0 < one <= level / 2 + 1e-9 for one in tails)


@pytest.mark.parametrize("noise", sorted(NOISES))
def test_looking_after_every_round_raises_no_more_false_alarms_than_stated(noise: str) -> None:
    rules = Rules(most_rounds=10)
    trials = 4000
    series = NOISES[noise](np.random.default_rng(8), trials, 40, 0.01)
    pairs = differences(series, 0.0)
    alarms = np.zeros(trials, dtype=bool)
    for number in range(rules.least_rounds, rules.most_rounds + 1):
        found = locate(pairs[:, :number])
        share = tail(number, rules.least_rounds, rules.most_rounds, rules.level)
        alarms |= np.abs(found.middle) > stats.t.isf(share, found.freedom) * found.error
    worst = 1.6 if noise == "twos" else 1.0
    assert alarms.mean() < worst * rules.level + 3 * math.sqrt(rules.level / trials)
