"""Whether a figure rises with time, and how long one has to look to know it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.performance.soak.trend import LEAST, medians, trend

TIMES = [float(at) for at in range(0, 1800, 2)]


def noise(seed: int, width: float = 1.0) -> list[float]:
    chosen = random.Random(seed)  # noqa: S311
    return [chosen.gauss(0, width) for _ in TIMES]


def test_a_rise_is_found_with_its_size() -> None:
    found = trend(TIMES, [800 + 0.01 * at + more for at, more in zip(TIMES, noise(1), strict=True)], 30)
    assert found
    assert found.slope == pytest.approx(0.01, rel=0.05)
    assert found.low < 0.01 < found.high
    assert found.low > 0
    assert found.seconds == 1798


def test_noise_is_no_rise() -> None:
    wrong = 0
    for seed in range(60):
        found = trend(TIMES, noise(seed), 30)
        assert found
        wrong += not found.low <= 0 <= found.high
    assert wrong <= 8, "an interval of 95 % is beside the truth in one case of twenty"


def test_one_jump_moves_little_and_a_steady_rise_much() -> None:
    jump = trend(TIMES, [800 + (50 if at > 1700 else 0) for at in TIMES], 30)
    rise = trend(TIMES, [800 + 50 * at / 1800 for at in TIMES], 30)
    assert jump
    assert rise
    assert jump.slope == 0
    assert rise.slope * 1800 == pytest.approx(50, rel=0.01)


def test_what_stays_the_same_is_known_at_once() -> None:
    found = trend(TIMES, [800.0] * len(TIMES), 30)
    assert found
    assert (found.low, found.slope, found.high) == (0, 0, 0)
    assert found.needed(1.0) == 0
    assert found.needed(0.0) == 0


def test_too_little_says_nothing() -> None:
    assert trend([], [], 30) is None
    assert trend(TIMES[: LEAST - 1], TIMES[: LEAST - 1], 30) is None
    assert trend([1.0] * 20, TIMES[:20], 30) is None
    assert trend([0.0, *[100.0] * 20], TIMES[:21], 30) is None, "two moments are no course of time"


def test_the_time_that_is_needed_is_about_the_time_after_which_it_is_known() -> None:
    values = [0.01 * at + more for at, more in zip(TIMES, noise(3, 20), strict=True)]
    early = trend(TIMES[:150], values[:150], 30)
    assert early
    assert early.low < 0.05 < early.high, "not known yet"
    needed = early.needed(0.05)
    assert needed
    assert needed > early.seconds
    enough = [at for at in TIMES if at <= 1.5 * needed]
    later = trend(enough, values[: len(enough)], 30)
    assert later
    assert later.high < 0.05


def test_no_length_tells_a_rise_from_a_limit_that_it_is() -> None:
    found = trend(TIMES, noise(1), 30)
    assert found
    assert found.needed(found.slope) is None


points = st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e6, 1e6)), min_size=2, max_size=200)


@given(points=points, spans=st.integers(1, 60))
def test_medians_lie_within_what_they_are_of(points: list[tuple[float, float]], spans: int) -> None:
    points = sorted(points)
    times, values = [at for at, _ in points], [value for _, value in points]
    if times[-1] - times[0] < 1e-3:
        return
    found = medians(times, values, spans)
    assert 1 <= len(found) <= min(spans, len(points))
    assert all(times[0] <= at <= times[-1] for at, _ in found)
    assert all(min(values) <= value <= max(values) for _, value in found)


@given(points=points)
def test_a_trend_holds_its_slope(points: list[tuple[float, float]]) -> None:
    points = sorted(points)
    times, values = [at for at, _ in points], [value for _, value in points]
    found = trend(times, values, 30)
    if found:
        assert found.low <= found.slope <= found.high
        assert found.half >= 0
