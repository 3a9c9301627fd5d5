"""The command itself."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.cli import forms
from builder.cli.session import Session
from builder.cli.status.document import document
from builder.cli.status.text import shown
from builder.errors import ExitCode


def command(
    context: typer.Context,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 20 where something is not as it should be.")
    ] = False,
    json: forms.Json = False,
) -> None:
    """Show what is adopted, what waits and why, what adoption files name, and what runs where."""
    from datetime import UTC, datetime

    from builder.channels.ledger.ledger import open_ledger
    from builder.channels.places.reach import Reach
    from builder.engine.client import Engine
    from builder.standing import survey

    session = Session.of(context)
    insecure = session.config.settings.registry.insecure
    now = datetime.now(UTC)
    with (
        open_ledger(session.paths.ledger) as ledger,
        Reach(Engine(session.runner), session.runner, session.paths.adoptions, insecure) as reach,
    ):
        standing = survey(session.config, ledger, reach, now)
    if json:
        session.reporter.show_json(document(standing))
    else:
        session.reporter.show(shown(standing, now))
    if exit_code and standing.has_drifted:
        raise typer.Exit(ExitCode.UNJUDGED)
