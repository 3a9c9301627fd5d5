"""What a run of the chain would do, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Group

    from builder.chain.foresight import Foresight


def outlook(ahead: Foresight) -> Group:
    """The plan, and below it a row for each thing that would be done."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from builder.cli.plan import render

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stage", no_wrap=True)
    table.add_column("would do", no_wrap=True)
    table.add_column("why", overflow="fold")
    for step in ahead.steps:
        table.add_row(step.stage, Text(step.what), Text(step.why))
    return Group(render(ahead.planned.plan), Text(), table)
