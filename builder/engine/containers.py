"""The containers of an engine, whoever started them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from builder.engine.client import Engine
from builder.engine.moments import read_moment
from builder.errors import MachineError

_COMPOSE = "com.docker.compose."
_VISIBLE = "NVIDIA_VISIBLE_DEVICES="
_CDI = "nvidia.com/gpu="


@dataclass(frozen=True)
class Container:
    """A container, running or not.

    Attributes:
        image: ID of the image that it was made of.
        called: what that was called when it was made.
        labels: its own and the image's.
        status: such as `running` or `exited`.
        health: such as `healthy` or `starting`; empty where nothing asks.
        exit_code: of one that ended.
        started: when it was started last; None where it never was.
        gpus: those that it may use, as it was told, such as `0`, `all` or a UUID; empty for none.
    """

    name: str
    image: str
    called: str
    labels: Mapping[str, str]
    status: str
    health: str
    exit_code: int
    started: datetime | None
    gpus: tuple[str, ...]

    @property
    def runs(self) -> bool:
        """Whether it serves, or tries to."""
        return self.status in ("running", "restarting", "paused")

    @property
    def project(self) -> str:
        """The Compose project that it is of; empty for none."""
        return self.labels.get(f"{_COMPOSE}project", "")

    @property
    def service(self) -> str:
        """The Compose service that it is of; empty for none."""
        return self.labels.get(f"{_COMPOSE}service", "")

    @property
    def folder(self) -> str:
        """The Compose project's folder; empty where it is not known."""
        return self.labels.get(f"{_COMPOSE}project.working_dir", "")


def containers_of(engine: Engine) -> tuple[Container, ...]:
    """All containers of an engine.

    Raises:
        MachineError: it does not say.
    """
    listed = engine.ask("container", "ls", "--all", "--quiet", "--no-trunc")
    if listed.returncode:
        raise _silent(listed.stderr)
    ids = listed.stdout.split()
    if not ids:
        return ()
    told = engine.ask("container", "inspect", "--", *ids)
    # One that is gone by now is no container any more.
    if told.returncode and "no such container" not in told.stderr.lower():
        raise _silent(told.stderr)
    return tuple(container_of(facts) for facts in json.loads(told.stdout or "[]"))


def container_of(facts: Mapping[str, Any]) -> Container:
    """A container as the engine describes it."""
    state, config = facts.get("State") or {}, facts.get("Config") or {}
    return Container(
        name=facts["Name"].removeprefix("/"),
        image=facts["Image"],
        called=config.get("Image") or "",
        labels=config.get("Labels") or {},
        status=state.get("Status") or "",
        health=(state.get("Health") or {}).get("Status") or "",
        exit_code=state.get("ExitCode") or 0,
        started=read_moment(state.get("StartedAt") or ""),
        gpus=_gpus(facts.get("HostConfig") or {}, config.get("Env") or ()),
    )


def _gpus(host: Mapping[str, Any], env: tuple[str, ...]) -> tuple[str, ...]:
    """What a container was told of GPUs: by a request, or by a variable that NVIDIA's runtime reads."""
    asked: list[str] = []
    for request in host.get("DeviceRequests") or ():
        ids = request.get("DeviceIDs") or ()
        asked += [str(one).removeprefix(_CDI) for one in ids]
        if not ids and (count := request.get("Count")):
            asked.append("all" if count < 0 else f"any {count}")
    if not asked and host.get("Runtime") == "nvidia":
        told = next((one.removeprefix(_VISIBLE) for one in reversed(env) if one.startswith(_VISIBLE)), "")
        asked = [one.strip() for one in told.split(",") if one.strip() not in ("", "void", "none")]
    return tuple(asked)


def _silent(words: str) -> MachineError:
    said = words.strip().splitlines()
    return MachineError(
        f"The engine does not say which containers it has: {said[-1] if said else 'no reason'}.",
        "See `builder doctor`.",
    )
