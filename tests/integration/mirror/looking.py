"""Ways to look into a mirror and into what it mirrors."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from builder.console import Reporter
from builder.paths import Paths
from builder.process import Runner
from builder.upstream.mirror import Mirror
from builder.upstream.origin import GitUrl
from tests.integration.upstreams import Upstream

DRIVER = """
import sys
from pathlib import Path
from builder.console import Reporter
from builder.process import Runner
from builder.upstream.mirror import Mirror
from builder.upstream.origin import GitUrl
Mirror.of(GitUrl(sys.argv[1]), Path(sys.argv[2]), Runner(Path(sys.argv[3])), Reporter()).refresh()
"""
"""A builder that does nothing but bring a mirror up to date."""


def mirror_of(url: str, cache: Paths, commands: Path | None = None) -> Mirror:
    return Mirror.of(GitUrl(url), cache.mirrors, Runner(commands), Reporter())


def refs(folder: Path, *below: str) -> dict[str, str]:
    """Object names by what stands after the first two parts of the full name."""
    said = run(folder, "for-each-ref", "--format=%(objectname) %(refname)", *below)
    return {name.split("/", 1)[1]: oid for oid, name in (line.split(" ") for line in said.split("\n") if line)}


def trusted(mirror: Mirror) -> dict[str, str]:
    return refs(mirror.folder, "refs/heads", "refs/tags")


def copied(mirror: Mirror) -> dict[str, str]:
    found = refs(mirror.folder, "refs/upstream/heads", "refs/upstream/tags")
    return {name.removeprefix("upstream/"): oid for name, oid in found.items()}


def offered(upstream: Upstream) -> dict[str, str]:
    return refs(upstream.folder, "refs/heads", "refs/tags")


def run(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", f"--git-dir={folder}", *args], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def said(capfd: pytest.CaptureFixture[str]) -> str:
    return " ".join(capfd.readouterr().err.split())


def everything(folder: Path) -> dict[str, bytes]:
    """Content of every file in a mirror, by its path."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
