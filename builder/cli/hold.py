"""`builder hold`: images that are not to be promoted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import forms
from builder.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from builder.channels.ledger.ledger import Ledger
    from builder.channels.ledger.moves import HoldEntry

app = typer.Typer(help="Images that are held back: no promotion takes one without --force.", no_args_is_help=True)
_ID = 9
"""Characters of a hold's name that are shown."""

Image = Annotated[str, typer.Argument(help="A name, a tag, an ID or a digest, or a build such as b10991.")]


@app.command("list")
def listing(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also the holds that were lifted.")] = False,
    json: forms.Json = False,
) -> None:
    """List what is held, by whom and why."""
    from builder.channels.called import called
    from builder.channels.ledger.ledger import open_ledger

    session = Session.of(context)
    with open_ledger(session.paths.ledger) as ledger, ledger.at_once():
        holds = [hold for hold in ledger.holds.all() if everything or not hold.lifted]
        rows = [(hold, called(ledger, hold.digest)) for hold in holds]
    if json:
        told = [{**hold.plain(), "name": name} for hold, name in rows]
        session.reporter.show_json({"schema_version": 1, "holds": told})
    elif rows:
        session.reporter.show(_table(rows))
    else:
        session.reporter.notice("Nothing is held.")


@app.command("add")
def add(
    context: typer.Context,
    image: Image,
    reason: Annotated[str, typer.Argument(help="Why, for people.")],
    json: forms.Json = False,
) -> None:
    """Hold an image back from now on; what is adopted stays adopted."""
    from datetime import UTC, datetime
    from uuid import uuid4

    from builder.channels.called import called
    from builder.channels.ledger.ledger import open_ledger
    from builder.channels.ledger.moves import HoldEntry
    from builder.channels.person import asking
    from builder.errors import UsageError

    session = Session.of(context)
    words = " ".join(reason.split())
    if not words:
        raise UsageError("The reason is empty.", "Say why nobody is to promote it.")
    with open_ledger(session.paths.ledger) as ledger:
        digest = _digest(session, ledger, image)
        hold = HoldEntry(uuid4().hex, digest, words, asking(), datetime.now(UTC))
        ledger.holds.record(hold)
        name = called(ledger, digest)
    if json:
        session.reporter.show_json({"schema_version": 1, "hold": {**hold.plain(), "name": name}})
    else:
        session.reporter.notice(f"{name} is held: {words}. `builder hold lift {hold.id[:_ID]}` ends that.")


@app.command("lift")
def lift(
    context: typer.Context,
    image: Annotated[str, typer.Argument(help="The image, or the beginning of the hold's name.")],
    json: forms.Json = False,
) -> None:
    """End a hold, or all that there are on an image."""
    from datetime import UTC, datetime

    from builder.channels.called import called
    from builder.channels.ledger.ledger import open_ledger
    from builder.channels.person import asking
    from builder.errors import UsageError

    session = Session.of(context)
    with open_ledger(session.paths.ledger) as ledger:
        holds = _named(ledger, image) or ledger.holds.on(_digest(session, ledger, image))
        if not holds:
            raise UsageError(f"{image} is not held.", "`builder hold list` shows what is.")
        who, now = asking(), datetime.now(UTC)
        with ledger.together():
            for hold in holds:
                ledger.holds.lift(hold.id, who, now)
        name = called(ledger, holds[0].digest)
    if json:
        session.reporter.show_json({"schema_version": 1, "lifted": [hold.id for hold in holds], "name": name})
    else:
        session.reporter.notice(f"{name} is not held any more.")


def _named(ledger: Ledger, word: str) -> tuple[HoldEntry, ...]:
    """The hold whose name begins like that, where it is the only one and still holds."""
    found = [hold for hold in ledger.holds.all() if len(word) >= _ID and hold.id.startswith(word) and not hold.lifted]
    return tuple(found) if len(found) == 1 else ()


def _digest(session: Session, ledger: Ledger, word: str) -> str:
    """The digest of the image that is meant: of the engine's, else of one that the ledger knows.

    Raises:
        UsageError: there is none, or several had that name at some time.
    """
    from builder.channels.called import called
    from builder.channels.ledger.values import is_digest
    from builder.channels.promotion.target import find_here
    from builder.channels.words import references_of, several
    from builder.engine.client import Engine
    from builder.engine.naming import absent

    engine, settings = Engine(session.runner), session.config.settings
    image = find_here(engine, ledger, settings, word)
    if image:
        return image.id
    digest = word.rpartition("@")[2]
    if is_digest(digest):
        return digest
    references = references_of(engine, settings, word)
    known = {image.config for reference in references for image in ledger.images.named(reference)}
    if len(known) > 1:
        raise several(word, sorted(f"{one}, {called(ledger, one)}" for one in known))
    if known:
        return known.pop()
    raise absent(engine, references[0] if references else word)


def _table(rows: Iterable[tuple[HoldEntry, str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for hold, name in rows:
        lifted = f"\nlifted {hold.lifted:%Y-%m-%d %H:%M} UTC by {hold.lifted_by}" if hold.lifted else ""
        told = Text(f"{name}\n{hold.reason}\nby {hold.who}{lifted}")
        table.add_row(hold.id[:_ID], f"{hold.at:%Y-%m-%d %H:%M} UTC", told)
    return table
