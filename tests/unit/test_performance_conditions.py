"""What sets a run aside, and what the kernel says of containers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.engine.nvml import GpuProcess, GpuSample, GpuWatch
from builder.performance.conditions import (
    Conditions,
    Moment,
    Watch,
    gpu_conditions,
    gpu_neighbours,
    look_at_processor,
    parse_busy,
    processor_conditions,
)
from builder.performance.resources import parse_figures, parse_groups

OURS = frozenset({10, 11})


def seen(*samples: GpuSample, before: frozenset[int] = frozenset(), own: frozenset[int] = OURS) -> Conditions:
    watch = Watch(None)
    watch.samples = list(samples)
    watch.before = before
    conditions, neighbours = gpu_conditions(watch), gpu_neighbours(watch, own)
    return Conditions(conditions.figures, conditions.set_aside or neighbours.set_aside)


def sample(*reasons: str, pids: tuple[int, ...] = (10,), clock: int = 1980, busy: int = 90) -> GpuSample:
    return GpuSample(
        0.0,
        sm_clock=clock,
        temperature=60,
        power=400.0,
        utilisation=busy,
        reasons=reasons,
        processes=tuple(GpuProcess(pid, 1 << 30) for pid in pids),
    )


def test_a_gpu_that_does_what_it_can_sets_nothing_aside() -> None:
    found = seen(sample(), sample("idle"), sample("clocks set", clock=1500))
    assert found.set_aside == ""
    assert found.figures["gpu_clock_mhz_min"] == 1500
    assert found.figures["gpu_clock_mhz_mean"] == pytest.approx(1820)
    assert found.figures["gpu_slowed_share"] == 0


def test_a_gpu_that_waits_for_work_is_passed_over() -> None:
    found = seen(sample("idle", clock=210, busy=0), sample(clock=1980), sample("idle", clock=300, busy=0))
    assert found.figures["gpu_clock_mhz_min"] == 1980


def test_a_gpu_at_its_power_cap_counts_and_the_share_is_told() -> None:
    found = seen(sample("power cap"), sample("power cap"), sample(), sample())
    assert found.set_aside == ""
    assert found.figures["gpu_power_capped_share"] == 0.5


@pytest.mark.parametrize("reason", ["temperature", "temperature (hardware)", "power brake", "hardware slowdown"])
def test_a_gpu_that_was_slowed_down_sets_a_run_aside(reason: str) -> None:
    found = seen(sample(), sample(reason, "power cap"))
    assert found.set_aside == f"The GPU was slowed down ({reason}) in 1 of 2 looks."


def test_one_look_in_a_hundred_does_not() -> None:
    assert seen(sample("temperature"), *[sample()] * 99).set_aside == ""


def test_a_neighbour_that_comes_sets_a_run_aside() -> None:
    assert seen(sample(), sample(pids=(10, 77))).set_aside == "Another process was on the GPU (process 77)."


def test_a_neighbour_that_was_there_before_does_too() -> None:
    assert "process 77" in seen(sample(pids=(77,)), before=frozenset({77})).set_aside


def test_processes_that_are_counted_otherwise_are_not_taken_for_neighbours() -> None:
    assert seen(sample(pids=(4711,)), own=OURS).set_aside == ""


def test_a_driver_that_tells_nothing_sets_nothing_aside() -> None:
    assert seen(GpuSample(0.0)) == Conditions({})
    assert seen() == Conditions()


def moment(at: float, busy: float | None, own: float = 0.0) -> Moment:
    return Moment(at, busy, own)


def test_others_on_the_processor_set_aside_what_computes_there_and_not_what_computes_on_a_gpu() -> None:
    before, after = moment(0, 100.0), moment(10, 130.0, 2.0)
    crowded = processor_conditions(before, after, 15.0, on_gpu=False)
    assert crowded.figures == {"foreign_cores": pytest.approx(1.3)}
    assert crowded.set_aside == "Others took 1.3 of this machine's cores meanwhile."
    assert processor_conditions(before, after, 15.0, on_gpu=True).set_aside == ""
    assert processor_conditions(before, after, 27.0, on_gpu=False).set_aside == ""


@pytest.mark.parametrize(("busy", "container"), [(None, 1.0), (130.0, None)])
def test_what_is_not_known_of_the_processor_is_said_and_no_good_sign(
    busy: float | None, container: float | None
) -> None:
    blind = processor_conditions(moment(0, 100.0), moment(10, busy), container, on_gpu=False)
    assert (blind.figures, blind.set_aside) == ({}, "")
    assert blind.unseen.startswith("Nothing tells how much of the processor others took")
    assert processor_conditions(moment(0, 100.0), moment(10, busy), container, on_gpu=True) == Conditions()


def test_what_ran_meanwhile_is_named() -> None:
    during = processor_conditions(moment(0, 100.0), moment(10, 130.0), 15.0, on_gpu=False, during="llama-bench")
    assert during.figures == {"foreign_cores/llama-bench": pytest.approx(1.5)}
    assert during.set_aside == "Others took 1.5 of this machine's cores while llama-bench ran."


def watched(absence: str, *samples: GpuSample) -> Watch:
    """A watch of a GPU that is there, with what was seen of it."""
    watch = Watch(GpuWatch(absence=absence))
    watch.samples = list(samples)
    return watch


def test_a_gpu_of_which_nothing_is_told_is_not_taken_for_a_good_one() -> None:
    absence = "The driver's library libnvidia-ml.so.1 cannot be used: not found."
    blind = watched(absence, GpuSample(0.0))
    assert gpu_conditions(blind).unseen.startswith("Nothing tells whether the GPU was slowed down")
    assert gpu_conditions(blind).unseen.endswith(absence)
    assert gpu_neighbours(blind, OURS).unseen == f"Nothing tells which processes are on the GPU. {absence}"
    assert gpu_conditions(watched("", sample())).unseen == ""
    assert gpu_neighbours(watched("", sample()), OURS).unseen == ""


def test_processes_that_are_counted_otherwise_leave_neighbours_unseen() -> None:
    assert "neighbours that come to the GPU are not seen" in gpu_neighbours(watched("", sample(pids=(9,))), OURS).unseen


def test_this_machine_tells_how_busy_it_is() -> None:
    before = look_at_processor()
    sum(number * number for number in range(300_000))
    after = look_at_processor()
    assert before.busy is not None
    assert after.busy is not None
    assert after.busy >= before.busy > 0
    assert after.own >= before.own


def test_busy_is_all_but_idling_and_waiting() -> None:
    assert parse_busy("cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8\n", 100) == 1.71
    assert parse_busy("cpu  100 20", 100) is None
    assert parse_busy("", 100) is None


def test_groups_of_both_versions_are_read() -> None:
    first = "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"
    assert parse_groups(first)["cpuacct"] == "/docker/abc"
    assert parse_groups("0::/system.slice/docker-abc.scope\n") == {"": "/system.slice/docker-abc.scope"}


def test_figures_are_read_and_the_rest_passed_over() -> None:
    assert parse_figures("usage_usec 123\nuser_usec 100\nnr bursts 1\nmax max\n") == {
        "usage_usec": 123,
        "user_usec": 100,
    }


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert all(isinstance(value, int) for value in parse_figures(text).values())
    assert all(isinstance(name, str) for name in parse_groups(text))
    assert parse_busy(text, 100) is None or "cpu " in text
