"""An upstream that is served, the program with a cache of its own, and an adopted image."""

from __future__ import annotations

import io
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.integration.git_server import Server, serve
from tests.integration.tracking.running import ImageMaker, Program
from tests.integration.upstreams import Upstream, hours_ago, small_upstream
from tests.tiny_program import program


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    """300 commits, the newest of them 90 minutes old."""
    return small_upstream(tmp_path, ends=hours_ago(1.5))


@pytest.fixture
def server(upstream: Upstream) -> Iterator[Server]:
    with serve(upstream.folder.parent) as served:
        yield served


@pytest.fixture
def repository() -> str:
    """The name of an image that nobody else uses."""
    return f"builder-test/tracking-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def run(tmp_path: Path, server: Server, upstream: Upstream, repository: str) -> Program:
    settings = {
        "BUILDER_CACHE": str(tmp_path / "cache"),
        "BUILDER_UPSTREAM_ORIGIN": server.url(upstream.folder.name),
        "BUILDER_IMAGE_REPOSITORY": repository,
        "BUILDER_VERSION_MINIMUM": "2",
        "NO_COLOR": "1",
    }
    return Program(tmp_path, settings)


@pytest.fixture
def make_image(repository: str) -> Iterator[ImageMaker]:
    """Make the adopted image; it is removed afterwards."""

    def make(labels: Mapping[str, str] | None = None, says: bytes | None = None) -> str:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            content = b"" if says is None else program(says)
            entry = tarfile.TarInfo("llama-server" if says is not None else "empty")
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
        changes = [word for name, text in (labels or {}).items() for word in ("--change", f'LABEL {name}="{text}"')]
        changes += ["--change", 'ENTRYPOINT ["/llama-server"]']
        command = ["docker", "import", *changes, "-", f"{repository}:latest"]
        done = subprocess.run(command, input=archive.getvalue(), capture_output=True, check=True)
        return done.stdout.decode().strip()

    yield make
    subprocess.run(["docker", "rmi", "--force", f"{repository}:latest"], capture_output=True, check=False)
