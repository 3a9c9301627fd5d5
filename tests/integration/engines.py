"""A second Docker engine beside the first: its own folders, socket and network namespace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.engine import daemon
from builder.engine.client import Engine
from builder.engine.machine import admin_path
from builder.process import Runner


@contextmanager
def second_engine(runner: Runner, config: Mapping[str, object], programs: Path | None = None) -> Iterator[Engine]:
    """A daemon that lives as long as the context, with nothing in common with the machine's own.

    Its network namespace has loopback only: containers have no network, and no bridge or firewall rule of this machine
    is touched.

    Args:
        config: what daemon.json says.
        programs: a folder that comes first on its PATH.
    """
    if os.geteuid() or not shutil.which("dockerd", path=admin_path()):
        pytest.skip("a second engine needs root and dockerd")
    # Not pytest's own folder: the path of a socket may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="engine-"))
    (folder / "daemon.json").write_text(json.dumps(config), encoding="utf-8")
    host = f"unix://{folder}/docker.sock"
    path = f"{programs}:{admin_path()}" if programs else admin_path()
    options = {
        "config-file": folder / "daemon.json",
        "host": host,
        "data-root": folder / "data",
        "exec-root": folder / "exec",
        "pidfile": folder / "docker.pid",
        "containerd-namespace": f"second-{os.getpid()}",
        "containerd-plugins-namespace": f"second-plugins-{os.getpid()}",
        "iptables": "false",
        "ip6tables": "false",
    }
    begin = ("unshare", "--net", "env", f"PATH={path}", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    command = (*begin, "dockerd", *(f"--{k}={v}" for k, v in options.items()))
    engine = Engine(runner, host)
    try:
        daemon.start_detached(runner, engine, command, folder / "log")
        yield engine
    finally:
        daemon.stop(folder / "docker.pid")
        shutil.rmtree(folder, ignore_errors=True)


def beside(engine: Engine) -> tuple[str, ...]:
    """What a command starts with that is to reach the ports which a second engine publishes on loopback."""
    pid = Path(engine.endpoint.removeprefix("unix://")).with_name("docker.pid").read_text(encoding="ascii").strip()
    return "nsenter", f"--net=/proc/{pid}/ns/net", "--"


def copy_images(references: Sequence[str], source: Engine, target: Engine) -> None:
    """Bring images from one engine to another."""
    with subprocess.Popen([*source.command, "save", *references], stdout=subprocess.PIPE) as saving:
        loading = subprocess.run([*target.command, "load"], stdin=saving.stdout, capture_output=True, check=False)
    assert (saving.returncode, loading.returncode) == (0, 0)


def is_on_overlay(folder: Path) -> bool:
    """Whether a folder is on an overlay file system, which cannot hold the layers of another engine."""
    mounts = [line.split(" ") for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    holding = [mount for mount in mounts if folder.is_relative_to(mount[1])]
    return max(holding, key=lambda mount: len(mount[1]))[2] == "overlay"


def import_shell(
    runner: Runner, engine: Engine, folder: Path, reference: str, files: Mapping[str, str], changes: Sequence[str] = ()
) -> None:
    """Make an image of nothing but a shell, its C library and some scripts.

    Args:
        files: text by absolute path; they can be executed.
        changes: further Dockerfile instructions for its configuration.
    """
    shell = Path("/bin/sh").resolve()
    libraries = [word for word in runner.run(["ldd", str(shell)]).stdout.split() if word.startswith("/")]
    archive = folder / "shell.tar"
    with tarfile.open(archive, "w") as tar:
        tar.dereference = True
        tar.add(shell, "bin/sh")
        for library in libraries:
            tar.add(library, library.lstrip("/"))
        for name, text in files.items():
            script = folder / "script"
            script.write_text(text, encoding="utf-8")
            script.chmod(0o755)
            tar.add(script, name.lstrip("/"))
    engine.import_rootfs(archive, reference, ["ENV PATH=/usr/bin:/bin", *changes])
