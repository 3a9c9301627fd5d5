"""What the engine's client says of images, and containers that nothing is left of, on real engines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import monotonic, sleep

import pytest

from builder.engine.client import Engine
from builder.engine.throwaway import MACHINE, RUN, this_machine, this_run
from builder.errors import MachineError
from builder.process import CommandTimeout, Runner
from tests.integration.engines import import_shell, second_engine

_STOPS = "/bin/sh -c 'kill -STOP $$'; :"
"""A script that waits for ever; the first process of a container cannot stop itself."""
_HANG = ("-c", _STOPS)
_SHELL = ("--entrypoint", "/bin/sh", "--network", "none")
_FOREVER = """
import sys
from builder.engine.client import Engine
from builder.process import Runner
Engine(Runner()).run_once(sys.argv[1], ["-c", sys.argv[2]], options=sys.argv[3:], timeout=600)
"""


@pytest.fixture(scope="module")
def shell(engine: Engine, runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """ID of an image of nothing but a shell."""
    reference = f"builder-test/shell:{uuid.uuid4().hex[:12]}"
    import_shell(runner, engine, tmp_path_factory.mktemp("shell"), reference, {})
    image = engine.image(reference)
    assert image is not None
    yield image.id
    engine.remove_image(reference)


def containers_of(engine: Engine, image: str) -> list[str]:
    return engine.ask("ps", "--all", "--quiet", "--no-trunc", "--filter", f"ancestor={image}").stdout.split()


def wait_for_container(engine: Engine, image: str) -> str:
    until = monotonic() + 120
    while monotonic() < until:
        if found := engine.ask("ps", "--quiet", "--no-trunc", "--filter", f"ancestor={image}").stdout.split():
            return found[0]
        sleep(0.1)
    raise AssertionError("no container was started")


ABSENT = ("builder-test/not-there:1", "localhost:1/not/there:1", "deadbeef", f"sha256:{'0' * 64}")
MALFORMED = ("", "--help", "UPPER:x", "two words", "name@sha256:00")


@pytest.mark.parametrize("reference", [*ABSENT, *MALFORMED])
def test_what_is_not_there_is_none(engine: Engine, reference: str) -> None:
    assert engine.image(reference) is None


def test_what_is_not_there_is_none_in_containerds_store_too(runner: Runner) -> None:
    with second_engine(runner, {"features": {"containerd-snapshotter": True}}) as second:
        assert second.info().containerd_store
        assert [second.image(reference) for reference in (*ABSENT, *MALFORMED)] == [None] * 9


def test_a_question_that_fails_is_no_answer(engine: Engine, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_API_VERSION", "1.99")
    with pytest.raises(MachineError, match="too new"):
        engine.image(shell)
    with pytest.raises(MachineError, match="too new"):
        engine.images_with({})


def test_a_reference_is_never_an_option_of_pull(engine: Engine) -> None:
    pulled = engine.pull("--help", timeout=60)
    assert pulled.returncode != 0
    assert "invalid reference format" in pulled.stderr


def test_what_the_engine_says_of_itself_is_cheap(engine: Engine) -> None:
    took = []
    for _ in range(5):
        started = monotonic()
        assert engine.info().cores > 0
        took.append(monotonic() - started)
    assert min(took) < 1


def test_a_container_answers_and_is_gone(engine: Engine, shell: str) -> None:
    done = engine.run_once(shell, ["-c", "echo out; echo err >&2; exit 3"], options=_SHELL, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert containers_of(engine, shell) == []


def test_a_container_that_does_not_start_is_gone(engine: Engine, shell: str) -> None:
    done = engine.run_once(shell, [], options=("--entrypoint", "/no/such"), timeout=60)
    assert done.returncode == 127
    assert containers_of(engine, shell) == []


def test_a_container_that_does_not_end_is_gone_in_time(engine: Engine, shell: str) -> None:
    with pytest.raises(CommandTimeout):
        engine.run_once(shell, _HANG, options=_SHELL, timeout=1)
    assert containers_of(engine, shell) == []


def test_a_container_says_whose_it_is_and_is_gone_when_interrupted(engine: Engine, shell: str) -> None:
    with subprocess.Popen([sys.executable, "-c", _FOREVER, shell, _STOPS, *_SHELL], stderr=subprocess.PIPE) as process:
        container = wait_for_container(engine, shell)
        (facts,) = json.loads(engine.ask("container", "inspect", container).stdout)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert facts["Config"]["Labels"][RUN].endswith(f"-{process.pid}")
    assert facts["Config"]["Labels"][MACHINE] == this_machine()
    assert containers_of(engine, shell) == []


@pytest.mark.usefixtures("alone_sweeping")
def test_what_a_killed_process_left_is_swept(engine: Engine, shell: str) -> None:
    with subprocess.Popen([sys.executable, "-c", _FOREVER, shell, _STOPS, *_SHELL], stderr=subprocess.PIPE) as process:
        container = wait_for_container(engine, shell)
        assert container not in engine.sweep(older_than=0), "its process lives"
        process.kill()
        process.communicate(timeout=120)
    assert container not in engine.sweep(), "it is young"
    assert containers_of(engine, shell) == [container]
    assert container in engine.sweep(older_than=0)
    assert containers_of(engine, shell) == []


@pytest.mark.usefixtures("alone_sweeping")
def test_what_is_somebody_elses_is_not_swept(engine: Engine, shell: str, containers: Callable[..., str]) -> None:
    dead = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{_dead_pid()}"
    here = f"{MACHINE}={this_machine()}"
    kept = {
        containers(*labels, *_SHELL, shell, *_HANG)
        for labels in (
            ("--label", f"{RUN}={dead}"),
            ("--label", f"{RUN}={dead}", "--label", f"{MACHINE}=elsewhere-1"),
            ("--label", f"{RUN}=a run of another shape", "--label", here),
            ("--label", f"{RUN}={this_run()}", "--label", here),
            ("--label", here),
        )
    }
    left = containers("--label", f"{RUN}={dead}", "--label", here, *_SHELL, shell, *_HANG)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        reused = f"20260101T000000-{stranger.pid}"
        left_too = containers("--label", f"{RUN}={reused}", "--label", here, *_SHELL, shell, *_HANG)
        swept = set(engine.sweep(older_than=0))
        stranger.kill()
    assert {left, left_too} <= swept
    assert set(containers_of(engine, shell)) == kept


def _dead_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    return process.pid
