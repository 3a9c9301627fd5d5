"""`builder soak show`: a record again."""

from __future__ import annotations

import typer

from builder.cli import forms
from builder.cli.session import Session
from builder.cli.soak import outputs, records
from builder.errors import ExitCode


def command(
    context: typer.Context,
    record: forms.Record = forms.LATEST,
    json: forms.Json = False,
    markdown: forms.Markdown = None,
    html: forms.Html = None,
    prometheus: forms.Prometheus = None,
) -> None:
    """Show what was seen under load, and write it in other forms."""
    from builder.report.soak_terminal import spell_soak

    given = outputs.Outputs(markdown, html, prometheus)
    given.check()
    session = Session.of(context)
    file, found = records.find(session, record)
    given.write(found)
    if json:
        document = {"schema_version": forms.SCHEMA, "exit_code": int(ExitCode.DONE), "file": str(file)}
        session.reporter.show_json({**document, "record": found.model_dump(mode="json")})
    else:
        session.reporter.show(spell_soak(found))
