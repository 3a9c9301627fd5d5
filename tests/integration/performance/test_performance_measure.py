"""Real images measured once, and ones that cannot be."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from time import monotonic, sleep

import pytest

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.errors import ExitCode
from builder.performance.bench_run import take_bench
from builder.performance.conditions import Watch
from builder.performance.effort import QUICK, Work, least
from builder.performance.errors import CouldNotMeasure
from builder.performance.lengths import Room
from builder.performance.llama_bench import find_bench
from builder.performance.measure import Measured, Place, measure
from builder.performance.prepare import Prepared, prepare
from builder.performance.resources import Meter
from builder.performance.rounds import Rounds
from builder.performance.samples import Family
from builder.performance.settings import parse_changes
from builder.performance.subject import subjects_of
from builder.performance.tools import Tools
from tests.integration.gates.structure_labs import variation

Sabotage = Callable[..., AbstractContextManager[Image]]
NO_BENCH = "RUN rm /usr/local/bin/llama-bench /opt/llama.cpp/llama-bench"


def ready(tools: Tools, *images: Image, profile: str = "chat", changes: tuple[str, ...] = ()) -> tuple[Prepared, ...]:
    profiles = tools.config.settings.profiles
    named = [(image.references[0] if image.references else image.id, image) for image in images]
    return prepare(subjects_of(named, profile, profiles[profile], parse_changes(changes, profiles)), tools)


def measured(tools: Tools, *images: Image, profile: str = "chat", changes: tuple[str, ...] = ()) -> Measured:
    prepared = ready(tools, *images, profile=profile, changes=changes)[0]
    return measure(prepared, least(room(prepared)), Place(1, 0), tools)


def room(prepared: Prepared) -> Room:
    return Room.of([prepared.subject.profile])


def test_a_chat_is_measured_from_start_to_end(tools: Tools, image: Image) -> None:
    found = measured(tools, image)
    assert found.error is None
    samples = found.run.samples
    assert {name: len(values) for name, values in samples.items() if name[:4] in ("ttft", "e2e/", "star")} == {
        "start/healthy": 1,
        "start/first-request": 1,
        "ttft/short": 3,
        "ttft/2k": 1,
        "ttft/10": 10,
        "e2e/short": 3,
        "e2e/2k": 1,
        "e2e/10": 10,
    }
    assert {one.family for one in found.metrics} == set(Family)
    assert all(value > 0 for values in samples.values() for value in values)
    assert median(samples["ttft/2k"]) > min(samples["ttft/short"]), "a long prompt takes longer"
    assert all(first <= whole for first, whole in zip(samples["ttft/10"], samples["e2e/10"], strict=True))
    assert {"llama-bench/pp512", "llama-bench/tg64", "throughput/10", "prompt/alone"} <= samples.keys()
    assert len(samples["llama-bench/pp512"]) == 2
    assert 10 < samples["memory/container"][0] < 500
    assert 0 < samples["processor/load"][0] < 2.5 * sum(found.seconds.values())
    assert found.run.conditions["client_share/users"] < 0.5
    assert {"foreign_cores", "foreign_cores/llama-bench"} <= found.run.conditions.keys()
    assert found.unseen == ()
    assert found.slot == 2048
    assert "stop processing" in found.log.read_text(encoding="utf-8", errors="replace")


def test_vectors_are_measured_too(tools: Tools, image: Image) -> None:
    found = measured(tools, image, profile="embedding")
    assert found.error is None
    samples = found.run.samples
    assert {"embed/short", "embed/near", "embed/batch", "embed/10", "vectors/batch", "vectors/10"} <= samples.keys()
    assert {name for name in samples if name.startswith("llama-bench/")} == {"llama-bench/pp512"}
    assert len(samples["embed/10"]) == 10
    assert all(value > 0 for values in samples.values() for value in values)


def test_an_image_of_2024_is_measured_in_its_own_words(tools: Tools, old_image: Image) -> None:
    (prepared,) = ready(tools, old_image)
    assert prepared.bench
    assert prepared.bench.form == "json"
    assert any("no word for cache-reuse" in note for note in prepared.notes)
    found = measure(prepared, least(room(prepared)), Place(1, 0), tools)
    assert found.error is None
    assert {"ttft/short", "ttft/2k", "throughput/10", "llama-bench/tg64"} <= found.run.samples.keys()
    assert len(found.run.samples["llama-bench/pp512"]) == 2


def test_what_an_image_has_no_word_for_cannot_be_compared(tools: Tools, old_image: Image) -> None:
    with pytest.raises(CouldNotMeasure, match="no word for cache-reuse = 128") as told:
        ready(tools, old_image, changes=("chat.cache-reuse=128,256",))
    assert told.value.exit_code == ExitCode.UNJUDGED


def test_an_image_without_llama_bench_says_so_and_its_server_is_measured(
    tools: Tools, engine: Engine, cpu_image: str
) -> None:
    with variation(engine, cpu_image, NO_BENCH) as image:
        (prepared,) = ready(tools, image)
        assert prepared.bench is None
        assert any("has no llama-bench: the server alone is measured." in note for note in prepared.notes)
        found = measure(prepared, least(room(prepared)), Place(1, 0), tools)
    assert found.error is None
    assert Family.LLAMA_BENCH not in {one.family for one in found.metrics}
    assert found.run.samples["throughput/10"]


def test_a_llama_bench_that_does_not_start_is_told(tools: Tools, engine: Engine, cpu_image: str) -> None:
    lines = "RUN rm /usr/local/bin/llama-bench && cp /bin/false /usr/local/bin/llama-bench"
    with variation(engine, cpu_image, lines) as image, pytest.raises(CouldNotMeasure, match="prints no help"):
        find_bench(image.id, (), tools)


def test_a_server_that_dies_leaves_what_was_measured_and_says_how(tools: Tools, broken: Sabotage) -> None:
    with broken(ABORT_AT=250) as image:
        (prepared,) = ready(tools, image)
        found = measure(prepared, Work({}, room(prepared), answer=2, turns=60), Place(1, 0), tools)
    assert found.error is not None
    assert "The server ended in the middle, with status 139." in found.error.cause
    assert found.error.exit_code == ExitCode.UNJUDGED
    assert found.error.log == found.log
    assert found.error.excerpt, "the last lines of its log"
    assert {"start/healthy", "start/first-request", "ttft/short"} <= found.run.samples.keys()
    assert "ttft/10" not in found.run.samples
    assert "llama-bench/pp512" not in found.run.samples


def test_a_server_that_is_never_healthy_is_given_up_in_time(tools: Tools, broken: Sabotage) -> None:
    began = monotonic()
    with broken(UNWELL=1) as image:
        found = measured(tools, image, changes=("chat.health-limit=3",))
    assert found.error is not None
    assert found.error.cause == "The server was not healthy within 3 s."
    assert found.run.samples == {}
    assert monotonic() - began < 60


def test_a_server_that_needs_more_memory_than_it_may_have_is_told(tools: Tools, image: Image) -> None:
    found = measured(tools, image, changes=("chat.memory-limit=12m",))
    assert found.error is not None
    assert "needed more memory than its container may have (status 137)" in found.error.cause


def test_a_word_that_the_server_does_not_know_is_told(tools: Tools, image: Image) -> None:
    found = measured(tools, image, changes=("chat.extra-arguments=--no-such-word",))
    assert found.error is not None
    assert "with status 1." in found.error.cause
    assert any("--no-such-word" in line for line in found.error.excerpt)


def test_a_cuda_image_without_a_gpu_is_not_measured(tools: Tools, engine: Engine, cpu_image: str) -> None:
    with (
        variation(engine, cpu_image, "LABEL local.builder.variant=cuda", root=False) as image,
        pytest.raises(CouldNotMeasure, match="computes on a GPU, and none was given"),
    ):
        ready(tools, image)


def test_an_image_without_a_server_is_told(tools: Tools, engine: Engine, cpu_image: str) -> None:
    with (
        variation(engine, cpu_image, "RUN rm -f /usr/local/bin/llama-server /opt/llama.cpp/llama-server") as image,
        pytest.raises(CouldNotMeasure, match="does not start"),
    ):
        ready(tools, image)


def test_rounds_interleave_and_ask_all_for_the_same(tools: Tools, image: Image) -> None:
    rounds = Rounds(ready(tools, image, changes=("chat.ubatch=32,128",)), QUICK, tools)
    start = rounds.begin()
    assert start.first.error is None
    assert start.first.run.round == 0
    assert 0 < start.client.piece < 0.001
    runs = [one.run for one in islice(rounds.measure(1, start.work), 3)]
    assert [(run.subject, run.round, run.order) for run in runs] == [("A", 1, 1), ("B", 1, 2), ("B", 1, 3)]
    asked = ("ttft", "e2e", "llama-bench", "throughput")
    sizes = [{name: len(run.samples[name]) for name in run.samples if name.partition("/")[0] in asked} for run in runs]
    assert all(size == sizes[0] for size in sizes)
    assert all(len(run.samples["ttft/short"]) == start.work.times["short"] for run in runs)


def test_contexts_of_several_sizes_are_asked_for_the_same(tools: Tools, image: Image) -> None:
    rounds = Rounds(ready(tools, image, changes=("chat.context=2048,8192",)), QUICK, tools)
    start = rounds.begin()
    assert start.first.error is None
    assert start.work.room.slot == 512
    runs = [one.run for one in islice(rounds.measure(1, start.work), 2)]
    assert runs[0].samples.keys() == runs[1].samples.keys()
    assert "ttft/near" in runs[0].samples
    assert "ttft/2k" not in runs[1].samples


def test_a_slot_that_takes_less_than_all_are_asked_cannot_be_compared(tools: Tools, image: Image) -> None:
    (prepared,) = ready(tools, image, changes=("chat.context=2048",))
    found = measure(prepared, least(Room(slot=4096, ubatch=128)), Place(1, 0), tools)
    assert found.error is not None
    assert "a slot takes 512 tokens" in found.error.cause


def test_others_that_take_the_processor_while_llama_bench_runs_are_seen(
    tools: Tools, image: Image, containers: Callable[..., str]
) -> None:
    (prepared,) = ready(tools, image)
    containers("--entrypoint", "sh", "--network", "none", image.id, "-c", "while :; do :; done")
    done = take_bench(prepared, replace(least(room(prepared)), repetitions=10), tools, Watch(None))
    assert done.samples
    assert done.conditions[0].figures["foreign_cores/llama-bench"] > 0.5
    assert "while llama-bench ran" in done.conditions[0].set_aside


def test_a_containers_memory_and_processor_time_are_read(
    engine: Engine, image: Image, containers: Callable[..., str]
) -> None:
    script = "x=$(head -c 40000000 /dev/zero | tr '\\0' x); while :; do :; done"
    began = monotonic()
    meter = Meter(containers("--entrypoint", "sh", "--network", "none", image.id, "-c", script), engine)
    while ((seen := meter.read()).memory or 0) < 30e6 or (seen.processor or 0) < 0.5:
        assert monotonic() - began < 120, seen
        sleep(0.2)
    assert seen.memory is not None
    assert seen.processor is not None
    assert seen.memory < 300e6
    assert seen.processor < 2 * (monotonic() - began), "more than two cores would have done"
    while (meter.read().processor or 0) <= seen.processor:
        assert monotonic() - began < 120
        sleep(0.2)


def test_of_a_container_that_is_gone_nothing_is_known(engine: Engine) -> None:
    assert Meter("no-such-container", engine).read().memory is None


FOREVER = """
import sys
from pathlib import Path
from builder.config import load
from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.throwaway import this_run
from builder.paths import Paths
from builder.performance.effort import Work
from builder.performance.lengths import Room
from builder.performance.measure import Place, measure
from builder.performance.prepare import prepare
from builder.performance.subject import subjects_of
from builder.performance.tools import Tools
from builder.process import Runner
logs = Path(sys.argv[2]) / this_run()
logs.mkdir()
runner = Runner()
engine = Engine(runner)
tools = Tools(engine, runner, Reporter(), Paths.default(), load(None, {}), logs)
image = engine.image(sys.argv[1])
(prepared,) = prepare(subjects_of([("it", image)], "chat", tools.config.settings.profiles["chat"]), tools)
print(tools.run_id, flush=True)
work = Work({"short": 100000}, Room.of([prepared.subject.profile]))
measure(prepared, work, Place(1, 0), tools)
"""


def test_a_measurement_that_is_interrupted_leaves_no_container(engine: Engine, image: Image, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FOREVER, image.id, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        label = f"label=local.builder.run={process.stdout.readline().strip()}"
        until = monotonic() + 180
        while not (running := engine.ask("ps", "--quiet", "--filter", label).stdout) and monotonic() < until:
            sleep(0.2)
        assert running
        sleep(3)
        process.send_signal(signal.SIGINT)
        process.wait(120)
    assert process.returncode != 0
    assert engine.ask("ps", "--all", "--quiet", "--filter", label).stdout == ""
