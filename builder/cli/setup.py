"""`builder setup`: make a machine ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.engine.steps import Step


def command(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show the steps, take none.")] = False,
) -> None:
    """Install and start what builds need: Docker Engine with buildx, and git."""
    from builder.engine.client import Engine
    from builder.engine.setup import carry_out, plan, survey

    session = Session.of(context)
    engine = Engine(session.runner)
    found = survey(session.runner, engine)
    todo = plan(found)
    if not todo:
        session.reporter.notice("nothing to do: this machine is ready")
    elif dry_run:
        for line in _spell(todo):
            session.reporter.show(line)
    else:
        carry_out(todo, found, session.runner, session.reporter, engine)
        session.reporter.notice("this machine is ready; `builder doctor` shows what it has")


def _spell(todo: tuple[Step, ...]) -> Iterator[str]:
    for number, step in enumerate(todo, 1):
        yield f"[{number}/{len(todo)}] {step.title}"
        yield from (f"    {line}" for line in step.details)
