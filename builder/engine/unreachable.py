"""Engines that do not answer, in words that a person can act on."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from builder.errors import MachineError

DEFAULT_ENDPOINTS = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")
"""Where the one engine is that a machine's service manager runs."""
_UNREACHABLE = re.compile(
    r"cannot connect to the docker daemon|is the docker daemon running|^error during connect", re.IGNORECASE
)
_NO_CONTEXT = re.compile(r'context "[^"]*"(?:: context)? not found|unable to resolve docker endpoint', re.IGNORECASE)
_FORBIDDEN = re.compile(r"permission denied", re.IGNORECASE)


class EngineSilent(MachineError):
    """No engine answers."""


class EngineForbidden(MachineError):
    """An engine is there, and this user may not use it."""


def raise_if_unreachable(stderr: str, host: str | None = None) -> None:
    """Raise where a client's words say that it did not come as far as the engine.

    Args:
        host: the endpoint that the client was given; None leaves it to its settings.

    Raises:
        EngineSilent: none answers.
        EngineForbidden: this user may not use it.
    """
    lowered = stderr.lower()
    if _FORBIDDEN.search(lowered) and "docker" in lowered and "sock" in lowered:
        raise EngineForbidden(
            "This user may not use the Docker engine's socket.",
            "Join the group with `sudo usermod -aG docker $USER` and log in again, or run as root.",
        )
    telling = [line for line in stderr.strip().splitlines() if _UNREACHABLE.search(line) or _NO_CONTEXT.search(line)]
    if telling:
        raise silent(telling[0], host)


def silent(detail: str, host: str | None = None) -> EngineSilent:
    """The error for an engine that does not answer; where a setting names another than the usual one, it is told."""
    cause = f"No Docker engine answers: {detail.rstrip('.')}{'' if detail.endswith('?') else '.'}"
    if host and host not in DEFAULT_ENDPOINTS:
        return EngineSilent(cause, f"See whether {host} is right and up.")
    if setting := _setting():
        return EngineSilent(cause, f"{setting} says where it is: correct it, or unset it for this machine's engine.")
    return EngineSilent(cause, "Run `builder setup`, which installs or starts one.")


def _setting() -> str:
    """What sends the client elsewhere, such as `DOCKER_HOST=tcp://far:2375`; empty where nothing does."""
    if host := os.environ.get("DOCKER_HOST"):
        return "" if host in DEFAULT_ENDPOINTS else f"DOCKER_HOST={host}"
    if context := os.environ.get("DOCKER_CONTEXT"):
        return "" if context == "default" else f"DOCKER_CONTEXT={context}"
    context = _current_context()
    return "" if context in ("", "default") else f"The context {context} (`docker context use`)"


def _current_context() -> str:
    folder = os.environ.get("DOCKER_CONFIG") or Path("~/.docker").expanduser()
    try:
        settings = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(settings.get("currentContext") or "") if isinstance(settings, dict) else ""
