"""The machine underneath: its distribution, who we are on it, what starts its services."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

_ADMIN_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_OS_RELEASE = (Path("/etc/os-release"), Path("/usr/lib/os-release"))


@dataclass(frozen=True)
class Distribution:
    """What os-release(5) says of a Linux distribution.

    Attributes:
        id: such as `debian`, `ubuntu`.
        like: the ids of the distributions it is made from, nearest first.
        version: such as `12`, `24.04`; empty on a rolling one.
        codename: such as `bookworm`; empty where there is none.
        name: as a person reads it.
    """

    id: str
    like: tuple[str, ...] = ()
    version: str = ""
    codename: str = ""
    name: str = "an unknown Linux"


def parse_os_release(text: str) -> Distribution:
    """Read the text of an os-release file; lines that are not assignments are passed over."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, assigns, value = line.strip().partition("=")
        if assigns and not key.startswith("#"):
            values[key] = _unquoted(value)
    return Distribution(
        id=values.get("ID", "linux").lower(),
        like=tuple(values.get("ID_LIKE", "").lower().split()),
        version=values.get("VERSION_ID", ""),
        codename=values.get("VERSION_CODENAME", "") or values.get("UBUNTU_CODENAME", ""),
        name=values.get("PRETTY_NAME") or values.get("NAME") or "an unknown Linux",
    )


def this_distribution() -> Distribution:
    """The distribution this process runs on."""
    file = next((file for file in _OS_RELEASE if file.is_file()), None)
    return parse_os_release(file.read_text(encoding="utf-8", errors="replace") if file else "")


def is_root() -> bool:
    """Whether this process may administer the machine."""
    return os.geteuid() == 0


def has_systemd() -> bool:
    """Whether systemd runs the services, by sd_booted(3)."""
    return Path("/run/systemd/system").is_dir()


def as_root(*arguments: str) -> str:
    """The shell line that runs this program as root, whatever sudo makes of PATH."""
    return shlex.join(["sudo", sys.executable, "-m", "builder", *arguments])


def admin_path() -> str:
    """PATH with the folders of administration programs, which `su` and some services leave out."""
    known = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*known, *(folder for folder in _ADMIN_FOLDERS if folder not in known)])


def find_program(name: str) -> str | None:
    """Path of a program, administration programs included."""
    return shutil.which(name, path=admin_path())


def _unquoted(value: str) -> str:
    try:
        return "".join(shlex.split(value))
    except ValueError:
        return value.strip("\"'")
