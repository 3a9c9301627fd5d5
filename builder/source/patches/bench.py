"""A place where trees are patched and merged and nothing else is touched: objects go to a scratch folder.

Trees are named by their object names. Where they come from a repository, its objects are read and it is not
written to; from a partial one, what is missing is fetched when it is read.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from builder.process import Completed
from builder.source.patches.status import Shift
from builder.staging import disk_errors, scratch
from builder.upstream.git import WRITING, Git
from builder.upstream.repository import Repository, have_all

_PURPOSE = "builder-patches"
_SETTINGS = {
    "apply.ignoreWhitespace": "no",
    "core.attributesFile": os.devnull,
    "core.looseCompression": "0",
    "core.quotePath": "false",
    "core.safecrlf": "false",
    "core.splitIndex": "false",
    "diff.algorithm": "myers",
    "diff.indentHeuristic": "true",
    "diff.mnemonicPrefix": "false",
    "diff.noprefix": "false",
    "diff.renames": "true",
    "i18n.commitEncoding": "UTF-8",
    "i18n.logOutputEncoding": "UTF-8",
    "log.follow": "false",
    "log.showRoot": "true",
    "log.showSignature": "false",
    "merge.conflictStyle": "merge",
    "merge.default": "text",
    "merge.directoryRenames": "conflict",
    "merge.renameLimit": "10000",
    "merge.renames": "true",
    "merge.renormalize": "false",
}
"""What a person's own settings would otherwise decide: the result must be the same on every machine."""
_NOBODY = {
    "GIT_AUTHOR_NAME": "builder",
    "GIT_AUTHOR_EMAIL": "builder@localhost",
    "GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "builder",
    "GIT_COMMITTER_EMAIL": "builder@localhost",
    "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z",
}
_SIDES = ("--root", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--no-commit-id")
_CHECKING = re.compile(r"^Checking patch (?:.* => )?(.*)\.\.\.$")
_MOVED = re.compile(r"^Hunk #(\d+) succeeded at \d+ \(offset (-?\d+) lines?\)\.$")
_DIED = re.compile(r"^fatal: ", re.MULTILINE)
"""As git says where it could not do its work, such as read a file, and not that a diff does not fit."""


def take_as_they_are(repository: Repository) -> None:
    """Have a repository on this machine take files byte for byte, whatever attributes they have."""
    info = repository.folder / "info"
    with disk_errors(info):
        info.mkdir(exist_ok=True)
        (info / "attributes").write_text("* -text -ident -filter -eol -working-tree-encoding\n", encoding="ascii")


@dataclass(frozen=True)
class Entry:
    """A file of a tree: mode such as `100644`, and blob."""

    mode: str
    blob: str


@dataclass(frozen=True)
class Applied:
    """A tree with a diff on it, and which hunks went elsewhere than the diff says."""

    tree: str
    shifts: tuple[Shift, ...]


@dataclass(frozen=True)
class Merged:
    """What a three-way merge gave.

    Attributes:
        tree: with conflict markers in the conflicted files.
        stages: lines for `git update-index --index-info`; empty where all is merged.
        conflicted: paths.
    """

    tree: str
    stages: tuple[str, ...]
    conflicted: tuple[str, ...]


@dataclass(frozen=True)
class Bench:
    """A base tree and what can be done with it.

    Attributes:
        repository: reads what there is, writes to the scratch folder.
        scratch: folder for objects and indexes.
        base: the tree that patches are laid on.
        commit: its commit, where it is one.
        ensure: has blobs fetched that are named in full; may be slow and is asked for many at once.
    """

    repository: Repository
    scratch: Path
    base: str
    commit: str | None
    ensure: Callable[[Sequence[str]], None]
    _commits: dict[tuple[str, str | None], str] = field(default_factory=dict, repr=False)

    @property
    def nothing(self) -> str:
        """What stands for the object name of a file that is not there."""
        return "0" * len(self.base)

    def apply(self, tree: str, diff: bytes, *, reverse: bool = False) -> Applied | None:
        """A tree with a diff on it, all or nothing; None where it does not apply."""
        self._load(tree)
        options = ("--cached", "--whitespace=nowarn", "--verbose", *(["--reverse"] if reverse else []))
        done = self._attempt("apply", *options, "-", stdin=diff)
        if _DIED.search(done.stderr):
            raise self.repository.git.explained(done)
        if done.returncode:
            return None
        return Applied(self._written(), tuple(_shifts(done.stderr)))

    def merge(self, base: str, ours: str, theirs: str) -> Merged:
        """Three-way merge of trees, renames followed."""
        root = self._committed(base)
        sides = [self._committed(tree, root) for tree in (ours, theirs)]
        done = self._attempt("merge-tree", "--write-tree", "-z", "--no-messages", *sides)
        if done.returncode not in (0, 1):
            raise self.repository.git.explained(done)
        tree, *rest = done.stdout.rstrip("\0").split("\0")
        stages = tuple(rest) if done.returncode else ()
        paths = dict.fromkeys(stage.partition("\t")[2] for stage in stages)
        return Merged(tree, stages, tuple(paths))

    def entries(self, tree: str, paths: Sequence[str]) -> Mapping[str, Entry]:
        """Those of the paths that are files of a tree."""
        if not paths:
            return {}
        found = {}
        options = ("--literal-pathspecs", "ls-tree", "-z", tree, "--")
        for line in filter(None, self.repository.read(*options, *paths).split("\0")):
            facts, _, path = line.partition("\t")
            mode, kind, name = facts.split(" ")
            if kind == "blob":
                found[path] = Entry(mode, name)
        return found

    def overlay(self, tree: str, entries: Mapping[str, Entry | None]) -> str:
        """A tree with some files replaced, None removed."""
        self._load(tree)
        lines = [
            f"{entry.mode} {entry.blob}\t{path}\0" if entry else f"0 {self.nothing}\t{path}\0"
            for path, entry in entries.items()
        ]
        self._read("update-index", "-z", "--index-info", stdin="".join(lines).encode("utf-8", "surrogateescape"))
        return self._written()

    def content(self, blob: str) -> bytes:
        """The bytes of a blob."""
        return self._done("cat-file", "blob", blob).raw

    def store(self, content: bytes) -> str:
        """Write a blob."""
        return self._read("hash-object", "-w", "--stdin", stdin=content).strip()

    def tree_of(self, commit: str) -> str:
        """The tree of a commit."""
        return self._read("rev-parse", "--verify", f"{commit}^{{tree}}").strip()

    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether a commit has another in its history, or is that."""
        return not self._attempt("merge-base", "--is-ancestor", ancestor, commit).returncode

    def changed(self, old: str, new: str) -> Mapping[str, Entry | None]:
        """Files in which two trees differ, as the new one has them; None is gone."""
        tokens = self._read("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", old, new).split("\0")
        changed: dict[str, Entry | None] = {}
        for facts, path in zip(tokens[::2], tokens[1::2], strict=False):
            _, mode, _, blob, status = facts.split(" ")
            changed[path] = None if status == "D" else Entry(mode, blob)
        return changed

    def commit_tree(self, tree: str, parent: str | None, message: bytes, identity: Mapping[str, str]) -> str:
        """A commit with the given author and fixed other data: the same input gives the same name everywhere.

        Args:
            identity: `GIT_AUTHOR_NAME`, `GIT_AUTHOR_EMAIL`, `GIT_AUTHOR_DATE`, as far as they are known.
        """
        parents = ("-p", parent) if parent else ()
        return self._read("commit-tree", *parents, "-F", "-", tree, stdin=message, env={**_NOBODY, **identity}).strip()

    def ensure_base(self) -> None:
        """Have all files of the base fetched at once, and kept where the next bench finds them."""
        listed = self._read("ls-tree", "-r", "--format=%(objecttype) %(objectname)", self.base).splitlines()
        self.ensure([line.removeprefix("blob ") for line in listed if line.startswith("blob ")])

    def ensure_changed(self, commit: str) -> None:
        """Have the files fetched at once that a commit changes, as they were and as they are."""
        entries = self._read("diff-tree", *_SIDES, commit).split("\0")[:-1:2]
        names = [name for entry in entries for name in _blobs_of(entry)]
        alone = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": ""}
        made = self._read("cat-file", "--batch-all-objects", "--batch-check=%(objectname)", env=alone).split()
        self.ensure(sorted({*names} - {*made}))

    def write(self, tree: str, folder: Path) -> None:
        """Check a tree out into an empty folder."""
        self.ensure_base()
        self.repository.write(tree, folder)

    def _committed(self, tree: str, parent: str | None = None) -> str:
        key = (tree, parent)
        if key not in self._commits:
            self._commits[key] = self.commit_tree(tree, parent, b"", {})
        return self._commits[key]

    def _load(self, tree: str) -> None:
        """Have the index hold a tree; the index of one that was read or written before is kept."""
        kept = self._kept_index(tree)
        if not kept.exists():
            self._read("read-tree", tree, env={"GIT_INDEX_FILE": str(kept)})
        with disk_errors(self.scratch):
            shutil.copyfile(kept, self.scratch / "index")

    def _written(self) -> str:
        tree = self._read("write-tree", "--missing-ok").strip()
        (self.scratch / "index").replace(self._kept_index(tree))
        return tree

    def _kept_index(self, tree: str) -> Path:
        return self.scratch / f"index-{tree}"

    @property
    def _index(self) -> Mapping[str, str]:
        return {"GIT_INDEX_FILE": str(self.scratch / "index")}

    def _read(self, *args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
        return self._done(*args, stdin=stdin, env=env).stdout

    def _done(self, *args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> Completed:
        done = self._attempt(*args, stdin=stdin, env=env)
        if done.returncode:
            raise self.repository.git.explained(done)
        return done

    def _attempt(self, *args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> Completed:
        """Run git away from any work tree: the attributes that it found there would have a say in a merge."""
        command = (f"--git-dir={self.repository.folder}", *args)
        env = {**self._index, **(env or {})}
        return self.repository.git.attempt(*command, env=env, cwd=self.scratch, stdin=stdin, timeout=WRITING)


@contextmanager
def bench_on(
    repository: Repository, commit: str, ensure: Callable[[Sequence[str]], None] = have_all
) -> Iterator[Bench]:
    """A bench for a commit of a repository; the repository is not written to."""
    with scratch(_PURPOSE) as (desk, lock):
        quarantined = _quarantined(repository, desk, lock)
        tree = quarantined.read("rev-parse", "--verify", f"{commit}^{{tree}}").strip()
        yield Bench(quarantined, desk, tree, commit, ensure)


@contextmanager
def bench_of(folder: Path, git: Git) -> Iterator[Bench]:
    """A bench for the files of a folder, byte for byte; it has no history."""
    with scratch(_PURPOSE) as (desk, lock):
        git = replace(git, settings=(*git.settings, *_SETTINGS.items()), holding=(*git.holding, lock))
        repository = Repository(git, desk / "git")
        git.read("init", "--quiet", "--bare", "--template=", "--object-format=sha1", str(repository.folder))
        take_as_they_are(repository)
        env = {"GIT_INDEX_FILE": str(desk / "index"), "GIT_WORK_TREE": str(folder)}
        git.read(f"--git-dir={repository.folder}", "add", "--all", "--force", ".", env=env, timeout=WRITING, cwd=folder)
        tree = repository.read("write-tree", env=env).strip()
        yield Bench(repository, desk, tree, None, have_all)


def _quarantined(repository: Repository, scratch: Path, lock: int) -> Repository:
    common = Path(repository.read("rev-parse", "--git-path", "objects").strip()).absolute()
    objects = scratch / "objects"
    for part in ("info", "pack"):
        (objects / part).mkdir(parents=True)
    variables = {
        **repository.git.variables,
        "GIT_OBJECT_DIRECTORY": str(objects),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(str(common)),
    }
    settings = (*repository.git.settings, *_SETTINGS.items())
    holding = (*repository.git.holding, lock)
    git = replace(repository.git, variables=variables, settings=settings, holding=holding)
    return Repository(git, repository.folder.absolute())


def _quoted(path: str) -> str:
    """A path as one of a list that colons part."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _blobs_of(entry: str) -> Iterator[str]:
    """The files on both sides of an entry of `git diff-tree --raw`; nothing is none, nor is a submodule."""
    old_mode, new_mode, old, new, _ = entry.removeprefix(":").split(" ")
    sides = ((old_mode, old), (new_mode, new))
    return (name for mode, name in sides if mode.startswith(("10", "12")))


def _shifts(said: str) -> Iterator[Shift]:
    path = ""
    for line in said.split("\n"):
        if found := _CHECKING.match(line):
            path = found[1]
        elif found := _MOVED.match(line):
            yield Shift(path, int(found[1]), int(found[2]))
