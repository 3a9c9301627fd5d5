"""What the commands on the patch queue share: options, and a row for a patch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import options
from builder.cli.session import Session

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from builder.patching import Desk
    from builder.source.patches.status import PatchStatus, Standing
    from builder.upstream.revision import Revision

Ref = Annotated[str | None, typer.Option(help="latest, tip, a tag such as b10991, a branch or a commit.")]
Origin = options.Origin
Channel = options.Channel
Cooldown = options.Cooldown
Folder = Annotated[str | None, typer.Option("--patches", help="Folder of the queue; else patches.folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def flags(
    ref: str | None, origin: str | None, folder: str | None, channel: str | None, cooldown: str | None
) -> dict[str, object]:
    """The options by configuration key; None was not given."""
    return {
        "upstream.ref": ref,
        "upstream.origin": origin,
        "upstream.channel": channel,
        "upstream.cooldown": cooldown,
        "patches.folder": "" if folder == "none" else folder,
    }


def open_desk(session: Session) -> Desk:
    """What the work on a queue needs."""
    from builder.patching import Desk

    return Desk.of(session.config, session.paths, session.runner, session.reporter)


def text(said: str, style: str = "") -> Text:
    """A line that may hold foreign words, such as the subject of a commit."""
    from rich.text import Text

    from builder.console import printable

    return Text(printable(said), style=style)


def render(statuses: tuple[PatchStatus, ...]) -> Table:
    """A row for every patch, in 80 columns."""
    from rich.table import Table

    table = Table("patch", "state", "", box=None, pad_edge=False)
    table.columns[0].overflow = table.columns[2].overflow = "fold"
    table.columns[1].no_wrap = True
    for status in statuses:
        table.add_row(
            text(status.name.removesuffix(".patch")),
            text(status.standing.value, style(status.standing)),
            text(status.detail),
        )
    return table


def summary(statuses: tuple[PatchStatus, ...], revision: Revision) -> str:
    """How many of each, in one line."""
    counts: dict[str, int] = {}
    for status in statuses:
        counts[status.standing.value] = counts.get(status.standing.value, 0) + 1
    parts = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"{len(statuses)} {'patch' if len(statuses) == 1 else 'patches'} on {revision.title}: {parts}."


def row(status: PatchStatus) -> dict[str, object]:
    """A status as JSON-ready data."""
    from dataclasses import asdict

    return {**asdict(status), "standing": status.standing.value, "detail": status.detail}


def style(standing: Standing) -> str:
    """The colour of a standing."""
    return {"clean": "green", "fuzzy": "yellow", "upstream": "cyan"}.get(standing.value, "red")
