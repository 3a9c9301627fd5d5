"""`builder soak list`: what was put under load so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from builder.cli import forms
from builder.cli.session import Session

if TYPE_CHECKING:
    from rich.table import Table

    from builder.performance.soak.archive import SoakEntry

_STAMP = 16
"""Letters of a record's name that say when it was begun; they are enough to find it by."""


def command(context: typer.Context, json: forms.Json = False) -> None:
    """List all records of soaks, the oldest first."""
    from builder.performance.soak.archive import entries

    session = Session.of(context)
    found = tuple(entries(session.paths.soaks))
    if json:
        listed = [entry.model_dump(mode="json") for entry in found]
        session.reporter.show_json({"schema_version": forms.SCHEMA, "records": listed})
    elif not found:
        session.reporter.notice("Nothing was put under load yet.")
    else:
        session.reporter.show(_table(found))


def _table(found: Sequence[SoakEntry]) -> Table:
    from rich.table import Column, Table
    from rich.text import Text

    folded = (Column(name, overflow="fold") for name in ("of", "load", "outcome"))
    table = Table(Column("record", no_wrap=True), *folded, box=None, pad_edge=False)
    for entry in found:
        what = entry.damaged or ", ".join((entry.build or entry.reference, entry.profile))
        table.add_row(*map(Text, (entry.file[:_STAMP], what, entry.load, _outcome(entry))))
    return table


def _outcome(entry: SoakEntry) -> str:
    if entry.damaged:
        return "damaged"
    failed = f" ({', '.join(entry.failed)})" if entry.failed else ""
    return ", ".join(filter(None, (f"{entry.outcome or ''}{failed}", "" if entry.whole else "not whole")))
