"""`builder patches refresh`: the queue on a new base."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.patches import shared
from builder.cli.session import Session
from builder.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from builder.source.patches.refresh import Deed, Refreshed, Step
    from builder.source.patches.resume import Stop


def command(
    context: typer.Context,
    ref: shared.Ref = None,
    origin: shared.Origin = None,
    folder: shared.Folder = None,
    channel: shared.Channel = None,
    cooldown: shared.Cooldown = None,
    go_on: Annotated[bool, typer.Option("--continue", help="Go on with the patch that was fixed.")] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Leave out the patch that waits, and go on.")] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Forget the refresh that waits.")] = False,
    json: shared.Json = False,
) -> None:
    """Put the queue on a new base: drop what upstream has, write anew what moved, stop where a person has to fix.

    Exit status 4 if it stops.
    """
    from builder.patching import refresh_queue

    step = _step(go_on=go_on, skip=skip, abort=abort, ref=ref)
    session = Session.of(context, shared.flags(ref, origin, folder, channel, cooldown))
    desk = shared.open_desk(session)
    refreshed = refresh_queue(desk, step)
    if json:
        session.reporter.show_json(_document(refreshed))
    elif refreshed is None:
        session.reporter.notice(f"The refresh is forgotten; {desk.place.folder} is as it was.")
    else:
        _show(session, refreshed, _again(folder, origin))
    if refreshed and refreshed.stop:
        raise typer.Exit(ExitCode.SOURCE)


def _again(folder: str | None, origin: str | None) -> str:
    """The command that goes on with this refresh, with the options that say which one it is."""
    given = [word for pair in (("--patches", folder), ("--origin", origin)) if pair[1] for word in pair if word]
    return shlex.join(["builder", "patches", "refresh", *given])


def _step(*, go_on: bool, skip: bool, abort: bool, ref: str | None) -> Step:
    from builder.source.patches.refresh import Step

    chosen = [step for step, asked in ((Step.CONTINUE, go_on), (Step.SKIP, skip), (Step.ABORT, abort)) if asked]
    if len(chosen) > 1:
        raise UsageError("--continue, --skip and --abort exclude each other.", "Give one of them.")
    if chosen and ref:
        raise UsageError(f"--ref does not go with --{chosen[0]}: a refresh stays on its base.", "Leave it out.")
    return chosen[0] if chosen else Step.BEGIN


def _show(session: Session, refreshed: Refreshed, again: str) -> None:
    show, notice = session.reporter.show, session.reporter.notice
    if refreshed.stop:
        show(shared.render(refreshed.statuses))
        show(_instructions(refreshed.stop, again))
        return
    if refreshed.deeds:
        show(_table(refreshed))
    if refreshed.unchanged:
        count = len(refreshed.deeds)
        notice(f"Nothing to do: {count} {'patch' if count == 1 else 'patches'} on {refreshed.revision}.")
        return
    deeds = list(refreshed.deeds.values())
    counts = ", ".join(f"{deeds.count(deed)} {deed.value}" for deed in dict.fromkeys(deeds))
    notice(f"The queue is on {refreshed.revision}: {counts}.")


def _table(refreshed: Refreshed) -> Table:
    from rich.table import Table

    details = {status.name: status.detail for status in refreshed.statuses}
    table = Table("patch", "done", "", box=None, pad_edge=False)
    table.columns[0].overflow = table.columns[2].overflow = "fold"
    table.columns[1].no_wrap = True
    for name, deed in refreshed.deeds.items():
        detail = refreshed.left_out.get(name) or details.get(name, "")
        cells = ((name.removesuffix(".patch"), ""), (deed.value, _style(deed)), (detail, ""))
        table.add_row(*(shared.text(text, style) for text, style in cells))
    return table


def _instructions(stop: Stop, again: str) -> Text:
    """What to do; paths stay on one line, so that they can be copied."""
    from rich.text import Text

    return Text("\n").join(map(shared.text, _lines(stop, again)))


def _lines(stop: Stop, again: str) -> Iterator[str]:
    yield ""
    yield f"{stop.name} has to be fixed. All patches before it are in"
    yield f"  {stop.folder}"
    kinds = (
        (stop.marked, "has conflict markers"),
        (stop.unmarked, "`git add` it as it should be, or `git rm` it"),
        (stop.rejected, "did not apply: bring it in, then remove this file"),
    )
    for paths, what in kinds:
        yield from (f"  {path}: {what}" for path in paths)
    if not any(paths for paths, _ in kinds):
        yield "  They make its change already; it may be left out."
    yield ""
    yield f"  {again} --continue   when it is fixed there"
    yield f"  {again} --skip       to leave it out"
    yield f"  {again} --abort      to forget this; the queue is as it was"


def _document(refreshed: Refreshed | None) -> dict[str, object]:
    if refreshed is None:
        return {"schema_version": 1, "aborted": True}
    stop = refreshed.stop
    return {
        "schema_version": 1,
        "aborted": False,
        "revision": refreshed.revision,
        "changed": not refreshed.unchanged and stop is None,
        "patches": [shared.row(status) for status in refreshed.statuses],
        "done": {name: deed.value for name, deed in refreshed.deeds.items()},
        "left_out": dict(refreshed.left_out),
        "stop": {**asdict(stop), "folder": str(stop.folder)} if stop else None,
    }


def _style(deed: Deed) -> str:
    return {"kept": "green", "dropped": "cyan", "left out": "red"}.get(deed.value, "yellow")
