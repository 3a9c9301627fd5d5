"""Real servers under load for a few seconds, and ones that do not stand it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import pytest

from builder.endurance import Soak
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.engine.throwaway import RUN
from builder.errors import MachineError
from builder.gates.gate import Scene, Subject
from builder.gates.soak.gate import judge_soak
from builder.gates.verdict import Outcome, Verdict
from builder.performance.soak.record import SoakRecord, read_soak, write_soak
from builder.performance.tools import Tools
from builder.process import CommandTimeout
from tests.integration.conftest import builder
from tests.integration.gates.smoke_labs import details, failures
from tests.integration.gates.structure_labs import variation
from tests.unit.report_soaks import soak

Sabotage = Callable[..., AbstractContextManager[Image]]
EASY: Mapping[str, Any] = {
    "minutes": 0.12,
    "rate": 150,
    "answer": 8,
    "cpu_limit": "100%",
    "queue_limit": 100,
    "wait_limit": 60,
}
"""A load that is over in seconds, and limits that a machine which compiles beside it keeps."""


@pytest.fixture
def soaked(tools: Tools) -> Callable[..., tuple[Verdict, SoakRecord]]:
    """Soak an image for a few seconds."""

    def run(
        image: Image,
        profile: str = "chat",
        changed: Mapping[str, object] | None = None,
        *,
        by_hand: bool = True,
        **soak: Any,
    ) -> tuple[Verdict, SoakRecord]:
        settings, name = tools.config.settings, image.references[0] if image.references else image.id
        served = settings.profiles[profile].model_copy(update=dict(changed or {}))
        update = {"soak": Soak(**{**EASY, **soak}), "profiles": {**settings.profiles, profile: served}}
        sources = {**tools.config.sources, "soak.minutes": "command line" if by_hand else "default"}
        config = replace(tools.config, settings=settings.model_copy(update=update), sources=sources)
        scene = Scene(tools.engine, tools.runner, tools.reporter, tools.paths, config, tools.logs)
        verdict = judge_soak(Subject(name, image), profile, scene)
        return verdict, read_soak(Path(str(verdict.measurements["record"])))

    return run


def known(record: SoakRecord) -> set[str]:
    """The columns that were ever known."""
    return {name for name, values in record.series.values.items() if any(value is not None for value in values)}


def test_a_real_server_stands_it_and_what_takes_longer_is_not_judged(
    soaked: Callable[..., tuple[Verdict, SoakRecord]], image: Image
) -> None:
    verdict, record = soaked(image, by_hand=False)
    assert verdict.outcome is Outcome.UNJUDGED, "nobody asked for so short a time"
    assert failures(verdict) == ["drift", "memory"]
    assert set(details(verdict)) >= {
        *("process", "out-of-memory", "errors", "queue", "slots-full", "cache-hits", "health"),
        *("cpu", "container-memory", "stop", "log"),
    }
    assert record.whole
    assert record.outcome == "could not judge"
    assert [check.name for check in record.checks] == [check.name for check in verdict.checks]
    assert len(record.requests) == verdict.measurements["requests"]
    assert 5 < len(record.requests) < 60
    assert all(one.outcome == "answered" and one.tokens == 8 for one in record.requests)
    assert known(record) >= {
        *("in_flight", "requests_processing", "requests_deferred", "slots_busy", "prompt_tokens", "decodes"),
        *("prompt_tokens_cached", "tokens_predicted", "busy_slots_per_decode", "health_seconds"),
        *(
            "container_memory",
            "container_processor",
            "prompt_cache",
            "process",
            "client_processor",
            "machine_processor",
        ),
    }
    assert "gpu_memory" not in known(record)
    assert float(str(verdict.measurements["cache_hit_share"])) > 0.2
    assert 0 < float(str(verdict.measurements["processor_share"])) < 1.2
    by_counters = record.figures["cache_hit_share"]
    prompts = sum(one.prompt_tokens or 0 for one in record.requests)
    assert by_counters == pytest.approx(sum(one.cached_tokens or 0 for one in record.requests) / prompts, abs=0.05)
    assert record.subject.model.digest.startswith("sha256:")


def test_vectors_are_asked_for_too(soaked: Callable[..., tuple[Verdict, SoakRecord]], image: Image) -> None:
    verdict, record = soaked(image, "embedding")
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert "cache-hits" not in details(verdict)
    assert {one.kind for one in record.requests} == {"one", "whole", "batch"}
    assert any("that was not judged, and takes 10 min" in reason for reason in verdict.reasons)
    assert record.notes


def test_a_server_of_2024_tells_of_its_cache_by_what_it_did_not_compute(
    soaked: Callable[..., tuple[Verdict, SoakRecord]], old_image: Image
) -> None:
    verdict, record = soaked(old_image, rate=60, cache_hit_floor="1%")
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert "prompt_tokens_cached" not in known(record)
    assert all(one.cached_tokens is None for one in record.requests)
    assert float(str(verdict.measurements["cache_hit_share"])) > 0.02
    assert any("no word for cache-reuse" in note for note in record.notes)


def test_a_leak_fails(soaked: Callable[..., tuple[Verdict, SoakRecord]], broken: Sabotage) -> None:
    with broken(LEAK=2 << 20) as image:
        verdict, record = soaked(image, minutes=0.2)
    assert failures(verdict) == ["memory"], verdict.reasons
    assert "It leaks, or keeps what it should not." in verdict.reasons[0]
    assert record.whole
    assert record.outcome == "fail"


def test_a_server_that_dies_in_the_middle_fails_and_what_was_seen_is_kept(
    soaked: Callable[..., tuple[Verdict, SoakRecord]], broken: Sabotage
) -> None:
    with broken(CRASH_AT=120) as image:
        verdict, record = soaked(image, minutes=1, rate=400)
    assert verdict.outcome is Outcome.FAIL
    assert failures(verdict)[0] == "process"
    assert "crashed (status 139" in verdict.reasons[0]
    assert "errors" in failures(verdict)
    assert "stop" not in details(verdict)
    assert not record.whole
    assert record.interrupted == "The server ended in the middle."
    assert record.requests


def test_a_rate_that_is_too_high_fills_the_slots(
    soaked: Callable[..., tuple[Verdict, SoakRecord]], image: Image
) -> None:
    verdict, record = soaked(image, changed={"slots": 1}, rate=900, answer=64, timeout=4, queue_limit=4, wait_limit=1)
    assert {"slots-full", "queue"} <= set(failures(verdict))
    assert "The only slot was full" in details(verdict)["slots-full"]
    assert "waited more than 1 s" in details(verdict)["slots-full"]
    assert float(str(verdict.measurements["most_waiting"])) > 4
    assert len(record.requests) > 50, "requests come whether or not those before were answered"


def test_an_image_that_does_not_start_is_no_soak_and_an_older_record_is_not_its_own(
    engine: Engine, cpu_image: str, tools: Tools, tmp_path: Path
) -> None:
    older = tmp_path / "older.json"
    write_soak(soak(), older)
    scene = Scene(tools.engine, tools.runner, tools.reporter, tools.paths, tools.config, tools.logs)
    with variation(engine, cpu_image, "RUN rm -f /usr/local/bin/llama-server /opt/llama.cpp/llama-server") as image:
        verdict = judge_soak(Subject(image.id, image), "chat", scene, place=older)
    assert verdict.outcome is not Outcome.PASS
    assert verdict.measurements["record"] is None
    assert str(older) not in verdict.logs
    assert read_soak(older) == soak()


def test_a_container_that_somebody_removes_ends_the_soak_and_what_was_seen_is_kept(
    soaked: Callable[..., tuple[Verdict, SoakRecord]], engine: Engine, tools: Tools, image: Image
) -> None:
    removed: list[float] = []

    def remove() -> None:
        container = await_load(engine, lambda run: run == tools.run_id)
        removed.append(monotonic())
        engine.ask("rm", "--force", container, timeout=120)

    remover = Thread(target=remove)
    remover.start()
    with pytest.raises(MachineError, match="is gone"):
        soaked(image, minutes=5)
    remover.join()
    assert monotonic() - removed[0] < 120
    (file,) = tools.paths.soaks.glob("*-chat-*.json")
    assert "is gone" in read_soak(file).interrupted


def in_seconds() -> dict[str, str]:
    """Variables for a load that is over in seconds."""
    return {**os.environ, **{f"BUILDER_SOAK_{name.upper()}": str(value) for name, value in EASY.items()}}


def await_load(engine: Engine, ours: Callable[[str], bool]) -> str:
    """The container of a run whose server has been under load for a few seconds."""
    until = monotonic() + 240
    while monotonic() < until:
        sleep(0.5)
        with suppress(CommandTimeout):
            if found := next((one for one in servers(engine, ours) if is_asked(engine, one)), None):
                sleep(5)
                return found
    raise AssertionError("no server came under load")


def servers(engine: Engine, ours: Callable[[str], bool]) -> list[str]:
    """The containers of a run that are published."""
    listed = engine.ask("ps", "--format", f'{{{{.ID}}}} {{{{.Label "{RUN}"}}}} {{{{.Ports}}}}').stdout.splitlines()
    rows = [line.split() for line in listed]
    return [row[0] for row in rows if len(row) > 2 and row[2].endswith("->8080/tcp") and ours(row[1])]


def is_asked(engine: Engine, container: str) -> bool:
    """Whether its server has been asked for an answer."""
    return "launch_slot" in engine.ask("logs", container).stderr


def containers_of(engine: Engine, pid: int) -> list[str]:
    """Runs of a process that have a container."""
    listed = engine.ask("ps", "--all", "--format", f'{{{{.Label "{RUN}"}}}}').stdout.split()
    return [run for run in listed if run.endswith(f"-{pid}")]


def test_the_command_shows_what_was_seen_and_passes_for_as_long_as_a_person_asked(
    cpu_image: str, tmp_path: Path
) -> None:
    done = builder("soak", cpu_image, "--minutes", "0.1", "--out", str(tmp_path), cwd=tmp_path, env=in_seconds())
    assert done.returncode == 0, done.stdout + done.stderr
    shown = " ".join(done.stdout.split())
    for words in ("slots-full pass", "cache hit", "Time to first token", "that was not judged, and takes 10 min"):
        assert words in shown
    assert "The record is " in shown
    (file,) = tmp_path.glob("*-chat-*.json")
    assert read_soak(file).arguments["minutes"] == "0.1"


def test_the_command_refuses_what_cannot_be(cpu_image: str, tmp_path: Path) -> None:
    for words, said in (
        (("--out", str(tmp_path / "no" / "such.json")), "There is no folder"),
        (("--rate", "0"), "soak.rate"),
        (("--profile", "chatt"), "Did you mean `chat`?"),
    ):
        done = builder("soak", cpu_image, *words, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr


def test_an_interruption_keeps_what_was_seen_and_leaves_no_container(
    engine: Engine, cpu_image: str, tmp_path: Path
) -> None:
    file = tmp_path / "soak.json"
    command = [sys.executable, "-m", "builder", "soak", cpu_image, "--minutes", "10", "--out", str(file), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=in_seconds()
    ) as process:
        await_load(engine, lambda run: run.endswith(f"-{process.pid}"))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert containers_of(engine, process.pid) == []
    assert process.returncode == 130, said
    record = read_soak(file)
    assert not record.whole
    assert record.interrupted.startswith("It was interrupted: ")
    assert record.series.times
    assert f"What was seen until then is in {file}." in said.replace("\n", "")
