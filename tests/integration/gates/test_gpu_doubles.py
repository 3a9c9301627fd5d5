"""Judging on GPUs that are made up: everything that lists them, hands them out and watches them is real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import IO, Any

import pytest

from builder.engine.client import Engine
from builder.engine.throwaway import MACHINE, RUN
from builder.errors import ExitCode
from builder.image.bases import Choice
from builder.process import Runner
from tests.integration.engines import beside, copy_images, is_on_overlay, second_engine
from tests.integration.gates.gpu_doubles import (
    H100,
    L4,
    compile_nvml,
    offer,
    offer_all,
    write_smi,
)
from tests.integration.gates.structure_labs import variation

CLAIMS = "LABEL local.builder.variant=cuda local.builder.cuda=13.0"
"""What makes a real image for the CPU claim to be one for GPUs."""
FEW = """
[profiles.chat]
users = 3
"""


class Host:
    """A machine with two GPUs, as programs see it.

    Attributes:
        engine: that hands the GPUs out.
        specifications: its CDI folder.
        image: that claims to be for GPUs.
        programs: first on PATH.
        figures: what the driver's library tells, by file.
    """

    def __init__(self, engine: Engine, image: str, folder: Path) -> None:
        self.engine = engine
        self.image = image
        self.folder = folder
        self.specifications = folder / "cdi"
        self.programs = folder / "bin"
        self.figures = folder / "figures"

    def command(self, *words: str) -> tuple[str, ...]:
        return (*beside(self.engine), sys.executable, "-m", "builder", *words)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DOCKER_HOST": self.engine.endpoint,
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": str(self.programs),
            "NVML_DOUBLE": str(self.figures),
        }

    def builder(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
            env=self.environment,
            cwd=self.folder,
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.command(*words), stdout=pipe, stderr=pipe, text=True, env=self.environment, cwd=self.folder
        )

    def containers(self) -> list[str]:
        return self.engine.ask("ps", "--all", "--quiet", "--filter", f"label={RUN}").stdout.split()

    def tell(self, gpu: int, **figures: int) -> None:
        for name, value in figures.items():
            (self.figures / f"{gpu}.{name}").write_text(str(value), encoding="ascii")


@pytest.fixture(scope="module")
def machine(
    engine: Engine, runner: Runner, cpu_image: str, cpu_bases: Choice, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    if is_on_overlay(Path(tempfile.gettempdir())):
        pytest.skip("the temporary folder is on an overlay file system, which cannot hold an engine's layers")
    folder = tmp_path_factory.mktemp("gpus")
    for name in ("cdi", "bin", "figures"):
        (folder / name).mkdir()
    (folder / "builder.toml").write_text(FEW, encoding="utf-8")
    compile_nvml(engine, cpu_bases.bases.devel, folder / "bin")
    config = {"experimental": True, "features": {"cdi": True}, "cdi-spec-dirs": [str(folder / "cdi")]}
    with second_engine(runner, config) as second, variation(engine, cpu_image, CLAIMS, root=False) as claiming:
        reference = claiming.references[0]
        copy_images([reference], engine, second)
        yield Host(second, reference, folder)


@pytest.fixture
def host(machine: Host) -> Iterator[Host]:
    """The machine as it should be; no container is left on it afterwards."""
    write_smi(machine.programs)
    offer_all(machine.specifications)
    for file in machine.figures.iterdir():
        file.unlink()
    yield machine
    assert machine.containers() == []


def checks_of(verdict: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {check["name"]: (check["outcome"], check["detail"]) for check in verdict["checks"]}


def test_each_gpu_is_judged_by_itself_and_the_cpu_does_not_pass_for_one(host: Host) -> None:
    host.tell(0, neighbour=os.getpid())
    host.tell(1, growth=2 << 20)
    done = host.builder("smoke", host.image, "--gpus", f"0, {H100.uuid}", "--profile", "chat", "--json")
    assert done.returncode == ExitCode.SMOKE, done.stderr
    document = json.loads(done.stdout)
    assert document["exit_code"] == ExitCode.SMOKE
    on_l4, on_h100 = document["verdicts"]
    for verdict, gpu in ((on_l4, L4), (on_h100, H100)):
        (known,) = verdict["machine"]["gpus"]
        assert (known["index"], known["uuid"], known["name"]) == (gpu.index, gpu.uuid, gpu.name)
        assert known["power_limit"] == gpu.watts
        assert verdict["outcome"] == "fail"
        checks = checks_of(verdict)
        assert checks["completion"][0] == "pass", "its answers are right"
        assert {"devices", "offload", "graphs", "log"} <= {
            name for name, (outcome, _) in checks.items() if outcome == "fail"
        }
        assert "names no CUDA device" in checks["devices"][1]
        assert "failed twice" in verdict["reasons"][-1]
        logs = [Path(log) for log in verdict["logs"]]
        assert [log.name[:11] for log in logs] == ["smoke-chat-", "smoke-chat-", "commands.sh"]
        assert all(log.is_file() for log in logs)
    commands = Path(on_l4["logs"][-1]).read_text(encoding="utf-8")
    assert f"--device nvidia.com/gpu={L4.uuid}" in commands
    assert f"GPU {L4.index}: smoke" in done.stderr
    assert f"GPU {H100.index}: smoke" in done.stderr
    flat, grows = checks_of(on_l4)["memory"], checks_of(on_h100)["memory"]
    assert flat[0] == "pass", flat
    assert f"used by process {os.getpid()}" in flat[1]
    assert on_l4["measurements"]["gpu_neighbours"] == 1
    assert on_l4["measurements"]["gpu_memory_mib"] == 1000
    assert grows[0] == "fail"
    assert "that its processes hold grows by 205 KiB with each" in grows[1]


def test_the_table_names_the_gpu_and_says_what_came_of_it(host: Host) -> None:
    offer(host.specifications, {"0": H100})
    done = host.builder("smoke", host.image, "--profile", "chat")
    assert done.returncode == ExitCode.UNJUDGED, done.stderr
    title, gpu, *rest = done.stdout.splitlines()
    assert title.startswith("smoke (chat) on GPU 0: could not judge")
    assert gpu.strip() == "NVIDIA L4 (GPU-aaaaaaaa), 24.15 GB, driver 580.65.06, at most 72 W"
    assert H100.uuid in "".join(line.strip() for line in rest)


def test_another_gpu_in_the_container_than_was_asked_for_is_not_judged_on(host: Host) -> None:
    offer(host.specifications, {"0": H100, "1": L4})
    done = host.builder("judge", host.image, "--gate", "smoke", "--gpus", "all", "--json")
    assert done.returncode == ExitCode.UNJUDGED, done.stderr
    for verdict, wanted, given in zip(json.loads(done.stdout)["verdicts"], (L4, H100), (H100, L4), strict=True):
        assert f"it gets GPU 0: {given.name} (UUID: {given.uuid}) instead of {wanted.uuid}" in verdict["reasons"][0]


def test_older_specifications_name_gpus_by_number_only(host: Host) -> None:
    offer(host.specifications, {"0": L4, "1": H100})
    done = host.start("smoke", host.image, "--gpus", "1", "--profile", "chat")
    assert container_on(host, H100.uuid)
    done.send_signal(signal.SIGINT)
    done.communicate(timeout=120)


def test_a_gpu_that_the_container_does_not_see_is_not_judged_on(host: Host) -> None:
    offer(host.specifications, {"0": L4}, "#!/bin/sh\necho No devices were found\n")
    done = host.builder("judge", host.image, "--gate", "smoke", "--json")
    assert done.returncode == ExitCode.UNJUDGED, done.stderr
    (verdict,) = json.loads(done.stdout)["verdicts"]
    assert "Containers do not get GPU 0" in verdict["reasons"][0]
    assert "No devices were found" in verdict["reasons"][0]


@pytest.mark.parametrize("gpus", ["auto", "0,1"])
def test_a_driver_that_is_too_old_is_refused_before_anything_starts(host: Host, gpus: str) -> None:
    write_smi(host.programs, "550.54.15")
    done = host.builder("--verbose", "judge", host.image, "--gate", "smoke", "--gpus", gpus, "--json")
    assert done.returncode == ExitCode.UNJUDGED, done.stderr
    told = "Driver 550.54.15 serves CUDA up to 12.4; this image needs 13.0."
    remedy = "Install driver 580 or newer, or build with `--cuda-release 12.4`."
    reasons = [verdict["reasons"] for verdict in json.loads(done.stdout)["verdicts"]]
    assert reasons == [[f"{told} {remedy}"]] * len(gpus.split(","))
    assert "docker" in done.stderr
    assert " run " not in done.stderr


def test_a_gpu_by_two_names_is_refused(host: Host) -> None:
    done = host.builder("judge", host.image, "--gpus", f"0,{L4.uuid}", "--json")
    assert done.returncode == ExitCode.USAGE
    assert json.loads(done.stdout)["error"]["cause"] == f"--gpus names GPU 0 twice, as 0 and {L4.uuid}."


@pytest.mark.parametrize("wanted", ["7", "0,7", "GPU-cccc"])
def test_a_gpu_that_is_not_there_is_answered_with_those_that_are(host: Host, wanted: str) -> None:
    done = host.builder("judge", host.image, "--gpus", wanted, "--json")
    assert done.returncode == ExitCode.USAGE
    error = json.loads(done.stdout)["error"]
    assert error["cause"] == f"There is no GPU {wanted.removeprefix('0,')} on this machine."
    assert error["excerpt"] == [f"0: {L4.name}, {L4.uuid}", f"1: {H100.name}, {H100.uuid}"]


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_ends_what_runs_on_all_gpus(host: Host, signum: int, status: int) -> None:
    process = host.start("smoke", host.image, "--gpus", "all", "--profile", "chat")
    assert container_on(host, L4.uuid)
    assert container_on(host, H100.uuid)
    process.send_signal(signum)
    process.communicate(timeout=120)
    assert process.returncode == status
    assert host.containers() == []


ASKED = {
    "--version": "none",
    "--help": "none",
    "-L": "none",
    "--list-devices": "none",
    "/": "none",
    "--model": "default",
}
"""A word of what each kind of container is asked, and its network."""


def test_every_container_is_marked_and_fenced(host: Host) -> None:
    seen: dict[str, dict[str, Any]] = {}
    runs: list[subprocess.Popen[str]] = []
    with watched(host, seen):
        for _ in range(5):
            judge = host.start("judge", host.image, "--gate", "version", "--gate", "structure")
            smoke = host.start("smoke", host.image, "--profile", "chat")
            runs += [judge, smoke]
            judge.communicate(timeout=300)
            assert wait_for(lambda: "--model" in seen)
            smoke.send_signal(signal.SIGINT)
            smoke.communicate(timeout=120)
            if seen.keys() == set(ASKED):
                break
    assert seen.keys() == set(ASKED)
    for word, facts in seen.items():
        fence, labels = facts["HostConfig"], facts["Config"]["Labels"]
        assert labels[RUN].rpartition("-")[2] in {str(process.pid) for process in runs}, word
        assert MACHINE in labels
        assert fence["ReadonlyRootfs"], word
        assert fence["Tmpfs"].keys() == {"/tmp"}
        assert fence["CapDrop"] == ["ALL"]
        assert not fence["CapAdd"]
        assert "no-new-privileges" in fence["SecurityOpt"]
        assert not fence["Privileged"]
        assert 0 < fence["PidsLimit"] <= 2048
        assert fence["Memory"] > 0
        assert fence["NetworkMode"] in ({"default", "bridge"} if word == "--model" else {"none"})
        assert {port["HostIp"] for ports in fence["PortBindings"].values() for port in ports} <= {"127.0.0.1"}
        assert not [mount for mount in facts["Mounts"] if mount["RW"]]


@contextmanager
def watched(host: Host, seen: dict[str, dict[str, Any]]) -> Iterator[None]:
    """Note the containers that are made meanwhile, by what they are asked; one may be gone before it is looked at."""
    command = [*host.engine.command, "events", "--filter", "event=create", "--format", "{{.ID}}"]

    def note(made: IO[str]) -> None:
        for line in made:
            for facts in json.loads(host.engine.ask("inspect", line.strip()).stdout or "[]"):
                words = facts["Args"] or [facts["Path"]]
                seen.update({word: facts for word in ASKED if word in words or word == facts["Path"]})

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as events:
        assert events.stdout
        thread = Thread(target=note, args=(events.stdout,))
        thread.start()
        try:
            yield
        finally:
            events.terminate()
            thread.join(60)


def container_on(host: Host, uuid: str) -> bool:
    """Wait until a server's container runs with a GPU."""
    return wait_for(
        lambda: any(f"GPU_DOUBLE={uuid}" in environment and "--model" in words for words, environment in running(host))
    )


def running(host: Host) -> Iterator[tuple[str, str]]:
    """Command lines and environments of the containers' processes."""
    for container in host.engine.ask("ps", "--quiet", "--no-trunc").stdout.split():
        shown = host.engine.ask("inspect", "--format", "{{.State.Pid}} {{json .Args}}", container).stdout
        pid, _, words = shown.partition(" ")
        try:
            yield words, Path(f"/proc/{pid}/environ").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue


def wait_for(holds: Callable[[], bool]) -> bool:
    until = monotonic() + 180
    while monotonic() < until:
        if holds():
            return True
        sleep(0.1)
    return False
