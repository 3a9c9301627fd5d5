"""`builder rollback`: let the stack adopt the image before."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.cli import forms, moving


def command(
    context: typer.Context,
    to: Annotated[
        str | None,
        typer.Option(help="A tag, a name, an ID or a digest, or a build such as b10991; else the image before."),
    ] = None,
    why: moving.Why = "",
    force: moving.Force = None,
    accept_moved: moving.AcceptMoved = False,
    dry_run: moving.DryRun = False,
    resume: moving.Resume = False,
    undo: moving.Undo = False,
    json: forms.Json = False,
) -> None:
    """Let the stack adopt the image before, and hold this one. Exit status 21: nothing moved; 22: moved partly."""
    from builder.promoting import rollback

    options = moving.Options(to, why, force, accept_moved, dry_run, resume, undo)
    moving.carry_out(context, options, lambda wish, tools: rollback(to, wish, tools), as_json=json)
