"""`builder judge`: one image before the gates."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from builder.cli.session import Session
from builder.cli.verdicts import document, spell_verdict

Profile = Annotated[list[str] | None, typer.Option(help="A profile that is served; repeatable. Else all of them.")]
Gpus = Annotated[
    str,
    typer.Option(help="GPUs to judge on, side by side: auto (the first), all, none, or numbers and UUIDs such as 0,3."),
]

_OUT = "Also write the verdicts for another machine's ledger: JSON lines, one in-toto statement for each verdict."
_GATES = "Only this gate, or several: a,b; repeatable. Else all but performance and soak, which must be named."


def command(
    context: typer.Context,
    image: Annotated[
        str, typer.Argument(help="An image of this engine: the candidate, a tag, a name, an ID or a digest.")
    ],
    gate: Annotated[list[str] | None, typer.Option(help=_GATES)] = None,
    profile: Profile = None,
    gpus: Gpus = "auto",
    out: Annotated[Path | None, typer.Option(help=_OUT)] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Judge an image. Each gate has its exit status for a failure; 20: it could not be judged.

    The ledger keeps every verdict. Status 3 where all passed and it could not be written to.
    """
    judge(context, image, tuple(gate or ()), tuple(profile or ()), gpus, out, as_json=json)


def smoke(
    context: typer.Context,
    image: Annotated[
        str, typer.Argument(help="An image of this engine: the candidate, a tag, a name, an ID or a digest.")
    ],
    profile: Profile = None,
    gpus: Gpus = "auto",
    json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Serve each profile with an image and try all that serving takes. Exit status 12 for a failure, 20: not judged."""
    judge(context, image, ("smoke",), tuple(profile or ()), gpus, None, as_json=json)


def judge(
    context: typer.Context,
    image: str,
    names: tuple[str, ...],
    profiles: tuple[str, ...],
    gpus: str,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Put an image before gates, keep and show what they say, and end with the status that stands for it."""
    from builder.cli.keeping import Keeping
    from builder.engine.client import Engine
    from builder.gates.gate import Scene
    from builder.judging import open_case
    from builder.profiles import choose

    session = Session.of(context)
    served = tuple(choose(session.config.settings.profiles, profiles))
    engine = Engine(session.runner)
    scene = Scene(engine, session.runner, session.reporter, session.paths, session.config, session.logs)
    case = open_case(image, names, served, gpus, scene)
    keeping = Keeping(session, case, out)
    verdicts = []
    with closing(case.verdicts()) as given:
        for verdict in keeping.each(given):
            verdicts.append(verdict)
            if not as_json:
                session.reporter.show(spell_verdict(verdict))
    code = keeping.exit_code(case.exit_code(verdicts))
    if as_json:
        session.reporter.show_json(document(case.by_gpu(verdicts), code, recorded=keeping.recorded))
    if code:
        raise typer.Exit(code)
