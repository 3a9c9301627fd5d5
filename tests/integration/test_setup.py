"""`builder setup` on a fresh Debian 12: a root file system of its own, without engine, in a container.

The container is as much of a machine as its set-up needs: privileged, with its own network, no systemd, and apt
set to the mirror that this machine uses.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import pytest

from builder.console import Reporter
from builder.engine import packages
from builder.engine.apt_sources import AptSource, archive_of, read_sources
from builder.engine.client import Engine
from builder.engine.machine import find_program, this_distribution
from builder.engine.setup import PREFERENCES_FILE, SOURCES_FILE
from builder.process import Completed, Runner

REPOSITORY = Path(__file__).parents[2]
RELEASE, PYTHON = "bookworm", "3.11"
INCLUDED = "ca-certificates,python3"
LIFETIME = "1200"
"""Seconds after which a machine that was left behind ends by itself."""
SETTINGS = ("Acquire::http", "Acquire::Check-")
"""How apt reaches and trusts the mirror from here, such as through a proxy."""


@dataclass(frozen=True)
class Machine:
    """A running container that knows nothing of builds yet."""

    name: str
    runner: Runner

    def run(self, *command: str, user: str = "root", timeout: float = 300) -> Completed:
        return self.runner.run(["docker", "exec", "--user", user, self.name, *command], timeout=timeout)

    def builder(self, *arguments: str, user: str = "root") -> Completed:
        return self.run("python3", "-m", "builder", *arguments, user=user)

    def has(self, path: str) -> bool:
        return self.run("test", "-e", path).returncode == 0

    def state(self) -> str:
        """All packages, and all files but those of logs and caches."""
        files = ("find", "/etc", "/usr", "/opt", "/var/lib/dpkg", "/var/lib/apt", "-printf", "%p %s %T@\n")
        return self.run("dpkg", "--list").stdout + self.run(*files).stdout


@dataclass(frozen=True)
class SetUp:
    """A machine after its set-up was cut off and then run again, and what was seen on the way."""

    machine: Machine
    before: dict[str, str]
    interrupted: Completed
    left_running: str
    finished: Completed


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A fresh Debian 12 with Python, and our own dependencies beside it; made once and kept."""
    source = archive_of(read_sources(), this_distribution().codename)
    if this_distribution().id != "debian" or source is None:
        pytest.skip("a Debian root file system is made from the archive that a Debian machine uses")
    runner = Runner()
    engine = Engine(runner)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    settings = _apt_settings(runner)
    stanza = source.stanza(RELEASE)
    recipe = [RELEASE, PYTHON, INCLUDED, stanza, settings, project["dependencies"]]
    digest = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]
    reference = f"builder-test/fresh-debian:{digest}"
    if engine.image(reference) is None:
        archive = _make_root(runner, tmp_path_factory.mktemp("root"), source, settings, project["dependencies"])
        changes = ["ENV PYTHONPATH=/repository:/opt/python", "ENV PYTHONDONTWRITEBYTECODE=1", "ENV HOME=/tmp"]
        engine.import_rootfs(archive, reference, changes)
        archive.unlink()
    return reference


@pytest.fixture
def start(image: str) -> Iterator[Callable[..., Machine]]:
    """Start machines that end with the test."""
    with_machines: list[Machine] = []

    def start_one(*options: str) -> Machine:
        machine = _start(image, *options)
        with_machines.append(machine)
        return machine

    yield start_one
    for machine in with_machines:
        _end(machine)


@pytest.fixture(scope="module")
def done(image: str) -> Iterator[SetUp]:
    """A machine whose first set-up was interrupted while packages were unpacked, and whose second was not."""
    machine = _start(image)
    try:
        before = _versions(machine)
        interrupted = _interrupted_setup(machine, when=lambda: machine.has("/var/lib/dpkg/info/docker-cli.list"))
        left_running = machine.run("sh", "-c", "cat /proc/[0-9]*/comm").stdout
        yield SetUp(machine, before, interrupted, left_running, machine.builder("setup"))
    finally:
        _end(machine)


def test_an_interruption_ends_at_once_and_leaves_nothing_running(done: SetUp) -> None:
    assert done.interrupted.returncode == 130
    assert "Install docker.io" in done.interrupted.stderr
    assert not {"apt-get", "dpkg", "dpkg-deb"} & set(done.left_running.split())


def test_the_next_run_goes_on_and_says_what_it_does(done: SetUp) -> None:
    assert done.finished.returncode == 0, done.finished.stderr
    steps = [line for line in done.finished.stderr.splitlines() if line.startswith("[")]
    assert steps[0].endswith("Finish the package installation that was interrupted before")
    assert "Start the Docker daemon" in steps[-1]
    assert done.machine.run("dpkg", "--audit").stdout == ""


def test_nothing_else_has_moved(done: SetUp) -> None:
    after = _versions(done.machine)
    assert {name: after.get(name) for name in done.before} == done.before
    upgrade = done.machine.run("apt-get", "--simulate", "dist-upgrade").stdout
    assert "0 upgraded, 0 newly installed, 0 to remove" in upgrade


def test_the_engine_compiles_without_a_network(done: SetUp) -> None:
    """A build step runs a program: statically linked, so that it needs no base."""
    lines = r'FROM scratch\nCOPY ldconfig /\nRUN --network=none ["/ldconfig", "--version"]\n'
    done.machine.run("mkdir", "-p", "/tmp/context")
    done.machine.run("cp", "/usr/sbin/ldconfig", "/tmp/context")
    done.machine.run("sh", "-c", f"printf '{lines}' > /tmp/context/Dockerfile")
    built = done.machine.run("docker", "buildx", "build", "--load", "--tag", "one", "/tmp/context")
    assert built.returncode == 0, built.stderr
    ran = done.machine.run("docker", "run", "--rm", "--network=none", "one", "/ldconfig", "--version")
    assert ran.stdout.startswith("ldconfig")


def test_doctor_and_compose_agree(done: SetUp) -> None:
    found = done.machine.builder("doctor", "--json")
    assert found.returncode == 0
    checks = {check["name"]: check for check in json.loads(found.stdout)["checks"]}
    assert checks["buildx"]["status"] == checks["compose"]["status"] == checks["git"]["status"] == "ok"


def test_a_second_time_nothing_changes(done: SetUp) -> None:
    before = done.machine.state()
    again = done.machine.builder("setup")
    assert again.returncode == 0
    assert again.stderr.strip() == "nothing to do: this machine is ready"
    assert done.machine.state() == before


def test_a_stopped_daemon_is_only_started(done: SetUp) -> None:
    before = done.machine.state()
    done.machine.run("sh", "-c", "kill $(cat /var/run/docker.pid)")
    _until(lambda: not done.machine.has("/var/run/docker.pid"))
    again = done.machine.builder("setup")
    assert again.returncode == 0, again.stderr
    assert "[1/1] Start the Docker daemon" in again.stderr
    assert done.machine.run("docker", "info").returncode == 0
    assert done.machine.state() == before


def test_a_dry_run_and_a_plain_user_change_nothing(start: Callable[..., Machine]) -> None:
    machine = start()
    before = machine.state()
    shown = machine.builder("setup", "--dry-run", user="nobody")
    assert shown.returncode == 0
    assert f"Write {SOURCES_FILE}" in shown.stdout
    assert f"Write {PREFERENCES_FILE}" in shown.stdout
    assert "Suites: trixie" in shown.stdout
    refused = machine.builder("setup", user="nobody")
    assert refused.returncode == 3
    assert "help: Run `sudo " in refused.stderr
    assert machine.builder("doctor").returncode == 3
    assert machine.state() == before


def test_without_a_network_what_apt_says_is_shown(start: Callable[..., Machine]) -> None:
    machine = start("--network=none")
    failed = machine.builder("setup")
    assert failed.returncode == 3
    assert "apt-get could not install docker.io" in failed.stderr
    assert "  | E: " in failed.stderr
    assert "Traceback" not in failed.stderr


def test_elsewhere_the_one_thing_to_do_is_named(start: Callable[..., Machine]) -> None:
    machine = start()
    machine.run("rm", "/etc/os-release")
    machine.run("sh", "-c", r"""printf 'ID=fedora\nPRETTY_NAME="Fedora Linux 42"\n' > /etc/os-release""")
    refused = machine.builder("setup")
    assert refused.returncode == 3
    assert "Fedora Linux 42" in refused.stderr
    assert "https://docs.docker.com/engine/install/" in refused.stderr


def test_a_daemon_that_cannot_start_is_explained(done: SetUp) -> None:
    machine = done.machine
    machine.run("mkdir", "-p", "/etc/docker")
    machine.run("sh", "-c", """echo '{"storage-driver": "none-such"}' > /etc/docker/daemon.json""")
    machine.run("sh", "-c", "kill $(cat /var/run/docker.pid)")
    _until(lambda: not machine.has("/var/run/docker.pid"))
    failed = machine.builder("setup")
    machine.run("rm", "/etc/docker/daemon.json")
    assert failed.returncode == 3
    assert "none-such" in failed.stderr
    assert "/var/log/docker.log" in failed.stderr


def test_further_packages_are_installed_on_demand(done: SetUp) -> None:
    install = (
        "import sys; from builder.console import Reporter; from builder.engine.packages import install; "
        "from builder.process import Runner; install(Runner(), Reporter(), sys.argv[1:])"
    )
    wanted = done.machine.run("python3", "-c", install, "hello")
    assert wanted.stderr.strip() == "Installing hello with apt-get."
    assert done.machine.run("hello").stdout.startswith("Hello")
    unknown = done.machine.run("python3", "-c", install, "no-such-package")
    assert "MachineError: apt-get could not install no-such-package" in unknown.stderr


def _make_root(runner: Runner, folder: Path, source: AptSource, settings: str, dependencies: list[str]) -> Path:
    if not find_program("mmdebstrap"):
        packages.install(runner, Reporter(), ["mmdebstrap"])
    python = folder / "python"
    wheels = ["--target", str(python), "--python-version", PYTHON, "--only-binary=:all:", *dependencies]
    _must(runner.run([sys.executable, "-m", "pip", "install", "--quiet", *wheels], timeout=300))
    (folder / "debian.sources").write_text(source.stanza(RELEASE), encoding="utf-8")
    (folder / "mirror").write_text(settings, encoding="utf-8")
    (folder / "quick").write_text("force-unsafe-io\n", encoding="utf-8")
    hooks = [
        f"copy-in {folder}/mirror /etc/apt/apt.conf.d",
        f"copy-in {folder}/quick /etc/dpkg/dpkg.cfg.d",
        f"copy-in {python} /opt",
    ]
    if (certificates := Path("/etc/ssl/certs/ca-certificates.crt")).exists():
        hooks.append(f"copy-in {certificates} /etc/ssl/certs")
    archive = folder / "root.tar"
    options = ["--variant=minbase", f"--include={INCLUDED}", *(f"--customize-hook={hook}" for hook in hooks)]
    made = ["mmdebstrap", *options, RELEASE, str(archive), str(folder / "debian.sources")]
    _must(runner.run(made, timeout=500))
    shutil.rmtree(python)
    return archive


def _apt_settings(runner: Runner) -> str:
    lines = runner.run(["apt-config", "dump"]).stdout.splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith(SETTINGS))


def _start(image: str, *options: str) -> Machine:
    runner = Runner()
    mounts = ("--volume=/var/lib/docker", f"--volume={REPOSITORY}:/repository:ro")
    command = ["docker", "run", "--detach", "--rm", "--init", "--privileged", *mounts, *options, image]
    return Machine(_must(runner.run([*command, "sleep", LIFETIME], timeout=60)).stdout.strip(), runner)


def _end(machine: Machine) -> None:
    machine.runner.run(["docker", "rm", "--force", "--volumes", machine.name], timeout=120)


def _interrupted_setup(machine: Machine, when: Callable[[], bool]) -> Completed:
    shell = "echo $$ > /tmp/pid; exec python3 -m builder setup"
    command = ["docker", "exec", machine.name, "sh", "-c", shell]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        _until(when)
        began = monotonic()
        machine.run("sh", "-c", "kill -INT $(cat /tmp/pid)")
        out, err = process.communicate(timeout=60)
    return Completed(tuple(command), process.returncode, out.decode(), err.decode(), monotonic() - began)


def _versions(machine: Machine) -> dict[str, str]:
    lines = machine.run("dpkg-query", "--show").stdout.splitlines()
    return dict(line.split("\t") for line in lines)


def _until(condition: Callable[[], bool], patience: float = 240) -> None:
    deadline = monotonic() + patience
    while not condition():
        assert monotonic() < deadline, "waited in vain"
        sleep(0.1)


def _must(done: Completed) -> Completed:
    assert done.returncode == 0, done.stderr[-4000:]
    return done
