"""From a plan and a tree to an image that says truly what it is."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.engine.throwaway import SANDBOX
from builder.errors import BuildError, MachineError, UsageError
from builder.image.job import Job
from builder.image.labels import RECORD, check_labels, labels, record
from builder.image.names import note_image, temporary_name
from builder.plan.evidence import judge
from builder.plan.plan import BuildPlan

_READ = 60.0
"""Seconds to read a file in an image."""


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


def build(job: Job, *, created: datetime) -> Image:
    """Configure, judge what CMake says, compile, gather, check labels and record.

    Until `names.let_go` the image is kept by a name that says nothing about it.

    Args:
        created: when the image says it was created.

    Raises:
        BuildError: the tree does not configure or compile, a feature is not given, a label or the record is wrong.
        MachineError: disk full, no engine.
    """
    plan, engine = job.plan, job.workshop.engine
    devel, runtime = _present(engine, plan.bases.devel), _present(engine, plan.bases.runtime)
    wanted = labels(plan, created, runtime)
    proofs = judge(plan, *_configure(job))
    document = record(plan, proofs, asdict(job.toolchain), {"devel": devel.id, "runtime": runtime.id})
    text = json.dumps(document, indent=2) + "\n"
    with job.whole_log("targets", "compile"):
        job.run(
            "Building",
            "served",
            tag=temporary_name(plan),
            contexts={"record": _record_context(text, job.logs / "record")},
            arguments={"SOURCE_DATE_EPOCH": str(int(created.timestamp()))},
            labels=wanted,
        )
    image = _present(engine, temporary_name(plan))
    check_labels(image, wanted)
    _check_record(engine, image, text)
    note_image(job.workshop.paths.images, plan, image)
    return image


def _configure(job: Job) -> tuple[str, str, str]:
    """What CMake left: its cache, its output, the compiler's commands."""
    export = job.logs / "configure"
    job.run("Configuring", "evidence", export=export)
    cache, log, commands = (
        (export / name).read_text(encoding="utf-8", errors="replace")
        for name in ("CMakeCache.txt", "configure.log", "compile_commands.json")
    )
    return cache, log, commands


def _record_context(text: str, folder: Path) -> Path:
    folder.mkdir()
    (folder / "build.json").write_text(text, encoding="utf-8")
    return folder


def _check_record(engine: Engine, image: Image, text: str) -> None:
    done = engine.run_once(image.id, [RECORD], options=(*SANDBOX, "--entrypoint", "cat"), timeout=_READ)
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise MachineError(f"The new image's build record could not be read: {words[-1]}", "Build again.")
    if done.stdout != text:
        raise BuildError(
            f"The image holds no true build record at {RECORD}: {len(done.stdout)} characters were read there, "
            f"and not the {len(text)} that were written.",
            "Check what the runtime base image has there.",
        )


def _present(engine: Engine, reference: str) -> Image:
    image = engine.image(reference)
    if image is None:
        raise BuildError(f"The engine has lost the image {reference}.", "Build again; see `builder doctor`.")
    return image
