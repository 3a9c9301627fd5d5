"""Starting the engine's daemon, with systemd or without, and waiting until it answers."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

from builder.engine.client import Engine
from builder.engine.info import EngineInfo
from builder.engine.machine import admin_path
from builder.engine.unreachable import EngineSilent
from builder.errors import MachineError
from builder.process import Runner

LOG = Path("/var/log/docker.log")
"""Where a daemon without systemd writes."""
PID_FILE = Path("/var/run/docker.pid")
WITH_SYSTEMD = ("systemctl", "enable", "--now", "docker.service")
_PATIENCE = 60.0
"""Seconds a daemon may take to answer."""
_TELLING = ("level=error", "level=fatal", "failed to start", "panic:")


def start(runner: Runner, engine: Engine, *, systemd: bool, log: Path = LOG) -> EngineInfo:
    """Start the daemon and wait until it answers.

    Args:
        systemd: let systemd run it, now and at every boot; otherwise it runs detached from this process.
        log: where a detached daemon writes.

    Raises:
        MachineError: it ended at once, or does not answer in time.
    """
    if not systemd:
        return start_detached(runner, engine, ("dockerd",), log)
    done = runner.run(WITH_SYSTEMD, timeout=_PATIENCE * 2)
    if done.returncode:
        raise MachineError(
            "systemd could not start the Docker engine.",
            "See `journalctl --unit docker.service --no-pager`.",
            excerpt=tuple(done.stderr.strip().splitlines()[-4:]),
        )
    return wait(engine, lambda: None, "See `journalctl --unit docker.service --no-pager`.")


def start_detached(runner: Runner, engine: Engine, command: tuple[str, ...], log: Path) -> EngineInfo:
    """Start a daemon that outlives this process and wait until it answers.

    Args:
        engine: a client of the daemon that is started.
        command: the daemon and its options.
        log: where it writes; appended to.

    Raises:
        MachineError: it ended at once, or does not answer in time.
    """
    begin = log.stat().st_size if log.exists() else 0
    process = runner.detach(command, log, env={"PATH": admin_path()})

    def look() -> None:
        if process.poll() is not None:
            raise _ended(process, log, begin)

    return wait(engine, look, f"See {log}.")


def answers(engine: Engine) -> bool:
    """Whether the engine answers now."""
    try:
        engine.info()
    except EngineSilent:
        return False
    return True


def wait(engine: Engine, look: Callable[[], None], remedy: str, patience: float = _PATIENCE) -> EngineInfo:
    """Ask until the engine answers.

    Args:
        look: called between questions; raises where waiting has become pointless.
        remedy: what to do where it never answers.
        patience: seconds.

    Raises:
        MachineError: it does not answer in time.
    """
    deadline = monotonic() + patience
    while True:
        look()
        try:
            return engine.info()
        except EngineSilent as error:
            if monotonic() > deadline:
                raise MachineError(f"The Docker engine does not answer after {patience:.0f} s.", remedy) from error
        sleep(0.2)


def stop(pid_file: Path = PID_FILE) -> None:
    """End a daemon that no service manager runs, and wait until it is gone; none is no error.

    Raises:
        MachineError: it does not end.
    """
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return
    if _program(pid) != "dockerd":
        return
    os.kill(pid, signal.SIGTERM)
    deadline = monotonic() + _PATIENCE
    while _program(pid):
        if monotonic() > deadline:
            raise MachineError(f"The Docker daemon (process {pid}) does not end.", f"End process {pid} by hand.")
        sleep(0.1)


def _program(pid: int) -> str | None:
    """The program that a process runs; None where it has ended, even if its parent has not noticed."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return None if rest.split()[0] in ("Z", "X") else name


def _ended(process: subprocess.Popen[bytes], log: Path, begin: int) -> MachineError:
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode(errors="replace").splitlines()
    telling = [line for line in lines if any(word in line for word in _TELLING)]
    return MachineError(
        f"The Docker daemon ended as soon as it was started (exit status {process.returncode}).",
        "Mend what its log names, then run this again.",
        excerpt=tuple((telling or lines)[-6:]),
        log=log,
    )
