from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.performance.comparison import Direction, Outcome
from builder.performance.metrics import metric
from builder.performance.soak.series import Asked, Ended, Sample, Series
from builder.report.figures import Change
from builder.report.lines import charts_of
from builder.report.numbers import scale_of
from builder.report.past import Past, PastPoint
from builder.report.plots.axis import Axis
from builder.report.plots.forest import loss_of, scale_of_losses, strip
from builder.report.plots.history import extent, history_plot
from builder.report.plots.parts import ticks_of
from builder.report.plots.svg import element, markup
from builder.report.plots.timeline import thinned
from tests.unit.report_soaks import soak

_FINITE = st.floats(-1e9, 1e9, allow_subnormal=False)


@given(st.lists(_FINITE, min_size=1), st.booleans())
def test_every_value_has_its_place_and_ticks_lie_within(values: list[float], zero: bool) -> None:
    axis = replace(Axis.around(values, zero=zero, margin=0.02), gutter=0.1)
    places = [axis.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0.1 <= place <= 1 for place in places)
    ticks = axis.ticks()
    assert len(ticks) <= 6
    slack = (axis.high - axis.low) * 1e-6
    assert all(axis.low - slack <= tick <= axis.high + slack for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0.2, 0.3, ["200", "225", "250", "275", "300 ms"]),
        (0.0, 8.9, ["0.0", "2.5", "5.0", "7.5 s"]),
        (2.49, 2.81, ["2.5", "2.6", "2.7", "2.8 s"]),
    ],
)
def test_numbers_of_an_axis_have_the_digits_that_they_need(low: float, high: float, told: list[str]) -> None:
    axis = Axis(low, high)
    spell = ticks_of(axis, scale_of([high], "s"))
    assert [spell(tick) for tick in axis.ticks()] == told


def change(ratio: float | None, low: float | None, high: float | None, allowed: float | None = 0.05) -> Change:
    return Change(ratio, low, high, allowed, Outcome.UNDECIDED, Direction.NONE, False, None, ())


def test_a_loss_is_to_the_right_whichever_way_a_figure_is_better() -> None:
    seconds = loss_of(change(1.1, 1.05, 1.2), metric("ttft/2k"))
    tokens = loss_of(change(0.9, 0.8, 0.95), metric("throughput/10"))
    assert (seconds.middle, seconds.low, seconds.high) == pytest.approx((0.1, 0.05, 0.2))
    assert (tokens.middle, tokens.low, tokens.high) == pytest.approx((0.1, 0.05, 0.2))


def test_what_is_beyond_the_scale_ends_in_an_arrow() -> None:
    losses = [loss_of(change(1.0, 0.99, 1.01), metric("ttft/2k")), loss_of(change(1.1, 0.2, 5.0), metric("ttft/10"))]
    axis = scale_of_losses(losses)
    assert axis.high == pytest.approx(0.4)
    near, far = (str(markup(strip(loss, axis, 1, "told"))) for loss in losses)
    assert near.count("arrow") == 0
    assert far.count("arrow") == 2


def test_a_change_that_is_not_known_is_drawn_as_none() -> None:
    loss = loss_of(change(None, None, None), metric("ttft/2k"))
    drawn = str(markup(strip(loss, scale_of_losses([loss]), 1, "told")))
    assert "interval" not in drawn
    assert "limit" in drawn


@pytest.mark.parametrize("length", [6, 14, 30])
@pytest.mark.parametrize("number", [2, 3, 4, 7, 40])
def test_names_below_a_history_do_not_meet(length: int, number: int) -> None:
    builds = tuple(f"b{build:0{length - 1}}" for build in range(number))
    points = tuple(
        PastPoint(build, "2026-10-01", 1.0 + place / 10, adopted=False) for place, build in enumerate(builds)
    )
    drawn = history_plot(Past("ttft/2k", scale_of([1.0], "s"), builds, points))
    names = [(one.text or "", one.get("x", ""), one.get("text-anchor")) for one in drawn.iter("text")]
    below = [(name, float(x.rstrip("%")) / 100) for name, x, anchored in names if anchored]
    reaches = [extent(name, place) for name, place in below]
    assert below[-1][0] == builds[-1], "the newest is named"
    assert all(before[1] < after[0] for before, after in pairwise(reaches))
    assert length > 6 or below[0][0] == builds[0]


def test_text_in_a_plot_is_text() -> None:
    made = str(markup(element("text", text='<b>&\x00"', aria_label='"><script>')))
    assert made == '<text aria-label="&quot;&gt;&lt;script&gt;">&lt;b&gt;&amp; "</text>'


@given(st.lists(st.tuples(_FINITE, _FINITE), max_size=400), st.integers(2, 50))
def test_a_thinned_line_keeps_its_peaks(points: list[tuple[float, float]], most: int) -> None:
    kept = thinned(tuple(points), most)
    assert set(kept) <= set(points)
    assert len(kept) <= max(most, len(points) if len(points) <= most else 0)
    if points:
        assert max(value for _, value in kept) == max(value for _, value in points)
        assert min(value for _, value in kept) == min(value for _, value in points)


def test_totals_are_drawn_as_rates_and_a_new_count_is_no_fall() -> None:
    looks = [(0, 100.0), (10, 200.0), (20, 50.0), (30, 150.0)]
    samples = tuple(Sample(float(at), {"tokens_predicted": total}) for at, total in looks)
    charts = {chart.title: chart for chart in charts_of(soak(Series(samples)))}
    assert charts["Tokens in a second"].lines[0].points == ((10.0, 10.0), (30.0, 10.0))


def test_the_share_from_the_cache_counts_what_was_computed_apart() -> None:
    looks = [(0, 50.0, 0.0), (10, 150.0, 100.0), (20, 150.0, 300.0)]
    samples = tuple(
        Sample(float(at), {"prompt_tokens": computed, "prompt_tokens_cached": cached}) for at, computed, cached in looks
    )
    charts = {chart.title: chart for chart in charts_of(soak(Series(samples)))}
    assert charts["Prompt tokens from the cache"].lines[0].points == ((10.0, 0.5), (20.0, 0.75))


def test_what_was_never_known_is_not_drawn() -> None:
    asked = (Asked("turn", 1.0, 2.0, Ended.ANSWERED, first=1.5), Asked("turn", 3.0, 4.0, Ended.GIVEN_UP))
    charts = charts_of(soak(Series((), asked)))
    assert [chart.title for chart in charts] == ["Time to first token"]
    assert charts[0].lines[0].points == ((1.0, 0.5),)
    assert charts[0].marks == ()
