"""The chain from a git upstream of real llama.cpp trees to the adopted tag, and back: every gate, nothing in between.

It measures speed, so it wants the machine for itself, for about a quarter of an hour: `make chain`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builder.console import Reporter
from builder.engine.client import Engine
from builder.errors import ExitCode
from builder.paths import Paths
from builder.process import Runner
from builder.source.desk import Request
from builder.source.prepare import prepare
from tests.integration.conftest import TREE, builder

pytestmark = pytest.mark.skipif("TEST_CHAIN" not in os.environ, reason="TEST_CHAIN=1 runs it, alone on the machine")

FIRST = 10990
"""Number of the first build that has a tree; those before it are commits without files."""
SERVER, CONTEXT = "tools/server/server.cpp", "src/llama-context.cpp"
PARSED = "    llama_backend_init();\n"
DECODE = "int llama_context::decode(const llama_batch_ext & batch_inp) {\n"
CONFIGURATION = """
[image]
repository = "{repository}"

[upstream]
origin = "{upstream}"

[performance]
effort = "quick"
latency-limit = "40%"
throughput-limit = "40%"
llama-bench-limit = "40%"
time-limit = 400
"""


@dataclass(frozen=True)
class Fleet:
    """An upstream, and a folder with a configuration and a patch queue."""

    engine: Engine
    upstream: Path
    folder: Path
    repository: str

    def git(self, *words: str, folder: Path | None = None, stdin: bytes | None = None) -> str:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.invalid", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(folder or self.upstream), *who, *words]
        return subprocess.run(command, check=True, capture_output=True, input=stdin).stdout.decode()

    def commit(self, message: str, tag: str) -> None:
        """Put the files as they are on the branch as the next build."""
        self.git("add", "--all", "--force", ".")
        self.git("commit", "--quiet", "--message", message)
        self.git("tag", tag)

    def patch(self, path: str, before: str, after: str) -> None:
        """Lay one patch on whatever is built next."""
        copy = self.folder / "work"
        shutil.rmtree(copy, ignore_errors=True)
        self.git("clone", "--quiet", "--shared", str(self.upstream), str(copy), folder=self.folder)
        text = (copy / path).read_text()
        assert before in text, path
        (copy / path).write_text(text.replace(before, after, 1))
        self.git("commit", "--quiet", "--all", "--message", "local: change it", folder=copy)
        queue = self.folder / "patches"
        queue.mkdir(exist_ok=True)
        made = self.git("format-patch", "-1", "--stdout", folder=copy)
        (queue / "0001-local.patch").write_text(made)
        (queue / "series").write_text("0001-local.patch\n")

    def run(self, *words: str, status: int = 0) -> dict[str, Any]:
        """Run a command and give its document."""
        environment = {**os.environ, "BUILDER_STATE": str(self.folder / "state"), "BUILDER_BUILD_UNTIL": "promoted"}
        done = builder(*words, "--json", timeout=3300, cwd=self.folder, env=environment)
        assert done.returncode == status, done.stderr[-6000:] + done.stdout[-6000:]
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def adopted(self) -> str | None:
        image = self.engine.image(f"{self.repository}:latest")
        return image.id if image else None


@pytest.fixture
def fleet(engine: Engine, tmp_path: Path) -> Iterator[Fleet]:
    upstream, folder = tmp_path / "upstream", tmp_path / "fleet"
    for made in (upstream, folder):
        made.mkdir()
    fleet = Fleet(engine, upstream, folder, f"builder-test/chain-{uuid.uuid4().hex[:8]}")
    fleet.git("init", "--quiet", "--initial-branch", "master")
    fleet.git("fast-import", "--quiet", stdin=_empty_commits(FIRST - 1))
    runner = Runner(tmp_path / "commands.sh")
    tree = prepare(Request(TREE), paths=Paths.default(), runner=runner, reporter=Reporter()).path
    shutil.copytree(tree, upstream, dirs_exist_ok=True)
    fleet.git("read-tree", "HEAD")
    fleet.commit("the first tree (#1)", f"b{FIRST}")
    configuration = CONFIGURATION.format(repository=fleet.repository, upstream=upstream)
    (folder / "builder.toml").write_text(configuration)
    yield fleet
    for image in engine.images_with({}):
        for reference in image.references:
            if reference.startswith(f"{fleet.repository}:"):
                engine.remove_image(reference)


def _empty_commits(count: int) -> bytes:
    lines = []
    for number in range(1, count + 1):
        message = f"commit {number}".encode()
        lines.append(b"commit refs/heads/master\ncommitter A <a@example.invalid> %d +0000\n" % (1_700_000_000 + number))
        lines.append(b"data %d\n%s\n" % (len(message), message))
    return b"".join(lines)


def test_two_builds_are_adopted_two_are_refused_and_one_comes_back(fleet: Fleet) -> None:
    first = fleet.run("build", "--cpu")
    assert first["promotion"]["result"] == "done"
    assert [one["gate"] for one in first["verdicts"]] == [
        *("structure", "smoke", "smoke", "correctness", "performance", "performance")
    ]
    assert fleet.adopted() == first["image"]["id"]

    server = (fleet.upstream / SERVER).read_text()
    (fleet.upstream / SERVER).write_text(server.replace("initializing ...", "initializing llama.cpp ...", 1))
    fleet.commit("server : say what is initialized (#2)", f"b{FIRST + 1}")
    second = fleet.run("build", "--cpu")
    assert second["promotion"]["result"] == "done"
    assert [one["subject"] for one in second["news"]["commits"]] == ["server : say what is initialized (#2)"]
    assert fleet.adopted() == second["image"]["id"] != first["image"]["id"]
    speed = [one for one in second["verdicts"] if one["gate"] == "performance"]
    assert {one["measurements"]["adopted"] for one in speed} == {first["image"]["id"]}
    assert {one["outcome"] for one in speed} == {"pass"}

    fleet.patch(
        CONTEXT, DECODE, f"{DECODE}    for (const int64_t t0 = ggml_time_us(); ggml_time_us() < t0 + 5000; ) {{}}\n"
    )
    slow = fleet.run("build", "--cpu", status=ExitCode.PERFORMANCE)
    assert slow["promotion"] is None
    assert slow["verdicts"][-1]["gate"] == "performance"
    assert fleet.adopted() == second["image"]["id"]

    fleet.patch(SERVER, PARSED, f"    abort();\n{PARSED}")
    broken = fleet.run("build", "--cpu", status=ExitCode.SMOKE)
    assert [one["outcome"] for one in broken["verdicts"]] == ["pass", "fail"]
    assert fleet.adopted() == second["image"]["id"]

    back = fleet.run("rollback", "--why", "the users say so")
    assert back["result"] == "done"
    assert fleet.adopted() == first["image"]["id"]
    shutil.rmtree(fleet.folder / "patches")
    again = fleet.run("build", "--cpu", status=ExitCode.NOTHING_MOVED)
    assert again["holds"] == ["the users say so"]
    assert again["verdicts"] == []
    assert fleet.adopted() == first["image"]["id"]
