"""Built on one engine, judged on another, adopted on the first: what travels is a digest, and a file of verdicts."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from builder.engine.client import Engine
from builder.errors import ExitCode
from builder.process import Runner
from tests.integration.channels.adopting import MEDIA
from tests.integration.channels.registry_labs import registry
from tests.integration.channels.relay import relayed
from tests.integration.conftest import builder
from tests.integration.engines import is_on_overlay, second_engine

CONFIG = """
[image]
repository = "{name}"
[registry]
repository = "{there}"
[promotion]
gates = ["version", "structure"]
[adoption]
env-file = ".env"
"""


@dataclass(frozen=True)
class Host:
    """A machine with an engine, a ledger and a configuration of its own."""

    engine: Engine
    folder: Path

    def done(self, *words: str, status: int = 0) -> str:
        """What the program says here, having ended as it should."""
        address = {"DOCKER_HOST": self.engine.command[-1]} if len(self.engine.command) > 1 else {}
        kept = {f"BUILDER_{kind.upper()}": str(self.folder / kind) for kind in ("cache", "state")}
        done = builder(*words, cwd=self.folder, env={**os.environ, **address, **kept})
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def content(self, reference: str, digest: str) -> bytes:
        """The bytes that the engine itself keeps under a digest of an image."""
        archive = self.folder / "saved.tar"
        saved = self.engine.ask("save", "--output", str(archive), reference, timeout=300)
        assert saved.returncode == 0, saved.stderr
        algorithm, _, digits = digest.partition(":")
        with tarfile.open(archive) as tar:
            names = tar.getnames()
            path = next(name for name in (f"blobs/{algorithm}/{digits}", f"{digits}.json") if name in names)
            file = tar.extractfile(path)
            assert file
            return file.read()


@pytest.mark.parametrize("containerd", [False, True], ids=["classic", "containerd"])
def test_what_another_engine_judged_is_adopted_by_the_very_same_digest(
    containerd: bool, engine: Engine, runner: Runner, cpu_image: str, tmp_path: Path
) -> None:
    if is_on_overlay(Path(tempfile.gettempdir())):
        pytest.skip("the temporary folder is on an overlay file system, which cannot hold an engine's layers")
    tag = cpu_image.rpartition(":")[2]
    with (
        registry(tmp_path, kept=True) as running,
        second_engine(runner, {"features": {"containerd-snapshotter": containerd}}) as second,
        relayed(second, running.host),
        named_anew(engine, cpu_image, f"{running.host}/ai/llama") as (name, there),
        httpx.Client(base_url=f"{running.address}/v2/ai/llama", trust_env=False, timeout=60) as asked,
    ):
        one, two = (
            host(folder, on, name, there) for folder, on in ((tmp_path / "1", engine), (tmp_path / "2", second))
        )
        pushed = engine.push(f"{there}:{tag}", timeout=300)
        assert pushed.returncode == 0, pushed.stderr
        manifest = manifest_of(asked, tag)
        pinned = f"{there}@{digest_of(manifest)}"

        assert second.pull(pinned, timeout=300).returncode == 0
        two.done("judge", pinned, "--gate", "version,structure", "--out", "verdicts.jsonl")

        refused = one.done("promote", f"{name}:{tag}", status=ExitCode.NOTHING_MOVED)
        assert "version, structure" in refused
        one.done("ledger", "import", str(two.folder / "verdicts.jsonl"))
        one.done("promote", f"{name}:{tag}")

        assert manifest_of(asked, "latest") == manifest
        assert (one.folder / ".env").read_text(encoding="utf-8") == f"LLAMA_IMAGE={pinned}\n"
        assert second.pull(f"{there}:latest", timeout=300).returncode == 0
        config = json.loads(manifest)["config"]["digest"]
        written = asked.get(f"/blobs/{config}", follow_redirects=True).content
        assert digest_of(written) == config
        for place, latest in ((one, f"{name}:latest"), (two, f"{there}:latest")):
            image = place.engine.image(latest)
            assert image
            in_containerd = place.engine.info().containerd_store
            assert image.id == (digest_of(manifest) if in_containerd else config)
            assert pinned in image.repo_digests
            assert place.content(latest, config) == written
            if in_containerd:
                assert place.content(latest, digest_of(manifest)) == manifest
        assert one.done("ledger", "check")


def host(folder: Path, engine: Engine, name: str, there: str) -> Host:
    """A machine in a folder."""
    folder.mkdir()
    (folder / "builder.toml").write_text(CONFIG.format(name=name, there=there), encoding="utf-8")
    return Host(engine, folder)


@contextmanager
def named_anew(engine: Engine, image: str, there: str) -> Iterator[tuple[str, str]]:
    """Give an image its own tag in repositories of this test alone; gives the names without the tag."""
    name, tag = f"builder-test/two-{uuid4().hex[:8]}", image.rpartition(":")[2]
    try:
        for repository in (name, there):
            engine.tag(image, f"{repository}:{tag}")
        yield name, there
    finally:
        for repository in (name, there):
            for reference in engine.references_of(repository):
                engine.ask("image", "rm", reference)


def manifest_of(asked: httpx.Client, reference: str) -> bytes:
    """The very bytes that the registry gives."""
    answer = asked.get(f"/manifests/{reference}", headers={"Accept": ", ".join(MEDIA)})
    answer.raise_for_status()
    return answer.content


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
