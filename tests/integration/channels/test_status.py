"""Status, with a real stack that Compose runs and real promotions."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builder.engine.client import Engine
from tests.integration.channels.packaged import packaged
from tests.integration.conftest import builder

STACK = """
services:
  chat-1:
    image: "{name}:latest"
    entrypoint: ["sleep", "900"]
    network_mode: none
  unrelated:
    image: "{name}-unrelated:x"
    entrypoint: ["sleep", "900"]
    network_mode: none
"""


@dataclass(frozen=True)
class Stack:
    """A folder with a stack, a configuration, and a ledger of its own."""

    name: str
    folder: Path
    env: dict[str, str]

    def builder(self, *words: str) -> subprocess.CompletedProcess[str]:
        return builder("--config", str(self.folder / "builder.toml"), *words, env=self.env)

    def status(self) -> dict[str, Any]:
        done = self.builder("status", "--json")
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        # Other containers of this machine may be made of the same image.
        document["services"] = [one for one in document["services"] if one["project"] == self.project]
        return document

    @property
    def project(self) -> str:
        return self.name.rpartition("/")[2]

    def compose(self, *words: str) -> None:
        program = packaged("docker-compose", "usr/libexec/docker/cli-plugins/docker-compose")
        files = [word for name in ("compose.yaml", "pinned.yaml") for word in ("-f", name)]
        project = ("--project-directory", ".", "--project-name", self.project)
        done = subprocess.run(
            [program, *project, *files, *words], cwd=self.folder, capture_output=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr.decode()


@pytest.fixture
def stack(engine: Engine, cpu_image: str, name: str, tmp_path: Path) -> Iterator[Stack]:
    """A stack whose candidate is a real image, and another image that is older."""
    engine.tag(cpu_image, f"{name}:candidate")
    for made, label in ((f"{name}:older", f"local.builder.plan=sha256:{'0' * 64}"), (f"{name}-unrelated:x", "on=top")):
        recipe = f"FROM {cpu_image}\nLABEL {label}\n"
        done = engine.ask("build", "--quiet", "--tag", made, "-", stdin=recipe.encode(), timeout=120)
        assert done.returncode == 0, done.stderr
    files = 'env-file = ".env"\ncompose-file = "pinned.yaml"\nservices = ["chat-1"]'
    (tmp_path / "builder.toml").write_text(f'[image]\nrepository = "{name}"\n[adoption]\n{files}\n', encoding="utf-8")
    (tmp_path / "compose.yaml").write_text(STACK.format(name=name), encoding="utf-8")
    folders = {"BUILDER_STATE": str(tmp_path / "state"), "BUILDER_CACHE": str(tmp_path / "cache")}
    stack = Stack(name, tmp_path, {**os.environ, **folders, "COLUMNS": "80"})
    yield stack
    if (tmp_path / "pinned.yaml").exists():
        stack.compose("down", "--timeout", "0")
    engine.ask("image", "rm", f"{name}-unrelated:x")


def test_what_is_adopted_what_waits_and_what_runs_are_told_as_they_are(stack: Stack, engine: Engine) -> None:
    before = stack.status()
    [lane] = before["channels"]
    assert (lane["adopted"]["image"], before["services"]) == (None, [])
    assert [lack["gate"] for lack in lane["candidate"]["lacks"]] == [
        *("version", "structure", "smoke", "correctness", "performance")
    ]
    assert not lane["candidate"]["may_be_promoted"]

    assert stack.builder("promote", f"{stack.name}:older", "--force", "a test", "--why", "first").returncode == 0
    stack.compose("up", "--detach")
    [lane], [service] = (stack.status()[part] for part in ("channels", "services"))
    older = engine.image(f"{stack.name}:older")
    assert older
    assert lane["adopted"]["image"]["digest"] == older.id
    assert (lane["adopted"]["promotion"]["why"], lane["adopted"]["promotion"]["forced"]) == ("first", "a test")
    assert (service["service"], service["digest"], service["has_drifted"]) == ("chat-1", older.id, False)

    assert stack.builder("hold", "add", "candidate", "too new").returncode == 0
    shown = stack.builder("status")
    assert "too new" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert stack.builder("promote", "--force", "a test").returncode == 0
    ended = stack.builder("status", "--exit-code")
    assert ended.returncode == 20
    assert "not what is adopted" in ended.stdout
    assert f"`docker compose up -d` in {stack.folder}" in ended.stdout.replace("\n", " ").replace("  ", " ")

    stack.compose("up", "--detach")
    after = stack.status()
    [lane], [service] = after["channels"], after["services"]
    assert lane["candidate"]["is_adopted"]
    assert lane["previous"]["image"]["digest"] == older.id
    assert not service["has_drifted"]
    assert [file["digests"] for file in after["files"]] == [[lane["adopted"]["image"]["digest"]]] * 2
    assert after["discrepancies"] == []


def test_an_engine_that_is_not_there_and_a_tag_moved_by_hand_are_told(stack: Stack, engine: Engine) -> None:
    assert stack.builder("promote", f"{stack.name}:older", "--force", "a test").returncode == 0
    engine.tag(f"{stack.name}:candidate", f"{stack.name}:latest")
    found = stack.status()
    assert {one["subject"]: one["kind"] for one in found["discrepancies"]}[f"{stack.name}:latest"] == "moved"
    assert found["channels"][0]["adopted"]["promotion"] is None
    without = Stack(stack.name, stack.folder, {**stack.env, "DOCKER_HOST": "unix:///nowhere/docker.sock"})
    told = without.status()
    assert told["unknown"]
    assert told["has_drifted"]
    assert without.builder("status").returncode == 0
    assert without.builder("status", "--exit-code").returncode == 20
    (stack.folder / "pinned.yaml").unlink()
