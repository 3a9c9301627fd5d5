"""`builder doctor` against real engines; GPUs are made up, everything that hands them out is not."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from builder.engine import gpu
from builder.engine.client import Engine
from builder.engine.doctor import check_access, check_cache, judge_access, probe_image
from builder.process import Completed, Runner
from tests.integration.engines import import_shell, second_engine

IMAGE = "shell:1"
LISTING = '#!/bin/sh\n[ "$1" = -L ] && echo "GPU 0: ${MADE_UP_GPU:-Built-in} (UUID: GPU-0)"\n'
BROKEN = '#!/bin/sh\necho "Failed to initialize NVML: Unknown Error"\nexit 255\n'


def doctor(*options: str, **environment: str) -> Completed:
    return Runner().run([sys.executable, "-m", "builder", "doctor", *options], timeout=120, env=environment)


def offer(specifications: Path, smi: Path | None) -> None:
    """Let CDI offer one GPU; the driver's program comes with it or not."""
    edits: dict[str, object] = {"env": ["MADE_UP_GPU=Made Up"]}
    if smi:
        edits["mounts"] = [{"hostPath": str(smi), "containerPath": "/usr/bin/nvidia-smi", "options": ["ro", "bind"]}]
    device = {"name": "all", "containerEdits": edits}
    document = {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [device]}
    draft = specifications / "draft"
    draft.write_text(json.dumps(document), encoding="utf-8")
    draft.replace(specifications / "nvidia.json")


def script(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
    return file


@pytest.fixture(scope="module")
def specifications(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cdi")


@pytest.fixture(scope="module")
def cdi_engine(tmp_path_factory: pytest.TempPathFactory, specifications: Path) -> Iterator[Engine]:
    """An engine that reads CDI specifications and has no NVIDIA runtime."""
    folder = tmp_path_factory.mktemp("second")
    config = {"experimental": True, "features": {"cdi": True}, "cdi-spec-dirs": [str(specifications)]}
    runner = Runner()
    with second_engine(runner, config) as engine:
        import_shell(runner, engine, folder, IMAGE, {})
        yield engine
        assert engine.ask("ps", "--all", "--quiet").stdout == "", "a probe left a container behind"


def test_a_container_that_lists_a_gpu_is_proof(cdi_engine: Engine, specifications: Path, tmp_path: Path) -> None:
    offer(specifications, script(tmp_path, "nvidia-smi", LISTING))
    access = gpu.probe_access(cdi_engine, IMAGE)
    assert access == gpu.GpuAccess("cdi", ("GPU 0: Made Up (UUID: GPU-0)",), {})
    check = check_access(cdi_engine, "local-ai-llama", has_gpus=True)
    assert (check.status, check.detail) == ("ok", "a container got 1 GPU by CDI")


def test_a_gpu_that_was_lost_is_no_access(cdi_engine: Engine, specifications: Path, tmp_path: Path) -> None:
    offer(specifications, script(tmp_path, "nvidia-smi", BROKEN))
    access = gpu.probe_access(cdi_engine, IMAGE)
    assert access.method is None
    assert access.refusals["cdi"] == "Failed to initialize NVML: Unknown Error"
    assert "restart of Docker" in judge_access(access, has_gpus=True).advice


def test_a_device_without_the_driver_proves_nothing(cdi_engine: Engine, specifications: Path) -> None:
    offer(specifications, None)
    access = gpu.probe_access(cdi_engine, IMAGE)
    assert access.method is None
    assert "nvidia-smi" in access.refusals["cdi"]


def test_a_missing_specification_is_advised_on(cdi_engine: Engine, specifications: Path) -> None:
    (specifications / "nvidia.json").unlink(missing_ok=True)
    access = gpu.probe_access(cdi_engine, IMAGE)
    assert access.method is None
    check = judge_access(access, has_gpus=True)
    assert check.status == "warn"
    assert "nvidia-ctk cdi generate" in check.advice


def test_the_runtime_hook_is_the_other_way(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("hook")
    programs = tmp_path_factory.mktemp("programs")
    script(programs, "nvidia-container-runtime-hook", "#!/bin/sh\nexit 0\n")
    runner = Runner()
    with second_engine(runner, {}, programs) as engine:
        assert probe_image(engine, "local-ai-llama") is None
        assert "no image" in check_access(engine, "local-ai-llama", has_gpus=True).detail
        import_shell(runner, engine, folder, IMAGE, {"/usr/bin/nvidia-smi": LISTING})
        access = gpu.probe_access(engine, IMAGE)
    assert access.method == "runtime"
    assert access.devices == ("GPU 0: Built-in (UUID: GPU-0)",)
    assert "cdi" in access.refusals["cdi"].lower()


def test_this_machine_is_described_as_one_document() -> None:
    done = doctor("--json")
    document = json.loads(done.stdout)
    checks = {check["name"]: check for check in document["checks"]}
    assert document["schema_version"] == 1
    assert document["usable"] == (done.returncode == 0)
    assert checks["engine"]["status"] == "ok"
    assert {"buildx", "image store", "cores", "disk (engine)", "cache", "git", "GPUs", "GPU access"} <= checks.keys()
    assert all(check["advice"] for check in document["checks"] if check["status"] == "missing")


def test_the_table_fits_a_narrow_terminal() -> None:
    terminal, shown = pty.openpty()
    fcntl.ioctl(shown, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, "-m", "builder", "doctor"], stdout=shown, stderr=shown, env=environment)
    os.close(shown)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", _read_until_closed(terminal).decode()).splitlines()
    assert process.wait() == 0
    assert any(line.startswith("ok") and " engine " in line for line in lines)
    assert max(len(line.rstrip()) for line in lines) <= 80


def _read_until_closed(terminal: int) -> bytes:
    text = b""
    with os.fdopen(terminal, "rb", buffering=0) as file, suppress(OSError):
        while chunk := file.read(4096):
            text += chunk
    return text


def test_without_an_engine_the_machine_is_not_usable(tmp_path: Path) -> None:
    done = doctor("--json", DOCKER_HOST=f"unix://{tmp_path}/nothing.sock")
    assert done.returncode == 3
    (engine,) = (check for check in json.loads(done.stdout)["checks"] if check["name"] == "engine")
    assert engine["status"] == "missing"
    assert "DOCKER_HOST" in engine["advice"]


def test_what_keeps_the_machine_from_building_is_named_last(tmp_path: Path) -> None:
    done = doctor(DOCKER_HOST=f"unix://{tmp_path}/nothing.sock")
    assert done.returncode == 3
    assert done.stderr.strip() == "Nothing can be built here until this is mended: engine."


def test_without_a_client_the_machine_is_not_usable(tmp_path: Path) -> None:
    done = doctor("--json", PATH=str(tmp_path))
    assert done.returncode == 3
    missing = {check["name"] for check in json.loads(done.stdout)["checks"] if check["status"] == "missing"}
    assert missing == {"engine", "git"}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_missing(tmp_path: Path) -> None:
    runner = Runner()
    mounted = runner.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(tmp_path)])
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        check = check_cache(tmp_path)
    finally:
        runner.run(["umount", str(tmp_path)])
    assert check.status == "missing"
    assert "a build needs 5.00 GB" in check.detail
