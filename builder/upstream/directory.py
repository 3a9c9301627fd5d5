"""A folder on this machine as a source, taken as it lies."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from builder.console import Reporter
from builder.errors import SourceError
from builder.process import Runner
from builder.staging import disk_errors
from builder.upstream.git import Git
from builder.upstream.layout import require_llama_tree
from builder.upstream.repository import Repository
from builder.upstream.revision import Revision
from builder.upstream.supply import Traces

_SETTLED_NS = 2_000_000_000
"""A file that changed less than this long ago may change again without its time stamp telling."""
_MAY_BE_ABSENT = frozenset("?RS")
"""Tags of `git ls-files -t`: not tracked, deleted, left out of a sparse checkout."""


@dataclass(frozen=True)
class DirectorySupply:
    """Files of a folder.

    Attributes:
        files: what belongs to the source, relative to the folder.
    """

    folder: Path
    files: tuple[PurePosixPath, ...]
    revision: Revision

    @property
    def identity(self) -> str | None:
        """A digest over names, sizes and time stamps; None while the folder may still be changing."""
        digest = hashlib.sha256(os.fsencode(self.folder))
        newest = 0
        for path in self.files:
            try:
                facts = (self.folder / path).lstat()
            except OSError:
                return None
            newest = max(newest, facts.st_ctime_ns)
            stamp = (facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)
            digest.update(os.fsencode(path) + b"\0" + repr(stamp).encode())
        return None if newest > time.time_ns() - _SETTLED_NS else f"directory-{digest.hexdigest()}"

    def write(self, folder: Path) -> Traces:
        """Copy the files; links stay links."""
        with disk_errors(folder.parent):
            folder.mkdir(exist_ok=True)
            for path in self.files:
                place = folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                self._copy(self.folder / path, place)
        return Traces()

    def _copy(self, source: Path, place: Path) -> None:
        try:
            shutil.copy(source, place, follow_symlinks=False)
        except FileNotFoundError as error:
            raise _vanished(source) from error
        except PermissionError as error:
            raise SourceError(f"{_shown(source)} may not be read.", "Check its permissions.") from error


def take_directory(folder: Path, runner: Runner, reporter: Reporter) -> DirectorySupply:
    """The source in a folder: all of a plain one, what git does not ignore of a work tree.

    A work tree tells its commit. With changes that are not committed the commit is what they are based on; the
    revision then is dirty and its ref ends in ` (dirty)`. A repository that merely lies around the folder tells nothing
    about it.

    Raises:
        SourceError: it is no llama.cpp tree, or cannot be read.
    """
    require_llama_tree(folder, str(folder))
    repository = work_tree_repository(folder, runner)
    revision = Revision(None, None, None, None, origin=str(folder), ref=folder.name)
    if repository is None:
        return DirectorySupply(folder, tuple(_walk(folder, PurePosixPath())), revision)
    if commit := repository.find("HEAD"):
        revision = repository.revision(commit, origin=str(folder), ref=_branch(repository))
        if _changes(repository, folder):
            reporter.warning(f"{folder} has changes that are not committed; they are built, on commit {commit[:9]}.")
            revision = replace(revision, ref=f"{revision.ref} (dirty)", dirty=True)
    return DirectorySupply(folder, tuple(_listed(repository, folder)), revision)


def work_tree_repository(folder: Path, runner: Runner) -> Repository | None:
    """The repository whose work tree has its top at this very folder; None for any other folder."""
    git = Git(runner, str(folder))
    if not (folder / ".git").exists():
        return None
    done = git.attempt("-C", str(folder), "rev-parse", "--show-toplevel")
    if "dubious ownership" in done.stderr:
        git.read("-C", str(folder), "rev-parse", "--show-toplevel")
    top = done.stdout.removesuffix("\n")
    if done.returncode or not top or Path(top).resolve() != folder.resolve():
        return None
    return Repository(git, folder / ".git")


def _branch(repository: Repository) -> str:
    return repository.read("rev-parse", "--abbrev-ref", "HEAD").strip()


def _changes(repository: Repository, folder: Path) -> bool:
    return bool(repository.git.read("-C", str(folder), "status", "--porcelain", "--ignore-submodules=all"))


def _listed(repository: Repository, folder: Path) -> Iterator[PurePosixPath]:
    """What git tracks or does not ignore; what a person deleted or checked out sparsely may be absent, no other.

    Raises:
        SourceError: a file that git tracks was there a moment ago and is gone.
    """
    selection = ("--cached", "--others", "--deleted", "--exclude-standard")
    tags: dict[str, set[str]] = {}
    for entry in repository.git.list_paths("-C", str(folder), "ls-files", "-z", "-t", *selection):
        tags.setdefault(entry[2:], set()).add(entry[0])
    for name, told in sorted(tags.items()):
        path = PurePosixPath(name)
        if ".git" not in path.parts and _is_copied(folder / path, required=not told & _MAY_BE_ABSENT):
            yield path


def _walk(folder: Path, inside: PurePosixPath) -> Iterator[PurePosixPath]:
    try:
        entries = sorted(os.scandir(folder / inside), key=lambda entry: entry.name)
    except OSError as error:
        raise SourceError(
            f"{_shown(folder / inside)} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error
    for entry in entries:
        path = inside / entry.name
        if entry.is_dir(follow_symlinks=False):
            if entry.name != ".git" and not _is_build_folder(Path(entry.path)):
                yield from _walk(folder, path)
        elif entry.name != ".git" and _is_copied(Path(entry.path)):
            yield path


def _is_build_folder(folder: Path) -> bool:
    """Whether CMake made it: what lies there is not source."""
    return (folder / "CMakeCache.txt").is_file()


def _is_copied(file: Path, *, required: bool = False) -> bool:
    """Whether it is a file or a link.

    Args:
        required: whether it must be there at all.
    """
    try:
        mode = file.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        if required:
            raise _vanished(file) from error
        return False
    except OSError as error:
        raise SourceError(f"{_shown(file)} cannot be read: {error.strerror}.", "Check its permissions.") from error
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def _vanished(file: Path) -> SourceError:
    return SourceError(f"{_shown(file)} vanished while the folder was read.", "Try again once the folder rests.")


def _shown(file: Path) -> str:
    """A path for people, whatever bytes it holds."""
    return os.fsencode(file).decode(errors="backslashreplace")
