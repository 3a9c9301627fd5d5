"""Why a patch stands as it does: what it expects, what is there instead, and which commits made the difference."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builder.source.patches.bench import Bench
from builder.source.patches.diff import Hunk
from builder.source.patches.judge import Judgement
from builder.source.patches.landing import describe_commit
from builder.source.patches.patch import Patch
from builder.source.patches.status import FileConflict, Landing, PatchStatus

_WALK = 300.0
_SHOWN = 5


@dataclass(frozen=True)
class Misfit:
    """A hunk that does not fit.

    Attributes:
        hunk: its number in the file, from 1.
        line: where in the tree's file the nearest lines begin, from 1.
        difference: unified diff from what the hunk expects to what is there, without its header lines.
    """

    path: str
    hunk: int
    heading: str
    line: int
    difference: tuple[str, ...]


@dataclass(frozen=True)
class History:
    """What happened to a file since the patch was made.

    Attributes:
        commits: those that touched it, newest first; the newest few.
        total: how many there are.
        renamed_to: where upstream moved it, if it did.
    """

    path: str
    commits: tuple[Landing, ...]
    total: int
    renamed_to: str | None


@dataclass(frozen=True)
class Explanation:
    """All about one patch on one tree.

    Attributes:
        made_on: a commit whose files are those the patch was made on; None where the history does not tell.
    """

    patch: Patch
    status: PatchStatus
    made_on: Landing | None
    misfits: tuple[Misfit, ...]
    histories: tuple[History, ...]


def explain(bench: Bench, patch: Patch, judgement: Judgement, at: int) -> Explanation:
    """Look closer at one patch.

    Args:
        judgement: of the whole queue.
        at: the patch's place in that, from 0.
    """
    status, anchor = judgement.statuses[at], judgement.anchors[at]
    tree = judgement.trees[at - 1] if at else judgement.base
    made_on = describe_commit(bench.repository, bench.repository.read("rev-parse", anchor).strip()) if anchor else None
    misfits = tuple(misfit for conflict in status.conflicts for misfit in _misfits(bench, patch, conflict, tree))
    paths = [conflict.path for conflict in status.conflicts] or list(patch.paths)
    histories = tuple(_history(bench, path, anchor) for path in paths) if anchor else ()
    return Explanation(patch, status, made_on, misfits, tuple(history for history in histories if history.total))


def _misfits(bench: Bench, patch: Patch, conflict: FileConflict, tree: str) -> Iterator[Misfit]:
    entry = bench.entries(tree, [conflict.path]).get(conflict.path)
    change = next((change for change in patch.changes if conflict.path in (change.old, change.new)), None)
    if entry is None or change is None:
        return
    lines = bench.content(entry.blob).split(b"\n")
    for number in conflict.hunks:
        hunk = change.hunks[number - 1]
        start, there = _nearest(hunk, lines)
        expected = [line.decode(errors="replace") for line in hunk.before]
        found = [line.decode(errors="replace") for line in there]
        difference = list(difflib.unified_diff(expected, found, n=2, lineterm=""))[2:]
        yield Misfit(
            conflict.path,
            number,
            hunk.heading,
            start + 1,
            tuple(line for line in difference if not line.startswith("@@")),
        )


def _nearest(hunk: Hunk, lines: Sequence[bytes]) -> tuple[int, Sequence[bytes]]:
    """The part of a file that is most like what a hunk expects, and where it begins.

    Of the places where its longest run of known lines lies, the one nearest to where the hunk says it is.
    """
    before = hunk.before
    matcher = difflib.SequenceMatcher(None, before, lines, autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size]
    if not blocks:
        start = min(max(hunk.old_start - 1, 0), len(lines))
        return start, lines[start : start + len(before)]
    best = max(blocks, key=lambda block: (block.size, -abs(block.b - hunk.old_start)))
    start = max(best.b - best.a, 0)
    return start, lines[start : best.b - best.a + len(before)]


def _history(bench: Bench, path: str, anchor: str) -> History:
    assert bench.commit is not None
    options = ("--literal-pathspecs", "rev-list", bench.commit, f"^{anchor}", "--", path)
    commits = bench.repository.read(*options, timeout=_WALK).split()
    shown = tuple(describe_commit(bench.repository, commit) for commit in commits[:_SHOWN])
    gone = bool(commits) and path not in bench.entries(bench.base, [path])
    return History(path, shown, len(commits), _renamed_to(bench, path, commits[0]) if gone else None)


def _renamed_to(bench: Bench, path: str, commit: str) -> str | None:
    options = ("--no-commit-id", "-r", "-z", "-M", "--name-status", "--diff-filter=R", commit)
    tokens = bench.repository.read("diff-tree", *options, timeout=_WALK).split("\0")
    triples = zip(tokens[::3], tokens[1::3], tokens[2::3], strict=False)
    return next((new for _, old, new in triples if old == path), None)
