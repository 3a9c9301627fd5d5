"""What measuring works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builder.config import Config
from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.gpu import Gpu
from builder.paths import Paths
from builder.process import Runner

_SHARE = 0.9
"""Of the machine's memory, what a container may have whose profile sets no limit."""


@dataclass(frozen=True)
class Moment:
    """What is being measured now.

    Attributes:
        subject: its name.
        round: from 1; 0 is the first look, which counts for nothing.
        step: such as `start`, `2k` or `llama-bench`.
    """

    subject: str
    round: int
    step: str


@dataclass(frozen=True)
class Tools:
    """What measuring works with.

    Attributes:
        logs: folder of this run's logs; its name is the run's.
        gpu: what is measured on; None on the processor.
        gpu_options: options of `docker run` that were proven to give a container that GPU.
        told: hears of each step of a run when it begins.
    """

    engine: Engine
    runner: Runner
    reporter: Reporter
    paths: Paths
    config: Config
    logs: Path
    gpu: Gpu | None = None
    gpu_options: tuple[str, ...] = ()
    told: Callable[[Moment], None] = lambda _: None

    @property
    def run_id(self) -> str:
        """What this run's containers are labelled with."""
        return self.logs.name

    def memory(self, limit: str) -> str:
        """What a container may have: the profile's limit, else most of this machine's memory.

        Raises:
            MachineError: no engine answers.
        """
        return limit or f"{int(self.engine.info().memory * _SHARE) >> 20}m"
