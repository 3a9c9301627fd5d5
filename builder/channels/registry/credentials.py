"""Who we are to a registry, as Docker's own configuration says it.

`docker login` writes `config.json`: credentials in base64, or the name of a program that keeps them,
`docker-credential-<name>`. They are read in the order in which Docker reads them: a helper for the host, the helper for
all, the file. No secret is part of a command line, a log or a message.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.channels.registry.faults import BadCredentials
from builder.channels.registry.reference import HUB
from builder.process import Runner
from builder.staging import disk_errors

_HUB_KEY = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"  # noqa: S105
"""What a helper says in place of a user's name where the secret is an identity token."""
_NOT_FOUND = "credentials not found in native keychain"
"""What every helper prints where it keeps nothing for a host; it is part of their protocol."""
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PATIENCE = 30.0
"""Seconds for a helper; some ask a person."""


@dataclass(frozen=True)
class Credentials:
    """What opens a registry; empty where nothing is known.

    Attributes:
        user: a name for basic authentication, in use with a password.
        identity: a token that is exchanged for those that open something.
        token: one that opens the registry by itself.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @property
    def are_known(self) -> bool:
        """Whether there is something to show."""
        return bool((self.user and self.password) or self.identity or self.token)

    @property
    def basic(self) -> str:
        """The value of a header for basic authentication; empty without user and password."""
        if not (self.user and self.password):
            return ""
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"


def docker_folder(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of Docker's client: `DOCKER_CONFIG`, else `~/.docker`."""
    chosen = (os.environ if environ is None else environ).get("DOCKER_CONFIG")
    return Path(chosen) if chosen else Path.home() / ".docker"


def find_credentials(host: str, runner: Runner, folder: Path) -> Credentials:
    """What Docker's configuration has for a registry.

    Args:
        host: as images are named, such as `docker.io` or `127.0.0.1:5000`.
        folder: of Docker's client.

    Raises:
        BadCredentials: the configuration cannot be read, or a helper that it names fails.
        CommandTimeout: that helper does not end in time.
    """
    file = folder / "config.json"
    config = _read(file)
    key = _HUB_KEY if host == HUB else host
    helper = _part(config, "credHelpers", dict, file).get(key) or _part(config, "credsStore", str, file)
    if helper:
        return _ask(helper, key, runner, file)
    for name, entry in _part(config, "auths", dict, file).items():
        if name == key or _host(name) == _host(key):
            return _stored(entry, name, file)
    return Credentials()


def _read(file: Path) -> dict[str, Any]:
    try:
        with disk_errors(file.parent):
            if not file.exists():
                return {}
            config = json.loads(file.read_bytes())
    except ValueError as error:
        raise _broken(file, f"it is not JSON ({type(error).__name__})") from error
    if not isinstance(config, dict):
        raise _broken(file, "it holds no table")
    return config


def _part(config: dict[str, Any], name: str, kind: type, file: Path) -> Any:
    value = config.get(name)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise _broken(file, f"`{name}` is not what it should be")
    return value


def _host(key: str) -> str:
    """Host and port of what a registry is filed under: older files have whole URLs."""
    return key.partition("://")[2].partition("/")[0] if "://" in key else key.partition("/")[0]


def _stored(entry: object, name: str, file: Path) -> Credentials:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise _broken(file, f"the entry for {name} is not what it should be")
    user, password = entry.get("username", ""), entry.get("password", "")
    if encoded := entry.get("auth"):
        try:
            user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            raise _broken(file, f"the entry for {name} is not in base64") from None
        if not colon:
            raise _broken(file, f"the entry for {name} has no password")
    return Credentials(user, password.strip("\0"), entry.get("identitytoken", ""), entry.get("registrytoken", ""))


def _ask(helper: object, key: str, runner: Runner, file: Path) -> Credentials:
    if not isinstance(helper, str) or not _HELPER.fullmatch(helper):
        raise _broken(file, f"{helper!r} can be no helper's name")
    program = f"docker-credential-{helper}"
    if shutil.which(program) is None:
        raise _broken(file, f"it names the program `{program}`, which is not installed")
    done = runner.run([program, "get"], stdin=key.encode(), timeout=_PATIENCE)
    if done.returncode:
        if _NOT_FOUND in done.stdout:
            return Credentials()
        raise _failed(program, key, f"it ended with {done.returncode}")
    try:
        answer = json.loads(done.raw)
        user, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError):
        raise _failed(program, key, "its answer is not what it should be") from None
    if not isinstance(user, str) or not isinstance(secret, str):
        raise _failed(program, key, "its answer is not what it should be")
    return Credentials(identity=secret) if user == _TOKEN_USER else Credentials(user, secret)


def _broken(file: Path, how: str) -> BadCredentials:
    return BadCredentials(f"Docker's configuration {file} cannot be used: {how}.", "Mend it, or log in again.")


def _failed(program: str, key: str, how: str) -> BadCredentials:
    return BadCredentials(
        f"`{program}` did not tell the credentials for {key}: {how}.",
        f"Try `echo {key} | {program} get`, which prints a secret, or log in again.",
    )
