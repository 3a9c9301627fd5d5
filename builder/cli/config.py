"""`builder config`: what holds, and where each value came from."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.session import Session


def command(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="The JSON schema of builder.toml.")] = False,
) -> None:
    """Show what holds and where each value came from."""
    from builder.config import Settings, known_keys, value_of

    session = Session.of(context)
    if schema:
        session.reporter.show_json(Settings.model_json_schema(by_alias=True))
        return
    config = session.config
    if json:
        values = config.settings.model_dump(mode="json", by_alias=True)
        session.reporter.show_json({"schema_version": 1, "values": values, "sources": dict(config.sources)})
        return
    from rich.table import Table

    table = Table("key", "value", "from", box=None, pad_edge=False)
    for key in known_keys():
        table.add_row(key, _spell(value_of(config.settings, key)), config.sources[key])
    session.reporter.show(table)


def _spell(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
