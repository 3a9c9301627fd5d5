"""Debian's own registry as a process on loopback: open, behind a password, behind tokens, over TLS."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from builder.channels.registry.manifest import OCI_INDEX, OCI_MANIFEST, Manifest
from builder.channels.registry.opening import open_registry
from builder.channels.registry.reference import Reference
from builder.channels.registry.transport import Patience, Trust
from builder.process import Runner
from tests.integration.channels.packaged import packaged
from tests.ports import free_port

QUICK = Patience(answer=5, connect=2, tries=3, pause=0.02, longest=1.5)
USER, PASSWORD = "builder", "secret"
_HTPASSWD = "builder:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"
"""The password as bcrypt writes it; the registry takes no other."""
_START = 60.0


@dataclass(frozen=True)
class Lab:
    """A running registry.

    Attributes:
        host: as images in it are named.
        tls: trusts its certificate; None where it speaks in the clear.
    """

    host: str
    tls: ssl.SSLContext | None = None

    @property
    def address(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}"

    def upload(self, repository: str, content: bytes, login: tuple[str, str] | None = None) -> str:
        """Put a blob there; gives its digest."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        with httpx.Client(base_url=self.address, verify=self.tls or True, auth=login, trust_env=False) as http:
            begun = http.post(f"/v2/{repository}/blobs/uploads/")
            begun.raise_for_status()
            http.put(httpx.URL(begun.headers["Location"]).copy_merge_params({"digest": digest}), content=content)
        return digest


@dataclass(frozen=True)
class Tls:
    """A certificate for 127.0.0.1, and who vouches for it."""

    authority: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))


def registry_program() -> str:
    """The registry's program."""
    return str(packaged("docker-registry", "usr/bin/docker-registry"))


@contextmanager
def registry(
    folder: Path,
    *,
    auth: Mapping[str, object] | None = None,
    tls: Tls | None = None,
    kept: bool = False,
    prefix: Sequence[str] = (),
    port: int | None = None,
) -> Iterator[Lab]:
    """A registry that lives as long as the context.

    Args:
        folder: where its configuration and its log are written.
        auth: how it looks at who asks, as in its configuration.
        kept: what it has is in the folder, and there for the next one.
        prefix: what it is started with, such as a program that enters a namespace.
        port: of this machine; None takes any.
    """
    port = port or free_port()
    storage = {"filesystem": {"rootdirectory": str(folder / "data")}} if kept else {"inmemory": {}}
    http: dict[str, object] = {"addr": f"127.0.0.1:{port}", "secret": "x"}
    if tls:
        http["tls"] = {"certificate": str(tls.certificate), "key": str(tls.key)}
    config: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {**storage, "delete": {"enabled": True}},
        "http": http,
    }
    if auth:
        config["auth"] = auth
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([*prefix, registry_program(), "serve", file], stdout=log, stderr=log)
    try:
        _await(port, process, folder / "log", prefix)
        yield Lab(f"127.0.0.1:{port}", tls.context() if tls else None)
    finally:
        process.terminate()
        process.wait(10)


def with_password(folder: Path) -> Mapping[str, object]:
    """The setting of a registry that asks for a password."""
    file = folder / "htpasswd"
    file.write_text(_HTPASSWD, encoding="utf-8")
    return {"htpasswd": {"realm": "lab", "path": str(file)}}


def make_tls(folder: Path, runner: Runner) -> Tls:
    """A certificate authority of a minute ago, and a certificate for this machine."""
    folder.mkdir()
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    authority, authority_key = folder / "ca.crt", folder / "ca.key"
    certificate, key = folder / "server.crt", folder / "server.key"
    usage = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    _openssl(runner, *new, "-subj", "/CN=lab authority", *usage, "-keyout", str(authority_key), "-out", str(authority))
    names = ("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE")
    signed = ("-CA", str(authority), "-CAkey", str(authority_key))
    _openssl(runner, *new, "-subj", "/CN=lab", *names, *signed, "-keyout", str(key), "-out", str(certificate))
    return Tls(authority, certificate, key)


def _openssl(runner: Runner, *command: str) -> None:
    done = runner.run(command, timeout=30)
    assert done.returncode == 0, done.stderr


def docker_config(folder: Path, **config: Any) -> Path:
    """A folder of Docker's client with a configuration."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def login(host: str, user: str = USER, password: str = PASSWORD) -> dict[str, dict[str, str]]:
    """What `docker login` writes under `auths`."""
    return {host: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}}


def image_in(lab: Lab, repository: str, seed: str, logged_in: tuple[str, str] | None = None) -> Manifest:
    """A manifest whose blobs are in a repository; it is itself not there yet.

    Args:
        seed: makes it another one.
    """
    config = json.dumps({"architecture": "amd64", "os": "linux", "seed": seed}).encode()
    layer = f"layer of {seed}".encode()
    parts = [
        {"digest": lab.upload(repository, content, logged_in), "size": len(content), "mediaType": f"x/{kind}"}
        for kind, content in (("config", config), ("layer", layer))
    ]
    # Not as Python would write it: the bytes have to stay as they are.
    text = json.dumps(
        {"mediaType": OCI_MANIFEST, "schemaVersion": 2, "config": parts[0], "layers": parts[1:]}, indent=3
    )
    return Manifest.read(OCI_MANIFEST, text.encode() + b"\n", seed)


def index_of(*manifests: Manifest) -> Manifest:
    """An index of manifests."""
    listed = [{"mediaType": one.media_type, "digest": one.digest, "size": len(one.content)} for one in manifests]
    text = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}, indent=1)
    return Manifest.read(OCI_INDEX, text.encode(), "index")


@contextmanager
def asking(host: str, folder: Path, **options: Any) -> Iterator[tuple[Any, Reference]]:
    """The client, and the reference of a tag in a repository of its own.

    Args:
        folder: of Docker's client.
    """
    options = {"patience": QUICK, "trust": Trust(certificates=()), **options}
    with open_registry(host, Runner(), folder=folder, **options) as opened:
        yield opened, Reference.parse(f"{host}/some/llama:latest")


def _await(port: int, process: subprocess.Popen[bytes], log: Path, prefix: Sequence[str]) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(port, prefix):
            return
        time.sleep(0.02)
    pytest.fail(f"the registry does not start: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def _answers(port: int, prefix: Sequence[str]) -> bool:
    if prefix:
        look = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        return subprocess.run([*prefix, sys.executable, "-c", look], capture_output=True, check=False).returncode == 0
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
