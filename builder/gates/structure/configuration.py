"""Does a container of the image start the server, as whom, and can anybody tell whether it is well?

Of commands that are not the build's own only names are shown, for their words may be secrets.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from builder.gates.structure.examined import Examined, listed
from builder.gates.structure.files import FileKind
from builder.gates.structure.identity import ROOT, identity_of
from builder.gates.structure.libraries import loader_of
from builder.gates.structure.secrets import is_secret
from builder.gates.verdict import Check, failed, passed
from builder.plan.marks import FOLDER
from builder.secrets import may_be_secret

_SERVER = "llama-server"
_HEALTH = ("CMD", "llama-health")
_NO_GPUS = frozenset({"", "void", "none"})
_TIMES = {"Interval": 15.0, "Timeout": 5.0, "StartPeriod": 60.0}
"""Seconds of the health check, as the Dockerfile sets them."""
_RETRIES = 2
_PORTS = frozenset({"8080/tcp"})
_REBUILD = "Build it again with `builder build`, or check what the runtime base sets."
_SIGTERM = "SIGTERM"
_OPTION = re.compile(r"--?[A-Za-z][\w-]*")
_STEERS = re.compile(r"(LLAMA|GGML)_|CUDA_(VISIBLE_DEVICES|DISABLE|FORCE|LAUNCH|CACHE|MODULE|DEVICE)|LD_LIBRARY_PATH$")
_OURS = {"LLAMA_ARG_HOST": "0.0.0.0", "LLAMA_ARG_PORT": "8080"}  # noqa: S104


def check_configuration(examined: Examined) -> Iterator[Check]:
    """Checks about the image's configuration and the programs that it names."""
    yield _entry_point(examined)
    yield _curl(examined)
    yield _health(examined)
    yield _user(examined)
    yield _home(examined)
    yield _environment(examined)
    yield _stop_signal(examined)
    yield _extras(examined)
    yield _gpus(examined)


def _entry_point(examined: Examined) -> Check:
    name = "entry-point"
    words = list(examined.config.get("Entrypoint") or ())
    if [posixpath.basename(word) for word in words] != [_SERVER]:
        return failed(name, f"The entry point is {_named(words)}, not {_SERVER} alone. {_REBUILD}")
    if given := list(examined.config.get("Cmd") or ()):
        options = [option[0] for word in given if (option := _OPTION.match(word))]
        shown = listed(options) if options else f"{len(given)} words"
        return failed(name, f"The server is given arguments by the image: {shown}. {_REBUILD}")
    for program in dict.fromkeys((words[0], _SERVER)):
        found = examined.files.on_path(program, examined.path)
        if found is None:
            return failed(name, f"There is no {program} that can be executed on PATH ({examined.path}). {_REBUILD}")
        if posixpath.dirname(found.path) != FOLDER:
            return failed(name, f"{program} on PATH is {found.path}, not the one in {FOLDER}. {_REBUILD}")
    return passed(name, f"{_SERVER}, on PATH, executable.")


def _named(words: Sequence[str]) -> str:
    """A command by its first word, and how many there are besides."""
    if not words:
        return "not set"
    first = words[0].split()[:1]
    return f"{' '.join(first)} with {len(words) - 1} words" if len(words) > 1 else " ".join(first)


def _curl(examined: Examined) -> Check:
    found = examined.files.on_path("curl", examined.path)
    if found is None:
        return failed("curl", "There is no curl on PATH, which the health check needs: add it to the runtime base.")
    if found.path not in examined.files.binaries:
        why = examined.files.damaged.get(found.path, "it is no ELF file")
        return failed("curl", f"{found.path} is no curl: {why}. Take the distribution's into the runtime base.")
    if missing := loader_of(examined).load(found.path).missing:
        lacking = listed(sorted({one.name for one in missing}))
        return failed("curl", f"{found.path} cannot start, for the image lacks {lacking}. Mend the runtime base.")
    return passed("curl", f"{found.path} is there for the health check, with all its libraries.")


def _health(examined: Examined) -> Check:
    name = "health-check"
    health = examined.config.get("Healthcheck") or {}
    test = tuple(health.get("Test") or ())
    if test != _HEALTH:
        return failed(name, f"The health check is {_named(test)}, not `{' '.join(_HEALTH)}`. {_REBUILD}")
    found = examined.files.on_path(_HEALTH[1], examined.path)
    if found is None:
        return failed(name, f"There is no {_HEALTH[1]} that can be executed on PATH. {_REBUILD}")
    text = examined.files.text(found.path) or ""
    if "curl" not in text or "/health" not in text or "LLAMA_ARG_PORT" not in text:
        return failed(name, f"{found.path} does not ask the server's /health on its own port. {_REBUILD}")
    shell = text.splitlines()[0].removeprefix("#!").split()[:1]
    if not shell or examined.files.on_path(shell[0], examined.path) is None:
        return failed(name, f"{found.path} cannot be started: {shell or 'no interpreter'} is not in the image.")
    if other := _other_times(health):
        return failed(name, f"The health check's times are not those of the build: {'; '.join(other)}. {_REBUILD}")
    return passed(name, f"{_HEALTH[1]} asks /health on the port that the server was given.")


def _other_times(health: Mapping[str, Any]) -> Iterable[str]:
    """What differs, in words; the engine counts nanoseconds, and leaves out what was not set."""
    told = {key: (health.get(key) or 0) / 1e9 for key in _TIMES}
    other = [f"{key} {told[key]:g} s, not {wanted:g} s" for key, wanted in _TIMES.items() if told[key] != wanted]
    retries = health.get("Retries") or 0
    return other if retries == _RETRIES else [*other, f"Retries {retries}, not {_RETRIES}"]


def _user(examined: Examined) -> Check:
    name, server = "user", identity_of(examined)
    user, _, group = server.said.partition(":")
    if not user or server.user == ROOT:
        return failed(name, f"The server runs as root (USER {server.said or 'not set'}). {_REBUILD}")
    if server.user is None:
        return failed(name, f"The user {user} is not in the image's /etc/passwd: no container starts. {_REBUILD}")
    if server.group is None:
        return failed(name, f"The group {group} is not in the image's /etc/group: no container starts. {_REBUILD}")
    if server.group == ROOT:
        return failed(name, f"The server runs in the group root (USER {server.said}). {_REBUILD}")
    return passed(name, f"The server runs as {server.said}, which is not root.")


def _home(examined: Examined) -> Check:
    name = "home"
    home = examined.environment.get("HOME") or "/"
    folder = examined.files.find(home)
    if folder is None or folder.kind is not FileKind.FOLDER:
        return failed(name, f"The server's HOME {home} is no folder in the image. {_REBUILD}")
    if not identity_of(examined).may_write(folder):
        return failed(name, f"The server's user may not write to its HOME {home}. {_REBUILD}")
    return passed(name, f"The server may write to its HOME {home}.")


def _environment(examined: Examined) -> Check:
    """Variables that change what the server computes or where: a profile's words would not be all that counts."""
    name = "environment"
    strange = [
        key if may_be_secret(key) or is_secret(value) else f"{key}={value}"
        for key, value in examined.environment.items()
        if _STEERS.match(key) and _OURS.get(key) != value
    ]
    if strange:
        return failed(name, f"The image itself tells the server how to run: {listed(strange)}. {_REBUILD}")
    return passed(name, "No variable of the image changes what the server does, but for its address.")


def _stop_signal(examined: Examined) -> Check:
    name = "stop-signal"
    signal = str(examined.config.get("StopSignal") or _SIGTERM)
    if signal not in (_SIGTERM, "TERM", "15"):
        return failed(name, f"The image is stopped by {signal}, by which the server does not end cleanly. {_REBUILD}")
    return passed(name, "It is stopped by SIGTERM.")


def _extras(examined: Examined) -> Check:
    """What would take place unasked for wherever a container of the image, or an image from it, is made."""
    name = "extras"
    ports = sorted(set(examined.config.get("ExposedPorts") or ()))
    extras = [f"volume {path}" for path in sorted(examined.config.get("Volumes") or ())]
    extras += [f"ONBUILD {' '.join(line.split()[:1])}" for line in examined.config.get("OnBuild") or ()]
    extras += [f"port {port}" for port in ports if port not in _PORTS]
    if extras:
        return failed(name, f"The image declares what the build does not: {listed(extras)}. {_REBUILD}")
    if not ports:
        return failed(name, f"The image exposes no port, which is the server's 8080. {_REBUILD}")
    return passed(name, "It has no volume and no ONBUILD, and exposes the server's port 8080 alone.")


def _gpus(examined: Examined) -> Check:
    name = "gpu-access"
    devices = examined.environment.get("NVIDIA_VISIBLE_DEVICES", "")
    given = examined.environment.get("NVIDIA_DRIVER_CAPABILITIES", "")
    if not examined.is_cuda:
        if devices not in _NO_GPUS:
            return failed(name, f"It is for the CPU and asks for GPUs: NVIDIA_VISIBLE_DEVICES={devices}. {_REBUILD}")
        return passed(name, "It asks for no GPU.")
    if devices in _NO_GPUS:
        return failed(name, f"It is for GPUs and asks for none: NVIDIA_VISIBLE_DEVICES={devices!r}. {_REBUILD}")
    if "all" not in given.split(",") and not {"compute", "utility"} <= set(given.split(",")):
        return failed(
            name, f"The driver's libraries are not asked for: NVIDIA_DRIVER_CAPABILITIES={given!r}. {_REBUILD}"
        )
    return passed(name, f"GPUs: {devices}; of the driver: {given}.")
