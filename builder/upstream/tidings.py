"""What a person hears of a mirror, and what a mirror refuses because upstream rewrote it."""

from __future__ import annotations

from builder.console import Reporter
from builder.upstream.copying import Copy
from builder.upstream.moves import HEADS, Moves, told
from builder.upstream.refs import LATEST, TIP
from builder.upstream.rewritten import refuse_name

MOVING = (LATEST, TIP, "HEAD")
"""Words that stand for another commit every day."""


def report(copy: Copy, moves: Moves, ref: str | None, reporter: Reporter) -> None:
    """Say what upstream rewrote, and whether commits can be counted.

    Args:
        ref: what was asked for, if something was.
    """
    if copy.shallow:
        name = copy.repository.git.name
        reporter.warning(f"{name} lacks its older history: build numbers come from tags only.")
    warnings, notices = told(moves, (copy.default_branch or "").removeprefix(HEADS), ref)
    for line in warnings:
        reporter.warning(line)
    for line in notices:
        reporter.notice(line)


def refuse_moved(copy: Copy, moves: Moves, ref: str) -> None:
    """Refuse a name that stood for another commit before.

    Raises:
        Rewritten: upstream rewrote it, and nobody accepted that.
    """
    if ref not in (LATEST, TIP):
        default = (copy.default_branch or "").removeprefix(HEADS)
        refuse_name(copy.repository, moves, ref, default)


def rewritten_names(moves: Moves) -> str:
    """One sentence that names all that is rewritten."""
    names = [move.name for move in (*moves.tags, *moves.withdrawn, *moves.branches)]
    return f"Rewritten: {', '.join(names)}." if names else "Nothing that was fetched is rewritten."
