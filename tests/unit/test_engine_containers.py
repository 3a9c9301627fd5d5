"""Containers as the engine describes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from builder.engine.containers import container_of


def facts(host: dict[str, Any], *env: str, **state: Any) -> dict[str, Any]:
    """What an engine says of a container."""
    labels = {"com.docker.compose.project": "stack", "com.docker.compose.service": "chat-1"}
    config = {"Image": "llama:latest", "Labels": labels, "Env": [*env]}
    return {"Name": "/stack-chat-1-1", "Image": "sha256:1", "State": state, "Config": config, "HostConfig": host}


@pytest.mark.parametrize(
    ("host", "env", "gpus"),
    [
        ({}, ["NVIDIA_VISIBLE_DEVICES=all"], ()),
        ({"Runtime": "nvidia"}, ["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_VISIBLE_DEVICES=0, 3"], ("0", "3")),
        ({"Runtime": "nvidia"}, ["NVIDIA_VISIBLE_DEVICES=void"], ()),
        ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=1"]}]}, [], ("1",)),
        ({"DeviceRequests": [{"Count": -1, "DeviceIDs": None}]}, [], ("all",)),
        ({"DeviceRequests": [{"Count": 2}], "Runtime": "nvidia"}, ["NVIDIA_VISIBLE_DEVICES=all"], ("any 2",)),
        ({"DeviceRequests": [{"Count": 0, "DeviceIDs": ["GPU-1"]}]}, [], ("GPU-1",)),
    ],
)
def test_the_gpus_that_a_container_was_told_of(host: dict[str, Any], env: list[str], gpus: tuple[str, ...]) -> None:
    assert container_of(facts(host, *env)).gpus == gpus


def test_what_runs_since_when_and_how_well() -> None:
    started = "2026-01-02T03:04:05.123456789Z"
    found = container_of(facts({}, Status="running", StartedAt=started, Health={"Status": "healthy"}))
    assert (found.project, found.service, found.name) == ("stack", "chat-1", "stack-chat-1-1")
    assert (found.runs, found.health) == (True, "healthy")
    assert found.started == datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)


def test_what_never_ran_has_no_start() -> None:
    found = container_of(facts({}, Status="created", StartedAt="0001-01-01T00:00:00Z"))
    assert (found.runs, found.started, found.health) == (False, None, "")
