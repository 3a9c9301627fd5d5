"""Upstream's own test programs, which were built with an image and are never in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from builder.gates.correctness.architectures import judge_architectures
from builder.gates.correctness.operations import judge_operations
from builder.gates.correctness.program import environment_of
from builder.gates.correctness.tests_image import find_programs
from builder.gates.finding import Finding
from builder.gates.gate import Scene
from builder.gates.serving.trial import Trial


def judge_by_upstream(trials: Mapping[str, Trial], scene: Scene) -> Iterator[Finding]:
    """Compare what serving computes with the CPU, in single operations and in whole models.

    Profiles that set the same variables are judged at once, others each by themselves.

    Args:
        trials: one for each profile of one image, by the profile's name; at least one.

    Raises:
        MachineError: no engine answers, or the disk is full.
    """
    programs = find_programs(next(iter(trials.values())).image, scene.engine)
    if isinstance(programs, Finding):
        yield programs
        return
    groups = alike(trials)
    for group in groups:
        together = [trials[name] for name in group]
        for judge in (judge_operations, judge_architectures):
            for finding in judge(programs, together, scene):
                yield finding if len(groups) == 1 else finding.of(", ".join(group))


def alike(trials: Mapping[str, Trial]) -> Sequence[Sequence[str]]:
    """Names of profiles that set the same variables for what is computed, those groups in their order."""
    groups: dict[frozenset[tuple[str, str]], list[str]] = {}
    for name, trial in trials.items():
        groups.setdefault(frozenset(environment_of(trial).items()), []).append(name)
    return tuple(groups.values())
