"""Debian packages: what is there to be had, and getting it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep

from builder.console import Reporter
from builder.engine.machine import admin_path, as_root, find_program, is_root
from builder.errors import MachineError
from builder.process import Completed, Runner

_LIMIT = 1800.0
"""Seconds for one call of apt-get, downloads included."""
_LOCK_WAIT = 300
"""Seconds to wait for another package manager, such as the unattended upgrades of a machine that just booted."""
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "LC_ALL": "C.UTF-8"}
_APT_GET = ("apt-get", "--yes", "-o", f"DPkg::Lock::Timeout={_LOCK_WAIT}", "-o", "Dpkg::Use-Pty=0")
"""Without a terminal of its own dpkg stays in apt's process group, and ends with it when we are interrupted."""
INSTALL = (
    *_APT_GET,
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
    "install",
    "--no-install-recommends",
    "--no-remove",
)
"""Installs the packages that follow; never removes one, never replaces an edited configuration file."""
UPDATE = (*_APT_GET, "update")
MEND = ("dpkg", "--configure", "-a")
_TELLING = re.compile(r"^(E: |Err:|W: Failed|W: GPG|dpkg: error|\S.* : (Depends|Conflicts|Breaks): )")
_UPDATES = Path("/var/lib/dpkg/updates")


def install(runner: Runner, reporter: Reporter, packages: Sequence[str]) -> None:
    """Install Debian packages, and refresh apt's lists first where it does not know them or they are stale.

    Raises:
        MachineError: this is not root or not a machine with apt, or apt failed.
    """
    wanted = " ".join(packages)
    if not find_program("apt-get"):
        raise MachineError(f"{wanted} is not installed, and there is no apt-get here.", f"Install {wanted} by hand.")
    if not is_root():
        raise MachineError(f"{wanted} is not installed.", f"Run `sudo apt-get install {wanted}`.")
    reporter.notice(f"Installing {', '.join(packages)} with apt-get.")
    mend(runner)
    if _apt(runner, (*INSTALL, *packages)).returncode:
        updated = update(runner)
        install_known(runner, packages, updated)


def install_known(runner: Runner, packages: Sequence[str], hints: Sequence[str] = ()) -> None:
    """Install packages from the lists as they are.

    Args:
        hints: complaints of the refresh before, shown if this fails.

    Raises:
        MachineError: apt failed.
    """
    done = _apt(runner, (*INSTALL, *packages))
    if done.returncode:
        raise MachineError(
            f"apt-get could not install {', '.join(packages)} (exit status {done.returncode}).",
            f"Mend what apt says, then run `{as_root('setup')}` again; it goes on where it stopped.",
            excerpt=(*telling_lines(done), *hints)[:12],
        )


def update(runner: Runner) -> tuple[str, ...]:
    """Refresh apt's lists.

    Returns:
        What apt complained of. Not raised: an archive that has nothing to do with what is wanted may be broken.
    """
    done = _apt(runner, UPDATE)
    return telling_lines(done) if done.returncode or "W: Failed" in done.stderr else ()


def is_interrupted(runner: Runner) -> bool:
    """Whether an earlier run of dpkg was cut off and left packages half done."""
    if not find_program("dpkg"):
        return False
    journal = _UPDATES.is_dir() and any(_UPDATES.iterdir())
    return journal or bool(runner.run(["dpkg", "--audit"], timeout=60, env=_environment()).stdout.strip())


def mend(runner: Runner) -> None:
    """Let dpkg finish what it was cut off from, if anything.

    Raises:
        MachineError: dpkg could not.
    """
    if is_interrupted(runner):
        deadline = monotonic() + _LOCK_WAIT
        while (done := _apt(runner, MEND)).returncode and "lock" in done.stderr and monotonic() < deadline:
            sleep(2)
        if done.returncode:
            raise MachineError(
                "dpkg was interrupted before and cannot finish.",
                "Run `sudo apt-get --fix-broken install`, then this again.",
                excerpt=telling_lines(done),
            )


def candidates(runner: Runner, packages: Sequence[str]) -> Mapping[str, str]:
    """The version apt would install of each package, for those it knows."""
    done = runner.run(["apt-cache", "policy", *packages], timeout=60, env=_environment())
    return parse_candidates(done.stdout)


def parse_candidates(text: str) -> dict[str, str]:
    """Read `apt-cache policy`: package to candidate version; packages without one are left out."""
    found: dict[str, str] = {}
    package = ""
    for line in text.splitlines():
        if line[:1].strip() and line.endswith(":"):
            package = line[:-1]
        elif package and (match := re.match(r"\s+Candidate: (\S+)", line)) and match[1] != "(none)":
            found[package] = match[1]
    return found


def installed_version(runner: Runner, package: str) -> str | None:
    """The version of a package that is installed, or at least unpacked; None where it is not."""
    if not find_program("dpkg-query"):
        return None
    question = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Version}", package]
    status, _, version = runner.run(question, timeout=60, env=_environment()).stdout.strip().partition(" ")
    return None if status in ("", "not-installed", "config-files") else version


def telling_lines(done: Completed) -> tuple[str, ...]:
    """The lines of apt's or dpkg's output that say what went wrong, each once; its last lines where none does."""
    lines = [line.strip() for line in [*done.stderr.splitlines(), *done.stdout.splitlines()] if line.strip()]
    return tuple(dict.fromkeys(line for line in lines if _TELLING.match(line)))[:8] or tuple(lines[-4:])


def _apt(runner: Runner, command: Sequence[str]) -> Completed:
    return runner.run(command, timeout=_LIMIT, env=_environment())


def _environment() -> dict[str, str]:
    return {**_ENVIRONMENT, "PATH": admin_path()}
