"""What a soak's series comes to."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.endurance import Soak
from builder.gates.finding import Finding
from builder.gates.soak.limits import Limits
from builder.gates.soak.process import health, out_of_memory, processor, same_process
from builder.gates.soak.requests import cache_hits, errors, queue, slots_full
from builder.gates.soak.steadiness import Lasting, first_token, gpu_memory, memory
from builder.gates.soak.surroundings import delays, doubts_on_trends, doubts_on_waits, unseen
from builder.gates.verdict import Outcome
from builder.performance.conditions import NEIGHBOURS_UNSEEN, slowdown_unseen
from builder.performance.soak.container import Process
from builder.performance.soak.run import Soaked
from builder.performance.soak.series import Asked, Ended, Sample, Series
from builder.server.log import LogFacts
from builder.server.running import ServerState

LIMITS = Limits.of(Soak(), brief=False)
HALF_AN_HOUR = Lasting(1800, LIMITS, 4)
RUNS = ServerState(running=True, status=0, out_of_memory=False)
HERE = Process(pid=4711, started="10:00", running=True, restarts=0, out_of_memory=False)


def requests(seconds: float, *, rise: float = 0.0, scatter: float = 0.3, seed: int = 1) -> tuple[Asked, ...]:
    """Two kinds of requests, one every two seconds; the first token comes later by a share until the end."""
    chosen = random.Random(seed)  # noqa: S311
    made = []
    for number in range(int(seconds / 2)):
        sent = 2.0 * number
        kind, usual = ("long", 2.0) if number % 5 == 0 else ("turn", 0.3)
        taken = usual * chosen.lognormvariate(0, scatter) * (1 + rise * sent / seconds)
        made.append(Asked(kind, sent, sent + taken + 0.4, Ended.ANSWERED, first=sent + taken))
    return tuple(made)


def held(seconds: float, *, a_second: float = 0.0, width: float = 1.0, **more: float) -> Series:
    """A look every two seconds at a container's memory that may grow."""
    chosen = random.Random(5)  # noqa: S311
    looks = []
    for number in range(int(seconds / 2)):
        value = 800 + a_second * 2 * number + chosen.gauss(0, width)
        looks.append(Sample(2.0 * number, {"container_memory": value, **more}))
    return Series(tuple(looks))


def outcome(finding: Finding | None) -> Outcome:
    assert finding
    return finding.check.outcome


def said(finding: Finding | None) -> str:
    assert finding
    return finding.check.detail


def test_latency_that_stays_passes_and_says_how_surely() -> None:
    finding = first_token(Series(requests=requests(1800)), HALF_AN_HOUR, vectors=False)
    assert outcome(finding) is Outcome.PASS
    assert "20% may be." in said(finding)


def test_latency_that_doubles_fails() -> None:
    finding = first_token(Series(requests=requests(1800, rise=1.0)), HALF_AN_HOUR, vectors=False)
    assert outcome(finding) is Outcome.FAIL
    assert finding
    assert finding.measurements["drift_low"] > 0.3  # type: ignore[operator]


@pytest.mark.parametrize("rise", [0.15, 0.5, 2.0])
def test_the_change_is_that_of_the_end_against_the_beginning(rise: float) -> None:
    """Not against the middle, which a growing latency has raised already."""
    grown = requests(1800, rise=rise, scatter=0.02)
    finding = first_token(Series(requests=grown), HALF_AN_HOUR, vectors=False)
    assert finding
    warm = 180 / 1800
    expected = (1 + rise) / (1 + warm * rise) - 1
    assert finding.measurements["drift"] == pytest.approx(expected, rel=0.15)


def test_latency_that_rises_while_something_disturbs_the_machine_is_not_the_images_fault() -> None:
    seen = Series(requests=requests(1800, rise=1.0))
    finding = first_token(seen, HALF_AN_HOUR, vectors=False, doubt="The GPU was slowed down.")
    assert outcome(finding) is Outcome.UNJUDGED
    assert said(finding).endswith("It need not be the image: The GPU was slowed down.")


def test_a_rise_that_is_neither_surely_less_nor_more_than_may_be_is_open_and_says_how_long_it_takes() -> None:
    finding = first_token(Series(requests=requests(1800, rise=0.2, scatter=0.8)), HALF_AN_HOUR, vectors=False)
    assert outcome(finding) is Outcome.UNJUDGED
    assert "it is open whether it is more" in said(finding)
    assert "of load would tell." in said(finding)


def test_long_and_short_questions_are_each_compared_with_their_own_kind() -> None:
    early = tuple(replace(one, kind="short") for one in requests(900, scatter=0.05))
    late = tuple(
        replace(one, kind="late", sent=one.sent + 900, first=(one.first or 0) + 905, ended=one.ended + 905)
        for one in requests(900, scatter=0.05)
    )
    finding = first_token(Series(requests=(*early, *late)), HALF_AN_HOUR, vectors=False)
    assert outcome(finding) is Outcome.PASS, "what takes long by its kind is no drift"


def test_what_is_to_be_computed_is_compared_with_its_like() -> None:
    """Late in the run, more and more of the prompts is not in the cache; each takes as long as it always did."""
    made = []
    for one in requests(1800, scatter=0.1):
        tokens = 1000 if one.sent > 400 + 10 * (hash(one.sent) % 100) else 60
        taken = (one.first_token or 0) * tokens / 60
        made.append(
            replace(
                one, first=one.sent + taken, ended=one.sent + taken, prompt_tokens=1000, cached_tokens=1000 - tokens
            )
        )
    finding = first_token(Series(requests=tuple(made)), Lasting(1800, LIMITS, 100), vectors=False)
    assert outcome(finding) is Outcome.PASS, said(finding)


def test_time_without_a_slot_is_no_drift() -> None:
    early = requests(1200, scatter=0.1)
    crowd = tuple(
        Asked("turn", 1200 + 0.5 * number, 1203 + 3.0 * number, Ended.ANSWERED, first=1200.3 + 3.0 * number)
        for number in range(200)
    )
    finding = first_token(Series(requests=(*early, *crowd)), Lasting(1800, LIMITS, 1), vectors=False)
    assert outcome(finding) is Outcome.PASS, said(finding)


def test_a_short_soak_with_a_crowd_at_its_end_is_no_drift() -> None:
    asked_for = Lasting(60, replace(LIMITS, brief=True), 4)
    assert first_token(Series(requests=requests(60, rise=9.0)), asked_for, vectors=False) is None


def test_memory_that_stays_passes_and_says_after_which_time_a_leak_would_have_shown() -> None:
    finding = memory(held(1800), HALF_AN_HOUR)
    assert outcome(finding) is Outcome.PASS
    assert "64 MiB may be, which" in said(finding)
    assert "of load would have shown." in said(finding)


def test_memory_that_grows_fails() -> None:
    finding = memory(held(1800, a_second=0.1), HALF_AN_HOUR)
    assert outcome(finding) is Outcome.FAIL
    assert finding
    assert finding.measurements["memory_growth_mib_per_hour"] == pytest.approx(360, rel=0.05)


def test_prompts_that_the_server_keeps_are_no_leak() -> None:
    samples = held(1800, a_second=0.1).samples
    kept = tuple(replace(one, values={**one.values, "prompt_cache": 0.1 * one.at}) for one in samples)
    finding = memory(Series(kept), HALF_AN_HOUR)
    assert outcome(finding) is Outcome.PASS
    assert "apart from the prompts that it keeps" in said(finding)


def test_a_jump_at_the_end_is_no_growth() -> None:
    samples = held(1800).samples
    jumped = tuple(
        replace(one, values={"container_memory": one.values["container_memory"] + 40 * (one.at > 1500)})
        for one in samples
    )
    assert outcome(memory(Series(jumped), HALF_AN_HOUR)) is Outcome.PASS


def test_noisy_memory_is_open_and_says_how_long_it_takes() -> None:
    finding = memory(held(1800, a_second=0.015, width=60), HALF_AN_HOUR)
    assert outcome(finding) is Outcome.UNJUDGED
    assert "of load would tell." in said(finding)


def test_a_short_soak_judges_no_trend_unless_it_is_plainly_bad() -> None:
    three_minutes = Lasting(180, LIMITS, 4)
    finding = memory(held(180), three_minutes)
    assert outcome(finding) is Outcome.UNJUDGED
    assert "let it run for at least 10 min 00 s to tell" in said(finding)
    assert outcome(first_token(Series(requests=requests(180)), three_minutes, vectors=False)) is Outcome.UNJUDGED
    assert outcome(memory(held(180, a_second=1.0), three_minutes)) is Outcome.FAIL


def test_a_short_soak_that_was_asked_for_leaves_trends_out() -> None:
    asked_for = Lasting(180, replace(LIMITS, brief=True), 4)
    assert memory(held(180), asked_for) is None
    assert memory(Series(), asked_for) is None
    assert first_token(Series(requests=requests(180)), asked_for, vectors=False) is None
    assert outcome(memory(held(180, a_second=1.0), asked_for)) is Outcome.FAIL


def test_a_long_soak_that_was_asked_for_judges_all() -> None:
    asked_for = Lasting(1800, replace(LIMITS, brief=True), 4)
    assert outcome(memory(held(1800), asked_for)) is Outcome.PASS
    assert outcome(memory(Series(), asked_for)) is Outcome.UNJUDGED
    few = first_token(Series(), asked_for, vectors=False)
    assert said(few) == (
        "Too few answers came to say whether the time to the first token grows in 30 min 00 s: ask more often to tell."
    )


def test_a_beginning_that_fills_buffers_is_no_leak() -> None:
    """10 MiB in two minutes would be 300 in an hour."""
    assert outcome(memory(held(150, a_second=0.08), Lasting(150, LIMITS, 4))) is Outcome.UNJUDGED


@settings(max_examples=25)
@given(seconds=st.integers(20, 2400), growth=st.floats(-1, 1))
def test_nothing_passes_that_was_not_looked_at_for_long_enough(seconds: int, growth: float) -> None:
    finding = memory(held(seconds, a_second=growth), Lasting(seconds, LIMITS, 4))
    assert finding
    if seconds < 600:
        assert finding.check.outcome is not Outcome.PASS
    if growth * 3600 > 2 * LIMITS.growth:
        assert finding.check.outcome is not Outcome.PASS
    if growth < 0:
        assert finding.check.outcome is not Outcome.FAIL


def test_growth_on_a_gpu_that_may_be_anothers_is_doubted() -> None:
    samples = held(1800, a_second=0.1).samples
    used = tuple(Sample(one.at, {"gpu_memory": one.values["container_memory"]}) for one in samples)
    finding = gpu_memory(Series(used), HALF_AN_HOUR)
    assert outcome(finding) is Outcome.UNJUDGED
    assert "It may be another's." in said(finding)
    own = tuple(Sample(one.at, {"gpu_memory_own": one.values["container_memory"]}) for one in samples)
    assert outcome(gpu_memory(Series(own), HALF_AN_HOUR)) is Outcome.FAIL


def test_errors_are_counted_and_named() -> None:
    good = requests(100)
    broken = tuple(replace(one, outcome=Ended.ERROR, error="It broke.") for one in good[:3])
    late = replace(good[3], outcome=Ended.TIMED_OUT, error="It did not come.")
    finding = errors(Series(requests=(*broken, late, *good[4:])), LIMITS)
    assert outcome(finding) is Outcome.FAIL
    assert said(finding).startswith("4 of 50 requests failed, 1 of them for want of time; 0.00% may.")
    assert finding.check.excerpt == ("3 times: It broke.", "1 times: It did not come.")
    assert outcome(errors(Series(requests=(late, *good[1:])), replace(LIMITS, errors=0.02))) is Outcome.PASS
    assert outcome(errors(Series(), LIMITS)) is Outcome.UNJUDGED


def test_a_request_that_was_given_up_is_no_error() -> None:
    given_up = replace(requests(10)[0], outcome=Ended.GIVEN_UP)
    assert outcome(errors(Series(requests=(given_up,)), LIMITS)) is Outcome.UNJUDGED


def test_full_slots_are_seen_by_what_was_under_way() -> None:
    asked = tuple(Asked("turn", float(number), 10.0 + number, Ended.ANSWERED) for number in range(6))
    finding = slots_full(Series(requests=asked), 4, LIMITS)
    assert outcome(finding) is Outcome.FAIL
    assert said(finding).startswith("All 4 slots were full: 2 of 6 requests waited more than 1 s for one, the longest")
    assert outcome(slots_full(Series(requests=asked), 6, LIMITS)) is Outcome.PASS
    assert outcome(queue(Series(requests=asked), 4, LIMITS)) is Outcome.PASS
    assert outcome(queue(Series(requests=asked), 4, replace(LIMITS, queue=1))) is Outcome.FAIL


def test_a_queue_is_not_blamed_on_an_image_while_others_take_the_machine() -> None:
    asked = Series(requests=tuple(Asked("turn", float(one), 10.0 + one, Ended.ANSWERED) for one in range(6)))
    doubt = "Others took 1.3 of this machine's cores meanwhile."
    for finding in (queue(asked, 4, replace(LIMITS, queue=1), doubt), slots_full(asked, 4, LIMITS, doubt)):
        assert outcome(finding) is Outcome.UNJUDGED
        assert said(finding).endswith(f"It need not be the image: {doubt}")
    assert outcome(queue(asked, 4, LIMITS, doubt)) is Outcome.PASS


def test_full_slots_are_seen_by_the_servers_own_count() -> None:
    looks = tuple(Sample(2.0 * number, {"requests_deferred": 1}) for number in range(3))
    finding = slots_full(Series(looks, requests(10)), 4, LIMITS)
    assert outcome(finding) is Outcome.FAIL
    assert "By the server's own count" in said(finding)
    assert outcome(slots_full(Series(), 4, LIMITS)) is Outcome.UNJUDGED


def test_a_cache_that_does_not_help_fails_and_one_that_nobody_tells_of_is_open() -> None:
    def counted(cached: float) -> Series:
        ends = (
            {"prompt_tokens": 0.0, "prompt_tokens_cached": 0.0},
            {"prompt_tokens": 90, "prompt_tokens_cached": cached},
        )
        return Series(tuple(Sample(float(at), values) for at, values in enumerate(ends)))

    assert outcome(cache_hits(counted(60), LIMITS)) is Outcome.PASS
    assert outcome(cache_hits(counted(5), LIMITS)) is Outcome.FAIL
    assert outcome(cache_hits(counted(0), replace(LIMITS, cache=0.0))) is Outcome.PASS
    assert outcome(cache_hits(Series(), LIMITS)) is Outcome.UNJUDGED


def soaked(*processes: Process, series: Series | None = None, cores: int | None = 2) -> Soaked:
    return Soaked(series or held(10, process=4711, health_seconds=0.01), True, processes, None, cores)


def sent(number: int, late: float, often: int = 1) -> Soaked:
    """Requests of which this program sent some later than they were due."""
    asked = tuple(replace(one, late=late if place < often else 0.001) for place, one in enumerate(requests(2 * number)))
    return soaked(HERE, series=Series(requests=asked))


def test_a_stall_of_this_program_is_told_and_no_fault_of_the_server() -> None:
    stalled = sent(400, 3.0, often=4)
    said_so = "This program was held up and sent 4 requests of 400 late, by up to 3.0 s: run it where cores are free."
    assert list(delays(stalled)) == [said_so]
    assert doubts_on_waits(stalled) == said_so
    assert doubts_on_trends(stalled) == "", "a few of them move no median"
    assert doubts_on_trends(sent(400, 3.0, often=40)) != ""
    assert list(delays(sent(400, 0.05))) == []
    crowd = Series(requests=tuple(replace(one, sent=0.0, ended=9.0) for one in requests(20)))
    assert outcome(queue(crowd, 4, LIMITS)) is Outcome.FAIL
    assert outcome(queue(crowd, 4, LIMITS, said_so)) is Outcome.UNJUDGED


def test_what_could_not_be_looked_for_is_said() -> None:
    blind = replace(soaked(HERE), gpu_absence="The driver's library cannot be used.")
    assert list(unseen(blind, on_gpu=True)) == [slowdown_unseen("The driver's library cannot be used.")]
    assert list(unseen(blind, on_gpu=False)) == [NEIGHBOURS_UNSEEN]
    seen = replace(blind, series=held(10, gpu_slowed=0.0))
    assert list(unseen(seen, on_gpu=True)) == []


def test_one_process_all_along_passes() -> None:
    assert outcome(same_process(soaked(HERE), RUNS, LogFacts(), "")) is Outcome.PASS
    assert outcome(out_of_memory(soaked(HERE), RUNS, "")) is Outcome.PASS


def test_another_process_is_a_restart() -> None:
    other = replace(HERE, pid=4800, started="10:05", restarts=1)
    assert outcome(same_process(soaked(HERE, other), RUNS, LogFacts(), "")) is Outcome.FAIL


def test_a_counter_that_falls_is_a_restart_within() -> None:
    looks = tuple(Sample(float(at), {"prompt_tokens": value}) for at, value in enumerate((5, 9, 2)))
    finding = same_process(soaked(HERE, series=Series(looks)), RUNS, LogFacts(), "")
    assert outcome(finding) is Outcome.FAIL
    assert "prompt_tokens fell" in said(finding)


def test_an_engine_that_tells_nothing_leaves_it_open() -> None:
    assert outcome(same_process(soaked(), RUNS, LogFacts(), "")) is Outcome.UNJUDGED
    assert outcome(out_of_memory(soaked(), RUNS, "")) is Outcome.UNJUDGED
    assert outcome(processor(soaked(HERE, series=Series()), LIMITS)) is Outcome.UNJUDGED
    assert outcome(health(soaked(HERE, series=Series()))) is Outcome.UNJUDGED


def test_a_process_that_was_killed_for_memory_is_told() -> None:
    state = ServerState(running=False, status=137, out_of_memory=True)
    assert outcome(out_of_memory(soaked(HERE), state, "512m")) is Outcome.FAIL
    finding = same_process(soaked(HERE), state, LogFacts(), "512m")
    assert outcome(finding) is Outcome.FAIL
    assert "needed more than the 512m that its container may have" in said(finding)


def test_a_container_without_processor_time_to_spare_fails() -> None:
    looks = tuple(Sample(float(at), {"container_processor": 1.8 * at}) for at in range(100))
    finding = processor(soaked(HERE, series=Series(looks)), LIMITS)
    assert outcome(finding) is Outcome.FAIL
    assert said(finding).startswith("The container took 90% of the time of its 2 cores, 90% in the busiest minute")
    assert outcome(processor(soaked(HERE, series=Series(looks), cores=4), LIMITS)) is Outcome.PASS


def test_health_that_is_late_once_passes_and_twice_in_a_row_fails() -> None:
    def looked(*seconds: float | None) -> Soaked:
        looks = (
            Sample(float(at), {"process": 1, **({} if one is None else {"health_seconds": one})})
            for at, one in enumerate(seconds)
        )
        return soaked(HERE, series=Series(tuple(looks)))

    assert outcome(health(looked(0.1, 0.2, 9.0, 0.1))) is Outcome.PASS
    assert outcome(health(looked(0.1, None, 9.0, 0.1))) is Outcome.FAIL
