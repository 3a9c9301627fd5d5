"""The commands that measure, and those that look at what was measured."""

from __future__ import annotations

import typer

from builder.cli.bench import compare, listing, run, show
from builder.cli.implied import RUN, ImpliedRun

app = typer.Typer(
    cls=ImpliedRun,
    help="Measure an image, or one against another: builder bench A [B]. Records are kept and can be looked at.",
    no_args_is_help=True,
    subcommand_metavar="A [B] | COMMAND ...",
)
app.command(RUN, help=run.HELP)(run.command)
app.command("show")(show.command)
app.command("list")(listing.command)
app.command("compare")(compare.command)
