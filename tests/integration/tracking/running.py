"""Running the program against an upstream, and what it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.upstreams import Upstream

DEAD = "git://127.0.0.1:1/llama.cpp"
STANDIN = Path(__file__).parents[1] / "standin"
ImageMaker = Callable[..., str]


@dataclass(frozen=True)
class Said:
    """What a command left."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document

    @property
    def words(self) -> str:
        """Everything that was said, with line ends as blanks."""
        return " ".join((self.out + self.err).split())


@dataclass
class Program:
    """`builder` with a cache of its own.

    Attributes:
        env: further variables.
    """

    folder: Path
    env: dict[str, str]

    def __call__(self, *arguments: str, env: Mapping[str, str] | None = None) -> Said:
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "builder", *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=self.folder,
            env={**os.environ, **self.env, **(env or {})},
        )
        assert "Traceback" not in done.stderr
        return Said(done.returncode, done.stdout, done.stderr, time.monotonic() - started)


def ours(number: int | str, commit: str, release: str = "unknown") -> dict[str, str]:
    """Labels of an image that was built here."""
    facts = {"plan": "sha256:0", "build-number": str(number), "commit": commit, "release": release}
    return {f"local.builder.{name}": value for name, value in facts.items()}


def commit_of(upstream: Upstream, ref: str) -> str:
    return upstream.git("rev-parse", f"{ref}^{{commit}}")


def older_than(upstream: Upstream, hours: float) -> str:
    """The newest build tag whose commit is so old, as git itself tells it."""
    line = upstream.git("rev-list", "-1", f"--before={int(time.time() - hours * 3600)}", "master")
    tags = upstream.git("tag", "--merged", line, "--list", "b*").split()
    return max(tags, key=lambda tag: int(tag[1:]))
