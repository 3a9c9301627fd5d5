"""`builder build`: from upstream to a tagged image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import options
from builder.cli.session import Session

if TYPE_CHECKING:
    from builder.pipeline import Result, Tools
    from builder.recording import Recorder


def command(
    context: typer.Context,
    cuda: options.Cuda = None,
    origin: options.Origin = None,
    ref: options.Ref = None,
    channel: options.Channel = None,
    cooldown: options.Cooldown = None,
    patches: options.Patches = None,
    build_number: options.BuildNumber = None,
    arch: options.Arch = None,
    feature: options.Feature = None,
    cuda_release: options.CudaRelease = None,
    bases: options.Bases = None,
    devel: options.Devel = None,
    runtime: options.Runtime = None,
    repository: Annotated[str | None, typer.Option("--name", help="Name of the image, without a tag.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Compilations at once; 0 is one per core.")] = None,
    tests: Annotated[
        bool | None, typer.Option("--tests/--no-tests", help="Also make the image with upstream's test programs.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Build an image and make it the candidate."""
    from builder.pipeline import build_image

    flags = options.flags(origin, ref, patches, arch, cuda_release, bases, devel, runtime, channel, cooldown)
    session = Session.of(
        context,
        {
            **flags,
            "build.features": feature or None,
            "image.repository": repository,
            "build.jobs": jobs,
            "build.tests": tests,
        },
    )
    tools = options.tools(session)
    result = build_image(options.wish(session, cuda, build_number), tools)
    recorder = _record(result, tools)
    if json:
        session.reporter.show_json(_document(result))
    else:
        _show(session, result)
    code = recorder.exit_code(options.exit_code(result.verdict))
    if code:
        raise typer.Exit(code)


def _record(result: Result, tools: Tools) -> Recorder:
    """Keep the build, its image and what the version gate says of it."""
    from datetime import UTC, datetime

    from builder.recording import Recorder, verdict_entry

    info = tools.engine.info()
    # The image has names now that it had not when it was built.
    image = tools.engine.image(result.image.id) or result.image
    recorder = Recorder(tools.paths, tools.reporter, info.name)
    recorder.build(result.plan, image, result.seconds, containerd_store=info.containerd_store)
    entry = verdict_entry(result.verdict, image, datetime.now(UTC), info.name)
    recorder.verdict(entry, image, containerd_store=info.containerd_store)
    return recorder


def _show(session: Session, result: Result) -> None:
    from rich.table import Table

    from builder.console import spell_duration, spell_size

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for reference in result.references:
        table.add_row("image", reference)
    if result.references:
        table.add_row("id", result.image.id)
        table.add_row("size", spell_size(result.image.size))
    else:
        table.add_row("image", "none: it did not pass and is not kept")
    table.add_row("tests", result.tests.reference or f"none: {result.tests.reason}")
    table.add_row("version", f"{result.verdict.outcome.value}: {result.verdict.reasons[0]}")
    table.add_row("log", str(session.logs))
    how = "already there for the same inputs" if result.found else "built"
    table.add_row("time", f"{spell_duration(result.seconds)}, {how}")
    session.reporter.show(table)


def _document(result: Result) -> dict[str, object]:
    image, verdict = result.image, result.verdict
    return {
        "schema_version": 1,
        "image": {
            "id": image.id,
            "references": list(result.references),
            "size": image.size,
            "labels": dict(image.labels),
        },
        "tests": {
            "id": result.tests.image.id if result.tests.image else None,
            "reference": result.tests.reference,
            "programs": list(result.plan.tests) if result.tests.image else [],
            "found": result.tests.found,
            "reason": result.tests.reason,
        },
        "found": result.found,
        "plan": dict(result.plan.document()),
        "verdict": {"gate": verdict.gate, "outcome": verdict.outcome.value, "reasons": list(verdict.reasons)},
        "seconds": round(result.seconds, 3),
    }
