"""What an engine says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EngineInfo:
    """What an engine says of itself.

    Attributes:
        version: server version.
        storage: storage driver, such as `overlay2`.
        containerd_store: whether images are kept in containerd's store.
        cores: CPU cores.
        memory: bytes.
        root: its data folder.
        system: distribution of its machine, such as `Debian GNU/Linux 12 (bookworm)`.
        kernel: release of its machine's kernel.
        identity: what no other engine has; empty where it does not say.
        name: of its machine; empty where it does not say.
    """

    version: str
    storage: str
    containerd_store: bool
    cores: int
    memory: int
    root: str
    system: str = ""
    kernel: str = ""
    identity: str = ""
    name: str = ""


def read_info(facts: Mapping[str, Any]) -> EngineInfo:
    """The facts of `docker info` of an engine that answers.

    Raises:
        KeyError: they are not.
    """
    status = dict(facts.get("DriverStatus") or [])
    return EngineInfo(
        version=facts["ServerVersion"],
        storage=facts["Driver"],
        containerd_store=str(status.get("driver-type", "")).startswith("io.containerd.snapshotter"),
        cores=facts["NCPU"],
        memory=facts["MemTotal"],
        root=facts["DockerRootDir"],
        system=facts.get("OperatingSystem") or "",
        kernel=facts.get("KernelVersion") or "",
        identity=facts.get("ID") or "",
        name=facts.get("Name") or "",
    )
