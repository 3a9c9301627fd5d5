"""The Dockerfiles and the scripts of their steps, and what identifies them."""

from __future__ import annotations

import hashlib
from pathlib import Path

DOCKERFILES = Path(__file__).parent.parent / "dockerfiles"
"""Main context of every build."""

SERVER_RECIPE = (
    "llama-server.Dockerfile",
    "steps/environment.sh",
    "steps/configure.sh",
    "steps/compile.sh",
    "steps/libraries.sh",
    "steps/gather.sh",
    "steps/llama-health.sh",
    "steps/gather-tests.sh",
    "steps/test-program.c",
)
"""What decides the served image and the one with its test programs, relative to DOCKERFILES."""


def recipe_digest(names: tuple[str, ...], *inputs: str) -> str:
    """`sha256:...` over recipe files and further inputs, in order."""
    state = hashlib.sha256()
    for part in (*((DOCKERFILES / name).read_bytes() for name in names), *(text.encode() for text in inputs)):
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return "sha256:" + state.hexdigest()
