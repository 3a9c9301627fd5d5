"""`builder ledger export` and `import`: the ledger, or verdicts, on the way between machines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import forms
from builder.cli.session import Session
from builder.errors import UsageError

if TYPE_CHECKING:
    from builder.channels.ledger.ledger import Ledger

_STREAM = "-"


def export(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="Where to; - is standard output.")] = _STREAM,
) -> None:
    """Write all of the ledger as JSON lines."""
    from builder.channels.ledger.exchange import export as lines_of
    from builder.channels.ledger.ledger import open_ledger
    from builder.staging import write_whole

    session = Session.of(context)
    if file != _STREAM:
        forms.require_places((Path(file),))
    with open_ledger(session.paths.ledger) as ledger:
        content = b"".join(lines_of(ledger))
    if file == _STREAM:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    write_whole(Path(file), content, durable=True)
    session.reporter.notice(f"{file} holds the ledger {session.paths.ledger}.")


def bring_in(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="An export, or statements of verdicts; - is standard input.")],
    restore: Annotated[
        bool, typer.Option("--restore", help="Make an empty ledger the very one that was exported, lost since.")
    ] = False,
    json: forms.Json = False,
) -> None:
    """Take over what `builder ledger export` or `builder judge IMAGE --out FILE` wrote: all of it, or nothing.

    What the ledger has already is left as it is; doing it twice is doing it once. An export of another machine is
    brought in as that machine's; with --restore it is this machine's own past.
    """
    from builder.channels.ledger.ledger import open_ledger

    session = Session.of(context)
    name, content = _content(file)
    with open_ledger(session.paths.ledger) as ledger:
        told = _take(ledger, content, name, restoring=restore)
    if json:
        session.reporter.show_json({"schema_version": 1, **told})
    else:
        what = f"ledger {told['ledger']}" if told["ledger"] else "statements"
        session.reporter.notice(f"{told['entries']} entries of {name} ({what}) are in the ledger.")


def _content(file: str) -> tuple[str, bytes]:
    if file == _STREAM:
        return "standard input", sys.stdin.buffer.read()
    try:
        return file, Path(file).read_bytes()
    except FileNotFoundError:
        raise UsageError(f"There is no file {file}.", "Name one that is there.") from None
    except IsADirectoryError:
        raise UsageError(f"{file} is a folder.", "Name a file in it.") from None


def _take(ledger: Ledger, content: bytes, name: str, *, restoring: bool) -> dict[str, object]:
    """Bring in the statements of a bundle, or an export."""
    from builder.channels.bundle import is_bundle, read_bundle
    from builder.channels.ledger import exchange

    if restoring or not is_bundle(content):
        take = exchange.restore if restoring else exchange.bring_in
        taken = take(ledger, content.splitlines(keepends=True), name)
        return {"ledger": taken.ledger, "entries": taken.entries}
    statements = read_bundle(content, name)
    with ledger.together():
        for statement in statements:
            ledger.verdicts.record(statement.verdict)
    return {"ledger": None, "entries": len(statements)}
