"""The smoke gate on a real image, and on ones that are broken in one way each."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.errors import MachineError
from builder.gates.verdict import Outcome, Verdict
from builder.image.bases import Choice
from builder.paths import Paths
from builder.process import Runner
from builder.server.models.make import make_model
from builder.server.models.shape import ModelKind
from builder.server.running import RunningServer
from tests.integration.gates.smoke_labs import compile_sabotage, details, failures, judge, sabotaged, scene_for
from tests.integration.gates.structure_labs import variation


@pytest.fixture
def judged(engine: Engine, runner: Runner, tmp_path: Path) -> Callable[..., Verdict]:
    """Judge an image with a chat profile that says something otherwise."""

    def run(image: Image, changed: Mapping[str, object] | None = None, **options: object) -> Verdict:
        scene = scene_for(engine, runner, tmp_path, changed)
        return judge(image, scene, **options)  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="module")
def image(engine: Engine, cpu_image: str) -> Image:
    found = engine.image(cpu_image)
    assert found
    return found


@pytest.fixture(scope="module")
def broken(
    engine: Engine, cpu_image: str, cpu_bases: Choice, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[Image]]:
    library = compile_sabotage(engine, cpu_bases.bases.devel, tmp_path_factory.mktemp("sabotage"))
    return lambda **how: sabotaged(engine, cpu_image, library, how)


def test_a_real_image_passes_with_both_profiles_in_time(
    engine: Engine, runner: Runner, image: Image, tmp_path: Path
) -> None:
    started = monotonic()
    scene = scene_for(engine, runner, tmp_path)
    verdicts = [judge(image, scene, name) for name in ("chat", "embedding")]
    assert [verdict.outcome for verdict in verdicts] == [Outcome.PASS] * 2, [verdict.reasons for verdict in verdicts]
    assert monotonic() - started < 180
    chat, embedding = verdicts
    shared = ["start", "properties", "tokenize", "slots", "metrics", "users", "memory", "stop", "computes-on", "log"]
    assert [check.name for check in chat.checks if check.name in shared] == shared
    assert {"completion", "chat", "streaming"} <= details(chat).keys()
    assert "embeddings" in details(embedding)
    assert embedding.measurements["dimension"] == 256
    counted = (chat.measurements["answered"], chat.measurements["hung_up"])
    assert counted in [(7 * rounds, 3 * rounds) for rounds in (1, 2, 3)], "a slow machine takes fewer rounds"
    log = Path(chat.logs[0]).read_text(encoding="utf-8", errors="replace")
    assert "load_tensors" in log
    assert "cleaning up before exit" in log, "the log is whole"
    assert ours(engine, image.id, tmp_path.name) == []


def test_a_crash_in_the_middle_is_told_with_its_request_and_status(
    judged: Callable[..., Verdict], broken: Callable[..., AbstractContextManager[Image]]
) -> None:
    with broken(ABORT_AT=50) as image:
        verdict = judged(image)
    assert verdict.outcome is Outcome.FAIL
    said = re.match(r"The server crashed \(status 139: .* abort, .*\) after (\d+) requests\.", verdict.reasons[0])
    assert said, verdict.reasons
    assert 20 <= int(said[1]) <= 50, "fifty, less what users at once ask for"
    assert len(failures(verdict)) == 1
    assert failures(verdict)[0] in {"users", "memory"}


def test_a_segmentation_fault_is_told(
    judged: Callable[..., Verdict], broken: Callable[..., AbstractContextManager[Image]]
) -> None:
    with broken(CRASH_AT=100) as image:
        verdict = judged(image)
    assert verdict.outcome is Outcome.FAIL
    assert "crashed (status 139: a segmentation fault" in verdict.reasons[0]


def test_a_leak_is_measured(
    judged: Callable[..., Verdict], broken: Callable[..., AbstractContextManager[Image]]
) -> None:
    with broken(LEAK=65536) as image:
        verdict = judged(image)
    assert failures(verdict) == ["memory"]
    growth = float(str(verdict.measurements["growth_kib_per_request"]))
    assert 55 < growth < 80
    assert "with each of 120 short requests" in verdict.reasons[0]


def test_health_that_never_comes_is_told_by_what_came_instead(
    judged: Callable[..., Verdict], broken: Callable[..., AbstractContextManager[Image]]
) -> None:
    with broken(UNWELL=1) as image:
        verdict = judged(image, {"health-limit": 15})
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0] == "It was not healthy within 15 s: /health answered only with status 503."
    assert "completion" not in details(verdict)


def test_a_port_that_nobody_serves_is_told(
    judged: Callable[..., Verdict], broken: Callable[..., AbstractContextManager[Image]]
) -> None:
    with broken(OTHER_PORT=9999) as image:
        verdict = judged(image, {"health-limit": 4})
    assert verdict.outcome is Outcome.FAIL
    assert "nothing answers on the port" in verdict.reasons[0]


def test_a_server_that_does_not_hear_sigterm_fails(
    judged: Callable[..., Verdict],
    broken: Callable[..., AbstractContextManager[Image]],
    engine: Engine,
    tmp_path: Path,
) -> None:
    with broken(DEAF=1) as image:
        verdict = judged(image)
        assert failures(verdict) == ["stop"]
        assert verdict.reasons[0].startswith("It did not end within 10 s of SIGTERM")
        assert ours(engine, image.id, tmp_path.name) == []


def test_a_truncated_model_is_told_with_the_servers_own_words(
    judged: Callable[..., Verdict], image: Image, tmp_path: Path
) -> None:
    whole = make_model(ModelKind.LLAMA, Paths.default().models).path.read_bytes()
    part = tmp_path / "part.gguf"
    part.write_bytes(whole[: len(whole) // 2])
    part.chmod(0o644)
    verdict = judged(image, {"model": str(part)})
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0].startswith("The server gave up with an error of its own (status 1) before it answered")
    assert any("not within the file bounds" in line for check in verdict.checks for line in check.excerpt)


def test_a_wrong_build_number_fails(judged: Callable[..., Verdict], engine: Engine, cpu_image: str) -> None:
    with variation(engine, cpu_image, "LABEL local.builder.build-number=9999", root=False) as image:
        verdict = judged(image)
    assert failures(verdict) == ["properties"]
    assert "labels say build 9999" in verdict.reasons[0]


def test_an_unknown_word_in_a_profile_is_told(judged: Callable[..., Verdict], image: Image) -> None:
    verdict = judged(image, {"extra-arguments": ["--no-such-word"]})
    assert verdict.outcome is Outcome.FAIL
    assert "(status 1) before it answered anything" in verdict.reasons[0]
    (start,) = [check for check in verdict.checks if check.name == "start"]
    assert any("invalid argument: --no-such-word" in line for line in start.excerpt)


def test_a_word_without_the_value_that_its_era_wants_is_told(judged: Callable[..., Verdict], image: Image) -> None:
    verdict = judged(image, {"extra-arguments": ["--flash-attn"]})
    assert verdict.outcome is Outcome.FAIL
    assert any("--flash-attn" in line for check in verdict.checks for line in check.excerpt)


def test_a_container_with_too_little_memory_is_told_as_that(judged: Callable[..., Verdict], image: Image) -> None:
    verdict = judged(image, {"memory-limit": "12m"})
    assert verdict.outcome is Outcome.FAIL
    assert "needed more than the 12m that its container may have (status 137)" in verdict.reasons[0]


def test_a_cuda_image_without_a_gpu_is_not_judged(
    judged: Callable[..., Verdict], engine: Engine, cpu_image: str
) -> None:
    with variation(engine, cpu_image, "LABEL local.builder.variant=cuda", root=False) as image:
        verdict = judged(image)
    assert verdict.outcome is Outcome.UNJUDGED
    assert "none was given" in verdict.reasons[0]
    assert [check.name for check in verdict.checks] == ["devices"]


def test_a_cuda_image_that_answers_from_the_cpu_fails(
    judged: Callable[..., Verdict], engine: Engine, cpu_image: str
) -> None:
    with variation(engine, cpu_image, "LABEL local.builder.variant=cuda", root=False) as image:
        verdict = judged(image, gpu_options=("--env", "A_GPU=given"))
    assert verdict.outcome is Outcome.FAIL
    assert failures(verdict) == ["devices", "offload", "graphs", "log"]
    assert "names no CUDA device" in verdict.reasons[0]
    assert details(verdict)["completion"].startswith("It made the 48 tokens"), "its answers are right"
    assert "no usable GPU found" in str([check.excerpt for check in verdict.checks if check.name == "log"])


def test_a_gpu_that_the_engine_does_not_hand_out_is_no_fault_of_the_image(
    judged: Callable[..., Verdict], engine: Engine, cpu_image: str
) -> None:
    with variation(engine, cpu_image, "LABEL local.builder.variant=cuda", root=False) as image:
        verdict = judged(image, gpu_options=("--device", "nobody.example/gpu=7"))
    assert verdict.outcome is Outcome.UNJUDGED


def test_an_image_without_labels_is_not_judged_where_they_would_say(
    judged: Callable[..., Verdict], engine: Engine, cpu_image: str
) -> None:
    lines = "LABEL local.builder.variant= local.builder.build-number= local.builder.commit="
    with variation(engine, cpu_image, lines, root=False) as image:
        verdict = judged(image)
    assert verdict.outcome is Outcome.UNJUDGED
    assert failures(verdict) == ["properties", "computes-on"]


def test_a_library_that_is_missing_is_named(judged: Callable[..., Verdict], engine: Engine, cpu_image: str) -> None:
    with variation(engine, cpu_image, "RUN find / -name 'libggml-base.so*' -delete 2>/dev/null; true") as image:
        verdict = judged(image)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0].startswith("The shared library libggml-base.so")


FOREVER = """
import sys
from pathlib import Path
from builder.engine.client import Engine
from builder.paths import Paths
from builder.process import Runner
from builder.server.models.make import make_model
from builder.server.models.shape import ModelKind
from builder.server.running import PORT, Serving, model_in_container, serve
from time import sleep
model = make_model(ModelKind.LLAMA, Paths.default().models).path
words = ("--model", model_in_container(model), "--host", "0.0.0.0", "--port", str(PORT), "--ctx-size", "512")
runner = Runner()
with serve(Serving(sys.argv[1], words, model), Engine(runner), runner, log=Path(sys.argv[2])):
    print("serving", flush=True)
    sleep(600)
"""


@pytest.fixture
def forever(image: Image, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that serves until it is ended."""
    command = [sys.executable, "-c", FOREVER, image.id, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "serving\n"
        yield process
        process.send_signal(signal.SIGINT)


def test_a_server_is_gone_when_its_process_is_interrupted(
    forever: subprocess.Popen[str], engine: Engine, image: Image
) -> None:
    assert len(ours(engine, image.id, f"-{forever.pid}")) == 1
    forever.send_signal(signal.SIGINT)
    forever.wait(120)
    assert ours(engine, image.id, f"-{forever.pid}") == []


@pytest.mark.usefixtures("alone_sweeping")
def test_a_server_whose_process_was_killed_is_swept(
    forever: subprocess.Popen[str], engine: Engine, image: Image, tmp_path: Path
) -> None:
    (container,) = ours(engine, image.id, f"-{forever.pid}")
    forever.kill()
    forever.wait(120)
    assert ours(engine, image.id, f"-{forever.pid}") == [container]
    assert container in engine.sweep(older_than=0)
    assert ours(engine, image.id, f"-{forever.pid}") == []
    until = monotonic() + 60
    while following(tmp_path / "log") and monotonic() < until:
        sleep(0.1)
    assert not following(tmp_path / "log"), "what wrote its log has ended too"


def test_a_server_that_somebody_removes_is_gone_and_did_not_end(
    forever: subprocess.Popen[str], engine: Engine, runner: Runner, image: Image
) -> None:
    (container,) = ours(engine, image.id, f"-{forever.pid}")
    server = RunningServer(engine, runner, container, monotonic())

    def until_it_ends() -> None:
        while server.state().running:
            pass

    remover = Thread(target=engine.ask, args=("rm", "--force", container), kwargs={"timeout": 120})
    remover.start()
    with pytest.raises(MachineError, match="is gone"):
        until_it_ends()
    remover.join()


def test_a_server_has_no_rights_and_no_room(engine: Engine, forever: subprocess.Popen[str], image: Image) -> None:
    (container,) = ours(engine, image.id, f"-{forever.pid}")
    shown = engine.ask("inspect", "--format", "{{json .HostConfig}} {{json .NetworkSettings.Ports}}", container).stdout
    assert '"ReadonlyRootfs":true' in shown
    assert '"CapDrop":["ALL"]' in shown
    assert '"no-new-privileges"' in shown
    assert '"HostIp":"127.0.0.1"' in shown
    assert "0.0.0.0" not in shown


def ours(engine: Engine, image: str, run: str) -> list[str]:
    """Containers of an image whose run ends like this."""
    listed = engine.ask(
        *("ps", "--all", "--no-trunc", "--filter", f"ancestor={image}"),
        *("--format", '{{.ID}} {{.Label "local.builder.run"}}'),
    ).stdout.splitlines()
    return [line.split()[0] for line in listed if line.endswith(run)]


def following(log: Path) -> bool:
    """Whether a process has the file open."""
    found = subprocess.run(["fuser", "--silent", str(log)], check=False)
    return found.returncode == 0
