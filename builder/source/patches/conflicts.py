"""Where a patch that does not apply does not fit: which files, and which of their hunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from builder.source.patches.ancestry import Ancestor
from builder.source.patches.bench import Bench, Entry
from builder.source.patches.diff import Change, Hunk
from builder.source.patches.patch import Patch
from builder.source.patches.status import FileConflict
from builder.source.patches.texts import Texts


def find_conflicts(
    bench: Bench, patch: Patch, tree: str, ancestor: Ancestor | None, conflicted: Sequence[str]
) -> tuple[FileConflict, ...]:
    """Every file of a tree in which a patch does not apply; at least one.

    Args:
        ancestor: what the patch was made on, where that is known.
        conflicted: paths that a three-way merge left in conflict; what it merged is no conflict. Empty where there was
            no merge.
    """
    texts = Texts(bench, tree)
    found = tuple(_in_files(bench, patch, texts, ancestor, conflicted))
    if found:
        return found
    totals = {change.path: len(change.hunks) for change in patch.changes}
    return tuple(FileConflict(path, (), totals.get(path, 0), "its changes overlap") for path in conflicted or totals)


def _in_files(
    bench: Bench, patch: Patch, texts: Texts, ancestor: Ancestor | None, conflicted: Sequence[str]
) -> Iterator[FileConflict]:
    for change in patch.changes:
        if conflicted and not {change.old, change.new} & set(conflicted):
            continue
        misfit = _misfit(change, texts)
        if misfit and ancestor and len(misfit.hunks) > 1:
            stuck = _stuck(bench, change, misfit.hunks, ancestor.tree, texts.tree)
            yield FileConflict(misfit.path, stuck or misfit.hunks, misfit.total, misfit.reason)
        elif misfit:
            yield misfit


def _misfit(change: Change, texts: Texts) -> FileConflict | None:
    total = len(change.hunks)
    if change.old is None:
        there = change.new is not None and texts.lines(change.new) is not None
        return FileConflict(change.path, (), total, "upstream has a file of that name") if there else None
    if texts.lines(change.old) is None:
        return FileConflict(change.old, (), total, "the tree has no such file")
    if change.binary:
        return FileConflict(change.old, (), total, "the tree has other binary contents")
    numbers = tuple(number for number, hunk in enumerate(change.hunks, 1) if not _fits(change.old, hunk, texts))
    return FileConflict(change.old, numbers, total, "the lines it changes are others") if numbers else None


def _fits(path: str, hunk: Hunk, texts: Texts) -> bool:
    return any(not lines or texts.places(path, lines) for lines in (hunk.before, hunk.after))


def _stuck(bench: Bench, change: Change, numbers: Sequence[int], base: str, tree: str) -> tuple[int, ...]:
    """Those hunks which, each alone, cannot be merged."""
    path = change.old or ""
    entry = bench.entries(base, [path])[path]
    lines = bench.content(entry.blob).split(b"\n")
    stuck = []
    for number in numbers:
        hunk = change.hunks[number - 1]
        start = hunk.old_start - 1
        with_it = [*lines[:start], *hunk.after, *lines[start + len(hunk.before) :]]
        patched = bench.overlay(base, {path: Entry(entry.mode, bench.store(b"\n".join(with_it)))})
        if bench.merge(base, tree, patched).stages:
            stuck.append(number)
    return tuple(stuck)
