"""`builder build` as the whole chain: built, judged, adopted, and nothing done twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builder.engine.client import Engine
from builder.errors import ExitCode
from tests.integration.conftest import TREE, builder

_WORDS = ("build", "--cpu", "--origin", TREE)


@dataclass(frozen=True)
class Chain:
    """A folder with a configuration, a state and a repository of its own."""

    engine: Engine
    folder: Path
    repository: str

    def configure(self, *sections: str) -> None:
        """Write the configuration: cheap gates alone, unless another section asks for others."""
        name = f'[image]\nrepository = "{self.repository}"\n'
        gates = (
            "" if any("[promotion]" in one for one in sections) else '[promotion]\ngates = ["version", "structure"]\n'
        )
        (self.folder / "builder.toml").write_text("\n".join((name, gates, *sections)))

    @property
    def environment(self) -> dict[str, str]:
        """A state of its own, and no word on how far a build goes."""
        kept = {name: value for name, value in os.environ.items() if name != "BUILDER_BUILD_UNTIL"}
        return {**kept, "BUILDER_STATE": str(self.folder / "state")}

    def run(self, *words: str, status: int = 0) -> dict[str, Any]:
        """Run the chain and give its document."""
        done = builder(*_WORDS, *words, "--json", timeout=3300, cwd=self.folder, env=self.environment)
        assert done.returncode == status, done.stderr + done.stdout
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def ask(self, *words: str, status: int = 0) -> str:
        """Run another command and give what it says."""
        done = builder(*words, timeout=600, cwd=self.folder, env=self.environment)
        assert done.returncode == status, done.stderr + done.stdout
        return done.stdout + done.stderr

    def named(self, tag: str) -> str | None:
        """ID of the image of that tag."""
        image = self.engine.image(f"{self.repository}:{tag}")
        return image.id if image else None


@pytest.fixture
def chain(engine: Engine, cpu_image: str, tmp_path: Path) -> Iterator[Chain]:
    assert cpu_image
    chain = Chain(engine, tmp_path, f"builder-test/chain-{uuid.uuid4().hex[:8]}")
    chain.configure()
    yield chain
    for image in engine.images_with({}):
        for reference in image.references:
            if reference.startswith(f"{chain.repository}:"):
                engine.remove_image(reference)


def test_it_is_built_judged_and_adopted_and_nothing_is_done_twice(chain: Chain) -> None:
    first = chain.run()
    image = first["image"]["id"]
    assert [verdict["gate"] for verdict in first["verdicts"]] == ["structure"]
    assert first["promotion"]["result"] == "done"
    assert chain.named("latest") == chain.named("candidate") == image
    assert list(first["stages"]) == ["build", "judge", "promote"]
    second = chain.run()
    assert second["found"]
    assert second["verdicts"] == []
    assert second["promotion"]["result"] == "already"
    assert second["image"]["id"] == image


def test_a_dry_run_says_what_would_be_done_and_does_nothing(chain: Chain) -> None:
    steps = chain.run("--dry-run")["stages"]
    assert [step["stage"] for step in steps] == ["build", "judge", "judge", "promote"]
    assert [step["what"] for step in steps[1:3]] == ["version", "structure"]
    assert chain.named("candidate") is None
    chain.run("--until", "judged")
    steps = chain.run("--dry-run")["stages"]
    assert [(step["stage"], step["what"]) for step in steps[:2]] == [("build", "nothing"), ("judge", "nothing")]
    assert chain.named("latest") is None
    assert "would do" in chain.ask(*_WORDS, "--dry-run")


def test_it_stops_where_it_is_asked_to_and_goes_on_from_there(chain: Chain) -> None:
    assert chain.run("--until", "built")["verdicts"] == []
    judged = chain.run("--no-promote")
    assert [verdict["outcome"] for verdict in judged["verdicts"]] == ["pass"]
    assert judged["promotion"] is None
    assert chain.named("latest") is None
    promoted = chain.run()
    assert promoted["verdicts"] == []
    assert promoted["promotion"]["result"] == "done"
    assert chain.named("latest") == promoted["image"]["id"]


def test_what_fails_is_not_adopted_and_not_asked_again(chain: Chain) -> None:
    chain.configure('[gates]\nsize-limit = "1MB"')
    for asked in (["structure"], []):
        document = chain.run(status=ExitCode.STRUCTURE)
        assert [verdict["gate"] for verdict in document["verdicts"]] == asked
        assert document["promotion"] is None
    assert chain.named("latest") is None
    shown = chain.ask(*_WORDS, status=ExitCode.STRUCTURE)
    assert "not this one" in shown
    assert "It failed structure before" in shown


def test_what_could_not_be_judged_is_not_adopted(chain: Chain) -> None:
    """Speed says nothing beside an adopted image of another variant."""
    chain.configure('[promotion]\ngates = ["version", "performance"]')
    with tempfile.NamedTemporaryFile(suffix=".tar") as empty, tarfile.open(empty.name, "w"):
        label = ("--change", "LABEL local.builder.variant=cuda")
        done = chain.engine.ask("import", *label, empty.name, f"{chain.repository}:latest", timeout=60)
    assert done.returncode == 0, done.stderr
    other = chain.named("latest")
    document = chain.run(status=ExitCode.UNJUDGED)
    assert {(one["gate"], one["outcome"]) for one in document["verdicts"]} == {("performance", "could not judge")}
    assert [lack["gate"] for lack in document["lacks"]] == ["performance"]
    assert chain.named("candidate") == document["image"]["id"]
    assert chain.named("latest") == other


def test_an_image_that_is_held_is_neither_judged_nor_adopted(chain: Chain) -> None:
    chain.run("--until", "built")
    chain.ask("hold", "add", f"{chain.repository}:candidate", "loses tokens")
    document = chain.run(status=ExitCode.NOTHING_MOVED)
    assert document["verdicts"] == []
    assert document["holds"] == ["loses tokens"]
    assert "loses tokens" in document["refusal"]["cause"]
    assert chain.named("latest") is None


@pytest.mark.parametrize("seed", range(6))
def test_killed_anywhere_the_next_run_goes_on(chain: Chain, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    command = [sys.executable, "-m", "builder", *_WORDS, "--json"]
    for _ in range(2):
        started = subprocess.Popen(
            command, cwd=chain.folder, env=chain.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            started.communicate(timeout=chance.uniform(0.2, 6))
        except subprocess.TimeoutExpired:
            started.send_signal(chance.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)))
            started.communicate()
        assert chain.named("latest") in (None, chain.named("candidate"))
    document = chain.run()
    assert document["promotion"]["result"] in ("done", "already")
    assert chain.named("latest") == document["image"]["id"]
    history = json.loads(chain.ask("history", "--json"))["history"]
    assert [entry["result"] for entry in history].count("done") == 1
    chain.ask("ledger", "check")
