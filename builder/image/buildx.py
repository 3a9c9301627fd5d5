"""One `docker buildx build`: started, shown, logged, ended, explained.

python-on-whales is not used for this: it keeps the whole log, cannot be cancelled and fails on output that is
not UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from builder.console import Reporter
from builder.engine.client import Engine
from builder.errors import BuilderError, BuildError, MachineError
from builder.image.display import Display, display
from builder.image.progress import LogLine, ProgressReader
from builder.process import Runner


@dataclass(frozen=True)
class Buildx:
    """Docker's build command on one engine.

    Attributes:
        logs: folder that gets a log and buildx's own account of each build.
    """

    engine: Engine
    runner: Runner
    reporter: Reporter
    logs: Path

    def build(
        self,
        *,
        dockerfile: Path,
        context: Path,
        title: str,
        contexts: Mapping[str, Path] | None = None,
        arguments: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        target: str | None = None,
        tag: str | None = None,
        export: Path | None = None,
    ) -> None:
        """Build one target.

        Args:
            title: what is built, for people.
            contexts: further contexts by name.
            arguments: build arguments.
            tag: name for the image; an engine with containerd's store finds no image that has none.
            export: folder that gets the result's files instead of the engine an image.

        Raises:
            BuildError: a step failed; the first lines of its output that tell why are the excerpt.
            MachineError: disk full, no engine.
        """
        name = "-".join(title.lower().replace("/", " ").replace(":", " ").split())[:60]
        log = self.logs / f"{name}.log"
        command = [*self.engine.command, "buildx", "build", "--progress=rawjson", "--provenance=false", "--sbom=false"]
        command += ["--metadata-file", str(self.logs / f"{name}.json"), "--file", str(dockerfile)]
        command += _flags("--build-context", {name: str(path) for name, path in (contexts or {}).items()})
        command += _flags("--build-arg", arguments or {})
        command += _flags("--label", labels or {})
        command += ["--target", target] if target else []
        command += ["--tag", tag] if tag else []
        command += [f"--output=type=local,dest={export}"] if export else ["--load"]
        command.append(str(context))
        reader = ProgressReader()
        with log.open("wb") as sink, display(self.reporter, title, reader) as show:
            status = self._stream(command, reader, sink, show)
        if status:
            raise _explain(title, status, reader, log)

    def _stream(self, command: Sequence[str], reader: ProgressReader, sink: IO[bytes], show: Display) -> int:
        def take(lines: Iterator[LogLine]) -> None:
            for line in lines:
                sink.write(f"{line.text}\n".encode())

        def keep(chunk: bytes) -> None:
            sink.write(chunk)

        status = self.runner.stream(
            command,
            on_stdout=keep,
            on_stderr=lambda chunk: take(reader.feed(chunk)),
            on_idle=lambda: show.update(reader.position),
        )
        take(reader.finish())
        return status


def _flags(flag: str, values: Mapping[str, str]) -> list[str]:
    return [word for name, value in values.items() for word in (flag, f"{name}={value}")]


def _explain(title: str, status: int, reader: ProgressReader, log: Path) -> BuilderError:
    excerpt = reader.errors.lines or tuple(reader.failures) or tuple(reader.last)
    text = "\n".join((*reader.errors.lines, *reader.failures, *reader.last))
    if "No space left on device" in text or "no space left on device" in text:
        return MachineError(
            "The disk is full.", "Free space with `docker builder prune` and build again.", excerpt=excerpt[:3], log=log
        )
    if "Killed" in text and "signal" in text.lower():
        return BuildError(
            f"{title}: a compiler was killed, most likely for lack of memory.",
            "Compile fewer files at once: `--jobs 1`, or build.jobs in builder.toml.",
            excerpt=excerpt,
            log=log,
        )
    return BuildError(
        f"{title} failed (exit status {status}).",
        "The first error lines are above, all is in the log.",
        excerpt=excerpt,
        log=log,
    )
