"""What a gate is: one question about an image, asked on one machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Protocol

from builder.config import Config
from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.gpu import Gpu
from builder.engine.images import Image
from builder.engine.machine_facts import MachineFacts
from builder.errors import ExitCode
from builder.gates.verdict import Verdict
from builder.paths import Paths
from builder.process import Runner


@dataclass(frozen=True)
class Subject:
    """What is judged.

    Attributes:
        name: in the words it was asked for.
    """

    name: str
    image: Image


@dataclass(frozen=True)
class Scene:
    """What gates work with.

    Attributes:
        logs: folder of this run's logs; its name is the run's.
        gpu_options: options of `docker run` that were proven to give a container the GPU it is judged on; empty where
            there is none.
        machine: where it is judged, with that GPU; None where nobody looked.
        cores: held by what computes on the CPU with all that it has; the same for all GPUs that are judged on side by
            side. Time limits begin once it is held.
    """

    engine: Engine
    runner: Runner
    reporter: Reporter
    paths: Paths
    config: Config
    logs: Path
    gpu_options: tuple[str, ...] = ()
    machine: MachineFacts | None = None
    cores: AbstractContextManager[object] = field(default_factory=Lock, repr=False, compare=False)

    @property
    def gpu(self) -> Gpu | None:
        """The GPU that is judged on."""
        return next(iter(self.machine.gpus), None) if self.machine else None

    @property
    def run_id(self) -> str:
        """What this run's containers are labelled with."""
        return self.logs.name


class Gate(Protocol):
    """One question.

    Attributes:
        name: such as `structure`; on the command line too.
        exit_code: of a failure.
        needs_machine: whether the machine may be at fault for a failure, so that it has to be confirmed.
        confirms: whether it confirms a failure itself, beside the adopted image.
        alone: whether what runs on other GPUs of the machine would change its answer, so that nothing may.
    """

    name: str
    exit_code: ExitCode
    needs_machine: bool
    confirms: bool
    alone: bool

    @property
    def profile(self) -> str | None:
        """The one that it serves; None where it serves none, or several."""
        ...

    def judge(self, subject: Subject, scene: Scene) -> Verdict:
        """Look and say.

        Raises:
            MachineError: no engine answers, or the disk is full.
        """
