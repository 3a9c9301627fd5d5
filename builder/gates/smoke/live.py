"""What the checks of a server that answers work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builder.gates.finding import Finding
from builder.gates.serving.trial import Trial
from builder.gates.smoke.pace import Pace
from builder.profiles import Profile
from builder.server.client import Client
from builder.server.running import RunningServer


@dataclass(frozen=True)
class Live:
    """A trial whose server answers.

    Attributes:
        log: file that gets all the server says.
        pace: how fast it answers.
    """

    trial: Trial
    server: RunningServer
    client: Client
    log: Path
    pace: Pace

    @property
    def profile(self) -> Profile:
        """What is served."""
        return self.trial.profile


Look = Callable[[Live], Finding]
"""One check of a server that answers; it raises Deviation where an answer is not what it should be."""
