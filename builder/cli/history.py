"""`builder history`: what was promoted and rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import forms
from builder.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from builder.channels.ledger.evidence import VerdictEntry
    from builder.channels.ledger.ledger import Ledger
    from builder.channels.ledger.moves import PromotionEntry


@dataclass(frozen=True)
class _Row:
    """A promotion with what a person wants to know of it.

    Attributes:
        start: what the image is called that was adopted before.
        end: what the image is called that was to be.
        grounds: the verdicts that it had.
    """

    entry: PromotionEntry
    state: str
    start: str
    end: str
    grounds: tuple[VerdictEntry, ...]


def command(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="All there are, of other repositories too.")] = False,
    json: forms.Json = False,
) -> None:
    """List promotions and rollbacks, newest first: who, why, from what to what, and by which verdicts."""
    from builder.channels.ledger.ledger import open_ledger

    session = Session.of(context)
    repository = None if everything else session.config.settings.image.repository
    with open_ledger(session.paths.ledger) as ledger, ledger.at_once():
        entries = ledger.promotions.history(repository, limit=-1 if everything else limit)
        rows = [_row(ledger, entry) for entry in entries]
    if json:
        session.reporter.show_json({"schema_version": 1, "history": [_document(row) for row in rows]})
    elif rows:
        session.reporter.show(_table(rows))
    else:
        of = f" of {repository}" if repository else ""
        session.reporter.notice(f"Nothing{of} was promoted yet.")


def _row(ledger: Ledger, entry: PromotionEntry) -> _Row:
    from builder.channels.called import called
    from builder.channels.journal import grounds, state_of

    state = state_of(entry, ledger.id)
    return _Row(entry, state, called(ledger, entry.before), called(ledger, entry.after), grounds(ledger, entry))


def _document(row: _Row) -> dict[str, object]:
    from builder.channels.ledger.values import spell
    from builder.channels.requirements import profile_of

    verdicts = [
        {
            "gate": verdict.gate,
            "outcome": verdict.outcome,
            "profile": profile_of(verdict) or None,
            "gpus": [gpu.name for gpu in verdict.gpus],
            "at": spell(verdict.at),
            "machine": verdict.machine,
        }
        for verdict in row.grounds
    ]
    names = {"state": row.state, "before_name": row.start, "after_name": row.end}
    return {**row.entry.plain(), **names, "verdicts": verdicts}


def _table(rows: Iterable[_Row]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from builder.channels.journal import spell_verdicts

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        entry = row.entry
        told = Text(f"{row.start} -> {row.end}\n")
        for force in entry.forces:
            told.append(f"FORCED: {force}\n", style="bold red")
        told.append(f"{entry.repository}:{entry.channel} by {entry.who}{f': {entry.why}' if entry.why else ''}\n")
        told.append(spell_verdicts(row.grounds), style="dim")
        title = Text(f"{entry.action}\n{row.state}", style="" if entry.result == "done" else "yellow")
        table.add_row(f"{entry.at:%Y-%m-%d %H:%M} UTC", title, told)
    return table
