"""`builder build`: from upstream to a tagged image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import options
from builder.cli.session import Session

if TYPE_CHECKING:
    from builder.pipeline import Result


def command(
    context: typer.Context,
    cuda: options.Cuda = None,
    origin: options.Origin = None,
    ref: options.Ref = None,
    build_number: options.BuildNumber = None,
    arch: options.Arch = None,
    feature: options.Feature = None,
    cuda_release: options.CudaRelease = None,
    bases: options.Bases = None,
    devel: options.Devel = None,
    runtime: options.Runtime = None,
    repository: Annotated[str | None, typer.Option("--name", help="Name of the image, without a tag.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Compilations at once; 0 is one per core.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Build an image and make it the candidate."""
    from builder.pipeline import build_image

    flags = options.flags(origin, ref, arch, cuda_release, bases, devel, runtime)
    session = Session.of(
        context, {**flags, "build.features": feature or None, "image.repository": repository, "build.jobs": jobs}
    )
    result = build_image(options.wish(session, cuda, build_number), options.tools(session))
    if json:
        session.reporter.show_json(_document(result))
    else:
        _show(session, result)
    code = options.exit_code(result.verdict)
    if code:
        raise typer.Exit(code)


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
        "found": result.found,
        "plan": dict(result.plan.document()),
        "verdict": {"gate": verdict.gate, "outcome": verdict.outcome.value, "reasons": list(verdict.reasons)},
        "seconds": round(result.seconds, 3),
    }
