"""`builder patches add`: a new patch at the end of the queue."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.patches import shared
from builder.cli.session import Session


def command(
    context: typer.Context,
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE|COMMIT|URL",
            help="A patch file, a commit of upstream, or the URL of a pull request or commit.",
        ),
    ],
    ref: shared.Ref = None,
    origin: shared.Origin = None,
    folder: shared.Folder = None,
    channel: shared.Channel = None,
    cooldown: shared.Cooldown = None,
    force: Annotated[bool, typer.Option("--force", help="Add it even where it does not apply.")] = False,
    json: shared.Json = False,
) -> None:
    """Try a patch after the queue and put it there if it applies."""
    from builder.patching import add_patch

    session = Session.of(context, shared.flags(ref, origin, folder, channel, cooldown))
    added = add_patch(shared.open_desk(session), target, force=force)
    if json:
        document = {"file": str(added.file), "revision": added.revision, "patch": shared.row(added.status)}
        session.reporter.show_json({"schema_version": 1, **document})
        return
    session.reporter.show(shared.text(str(added.file)))
    detail = f" ({added.status.detail})" if added.status.detail else ""
    session.reporter.notice(f"`{added.patch.subject}` on {added.revision}: {added.status.standing.value}{detail}.")
