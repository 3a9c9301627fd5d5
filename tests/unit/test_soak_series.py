"""What is kept of a soak, and what its figures are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import SourceError
from builder.performance.soak.container import read_process
from builder.performance.soak.figures import (
    busiest_minute,
    cache_hit_rate,
    deepest,
    figures,
    foreign_cores,
    full_for,
    processor_share,
    waits_for_slots,
    warm_after,
)
from builder.performance.soak.record import read_soak, write_soak
from builder.performance.soak.series import COLUMNS, Asked, Ended, Sample, Series
from tests.unit.report_soaks import soak


def looks(name: str, values: list[float], period: float = 2.0) -> Series:
    return Series(tuple(Sample(number * period, {name: value}) for number, value in enumerate(values)))


def request(sent: float, ended: float, outcome: Ended = Ended.ANSWERED, **known: float | None) -> Asked:
    return Asked("turn", sent, ended, outcome, **known)  # type: ignore[arg-type]


numbers = st.floats(-1e9, 1e9)
samples = st.builds(
    Sample, numbers, st.dictionaries(st.sampled_from([column.name for column in COLUMNS]), numbers, max_size=30)
)
asked = st.builds(
    Asked,
    kind=st.sampled_from(["short", "turn", "long"]),
    sent=numbers,
    ended=numbers,
    outcome=st.sampled_from(Ended),
    first=st.none() | numbers,
    prompt_tokens=st.none() | st.integers(0, 10**6),
    cached_tokens=st.none() | st.integers(0, 10**6),
    tokens=st.none() | st.integers(0, 10**6),
    waited=st.none() | numbers,
    error=st.text(max_size=50),
)


@given(seen=st.builds(Series, st.lists(samples, max_size=5).map(tuple), st.lists(asked, max_size=5).map(tuple)))
def test_a_record_is_read_back_as_it_was_written(seen: Series, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "soak.json"
    record = soak(seen, figures={})
    write_soak(record, file)
    again = read_soak(file)
    assert again == record
    assert [one.outcome for one in again.seen().requests] == [one.outcome for one in seen.requests]
    assert [one.values.keys() for one in again.seen().samples] == [one.values.keys() for one in seen.samples]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 2}, "is a record of a soak of version 2"),
        ({"surprise": 1}, "is no record of a soak: surprise"),
        ({"outcome": "perhaps"}, "is no record of a soak: outcome"),
        ({"requests": [{"kind": "turn"}]}, "is no record of a soak: requests.0."),
        ({"series": {"columns": [], "times": [1.0], "values": {"in_flight": [1.0]}}}, "the columns are not those"),
    ],
)
def test_a_record_of_another_shape_is_refused(change: dict[str, object], said: str, tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    write_soak(soak(), file)
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(SourceError, match=said):
        read_soak(file)


def test_columns_of_different_length_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    write_soak(soak(), file)
    document = json.loads(file.read_text())
    document["series"]["values"]["in_flight"].pop()
    file.write_text(json.dumps(document))
    with pytest.raises(SourceError, match="in_flight has 119 values for 120 times"):
        read_soak(file)


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    file.write_text('{"schema_version": 1, "series":')
    with pytest.raises(SourceError, match="is no JSON document"):
        read_soak(file)


def test_the_cache_hit_rate_is_that_of_the_counters() -> None:
    seen = Series(
        (
            Sample(0, {"prompt_tokens": 1000, "prompt_tokens_cached": 500}),
            Sample(9, {"prompt_tokens": 1300, "prompt_tokens_cached": 1400}),
        ),
        (request(0, 1, prompt_tokens=100, cached_tokens=1),),
    )
    assert cache_hit_rate(seen) == pytest.approx(900 / 1200)


def test_without_a_counter_the_cache_hit_rate_is_that_of_the_answers() -> None:
    requests = (
        request(0, 1, prompt_tokens=100, cached_tokens=50),
        request(2, 3, prompt_tokens=300, cached_tokens=150),
        request(4, 5, outcome=Ended.ERROR),
    )
    seen = Series(looks("prompt_tokens", [0, 10]).samples, requests)
    assert cache_hit_rate(seen) == pytest.approx(0.5)


def test_servers_of_2024_tell_of_the_cache_by_what_they_did_not_compute() -> None:
    requests = (request(0, 1, prompt_tokens=300), request(2, 3, prompt_tokens=100))
    seen = Series(looks("prompt_tokens", [1000, 1100]).samples, requests)
    assert cache_hit_rate(seen) == pytest.approx(0.75)
    assert cache_hit_rate(Series(seen.samples, (*requests, request(4, 5, outcome=Ended.ERROR)))) is None
    assert cache_hit_rate(Series()) is None


def test_a_request_waits_for_a_slot_until_one_of_those_before_it_ends() -> None:
    requests = [request(0, 10), request(1, 4), request(2, 8), request(3, 9), request(5, 12)]
    assert waits_for_slots(requests, 2) == [0, 0, 2, 5, 4]
    assert waits_for_slots(requests, 4) == [0, 0, 0, 0, 0]
    assert waits_for_slots(list(reversed(requests)), 2) == [0, 0, 2, 5, 4]


def test_one_that_is_given_up_in_the_queue_waited_until_then() -> None:
    assert waits_for_slots([request(0, 100), request(1, 91, outcome=Ended.TIMED_OUT)], 1) == [0, 90]


@given(
    spans=st.lists(st.tuples(st.floats(0, 100), st.floats(0.01, 50)), max_size=30),
    slots=st.integers(1, 8),
)
def test_more_slots_never_make_anybody_wait_longer(spans: list[tuple[float, float]], slots: int) -> None:
    requests = [request(sent, sent + taken) for sent, taken in spans]
    few, many = waits_for_slots(requests, slots), waits_for_slots(requests, slots + 1)
    assert all(0 <= more <= less for less, more in zip(few, many, strict=True))
    assert not any(waits_for_slots(requests, max(1, len(requests))))


def test_slots_are_full_for_as_long_as_looks_in_a_row_say_so() -> None:
    assert full_for(looks("requests_deferred", [0, 1, 0, 3, 2, 1, 0, 5])) == 4
    assert full_for(looks("requests_deferred", [0, 9, 0])) == 0, "a single look is a moment"
    assert deepest(looks("requests_deferred", [0, 9, 0]), 4) == 9
    assert deepest(Series(), 4) == 0


def test_more_may_wait_than_the_server_has_read() -> None:
    requests = tuple(request(float(number), 50.0) for number in range(12))
    assert deepest(Series(looks("requests_deferred", [0, 1]).samples, requests), 4) == 8
    one_after_another = tuple(request(float(number), number + 1.0) for number in range(12))
    assert deepest(Series((), one_after_another), 1) == 0


def test_processor_time_is_told_as_a_share_of_all_cores() -> None:
    seen = looks("container_processor", [100 + number * 2.0 for number in range(100)])
    assert processor_share(seen, 2) == pytest.approx(0.5)
    assert busiest_minute(seen, 2) == pytest.approx(0.5)
    assert processor_share(seen, None) is None
    assert processor_share(Series(), 2) is None


def test_the_busiest_minute_is_found() -> None:
    totals = [0.0]
    for number in range(200):
        totals.append(totals[-1] + (4.0 if 100 <= number < 130 else 0.4))
    seen = looks("container_processor", totals)
    assert busiest_minute(seen, 2) == pytest.approx(1.0, rel=0.02)
    share = processor_share(seen, 2)
    assert share
    assert share < 0.3


def test_cores_that_others_take_are_what_is_left() -> None:
    totals = {"machine_processor": 1.7, "container_processor": 0.6, "client_processor": 0.1}
    looks_of_all = tuple(Sample(at, {name: a_second * at for name, a_second in totals.items()}) for at in (10.0, 70.0))
    assert foreign_cores(Series(looks_of_all)) == pytest.approx(1.0)
    assert foreign_cores(looks("machine_processor", [1, 2])) is None


def test_of_nothing_the_figures_are_not_known() -> None:
    found = figures(Series(), 4, None)
    assert found["requests"] == 0
    assert found["first_token_median_s"] is None
    assert found["cache_hit_share"] is None


@given(st.floats(1, 1e6))
def test_the_beginning_is_a_part_of_the_whole(seconds: float) -> None:
    assert 0 < warm_after(seconds) <= seconds / 4


def test_the_engine_describes_a_process() -> None:
    state = {"Running": True, "Pid": 4711, "OOMKilled": False, "StartedAt": "2026-01-01T00:00:00Z"}
    found = read_process({"State": state, "RestartCount": 2})
    assert found
    assert (found.pid, found.running, found.restarts, found.out_of_memory) == (4711, True, 2, False)
    assert read_process({"message": "no such container"}) is None
