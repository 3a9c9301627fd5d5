"""The gates there are, cheap first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.errors import ExitCode
from builder.gates.correctness.gate import NAME as CORRECTNESS
from builder.gates.correctness.gate import judge_correctness
from builder.gates.gate import Gate, Scene, Subject
from builder.gates.performance import NAME as PERFORMANCE
from builder.gates.performance import judge_performance
from builder.gates.smoke.gate import NAME as SMOKE
from builder.gates.smoke.gate import judge_smoke
from builder.gates.soak.gate import NAME as SOAK
from builder.gates.soak.gate import judge_soak
from builder.gates.structure.gate import StructureGate
from builder.gates.verdict import Verdict
from builder.gates.version_gate import VersionGate


@dataclass
class SmokeGate:
    """Does it serve a profile, and where it should: on the GPU?"""

    profile: str
    name: str = SMOKE
    exit_code: ExitCode = ExitCode.SMOKE
    needs_machine: bool = True
    confirms: bool = False
    alone: bool = False

    def judge(self, subject: Subject, scene: Scene) -> Verdict:
        """Serve the profile in a container of its own."""
        return judge_smoke(subject, self.profile, scene)


@dataclass
class CorrectnessGate:
    """Does it compute what is right?"""

    profiles: tuple[str, ...]
    name: str = CORRECTNESS
    exit_code: ExitCode = ExitCode.CORRECTNESS
    needs_machine: bool = True
    confirms: bool = False
    alone: bool = False
    profile: str | None = None

    def judge(self, subject: Subject, scene: Scene) -> Verdict:
        """Serve all profiles and compare what they say with what is known."""
        return judge_correctness(subject, scene, self.profiles)


@dataclass
class PerformanceGate:
    """Is it slower than the adopted image?"""

    profile: str
    name: str = PERFORMANCE
    exit_code: ExitCode = ExitCode.PERFORMANCE
    needs_machine: bool = True
    confirms: bool = True
    alone: bool = True

    def judge(self, subject: Subject, scene: Scene) -> Verdict:
        """Measure it and the adopted image by turns while they serve the profile."""
        return judge_performance(subject, self.profile, scene)


@dataclass
class SoakGate:
    """Does it stand a load for as long as users need it?

    Attributes:
        place: a file or a folder for the record; None keeps it with those of earlier soaks.
    """

    profile: str
    place: Path | None = None
    name: str = SOAK
    exit_code: ExitCode = ExitCode.SOAK
    needs_machine: bool = True
    confirms: bool = False
    alone: bool = True

    def judge(self, subject: Subject, scene: Scene) -> Verdict:
        """Serve the profile under load for as long as the configuration says."""
        return judge_soak(subject, self.profile, scene, place=self.place)


NAMES = (VersionGate.name, StructureGate.name, SMOKE, CORRECTNESS, PERFORMANCE, SOAK)
"""Names of all gates in the order in which they are asked."""

EXIT_CODES: Mapping[str, ExitCode] = {
    VersionGate.name: VersionGate.exit_code,
    StructureGate.name: StructureGate.exit_code,
    SMOKE: SmokeGate.exit_code,
    CORRECTNESS: CorrectnessGate.exit_code,
    PERFORMANCE: PerformanceGate.exit_code,
    SOAK: SoakGate.exit_code,
}
"""Of a failure, by the gate's name."""


def gates_of(names: Sequence[str], profiles: Sequence[str]) -> tuple[Gate, ...]:
    """The gates of some names, those that serve a profile once for each.

    Without a name it is all but performance and soak, which take long.
    """
    smoke: list[Gate] = [SmokeGate(profile) for profile in profiles]
    every: list[Gate] = [VersionGate(), StructureGate(), *smoke, CorrectnessGate(tuple(profiles))]
    if PERFORMANCE in names:
        every += [PerformanceGate(profile) for profile in profiles]
    if SOAK in names:
        every += [SoakGate(profile) for profile in profiles]
    return tuple(gate for gate in every if not names or gate.name in names)
