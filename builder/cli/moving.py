"""What `promote` and `rollback` share: their options, and what came of them as a person reads it and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from builder.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.table import Table

    from builder.channels.ledger.moves import Step
    from builder.channels.promotion.opening import Tools
    from builder.cli.session import Session
    from builder.promoting import Outcome, Wish

SCHEMA = 1
"""Version of the document; a field that is new does not change it, one that is gone or means something else does."""
_DIGITS = 12

Why = Annotated[str, typer.Option(help="Why, for the history.")]
Force = Annotated[
    str | None,
    typer.Option(
        metavar="REASON", help="Without verdicts, though held, or over what others moved; the reason is recorded."
    ),
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


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line.

    Attributes:
        image: the word for it; None where none was given.
    """

    image: str | None
    why: str
    force: str | None
    accept_moved: bool
    dry_run: bool
    resume: bool
    undo: bool

    def require_sense(self) -> None:
        """See that nothing is asked for that means nothing.

        Raises:
            UsageError: both finishing and undoing are asked for, or what they do not take.
        """
        if not (self.resume or self.undo):
            return
        if self.resume and self.undo:
            raise UsageError("--resume and --undo contradict each other.", "Ask for one of them.")
        option = "--resume" if self.resume else "--undo"
        given = {"An image": self.image is not None, "--why": bool(self.why), "--accept-moved": self.accept_moved}
        if odd := next((name for name, is_given in given.items() if is_given), None):
            raise UsageError(
                f"{odd} means nothing with {option}, which ends what was asked for before.",
                f"Leave it out; `{option} --force REASON` goes over what somebody else moved.",
            )


def carry_out(
    context: typer.Context, options: Options, act: Callable[[Wish, Tools], Outcome], *, as_json: bool
) -> None:
    """Do what is asked for and show what came of it; or finish or undo what was left in the middle, and nothing else.

    Raises:
        UsageError: the configuration is wrong, or what is asked for makes no sense.
        NothingMoved, MovedPartly: it did not work.
    """
    from builder import promoting
    from builder.channels.promotion.faults import nothing_moved

    options.require_sense()
    asked = wish(options.why, options.force, accept_moved=options.accept_moved, dry_run=options.dry_run)
    session = _session_of(context)
    with nothing_moved():
        tools = _tools(session)
    if not (options.resume or options.undo):
        _show(session, act(asked, tools), as_json=as_json)
        return
    resumed = promoting.resume("finish" if options.resume else "undo", asked, tools)
    if as_json:
        settled = [one.plain() for one in resumed.settled]
        left = [entry.plain() for entry in resumed.left]
        session.reporter.show_json({"schema_version": SCHEMA, "settled": settled, "left": left})
    elif not (resumed.settled or resumed.left):
        session.reporter.notice("Nothing was left in the middle.")
    if options.resume and any(one.result == "undone" and not one.made_up for one in resumed.settled):
        raise typer.Exit(ExitCode.NOTHING_MOVED)


def _show(session: Session, outcome: Outcome, *, as_json: bool) -> None:
    """Show what was moved, or would be."""
    if as_json:
        session.reporter.show_json(_document(outcome))
        return
    if outcome.result != "already":
        session.reporter.show(_table(outcome.draft.rows))
    for force in outcome.entry.forces if outcome.entry else ():
        session.reporter.warning(f"Forced: {force}")
    for force in outcome.inherited:
        session.reporter.warning(f"It was adopted by force before: {force}")
    session.reporter.notice(_sentence(outcome))


def _sentence(outcome: Outcome) -> str:
    from builder.channels.ledger.values import short

    adopted, target = outcome.draft.sites[0].adopted, outcome.draft.target
    if outcome.result == "already":
        told = "nothing was moved, and the ledger knows it now" if outcome.entry else "nothing was moved"
        return f"{adopted.subject} names {target.shown} already; {told}."
    if outcome.result == "planned":
        return f"{adopted.subject} would name {target.shown}; nothing was moved."
    held = "".join(f" {short(hold.digest)}, which it named, is held." for hold in outcome.held)
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
        "settled": [one.plain() for one in outcome.settled],
        "held": [hold.plain() for hold in outcome.held],
        "inherited_force": list(outcome.inherited),
    }


def _words(text: str) -> str:
    return " ".join(text.split())
