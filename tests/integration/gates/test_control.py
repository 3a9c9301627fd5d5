"""What a failure is worth: real servers, once more, and then the adopted one on the same machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.gates.catalogue import gates_of
from builder.gates.gate import Scene, Subject
from builder.gates.verdict import Outcome, Verdict
from builder.image.bases import Choice
from builder.judging import judge_image
from builder.paths import Paths
from builder.plan.marks import OWN
from builder.process import Runner
from builder.server.models.make import make_model
from builder.server.models.shape import ModelKind
from tests.integration.gates.smoke_labs import compile_sabotage, sabotaged, scene_for
from tests.integration.gates.structure_labs import variation

_CRASHING = {"ABORT_AT": 5}
_ADOPTED = "adopted:latest"


class Listener(Reporter):
    """Keeps what is said, and does something when it hears a word."""

    def __init__(self, word: str = "", act: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.heard: list[str] = []
        self._word, self._act = word, act

    def notice(self, text: str) -> None:
        self.heard.append(text)
        if self._word and self._word in text:
            self._act()


@pytest.fixture
def scene(engine: Engine, runner: Runner, tmp_path: Path) -> Scene:
    return replace(scene_for(engine, runner, tmp_path), reporter=Listener())


@pytest.fixture(scope="module")
def image(engine: Engine, cpu_image: str) -> Image:
    found = engine.image(cpu_image)
    assert found
    return found


@pytest.fixture(scope="module")
def crashing(
    engine: Engine, cpu_image: str, cpu_bases: Choice, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Image]:
    """An image whose server crashes at its fifth answer."""
    library = compile_sabotage(engine, cpu_bases.bases.devel, tmp_path_factory.mktemp("sabotage"))
    with sabotaged(engine, cpu_image, library, _CRASHING) as broken:
        yield broken


@pytest.fixture
def half_a_model(tmp_path: Path) -> Path:
    """A model that only half arrived on the machine."""
    whole = make_model(ModelKind.LLAMA, Paths.default().models).path.read_bytes()
    part = tmp_path / "part.gguf"
    part.write_bytes(whole[: len(whole) // 2])
    part.chmod(0o644)
    return part


def judged(image: Image, scene: Scene, control: Image | None) -> Verdict:
    (verdict,) = judge_image(
        Subject("candidate", image),
        gates_of(["smoke"], ["chat"]),
        scene,
        Subject(_ADOPTED, control) if control else None,
    )
    return verdict


def heard(scene: Scene) -> str:
    assert isinstance(scene.reporter, Listener)
    return " ".join(scene.reporter.heard)


def test_a_failure_that_does_not_come_again_is_not_judged(
    engine: Engine, runner: Runner, tmp_path: Path, image: Image, half_a_model: Path
) -> None:
    def arrive() -> None:
        half_a_model.write_bytes(make_model(ModelKind.LLAMA, Paths.default().models).path.read_bytes())

    listener = Listener("Trying once more", arrive)
    scene = replace(scene_for(engine, runner, tmp_path, {"model": str(half_a_model)}), reporter=listener)
    verdict = judged(image, scene, image)
    assert verdict.outcome is Outcome.UNJUDGED
    assert verdict.reasons[0] == "It failed once and then did not (pass)."
    assert "gave up with an error of its own (status 1)" in verdict.reasons[1]
    assert "adopted" not in " ".join(listener.heard)


def test_an_image_that_fails_where_the_adopted_one_passes_is_at_fault(
    scene: Scene, image: Image, crashing: Image
) -> None:
    verdict = judged(crashing, scene, image)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0].startswith("The server crashed")
    assert verdict.reasons[-1] == f"It failed twice, and {_ADOPTED} passes on this machine."
    assert verdict.digest == crashing.id
    assert "failed twice" in heard(scene)


def test_where_the_adopted_image_fails_too_the_machine_is_at_fault(
    engine: Engine, runner: Runner, tmp_path: Path, image: Image, crashing: Image, half_a_model: Path
) -> None:
    scene = scene_for(engine, runner, tmp_path, {"model": str(half_a_model)})
    verdict = judged(crashing, replace(scene, reporter=Listener()), image)
    assert verdict.outcome is Outcome.UNJUDGED
    assert verdict.reasons[0].startswith(f"{_ADOPTED}, which is adopted, does not pass here either: the machine is at")


def test_without_an_adopted_image_two_failures_are_a_failure(scene: Scene, crashing: Image) -> None:
    for control in (None, crashing):
        verdict = judged(crashing, scene, control)
        assert verdict.outcome is Outcome.FAIL
        assert "there is no other adopted image to compare" in verdict.reasons[-1]
    assert _ADOPTED not in heard(scene)


def test_an_adopted_image_of_the_other_variant_says_nothing_of_the_gpu(
    engine: Engine, cpu_image: str, scene: Scene, image: Image
) -> None:
    fast = replace(scene, gpu_options=("--env", "A_GPU=given"))
    with variation(engine, cpu_image, f"LABEL {OWN}variant=cuda", root=False) as on_cpu:
        verdict = judged(on_cpu, fast, image)
    assert verdict.outcome is Outcome.FAIL
    assert "names no CUDA device" in verdict.reasons[0]
    assert verdict.reasons[-1] == (
        f"It failed twice; {_ADOPTED}, which is adopted, is of the variant cpu and tells nothing of this one."
    )
    assert "Trying adopted" not in heard(scene)


def test_an_adopted_image_that_cannot_be_judged_is_no_excuse_for_what_it_passes(
    engine: Engine, cpu_image: str, scene: Scene, crashing: Image
) -> None:
    lines = f"LABEL {OWN}build-number= {OWN}commit="
    with variation(engine, cpu_image, lines, root=False) as adopted:
        verdict = judged(crashing, scene, adopted)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0].startswith("The server crashed")
    assert verdict.reasons[-1].startswith(f"It failed twice, and {_ADOPTED} passes ")
    assert "on this machine; it cannot be judged by " in verdict.reasons[-1]
