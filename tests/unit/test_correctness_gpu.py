"""A GPU is compared with the CPU only where logs prove that each computed where it should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Lock

import pytest

from builder.config import load
from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.gates.correctness.asking import Answer, Responses, Stand, Vector
from builder.gates.correctness.gpu import ON_CPU, not_on_gpu, reference_of
from builder.gates.correctness.questions import Question
from builder.gates.finding import Finding
from builder.gates.gate import Scene
from builder.gates.serving.trial import Trial
from builder.gates.verdict import Outcome
from builder.paths import Paths
from builder.process import Runner
from builder.profiles import profile
from builder.server.help import Help, Option
from builder.server.log import LogFacts, facts_of
from builder.server.profile import ServedModel

GPU = facts_of(["load_tensors:        CUDA0 model buffer size =     1.50 MiB"])
CPU = facts_of(["load_tensors:   CPU_Mapped model buffer size =   900.00 MiB"])
KNOWN = Help({"--device": Option(("--device",), "DEVICES", "where to compute")})


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    image = Image("sha256:1", (), (), 1, {}, (), "", "amd64")
    trial = Trial(image, profile("embedding"), ServedModel(Path("none"), None), ("--gpus", "all"))
    runner = Runner()
    scene = Scene(Engine(runner), runner, Reporter(), Paths(tmp_path), load(environ={}), tmp_path)
    return Stand(trial, KNOWN, scene)


def responses(facts: LogFacts) -> Responses[Vector]:
    return Responses("as told", (Answer(Question("a", "1 character"), False, (0.6, 0.8)),), facts)


def test_the_same_image_without_its_gpu_is_the_reference(stand: Stand) -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []

    def again(other: Stand, label: str) -> Responses[Vector]:
        asked.append((label, other.trial.profile.extra_arguments))
        return responses(CPU)

    assert reference_of("own-model", stand, responses(GPU), again) == responses(CPU)
    assert asked == [(ON_CPU, ("--device", "none"))]


def test_gpus_side_by_side_take_turns_to_compute_on_the_cpu(stand: Stand) -> None:
    lock = stand.scene.cores
    assert isinstance(lock, type(Lock()))
    assert replace(stand.scene, gpu_options=("--gpus", "device=1")).cores is lock
    held: list[bool] = []

    def again(other: Stand, _: str) -> Responses[Vector]:
        held.append(other.scene.cores is lock and lock.locked())
        return responses(CPU)

    reference_of("own-model", stand, responses(GPU), again)
    assert held == [True]
    assert not lock.locked()


def test_a_server_that_computed_on_the_cpu_is_not_compared_with_it(stand: Stand) -> None:
    asked: list[str] = []

    def again(_: Stand, label: str) -> Responses[Vector]:
        asked.append(label)
        return responses(CPU)

    finding = reference_of("own-model", stand, responses(CPU), again)
    assert isinstance(finding, Finding)
    assert (finding.check.name, finding.check.outcome) == ("own-model", Outcome.FAIL)
    assert not asked


def test_a_reference_that_computed_on_the_gpu_is_none(stand: Stand) -> None:
    finding = reference_of("own-model", stand, responses(GPU), lambda _stand, _label: responses(GPU))
    assert isinstance(finding, Finding)
    assert finding.check.outcome is Outcome.UNJUDGED
    assert "Told to compute on the CPU, it computes on the GPU" in finding.check.detail


@pytest.mark.parametrize(
    ("line", "outcome", "told"),
    [
        ("load_tensors:   CPU_Mapped model buffer size =   900.00 MiB", Outcome.FAIL, "it computes on the CPU"),
        ("load_tensors:        CUDA0 model buffer size =     0.00 MiB", Outcome.UNJUDGED, "does not say where"),
        ("nothing of the kind", Outcome.UNJUDGED, "does not say where the weights are"),
    ],
)
def test_a_gpu_without_weights_on_it_proves_nothing(line: str, outcome: Outcome, told: str) -> None:
    finding = not_on_gpu("embeddings", facts_of([line]))
    assert finding
    assert (finding.check.name, finding.check.outcome) == ("embeddings", outcome)
    assert told in finding.check.detail


def test_weights_on_a_gpu_prove_that_it_computes() -> None:
    assert not_on_gpu("cpu", GPU) is None
