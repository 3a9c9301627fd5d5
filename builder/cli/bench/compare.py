"""`builder bench compare`: two records against each other."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.cli import forms
from builder.cli.bench import outputs, records
from builder.cli.session import Session

Subject = Annotated[str, typer.Option(help="What of the records is compared: the name of a subject in each.")]


def command(
    context: typer.Context,
    before: Annotated[str, typer.Argument(help="A record's file, its name, or how that begins.")],
    after: Annotated[str, typer.Argument(help="The record that is held against it.")] = forms.LATEST,
    subject: Subject = "A",
    against: Annotated[str, typer.Option(help="The subject of the second record, where it is another one.")] = "",
    json: forms.Json = False,
    markdown: forms.Markdown = None,
    html: forms.Html = None,
    prometheus: forms.Prometheus = None,
    out: outputs.Out = None,
) -> None:
    """Hold one record against another of the same kind of machine, model and work.

    They were not measured by turns, so what the machine did in between is part of the difference, and what is seen to
    be worse is not confirmed. Exit status 0: not worse; 20: not known, seen to be worse, or not comparable.
    """
    from builder.performance.bench import exit_code
    from builder.performance.between import between
    from builder.performance.comparison import Outcome
    from builder.performance.config import rules_of

    given = outputs.Outputs(json, markdown, html, prometheus, out)
    given.check()
    session = Session.of(context)
    (first, one), (second, other) = records.find(session, before), records.find(session, after)
    rules = rules_of(session.config.settings.performance)
    made = between(one, other, (subject, against or subject), rules)
    code = exit_code(made.outcome, settled=made.outcome is Outcome.NOT_WORSE)
    given.give(session, made, code, {"before": str(first), "after": str(second)})
    if code:
        raise typer.Exit(code)
