"""A llama.cpp tree in an archive, and which commit it is.

The source distributions of `llama-cpp-python` carry the git folder of their llama.cpp submodule: a shallow
checkout of one commit, so its name and time are facts, its number is not. Their change log names the commit too.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from builder.errors import BuilderError, SourceError
from builder.process import Runner
from builder.staging import disk_errors
from builder.upstream.archive import commit_in, unpack
from builder.upstream.git import Git
from builder.upstream.layout import NotATree, find_llama_tree
from builder.upstream.revision import Revision, moment
from builder.upstream.supply import Traces

_MODULE = Path(".git", "modules", "vendor", "llama.cpp")
_KEPT_OF_GIT = (*_MODULE.parts, "objects")
_HEADING = re.compile(r"^## \[([^\]]+)\]", re.MULTILINE)
_UPDATE = re.compile(r"update llama\.cpp to gg(?:ml-org|erganov)/llama\.cpp@([0-9a-f]{7,40})\b", re.IGNORECASE)
_COMMITTER = re.compile(r"^committer .* (\d+) ([+-]\d{4})$", re.MULTILINE)
_FULL_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class ArchiveSupply:
    """The llama.cpp tree in an archive.

    Attributes:
        sha256: of the file, hexadecimal.
    """

    file: Path
    sha256: str
    revision: Revision
    runner: Runner

    @property
    def identity(self) -> str | None:
        """The archive's own digest."""
        return f"archive-{self.sha256}"

    def write(self, folder: Path) -> Traces:
        """Unpack the archive beside the folder, then move the tree that it carries there."""
        unpacked = folder.with_name("unpacked")
        with disk_errors(folder.parent):
            unpacked.mkdir()
        unpack(self.file, unpacked, skip=_is_left_out)
        tree = find_llama_tree(unpacked)
        if tree is None:
            raise NotATree(
                f"{self.file.name} carries no llama.cpp tree: no CMakeLists.txt in it declares llama.cpp's options.",
                "Name an archive of llama.cpp, or a source distribution that carries vendor/llama.cpp.",
            )
        traces = self._traces(tree)
        with disk_errors(folder.parent):
            tree.rename(folder)
            shutil.rmtree(unpacked, ignore_errors=True)
        return traces

    def _traces(self, tree: Path) -> Traces:
        if tree.parent.name != "vendor":
            return Traces(commit_in(self.file))
        top = tree.parent.parent
        commit = _head(top / _MODULE)
        if commit:
            return Traces(commit, self._time_of(commit, top))
        return Traces(commit_in_changelog(_text(top / "CHANGELOG.md"), _version_of(top)))

    def _time_of(self, commit: str, top: Path) -> datetime | None:
        """Read the commit in a git folder of our own making: the archive's settings are not to be trusted."""
        clean = top / ".git" / "clean"
        git = Git(self.runner, self.file.name)
        try:
            git.read("init", "--quiet", "--bare", "--template=", str(clean))
            shutil.rmtree(clean / "objects")
            (top / _MODULE / "objects").rename(clean / "objects")
            text = git.read(f"--git-dir={clean}", "cat-file", "commit", commit)
        except (BuilderError, OSError):
            return None
        return _committer_time(text)


def take_archive(file: Path, runner: Runner) -> ArchiveSupply:
    """The tree in an archive file.

    Raises:
        SourceError: the file cannot be read.
    """
    revision = Revision(None, None, None, None, origin=str(file), ref=file.name)
    return ArchiveSupply(file, sha256_of(file), revision, runner)


def sha256_of(file: Path) -> str:
    """Hexadecimal SHA-256 of a file.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {error.strerror}.", "Check the file and its permissions.") from error


def commit_in_changelog(text: str, version: str) -> str | None:
    """The commit that a version of `llama-cpp-python` says it updated to, newest first; None where it says none."""
    pieces = _HEADING.split(text)
    sections = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    found = _UPDATE.search(sections.get(version, ""))
    return found[1].lower() if found else None


def _is_left_out(path: PurePosixPath) -> bool:
    """Whether it belongs to a git folder: of that, only what tells the commit is kept."""
    if ".git" not in path.parts:
        return False
    inside = path.parts[path.parts.index(".git") :]
    return inside[: len(_KEPT_OF_GIT)] != _KEPT_OF_GIT and inside != (*_MODULE.parts, "HEAD")


def _head(module: Path) -> str | None:
    commit = _text(module / "HEAD").strip()
    return commit if _FULL_COMMIT.fullmatch(commit) else None


def _committer_time(text: str) -> datetime | None:
    found = _COMMITTER.search(text.partition("\n\n")[0])
    if not found:
        return None
    zone = datetime.strptime(found[2], "%z").tzinfo
    return moment(int(found[1])).astimezone(zone)


def _version_of(top: Path) -> str:
    found = re.search(r"^Version: (\S+)$", _text(top / "PKG-INFO"), re.MULTILINE)
    return found[1] if found else top.name.rpartition("-")[2]


def _text(file: Path) -> str:
    if file.is_symlink() or not file.is_file():
        return ""
    return file.read_text(encoding="utf-8", errors="replace")
