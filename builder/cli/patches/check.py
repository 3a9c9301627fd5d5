"""`builder patches check`: a row for every patch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from builder.cli.patches import shared
from builder.cli.session import Session
from builder.errors import ExitCode

if TYPE_CHECKING:
    from builder.patching import Checked


def command(
    context: typer.Context,
    ref: shared.Ref = None,
    origin: shared.Origin = None,
    folder: shared.Folder = None,
    channel: shared.Channel = None,
    cooldown: shared.Cooldown = None,
    json: shared.Json = False,
) -> None:
    """Try every patch and show a row for each; change nothing. Exit status 4 if one does not apply."""
    from builder.patching import check_queue

    session = Session.of(context, shared.flags(ref, origin, folder, channel, cooldown))
    desk = shared.open_desk(session)
    checked = check_queue(desk)
    statuses = checked.judgement.statuses
    if json:
        session.reporter.show_json(_document(checked))
    elif statuses:
        session.reporter.show(shared.render(statuses))
        session.reporter.notice(shared.summary(statuses, checked.revision))
    else:
        session.reporter.notice(f"There are no patches in {desk.place.folder}.")
    if checked.judgement.failed:
        raise typer.Exit(ExitCode.SOURCE)


def _document(checked: Checked) -> dict[str, object]:
    revision = checked.revision
    return {
        "schema_version": 1,
        "revision": {
            "name": revision.name,
            "ref": revision.ref,
            "commit": revision.commit,
            "build_number": revision.build_number,
        },
        "applies": not checked.judgement.failed,
        "tree": checked.judgement.tree,
        "patches": [shared.row(status) for status in checked.judgement.statuses],
    }
