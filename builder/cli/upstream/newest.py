"""`builder upstream list`: the newest builds, and what is against each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.session import Session
from builder.cli.upstream import common

if TYPE_CHECKING:
    from datetime import datetime

    from rich.table import Table

    from builder.tracking.survey import Listed


def command(
    context: typer.Context,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many.")] = 20,
    origin: common.Origin = None,
    channel: common.Channel = None,
    cooldown: common.Cooldown = None,
    json: common.Json = False,
) -> None:
    """List the newest builds of the channel, with age, commit, release and what is against each."""
    from builder.tracking.scene import Scope, behold
    from builder.tracking.survey import newest_builds
    from builder.tracking.watch import Watch

    session = Session.of(context, common.flags(origin, None, channel, cooldown))
    settings, tools = session.config.settings, common.tools(session)
    watch = Watch.of(settings, tools)
    scene = behold(watch, settings, tools, Scope(aloud=not json, offline=True))
    builds = watch.mending(lambda: newest_builds(scene, count))
    if json:
        session.reporter.show_json(
            {
                "schema_version": 1,
                "stale": common.stale_document(scene.stale),
                **common.moves_document(scene.chooser.moves),
                "builds": [_document(one) for one in builds],
            }
        )
    elif builds:
        session.reporter.show(_table(builds, scene.chooser.now))
    else:
        session.reporter.notice(f"{scene.origin} has nothing in the channel {scene.chooser.policy.channel}.")


def _table(builds: tuple[Listed, ...], now: datetime) -> Table:
    from rich.table import Table
    from rich.text import Text

    from builder.console import spell_age

    table = Table("build", "release", "commit", "age", "", box=None, pad_edge=False)
    table.columns[-1].overflow = "fold"
    for column in table.columns[:-1]:
        column.no_wrap = True
    for one in builds:
        build = one.build
        table.add_row(
            build.name,
            f"v{build.release}" if build.release else "",
            build.commit[: common.DIGITS],
            spell_age(now - build.committed),
            Text("; ".join(_marks(one))),
            style="dim" if one.hindrance else "bold" if one.taken else "",
        )
    return table


def _marks(one: Listed) -> list[str]:
    return [
        *(["adopted"] if one.adopted else []),
        *(["would be taken"] if one.taken else []),
        *([one.hindrance.detail] if one.hindrance else []),
    ]


def _document(one: Listed) -> dict[str, object]:
    return {
        **(common.build_document(one.build) or {}),
        "adopted": one.adopted,
        "would_take": one.taken,
        "passed_over": common.hindrance_document(one.hindrance) if one.hindrance else None,
    }
