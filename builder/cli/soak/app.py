"""The command that puts an image under load, and those that look at what was seen."""

from __future__ import annotations

import typer

from builder.cli.implied import RUN, ImpliedRun
from builder.cli.soak import listing, run, show

app = typer.Typer(
    cls=ImpliedRun,
    help="Serve an image under load for a while: builder soak IMAGE. Records are kept and can be looked at.",
    no_args_is_help=True,
    subcommand_metavar="IMAGE | COMMAND ...",
)
app.command(RUN, help=run.HELP)(run.command)
app.command("show")(show.command)
app.command("list")(listing.command)
