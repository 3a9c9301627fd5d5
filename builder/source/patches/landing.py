"""Since which commit upstream has a patch."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from builder.source.patches.bench import Bench
from builder.source.patches.status import Landing
from builder.upstream.repository import Repository

_SHOWN = 9
_WALK = 300.0


def find_landing(bench: Bench, paths: Sequence[str], made_on: str | None, has: Callable[[str], bool]) -> Landing | None:
    """The first commit of the base's history that has a patch, by bisection.

    The commits that touch its files are searched first; all, where upstream has since moved these.

    Args:
        made_on: a commit that is known not to have it, where the search begins; else it begins at the root.
        has: whether a tree has the patch.

    Returns:
        None where there is no history, or where no commit of it has the patch.
    """
    if bench.commit is None:
        return None
    wanted = (bench.commit, f"^{made_on}") if made_on and bench.descends(bench.commit, made_on) else (bench.commit,)

    def commits(*paths: str) -> list[str]:
        options = ("--literal-pathspecs", "rev-list", "--first-parent", "--reverse", *wanted, "--")
        return bench.repository.read(*options, *paths, timeout=_WALK).split()

    def has_commit(commit: str) -> bool:
        tree = bench.tree_of(commit)
        bench.ensure([entry.blob for entry in bench.entries(tree, paths).values()])
        return has(tree)

    for listed in (commits(*paths), commits()):
        if listed and has_commit(listed[-1]):
            first = bisect_left(listed, True, key=has_commit)
            return describe_commit(bench.repository, listed[first])
    return None


def describe_commit(repository: Repository, commit: str) -> Landing:
    """A commit as people know it."""
    subject = repository.read("show", "--no-patch", "--no-show-signature", "--format=%s", commit).strip()
    revision = repository.revision(commit, origin="", ref="")
    return Landing(commit, revision.name if revision.build_number else commit[:_SHOWN], subject)
