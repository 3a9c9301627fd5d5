"""Whether one patch of a queue needs another: what one was made on holds what the other brings."""

from __future__ import annotations

from collections.abc import Callable

from builder.source.patches.ancestry import Ancestor
from builder.source.patches.bench import Bench
from builder.source.patches.patch import Patch
from builder.source.patches.texts import Texts

_TELLING = 4
"""Characters that a line must have to say by itself that one patch needs another."""


def needs_tree(bench: Bench, mine: Ancestor, earlier: Ancestor, applies: Callable[[str], bool]) -> bool | None:
    """Whether a patch does not apply to what it was made on once an earlier one is taken out of that.

    Args:
        mine: what the patch was made on.
        earlier: what the earlier one was made on.
        applies: whether the patch applies to a tree.

    Returns:
        None where the earlier one cannot be taken out, for something else builds on it.
    """
    without = bench.merge(earlier.patched, mine.tree, earlier.tree)
    return None if without.stages else without.tree != mine.tree and not applies(without.tree)


def needs_contents(patch: Patch, earlier: Patch, current: Texts) -> bool:
    """Whether a patch names contents that an earlier one leaves, or lines that only that one brings.

    Args:
        current: the tree without the earlier one.
    """
    return _is_made_on(patch, earlier) or _needs_lines(patch, earlier, current)


def _is_made_on(patch: Patch, earlier: Patch) -> bool:
    left = {change.new: change.new_blob for change in earlier.changes if change.new_blob}
    read = {change.old: change.old_blob for change in patch.changes if change.old_blob}
    return any(path and path in left and _same(blob or "", left[path] or "") for path, blob in read.items())


def _needs_lines(patch: Patch, earlier: Patch, current: Texts) -> bool:
    brought = {change.path: {line for hunk in change.hunks for line in hunk.added} for change in earlier.changes}
    made = {change.new for change in earlier.changes if change.new != change.old}
    for change in patch.changes:
        if change.old not in brought:
            continue
        there = current.lines(change.old)
        if there is None:
            return change.old in made
        needed = {line for hunk in change.hunks for line in hunk.before if len(line.strip()) >= _TELLING}
        if needed & brought[change.old] - set(there):
            return True
    return False


def _same(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
