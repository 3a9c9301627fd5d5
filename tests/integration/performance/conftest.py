"""Images that are measured, and what they are measured with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from builder.config import load
from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.engine.throwaway import this_run
from builder.image.bases import Choice
from builder.paths import Paths
from builder.performance.tools import Tools
from builder.process import Runner
from tests.integration.conftest import builder
from tests.integration.gates.smoke_labs import compile_sabotage, sabotaged

OLD = "pypi:llama-cpp-python==0.2.85"
"""The tree of July 2024: its llama-bench knows no JSON lines, its server no `usage` in a stream."""


@pytest.fixture
def tools(engine: Engine, runner: Runner, tmp_path: Path) -> Tools:
    logs = tmp_path / this_run()
    logs.mkdir()
    paths = Paths(Paths.default().cache, tmp_path / "state")
    return Tools(engine, runner, Reporter(), paths, load(None, {}), logs)


@pytest.fixture(scope="session")
def image(engine: Engine, cpu_image: str) -> Image:
    found = engine.image(cpu_image)
    assert found
    return found


@pytest.fixture(scope="session")
def old_image(engine: Engine) -> Image:
    done = builder("build", "--cpu", "--origin", OLD, "--name", "builder-test/era", "--json", timeout=3300)
    found = engine.image(json.loads(done.stdout)["image"]["references"][0])
    assert found, done.stderr
    return found


@pytest.fixture(scope="module")
def broken(
    engine: Engine, cpu_image: str, cpu_bases: Choice, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[Image]]:
    """Images whose servers are broken in one way each."""
    library = compile_sabotage(engine, cpu_bases.bases.devel, tmp_path_factory.mktemp("sabotage"))
    return lambda **how: sabotaged(engine, cpu_image, library, how)


@pytest.fixture(autouse=True)
def nothing_left(engine: Engine, tools: Tools) -> Iterator[None]:
    """After each test no container of its run is there."""
    yield
    label = f"label=local.builder.run={tools.run_id}"
    assert engine.ask("ps", "--all", "--quiet", "--filter", label).stdout == ""
