"""The working tree in which a person fixes a patch.

It is a git repository of its own, whose history ends with the earlier patches. What does not merge is in its index and
its files as after any merge; where there is nothing to merge with, it lies beside the files as `*.rej`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builder.process import without_credentials
from builder.source.patches.ancestry import Ancestor
from builder.source.patches.bench import Bench, take_as_they_are
from builder.source.patches.diff import Change
from builder.source.patches.judge import Trial, try_patch
from builder.source.patches.patch import Patch
from builder.source.patches.resume import Stop
from builder.staging import disk_errors, staged
from builder.upstream.git import WRITING, Git
from builder.upstream.remote import REMOTES
from builder.upstream.repository import Repository

_BRANCH = "fixing"
_ELSEWHERE = ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")
_PARTIAL = ("url", "promisor", "partialclonefilter")
_LABEL = re.compile(rb"^(<{7}|>{7}) [0-9a-f]{40,64}(?=[:\r\n]|\Z)", re.MULTILINE)
_PATTERN = re.compile(r"([*?\[\]\\])")


@dataclass(frozen=True)
class Obstacle:
    """A patch that does not apply, and where.

    Attributes:
        revision: name of the base.
        earlier: subject of each patch that applies before it, and the tree with that one.
        why: in what it does not apply.
    """

    revision: str
    earlier: Sequence[tuple[str, str]]
    patch: Patch
    ancestor: Ancestor | None
    why: str


def lay_out(bench: Bench, obstacle: Obstacle, place: Path) -> Stop:
    """Make the working tree, as a whole or not at all.

    Raises:
        SourceError: contents that are needed cannot be fetched.
        MachineError: the disk is full or may not be written to.
    """
    before = obstacle.earlier[-1][1] if obstacle.earlier else bench.base
    trial = try_patch(bench, before, obstacle.patch, obstacle.ancestor)
    start = trial.marked or before
    stop = Stop(obstacle.patch.name, obstacle.why, place, before, start)
    with staged(place.parent, "tree-") as scratch:
        folder = scratch / "tree"
        repository = _repository(bench, obstacle, folder)
        _check_out(bench, repository, start, folder)
        if trial.stages:
            marked = tuple(_mark(bench, obstacle, trial, folder))
            _unmerge(bench, repository, trial)
            stop = replace(stop, marked=marked, unmarked=tuple(p for p in trial.conflicted if p not in marked))
        elif trial.tree is None:
            stop = replace(stop, rejected=tuple(_apply_parts(repository.git, obstacle.patch, folder)))
        with disk_errors(place.parent):
            folder.rename(place)
    return stop


def own_objects(bench: Bench) -> Path:
    """The folder to which a bench writes objects."""
    return Path(bench.repository.read("rev-parse", "--git-path", "objects").strip()).absolute()


def copy_objects(source: Path, target: Path) -> None:
    """Bring objects from one git folder to another."""
    with disk_errors(target):
        for file in source.rglob("*"):
            place = target / file.relative_to(source)
            if file.is_file() and file.parent.name != "info" and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, place)


def _repository(bench: Bench, obstacle: Obstacle, folder: Path) -> Repository:
    """A repository with all that the bench made; what the bench only reads is read where it is."""
    commit = bench.commit or bench.commit_tree(bench.base, None, obstacle.revision.encode(), {})
    for subject, tree in obstacle.earlier:
        commit = bench.commit_tree(tree, commit, subject.encode("utf-8", "replace"), {})
    shared = bench.repository.git
    variables = {name: value for name, value in shared.variables.items() if name not in _ELSEWHERE}
    git = replace(shared, name=str(folder), variables=variables)
    naming = bench.repository.read("rev-parse", "--show-object-format").strip()
    options = ("--quiet", "--template=", f"--object-format={naming}", f"--initial-branch={_BRANCH}")
    git.read("init", *options, str(folder))
    repository = Repository(git, folder / ".git")
    copy_objects(own_objects(bench), repository.folder / "objects")
    take_as_they_are(repository)
    if borrowed := shared.variables.get("GIT_ALTERNATE_OBJECT_DIRECTORIES"):
        (repository.folder / "objects" / "info" / "alternates").write_text(f"{borrowed}\n", encoding="utf-8")
        for key, value in _way_to_the_rest(bench.repository):
            repository.read("config", key, value)
    repository.read("update-ref", f"refs/heads/{_BRANCH}", commit)
    return repository


def _way_to_the_rest(repository: Repository) -> Iterator[tuple[str, str]]:
    """The settings by which a partial repository fetches what it lacks, without credentials; none of a whole one."""

    def setting(key: str) -> str:
        return repository.git.attempt(f"--git-dir={repository.folder}", "config", key).stdout.strip()

    for name in REMOTES:
        if setting(f"remote.{name}.promisor"):
            keys = [f"remote.{name}.{key}" for key in _PARTIAL]
            yield from ((key, without_credentials(value)) for key in keys if (value := setting(key)))


def _check_out(bench: Bench, repository: Repository, tree: str, folder: Path) -> None:
    bench.ensure_base()
    where = (f"--git-dir={repository.folder}", f"--work-tree={folder}")
    repository.git.read(*where, "read-tree", "--reset", "-u", tree, timeout=WRITING, cwd=folder)


def _mark(bench: Bench, obstacle: Obstacle, trial: Trial, folder: Path) -> Iterator[str]:
    """Call the sides of each conflict by names that people know."""
    names = {b"<": obstacle.revision.encode(), b">": obstacle.patch.name.encode()}
    assert trial.marked is not None
    for path, entry in bench.entries(trial.marked, trial.conflicted).items():
        content = bench.content(entry.blob)
        named = _LABEL.sub(lambda found: found[1] + b" " + names[found[1][:1]], content)
        if named != content:
            (folder / path).write_bytes(named)
            yield path


def _unmerge(bench: Bench, repository: Repository, trial: Trial) -> None:
    orders = [f"0 {bench.nothing}\t{path}\0" for path in trial.conflicted] + [f"{stage}\0" for stage in trial.stages]
    repository.read("update-index", "-z", "--index-info", stdin="".join(orders).encode("utf-8", "surrogateescape"))


def _apply_parts(git: Git, patch: Patch, folder: Path) -> Iterator[str]:
    """Apply what applies; give the files that hold what does not."""
    for change in patch.changes:
        only = "--include=" + _PATTERN.sub(r"\\\1", change.path)
        done = git.attempt("apply", "--whitespace=nowarn", "--reject", only, "-", stdin=patch.diff, cwd=folder)
        if not done.returncode:
            continue
        rejected = folder / f"{change.path}.rej"
        if not rejected.is_file():
            rejected = _written(change, rejected, folder)
        yield str(rejected.relative_to(folder))


def _written(change: Change, file: Path, folder: Path) -> Path:
    """A change to a file that is not there, or that is there and should not be, of which git writes nothing."""
    if not file.parent.resolve().is_relative_to(folder.resolve()):
        file = folder / file.name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(_text(change)))
    return file


def _text(change: Change) -> Iterator[bytes]:
    old, new = (path.encode("utf-8", "surrogateescape") if path else None for path in (change.old, change.new))
    yield b"--- " + (b"a/" + old if old else b"/dev/null") + b"\n"
    yield b"+++ " + (b"b/" + new if new else b"/dev/null") + b"\n"
    if change.binary:
        yield b"Its binary contents are in the patch.\n"
    for hunk in change.hunks:
        counts = (hunk.old_start, len(hunk.before), hunk.new_start, len(hunk.after))
        yield b"@@ -%d,%d +%d,%d @@ " % counts + hunk.heading.encode() + b"\n"
        yield from (line + b"\n" for line in hunk.lines)
