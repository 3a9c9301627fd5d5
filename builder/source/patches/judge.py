"""What becomes of every patch of a queue on one tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from builder.source.patches.ancestry import Ancestor, Ancestry
from builder.source.patches.bench import Bench
from builder.source.patches.conflicts import find_conflicts
from builder.source.patches.landing import describe_commit, find_landing
from builder.source.patches.needs import needs_contents, needs_tree
from builder.source.patches.patch import BadPatch, Patch, link_leaves
from builder.source.patches.status import APPLIED, FAILED, PatchStatus, Shift, Standing
from builder.source.patches.texts import Texts


@dataclass(frozen=True)
class Judgement:
    """A queue on a tree.

    Attributes:
        base: the tree without patches.
        tree: the tree with all that apply.
        statuses: a row for every patch, in order.
        trees: the tree after each patch, likewise; one that is not applied leaves it as it was.
        ancestors: what each patch was made on, likewise.
        anchors: the newest commit that has contents which each patch was made on, likewise.
    """

    base: str
    tree: str
    statuses: tuple[PatchStatus, ...]
    trees: tuple[str, ...]
    ancestors: tuple[Ancestor | None, ...]
    anchors: tuple[str | None, ...]

    @property
    def failed(self) -> tuple[PatchStatus, ...]:
        """Those that do not apply and are not upstream."""
        return tuple(status for status in self.statuses if status.standing in FAILED)

    @property
    def applied(self) -> tuple[str, ...]:
        """Names of those that are on the tree."""
        return tuple(status.name for status in self.statuses if status.standing in APPLIED)


@dataclass(frozen=True)
class Trial:
    """One patch on one tree.

    Attributes:
        tree: with the patch; None where it does not apply.
        merged: whether it took a three-way merge.
        conflicted: paths that a three-way merge could not merge; empty where there was none.
        stages: what that merge left, for an index.
        marked: tree with conflict markers.
    """

    tree: str | None
    shifts: tuple[Shift, ...] = ()
    merged: bool = False
    conflicted: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    marked: str | None = None


def try_patch(bench: Bench, tree: str, patch: Patch, ancestor: Ancestor | None) -> Trial:
    """Lay one patch on one tree.

    A three-way merge has the last word where it can be made: a diff may fit in a wrong place, or once more where
    upstream has it. Where it ends in conflicts, for upstream moved the lines within their file, a diff that fits is
    taken, or one that is there already; but only where there is one place that it can mean.

    Returns:
        A trial whose tree is the same as before means that the tree has the patch already.
    """
    direct = bench.apply(tree, patch.diff)
    merge = bench.merge(ancestor.tree, tree, ancestor.patched) if ancestor else None
    if merge and not merge.stages:
        same = direct is not None and direct.tree == merge.tree
        return Trial(merge.tree, direct.shifts if direct and same else (), merged=not same)
    if direct and (ancestor is None or _is_plain(bench, patch, tree, ancestor)):
        return Trial(direct.tree, direct.shifts)
    if (ancestor is None or _is_plain(bench, patch, tree, ancestor, there=True)) and bench.apply(
        tree, patch.diff, reverse=True
    ):
        return Trial(tree)
    if merge:
        return Trial(None, conflicted=merge.conflicted, stages=merge.stages, marked=merge.tree)
    return Trial(None)


def _is_plain(bench: Bench, patch: Patch, tree: str, ancestor: Ancestor, *, there: bool = False) -> bool:
    """Whether the lines of each hunk are at one place, both in what the patch was made on and in a tree.

    Args:
        there: look for the lines that the patch leaves.
    """
    both = [Texts(bench, known) for known in (ancestor.patched if there else ancestor.tree, tree)]
    wanted = [
        (path, hunk.after if there else hunk.before)
        for change in patch.changes
        if (path := change.new if there else change.old)
        for hunk in change.hunks
    ]
    return all(texts.places(path, lines) == 1 for path, lines in wanted for texts in both)


def judge(bench: Bench, patches: Sequence[Patch], former: Sequence[Patch] = ()) -> Judgement:
    """Try every patch in order; one that fails hides none of those behind it.

    Args:
        former: the queue before some of its patches were changed, where others were made on those.

    Raises:
        BadPatch: one makes a link that leaves the tree.
        SourceError: contents that are needed cannot be fetched.
    """
    return _Judge(bench, patches, former).judge()


class _Judge:
    def __init__(self, bench: Bench, patches: Sequence[Patch], former: Sequence[Patch]) -> None:
        self._bench = bench
        self._patches = patches
        self._ancestry = Ancestry.of(bench, [*former, *patches])
        for patch in former:
            self._ancestry.find(patch)
        self._ancestors: dict[str, Ancestor | None] = {}
        self._statuses: list[PatchStatus] = []
        self._trials: dict[tuple[str, str], Trial] = {}

    def judge(self) -> Judgement:
        tree = self._bench.base
        trees = []
        for patch in self._patches:
            self._ancestors[patch.name] = self._ancestry.find(patch)
            trial = self._try(tree, patch)
            status = self._status(patch, tree, trial)
            if status.standing in APPLIED and trial.tree:
                self._refuse_links(patch, tree, trial.tree)
                tree = trial.tree
            self._statuses.append(status)
            trees.append(tree)
        ancestors, anchors = tuple(self._ancestors.values()), tuple(map(self._ancestry.anchor, self._patches))
        return Judgement(self._bench.base, tree, tuple(self._statuses), tuple(trees), ancestors, anchors)

    def _try(self, tree: str, patch: Patch) -> Trial:
        key = (tree, patch.name)
        if key not in self._trials:
            self._trials[key] = try_patch(self._bench, tree, patch, self._ancestors[patch.name])
        return self._trials[key]

    def _status(self, patch: Patch, tree: str, trial: Trial) -> PatchStatus:
        status = PatchStatus(patch.name, patch.subject, Standing.CLEAN)
        if trial.tree is None:
            return self._failed(status, patch, tree, trial)
        if trial.tree == tree:
            return self._landed(status, patch, tree)
        standing = Standing.FUZZY if trial.merged or trial.shifts else Standing.CLEAN
        return replace(status, standing=standing, merged=trial.merged, shifts=trial.shifts)

    def _landed(self, status: PatchStatus, patch: Patch, tree: str) -> PatchStatus:
        if tree != self._bench.base and not self._is_upstream(patch):
            return replace(status, standing=Standing.BLOCKED, blockers=self._in_the_way(patch), alone=True)
        anchor = self._ancestry.anchor(patch)
        since = find_landing(self._bench, patch.paths, anchor, lambda there: self._try(there, patch).tree == there)
        return replace(status, standing=Standing.UPSTREAM, since=since)

    def _is_upstream(self, patch: Patch) -> bool:
        return self._try(self._bench.base, patch).tree == self._bench.base

    def _failed(self, status: PatchStatus, patch: Patch, tree: str, trial: Trial) -> PatchStatus:
        base = self._bench.base
        alone = self._try(base, patch).tree if tree != base else None
        if alone == base:
            return self._landed(status, patch, base)
        conflicts = find_conflicts(self._bench, patch, tree, self._ancestors[patch.name], trial.conflicted)
        status = replace(status, standing=Standing.CONFLICT, conflicts=conflicts, alone=False)
        if alone:
            return replace(status, standing=Standing.BLOCKED, blockers=self._in_the_way(patch), alone=True)
        if blockers := tuple(self._missing(patch, tree)):
            return replace(status, standing=Standing.BLOCKED, blockers=blockers)
        taken_by = self._ancestry.taken_by(patch)
        return replace(status, since=describe_commit(self._bench.repository, taken_by) if taken_by else None)

    def _in_the_way(self, patch: Patch) -> tuple[str, ...]:
        """Earlier patches of which each, alone, keeps this one from applying; else all that share a path with it."""
        applied = self._earlier(APPLIED)
        near = [earlier for earlier in applied if set(earlier.paths) & set(patch.paths)] or applied
        guilty = []
        for earlier in near:
            tree = self._try(self._bench.base, earlier).tree
            if tree and self._try(tree, patch).tree in (None, tree):
                guilty.append(earlier.name)
        return tuple(guilty) or tuple(earlier.name for earlier in near)

    def _missing(self, patch: Patch, tree: str) -> Iterator[str]:
        """Earlier patches that failed and bring what this one was made on."""
        current = Texts(self._bench, tree)
        mine = self._ancestors[patch.name]
        for earlier in self._earlier(FAILED):
            theirs = self._ancestors[earlier.name]
            needs = None
            if mine and theirs:
                needs = needs_tree(self._bench, mine, theirs, lambda there: self._try(there, patch).tree is not None)
            if needs or (needs is None and needs_contents(patch, earlier, current)):
                yield earlier.name

    def _earlier(self, standings: frozenset[Standing]) -> list[Patch]:
        judged = zip(self._patches, self._statuses, strict=False)
        return [patch for patch, status in judged if status.standing in standings]

    def _refuse_links(self, patch: Patch, old: str, new: str) -> None:
        for path, entry in self._bench.changed(old, new).items():
            if entry and entry.mode == "120000":
                target = self._bench.content(entry.blob).decode("utf-8", "replace")
                if link_leaves(path, target):
                    raise BadPatch(
                        f"{patch.name} makes the link {path} to `{target}`, outside of the tree.", "It is not applied."
                    )
