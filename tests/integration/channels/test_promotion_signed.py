"""Promotion and rollback with signatures by the real cosign, in a real registry."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.channels.registry.reference import Reference
from builder.channels.statement import PREDICATE
from builder.engine.client import Engine
from builder.errors import ExitCode
from builder.process import Runner
from tests.integration.channels.packaged import packaged
from tests.integration.channels.promotion_labs import Lab, promotion_lab
from tests.integration.channels.registry_labs import asking, docker_config, registry

REFUSED = int(ExitCode.NOTHING_MOVED)
PASSWORD, WRONG = "correct horse battery", "a wrong horse"
OPEN = ("--allow-insecure-registry=true", "--allow-http-registry=true")


@dataclass
class Scene:
    """A machine that promotes into a registry, with key pairs `ours` and `theirs` beside builder.toml.

    Attributes:
        said: all that the program said.
    """

    lab: Lab
    program: Path
    repository: Reference
    said: list[str] = field(default_factory=list)

    def asks(self, **signatures: object) -> None:
        """What is asked of signatures from here on."""
        names = {name.replace("_", "-"): value for name, value in signatures.items()}
        self.lab.settings = {**self.lab.settings, "signatures": names}

    def done(self, *words: str, status: int = 0) -> str:
        """What the program says, having ended as it should."""
        done = self.lab.run(*words)
        self.said.append(done.stdout + done.stderr)
        assert done.returncode == status, self.said[-1]
        return self.said[-1]

    def cosign(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run cosign by hand."""
        command = [str(self.program), *words]
        return subprocess.run(command, cwd=self.lab.folder, capture_output=True, text=True, timeout=120, check=False)

    def pinned(self, tag: str) -> str:
        """What a tag of the registry names, by its digest; empty for nothing."""
        with asking(self.repository.host, docker_config(self.lab.folder / "nobody")) as (asked, _):
            found = asked.find(self.repository.tagged(tag))
            return str(self.repository.pinned(found.digest)) if found else ""

    def all_named(self) -> tuple[str, ...]:
        """What engine and registry adopt, and had before."""
        return (*self.lab.channels(), self.pinned("latest"), self.pinned("previous"))

    def push(self, reference: str) -> str:
        """Push an image under its own tag; gives it by its digest."""
        tag = reference.rpartition(":")[2]
        self.lab.engine.tag(reference, str(self.repository.tagged(tag)))
        done = self.lab.engine.push(str(self.repository.tagged(tag)), timeout=120)
        assert done.returncode == 0, done.stderr
        return self.pinned(tag)


@pytest.fixture
def scene(engine: Engine, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    program = packaged("cosign", "usr/bin/cosign")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("COSIGN_PASSWORD", PASSWORD)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(docker_config(tmp_path / "docker")))
    with registry(tmp_path, kept=True) as running:
        repository = Reference.parse(f"{running.host}/ai/llama")
        with promotion_lab(engine, runner, tmp_path, {"registry": {"repository": str(repository)}}) as lab:
            scene = Scene(lab, program, repository)
            for name in ("ours", "theirs"):
                made = scene.cosign("generate-key-pair", "--output-key-prefix", name)
                assert made.returncode == 0, made.stderr
            yield scene


def test_a_promotion_signs_and_attests_and_everybody_with_the_public_key_sees_it(scene: Scene) -> None:
    reference = scene.lab.judged(10001)
    scene.asks(key="ours.key", public_key="ours.pub", required=True)
    scene.done("promote", reference)
    image = scene.pinned("latest")
    assert image == scene.pinned(reference.rpartition(":")[2])
    seen = scene.cosign("verify", "--key=ours.pub", "--insecure-ignore-tlog=true", *OPEN, image)
    assert seen.returncode == 0, seen.stderr
    digests = [one["critical"]["image"]["docker-manifest-digest"] for one in json.loads(seen.stdout)]
    assert digests == [image.rpartition("@")[2]]
    words = ("--key=ours.pub", "--insecure-ignore-tlog=true", f"--type={PREDICATE}", *OPEN, image)
    told = scene.cosign("verify-attestation", *words)
    assert told.returncode == 0, told.stderr
    statement = json.loads(base64.b64decode(json.loads(told.stdout)["payload"]))
    assert statement["predicate"]["result"] == "PASSED"
    for command in ("verify", "verify-attestation"):
        kind = (f"--type={PREDICATE}",) if command.endswith("attestation") else ()
        other = scene.cosign(command, "--key=theirs.pub", "--insecure-ignore-tlog=true", *kind, *OPEN, image)
        assert other.returncode != 0


@pytest.mark.parametrize("signed", [True, False], ids=["by another key", "by nobody"])
def test_what_is_not_signed_by_the_key_that_is_asked_for_is_refused(scene: Scene, signed: bool) -> None:
    first, second = scene.lab.judged(10001), scene.lab.judged(10002)
    scene.done("promote", first)
    image, before = scene.push(second), scene.all_named()
    if signed:
        made = scene.cosign("sign", "--yes", "--key=theirs.key", "--tlog-upload=false", *OPEN, image)
        assert made.returncode == 0, made.stderr
    scene.asks(public_key="ours.pub", required=True)
    said = scene.done("promote", second, status=REFUSED)
    assert "is not signed by the key that is asked for" in said
    assert scene.all_named() == before
    with scene.lab.ledger() as ledger:
        assert ledger.promotions.under_way() == ()


def test_a_key_that_is_not_the_one_that_is_asked_for_does_not_help(scene: Scene) -> None:
    reference = scene.lab.judged(10001)
    scene.asks(key="theirs.key", public_key="ours.pub", required=True)
    assert "is not signed by the key" in scene.done("promote", reference, status=REFUSED)
    assert scene.all_named() == ("", "", "", "")


def test_a_rollback_goes_only_to_what_is_signed_where_that_is_required(scene: Scene) -> None:
    unsigned, first, second = (scene.lab.judged(number) for number in (10001, 10002, 10003))
    scene.done("promote", unsigned)
    scene.asks(key="ours.key", public_key="ours.pub", required=True)
    scene.done("promote", first)
    scene.asks(public_key="ours.pub", required=True)
    before = scene.all_named()
    assert "is not signed by the key" in scene.done("rollback", status=REFUSED)
    assert scene.all_named() == before
    scene.asks(key="ours.key", public_key="ours.pub", required=True)
    scene.done("promote", second)
    scene.asks(public_key="ours.pub", required=True)
    scene.done("rollback")
    assert scene.lab.channels() == (scene.lab.id(first),) * 2
    assert scene.pinned("latest") == scene.pinned(first.rpartition(":")[2])


def test_no_password_is_ever_written_down(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = scene.lab.judged(10001), scene.lab.judged(10002)
    scene.asks(key="ours.key", public_key="ours.pub", required=True)
    scene.done("--verbose", "promote", first)
    before = scene.all_named()
    monkeypatch.setenv("COSIGN_PASSWORD", WRONG)
    assert "decryption failed" in scene.done("--verbose", "promote", second, status=REFUSED)
    assert scene.all_named() == before
    files = [file for file in scene.lab.folder.rglob("*") if file.is_file()]
    assert any(file.name == "commands.sh" and b"cosign sign" in file.read_bytes() for file in files)
    for word in (PASSWORD, WRONG):
        assert [file for file in files if word.encode() in file.read_bytes()] == []
        assert not [said for said in scene.said if word in said]
