"""From a plan and a tree to an image that says truly what it is."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.engine.throwaway import SANDBOX
from builder.errors import BuilderError, BuildError, UsageError
from builder.image.bases import Workshop
from builder.image.buildx import Buildx
from builder.image.errors_in_log import first_errors
from builder.image.labels import RECORD, check_labels, labels, record
from builder.image.names import note_image, temporary_name
from builder.image.recipe import DOCKERFILES
from builder.image.toolchain import Toolchain, probe
from builder.plan.evidence import judge
from builder.plan.plan import BuildPlan, Variant
from builder.plan.stamp import overlay
from builder.source.tree import SourceTree

_READ = 60.0
"""Seconds to read a file in an image."""
_FILE_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""Modification time of the files that the build adds: the same inputs give the same layers."""


def creation_time(plan: BuildPlan, environ: Mapping[str, str] = os.environ) -> datetime:
    """When the image says it was created: SOURCE_DATE_EPOCH, else the commit's time, else now.

    Raises:
        UsageError: SOURCE_DATE_EPOCH is no number of seconds since 1970.
    """
    epoch = environ.get("SOURCE_DATE_EPOCH")
    if epoch is None:
        return plan.revision.committed or datetime.now(UTC).replace(microsecond=0)
    if not re.fullmatch(r"[0-9]{1,11}", epoch):
        raise UsageError(f"SOURCE_DATE_EPOCH is {epoch!r}.", "Set it to seconds since 1970, or unset it.")
    return datetime.fromtimestamp(int(epoch), UTC)


def build(plan: BuildPlan, tree: SourceTree, workshop: Workshop, *, created: datetime, jobs: int) -> Image:
    """Configure, judge what CMake says, compile, gather, check labels and record.

    Until `names.let_go` the image is kept by a name that says nothing about it.

    Args:
        created: when the image says it was created.
        jobs: compilations at once; 0 is one per core of the engine.

    Raises:
        BuildError: the tree does not configure or compile, a feature is not given, a label or the record is wrong.
        MachineError: disk full, no engine.
    """
    engine = workshop.engine
    toolchain = probe(engine, plan.bases.devel, workshop.paths.bases)
    devel, runtime = _present(engine, plan.bases.devel), _present(engine, plan.bases.runtime)
    wanted = labels(plan, created, runtime)
    logs = workshop.buildx.logs
    contexts = {_source_name(plan): tree.path, "plan": plan_context(plan, tree, logs / "plan")}
    arguments = _arguments(plan, toolchain, jobs or engine.info().cores)
    job = _Job(plan.revision.name, workshop.buildx, arguments, contexts)
    proofs = judge(plan, *_configure(job))
    document = record(plan, proofs, asdict(toolchain), {"devel": devel.id, "runtime": runtime.id})
    text = json.dumps(document, indent=2) + "\n"
    with _whole_log(job, workshop.reporter):
        job.run(
            "Building",
            "served",
            tag=temporary_name(plan),
            contexts={"record": _record_context(text, logs / "record")},
            arguments={"SOURCE_DATE_EPOCH": str(int(created.timestamp()))},
            labels=wanted,
        )
    image = _present(engine, temporary_name(plan))
    check_labels(image, wanted)
    _check_record(engine, image, text)
    note_image(workshop.paths.images, plan, image)
    return image


@dataclass(frozen=True)
class _Job:
    """What the targets of one build have in common."""

    name: str
    buildx: Buildx
    arguments: Mapping[str, str]
    contexts: Mapping[str, Path]

    def run(
        self,
        action: str,
        target: str,
        *,
        contexts: Mapping[str, Path] | None = None,
        arguments: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        tag: str | None = None,
        export: Path | None = None,
    ) -> None:
        self.buildx.build(
            dockerfile=DOCKERFILES / "llama-server.Dockerfile",
            context=DOCKERFILES,
            contexts={**self.contexts, **(contexts or {})},
            arguments={**self.arguments, **(arguments or {})},
            labels=labels,
            target=target,
            tag=tag,
            title=f"{action} {self.name}",
            export=export,
        )


def _configure(job: _Job) -> tuple[str, str, str]:
    """What CMake left: its cache, its output, the compiler's commands."""
    export = job.buildx.logs / "configure"
    job.run("Configuring", "evidence", export=export)
    cache, log, commands = (
        (export / name).read_text(encoding="utf-8", errors="replace")
        for name in ("CMakeCache.txt", "configure.log", "compile_commands.json")
    )
    return cache, log, commands


@contextmanager
def _whole_log(job: _Job, reporter: Reporter) -> Iterator[None]:
    """Fetch the compilers' whole output afterwards; where compiling failed, tell why from it."""
    try:
        yield
    except BuildError as failure:
        log = _fetch_log(job, reporter)
        if not log or not (first := first_errors(log)):
            raise
        raise BuildError(failure.cause, failure.remedy, excerpt=first, log=log) from failure
    _fetch_log(job, reporter)


def _fetch_log(job: _Job, reporter: Reporter) -> Path | None:
    export = job.buildx.logs / "compile"
    try:
        job.run("Reading the log of", "log", arguments={"ATTEMPT": uuid4().hex}, export=export)
    except BuilderError as error:
        reporter.warning(f"The compilers' whole output is not kept: {error.cause}")
        return None
    return export / "compile.log"


def _arguments(plan: BuildPlan, toolchain: Toolchain, jobs: int) -> Mapping[str, str]:
    return {
        "DEVEL": plan.bases.devel,
        "SOURCE": _source_name(plan),
        "RUNTIME": plan.bases.runtime,
        "COMPILE_CACHE": toolchain.cache_name(plan.architectures),
        "COMPILE_LOG": f"builder-log-{plan.digest.removeprefix('sha256:')[:16]}",
        "JOBS": str(jobs),
        "EPOCH": str(int(_FILE_TIME.timestamp())),
        "GPUS": "all" if plan.variant is Variant.CUDA else "void",
    }


def _source_name(plan: BuildPlan) -> str:
    return f"tree-{plan.tree.removeprefix('sha256:')[:16]}"


def plan_context(plan: BuildPlan, tree: SourceTree, folder: Path) -> Path:
    """Write the context `plan` of llama-server.Dockerfile into a new folder: one file each for what the plan says."""
    folder.mkdir()
    (folder / "definitions").write_text(
        _lines(definition.argument for definition in plan.definitions), encoding="utf-8"
    )
    (folder / "targets").write_text(_lines(plan.targets), encoding="utf-8")
    for file, text in overlay(plan.stamp, tree.path).items():
        edited = folder / "overlay" / file
        edited.parent.mkdir(parents=True, exist_ok=True)
        edited.write_text(text, encoding="utf-8")
    return folder


def _lines(words: Iterable[str]) -> str:
    return "".join(f"{word}\n" for word in words)


def _record_context(text: str, folder: Path) -> Path:
    folder.mkdir()
    (folder / "build.json").write_text(text, encoding="utf-8")
    return folder


def _check_record(engine: Engine, image: Image, text: str) -> None:
    done = engine.run_once(image.id, [RECORD], options=(*SANDBOX, "--entrypoint", "cat"), timeout=_READ)
    if done.stdout != text:
        raise BuildError(
            f"The image holds no true build record at {RECORD}.", "Check what the runtime base image has there."
        )


def _present(engine: Engine, reference: str) -> Image:
    image = engine.image(reference)
    if image is None:
        raise BuildError(f"The engine has lost the image {reference}.", "Build again; see `builder doctor`.")
    return image
