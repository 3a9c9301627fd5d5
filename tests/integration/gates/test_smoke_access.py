"""The smoke gate on servers that want a key, that answer late, and whose health check says what is not so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.gates.verdict import Outcome, Verdict
from builder.image.bases import Choice
from builder.process import Runner
from tests.integration.conftest import builder
from tests.integration.gates import correctness_labs
from tests.integration.gates.smoke_labs import compile_sabotage, failures, judge, sabotaged, scene_for
from tests.integration.gates.structure_labs import variation

KEY = "hush-0123456789"


@pytest.fixture
def image(engine: Engine, cpu_image: str) -> Image:
    found = engine.image(cpu_image)
    assert found
    return found


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def told_to(folder: Path) -> str:
    """All that was written down in a folder."""
    return "".join(file.read_text(encoding="utf-8", errors="replace") for file in folder.rglob("*") if file.is_file())


def test_a_server_with_a_key_is_asked_with_it_and_the_key_is_in_no_file(cpu_image: str, tmp_path: Path) -> None:
    profile = f'[profiles.chat]\nenvironment = {{ LLAMA_API_KEY = "{KEY}" }}\nusers = 3\n'
    (tmp_path / "builder.toml").write_text(profile)
    words = ("--config", str(tmp_path / "builder.toml"), "--verbose", "smoke", cpu_image, "--profile", "chat", "--json")
    done = builder(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    (verdict,) = json.loads(done.stdout)["verdicts"]
    folder = Path(verdict["logs"][0]).parent
    assert "LLAMA_API_KEY" in done.stderr
    assert KEY not in told_to(folder) + done.stdout + done.stderr


def test_the_keys_of_a_file_are_the_servers_too(
    engine: Engine, runner: Runner, image: Image, logs: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{KEY}\nanother\n", encoding="utf-8")
    keys.chmod(0o644)
    profile = {"extra-arguments": ["--api-key-file", str(keys)]}
    scene = correctness_labs.scene_for(engine, runner, logs, {"embedding": profile})
    verdict = correctness_labs.judge(image, scene, "embedding")
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert KEY not in told_to(logs)


def judged(
    engine: Engine, runner: Runner, image: Image, logs: Path, changed: Mapping[str, object] | None = None
) -> Verdict:
    return judge(image, scene_for(engine, runner, logs, {"health-limit": 20, "users": 3, **(changed or {})}))


def test_a_curl_that_always_says_yes_is_seen(engine: Engine, runner: Runner, cpu_image: str, logs: Path) -> None:
    with variation(engine, cpu_image, "RUN cp /bin/true /usr/bin/curl") as image:
        verdict = judged(engine, runner, image, logs)
    assert failures(verdict) == ["health-check"]
    assert "`llama-health` says that all is well where no server runs" in verdict.reasons[0]


def test_a_health_check_that_never_says_yes_is_seen(engine: Engine, runner: Runner, cpu_image: str, logs: Path) -> None:
    with variation(engine, cpu_image, 'HEALTHCHECK CMD curl -f "http://localhost:1/health"') as image:
        verdict = judged(engine, runner, image, logs)
    assert failures(verdict) == ["health-check"]
    assert "beside a healthy server: the engine would restart it for ever" in verdict.reasons[0]
    assert any("curl" in line for check in verdict.checks for line in check.excerpt)


def test_an_answer_that_is_later_than_the_profile_says_fails(
    engine: Engine, runner: Runner, cpu_image: str, cpu_bases: Choice, logs: Path, tmp_path: Path
) -> None:
    library = compile_sabotage(engine, cpu_bases.bases.devel, tmp_path)
    with sabotaged(engine, cpu_image, library, {"LATE": 1200}) as image:
        verdict = judged(engine, runner, image, logs, {"answer-limit": 1})
    assert verdict.outcome is Outcome.FAIL
    assert "first-answer" in failures(verdict)
    assert "The profile's answer-limit is 1 s." in verdict.reasons[0]
