"""What the integration tests share: a real engine, real base images, real llama.cpp images.

Images are made through the builder itself and found again through its own caches, as a user's are.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from builder.console import Reporter
from builder.engine.client import Engine
from builder.image.bases import BaseRequest, Choice, Workshop, choose, ensure
from builder.image.buildx import Buildx
from builder.paths import Paths
from builder.plan.plan import Variant
from builder.process import Runner
from builder.settings import Bases
from builder.staging import exclusive

TREE = "pypi:llama-cpp-python==0.3.36"
"""The newest whole llama.cpp tree that the package index is known to hold."""

STANDIN = Path(__file__).parent / "standin"
"""A small project with llama.cpp's option surface."""

SERVER = Path("tools/server/server.cpp")
"""The stand-in's server, in its tree."""


@pytest.fixture(scope="session", autouse=True)
def _only_built() -> Iterator[None]:
    """Where a test builds an image it wants just that; those of the chain say otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUILDER_BUILD_UNTIL", "built")
        yield


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(tmp_path_factory.mktemp("runner") / "commands.sh")


@pytest.fixture(scope="session")
def engine(runner: Runner) -> Engine:
    """The machine's engine; `builder setup` has seen to it."""
    engine = Engine(runner)
    engine.info()
    return engine


@pytest.fixture(scope="session")
def workshop(engine: Engine, runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    reporter = Reporter()
    logs = tmp_path_factory.mktemp("logs")
    return Workshop(engine, Buildx(engine, runner, reporter, logs), runner, reporter, Paths.default())


@pytest.fixture(scope="session")
def cpu_bases(workshop: Workshop) -> Choice:
    choice = choose(Bases(), BaseRequest(Variant.CPU, "13.0", ""), workshop)
    ensure(choice, workshop)
    return choice


@pytest.fixture(scope="session")
def cuda_devel(workshop: Workshop) -> str:
    """Reference of an image with CUDA 13.0's compilers."""
    choice = choose(Bases(), BaseRequest(Variant.CUDA, "13.0", ""), workshop)
    ensure(choice, workshop)
    return choice.bases.devel


@pytest.fixture(scope="session")
def cpu_image(cpu_bases: Choice) -> str:
    """Immutable reference of a real llama.cpp image for the CPU."""
    assert cpu_bases
    done = builder("build", "--cpu", "--origin", TREE, "--name", "builder-test/llama", "--json", timeout=3300)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    reference: str = document["image"]["references"][0]
    return reference


def builder(
    *arguments: str,
    timeout: float = 600,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own.

    Args:
        prefix: what it is started with, such as a program that enters a namespace.
    """
    command: Sequence[str] = [*prefix, sys.executable, "-m", "builder", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, cwd=cwd, env=env)


@pytest.fixture
def containers(engine: Engine) -> Iterator[Callable[..., str]]:
    """Start containers; they are removed afterwards."""
    started: list[str] = []

    def start(*arguments: str) -> str:
        done = engine.ask("run", "--detach", *arguments, timeout=60)
        assert done.returncode == 0, done.stderr
        started.append(done.stdout.strip())
        return started[-1]

    yield start
    for container in started:
        engine.ask("rm", "--force", container)


@pytest.fixture
def alone_sweeping() -> Iterator[None]:
    """Meanwhile no other test leaves containers behind to see them swept, or sweeps the youngest."""
    with exclusive(Paths.default().locks / "tests-that-sweep.lock", lambda _: None):
        yield


@pytest.fixture
def name(engine: Engine) -> Iterator[str]:
    """A name for images of one test; they are removed afterwards."""
    name = f"builder-test/build-{uuid.uuid4().hex[:8]}"
    yield name
    listed = engine.ask("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", name)
    for reference in listed.stdout.split():
        engine.ask("image", "rm", "--force", reference)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the stand-in that no other test has built."""
    folder = tmp_path / "tree"
    shutil.copytree(STANDIN, folder)
    with (folder / SERVER).open("a") as source:
        source.write(f"// {uuid.uuid4()}\n")
    return folder
