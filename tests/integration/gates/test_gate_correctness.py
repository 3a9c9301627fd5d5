"""The correctness gate on real images, and on ones whose CPU backend computes one operation wrongly."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.engine.throwaway import SANDBOX
from builder.errors import ExitCode
from builder.gates.correctness.asking import Stand
from builder.gates.correctness.embeddings import judge_embeddings
from builder.gates.serving.trial import Trial
from builder.gates.verdict import Outcome
from builder.image.bases import Choice
from builder.paths import Paths
from builder.process import Runner
from builder.profiles import Pooling, profile
from builder.server.help import parse_help
from builder.server.models.make import make_model
from builder.server.models.shape import ModelKind, Shape
from builder.server.profile import ServedModel
from tests.integration.conftest import builder
from tests.integration.gates.correctness_labs import MISCALCULATION, judge, scene_for
from tests.integration.gates.smoke_labs import compile_sabotage, details, failures, sabotaged
from tests.integration.gates.structure_labs import variation
from tests.integration.test_models import ERAS

Broken = Callable[..., AbstractContextManager[Image]]


@pytest.fixture(scope="module")
def image(engine: Engine, cpu_image: str) -> Image:
    found = engine.image(cpu_image)
    assert found
    return found


@pytest.fixture(scope="module")
def broken(engine: Engine, cpu_image: str, cpu_bases: Choice, tmp_path_factory: pytest.TempPathFactory) -> Broken:
    folder = tmp_path_factory.mktemp("miscalculation")
    library = compile_sabotage(engine, cpu_bases.bases.devel, folder, MISCALCULATION)
    return lambda **how: sabotaged(engine, cpu_image, library, how)


def test_a_real_image_passes_with_both_profiles(engine: Engine, runner: Runner, image: Image, tmp_path: Path) -> None:
    verdict = judge(image, scene_for(engine, runner, tmp_path), "chat", "embedding")
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert list(details(verdict))[:3] == ["reference", "caches", "embeddings"]
    measured = {name: value for name, value in verdict.measurements.items() if name != "profiles"}
    figures = {name: float(str(value)) for name, value in measured.items()}
    assert 0 < figures["reference_with_f16_caches_mean"] < 0.006
    assert 0.006 < figures["reference_as_the_profile_says_mean"] < 0.05
    assert 0 < figures["embeddings_cosine_off"] < 1e-6
    assert len([log for log in verdict.logs if "correctness-" in log]) >= 3
    assert "load_tensors" in Path(verdict.logs[0]).read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize("era", ERAS)
def test_real_images_of_other_eras_pass(engine: Engine, runner: Runner, tmp_path: Path, era: str) -> None:
    origin = f"pypi:llama-cpp-python=={era}"
    done = builder("build", "--cpu", "--origin", origin, "--name", "builder-test/era", "--json", timeout=3300)
    found = engine.image(json.loads(done.stdout)["image"]["references"][0])
    assert found
    verdict = judge(found, scene_for(engine, runner, tmp_path), "chat", "embedding")
    assert verdict.outcome is Outcome.PASS, verdict.reasons


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"OTHER_ROW": 1}, r"10 tokens, asked alone: token 1 is '.+' \(-\d.+\) where '.+' \(-0.+\) is right"),
        ({"RUBBISH": 1}, r"the probabilities of token 1 are no numbers"),
        ({"ROPE_PAIRS": 1}, r"10 tokens, asked alone: the words are right, but .* so something basic is"),
        ({"ROPE_BASE": 5}, r"the words are right, but logarithms of probabilities are off by"),
        ({"EPSILON": 1}, r"10 tokens, asked alone: the words are right, but .* so something basic is"),
        ({"SCALE": 2}, r"the words are right, but"),
        ({"OVERLOOK": 256}, r"2020 tokens, asked alone: .* Prompts of 300 tokens and less are right, those of 2020"),
        ({"SCALE_LONG": 5}, r"2020 tokens, asked alone: the words are right, but"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, dict) else "",
)
def test_a_backend_that_computes_something_else_is_caught(
    engine: Engine, runner: Runner, broken: Broken, tmp_path: Path, how: dict[str, int], told: str
) -> None:
    with broken(**how) as image:
        verdict = judge(image, scene_for(engine, runner, tmp_path))
    assert verdict.outcome is Outcome.FAIL, verdict.reasons
    assert failures(verdict)[0] == "reference", verdict.reasons
    assert re.search(rf"Started with f16 caches, after a prompt of .*{told}", verdict.reasons[0]), verdict.reasons[0]
    (check,) = [check for check in verdict.checks if check.name == "reference"]
    assert how.keys() == {"RUBBISH"} or re.match(r"token \d+: '.+' has -\d+\.\d+, expected -\d", check.excerpt[0])


def test_what_is_wrong_with_several_users_only_is_caught(
    engine: Engine, runner: Runner, broken: Broken, tmp_path: Path
) -> None:
    with broken(SCALE_MANY=10) as image:
        verdict = judge(image, scene_for(engine, runner, tmp_path))
    assert failures(verdict)[0] == "reference", verdict.reasons
    assert "asked together with others: " in verdict.reasons[0]
    assert "Whatever was asked alone is right." in verdict.reasons[0]


def test_what_is_wrong_with_quantised_caches_only_is_caught(
    engine: Engine, runner: Runner, broken: Broken, tmp_path: Path
) -> None:
    with broken(SCALE_Q8=20) as image:
        verdict = judge(image, scene_for(engine, runner, tmp_path))
    assert failures(verdict)[:2] == ["reference", "caches"]
    assert verdict.reasons[0].startswith("Started as the profile says, after a prompt of 10 tokens")
    assert "None of those started as the profile says is right." in verdict.reasons[0]
    assert float(str(verdict.measurements["reference_with_f16_caches_mean"])) < 0.006


@pytest.mark.parametrize("how", [{"OTHER_ROW": 1}, {"EPSILON": 1}, {"SCALE": 5}], ids="_".join)
def test_vectors_that_are_others_are_caught(
    engine: Engine, runner: Runner, broken: Broken, tmp_path: Path, how: dict[str, int]
) -> None:
    with broken(**how) as image:
        verdict = judge(image, scene_for(engine, runner, tmp_path), "embedding")
    assert failures(verdict)[0] == "embeddings"
    assert re.match(
        r"The vector of a text of 5 tokens, asked for alone, is another one: 1 - cosine is \d.*; 2e-05 and 0\.003 may "
        r"be\. 8 of 8 vectors are wrong\.",
        verdict.reasons[0],
    )


def test_another_pooling_is_named(engine: Engine, runner: Runner, image: Image, tmp_path: Path) -> None:
    scene = scene_for(engine, runner, tmp_path, {"embedding": {"extra-arguments": ["--pooling", "cls"]}})
    verdict = judge(image, scene, "embedding")
    assert failures(verdict) == ["embeddings"]
    assert verdict.reasons[0].endswith("It is the one that pooling = cls gives; the profile asks for mean.")


@pytest.mark.parametrize(
    ("kind", "pooling"), [(ModelKind.NOMIC_BERT, ""), (ModelKind.NOMIC_BERT, "last"), (ModelKind.BERT, "cls")]
)
def test_vectors_of_each_architecture_and_pooling_are_those_of_numpy(
    engine: Engine, runner: Runner, image: Image, tmp_path: Path, kind: ModelKind, pooling: Pooling
) -> None:
    made = make_model(kind, Paths.default().models)
    done = engine.run_once(image.id, ["--help"], options=SANDBOX, timeout=60)
    known = parse_help(done.stdout + done.stderr)
    trial = Trial(image, profile("embedding", pooling=pooling), ServedModel(made.path, made), ())
    (finding,) = judge_embeddings(Stand(trial, known, scene_for(engine, runner, tmp_path)))
    assert finding.check.outcome is Outcome.PASS, finding.check.detail


@pytest.mark.parametrize(
    "values",
    [
        {"slots": 1, "context": 1024, "cache-type-k": "q4_0", "cache-type-v": "q4_0"},
        {"slots": 9, "context": 9 * 512, "batch": 32, "ubatch": 32, "cache-type-k": "f16", "cache-type-v": "f16"},
        {"flash-attention": False, "cache-type-v": "f16", "continuous-batching": False},
    ],
    ids=["q4_0", "nine slots", "no flash attention"],
)
def test_other_profiles_pass(
    engine: Engine, runner: Runner, image: Image, tmp_path: Path, values: dict[str, object]
) -> None:
    verdict = judge(image, scene_for(engine, runner, tmp_path, {"mine": {"kind": "chat", **values}}), "mine")
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert "reference (mine)" in details(verdict)
    assert ("caches (mine)" in details(verdict)) == (values.get("cache-type-k") != "f16")


def test_a_users_own_model_is_not_taken_for_judged(
    engine: Engine, runner: Runner, image: Image, tmp_path: Path
) -> None:
    own = str(make_model(ModelKind.LLAMA, tmp_path, Shape(layers=1)).path)
    words = ["--override-kv", "llama.rope.freq_base=float:500"]
    scene = scene_for(engine, runner, tmp_path, {"chat": {"model": own, "extra-arguments": words}})
    verdict = judge(image, scene)
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert "A made model was served here, for nothing foretells" in details(verdict)["reference"]


def test_a_cuda_image_that_computes_on_the_cpu_fails_though_its_answers_are_right(
    engine: Engine, runner: Runner, cpu_image: str, tmp_path: Path
) -> None:
    with variation(engine, cpu_image, "LABEL local.builder.variant=cuda", root=False) as image:
        verdict = judge(image, scene_for(engine, runner, tmp_path), gpu_options=("--env", "A_GPU=given"))
        unjudged = judge(image, scene_for(engine, runner, tmp_path))
    assert verdict.outcome is Outcome.FAIL, verdict.reasons
    assert failures(verdict)[:2] == ["graphs", "cpu"]
    assert details(verdict)["reference"].startswith("It computes what numpy does")
    assert "No CUDA graph was used" in details(verdict)["graphs"]
    assert "its log tells of no weights on it: it computes on the CPU" in details(verdict)["cpu"]
    assert unjudged.outcome is Outcome.UNJUDGED
    assert list(details(unjudged)) == ["devices"]


def test_an_image_for_another_machine_is_not_judged(
    engine: Engine, runner: Runner, image: Image, tmp_path: Path
) -> None:
    verdict = judge(replace(image, architecture="s390x"), scene_for(engine, runner, tmp_path))
    assert verdict.outcome is Outcome.UNJUDGED
    assert verdict.reasons == (f"It is for s390x, this machine is {image.architecture}. Judge it on its own.",)


def test_a_server_that_does_not_start_is_told_once(
    engine: Engine, runner: Runner, image: Image, tmp_path: Path
) -> None:
    scene = scene_for(engine, runner, tmp_path, {"chat": {"extra-arguments": ["--no-such-word"]}})
    verdict = judge(image, scene)
    assert verdict.outcome is Outcome.FAIL, verdict.reasons
    assert failures(verdict) == ["start"]
    assert "Started as the profile says: The server gave up with an error of its own" in verdict.reasons[0]


def test_a_wrong_image_ends_with_the_gates_own_status(broken: Broken) -> None:
    with broken(ROPE_PAIRS=1) as image:
        reference = next(iter(image.references))
        done = builder("judge", "--gate", "correctness", "--profile", "chat", "--json", reference)
    assert done.returncode == ExitCode.CORRECTNESS, done.stderr
    (verdict,) = json.loads(done.stdout)["verdicts"]
    assert verdict["outcome"] == "fail"
    assert "the words are right, but" in verdict["reasons"][0]
