"""`builder soak IMAGE`: one image under load for a while."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import forms
from builder.cli.session import Session
from builder.cli.soak.outputs import Outputs
from builder.cli.verdicts import document, spell_verdict
from builder.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.gates.verdict import Verdict

HELP = (
    "Serve a profile under load for a while and look whether all stays as it is: builder soak IMAGE.\n\n"
    "Exit status 0: it stood it; 15: it did not; 20: not known."
)


def command(
    context: typer.Context,
    image: Annotated[
        str, typer.Argument(help="An image of this engine: the candidate, a tag, a name, an ID or a digest.")
    ],
    profile: Annotated[str, typer.Option(help="The profile that it serves.")] = "chat",
    rate: Annotated[float | None, typer.Option(help="Requests a minute, on the average.")] = None,
    minutes: Annotated[float | None, typer.Option(help="How long requests come.")] = None,
    gpus: Annotated[
        str, typer.Option(help="GPUs to soak on: auto (the first), all, none, or numbers and UUIDs such as 0,3.")
    ] = "auto",
    json: forms.Json = False,
    markdown: forms.Markdown = None,
    html: forms.Html = None,
    prometheus: forms.Prometheus = None,
    out: Annotated[Path | None, typer.Option(help="File or folder for the record with the whole series.")] = None,
) -> None:
    """Serve a profile under load for a while and look whether all stays as it is."""
    from dataclasses import replace

    from builder.cli.keeping import Keeping
    from builder.engine.client import Engine
    from builder.gates.catalogue import SoakGate
    from builder.gates.gate import Scene
    from builder.judging import open_case
    from builder.profiles import choose

    session = Session.of(context, {"soak.rate": rate, "soak.minutes": minutes})
    choose(session.config.settings.profiles, (profile,))
    given = Outputs(markdown, html, prometheus)
    given.check()
    single = None if out is None or out.is_dir() else out
    forms.require_places((single,))
    engine = Engine(session.runner)
    scene = Scene(engine, session.runner, session.reporter, session.paths, session.config, session.logs)
    case = open_case(image, ("soak",), (profile,), gpus, scene)
    _require_one_each((*given.files, *([single] if single else [])), len(case.lanes))
    case = replace(case, gates=(SoakGate(profile, out),), confirming=False)
    keeping = Keeping(session, case)
    verdicts = []
    for verdict in keeping.each(case.verdicts()):
        verdicts.append(verdict)
        _give(verdict, given, session, quiet=json)
    code = keeping.exit_code(case.exit_code(verdicts))
    if json:
        session.reporter.show_json(document(verdicts, code, recorded=keeping.recorded))
    if code:
        raise typer.Exit(code)


def _require_one_each(files: Sequence[Path], lanes: int) -> None:
    if files and lanes > 1:
        raise UsageError(
            f"There is a record for each of {lanes} GPUs, and {files[0]} is one file.",
            "Name one GPU, give --out a folder, or write the files with `builder soak show`.",
        )


def _give(verdict: Verdict, given: Outputs, session: Session, *, quiet: bool) -> None:
    """Show what the record of a soak says, and where it is; the verdict alone where no load ever began."""
    from rich.text import Text

    from builder.performance.soak.record import read_soak
    from builder.report.soak_terminal import spell_soak

    file = verdict.measurements.get("record")
    record = read_soak(Path(str(file))) if file else None
    if record:
        given.write(record)
    elif given.files:
        session.reporter.notice(f"No load began, and nothing was written to {', '.join(map(str, given.files))}.")
    if quiet:
        return
    if record is None:
        session.reporter.show(spell_verdict(verdict))
        return
    session.reporter.show(spell_soak(record))
    session.reporter.show(Text(f"\nThe record is {file}.", style="dim"))
