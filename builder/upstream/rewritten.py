"""Names that upstream rewrote: what is refused because of that, and what of it a person should know."""

from __future__ import annotations

from builder.errors import SourceError
from builder.upstream.moves import Move, Moves
from builder.upstream.refs import TIP, is_full_commit
from builder.upstream.repository import Repository

_DIGITS = 9


class Rewritten(SourceError):
    """Upstream rewrote a name, and nobody accepted that."""


def refuse_branch(repository: Repository, moves: Moves, name: str) -> None:
    """Refuse a branch whose commits here are not all in what upstream has now.

    Raises:
        Rewritten: upstream rewrote it.
    """
    if move := moves.of_branch(name):
        raise _refusal(repository, move, "rewrote the branch")


def refuse_name(repository: Repository, moves: Moves, ref: str, default: str | None) -> None:
    """Refuse a tag that stood for another commit before, or a branch that was rewritten.

    A tag that upstream withdrew still stands for one commit alone and is not refused.

    Args:
        default: the branch that `HEAD` is.

    Raises:
        Rewritten: upstream rewrote it.
    """
    move, is_tag = move_of(repository, moves, ref, default)
    if move is not None and move.theirs is not None:
        raise _refusal(repository, move, "moved the tag" if is_tag else "rewrote the branch")


def move_of(repository: Repository, moves: Moves, ref: str, default: str | None) -> tuple[Move | None, bool]:
    """What upstream did to a name, and whether that is a tag; a tag goes before a branch.

    Args:
        default: the branch that `HEAD` and `tip` are.
    """
    if not moves or is_full_commit(ref):
        return None, False
    if ref in ("HEAD", TIP):
        return (moves.of_branch(default) if default else None), False
    if (move := moves.of_tag(ref)) or repository.find_tag(ref):
        return move, True
    return moves.of_branch(ref), False


def caution(move: Move, *, is_tag: bool) -> str:
    """Which commit a rewritten name stands for here."""
    was = f"{move.name} is {move.ours[:_DIGITS]} here, as before."
    if move.theirs is None:
        return f"Upstream withdrew the tag {move.name}: {was}"
    what = "moved the tag" if is_tag else "rewrote the branch"
    return f"Upstream {what} {move.name} to {move.theirs[:_DIGITS]}: {was}"


def peeled(repository: Repository, move: Move) -> Move:
    """The same with commits in place of the tag objects that tags may name."""
    ours, theirs = (oid and (repository.commit_of(oid) or oid) for oid in (move.ours, move.theirs))
    return Move(move.name, ours or move.ours, theirs)


def _refusal(repository: Repository, move: Move, what: str) -> Rewritten:
    move = peeled(repository, move)
    return Rewritten(
        f"Upstream {what} `{move.name}`: it was {move.ours} and is {move.theirs} now.",
        f"Give the commit that you mean, or follow upstream by `builder upstream accept {move.name}`.",
    )
