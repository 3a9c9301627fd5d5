"""The engine.

What changes the engine goes through python-on-whales. What is only asked goes to Docker's client directly:
python-on-whales leaves out some of what the engine answers (CDI folders) and takes a quarter of a second to
import, which a question need not pay.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.engine.images import Image
from builder.engine.throwaway import Throwaway, this_run
from builder.errors import MachineError
from builder.process import Completed, Runner

if TYPE_CHECKING:
    from python_on_whales import DockerClient

_DEFAULT_ENDPOINTS = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")
_ASK = 30.0
"""Seconds for a question to the engine."""
_ABSENT = re.compile(r"no such image|no such object|invalid reference format", re.IGNORECASE)
_NOT_STARTED = range(125, 128)
"""Exit statuses of `docker run` where it may be the client that speaks."""


class EngineSilent(MachineError):
    """No engine answers."""


class EngineForbidden(MachineError):
    """An engine is there, and this user may not use it."""


@dataclass(frozen=True)
class EngineInfo:
    """What an engine says of itself.

    Attributes:
        version: server version.
        storage: storage driver, such as `overlay2`.
        containerd_store: whether images are kept in containerd's store.
        cores: CPU cores.
        memory: bytes.
        root: its data folder.
    """

    version: str
    storage: str
    containerd_store: bool
    cores: int
    memory: int
    root: str


class Engine:
    """A Docker engine.

    Args:
        runner: runs the client.
        host: engine to talk to, such as `unix:///run/docker.sock`; None takes what the client is set to.
    """

    def __init__(self, runner: Runner, host: str | None = None) -> None:
        self._runner = runner
        self._host = host
        self.command: tuple[str, ...] = ("docker", *(("--host", host) if host else ()))
        self._throwaway = Throwaway(runner, self.command)

    @cached_property
    def whales(self) -> DockerClient:
        """The engine through python-on-whales; each command it runs is recorded like ours."""
        from python_on_whales import DockerClient

        self._runner.record_commands_of("python_on_whales")
        return DockerClient(host=self._host)

    @cached_property
    def endpoint(self) -> str:
        """Where the engine is, such as `unix:///var/run/docker.sock`."""
        if host := self._host or os.environ.get("DOCKER_HOST"):
            return host
        if shutil.which(self.command[0]) is None:
            return _DEFAULT_ENDPOINTS[0]
        done = self._runner.run([*self.command, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"])
        return done.stdout.strip() or _DEFAULT_ENDPOINTS[0]

    @property
    def is_default(self) -> bool:
        """Whether this is the one engine that a machine's service manager runs."""
        return self.endpoint in _DEFAULT_ENDPOINTS

    @property
    def is_local(self) -> bool:
        """Whether the engine listens on this machine only, so that its folders are this machine's."""
        return self.endpoint.startswith("unix://")

    def ask(self, *args: str, timeout: float | None = _ASK, stdin: bytes | None = None) -> Completed:
        """Run one client command and say which; a failure of the command is the caller's to judge.

        Raises:
            MachineError: no client, no engine, or no rights on its socket.
        """
        done = self._runner.run([*self.command, *args], timeout=timeout, stdin=stdin)
        if done.returncode:
            _raise_if_unreachable(done.stderr)
        return done

    def info(self) -> EngineInfo:
        """What the engine says of itself.

        Raises:
            MachineError: it does not answer.
        """
        done = self.ask("info", "--format", "{{json .}}")
        facts: dict[str, Any] = json.loads(done.stdout or "{}")
        if not facts.get("ServerVersion"):
            words = "; ".join(facts.get("ServerErrors") or [done.stderr.strip()])
            _raise_if_unreachable(words)
            raise _silent(words)
        status = dict(facts.get("DriverStatus") or [])
        return EngineInfo(
            version=facts["ServerVersion"],
            storage=facts["Driver"],
            containerd_store=str(status.get("driver-type", "")).startswith("io.containerd.snapshotter"),
            cores=facts["NCPU"],
            memory=facts["MemTotal"],
            root=facts["DockerRootDir"],
        )

    def architecture(self) -> str:
        """The engine's processor in Docker's words, such as `amd64`.

        Raises:
            MachineError: it does not answer.
        """
        return self.ask("version", "--format", "{{.Server.Arch}}").stdout.strip()

    def buildx_version(self) -> str | None:
        """Version of the buildx plugin, such as `0.13.1`; None where there is none."""
        done = self.ask("buildx", "version")
        words = done.stdout.split()
        return words[1].lstrip("v").split("+")[0] if not done.returncode and len(words) > 1 else None

    def image(self, reference: str) -> Image | None:
        """The image under a name or ID; None where the engine has none, or none can have such a name.

        Raises:
            MachineError: the engine could not tell.
        """
        images = self._inspect([reference])
        return images[0] if images else None

    def images_with(self, labels: Mapping[str, str]) -> list[Image]:
        """Images that carry all these labels, newest first.

        Raises:
            MachineError: the engine could not tell.
        """
        filters = [word for name, value in labels.items() for word in ("--filter", f"label={name}={value}")]
        done = self.ask("image", "ls", "--no-trunc", "--quiet", *filters)
        if done.returncode:
            raise _refused("list its images", done)
        ids = list(dict.fromkeys(done.stdout.split()))
        return self._inspect(ids) if ids else []

    def tag(self, image: str, reference: str) -> None:
        """Point a name at an image.

        Raises:
            MachineError: the engine refused.
        """
        with _refusals("tag an image"):
            self.whales.image.tag(image, reference)

    def remove_image(self, reference: str) -> None:
        """Remove a name, and the image with its last one; one that is not there is no error.

        Raises:
            MachineError: the engine refused.
        """
        if self.image(reference):
            with _refusals("remove an image"):
                self.whales.image.remove(reference)

    def pull(self, reference: str, *, timeout: float) -> Completed:
        """Pull an image; whether that worked is the caller's to judge.

        Args:
            timeout: seconds.
        """
        return self.ask("image", "pull", "--quiet", "--", reference, timeout=timeout)

    def import_rootfs(self, archive: Path, reference: str, changes: Sequence[str]) -> None:
        """Make an image of a root file system in a tar archive.

        Args:
            changes: Dockerfile instructions for its configuration.

        Raises:
            MachineError: the engine refused.
        """
        with _refusals("import a root file system"):
            self.whales.image.import_(archive, tag=reference, changes=list(changes))

    def run_once(
        self,
        image: str,
        words: Sequence[str],
        *,
        options: Sequence[str] = (),
        timeout: float,
        run_id: str | None = None,
    ) -> Completed:
        """Run a container of a local image to its end; nothing of it is left, however this ends.

        Args:
            words: what comes after the image: a command, or the arguments of its entry point.
            options: further options of `docker run`.
            timeout: seconds.
            run_id: the run it is done for, `<time in UTC>-<process id>`; None names this process.

        Returns:
            What it printed, the first MiB of each output, and how it ended: 125 to 127 are also what the client
            says where the container did not start.

        Raises:
            CommandTimeout: it did not end in time.
            MachineError: no client, no engine, or no rights on its socket.
        """
        done = self._throwaway.run(image, words, options=options, timeout=timeout, run_id=run_id or this_run())
        if done.returncode in _NOT_STARTED:
            _raise_if_unreachable(done.stderr)
        return done

    def sweep(self, *, older_than: float = 60.0) -> tuple[str, ...]:
        """Remove the containers of `run_once` that processes of this machine left behind when they were killed.

        Where there is nothing to remove it costs one question to the engine.

        Args:
            older_than: seconds; a younger container is left alone.

        Returns:
            IDs of what was removed.
        """
        return self._throwaway.sweep(timedelta(seconds=older_than))

    def _inspect(self, references: Sequence[str]) -> list[Image]:
        done = self.ask("image", "inspect", "--", *references)
        if done.returncode and not _says_only_that_images_are_absent(done.stderr):
            raise _refused("describe an image", done)
        return [_image(facts) for facts in json.loads(done.stdout or "[]")]


@contextmanager
def _refusals(action: str) -> Iterator[None]:
    from python_on_whales import DockerException

    try:
        yield
    except DockerException as error:
        done = Completed((), error.return_code, error.stdout or "", error.stderr or "", 0.0)
        raise _refused(action, done) from error


def _refused(action: str, done: Completed) -> MachineError:
    words = done.stderr.strip()
    _raise_if_unreachable(words)
    cause = words.splitlines()[-1] if words else f"exit status {done.returncode}"
    return MachineError(f"The engine did not {action}: {cause}", "See `builder doctor`.")


def _says_only_that_images_are_absent(stderr: str) -> bool:
    lines = [line for line in stderr.splitlines() if line.strip() and not line.lower().startswith("warning")]
    return bool(lines) and all(_ABSENT.search(line) for line in lines)


def _image(facts: dict[str, Any]) -> Image:
    config = facts.get("Config") or {}
    return Image(
        id=facts["Id"],
        references=tuple(facts.get("RepoTags") or ()),
        repo_digests=tuple(facts.get("RepoDigests") or ()),
        size=facts["Size"],
        labels=config.get("Labels") or {},
        entrypoint=tuple(config.get("Entrypoint") or ()),
        user=config.get("User") or "",
        architecture=facts.get("Architecture") or "",
    )


def _raise_if_unreachable(stderr: str) -> None:
    lowered = stderr.lower()
    if "permission denied" in lowered and "docker" in lowered and "sock" in lowered:
        raise EngineForbidden(
            "This user may not use the Docker engine's socket.",
            "Join the group with `sudo usermod -aG docker $USER` and log in again, or run as root.",
        )
    if "cannot connect to the docker daemon" in lowered or "is the docker daemon running" in lowered:
        raise _silent(stderr.strip().splitlines()[0])


def _silent(detail: str) -> EngineSilent:
    return EngineSilent(f"No Docker engine answers: {detail}", "Run `builder setup`, which installs or starts one.")
