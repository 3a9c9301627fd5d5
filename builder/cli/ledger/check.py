"""`builder ledger check`: whether the ledger is whole, and whether tags and files name what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from builder.cli import forms
from builder.cli.session import Session
from builder.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from builder.channels.drift import Actual, Discrepancy, Expectation
    from builder.channels.ledger.ledger import Ledger


def command(context: typer.Context, json: forms.Json = False) -> None:
    """Read the whole ledger, and hold it against engine, registry and adoption files.

    Exit status 0: all is as it says; 20: something is not, or does not answer; 3: the ledger is damaged.
    """
    from functools import partial

    from builder.channels.drift import drifts, expected_of
    from builder.channels.ledger.ledger import open_ledger
    from builder.channels.looking import look_around
    from builder.channels.places.reach import Reach
    from builder.engine.client import Engine

    session = Session.of(context)
    insecure = session.config.settings.registry.insecure
    with open_ledger(session.paths.ledger) as ledger:
        ledger.verify()
        expected = partial(expected_of, ledger)
        with Reach(Engine(session.runner), session.runner, session.paths.adoptions, insecure) as reach:
            seen = look_around(session.config, reach, expected)
        found = drifts(ledger, seen)
        code = ExitCode.UNJUDGED if found else ExitCode.DONE
        if json:
            session.reporter.show_json(_document(ledger, expected, seen, found, code))
        elif found:
            session.reporter.show(_table(found))
    if not json and not found:
        session.reporter.notice(f"The ledger is whole, and {_told(seen)} as it says.")
    if code:
        raise typer.Exit(code)


def _document(
    ledger: Ledger,
    expected: Expectation,
    seen: Sequence[Actual],
    found: Sequence[Discrepancy],
    code: ExitCode,
) -> dict[str, object]:
    from dataclasses import asdict

    checked = [
        {
            "place": one.place,
            "subject": one.subject,
            "said": known.digest if (known := expected(one.place, one.subject)) else None,
            "seen": one.digests,
        }
        for one in seen
    ]
    return {
        "schema_version": 1,
        "exit_code": int(code),
        "file": str(ledger.file),
        "ledger": ledger.id,
        "checked": checked,
        "discrepancies": [asdict(one) for one in found],
    }


def _table(found: Sequence[Discrepancy]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="yellow")
    table.add_column(overflow="fold")
    for one in found:
        table.add_row(one.place, one.kind, Text(f"{one.subject}\n{one.why}\n{one.remedy}"))
    return table


def _told(seen: Sequence[Actual]) -> str:
    named = sum(bool(one.digests) for one in seen)
    if not named:
        return "no tag or file names anything,"
    return f"{named} tags and files are" if named > 1 else "the one tag or file that names an image is"
