"""The gates on a GPU that is really there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from builder.engine.client import Engine
from builder.engine.gpu import Gpu, list_gpus
from builder.errors import ExitCode
from builder.process import Runner
from tests.integration.conftest import TREE, builder
from tests.integration.gates.structure_labs import variation

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="there is no NVIDIA driver here"),
]


@pytest.fixture(scope="module")
def gpu(runner: Runner) -> Gpu:
    """The first GPU of this machine."""
    listing = list_gpus(runner)
    if not listing.gpus:
        pytest.skip(f"the driver lists no GPU: {listing.complaint}")
    return listing.gpus[0]


@pytest.fixture(scope="module")
def cuda_image(gpu: Gpu) -> str:
    """A real image for this GPU: TEST_CUDA_IMAGE, else one that is built."""
    if image := os.environ.get("TEST_CUDA_IMAGE"):
        return image
    arch = gpu.compute_capability.replace(".", "")
    words = ("--cuda", "--arch", arch, "--origin", TREE, "--name", "builder-test/llama", "--json")
    done = builder("build", *words, timeout=7200)
    assert done.returncode == 0, done.stderr
    reference: str = json.loads(done.stdout)["image"]["references"][0]
    return reference


def judged(*words: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    done = builder(*words, "--json", timeout=900)
    return done, json.loads(done.stdout).get("verdicts", [])


def test_a_cuda_image_passes_all_gates_with_figures(cuda_image: str, gpu: Gpu) -> None:
    done, verdicts = judged("judge", cuda_image)
    assert done.returncode == ExitCode.DONE, done.stdout + done.stderr
    smoke = [verdict for verdict in verdicts if verdict["gate"] == "smoke"]
    assert len(smoke) > 1
    for verdict in smoke:
        assert [one["uuid"] for one in verdict["machine"]["gpus"]] == [gpu.uuid]
        assert verdict["measurements"]["gpu_memory_mib"] > 0
        assert verdict["measurements"]["weights_on_gpu_mib"] > 0


def test_smoke_takes_at_most_a_minute(cuda_image: str) -> None:
    done, verdicts = judged("smoke", cuda_image)
    assert done.returncode == ExitCode.DONE, done.stdout + done.stderr
    assert sum(verdict["seconds"] for verdict in verdicts) < 60


def test_each_gpu_of_the_machine_passes_side_by_side(cuda_image: str, runner: Runner) -> None:
    gpus = list_gpus(runner).gpus
    if len(gpus) < 2:
        pytest.skip("there is one GPU only")
    done, verdicts = judged("smoke", cuda_image, "--gpus", "all", "--profile", "chat")
    assert done.returncode == ExitCode.DONE, done.stdout + done.stderr
    assert [verdict["machine"]["gpus"][0]["uuid"] for verdict in verdicts] == [gpu.uuid for gpu in gpus]


def test_a_gpu_that_cuda_does_not_see_is_not_replaced_by_the_cpu(engine: Engine, cuda_image: str) -> None:
    with variation(engine, cuda_image, "ENV CUDA_VISIBLE_DEVICES=", root=False) as hidden:
        done, verdicts = judged("smoke", hidden.references[0], "--profile", "chat")
    assert done.returncode == ExitCode.SMOKE, done.stdout + done.stderr
    checks = {check["name"]: check["outcome"] for check in verdicts[0]["checks"]}
    assert checks["devices"] == "fail"


def test_an_image_without_its_cuda_library_fails(engine: Engine, cuda_image: str) -> None:
    with variation(engine, cuda_image, "RUN rm /opt/llama.cpp/libggml-cuda.so") as without:
        assert judged("judge", without.references[0])[0].returncode == ExitCode.STRUCTURE
        assert judged("smoke", without.references[0], "--profile", "chat")[0].returncode == ExitCode.SMOKE
