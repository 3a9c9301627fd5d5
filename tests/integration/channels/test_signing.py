"""Signatures by the real cosign, in a real registry, with no service beside it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder.channels.cosign import Cosign, NotSigned
from builder.channels.ledger.evidence import UsedGpu, VerdictEntry
from builder.channels.registry.transport import Trust
from builder.channels.signing import Keys, attest, attested, sign, verify
from builder.errors import MachineError
from builder.process import Runner
from tests.integration.channels.packaged import packaged
from tests.integration.channels.registry_labs import (
    Lab,
    asking,
    docker_config,
    image_in,
    login,
    registry,
    with_password,
)

PASSWORD = "correct horse"
REPOSITORY = "some/llama"


@pytest.fixture(scope="module")
def program() -> str:
    return str(packaged("cosign", "usr/bin/cosign"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with registry(tmp_path_factory.mktemp("registry")) as lab:
        yield lab


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Cosign finds its password, and nothing but loopback."""
    monkeypatch.setenv("COSIGN_PASSWORD", PASSWORD)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(docker_config(tmp_path / "docker")))
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def keys(program: str, tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return pair(program, tmp_path_factory.mktemp("keys"))


def cosign_of(program: str, folder: Path) -> Cosign:
    return Cosign(Runner(folder / "commands.sh"), Trust(), program)


def test_what_was_signed_is_verified_and_nothing_else_is(program: str, lab: Lab, keys: Keys, tmp_path: Path) -> None:
    cosign = cosign_of(program, tmp_path)
    reference, other = published(lab, "b1", tmp_path), published(lab, "b2", tmp_path)
    with pytest.raises(NotSigned, match="no signatures found"):
        verify(reference, keys, cosign)
    sign(reference, keys, cosign)
    sign(reference, keys, cosign)
    verify(reference, keys, cosign)
    with pytest.raises(NotSigned):
        verify(other, keys, cosign)
    with pytest.raises(NotSigned):
        verify(reference, pair(program, tmp_path), cosign)


def test_verdicts_are_attested_once_and_come_back_as_they_were(
    program: str, lab: Lab, keys: Keys, tmp_path: Path
) -> None:
    cosign = cosign_of(program, tmp_path)
    reference = published(lab, "b3", tmp_path)
    said = [verdict("smoke", "pass"), verdict("soak", "could not judge")]
    assert attested(reference, keys, cosign) == ()
    attest(reference, said[:1], keys, cosign)
    attest(reference, said, keys, cosign)
    assert sorted(one.gate for one in attested(reference, keys, cosign)) == ["smoke", "soak"]
    assert {one.id for one in attested(reference, keys, cosign)} == {one.id for one in said}
    assert (tmp_path / "commands.sh").read_text(encoding="utf-8").count(" attest --tlog-upload=false") == 2
    assert attested(reference, pair(program, tmp_path), cosign) == ()


def test_without_keys_nothing_is_signed_and_nothing_asked_for(lab: Lab, tmp_path: Path) -> None:
    cosign = cosign_of(str(tmp_path / "there-is-none"), tmp_path)
    reference, none = published(lab, "b4", tmp_path), Keys(None, None, required=False)
    sign(reference, none, cosign)
    attest(reference, [verdict("smoke", "pass")], none, cosign)
    verify(reference, none, cosign)
    assert attested(reference, none, cosign) == ()


def test_a_wrong_password_is_told_and_none_is_ever_written_down(
    program: str, lab: Lab, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosign = cosign_of(program, tmp_path)
    reference = published(lab, "b5", tmp_path)
    sign(reference, keys, cosign)
    for wrong in ("a wrong horse", None):
        if wrong:
            monkeypatch.setenv("COSIGN_PASSWORD", wrong)
        else:
            monkeypatch.delenv("COSIGN_PASSWORD")
        with pytest.raises(MachineError, match="decryption failed") as told:
            sign(published(lab, "b6", tmp_path), keys, cosign)
        assert "horse" not in str(told.value.document())
    assert "horse" not in (tmp_path / "commands.sh").read_text(encoding="utf-8")


def test_a_registry_that_is_down_and_a_key_that_is_missing_are_no_missing_signature(
    program: str, lab: Lab, keys: Keys, tmp_path: Path
) -> None:
    cosign = cosign_of(program, tmp_path)
    with pytest.raises(MachineError, match="connection refused"):
        verify(f"127.0.0.1:1/some/llama@sha256:{'ab' * 32}", keys, cosign)
    with pytest.raises(MachineError, match=r"public key .* is not there"):
        verify(published(lab, "b7", tmp_path), Keys(None, tmp_path / "none.pub", required=True), cosign)


def test_a_missing_program_is_told_with_its_package(lab: Lab, keys: Keys, tmp_path: Path) -> None:
    cosign = cosign_of(str(tmp_path / "cosign"), tmp_path)
    with pytest.raises(MachineError, match="is not installed") as told:
        verify(published(lab, "b8", tmp_path), keys, cosign)
    assert "package `cosign`" in told.value.remedy


def test_dockers_credentials_open_the_registry(
    program: str, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosign = cosign_of(program, tmp_path)
    with registry(tmp_path, auth=with_password(tmp_path)) as lab:
        folder = docker_config(tmp_path / "known", auths=login(lab.host))
        manifest = image_in(lab, REPOSITORY, "b1", ("builder", "secret"))
        with asking(lab.host, folder) as (opened, reference):
            opened.put(reference.tagged("b1"), manifest)
            image = str(reference.pinned(manifest.digest))
        with pytest.raises(MachineError, match=r"(?i)unauthorized"):
            sign(image, keys, cosign)
        monkeypatch.setenv("DOCKER_CONFIG", str(folder))
        sign(image, keys, cosign)
        verify(image, keys, cosign)


def test_a_tag_is_never_signed(program: str, lab: Lab, keys: Keys, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no digest"):
        sign(f"{lab.host}/{REPOSITORY}:b1", keys, cosign_of(program, tmp_path))


def published(lab: Lab, tag: str, folder: Path) -> str:
    """An image in the registry, by its digest."""
    manifest = image_in(lab, REPOSITORY, tag)
    with asking(lab.host, docker_config(folder / "docker")) as (opened, reference):
        opened.put(reference.tagged(tag), manifest)
        return str(reference.pinned(manifest.digest))


def pair(program: str, folder: Path) -> Keys:
    """A key pair of its own."""
    command = [program, "generate-key-pair", "--output-key-prefix", "k"]
    environ = {**os.environ, "COSIGN_PASSWORD": PASSWORD}
    subprocess.run(command, cwd=folder, env=environ, capture_output=True, timeout=60, check=True)
    return Keys(folder / "k.key", folder / "k.pub", required=True)


def verdict(gate: str, outcome: str) -> VerdictEntry:
    gpus = (UsedGpu("GPU-1", "NVIDIA GeForce RTX 3090", "580.1"),)
    document = {"gate": gate, "outcome": outcome, "checks": [{"name": "a", "outcome": outcome}]}
    return VerdictEntry(f"sha256:{'cd' * 32}", gate, outcome, datetime.now(UTC), "lab", gpus, document)  # type: ignore[arg-type]
