"""A soak on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from builder.console import printable
from builder.report.lines import Chart, charts_of
from builder.report.names import short_digest
from builder.report.numbers import Scale, scale_of
from builder.report.soak import readings, soak_headline, spell_load
from builder.report.sparkline import sparklines
from builder.report.terminal import spell_headline, spell_list

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

    from builder.performance.soak.record import CheckRecord, SoakRecord

_LETTERS = 24
"""Of a line over time."""
_STYLES: Mapping[str, str] = {"pass": "green", "fail": "bold red", "could not judge": "yellow"}


def spell_soak(record: SoakRecord) -> Group:
    """What a soak saw and what came of it."""
    from rich.console import Group
    from rich.text import Text

    subject = record.subject
    parts: list[RenderableType] = [
        *spell_headline(soak_headline(record)),
        Text(printable(f"{subject.reference}, {short_digest(subject.image)}"), style="dim"),
        Text(printable(spell_load(record)), style="dim"),
    ]
    for table in (_checks(record.checks), _figures(record), _over_time(charts_of(record))):
        if table.row_count:
            parts += ["", table]
    if record.notes:
        parts += ["", spell_list("Notes", record.notes)]
    return Group(*parts)


def _checks(checks: Iterable[CheckRecord]) -> Table:
    from rich.text import Text

    table = _grid()
    table.add_column()
    for check in checks:
        style = _STYLES.get(check.outcome, "")
        lines = (check.detail, *(f"| {line}" for line in check.excerpt if check.outcome != "pass"))
        said = Text("\n".join(map(printable, lines)))
        table.add_row(Text(printable(check.name)), Text(check.outcome, style=style), said)
    return table


def _figures(record: SoakRecord) -> Table:
    from rich.text import Text

    table = _grid()
    for reading in readings(record):
        table.add_row(Text(printable(reading.name)), Text(reading.words, justify="right"))
    return table


def _over_time(charts: Iterable[Chart]) -> Table:
    """For each line its bars, and its least and largest value."""
    from rich.text import Text

    table = _grid()
    table.add_column(no_wrap=True)
    for chart in charts:
        for line in (line for line in chart.lines if line.points):
            values = [value for _, value in line.points]
            scale = scale_of(values, chart.unit)
            bars = sparklines([values], _LETTERS)[0]
            several = f", {line.name}" if len(chart.lines) > 1 else ""
            table.add_row(Text(f"{chart.title}{several}"), Text(bars), Text(_span(values, scale)))
    return table


def _span(values: Sequence[float], scale: Scale) -> str:
    low, high = scale.number(min(values)), scale.spell(max(values))
    return high if scale.spell(min(values)) == high else f"{low} to {high}"


def _grid() -> Table:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    return table
