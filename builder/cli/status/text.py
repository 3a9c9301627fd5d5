"""How things stand, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from builder.standing import Build, Channel, Lane, Service, Standing, Waiting

_COMMIT = 9
_GPU = 12
_DIGEST = 19
"""Characters that are shown."""


def shown(standing: Standing, now: datetime) -> Group:
    """Everything, under titles."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Text | Table] = []
    for lane in standing.lanes:
        parts += [_title(f"{standing.repository} {lane.variant}".strip()), _lane_table(lane, now)]
    if standing.unknown:
        parts += [_title(standing.repository), Text(standing.unknown, style="yellow")]
    if standing.files:
        parts += [_title("Adoption files"), _files_table(standing)]
    if not standing.unknown:
        parts += [_title("Running"), *_services(standing, now)]
    if standing.discrepancies:
        parts += [_title("Not as it should be"), _discrepancies_table(standing)]
    return Group(*parts)


def _title(text: str) -> Text:
    from rich.text import Text

    return Text(text, style="bold")


def _grid() -> Table:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _lane_table(lane: Lane, now: datetime) -> Table:
    from rich.text import Text

    table = _grid()
    table.add_row("  adopted", _spell_build(lane.adopted.build, "nothing"))
    for line in _adoption(lane.adopted, now):
        table.add_row("", line)
    table.add_row("  previous", _spell_build(lane.previous.build, "nothing"))
    told, style = _spell_waiting(lane.candidate)
    table.add_row("  candidate", Text(f"{_spell_build(lane.candidate.channel.build, 'none')}{told}", style=style))
    for why in _reasons(lane.candidate):
        table.add_row("", Text(why))
    return table


def _spell_build(build: Build | None, nothing: str) -> str:
    if build is None:
        return nothing
    commit = f", commit {build.commit[:_COMMIT]}" if build.commit else ""
    return f"{build.tag}{commit}"


def _adoption(channel: Channel, now: datetime) -> Iterator[Text]:
    """Since when, by whom and why."""
    from rich.text import Text

    entry = channel.promotion
    if channel.build:
        yield Text(channel.build.digest[:_DIGEST], style="dim")
    if entry:
        since = entry.ended or entry.at
        why = f": {entry.why}" if entry.why else ""
        yield Text(f"since {since:%Y-%m-%d %H:%M} UTC ({_ago(since, now)}) by {entry.who}, {entry.action}{why}")
        for force in entry.forces:
            yield Text(f"FORCED: {force}", style="bold red")
    elif channel.build:
        yield Text("not by a promotion that this ledger knows", style="yellow")


def _spell_waiting(waiting: Waiting) -> tuple[str, str]:
    if waiting.channel.build is None:
        return "", ""
    if waiting.is_adopted:
        return ": adopted", "green"
    return (": may be promoted", "green") if waiting.may_go else (": waits", "yellow")


def _reasons(waiting: Waiting) -> Iterator[str]:
    yield from (lack.why for lack in waiting.lacks)
    for hold in waiting.holds:
        yield f"Held since {hold.at:%Y-%m-%d %H:%M} UTC by {hold.who}: {hold.reason}"


def _files_table(standing: Standing) -> Table:
    from rich.text import Text

    table = _grid()
    for one in standing.files:
        told = one.unread or ", ".join(one.names) or "names no image"
        table.add_row(f"  {one.file}", Text(told, style="yellow" if one.unread else ""))
    return table


def _services(standing: Standing, now: datetime) -> Iterator[Text | Table]:
    from rich.table import Table
    from rich.text import Text

    if not standing.services:
        yield Text("  nothing with an image of ours", style="dim")
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for column in range(5):
        table.add_column(overflow="fold", no_wrap=column in (1, 3))
    for service in standing.services:
        one = service.container
        name = f"{one.project}/{one.service}" if one.service else one.name
        gpus = ",".join(gpu[:_GPU] for gpu in one.gpus) or "-"
        build = Text(service.build.tag if service.build else one.image[:_DIGEST])
        if service.has_drifted:
            build.append("\nnot what is adopted", style="yellow")
        since = _ago(one.started, now) if one.started and one.runs else ""
        table.add_row(f"  {name}", gpus, build, _state(service), since)
    yield table
    behind = {one.container.folder for one in standing.services if one.has_drifted and one.container.folder}
    for folder in sorted(behind):
        yield Text(f"  `docker compose up -d` in {folder} takes what is adopted.")


def _state(service: Service) -> Text:
    from rich.text import Text

    one = service.container
    told = one.health or one.status if one.runs else f"{one.status} ({one.exit_code})"
    style = {"healthy": "green", "unhealthy": "bold red", "restarting": "bold red"}.get(told, "")
    return Text(told, style=style)


def _discrepancies_table(standing: Standing) -> Table:
    from rich.text import Text

    table = _grid()
    for one in standing.discrepancies:
        table.add_row(f"  {one.place}", Text(f"{one.subject}\n{one.why}\n{one.remedy}"))
    return table


def _ago(moment: datetime, now: datetime) -> str:
    from datetime import timedelta

    from builder.console import spell_age

    return spell_age(max(now - moment, timedelta()))
