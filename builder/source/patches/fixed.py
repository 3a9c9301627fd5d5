"""What a person made of a patch in its working tree."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator

from builder.errors import SourceError, UsageError
from builder.source.patches.bench import Bench
from builder.source.patches.fixing import copy_objects, own_objects
from builder.source.patches.patch import Patch
from builder.source.patches.resume import Stop
from builder.staging import disk_errors
from builder.upstream.git import WRITING

_MARKER = re.compile(rb"^(?:<{7} |>{7} |\|{7} |={7}\r?$)")
_LEFTOVERS = (".rej", ".orig")
_SHOWN = 5


class Unfinished(SourceError):
    """A patch is not fixed yet."""


def take_fixed(bench: Bench, stop: Stop, patch: Patch) -> str:
    """The tree as a person left it, ignored files that git does not know left out.

    Afterwards the bench has all objects that were made there.

    Raises:
        Unfinished: something is left to do, or nothing was done.
        UsageError: the working tree is gone.
    """
    if not (stop.folder / ".git").is_dir():
        raise UsageError(
            f"The working tree {stop.folder} is gone.",
            "`builder patches refresh --abort` and begin anew, or leave the patch out with `--skip`.",
        )
    copy_objects(stop.folder / ".git" / "objects", own_objects(bench))
    tree = _tree(bench, stop, patch)
    left = tuple(_left_to_do(bench, stop, patch, tree))
    if left:
        raise Unfinished(
            f"{stop.name} is not fixed yet.",
            f"Go on in {stop.folder}, then `builder patches refresh --continue`.",
            excerpt=left,
        )
    if tree == stop.before:
        raise Unfinished(
            f"Without {stop.name} the files in {stop.folder} would be the same: nothing of it is there.",
            "Make its change there, or leave the patch out with `builder patches refresh --skip`.",
        )
    return tree


def _tree(bench: Bench, stop: Stop, patch: Patch) -> str:
    index = bench.scratch / "fixed"
    with disk_errors(bench.scratch):
        shutil.copy(stop.folder / ".git" / "index", index)
    env = {"GIT_INDEX_FILE": str(index), "GIT_OBJECT_DIRECTORY": str(own_objects(bench))}
    git = bench.repository.git
    here = (f"--git-dir={stop.folder / '.git'}", f"--work-tree={stop.folder}", "--literal-pathspecs")
    git.read(*here, "add", "--all", ".", env=env, cwd=stop.folder, timeout=WRITING)
    brought = [path for path in patch.paths if os.path.lexists(stop.folder / path)]
    if brought:
        git.read(*here, "add", "--force", "--", *brought, env=env, cwd=stop.folder)
    return git.read(*here, "write-tree", env=env, cwd=stop.folder).strip()


def _left_to_do(bench: Bench, stop: Stop, patch: Patch, tree: str) -> Iterator[str]:
    for path in stop.rejected:
        if (stop.folder / path).exists():
            yield f"{path}: bring in what it holds, then remove it"
    for path in stop.marked:
        if lines := tuple(_markers(bench, stop, patch, tree, path)):
            yield f"{path}: conflict markers on {_spell_lines(lines)}"
    for path in _untouched(bench, stop, tree):
        yield f"{path}: `git add` it as it is or should be, or `git rm` it"
    for path, entry in bench.changed(stop.before, tree).items():
        known = path in stop.rejected or path in patch.paths
        if entry and path.endswith(_LEFTOVERS) and not known and not bench.entries(stop.before, [path]):
            yield f"{path}: left over by a tool, remove it"


def _markers(bench: Bench, stop: Stop, patch: Patch, tree: str, path: str) -> Iterator[int]:
    """Numbers of lines that are conflict markers and stood neither in the file before nor in the patch."""
    entries = (bench.entries(name, [path]).get(path) for name in (stop.before, tree))
    old, new = (bench.content(entry.blob).split(b"\n") if entry else [] for entry in entries)
    known = {*old, *(line for change in patch.changes for hunk in change.hunks for line in hunk.added)}
    for number, line in enumerate(new, 1):
        if _MARKER.match(line) and line not in known:
            yield number


def _untouched(bench: Bench, stop: Stop, tree: str) -> Iterator[str]:
    """Conflicts without markers that are as the merge left them and that nobody declared to be settled."""
    listed = bench.repository.git.list_paths(
        f"--git-dir={stop.folder / '.git'}", f"--work-tree={stop.folder}", "ls-files", "--unmerged", "-z"
    )
    unmerged = {line.partition("\t")[2] for line in listed}
    now, start = bench.entries(tree, stop.unmarked), bench.entries(stop.start, stop.unmarked)
    return (path for path in stop.unmarked if path in unmerged and now.get(path) == start.get(path))


def _spell_lines(numbers: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return f"{'line' if len(numbers) == 1 else 'lines'} {shown}{more}"
