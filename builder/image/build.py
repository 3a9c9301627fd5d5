"""From a plan and a tree to an image that says truly what it is."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.errors import BuildError, UsageError
from builder.image.bases import Workshop
from builder.image.buildx import Buildx, Built
from builder.image.errors_in_log import first_errors
from builder.image.labels import PLAN, check_labels, labels, record
from builder.image.recipe import DOCKERFILES
from builder.image.toolchain import Toolchain, probe
from builder.plan.evidence import Proof, judge
from builder.plan.plan import BuildPlan, Variant
from builder.plan.stamp import overlay
from builder.source.tree import SourceTree

_FILE_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""Modification time of the files that the build adds: the same inputs give the same layers."""


def find_built(engine: Engine, plan: BuildPlan) -> Image | None:
    """The newest image that this very plan gave."""
    images = engine.images_with({PLAN: plan.digest})
    return images[0] if images else None


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
    """Configure, judge what CMake says, compile, gather, check the labels.

    Args:
        created: when the image says it was created.
        jobs: compilations at once; 0 is one per core.

    Raises:
        BuildError: the tree does not configure or compile, a feature is not given, a label is wrong.
        MachineError: disk full, no engine.
    """
    toolchain = probe(workshop.engine, plan.bases.devel, workshop.paths.bases)
    wanted = labels(plan, created)
    with tempfile.TemporaryDirectory(prefix="plan-") as scratch:
        contexts = {_source_name(plan): tree.path, "plan": _plan_context(plan, tree, Path(scratch) / "plan")}
        job = _Job(plan.revision.name, workshop.buildx, _arguments(plan, toolchain, jobs), contexts)
        proofs = judge(plan, *_configure(job))
        record_folder = _record_context(plan, proofs, toolchain, Path(scratch) / "record")
        with _whole_log(job):
            job.run(
                "Building",
                "served",
                tag=_unnamed(plan),
                contexts={"record": record_folder},
                labels=wanted,
                environment={"SOURCE_DATE_EPOCH": str(int(created.timestamp()))},
            )
    image = workshop.engine.image(_unnamed(plan))
    if image is None:
        raise BuildError("The engine lost the image that was just built.", "Build again; see `builder doctor`.")
    check_labels(image, wanted)
    return image


@dataclass(frozen=True)
class Names:
    """What an image is called.

    Attributes:
        immutable: its own tag, never moved.
        candidate: the moving tag that now names it.
        before: what the moving tag named before, where that was another image: its own tag, else its ID.
    """

    immutable: str
    candidate: str
    before: str | None


def name_image(engine: Engine, image: Image, repository: str, plan: BuildPlan) -> Names:
    """Give the image its immutable tag and make it the candidate.

    Raises:
        BuildError: the immutable tag is another image's; it is never moved.
    """
    immutable, candidate = f"{repository}:{plan.tag}", f"{repository}:candidate"
    holder = engine.image(immutable)
    if holder is not None and holder.id != image.id:
        raise BuildError(
            f"The tag {immutable} is already another image ({holder.id[:19]}), and it is never moved.",
            f"Look at it with `docker image inspect {immutable}`; remove it if it is not what its name says.",
        )
    if holder is None:
        engine.tag(image.id, immutable)
    current = engine.image(candidate)
    before = None
    if current is None or current.id != image.id:
        before = _own_name(current, candidate) if current else None
        engine.tag(image.id, candidate)
    engine.remove_image(_unnamed(plan))
    return Names(immutable, candidate, before)


def _own_name(image: Image, candidate: str) -> str:
    return next((reference for reference in image.references if reference != candidate), image.id)


def _unnamed(plan: BuildPlan) -> str:
    """What the image is called until it has shown what it is."""
    return f"builder-build/unjudged:{plan.digest.removeprefix('sha256:')[:16]}"


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
        environment: Mapping[str, str] | None = None,
    ) -> Built:
        return self.buildx.build(
            dockerfile=DOCKERFILES / "llama-server.Dockerfile",
            context=DOCKERFILES,
            contexts={**self.contexts, **(contexts or {})},
            arguments={**self.arguments, **(arguments or {})},
            labels=labels,
            target=target,
            tag=tag,
            title=f"{action} {self.name}",
            export=export,
            environment=environment,
        )


def _configure(job: _Job) -> tuple[str, str, str]:
    """What CMake left: its cache, its output, the compiler's commands."""
    export = job.buildx.logs / "configure"
    job.run("Configuring", "evidence", export=export)
    cache, log, commands = (
        (export / name).read_text(errors="replace")
        for name in ("CMakeCache.txt", "configure.log", "compile_commands.json")
    )
    return cache, log, commands


@contextmanager
def _whole_log(job: _Job) -> Iterator[None]:
    """Fetch the compilers' whole output afterwards; where compiling failed, tell why from it."""
    try:
        yield
    except BuildError as failure:
        log = _fetch_log(job)
        if not (first := first_errors(log)):
            raise
        raise BuildError(failure.cause, failure.remedy, excerpt=first, log=log) from failure
    _fetch_log(job)


def _fetch_log(job: _Job) -> Path:
    export = job.buildx.logs / "compile"
    job.run("Reading the log of", "log", arguments={"ATTEMPT": uuid4().hex}, export=export)
    return export / "compile.log"


def _arguments(plan: BuildPlan, toolchain: Toolchain, jobs: int) -> Mapping[str, str]:
    return {
        "DEVEL": plan.bases.devel,
        "SOURCE": _source_name(plan),
        "RUNTIME": plan.bases.runtime,
        "COMPILE_CACHE": toolchain.cache_name(plan.architectures),
        "COMPILE_LOG": f"builder-log-{plan.digest.removeprefix('sha256:')[:16]}",
        "JOBS": str(jobs or os.cpu_count() or 1),
        "EPOCH": str(int(_FILE_TIME.timestamp())),
        "GPUS": "all" if plan.variant is Variant.CUDA else "void",
    }


def _source_name(plan: BuildPlan) -> str:
    return f"tree-{plan.tree.removeprefix('sha256:')[:16]}"


def _plan_context(plan: BuildPlan, tree: SourceTree, folder: Path) -> Path:
    folder.mkdir()
    (folder / "definitions").write_text("".join(f"{definition.argument}\n" for definition in plan.definitions))
    (folder / "targets").write_text("".join(f"{target}\n" for target in plan.targets))
    for file, text in overlay(plan.stamp, tree.path).items():
        edited = folder / "overlay" / file
        edited.parent.mkdir(parents=True, exist_ok=True)
        edited.write_text(text)
    return folder


def _record_context(plan: BuildPlan, proofs: tuple[Proof, ...], toolchain: Toolchain, folder: Path) -> Path:
    folder.mkdir()
    document = record(plan, proofs, asdict(toolchain))
    (folder / "build.json").write_text(json.dumps(document, indent=2) + "\n")
    return folder
