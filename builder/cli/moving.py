"""What `promote` and `rollback` share: their options, and what came of them as a person reads it and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.table import Table

    from builder.channels.ledger.moves import Step
    from builder.channels.promotion.opening import Tools
    from builder.channels.promotion.settling import Settled
    from builder.cli.session import Session
    from builder.promoting import Outcome, Wish

SCHEMA = 1
"""Version of the document; a field that is new does not change it, one that is gone or means something else does."""
_DIGITS = 12

Why = Annotated[str, typer.Option(help="Why, for the history.")]
Force = Annotated[
    str | None,
    typer.Option(metavar="REASON", help="Do it without verdicts, or although it is held; the reason is recorded."),
]
AcceptMoved = Annotated[
    bool, typer.Option("--accept-moved", help="Go on from what tags name that somebody else moved.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the moves and make none.")]
Resume = Annotated[bool, typer.Option("--resume", help="Finish what was left in the middle, and nothing else.")]
Undo = Annotated[bool, typer.Option("--undo", help="Undo what was left in the middle, and nothing else.")]


def _session_of(context: typer.Context) -> Session:
    """The session of a command that moves something, with its configuration read.

    Raises:
        UsageError: the configuration is wrong, which is another fault than that nothing could be moved.
    """
    from builder.cli.session import Session

    session = Session.of(context)
    if session.config.file:
        session.reporter.detail(f"As {session.config.file} says.")
    return session


def _tools(session: Session) -> Tools:
    """What tags are moved with."""
    from builder.channels.promotion.opening import Tools
    from builder.engine.client import Engine

    engine = Engine(session.runner)
    return Tools(engine, session.runner, session.reporter, session.paths, session.config, session.logs)


def wish(why: str, force: str | None, *, accept_moved: bool, dry_run: bool) -> Wish:
    """How it is asked for.

    Raises:
        UsageError: it is to be forced without a reason.
    """
    from builder.channels.person import asking
    from builder.promoting import Wish

    reason = None if force is None else _words(force)
    if reason == "":
        raise UsageError("--force has no reason.", "Say why, for the history.")
    return Wish(asking(), _words(why), reason, accept_moved=accept_moved, dry_run=dry_run)


def carry_out(
    context: typer.Context,
    act: Callable[[Tools], Outcome],
    wish: Wish,
    *,
    resume: bool,
    undo: bool,
    as_json: bool,
) -> None:
    """Do what is asked for and show what came of it; or finish or undo what was left in the middle, and nothing else.

    Raises:
        UsageError: the configuration is wrong, or both finishing and undoing are asked for.
        NothingMoved, MovedPartly: it did not work.
    """
    from builder import promoting
    from builder.channels.promotion.faults import nothing_moved

    if resume and undo:
        raise UsageError("--resume and --undo contradict each other.", "Ask for one of them.")
    session = _session_of(context)
    if not (resume or undo):
        with nothing_moved():
            outcome = act(_tools(session))
        _show(session, outcome, as_json=as_json)
        return
    with nothing_moved():
        settled = promoting.resume("finish" if resume else "undo", _tools(session), over=wish.force is not None)
    if as_json:
        session.reporter.show_json({"schema_version": SCHEMA, "settled": _settled(settled)})
    elif not settled:
        session.reporter.notice("Nothing was left in the middle.")


def _show(session: Session, outcome: Outcome, *, as_json: bool) -> None:
    """Show what was moved, or would be."""
    if as_json:
        session.reporter.show_json(_document(outcome))
        return
    if outcome.result != "already":
        session.reporter.show(_table(outcome.draft.rows))
    if outcome.entry and outcome.entry.forced:
        session.reporter.warning(f"Forced: {outcome.entry.forced}")
    session.reporter.notice(_sentence(outcome))


def _sentence(outcome: Outcome) -> str:
    adopted, target = outcome.draft.sites[0].adopted, outcome.draft.target
    if outcome.result == "already":
        return f"{adopted.subject} names {target.shown} already; nothing was moved."
    if outcome.result == "planned":
        return f"{adopted.subject} would name {target.shown}; nothing was moved."
    held = ""
    if outcome.draft.action == "rollback" and adopted.names:
        held = f" {adopted.names[: _DIGITS + 7]}, which it named, is held."
    return f"{adopted.subject} names {target.shown} now.{held}"


def _table(rows: Sequence[Step]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("place", no_wrap=True)
    table.add_column("what", overflow="fold")
    table.add_column("from", no_wrap=True)
    table.add_column("to", no_wrap=True)
    for row in rows:
        if row.before != row.after:
            table.add_row(row.place, Text(row.subject), _short(row.before), _short(row.after))
    return table


def _short(digest: str | None) -> str:
    from builder.channels.promotion.scene import UNPUSHED

    if digest == UNPUSHED:
        return "once pushed"
    return digest.removeprefix("sha256:")[:_DIGITS] if digest else "nothing"


def _document(outcome: Outcome) -> dict[str, object]:
    from builder.channels.promotion.scene import UNPUSHED

    draft, entry = outcome.draft, outcome.entry
    adopted = draft.sites[0].adopted
    moves = [
        {
            "place": row.place,
            "subject": row.subject,
            "before": row.before,
            "after": None if row.after == UNPUSHED else row.after,
        }
        for row in draft.rows
        if row.before != row.after
    ]
    return {
        "schema_version": SCHEMA,
        "action": draft.action,
        "result": outcome.result,
        "image": {"id": draft.target.id, "name": draft.target.shown, "build": draft.target.name},
        "adopted": adopted.subject,
        "before": adopted.names,
        "moves": moves,
        "promotion": entry.plain() if entry else None,
        "settled": _settled(outcome.settled),
    }


def _settled(settled: Sequence[Settled]) -> list[dict[str, object]]:
    return [
        {"promotion": one.entry.id, "action": one.entry.action, "result": one.result, "why": one.why or None}
        for one in settled
    ]


def _words(text: str) -> str:
    return " ".join(text.split())
