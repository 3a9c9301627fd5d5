"""`builder upstream` by itself: what is adopted, what upstream has, what would be taken and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.session import Session
from builder.cli.upstream import common
from builder.cli.upstream.hints import Hints
from builder.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from builder.holds import Hold
    from builder.image.adopted import Adopted
    from builder.tracking.scene import Scene
    from builder.tracking.survey import Survey

_SHOWN = 5
"""How many of the builds that are passed over are shown."""


def command(
    context: typer.Context,
    origin: common.Origin = None,
    ref: common.Ref = None,
    channel: common.Channel = None,
    cooldown: common.Cooldown = None,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code",
            help="Exit with 6 if something newer would be taken, or anything in place of a held build; "
            "with 20 if nobody can tell.",
        ),
    ] = False,
    json: common.Json = False,
) -> None:
    """Show what is adopted, what upstream has, and what would be taken and why."""
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    from concurrent.futures import ThreadPoolExecutor
    from importlib import import_module

    from builder.tracking.watch import Watch

    session = Session.of(context, common.flags(origin, ref, channel, cooldown))
    settings, tools = session.config.settings, common.tools(session)
    watch = Watch.of(settings, tools)
    with ThreadPoolExecutor(1) as aside:
        # While git waits for its server, the rest is imported.
        for module in ("builder.tracking.survey", "rich.table"):
            aside.submit(import_module, module)
        moves = watch.refresh(aloud=False)

    from builder.tracking.scene import behold
    from builder.tracking.survey import survey

    scene = behold(watch, settings, tools, refreshed=lambda: moves)
    state = watch.mending(lambda: survey(scene))
    if json:
        session.reporter.show_json(_document(scene, state))
    else:
        session.reporter.show(_table(scene, state, Hints.of(context, ref)))
    if exit_code and (code := _code(scene, state)):
        raise typer.Exit(code)


def _refuse_options(context: typer.Context) -> None:
    """Options that stand before a subcommand would be lost.

    Raises:
        UsageError: there are some.
    """
    if any(value not in (None, False) for value in context.params.values()):
        name = context.invoked_subcommand
        raise UsageError(
            f"The options of `builder upstream {name}` stand after its name.", f"See `builder upstream {name} --help`."
        )


def _code(scene: Scene, state: Survey) -> ExitCode:
    from builder.tracking.survey import Standing

    if state.standing in (Standing.FIRST, Standing.NEWER) or _replaces_held(scene, state):
        return ExitCode.NEWER
    return ExitCode.UNJUDGED if state.standing is Standing.UNKNOWN else ExitCode.DONE


def _replaces_held(scene: Scene, state: Survey) -> bool:
    """Whether what is adopted is held, and something else would be taken."""
    return scene.hold is not None and state.choice is not None and state.standing.value != "same"


def _table(scene: Scene, state: Survey, hints: Hints) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for title, text in _rows(scene, state, hints):
        table.add_row(title, Text(text))
    return table


def _rows(scene: Scene, state: Survey, hints: Hints) -> Iterator[tuple[str, str]]:
    now = scene.chooser.now
    yield "upstream", scene.origin
    yield "channel", _channel(scene)
    yield "adopted", _spell_adopted(scene)
    if hold := scene.hold:
        yield "warning", f"adopted is held ({hold.ref}): {hold.reason}"
    newest = state.newest
    yield "newest", common.spell_build(newest, now) if newest else "none in this channel"
    if apart := _spell_distance(state):
        yield "apart", apart
    if choice := state.choice:
        yield "would take", f"{common.spell_build(choice.build, now, choice.ref)}. {choice.reason}"
        yield "", _spell_standing(scene, state, hints)
        yield from (("warning", warning) for warning in choice.warnings)
    elif state.refusal:
        yield "would take", f"nothing. {state.refusal.cause}"
        yield "", state.refusal.remedy
    yield from (("warning", _spell_idle(hold)) for hold in scene.idle_holds)
    yield from _passed_over(state, hints)
    yield from _moved(scene, hints)


_STANDINGS = {
    "first": "Nothing is adopted yet: `builder build` makes the first image.",
    "newer": "That is newer than what is adopted.",
    "same": "That is what is adopted.",
    "older": "That is older than what is adopted.",
    "unknown": "It cannot be told whether that is newer than what is adopted.",
}


def _spell_standing(scene: Scene, state: Survey, hints: Hints) -> str:
    told = _STANDINGS[state.standing.value]
    if _replaces_held(scene, state):
        told = f"{told[:-1]}, which is held."
    return f"{told} `{hints.log}` shows what changed." if state.standing.value == "newer" and scene.here else told


def _spell_idle(hold: Hold) -> str:
    return f"The hold {hold.ref} ({hold.reason}) matches no build that is known: is a digit wrong?"


def _channel(scene: Scene) -> str:
    policy = scene.chooser.policy
    parts = [policy.channel if policy.channel != "branch" else f"branch {scene.chooser.branch}"]
    parts += [f"cooldown {policy.cooldown_text}"] if policy.cooldown else []
    parts += [f"{len(policy.holds)} held"] if policy.holds else []
    parts += [f"ref {scene.ref}"] if scene.ref != "latest" else []
    return ", ".join(parts)


def _spell_adopted(scene: Scene) -> str:
    adopted = scene.adopted
    if not adopted.is_known:
        return adopted.note or f"{adopted.reference}, of which neither number nor commit is known"
    if scene.here:
        told = common.spell_build(scene.here, scene.chooser.now)
    else:
        told = f"{_names(adopted)}; that commit is not in this upstream" if adopted.commit else _names(adopted)
    return f"{told} ({adopted.reference}){f'. {adopted.note}' if adopted.note else ''}"


def _names(adopted: Adopted) -> str:
    parts = (
        f"b{adopted.number}" if adopted.number is not None else "",
        f"v{adopted.release}" if adopted.release else "",
        adopted.commit[: common.DIGITS] if adopted.commit else "",
    )
    return ", ".join(filter(None, parts))


def _spell_distance(state: Survey) -> str:
    apart = state.apart
    counts = ((apart.builds, "build"), (apart.commits, "commit"))
    parts = [f"{abs(count)} {noun}{'' if abs(count) == 1 else 's'}" for count, noun in counts if count is not None]
    if apart.time is not None:
        from builder.console import spell_age

        parts.append(spell_age(apart.time))
    behind = apart.commits is not None and apart.commits < 0
    return ", ".join(parts) + (": what is adopted is ahead of the channel" if behind else "")


def _passed_over(state: Survey, hints: Hints) -> Iterator[tuple[str, str]]:
    title = "passed over"
    for one in state.passed_over[:_SHOWN]:
        yield title, f"{one.build.name}: {one.detail}"
        title = ""
    if (more := len(state.passed_over) - _SHOWN) > 0:
        yield "", f"and {more} more: `{hints.listing(len(state.passed_over) + (state.choice is not None))}`"


def _moved(scene: Scene, hints: Hints) -> Iterator[tuple[str, str]]:
    moves, title, digits = scene.chooser.moves, "rewritten", common.DIGITS
    told = [(f"tag {m.name}: {m.ours[:digits]} here, {(m.theirs or '')[:digits]} upstream", m) for m in moves.tags]
    told += [(f"tag {m.name}: {m.ours[:digits]} here, withdrawn upstream", m) for m in moves.withdrawn]
    told += [
        (f"branch {m.name}: {m.ours[:digits]} here, {(m.theirs or '')[:digits]} upstream", m) for m in moves.branches
    ]
    for line, _ in told[:_SHOWN]:
        yield title, line
        title = ""
    if (more := len(told) - _SHOWN) > 0:
        yield "", f"and {more} more: `{hints.json}`"
    if told:
        yield "", f"As it was here until `{hints.accepting([move.name for _, move in told[:_SHOWN]])}`."


def _document(scene: Scene, state: Survey) -> dict[str, object]:
    adopted, moves, policy = scene.adopted, scene.chooser.moves, scene.chooser.policy
    time = state.apart.time
    return {
        "schema_version": 1,
        "upstream": scene.origin,
        "channel": policy.channel,
        "branch": scene.chooser.branch if policy.channel == "branch" else None,
        "cooldown": policy.cooldown_text,
        "ref": scene.ref,
        "adopted": {
            "reference": adopted.reference,
            "image": adopted.image,
            "build_number": adopted.number,
            "commit": adopted.commit,
            "release": adopted.release,
            "committed": scene.here.committed.isoformat() if scene.here else None,
            "note": adopted.note,
            "held": common.hold_document(scene.hold),
        },
        "newest": common.build_document(state.newest),
        "builds_apart": state.apart.builds,
        "commits_apart": state.apart.commits,
        "days_apart": None if time is None else round(time.total_seconds() / 86400, 2),
        "would_take": common.choice_document(state.choice),
        "standing": state.standing.value,
        "refusal": state.refusal.document() if state.refusal else None,
        "passed_over": [
            {"build": common.build_document(one.build), **common.hindrance_document(one)} for one in state.passed_over
        ],
        "idle_holds": [common.hold_document(hold) for hold in scene.idle_holds],
        **common.moves_document(moves),
    }
