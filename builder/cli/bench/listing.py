"""`builder bench list`: what was measured, and the history of a channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import forms
from builder.cli.bench import records
from builder.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from builder.performance.archive import Entry, Side

_USUAL = ("ttft/2k", "ttft/short", "embed/short", "generation/alone", "llama-bench/tg64")
"""Figures that a history shows where nobody names any: the first of these that were measured."""
_COLUMNS = 2
_STAMP = 16
"""Letters of a record's name that say when it was begun; they are enough to find it by."""


def command(
    context: typer.Context,
    channel: Annotated[str | None, typer.Option(help="The history of a channel, such as candidate.")] = None,
    repository: Annotated[
        str | None, typer.Option(help="Of this name, without a tag; else the configured one.")
    ] = None,
    figure: Annotated[list[str] | None, typer.Option(help="A figure of the history, such as ttft/2k.")] = None,
    json: forms.Json = False,
) -> None:
    """List all records, or what was measured of an image's channel in the course of time."""
    from builder.performance.archive import history

    session = Session.of(context)
    entries = records.archive(session).entries()
    past = channel is not None or repository is not None or bool(figure)
    name = repository or session.config.settings.image.repository
    rows = history(entries, name, channel or "") if past else ()
    if json:
        listed = [entry.model_dump(mode="json", exclude={"stamp"}) for entry in entries]
        told = [{"file": entry.file, "side": side.model_dump(mode="json")} for entry, side in rows]
        session.reporter.show_json(
            {"schema_version": forms.SCHEMA, **({"history": told} if past else {"records": listed})}
        )
    elif not (rows if past else entries):
        session.reporter.notice("Nothing was measured yet." if not past else f"Nothing was measured of {name} yet.")
    else:
        session.reporter.show(_histories(rows, figure or ()) if past else _table(entries))


def _table(entries: Sequence[Entry]) -> Table:
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(Column("record", no_wrap=True), Column("of", overflow="fold"), "outcome", box=None, pad_edge=False)
    for entry in entries:
        what = entry.damaged or " against ".join(_told(side) for side in entry.sides)
        table.add_row(Text(entry.file[:_STAMP]), Text(what), Text(_outcome(entry)))
    return table


def _outcome(entry: Entry) -> str:
    if entry.damaged:
        return "damaged"
    answer = "not often enough" if entry.unsettled else entry.outcome
    answer = answer or ("base line" if len(entry.sides) == 1 else "")
    counted = "" if any(side.figures for side in entry.sides) else "no run counts"
    return ", ".join(filter(None, (answer, counted, "" if entry.whole else "not whole")))


def _told(side: Side) -> str:
    overrides = ", ".join(f"{key}={value}" for key, value in side.overrides.items())
    return f"{side.reference} {overrides}".strip()


def _histories(rows: Sequence[tuple[Entry, Side]], wanted: Sequence[str]) -> Group:
    """A table for each machine, model and work: figures of different ones say nothing of the images."""
    from rich.console import Group
    from rich.text import Text

    alike: dict[tuple[str, str, str], list[tuple[Entry, Side]]] = {}
    for entry, side in rows:
        alike.setdefault((entry.machine, side.profile, side.work), []).append((entry, side))
    shown: list[Text | Table] = []
    for (machine, profile, _), group in alike.items():
        side = group[0][1]
        words = ", ".join(filter(None, (profile, side.model, side.asked, machine)))
        shown += [*([Text()] if shown else []), Text(words, style="dim"), _history(group, wanted)]
    return Group(*shown)


def _history(rows: Sequence[tuple[Entry, Side]], wanted: Sequence[str]) -> Table:
    from rich.table import Column, Table
    from rich.text import Text

    from builder.performance.metrics import metric

    seen = {name for _, side in rows for name in side.figures}
    figures = list(wanted) or [name for name in _USUAL if name in seen][:_COLUMNS]
    units = {name: metric(name).unit for name in figures if name in seen}
    heads = [Column(f"{name} {units.get(name, '')}".strip(), justify="right") for name in figures]
    table = Table(Column("record", no_wrap=True), Column("build", overflow="fold"), *heads, box=None, pad_edge=False)
    for entry, side in rows:
        values = [f"{side.figures[name]:.4g}" if name in side.figures else "-" for name in figures]
        overrides = ", ".join(f"{key}={value}" for key, value in side.overrides.items())
        table.add_row(Text(entry.file[:_STAMP]), Text(f"{side.build or side.reference} {overrides}".strip()), *values)
    return table
