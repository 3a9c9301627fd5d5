"""`builder ledger show`: what the ledger holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import forms
from builder.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Group

    from builder.channels.journal import Event
    from builder.channels.ledger.ledger import Ledger


def command(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=0, help="At most so many of the newest entries.")] = 10,
    json: forms.Json = False,
) -> None:
    """Show where the ledger is, how much it holds, and the newest entries."""
    from builder.channels.journal import counts, newest
    from builder.channels.ledger.ledger import open_ledger

    session = Session.of(context)
    with open_ledger(session.paths.ledger) as ledger:
        with ledger.at_once():
            numbers, events = counts(ledger), newest(ledger, limit)
        if json:
            session.reporter.show_json(_document(ledger, numbers, events))
        else:
            session.reporter.show(_spell(ledger, numbers, events))


def _document(ledger: Ledger, numbers: Mapping[str, int], events: Sequence[Event]) -> dict[str, object]:
    from builder.channels.ledger.schema import MIGRATIONS
    from builder.channels.ledger.values import spell

    told = [
        {"at": spell(one.at), "kind": one.kind, "digest": one.digest, "name": one.name, "what": one.what}
        for one in events
    ]
    return {
        "schema_version": 1,
        "file": str(ledger.file),
        "ledger": ledger.id,
        "version": len(MIGRATIONS),
        "counts": dict(numbers),
        "newest": told,
    }


def _spell(ledger: Ledger, numbers: Mapping[str, int], events: Sequence[Event]) -> Group:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from builder.channels.ledger.schema import MIGRATIONS

    head = Table(box=None, show_header=False, pad_edge=False)
    head.add_column(style="dim", no_wrap=True)
    head.add_column(overflow="fold")
    head.add_row("file", str(ledger.file))
    head.add_row("id", f"{ledger.id}, version {len(MIGRATIONS)}")
    head.add_row("holds", ", ".join(f"{kind} {number}" for kind, number in numbers.items()))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in events:
        table.add_row(f"{one.at:%Y-%m-%d %H:%M} UTC", one.kind, Text(f"{one.name}: {one.what}"))
    return Group(head, Text(), table) if events else Group(head)
