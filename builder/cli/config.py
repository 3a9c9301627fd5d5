"""`builder config`: what holds, and where each value came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from builder.cli.session import Session
from builder.process import without_credentials


def command(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="The JSON schema of builder.toml.")] = False,
) -> None:
    """Show what holds and where each value came from."""
    from builder.config import value_of
    from builder.settings import Settings

    session = Session.of(context)
    if schema:
        session.reporter.show_json(Settings.model_json_schema(by_alias=True))
        return
    config = session.config
    if json:
        values = {key: _plain(value_of(config.settings, key)) for key in config.sources}
        session.reporter.show_json({"schema_version": 1, "values": values, "sources": dict(config.sources)})
        return
    from rich.table import Column, Table

    table = Table(Column("key", no_wrap=True), "value", Column("from", overflow="fold"), box=None, pad_edge=False)
    for key in config.sources:
        table.add_row(key, _spell(value_of(config.settings, key)), config.sources[key])
    session.reporter.show(table)


def _plain(value: object) -> object:
    """As JSON has it, and without the credentials that a URL may hold."""
    from builder.settings import Held

    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return [item.model_dump() if isinstance(item, Held) else item for item in value]
    return without_credentials(value) if isinstance(value, str) else value


def _spell(value: object) -> str:
    from builder.settings import Held

    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={setting}" for name, setting in value.items())
    if isinstance(value, tuple) and any(isinstance(item, Held) for item in value):
        return "\n".join(map(str, value))
    return ", ".join(map(str, value)) if isinstance(value, tuple) else without_credentials(str(value))
