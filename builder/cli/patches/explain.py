"""`builder patches explain`: one patch, where it does not fit, and which commits are the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.patches import shared
from builder.cli.session import Session

if TYPE_CHECKING:
    from rich.text import Text

    from builder.source.patches.explain import Explanation, History, Misfit


def command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A patch of the queue, or the beginning of its name.")],
    ref: shared.Ref = None,
    origin: shared.Origin = None,
    folder: shared.Folder = None,
    channel: shared.Channel = None,
    cooldown: shared.Cooldown = None,
    json: shared.Json = False,
) -> None:
    """Show what a patch does, where it does not fit, and which commits are the reason."""
    from builder.patching import explain_patch

    session = Session.of(context, shared.flags(ref, origin, folder, channel, cooldown))
    revision, explanation = explain_patch(shared.open_desk(session), name)
    if json:
        session.reporter.show_json({"schema_version": 1, "revision": revision.name, **_document(explanation)})
        return
    for line in _lines(explanation, revision.title):
        session.reporter.show(line)


def _lines(explanation: Explanation, revision: str) -> Iterator[Text]:
    patch, status = explanation.patch, explanation.status
    yield shared.text(patch.subject, style="bold")
    for title, text in (("file", patch.name), ("author", patch.author), ("date", patch.date)):
        if text:
            yield shared.text(f"{title:8} {text}")
    for number, change in enumerate(patch.changes):
        hunks = f"{len(change.hunks)} {'hunk' if len(change.hunks) == 1 else 'hunks'}"
        moved = f"{change.old} -> " if change.old and change.new and change.old != change.new else ""
        yield shared.text(
            f"{'' if number else 'touches':8} {moved}{change.path} ({'binary' if change.binary else hunks})"
        )
    if explanation.made_on:
        yield shared.text(f"made on  {explanation.made_on.name}: {explanation.made_on.subject}")
    detail = f", {status.detail}" if status.detail else ""
    yield shared.text(f"on {revision}: {status.standing.value}{detail}", style=shared.style(status.standing))
    for misfit in explanation.misfits:
        yield from _misfit(misfit)
    for history in explanation.histories:
        yield from _history(history)


def _misfit(misfit: Misfit) -> Iterator[Text]:
    where = f" in {misfit.heading}" if misfit.heading else ""
    yield shared.text("")
    yield shared.text(f"{misfit.path}: hunk #{misfit.hunk}{where}; - is expected, + is there, from line {misfit.line}:")
    for line in misfit.difference:
        yield shared.text(f"  {line}", style={"-": "red", "+": "green"}.get(line[:1], "dim"))


def _history(history: History) -> Iterator[Text]:
    word = "commit" if history.total == 1 else "commits"
    yield shared.text("")
    moved = f"; upstream moved it to {history.renamed_to}" if history.renamed_to else ""
    yield shared.text(f"{history.path}: {history.total} {word} since the patch was made{moved}")
    for commit in history.commits:
        yield shared.text(f"  {commit.name}  {commit.subject}")
    if history.total > len(history.commits):
        yield shared.text(f"  and {history.total - len(history.commits)} before", style="dim")


def _document(explanation: Explanation) -> dict[str, object]:
    patch = explanation.patch
    return {
        "patch": {
            "name": patch.name,
            "subject": patch.subject,
            "author": patch.author,
            "date": patch.date,
            "message": patch.body,
            "files": [{"path": change.path, "hunks": len(change.hunks)} for change in patch.changes],
        },
        "status": shared.row(explanation.status),
        "made_on": asdict(explanation.made_on) if explanation.made_on else None,
        "misfits": [asdict(misfit) for misfit in explanation.misfits],
        "histories": [asdict(history) for history in explanation.histories],
    }
