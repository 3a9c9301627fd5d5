"""Small images with our labels, verdicts about them, and the program that promotes them, with folders of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from builder.channels.ledger.evidence import VerdictEntry
from builder.channels.ledger.ledger import open_ledger
from builder.engine.client import Engine
from builder.process import Runner
from tests.integration.conftest import builder
from tests.integration.engines import import_shell

SERVER = '#!/bin/sh\necho "version: {number} (0123456)"\necho "built with GNU 12.2.0 for x86_64-linux-gnu"\n'


@dataclass
class Lab:
    """A machine that promotes.

    Attributes:
        repository: name of its images.
        settings: lines of builder.toml beside the image's name.
        prefix: what the program is started with.
    """

    engine: Engine
    runner: Runner
    folder: Path
    repository: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    prefix: Sequence[str] = ()

    def make(self, number: int, *, server: str = SERVER, **labels: str) -> str:
        """An image of a build with this number; gives its own tag's whole name."""
        plan = hashlib.sha256(f"{self.repository} {number}".encode()).hexdigest()
        own = {"plan": f"sha256:{plan}", "variant": "cpu", "cuda": "none", "patches": "none", **labels}
        reference = f"{self.repository}:b{number}-cpu-{plan[:10]}"
        changes = [f"LABEL local.builder.{name.replace('_', '-')}={value}" for name, value in own.items() if value]
        changes.append(f"LABEL org.opencontainers.image.version=b{number}")
        place = self.folder / f"image-{number}"
        place.mkdir()
        files = {"/usr/bin/llama-server": server.format(number=number)}
        import_shell(self.runner, self.engine, place, reference, files, changes)
        return reference

    def judge(self, reference: str, gate: str = "version", outcome: Any = "pass") -> None:
        """Have the ledger know a verdict."""
        entry = VerdictEntry(
            self.id(reference), gate, outcome, datetime.now(UTC), "lab", (), {"reasons": ["It is so."]}
        )
        with self.ledger() as ledger:
            ledger.verdicts.record(entry)

    def judged(self, number: int) -> str:
        """An image that may be promoted."""
        reference = self.make(number)
        self.judge(reference)
        return reference

    def ledger(self) -> Any:
        """The ledger, as a context."""
        self.state.mkdir(exist_ok=True)
        return open_ledger(self.state / "ledger.sqlite")

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def id(self, reference: str) -> str:
        """What the engine calls an image; empty for none."""
        image = self.engine.image(reference)
        return image.id if image else ""

    def channels(self) -> tuple[str, str]:
        """IDs of what is adopted and of what was before; empty for none."""
        return self.id(f"{self.repository}:latest"), self.id(f"{self.repository}:previous")

    def environment(self) -> dict[str, str]:
        host = {"DOCKER_HOST": self.engine.command[-1]} if len(self.engine.command) > 1 else {}
        return {**os.environ, **host, "BUILDER_CACHE": str(self.folder / "cache"), "BUILDER_STATE": str(self.state)}

    def configure(self) -> None:
        """Write builder.toml with the settings."""
        tables: dict[str, Any] = {
            "image": {"repository": self.repository},
            "promotion": {"gates": ["version"]},
            **self.settings,
        }
        lines = [
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
            for name, table in tables.items()
        ]
        (self.folder / "builder.toml").write_text("".join(lines), encoding="utf-8")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The program, with the settings."""
        self.configure()
        return builder(*words, cwd=self.folder, env=self.environment(), timeout=120, prefix=self.prefix)

    def done(self, *words: str, status: int = 0) -> str:
        """What the program says on standard error, having ended as it should."""
        done = self.run(*words)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stderr

    def document(self, *words: str, status: int = 0) -> dict[str, Any]:
        """What the program says as JSON."""
        done = self.run(*words, "--json")
        assert done.returncode == status, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document


@contextmanager
def promotion_lab(
    engine: Engine,
    runner: Runner,
    folder: Path,
    settings: Mapping[str, Any],
    prefix: Sequence[str] = (),
) -> Iterator[Lab]:
    """A machine whose images are removed at the end, and what they were called in a registry too."""
    lab = Lab(engine, runner, folder, f"builder-test/promote-{uuid4().hex[:8]}", settings, prefix)
    try:
        yield lab
    finally:
        pushed = str(settings.get("registry", {}).get("repository", lab.repository))
        for repository in (lab.repository, pushed):
            for reference in engine.references_of(repository):
                engine.ask("image", "rm", "--force", reference)
