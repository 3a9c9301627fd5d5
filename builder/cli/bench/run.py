"""`builder bench A [B]`: measure, and judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import forms
from builder.cli.bench import outputs
from builder.cli.session import Session

if TYPE_CHECKING:
    from builder.errors import ExitCode
    from builder.performance.bench import Result

HELP = (
    "Measure an image, or whether B is slower than A: builder bench A [B].\n\n"
    "One image alone becomes a base line; with several values behind --set the best of them is recommended. "
    "Exit status 0: not worse, or nothing to judge; 14: worse, and confirmed; 20: not known."
)


def command(
    context: typer.Context,
    a: Annotated[
        str,
        typer.Argument(metavar="A", help="An image of this engine: the candidate, a tag, a name, an ID or a digest."),
    ],
    b: Annotated[str | None, typer.Argument(metavar="B", help="One that is held against it.")] = None,
    profile: Annotated[str, typer.Option(help="The profile that is served.")] = "chat",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="What is otherwise in it: chat.ubatch=64, or =64,128 to compare; repeatable."),
    ] = None,
    target: Annotated[
        str, typer.Option(help="What values are compared for, such as throughput; else the time to first token.")
    ] = "",
    effort: Annotated[str | None, typer.Option(help="How much a run asks: quick, usual or thorough.")] = None,
    rounds: Annotated[
        int | None, typer.Option(help="Rounds at most; a regression is confirmed by as many again.")
    ] = None,
    time_limit: Annotated[int | None, typer.Option(help="Seconds for all rounds together; 0 is no limit.")] = None,
    gpus: Annotated[str, typer.Option(help="The GPU: auto (the first), none, or a number or UUID.")] = "auto",
    json: forms.Json = False,
    markdown: forms.Markdown = None,
    html: forms.Html = None,
    prometheus: forms.Prometheus = None,
    out: outputs.Out = None,
) -> None:
    """Measure an image, or one against another."""
    from builder.benching import Asked, run_bench
    from builder.cli.bench.progress import showing
    from builder.engine.client import Engine
    from builder.gates.gate import Scene
    from builder.recording import Recorder

    given = outputs.Outputs(json, markdown, html, prometheus, out)
    given.check()
    flags = {"performance.effort": effort, "performance.rounds": rounds, "performance.time-limit": time_limit}
    session = Session.of(context, flags)
    engine = Engine(session.runner)
    scene = Scene(engine, session.runner, session.reporter, session.paths, session.config, session.logs)
    asked = Asked((a, *([b] if b else [])), profile, tuple(changes or ()), gpus, target, rounds or 0)
    recorder = Recorder(session.paths, session.reporter)
    recorder.look()
    with showing(session.reporter, quiet=json) as progress:
        result = run_bench(asked, scene, progress, recorder.bench)
    code = recorder.exit_code(result.exit_code)
    given.give(session, result.record, code, {"file": str(result.file), "recorded": not recorder.failed})
    _end(session, result, code, quiet=json)


def _end(session: Session, result: Result, code: ExitCode, *, quiet: bool) -> None:
    if result.error:
        session.reporter.error(result.error)
    if not quiet:
        session.reporter.notice(f"record: {result.file}")
    if code:
        raise typer.Exit(code)
