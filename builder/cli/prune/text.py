"""What may go, and what went, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.console import spell_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Group, RenderableType
    from rich.table import Table

    from builder.channels.retention.build_cache import CacheSurvey
    from builder.channels.retention.prune import Removal, Survey
    from builder.channels.retention.rules import Row


def shown(surveys: Sequence[Survey], done: Mapping[Row, Removal], cache: CacheSurvey | None, *, applied: bool) -> Group:
    """A table for each place, and what it amounts to.

    Args:
        done: what was tried to be taken away.
        cache: what of the build cache may go; None where that was not asked for.
        applied: whether it was to be taken away.
    """
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for survey in surveys:
        parts += [Text(f"In the {survey.place}", style="bold"), _table(survey, done, applied=applied)]
    lines = [_amount(survey, done, applied=applied) for survey in surveys]
    if cache:
        fate = "are not all gone" if cache.why else "are gone" if applied else "can go"
        because = f": {cache.why}" if cache.why else ""
        lines.append(f"build cache: {cache.records} records {fate}, {spell_size(cache.size)}{because}.")
    if not applied and ((cache and cache.records) or any(survey.going for survey in surveys)):
        lines.append("`builder prune --apply` with the same options takes them away.")
    return Group(*parts, *map(Text, lines))


def _table(survey: Survey, done: Mapping[Row, Removal], *, applied: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True, justify="right")
    for row in survey.rows:
        style = "dim" if row.keep else ""
        told = Text("\n".join(name.rpartition("/")[2] for name in row.item.names), style=style)
        told.append(f"\n  {row.why}", style="dim")
        table.add_row(Text(_fate(row, done.get(row), applied=applied), style=style), told, spell_size(row.item.size))
    if not survey.rows:
        table.add_row("  nothing of ours", "", "")
    return table


def _fate(row: Row, removal: Removal | None, *, applied: bool) -> str:
    if row.keep or (applied and not (removal and removal.done)):
        return "  stays"
    return "  gone" if applied else "  goes"


def _amount(survey: Survey, done: Mapping[Row, Removal], *, applied: bool) -> str:
    gone = [row for row in survey.going if row in done and done[row].done]
    number, word = (len(gone), "are gone") if applied else (len(survey.going), "can go")
    size = f", about {spell_size(survey.freed)}" if number == len(survey.going) and number else ""
    later = " when it next collects its garbage" if size and survey.place == "registry" else ""
    return f"{survey.place}: {number} of {len(survey.rows)} {word}{size}{later}."
