"""The same build on an engine that keeps its images in containerd's store."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.engine.client import Engine
from builder.image.bases import Choice
from builder.process import Runner
from tests.integration.conftest import STANDIN, builder
from tests.integration.engines import copy_images, is_on_overlay, second_engine


@pytest.fixture
def containerd_engine(runner: Runner, engine: Engine, cpu_bases: Choice) -> Iterator[tuple[Engine, str]]:
    """A second engine with containerd's store and the same base images, and its address."""
    if is_on_overlay(Path(tempfile.gettempdir())):
        pytest.skip("the temporary folder is on an overlay file system, which cannot hold an engine's layers")
    with second_engine(runner, {"features": {"containerd-snapshotter": True}}) as second:
        copy_images([cpu_bases.bases.devel, cpu_bases.bases.runtime], engine, second)
        yield second, second.command[-1]


def test_build_is_named_labelled_found_and_asked(containerd_engine: tuple[Engine, str]) -> None:
    engine, host = containerd_engine
    assert engine.info().containerd_store
    env = {**os.environ, "DOCKER_HOST": host}
    arguments = ("build", "--cpu", "--origin", str(STANDIN), "--build-number", "10991", "--name", "stored", "--json")
    first, again = (builder(*arguments, env=env) for _ in range(2))
    assert first.returncode == 0, first.stderr
    document = json.loads(first.stdout)
    image = engine.image(document["image"]["references"][0])
    assert image is not None
    assert image.id == document["image"]["id"]
    assert image.labels["local.builder.plan"] == document["plan"]["digest"]
    tests = engine.image(document["tests"]["reference"])
    assert tests is not None
    assert tests.stands_on(image)
    second = json.loads(again.stdout)
    assert second["found"] is True
    assert second["tests"] == {**document["tests"], "found": True}
