"""What a patch was made on: the contents that its diff names, found by their abbreviated names in the history.

`git apply --3way` gives up where a partial repository has not fetched those contents, for it cannot know what an
abbreviated name stands for. The trees are there, and they name every content in full.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from builder.source.patches.bench import Bench, Entry
from builder.source.patches.patch import Patch

_WALK = 300.0
_NOTHING = "0" * 7
_LOCAL = -1


@dataclass(frozen=True)
class Version:
    """A content that a path had.

    Attributes:
        blob: whole object name.
        place: a commit whose tree has it there, or such a tree.
        age: position in the walk, the newest is 0; less than that for what a patch of the queue leaves.
    """

    blob: str
    place: str
    age: int


@dataclass(frozen=True)
class Ancestor:
    """The tree that a patch was made on, as far as it touches it, and that tree with the patch."""

    tree: str
    patched: str


@dataclass
class Ancestry:
    """Finds what patches were made on.

    Attributes:
        produced: contents by path that patches of the queue leave, the latest first.
    """

    bench: Bench
    versions: Mapping[str, Sequence[Version]]
    produced: dict[str, list[Version]] = field(default_factory=dict)

    @classmethod
    def of(cls, bench: Bench, patches: Sequence[Patch]) -> Ancestry:
        """Walk the history of all paths that the patches touch."""
        paths = sorted({path for patch in patches for path in patch.paths})
        versions: dict[str, list[Version]] = {path: [] for path in paths}
        if bench.commit and paths:
            for age, (commit, path, old, new) in enumerate(_walk(bench, paths)):
                if path in versions:
                    versions[path] += [Version(new, commit, age), Version(old, f"{commit}^", age)]
        for path, entry in bench.entries(bench.base, paths).items():
            versions[path].append(Version(entry.blob, bench.commit or bench.base, 0))
        ancestry = cls(bench, versions)
        ancestry._fetch(patches)
        return ancestry

    def find(self, patch: Patch) -> Ancestor | None:
        """What a patch was made on; None where its diff does not tell or that content is not to be had."""
        base: dict[str, Entry | None] = {}
        anchors: list[Version] = []
        for change in patch.changes:
            if change.new and change.new != change.old:
                base.setdefault(change.new, None)
            if change.old is None or change.old in base:
                continue
            version = self._version(change.old, change.old_blob) if change.old_blob else None
            if version:
                base[change.old] = Entry(change.old_mode or "100644", version.blob)
                anchors.append(version)
            elif change.old_blob or change.hunks or change.binary:
                return None
            elif entry := self.bench.entries(self.bench.base, [change.old]).get(change.old):
                base[change.old] = Entry(change.old_mode or entry.mode, entry.blob)
            else:
                return None
        newest = min(anchors, key=_age, default=None)
        tree = self.bench.overlay(self.bench.tree_of(newest.place) if newest else self.bench.base, base)
        applied = self.bench.apply(tree, patch.diff)
        if applied is None or applied.shifts:
            return None
        self._remember(tree, applied.tree)
        return Ancestor(tree, applied.tree)

    def anchor(self, patch: Patch) -> str | None:
        """The newest commit that has contents which a patch was made on."""
        if self.bench.commit is None:
            return None
        found = [
            version
            for change in patch.changes
            if change.old and change.old_blob and (version := self._historic(change.old, change.old_blob))
        ]
        newest = min(found, key=_age, default=None)
        return newest.place if newest else None

    def taken_by(self, patch: Patch) -> str | None:
        """A commit of the base's history that left all files just as the patch leaves them."""
        left = [(change.new, change.new_blob) for change in patch.changes if change.new and change.new_blob]
        makers = [
            {version.place for version in self.versions.get(path, ()) if version.blob.startswith(blob)}
            for path, blob in left
        ]
        base = self.bench.commit
        common = sorted(set.intersection(*makers)) if makers and base else []
        return next((place for place in common if "^" not in place and self.bench.descends(base or "", place)), None)

    def _version(self, path: str, prefix: str) -> Version | None:
        return _first(self.produced.get(path, ()), prefix) or self._historic(path, prefix)

    def _historic(self, path: str, prefix: str) -> Version | None:
        return _first(self.versions.get(path, ()), prefix)

    def _remember(self, tree: str, patched: str) -> None:
        for path, entry in self.bench.changed(tree, patched).items():
            if entry:
                self.produced.setdefault(path, []).insert(0, Version(entry.blob, patched, _LOCAL))

    def _fetch(self, patches: Sequence[Patch]) -> None:
        """Have everything fetched at once that will be read."""
        wanted = {entry.blob for entry in self.bench.entries(self.bench.base, list(self.versions)).values()}
        for patch in patches:
            for change in patch.changes:
                if change.old and change.old_blob and (version := self._version(change.old, change.old_blob)):
                    wanted.add(version.blob)
        self.bench.ensure(sorted(wanted))


def _first(known: Sequence[Version], prefix: str) -> Version | None:
    if prefix.startswith(_NOTHING):
        return None
    return next((version for version in known if version.blob.startswith(prefix)), None)


def _walk(bench: Bench, paths: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    """Commit, path, content before and after, for each change of the paths, newest first.

    The default branch is walked besides the base: a patch may have been made on something newer.
    """
    heads = dict.fromkeys(filter(None, (bench.commit, bench.repository.find("HEAD"))))
    options = ("--full-history", "--diff-merges=first-parent", "--no-renames", "--raw", "--no-abbrev", "-z")
    said = bench.repository.read(
        "--literal-pathspecs", "log", *options, "--format=%x01%H", *heads, "--", *paths, timeout=_WALK
    )
    commit = ""
    tokens = iter(token.lstrip("\n") for token in said.split("\0"))
    for token in tokens:
        if token.startswith("\x01"):
            commit = token[1:]
        elif token.startswith(":"):
            _, _, old, new, _ = token[1:].split(" ")
            yield commit, next(tokens), old, new


def _age(version: Version) -> int:
    return version.age
