"""The commands that look at the ledger and carry it about."""

from __future__ import annotations

import typer

from builder.cli.ledger import carrying, check, show

app = typer.Typer(
    help="The ledger: what was built, judged and adopted on this machine, and what other machines brought.",
    no_args_is_help=True,
)
app.command("show")(show.command)
app.command("check")(check.command)
app.command("export")(carrying.export)
app.command("import")(carrying.bring_in)
