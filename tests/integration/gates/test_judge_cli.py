"""`builder judge` as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from builder.engine.client import Engine
from builder.engine.throwaway import RUN
from builder.errors import ExitCode
from builder.image.bases import Choice
from tests.integration.conftest import builder


@pytest.fixture
def broken(engine: Engine, cpu_image: str) -> Iterator[str]:
    """The real image without one of its libraries."""
    name = f"builder-test/broken:{uuid.uuid4().hex[:8]}"
    container = engine.ask("create", "--entrypoint", "rm", "--user", "0", cpu_image, "/opt/llama.cpp/libggml-base.so.0")
    assert container.returncode == 0, container.stderr
    started = engine.ask("start", "--attach", container.stdout.strip())
    assert started.returncode == 0, started.stderr
    commit = ("commit", "--change", 'ENTRYPOINT ["llama-server"]', "--change", "USER 10001:10001")
    assert engine.ask(*commit, container.stdout.strip(), name).returncode == 0
    yield name
    engine.ask("rm", "--force", container.stdout.strip())
    engine.ask("image", "rm", "--force", name)


def test_real_image_passes_all_gates(engine: Engine, cpu_image: str) -> None:
    done = builder("judge", cpu_image, "--json")
    assert done.returncode == ExitCode.DONE, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["schema_version"] == 1
    verdicts = {verdict["gate"]: verdict for verdict in document["verdicts"]}
    assert list(verdicts)[:2] == ["version", "structure"]
    assert {verdict["outcome"] for verdict in verdicts.values()} == {"pass"}
    assert len({verdict["digest"] for verdict in verdicts.values()}) == 1
    for verdict in verdicts.values():
        machine = verdict["machine"]
        assert (machine["cores"], machine["gpus"]) == (engine.info().cores, [])
        assert all(machine[fact] for fact in ("memory", "system", "kernel", "engine"))
        assert (verdict["manifest"] is not None) == machine["containerd_store"]
        assert all(Path(log).is_file() for log in verdict["logs"])
    assert {check["name"] for check in verdicts["structure"]["checks"]} >= {"libraries", "labels", "secrets"}


def test_image_without_a_library_fails_by_the_gate_that_saw_it(broken: str) -> None:
    done = builder("judge", broken, "--gate", "structure")
    assert done.returncode == ExitCode.STRUCTURE, done.stdout + done.stderr
    assert "libggml-base.so.0" in done.stdout


def test_what_does_not_start_is_looked_into_and_not_started_again(broken: str) -> None:
    done = builder("judge", broken, "--json")
    assert done.returncode == ExitCode.STRUCTURE
    version, structure = json.loads(done.stdout)["verdicts"]
    assert (version["gate"], version["outcome"]) == ("version", "could not judge")
    assert (structure["gate"], structure["outcome"]) == ("structure", "fail")
    assert any("libggml-base.so.0" in reason for reason in structure["reasons"])


def test_image_of_somebody_else_is_never_a_pass(cpu_bases: Choice) -> None:
    done = builder("judge", cpu_bases.bases.runtime, "--gate", "structure", "--json")
    assert done.returncode == ExitCode.UNJUDGED
    verdict = json.loads(done.stdout)["verdicts"][0]
    assert verdict["outcome"] == "could not judge"
    assert [Path(log).parent.stat().st_mode & 0o777 for log in verdict["logs"]] == [0o700]


@pytest.mark.usefixtures("alone_sweeping")
def test_what_a_killed_judge_left_is_swept_and_another_judge_goes_on(
    engine: Engine, cpu_image: str, judging: Callable[[], subprocess.Popen[str]]
) -> None:
    lives, killed = judging(), judging()
    left, kept = (wait_for_container(engine, process.pid) for process in (killed, lives))
    lives.send_signal(signal.SIGSTOP)
    killed.kill()
    killed.communicate(timeout=120)
    assert containers_of(engine, killed.pid) == [left]
    sleep(10)
    done = builder("judge", cpu_image, "--gate", "version")
    assert done.returncode == ExitCode.DONE, done.stderr
    assert containers_of(engine, killed.pid) == []
    assert containers_of(engine, lives.pid) == [kept]
    lives.send_signal(signal.SIGINT)
    lives.send_signal(signal.SIGCONT)
    lives.communicate(timeout=120)
    assert lives.returncode == ExitCode.INTERRUPTED
    assert containers_of(engine, lives.pid) == []


@pytest.fixture
def judging(cpu_image: str, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts judges that serve an image for minutes; they are ended afterwards."""
    started: list[subprocess.Popen[str]] = []
    command = [sys.executable, "-m", "builder", "judge", cpu_image, "--gate", "soak", "--profile", "chat"]
    slow = {"BUILDER_SOAK_MINUTES": "20", "BUILDER_SOAK_RATE": "6", "BUILDER_STATE": str(tmp_path / "state")}

    def start() -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **slow}
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=120)


def containers_of(engine: Engine, pid: int) -> list[str]:
    """Servers that a process started."""
    shown = engine.ask("ps", "--no-trunc", "--format", f'{{{{.ID}}}} {{{{.Label "{RUN}"}}}} {{{{.Ports}}}}').stdout
    rows = [line.split() for line in shown.splitlines()]
    return [row[0] for row in rows if len(row) > 2 and row[1].endswith(f"-{pid}")]


def wait_for_container(engine: Engine, pid: int) -> str:
    until = monotonic() + 180
    while monotonic() < until:
        if found := containers_of(engine, pid):
            return found[0]
        sleep(0.1)
    raise AssertionError("no container was started")


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("no-such-image:1",), "There is no image no-such-image:1 on this engine."),
        (("no-such-image:1", "--gate", "speed"), "There is no gate `speed`."),
        (("no-such-image:1", "--gpus", "0,none"), "--gpus '0,none': `none` stands alone."),
        (("no-such-image",), "There is no image no-such-image:latest on this engine."),
        (("",), "The name of the image is empty."),
        (("container:some",), "container:some is a container, not an image."),
    ],
)
def test_bad_words(words: tuple[str, ...], cause: str) -> None:
    done = builder("judge", *words, "--json")
    assert done.returncode == ExitCode.USAGE
    assert json.loads(done.stdout)["error"]["cause"] == cause


def test_other_tags_of_a_missing_image_are_named(cpu_image: str) -> None:
    done = builder("judge", f"{cpu_image.rpartition(':')[0]}:no-such-tag", "--json")
    assert done.returncode == ExitCode.USAGE
    assert 1 <= len(json.loads(done.stdout)["error"]["excerpt"]) <= 3


def test_a_named_gpu_for_an_image_that_computes_on_the_cpu_is_refused(cpu_image: str) -> None:
    done = builder("judge", cpu_image, "--gate", "version", "--gpus", "0", "--json")
    assert done.returncode == ExitCode.USAGE
    assert json.loads(done.stdout)["error"]["cause"] == "--gpus names 0, and the image computes on the CPU."


def test_several_gates_are_named_with_commas(cpu_image: str) -> None:
    done = builder("judge", cpu_image, "--gate", "version,structure", "--json")
    assert [verdict["gate"] for verdict in json.loads(done.stdout)["verdicts"]] == ["version", "structure"]
