"""What upstream rewrote.

A mirror has two name spaces. `refs/upstream/` is an exact copy of what the server says now. `refs/heads/` and
`refs/tags/` are what is trusted: new names come in, a branch goes forward, a tag stays where it is. Where the two
differ for another reason, upstream rewrote something, and that waits for a person.

This module compares; it runs no command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

HEADS = "refs/heads/"
TAGS = "refs/tags/"
UPSTREAM = "refs/upstream/"
REWRITTEN = "refs/rewritten/"
"""Remembers the commits by which branches were found to be rewritten, so that this is not looked up again."""
_SHOWN = 3


@dataclass(frozen=True)
class Move:
    """A name that upstream rewrote.

    Attributes:
        name: the tag or branch, without `refs/`.
        ours: object name that it has here and keeps until a person accepts the other one.
        theirs: object name that upstream gives it now; None where upstream has the name no more.
    """

    name: str
    ours: str
    theirs: str | None


@dataclass(frozen=True)
class Moves:
    """Everything that upstream rewrote and nobody accepted so far.

    Attributes:
        tags: tags that name another object now.
        branches: branches whose commits are not all in what upstream has now.
        withdrawn: tags that upstream deleted; they are kept.
    """

    tags: tuple[Move, ...] = ()
    branches: tuple[Move, ...] = ()
    withdrawn: tuple[Move, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tags or self.branches or self.withdrawn)

    def of_tag(self, name: str) -> Move | None:
        """The move of a tag, or its withdrawal."""
        return next((move for move in (*self.tags, *self.withdrawn) if move.name == name), None)

    def of_branch(self, name: str) -> Move | None:
        """The move of a branch."""
        return next((move for move in self.branches if move.name == name), None)


@dataclass(frozen=True)
class Refs:
    """All names of a mirror, by full name."""

    objects: Mapping[str, str]

    @property
    def theirs(self) -> dict[str, str]:
        """Upstream's branches and tags, by the names that upstream gives them."""
        found = self.below(UPSTREAM)
        return {f"refs/{name}": oid for name, oid in found.items() if name.startswith(("heads/", "tags/"))}

    def below(self, prefix: str) -> dict[str, str]:
        """The names that begin so, without it."""
        return {name[len(prefix) :]: oid for name, oid in self.objects.items() if name.startswith(prefix)}

    def default_branch(self, told: str | None, current: str | None) -> str | None:
        """Full name of upstream's default branch.

        Args:
            told: what the server calls it, if it does.
            current: what it was taken for so far.
        """
        heads = {name: oid for name, oid in self.theirs.items() if name.startswith(HEADS)}
        tip = self.objects.get(f"{UPSTREAM}HEAD")
        likely = [name for name, oid in heads.items() if oid == tip] or list(heads)
        wanted = [name for name in (told, current, f"{HEADS}master", f"{HEADS}main") if name in likely]
        return next(iter(wanted or sorted(likely)), None)


@dataclass(frozen=True)
class Takeover:
    """What is to change in a mirror so that it holds what may be trusted.

    Attributes:
        gone: full names to delete; first, for a name may be in the way of another.
        changed: object name by full name, to create or to change.
        moves: what stays as it is.
    """

    gone: tuple[str, ...] = ()
    changed: Mapping[str, str] = field(default_factory=dict)
    moves: Moves = field(default_factory=Moves)


def compare(refs: Refs, goes_forward: Callable[[str, str], bool]) -> Takeover:
    """What may be taken over, and what upstream rewrote.

    Args:
        goes_forward: whether the first commit is an ancestor of the second; asked only of branches that differ and
            were not looked at before.
    """
    heads, tags = refs.below(HEADS), refs.below(TAGS)
    their_heads, their_tags = refs.below(f"{UPSTREAM}heads/"), refs.below(f"{UPSTREAM}tags/")
    known = refs.below(f"{REWRITTEN}heads/")

    rewritten = []
    changed = {HEADS + name: oid for name, oid in their_heads.items() if name not in heads}
    for name, ours in heads.items():
        theirs = their_heads.get(name, ours)
        if theirs == ours:
            continue
        if known.get(name) != theirs and goes_forward(ours, theirs):
            changed[HEADS + name] = theirs
        else:
            rewritten.append(Move(name, ours, theirs))
    fresh = {TAGS + name: oid for name, oid in their_tags.items() if name not in tags}
    blocked = set(clashing(fresh, (TAGS + name for name in tags)))
    changed |= {name: oid for name, oid in fresh.items() if name not in blocked}
    changed |= {f"{REWRITTEN}heads/{m.name}": m.theirs for m in rewritten if m.theirs and known.get(m.name) != m.theirs}

    gone = [HEADS + name for name in heads if name not in their_heads]
    gone += [f"{REWRITTEN}heads/{name}" for name in known.keys() - {move.name for move in rewritten}]
    moves = Moves(
        tuple(Move(name, ours, their_tags[name]) for name, ours in tags.items() if their_tags.get(name, ours) != ours),
        tuple(rewritten),
        tuple(Move(name, ours, None) for name, ours in tags.items() if name not in their_tags),
    )
    return Takeover(tuple(gone), changed, moves)


def clashing(names: Iterable[str], others: Iterable[str]) -> list[str]:
    """Of names, those that git cannot hold beside the others: it holds `x` or names below `x/`, never both."""
    taken = set(others)
    folders = {folder for name in taken for folder in _folders(name)}
    return [name for name in names if name in folders or not taken.isdisjoint(_folders(name))]


def _folders(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def told(moves: Moves, default: str | None, asked: str | None) -> tuple[list[str], list[str]]:
    """What a person must hear of moves: warnings, then notices.

    Args:
        default: the default branch.
        asked: the name that was asked for, if one was.
    """
    near = [move for move in moves.branches if move.name in (default, asked)]
    far = [move for move in moves.branches if move.name not in (default, asked)]
    stays, kept = "Upstream moved {}; here {} as before.", "Upstream withdrew {}; {} kept here."
    warnings = [
        *_with_way_out(moves.tags, _line(moves.tags, stays, "the tag", "tags", ("it stays", "they stay"))),
        *_with_way_out(moves.withdrawn, _line(moves.withdrawn, kept, "the tag", "tags", ("it is", "they are"))),
    ]
    for move in near:
        line = _line([move], "Upstream rewrote {}; here {} as before.", "the branch", "branches", ("it stays", ""))
        warnings += _with_way_out([move], line)
    notices = _line(far, "Upstream rewrote {}; here {}.", "the branch", "branches", ("it stays", "they stay"))
    return warnings, notices


def _line(moves: Sequence[Move], text: str, one: str, several: str, verbs: tuple[str, str]) -> list[str]:
    if not moves:
        return []
    if len(moves) == 1:
        return [text.format(f"{one} {moves[0].name}", verbs[0])]
    names = ", ".join(move.name for move in moves[:_SHOWN]) + (", ..." if len(moves) > _SHOWN else "")
    return [text.format(f"{len(moves)} {several} ({names})", verbs[1])]


def _with_way_out(moves: Sequence[Move], lines: list[str]) -> list[str]:
    names = " ".join(move.name for move in moves) if len(moves) <= _SHOWN else "NAME..."
    return [f"{line} `builder upstream accept {names}` follows upstream." for line in lines]
