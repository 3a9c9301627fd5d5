"""The commands on the patch queue."""

from __future__ import annotations

import typer

from builder.cli.patches import add, check, explain, refresh

app = typer.Typer(help="Keep local patches alive on upstream.", no_args_is_help=True)
app.command("check")(check.command)
app.command("explain")(explain.command)
app.command("refresh")(refresh.command)
app.command("add")(add.command)
