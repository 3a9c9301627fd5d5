"""`builder bench show`: a record again."""

from __future__ import annotations

import typer

from builder.cli import forms
from builder.cli.bench import outputs, records
from builder.cli.session import Session
from builder.errors import ExitCode


def command(
    context: typer.Context,
    record: forms.Record = forms.LATEST,
    json: forms.Json = False,
    markdown: forms.Markdown = None,
    html: forms.Html = None,
    prometheus: forms.Prometheus = None,
) -> None:
    """Show what was measured, and write it in other forms."""
    given = outputs.Outputs(json, markdown, html, prometheus)
    given.check()
    session = Session.of(context)
    file, found = records.find(session, record)
    given.give(session, found, ExitCode.DONE, {"file": str(file)})
