"""The structure gate on features, size, and images that are for other machines or users than they seem."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from builder.config import load
from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.gates.gate import Scene, Subject
from builder.gates.structure.gate import Demands, StructureGate, judge_structure
from builder.gates.structure.size import SizeLimit
from builder.gates.verdict import Check, Outcome
from builder.paths import Paths
from builder.plan.marks import FOLDER, OWN, RECORD
from builder.process import Runner
from tests.integration.gates.smoke_labs import judge as serve_and_judge
from tests.integration.gates.smoke_labs import scene_for
from tests.integration.gates.structure_labs import in_container, variation

ALL = ("cuda", "cuda-graphs", "f16", "flash-attention")


@pytest.fixture
def image(engine: Engine, cpu_image: str) -> Image:
    found = engine.image(cpu_image)
    assert found
    return found


def bad(engine: Engine, image: Image, demands: Demands | None = None) -> Mapping[str, Check]:
    """The checks that did not pass, by name."""
    verdict = judge_structure(image, engine, demands=demands or Demands())
    return {check.name: check for check in verdict.checks if check.outcome is not Outcome.PASS}


def size_of(engine: Engine, image: Image, limit: SizeLimit) -> Check:
    verdict = judge_structure(image, engine, demands=Demands(limit))
    return next(check for check in verdict.checks if check.name == "size")


def test_size_is_limited_where_that_is_asked_for(engine: Engine, image: Image) -> None:
    check = size_of(engine, image, SizeLimit(100_000_000))
    assert check.outcome is Outcome.FAIL
    assert "100.0 MB is the most that gates.size-limit allows" in check.detail
    assert len(check.excerpt) == 5


def test_an_image_that_grew_fails_by_the_share_that_it_grew(engine: Engine, image: Image, cpu_image: str) -> None:
    with variation(engine, cpu_image, "RUN head -c 80000000 /dev/zero > /opt/filler") as grown:
        limits = [SizeLimit.parse("", growth, image) for growth in ("50%", "99%", "")]
        checks = [size_of(engine, grown, limit) for limit in limits]
        back = size_of(engine, image, SizeLimit.parse("", "0%", grown))
    assert [check.outcome for check in checks] == [Outcome.FAIL, Outcome.PASS, Outcome.PASS]
    assert "61 % more than the adopted one (131.2 MB); 50 % more is the most" in checks[0].detail
    assert "/opt/filler" in checks[0].detail
    assert back.outcome is Outcome.PASS
    assert "38 % less than the adopted one" in back.detail


def test_an_image_of_another_kind_is_no_measure(engine: Engine, image: Image, cpu_image: str) -> None:
    with variation(engine, cpu_image, f"LABEL {OWN}architectures=90-real", root=False) as other:
        check = size_of(engine, image, SizeLimit.parse("", "0%", replace(other, size=1)))
    assert check.outcome is Outcome.PASS
    assert "adopted" not in check.detail


def test_the_gate_takes_its_demands_from_the_configuration(
    engine: Engine, runner: Runner, image: Image, tmp_path: Path
) -> None:
    config = load(None, {}, {"BUILDER_GATES_SIZE_LIMIT": "0.1GB", "BUILDER_IMAGE_REPOSITORY": "builder-test/none"})
    scene = Scene(engine, runner, Reporter(), Paths.default(), config, tmp_path)
    verdict = StructureGate().judge(Subject("candidate", image), scene)
    assert verdict.outcome is Outcome.FAIL
    assert "100.0 MB is the most" in verdict.reasons[0]
    assert verdict.subject == "candidate"


def test_a_feature_that_is_demanded_and_not_there_fails(engine: Engine, cuda_image: Image) -> None:
    assert bad(engine, cuda_image, Demands(features=ALL)) == {}
    with variation(engine, cuda_image.references[0], f"LABEL {OWN}features=cuda", root=False) as image:
        check = bad(engine, image, Demands(features=ALL))["features"]
    assert "The image has no cuda-graphs, f16, flash-attention, which build.features demands" in check.detail


@pytest.fixture
def graphs_off(engine: Engine, cuda_image: Image, tmp_path: Path) -> Iterator[Image]:
    """An image whose labels claim CUDA graphs, and whose record says that CMake was told OFF."""
    record = json.loads(in_container(engine, cuda_image.id, f"cat {RECORD}"))
    for one in record["plan"]["definitions"]:
        if one["name"] == "GGML_CUDA_GRAPHS":
            one["value"] = "OFF"
    record["proofs"] = [proof for proof in record["proofs"] if proof["subject"] != "cuda-graphs"]
    (tmp_path / "build.json").write_text(json.dumps(record))
    with variation(engine, cuda_image.references[0], f"COPY build.json {RECORD}", tmp_path) as image:
        yield image


def test_a_record_that_says_graphs_off_contradicts_the_labels(engine: Engine, graphs_off: Image) -> None:
    found = bad(engine, graphs_off)
    assert "but the build record gave CMake GGML_CUDA_GRAPHS=OFF" in found["features"].detail
    assert "nothing in the build record proves it" in found["features"].excerpt[1]
    assert "contradicts itself" in found["record"].detail


_OTHER = """
set -eu
cd /w
echo '__global__ void add(float *x) { x[threadIdx.x] += 1.0f; }' > kernel.cu
nvcc -shared -Xcompiler -fPIC -cudart shared -Xlinker '-rpath,$ORIGIN' \\
  -gencode=arch=compute_86,code=sm_86 -o libggml-cuda.so kernel.cu
chmod 755 libggml-cuda.so
"""


def test_a_cuda_library_for_another_architecture_and_without_graphs_is_found(
    engine: Engine, cuda_image: Image, cuda_devel: str, tmp_path: Path
) -> None:
    (tmp_path / "make.sh").write_text(_OTHER)
    in_container(engine, cuda_devel, "bash /w/make.sh", "--volume", f"{tmp_path}:/w", timeout=300)
    lines = f"COPY libggml-cuda.so {FOLDER}/libggml-cuda.so"
    with variation(engine, cuda_image.references[0], lines, tmp_path) as image:
        found = bad(engine, image)
    assert set(found) == {"machine-code", "features", "shipped"}
    assert "libggml-cuda.so holds code for sm_86 only; asked for was sm_90: " in found["machine-code"].detail
    assert "The labels name cuda-graphs, but libggml-cuda.so cannot launch any" in found["features"].detail


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("10001:0", "in the group root"),
        ("10001", "in the group root"),
        ("10001:nobodies", "not in the image's /etc/group"),
    ],
)
def test_a_group_that_is_roots_or_unknown_fails(engine: Engine, cpu_image: str, user: str, words: str) -> None:
    with variation(engine, cpu_image, f"USER {user}", root=False) as image:
        assert words in bad(engine, image)["user"].detail


def test_a_group_by_name_is_known(engine: Engine, cpu_image: str) -> None:
    with variation(engine, cpu_image, "USER 10001:users", root=False) as image:
        assert "user" not in bad(engine, image)


@pytest.fixture
def for_arm(engine: Engine, image: Image) -> Iterator[Image]:
    """The real image under the name of another platform."""
    container, name = f"builder-test-{uuid4().hex[:12]}", f"builder-test/arm:{uuid4().hex[:12]}"
    labels = [word for key, value in image.labels.items() for word in ("--change", f"LABEL {key}={json.dumps(value)}")]
    changes = ["--change", 'ENTRYPOINT ["llama-server"]', "--change", "USER 10001:10001", *labels]
    assert engine.ask("create", "--name", container, image.id, "/").returncode == 0
    try:
        exported = engine.ask("export", container, timeout=120).raw
    finally:
        engine.ask("rm", container)
    done = engine.ask("import", "--platform", "linux/arm64", *changes, "-", name, stdin=exported, timeout=120)
    assert done.returncode == 0, done.stderr
    found = engine.image(name)
    assert found
    yield found
    engine.ask("image", "rm", name)


def test_an_image_for_another_platform_holds_its_programs_and_is_served_there_alone(
    engine: Engine, runner: Runner, for_arm: Image, tmp_path: Path
) -> None:
    assert for_arm.architecture == "arm64"
    assert "The image is for 64-bit AArch64, but " in bad(engine, for_arm)["binaries"].detail
    verdict = serve_and_judge(for_arm, scene_for(engine, runner, tmp_path))
    assert verdict.outcome is Outcome.UNJUDGED
    assert verdict.reasons == ("It is for arm64, this machine is amd64. Judge it on its own.",)
