"""`builder check-version`: what an image, a container, a binary or a text is, and whether it is too old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import exit_code
from builder.cli.session import Session
from builder.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.text import Text

    from builder.gates.verdict import Verdict
    from builder.server.probe import Answer
    from builder.server.subject import Subject
    from builder.server.version import BinaryVersion
    from builder.upstream.minimum import Minimum


def command(
    context: typer.Context,
    subject: Annotated[
        str | None,
        typer.Argument(
            help="An image, container:NAME, the path of a binary, or - for text on standard input; "
            "else the configured image's latest.",
            show_default=False,
        ),
    ] = None,
    *,
    minimum: Annotated[
        str | None,
        typer.Option(help="The oldest that will do: a build number such as 3294, or a release such as v0.3.0."),
    ] = None,
    gpus: Annotated[
        str,
        typer.Option(help="GPUs to hand to the container: none, all, numbers such as 0,1, or auto: only if needed."),
    ] = "auto",
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for the binary to answer.")] = 60,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Say which build a llama-server is, and whether it is too old (exit 10) or cannot be judged (exit 20)."""
    from concurrent.futures import ThreadPoolExecutor

    from builder.gates.version import judge
    from builder.server.subject import parse_subject
    from builder.upstream.minimum import Minimum

    session = Session.of(context, {"version.minimum": minimum})
    gpus = _checked_gpus(gpus)
    if minimum is not None:
        Minimum.parse(minimum)
    with ThreadPoolExecutor(1) as aside:
        name = _default_subject(session) if subject is None else subject
        ask = _question(session, parse_subject(name), gpus, timeout)
        # The configuration takes about as long to load as a container to start: do both at once.
        yardstick = aside.submit(_yardstick, session)
        answer = ask()
        verdict = judge(name, answer, *yardstick.result())
    if json:
        session.reporter.show_json(_document(verdict))
    else:
        session.reporter.show(_spell(verdict, answer.version))
    if code := exit_code(verdict):
        raise typer.Exit(code)


def _default_subject(session: Session) -> str:
    """What is adopted; where nothing is, the candidate."""
    from builder.engine.client import Engine
    from builder.plan.plan import Variant

    settings, engine = session.config.settings, Engine(session.runner)
    adopted = tuple(dict.fromkeys(map(settings.adopted, Variant)))
    candidates = tuple(dict.fromkeys(map(settings.candidate, Variant)))
    found = next((name for name in (*adopted, *candidates) if engine.image(name)), adopted[0])
    if found in candidates:
        session.reporter.notice(f"There is no {adopted[0]} yet; asking the candidate.")
    return found


def _yardstick(session: Session) -> tuple[Minimum, int | None]:
    """What an answer is held against: the minimum, and the newest upstream build that is known here."""
    from builder.server.newest import newest_known_build
    from builder.upstream.minimum import Minimum

    settings = session.config.settings
    newest = newest_known_build(session.paths.mirrors, settings.upstream.repository, session.runner)
    return Minimum.parse(settings.version.minimum), newest


def _question(session: Session, subject: Subject, gpus: str, timeout: float) -> Callable[[], Answer]:
    import sys
    from functools import partial

    from builder.engine.client import Engine
    from builder.server.probe import Prober, read_text
    from builder.server.subject import TextSubject

    if isinstance(subject, TextSubject):
        return partial(read_text, sys.stdin.buffer)
    engine = Engine(session.runner)
    return partial(Prober(session.runner, engine, run_id=session.logs.name, timeout=timeout, gpus=gpus).ask, subject)


def _checked_gpus(gpus: str) -> str:
    import re

    if gpus in ("auto", "none", "all") or re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z-]*(,[0-9A-Za-z][0-9A-Za-z-]*)*", gpus):
        return gpus
    raise UsageError(f"--gpus {gpus!r} names no GPUs.", "Give none, all, auto, or numbers such as 0,1.")


def _document(verdict: Verdict) -> dict[str, object]:
    return {
        "schema_version": 1,
        "gate": verdict.gate,
        "verdict": verdict.outcome,
        "subject": verdict.subject,
        "image": verdict.digest,
        **verdict.measurements,
        "reasons": verdict.reasons,
        "seconds": round(verdict.seconds, 3),
    }


def _spell(verdict: Verdict, version: BinaryVersion | None) -> Text:
    from rich.text import Text

    from builder.gates.verdict import Outcome

    colours = {Outcome.PASS: "bold green", Outcome.FAIL: "bold red", Outcome.UNJUDGED: "bold yellow"}
    told = f"{verdict.subject} is {version.name}" if version else verdict.subject
    lines = [*verdict.reasons, *_further(verdict)]
    return Text.assemble(
        (str(verdict.outcome), colours[verdict.outcome]), f": {told}", *(f"\n  {line}" for line in lines)
    )


def _further(verdict: Verdict) -> Iterator[str]:
    behind, newest = verdict.measurements["builds_behind"], verdict.measurements["newest_upstream"]
    if behind is not None:
        yield (
            f"{behind} builds behind b{newest}, the newest upstream build known here."
            if behind
            else (f"No newer upstream build is known here (b{newest}).")
        )
    if compiler := verdict.measurements["compiler"]:
        yield f"Built with {compiler}."
