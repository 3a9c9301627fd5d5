"""`builder upstream accept`: follow what upstream rewrote."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.session import Session
from builder.cli.upstream import common


def command(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(help="Tags and branches, as `builder upstream` names them.")],
    origin: common.Origin = None,
    json: common.Json = False,
) -> None:
    """Follow upstream where it moved or withdrew a tag, or rewrote a branch."""
    from builder.tracking.watch import Watch

    session = Session.of(context, {"upstream.origin": origin})
    moves = Watch.of(session.config.settings, common.tools(session)).accept(names)
    if json:
        session.reporter.show_json({"schema_version": 1, "accepted": [common.move_document(move) for move in moves]})
        return
    for move in moves:
        where = f"is {move.theirs[: common.DIGITS]} now" if move.theirs else "is gone now"
        session.reporter.notice(f"{move.name} {where}; it was {move.ours[: common.DIGITS]}.")
