"""What the targets of llama-server.Dockerfile are built with: contexts and arguments of one plan, and their logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from uuid import uuid4

from builder.errors import BuilderError, BuildError
from builder.image.bases import Workshop
from builder.image.errors_in_log import first_errors
from builder.image.recipe import DOCKERFILES
from builder.image.toolchain import Toolchain, probe
from builder.plan.plan import BuildPlan, Variant
from builder.plan.stamp import overlay
from builder.source.tree import SourceTree

Compiled = Literal["targets", "tests"]
"""What is compiled at a time: a list in the context `plan`."""
_FILE_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""Modification time of the files that the build adds: the same inputs give the same layers."""


@dataclass(frozen=True)
class Job:
    """What the targets of one plan have in common.

    Attributes:
        plan: what is built.
        toolchain: what compiles it.
        arguments: build arguments of every target.
        contexts: build contexts of every target.
    """

    plan: BuildPlan
    toolchain: Toolchain
    workshop: Workshop
    arguments: Mapping[str, str]
    contexts: Mapping[str, Path]

    @classmethod
    def of(cls, plan: BuildPlan, tree: SourceTree, workshop: Workshop, *, jobs: int) -> Job:
        """Write down what the plan says and ask the compilers who they are.

        Args:
            jobs: compilations at once; 0 is one per core of the engine.

        Raises:
            UsageError: the devel image lacks a tool.
            MachineError: no engine.
        """
        toolchain = probe(workshop.engine, plan.bases.devel, workshop.paths.bases)
        source = f"tree-{plan.tree.removeprefix('sha256:')[:16]}"
        arguments = {
            "DEVEL": plan.bases.devel,
            "SOURCE": source,
            "RUNTIME": plan.bases.runtime,
            "COMPILE_CACHE": toolchain.cache_name(plan.architectures),
            "COMPILE_LOG": f"builder-log-{plan.digest.removeprefix('sha256:')[:16]}",
            "JOBS": str(jobs or workshop.engine.info().cores),
            "EPOCH": str(int(_FILE_TIME.timestamp())),
            "GPUS": "all" if plan.variant is Variant.CUDA else "void",
        }
        contexts = {source: tree.path, "plan": plan_context(plan, tree, workshop.buildx.logs / "plan")}
        return cls(plan, toolchain, workshop, arguments, contexts)

    @property
    def logs(self) -> Path:
        """Folder for what the build leaves."""
        return self.workshop.buildx.logs

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
        """Build one target.

        Args:
            action: what is done, as the beginning of a title.
            export: folder that gets the result's files instead of the engine an image.

        Raises:
            BuildError: a step failed.
            MachineError: disk full, no engine.
        """
        self.workshop.buildx.build(
            dockerfile=DOCKERFILES / "llama-server.Dockerfile",
            context=DOCKERFILES,
            contexts={**self.contexts, **(contexts or {})},
            arguments={**self.arguments, **(arguments or {})},
            labels=labels,
            target=target,
            tag=tag,
            title=f"{action} {self.plan.revision.name}",
            export=export,
        )

    @contextmanager
    def whole_log(self, compiled: Compiled, folder: str) -> Iterator[None]:
        """Fetch the compilers' whole output afterwards; where compiling failed, tell why from it.

        Args:
            folder: name of the folder beside the other logs that gets it.
        """
        try:
            yield
        except BuildError as failure:
            log = self._fetch_log(compiled, folder)
            if not log or not (first := first_errors(log)):
                raise
            raise BuildError(failure.cause, failure.remedy, excerpt=first, log=log) from failure
        self._fetch_log(compiled, folder)

    def _fetch_log(self, compiled: Compiled, folder: str) -> Path | None:
        export = self.logs / folder
        arguments = {"COMPILED": compiled, "ATTEMPT": uuid4().hex}
        try:
            self.run("Reading the log of", "log", arguments=arguments, export=export)
        except BuilderError as error:
            self.workshop.reporter.warning(f"The compilers' whole output is not kept: {error.cause}")
            return None
        return export / "compile.log"


def plan_context(plan: BuildPlan, tree: SourceTree, folder: Path) -> Path:
    """Write the context `plan` of llama-server.Dockerfile into a folder: one file each for what the plan says."""
    folder.mkdir(exist_ok=True)
    arguments = (definition.argument for definition in plan.definitions)
    for name, words in (("definitions", arguments), ("targets", plan.targets), ("tests", plan.tests)):
        (folder / name).write_text(_lines(words), encoding="utf-8")
    for file, text in overlay(plan.stamp, tree.path).items():
        edited = folder / "overlay" / file
        edited.parent.mkdir(parents=True, exist_ok=True)
        edited.write_text(text, encoding="utf-8")
    return folder


def _lines(words: Iterable[str]) -> str:
    return "".join(f"{word}\n" for word in words)
