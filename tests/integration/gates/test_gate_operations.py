"""Upstream's own test programs on a real image, and on devices that compute wrongly in one way each.

A GPU is stood for by the CPU under another name, so that everything but the computation is as it is with one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from builder.config import load
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.engine.throwaway import RUN
from builder.gates.correctness.architectures import judge_architectures
from builder.gates.correctness.needed import Operations
from builder.gates.correctness.operations import bench_of, compare_operations, judge_operations
from builder.gates.correctness.tests_image import Programs, find_programs
from builder.gates.correctness.upstream import judge_by_upstream
from builder.gates.finding import Finding
from builder.gates.gate import Scene
from builder.gates.verdict import Outcome
from builder.image.bases import Choice
from builder.plan.marks import PLAN, TESTS
from builder.process import Runner
from tests.integration.gates.operations_labs import compile_library, programs_of, sabotaged, standin, trials_of
from tests.integration.gates.smoke_labs import scene_for
from tests.integration.gates.structure_labs import variation

Broken = Callable[..., AbstractContextManager[Programs]]
FEW = Operations(("SCALE", "NORM"), (), (), "type=f32")


@pytest.fixture(scope="module")
def image(engine: Engine, cpu_image: str) -> Image:
    found = engine.image(cpu_image)
    assert found
    return found


@pytest.fixture(scope="module")
def programs(engine: Engine, image: Image) -> Programs:
    return programs_of(engine, image)


@pytest.fixture(scope="module")
def broken(engine: Engine, programs: Programs, cpu_bases: Choice, tmp_path_factory: pytest.TempPathFactory) -> Broken:
    library = compile_library(engine, cpu_bases.bases.devel, tmp_path_factory.mktemp("sabotage"))
    return lambda **how: sabotaged(engine, programs, library, how)


@pytest.fixture
def scene(engine: Engine, runner: Runner, tmp_path: Path) -> Iterator[Scene]:
    yield scene_for(engine, runner, tmp_path)
    left = engine.ask("ps", "--all", "--quiet", "--filter", f"label={RUN}={tmp_path.name}").stdout
    assert not left, "a container is left"


@pytest.fixture
def compared(image: Image, scene: Scene) -> Callable[..., Finding]:
    """Compare few operations on what is called a GPU."""

    def run(programs: Programs, wanted: Operations = FEW, limit: int = 60) -> Finding:
        config = load(None, {"gates.operations-limit": limit})
        trials = trials_of(image, scene, config, on_gpu=True)
        return compare_operations(wanted, "CUDA0", bench_of(programs, trials, replace(scene, config=config)))

    return run


def whole_models(programs: Programs, image: Image, scene: Scene) -> Finding:
    (found,) = judge_architectures(programs, trials_of(image, scene, scene.config, on_gpu=True), scene)
    return found


def test_the_programs_of_an_image_are_found_and_proven(image: Image, programs: Programs) -> None:
    assert programs.names == {"test-backend-ops", "test-llama-archs"}
    assert programs.image.stands_on(image)
    assert TESTS not in image.labels


def test_an_image_without_tests_is_told_how_to_get_them(engine: Engine, cpu_image: str) -> None:
    with variation(engine, cpu_image, f"LABEL {PLAN}=sha256:nobodys", root=False) as image:
        found = find_programs(image, engine)
    assert isinstance(found, Finding)
    assert found.check.outcome is Outcome.UNJUDGED
    assert "`builder build` with the same inputs makes it" in found.check.detail


def test_the_tests_of_another_build_are_refused(engine: Engine, cpu_image: str, cpu_bases: Choice) -> None:
    plan = f"LABEL {PLAN}=sha256:shared"
    with (
        variation(engine, cpu_image, plan, root=False) as image,
        variation(engine, cpu_bases.bases.runtime, f"{plan} {TESTS}=test-backend-ops", root=False) as other,
    ):
        found = find_programs(image, engine)
    assert isinstance(found, Finding)
    assert found.check.outcome is Outcome.UNJUDGED
    assert found.check.detail.startswith(f"{other.references[0]} says that it holds the tests of this image, but of")


def test_the_cpu_is_compared_with_its_plain_way_of_computing(image: Image, scene: Scene) -> None:
    trials = trials_of(image, scene, scene.config, on_gpu=False)
    (found,) = judge_by_upstream({trial.profile.kind: trial for trial in trials}, scene)
    assert found.check.outcome is Outcome.PASS, found
    assert found.check.name == "operations"
    assert "on CPU (" in found.check.detail
    assert int(str(found.measurements["operation_cases"])) > 400
    assert any(line.startswith("FLASH_ATTN_EXT: ") for line in found.check.excerpt)
    (log,) = scene.logs.glob("operations-flash_attn_ext-*.log")
    assert "tests passed" in log.read_text(encoding="utf-8")


def test_a_gpu_is_compared_in_all_that_serving_uses(image: Image, scene: Scene, broken: Broken) -> None:
    with broken(ALIAS="CUDA0") as programs:
        trials = trials_of(image, scene, load(None, {"gates.operations-limit": 600}), on_gpu=True)
        scene = replace(scene, config=load(None, {"gates.operations-limit": 600}))
        (found,) = judge_operations(programs, trials, scene)
    assert found.check.outcome is Outcome.PASS, found
    tried = {line.partition(":")[0] for line in found.check.excerpt}
    assert {"MUL_MAT", "FLASH_ATTN_EXT", "ROPE", "RMS_NORM", "NORM", "SET_ROWS", "SWIGLU", "CPY"} <= tried
    assert {"RMS_NORM_MUL_ADD", "MUL_MAT_VEC_FUSION"} <= tried
    assert int(str(found.measurements["operation_cases"])) > 2000
    assert int(str(found.measurements["operation_cases_not_supported"])) > 0


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("WRONG", "cases of SCALE do not come out on CUDA0 as they should."),
        ("NAN", "cases of SCALE do not come out on CUDA0 as they should."),
        ("REFUSED", "cases of SCALE: a server computes it on the CPU."),
        ("ABORTED", "crashed (status 139"),
    ],
)
def test_one_operation_that_is_broken_fails(
    compared: Callable[..., Finding], broken: Broken, how: str, said: str
) -> None:
    with broken(ALIAS="CUDA0", **{how: "SCALE"}) as programs:
        found = compared(programs)
    assert found.check.outcome is Outcome.FAIL
    assert said in found.check.detail
    if how != "ABORTED":
        assert found.measurements["operations"] == 1, "the other one is right"
        assert all("SCALE(type=f32" in line for line in found.check.excerpt)


def test_the_same_operations_pass_on_a_device_that_is_right(compared: Callable[..., Finding], broken: Broken) -> None:
    with broken(ALIAS="CUDA0") as programs:
        found = compared(programs)
    assert found.check.outcome is Outcome.PASS, found
    assert found.measurements["operations"] == 2


def test_a_program_that_ends_with_0_and_has_no_gpu_fails(compared: Callable[..., Finding], programs: Programs) -> None:
    found = compared(programs)
    assert found.check.outcome is Outcome.FAIL
    assert found.check.detail == "It names no backend CUDA0; those that it names: CPU."


def test_an_operation_that_the_program_does_not_know_is_not_judged(
    compared: Callable[..., Finding], broken: Broken
) -> None:
    with broken(ALIAS="CUDA0") as programs:
        found = compared(programs, Operations(("SCALE", "FRY_EGGS"), (), (), ""))
    assert found.check.outcome is Outcome.UNJUDGED
    assert found.check.detail.startswith("FRY_EGGS: the program ran no case of it")


def test_time_that_is_up_ends_it_and_is_said(compared: Callable[..., Finding], broken: Broken) -> None:
    with broken(ALIAS="CUDA0", SLOW="MUL_MAT") as programs:
        found = compared(programs, Operations(("SCALE", "MUL_MAT"), (), (), "type"), 12)
    assert found.check.outcome is Outcome.PASS, found
    assert found.check.detail.endswith("Time was up in the midst of MUL_MAT.")
    assert float(str(found.measurements["operation_seconds"])) < 25


def test_a_program_that_takes_one_operation_at_a_time_is_asked_for_each(
    engine: Engine, compared: Callable[..., Finding], programs: Programs, tmp_path: Path
) -> None:
    script = """[ "$1" = test ] || { echo 'Usage: test-backend-ops [mode] [-o op] [-b backend]'; exit 1; }
    [ $# = 5 ] || exit 1
    printf 'Testing 2 backends\\n\\nBackend 1/2 (CPU)\\n  Skipping\\nBackend 2/2 (CUDA0)\\n  Backend name: CUDA0\\n'
    printf '  %s(type=f32): OK\\n  1423/1423 tests passed\\n  Backend CUDA0: OK\\n\\n2/2 backends passed\\nOK\\n' "$3"
    """
    with standin(engine, programs, tmp_path, script) as old:
        found = compared(old)
    assert found.check.outcome is Outcome.PASS, found
    assert found.check.excerpt == ("SCALE: 1 passed", "NORM: 1 passed")


def test_a_cpu_that_could_only_be_compared_with_itself_is_left_out(
    engine: Engine, image: Image, scene: Scene, programs: Programs, tmp_path: Path
) -> None:
    with standin(engine, programs, tmp_path, "exit 0") as old:
        found = list(judge_operations(old, trials_of(image, scene, scene.config, on_gpu=False), scene))
    assert found == []


def test_a_program_that_does_not_start_fails(
    engine: Engine, compared: Callable[..., Finding], programs: Programs, tmp_path: Path
) -> None:
    with standin(
        engine, programs, tmp_path, "echo 'libcudart.so.13: cannot open shared object file' >&2; exit 127"
    ) as bad:
        found = compared(bad)
    assert found.check.outcome is Outcome.FAIL
    assert "for want of a program or a library (status 127)" in found.check.detail
    assert found.check.excerpt == ("libcudart.so.13: cannot open shared object file",)


def test_whole_models_that_come_out_slightly_otherwise_pass(image: Image, scene: Scene, broken: Broken) -> None:
    with broken(ALIAS="CUDA0", FACTOR="1.001") as programs:
        found = whole_models(programs, image, scene)
    assert found.check.outcome is Outcome.PASS, found
    assert "models of llama come out on" in found.check.detail
    assert "The program can make no bert." in found.check.detail


@pytest.mark.parametrize("factor", ["3", "nan"])
def test_whole_models_that_come_out_wrong_fail(image: Image, scene: Scene, broken: Broken, factor: str) -> None:
    with broken(ALIAS="CUDA0", FACTOR=factor) as programs:
        found = whole_models(programs, image, scene)
    assert found.check.outcome is Outcome.FAIL
    assert "models of llama do not come out as on the CPU." in found.check.detail


def test_whole_models_on_the_cpu_only_are_no_proof(image: Image, scene: Scene, broken: Broken) -> None:
    with broken(ALIAS="CUDA0") as programs:
        found = whole_models(programs, image, scene)
    assert found.check.outcome is Outcome.FAIL
    assert found.check.detail == "A model of llama was computed on the CPU only, which was compared with itself."


def test_whole_models_without_a_gpu_fail(image: Image, scene: Scene, programs: Programs) -> None:
    found = whole_models(programs, image, scene)
    assert found.check.outcome is Outcome.FAIL
    assert found.check.detail.endswith("unknown backend device: CUDA0")


def test_a_llama_cpp_without_the_program_is_no_failure(
    image: Image, scene: Scene, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    without = Programs(programs.image, frozenset({"test-backend-ops"}))
    assert list(judge_architectures(without, trials_of(image, scene, scene.config, on_gpu=True), scene)) == []
    assert "has no test-llama-archs" in " ".join(capsys.readouterr().err.split())
