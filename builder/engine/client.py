"""The engine.

Questions, and changes that a lock has to outlive, go to Docker's client directly: python-on-whales leaves out some of
what the engine answers (CDI folders), hands no open file to the client, and takes a quarter of a second to import. The
rest goes through it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.engine.images import Image, read_image
from builder.engine.info import EngineInfo, read_info
from builder.engine.statuses import MISSING, NOT_EXECUTABLE, NOT_STARTED
from builder.engine.throwaway import BoundedOutput, Throwaway, this_run
from builder.engine.unreachable import DEFAULT_ENDPOINTS, raise_if_unreachable, silent
from builder.errors import MachineError
from builder.process import Completed, Runner

if TYPE_CHECKING:
    from python_on_whales import DockerClient

_ASK = 30.0
"""Seconds for a question to the engine."""
_REMOVE = 300.0
"""Seconds to remove an image with its layers."""
_ABSENT = re.compile(r"no such image|no such object|invalid reference format", re.IGNORECASE)
_NOT_STARTED = (NOT_STARTED, NOT_EXECUTABLE, MISSING)
"""Exit statuses of `docker run` where it may be the client that speaks."""


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
            return DEFAULT_ENDPOINTS[0]
        done = self._runner.run([*self.command, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"])
        return done.stdout.strip() or DEFAULT_ENDPOINTS[0]

    @property
    def is_default(self) -> bool:
        """Whether this is the one engine that a machine's service manager runs."""
        return self.endpoint in DEFAULT_ENDPOINTS

    @property
    def is_local(self) -> bool:
        """Whether the engine listens on this machine only, so that its folders are this machine's."""
        return self.endpoint.startswith("unix://")

    def ask(
        self, *args: str, timeout: float | None = _ASK, stdin: bytes | None = None, held: Sequence[int] = ()
    ) -> Completed:
        """Run one client command and say which; a failure of the command is the caller's to judge.

        Args:
            held: open files that the client keeps open, such as a lock that it is to hold if this process is killed.

        Raises:
            MachineError: no client, no engine, or no rights on its socket.
        """
        done = self._runner.run([*self.command, *args], timeout=timeout, stdin=stdin, pass_fds=held)
        if done.returncode:
            raise_if_unreachable(done.stderr, self._host)
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
            raise_if_unreachable(words, self._host)
            raise silent(words, self._host)
        return read_info(facts)

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

    def references_of(self, repository: str) -> tuple[str, ...]:
        """Names under which the engine has images of a repository, newest first.

        Raises:
            MachineError: the engine could not tell.
        """
        done = self.ask("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--", repository)
        if done.returncode:
            raise _refused("list its images", done)
        return tuple(name for name in done.stdout.split() if not name.endswith(":<none>"))

    def tag(self, image: str, reference: str, *, held: Sequence[int] = ()) -> None:
        """Point a name at an image.

        Args:
            held: open files that the client keeps open.

        Raises:
            MachineError: the engine refused.
        """
        done = self.ask("image", "tag", "--", image, reference, held=held)
        if done.returncode:
            raise _refused("tag an image", done)

    def remove_image(self, reference: str, *, held: Sequence[int] = ()) -> None:
        """Remove a name, and the image with its last one; one that is not there is no error.

        Args:
            held: open files that the client keeps open.

        Raises:
            MachineError: the engine refused.
        """
        if self.image(reference):
            done = self.ask("image", "rm", "--", reference, timeout=_REMOVE, held=held)
            if done.returncode:
                raise _refused("remove an image", done)

    def pull(self, reference: str, *, timeout: float) -> Completed:
        """Pull an image; whether that worked is the caller's to judge.

        Args:
            timeout: seconds.
        """
        return self.ask("image", "pull", "--quiet", "--", reference, timeout=timeout)

    def push(self, reference: str, *, timeout: float) -> Completed:
        """Push an image under its name; whether that worked is the caller's to judge.

        Args:
            timeout: seconds.
        """
        return self.ask("image", "push", "--", reference, timeout=timeout)

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
        take: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Run a container of a local image to its end; nothing of it is left, however this ends.

        Args:
            words: what comes after the image: a command, or the arguments of its entry point.
            options: further options of `docker run`.
            timeout: seconds.
            run_id: the run it is done for, `<time in UTC>-<process id>`; None names this process.
            take: gets its standard output as it comes, all of it, of which nothing is returned then.

        Returns:
            What it printed, the first MiB of each output, and how it ended: 125 to 127 are also what the client
            says where the container did not start.

        Raises:
            CommandTimeout: it did not end in time.
            MachineError: no client, no engine, or no rights on its socket.
        """
        done = self._throwaway.run(
            image, words, options=options, timeout=timeout, run_id=run_id or this_run(), take=take
        )
        if done.returncode in _NOT_STARTED:
            raise_if_unreachable(done.stderr, self._host)
        return done

    def export(self, image: str, take: Callable[[bytes], None], *, timeout: float, run_id: str | None = None) -> None:
        """Hand over an image's file system as a tar stream; nothing of the image is executed, nothing is left.

        Args:
            take: called with each piece of the stream; what it raises ends the export.
            timeout: seconds.
            run_id: the run it is done for, `<time in UTC>-<process id>`; None names this process.

        Raises:
            CommandTimeout: it did not end in time.
            MachineError: no client, no engine, or the engine refused.
        """
        done = self._throwaway.export(image, take, timeout=timeout, run_id=run_id or this_run())
        if done.returncode:
            raise _refused("hand over the files of an image", done)

    def save(self, image: str, take: Callable[[bytes], None], *, timeout: float) -> None:
        """Hand over an image with all its layers as a tar stream of `docker save`.

        Args:
            take: called with each piece of the stream; what it raises ends it.
            timeout: seconds.

        Raises:
            CommandTimeout: it did not end in time.
            MachineError: no client, no engine, or the engine refused.
        """
        said = BoundedOutput()
        status = self._runner.stream([*self.command, "image", "save", image], take, said.take, timeout=timeout)
        if status:
            raise _refused("hand over the layers of an image", Completed((), status, "", said.text, 0.0))

    @contextmanager
    def hold(
        self,
        image: str,
        words: Sequence[str],
        *,
        options: Sequence[str] = (),
        timeout: float = 60.0,
        run_id: str | None = None,
    ) -> Iterator[tuple[str, Completed]]:
        """A container of a local image that runs while the context lasts; nothing of it is left, however that ends.

        Args:
            words: what comes after the image: a command, or the arguments of its entry point.
            options: further options of `docker run`.
            timeout: seconds for the engine to start it.
            run_id: the run it is done for, `<time in UTC>-<process id>`; None names this process.

        Yields:
            Its name, and what the engine said when it was asked to start it; a refusal is the caller's to judge.

        Raises:
            CommandTimeout: the engine did not answer in time.
            MachineError: no client, no engine, or no rights on its socket.
        """
        held = self._throwaway.hold(image, words, options=options, timeout=timeout, run_id=run_id or this_run())
        with held as (name, started):
            if started.returncode in _NOT_STARTED:
                raise_if_unreachable(started.stderr, self._host)
            yield name, started

    def facts(self, image: str) -> Mapping[str, Any]:
        """All that the engine says of an image, in its own words.

        Raises:
            MachineError: it has no such image, or could not tell.
        """
        done = self.ask("image", "inspect", "--", image)
        found = json.loads(done.stdout or "[]")
        if not found:
            raise _refused("describe an image", done)
        facts: Mapping[str, Any] = found[0]
        return facts

    def sweep(self, *, older_than: float = 60.0) -> tuple[str, ...]:
        """Remove the containers of runs that processes of this machine left behind when they were killed.

        Where there is nothing to remove it costs one question to the engine.

        Args:
            older_than: seconds; a younger container is left alone.

        Returns:
            IDs of what was removed.
        """
        return self._throwaway.sweep(timedelta(seconds=older_than))

    def end_all(self) -> None:
        """Remove the containers that threads of this process run, and let none start any more.

        Whoever uses one, or wants one from now on, gets RunEnded.
        """
        self._throwaway.end_all()

    def _inspect(self, references: Sequence[str]) -> list[Image]:
        done = self.ask("image", "inspect", "--", *references)
        if done.returncode and not _says_only_that_images_are_absent(done.stderr):
            raise _refused("describe an image", done)
        return [read_image(facts) for facts in json.loads(done.stdout or "[]")]


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
    raise_if_unreachable(words)
    cause = words.splitlines()[-1] if words else f"exit status {done.returncode}"
    return MachineError(f"The engine did not {action}: {cause}", "See `builder doctor`.")


def _says_only_that_images_are_absent(stderr: str) -> bool:
    lines = [line for line in stderr.splitlines() if line.strip() and not line.lower().startswith("warning")]
    return bool(lines) and all(_ABSENT.search(line) for line in lines)
