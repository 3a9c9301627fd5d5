"""`builder doctor`: what this machine has and lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.session import Session
from builder.errors import ExitCode

if TYPE_CHECKING:
    from rich.table import Table

    from builder.engine.doctor import Diagnosis

_STYLES = {"ok": "green", "warn": "yellow", "missing": "bold red"}


def command(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Show what this machine has, what it lacks, and what to do about it; exit 3 where it cannot build."""
    from builder.engine.client import Engine
    from builder.engine.doctor import examine

    session = Session.of(context)
    settings = session.config.settings
    diagnosis = examine(
        session.runner,
        Engine(session.runner),
        cuda=settings.build.cuda,
        repository=settings.image.repository,
        cache=session.paths.cache,
    )
    if json:
        session.reporter.show_json(_document(diagnosis))
    else:
        session.reporter.show(_table(diagnosis))
        session.reporter.notice(_conclusion(diagnosis))
    if not diagnosis.usable:
        raise typer.Exit(ExitCode.MACHINE)


def _document(diagnosis: Diagnosis) -> dict[str, object]:
    from dataclasses import asdict

    return {"schema_version": 1, "usable": diagnosis.usable, **asdict(diagnosis)}


def _table(diagnosis: Diagnosis) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("", "check", "found", box=None, pad_edge=False)
    for check in diagnosis.checks:
        found = Text(check.detail, overflow="fold")
        if check.advice:
            found.append(f"\n{check.advice}", style="dim")
        table.add_row(Text(check.status, style=_STYLES[check.status]), check.name, found)
    return table


def _conclusion(diagnosis: Diagnosis) -> str:
    if not diagnosis.usable:
        lacking = ", ".join(check.name for check in diagnosis.checks if check.status == "missing")
        return f"Nothing can be built here until this is mended: {lacking}."
    if diagnosis.flawless:
        return "This machine is ready to build and to judge."
    return "Images can be built here; lines marked `warn` say what else is to be done."
