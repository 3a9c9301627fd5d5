"""Who asks."""

from __future__ import annotations

import getpass
import os
import platform


def asking() -> str:
    """The user and the machine, such as `ops@gpu-1`; who became root by sudo is named as themselves."""
    return f"{os.environ.get('SUDO_USER') or _user()}@{platform.node()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run as a number that no user has.
        return f"uid{os.getuid()}"
