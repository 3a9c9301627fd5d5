"""What becomes of each patch on one upstream tree."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_SHOWN = 6
"""Files that are named in one line."""


class Standing(StrEnum):
    """How a patch stands to a tree."""

    CLEAN = "clean"
    """applies just where it was made"""
    FUZZY = "fuzzy"
    """applies at other lines, or by a three-way merge"""
    UPSTREAM = "upstream"
    """the tree has it already"""
    CONFLICT = "conflict"
    """does not apply"""
    BLOCKED = "blocked"
    """would apply but for an earlier patch, or needs one that does not apply"""


APPLIED = frozenset({Standing.CLEAN, Standing.FUZZY})
FAILED = frozenset({Standing.CONFLICT, Standing.BLOCKED})


@dataclass(frozen=True)
class Shift:
    """A hunk that fits elsewhere.

    Attributes:
        hunk: its number in the file, from 1.
        lines: how far down, negative for up.
    """

    path: str
    hunk: int
    lines: int


@dataclass(frozen=True)
class FileConflict:
    """A file in which a patch does not apply.

    Attributes:
        hunks: numbers of those that do not fit, from 1; empty where the file as a whole is the reason.
        total: how many hunks the patch has there.
        reason: clause, such as `upstream has no such file`.
    """

    path: str
    hunks: tuple[int, ...]
    total: int
    reason: str


@dataclass(frozen=True)
class Landing:
    """The commit by which upstream has a patch.

    Attributes:
        commit: whole object name.
        name: `b10991`, where its number is known, else the abbreviated commit.
        subject: first line of its message.
    """

    commit: str
    name: str
    subject: str


@dataclass(frozen=True)
class PatchStatus:
    """One row.

    Attributes:
        merged: whether it took a three-way merge.
        shifts: hunks that apply elsewhere.
        conflicts: of a patch that does not apply.
        since: of a patch that upstream has, or took and changed so that it conflicts; None where the history does not
            tell.
        blockers: names of earlier patches.
        alone: whether it applies to the tree without the rest of the queue; None where that was not tried.
    """

    name: str
    subject: str
    standing: Standing
    merged: bool = False
    shifts: tuple[Shift, ...] = ()
    conflicts: tuple[FileConflict, ...] = ()
    since: Landing | None = None
    blockers: tuple[str, ...] = ()
    alone: bool | None = None

    @property
    def detail(self) -> str:
        """What a person wants to know beyond the standing, as a clause; empty for a clean patch."""
        match self.standing:
            case Standing.CLEAN:
                return ""
            case Standing.FUZZY:
                return _fuzz(self)
            case Standing.UPSTREAM:
                since = self.since
                return f"since {since.name}: {since.subject}" if since else "the tree has all of it"
            case Standing.BLOCKED:
                one = len(self.blockers) == 1
                if self.alone:
                    how = f"it applies without {'it' if one else 'them'}"
                else:
                    how = f"it needs what {'that one brings' if one else 'those bring'}"
                return f"by {', '.join(self.blockers)}; {how}"
            case Standing.CONFLICT:
                taken = f"; upstream took it in {self.since.name} and changed it since" if self.since else ""
                return _spell_conflicts(self.conflicts) + taken


def _fuzz(status: PatchStatus) -> str:
    far = [shift.lines for shift in status.shifts]
    if not far:
        return "by three-way merge"
    spread = f"{far[0]:+}" if len(set(far)) == 1 else f"{min(far):+} to {max(far):+}"
    where = f"{len(far)} {'hunk' if len(far) == 1 else 'hunks'} moved {spread} lines"
    return f"by three-way merge; {where}" if status.merged else where


def _spell_conflicts(conflicts: tuple[FileConflict, ...]) -> str:
    parts = [_spell_conflict(conflict) for conflict in conflicts[:_SHOWN]]
    if (more := len(conflicts) - _SHOWN) > 0:
        parts.append(f"and {more} more {'file' if more == 1 else 'files'}")
    return "; ".join(parts)


def _spell_conflict(conflict: FileConflict) -> str:
    if not conflict.hunks:
        return f"{conflict.path}: {conflict.reason}"
    numbers = ", ".join(f"#{number}" for number in conflict.hunks)
    word = "hunk" if len(conflict.hunks) == 1 else "hunks"
    return f"{conflict.path}: {word} {numbers} of {conflict.total}"
