"""`builder upstream`: what is new upstream, and what of it would be taken."""

from __future__ import annotations

import typer

from builder.cli.upstream import accept, log, newest, state

app = typer.Typer(invoke_without_command=True, no_args_is_help=False)
app.callback()(state.command)
app.command("list")(newest.command)
app.command("log")(log.command)
app.command("accept")(accept.command)
