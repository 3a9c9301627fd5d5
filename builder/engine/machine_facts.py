"""The machine that a verdict was given on, as far as it may decide one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.engine.client import Engine
from builder.engine.gpu import Gpu

_PROCESSORS = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class MachineFacts:
    """A machine with its engine.

    Attributes:
        processor: its model; empty where the engine is on another machine, or the kernel does not name it.
        cores: that the engine may use.
        memory: bytes.
        system: distribution, such as `Debian GNU/Linux 12 (bookworm)`.
        kernel: release of the kernel.
        engine: version of Docker's engine.
        containerd_store: whether the engine keeps images in containerd's store, where an image's ID is its manifest's
            digest; in the classic store it is the configuration's.
        gpus: those that the verdict is about; empty where it needed none.
        name: what it calls itself; empty where its engine does not say.
    """

    processor: str
    cores: int
    memory: int
    system: str
    kernel: str
    engine: str
    containerd_store: bool
    gpus: tuple[Gpu, ...] = ()
    name: str = ""


def look_at_machine(engine: Engine) -> MachineFacts:
    """The engine's machine, without its GPUs.

    Raises:
        MachineError: no engine answers.
    """
    info = engine.info()
    return MachineFacts(
        processor=parse_processor(_PROCESSORS.read_text(encoding="utf-8")) if engine.is_local else "",
        cores=info.cores,
        memory=info.memory,
        system=info.system,
        kernel=info.kernel,
        engine=info.version,
        containerd_store=info.containerd_store,
        name=info.name,
    )


def parse_processor(text: str) -> str:
    """The first processor's model in the text of /proc/cpuinfo; empty where it names none, as on ARM."""
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip() == "model name":
            return value.strip()
    return ""
