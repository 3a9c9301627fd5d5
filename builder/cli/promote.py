"""`builder promote`: let the stack adopt an image that proved itself."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.cli import forms, moving


def command(
    context: typer.Context,
    image: Annotated[
        str | None,
        typer.Argument(
            help="A tag, a name, an ID or a digest, a build such as b10991, or the candidate.",
            show_default="candidate",
        ),
    ] = None,
    why: moving.Why = "",
    force: moving.Force = None,
    accept_moved: moving.AcceptMoved = False,
    dry_run: moving.DryRun = False,
    resume: moving.Resume = False,
    undo: moving.Undo = False,
    json: forms.Json = False,
) -> None:
    """Let the stack adopt an image that proved itself. Exit status 21: nothing moved; 22: moved partly."""
    from builder.promoting import promote

    options = moving.Options(image, why, force, accept_moved, dry_run, resume, undo)
    moving.carry_out(context, options, lambda wish, tools: promote(image or "candidate", wish, tools), as_json=json)
