"""Trees, written out once and kept by their content.

A tree lies in a folder named by its digest, with a note beside it. Its files have one modification time and two
modes, whatever they came from, so a tree that was written to afterwards is noticed and made anew. What is known
under a name of its own, such as a commit or the digest of an archive, is found again without being read.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from builder.source.digest import digest_tree, walk
from builder.staging import disk_errors, exclusive, staged, write_whole
from builder.upstream.layout import declared_release, require_llama_tree
from builder.upstream.supply import Supply, Traces

MODIFIED = 946_684_800
"""Modification time of every file: 2000-01-01, so that the same content is the same bytes in an image."""
_SCHEMA = 1


@dataclass(frozen=True)
class KeptTree:
    """A tree that is there as a whole.

    Attributes:
        release: the version that it gives itself.
        traces: what its origin said once it lay there.
    """

    path: Path
    digest: str
    release: str | None
    traces: Traces


@dataclass(frozen=True)
class TreeStore:
    """The folder of trees.

    Attributes:
        say: told when another process has to be waited for, or a tree has to be made anew.
    """

    folder: Path
    say: Callable[[str], None]

    def keep(self, supply: Supply) -> KeptTree:
        """The tree of a supply, written out unless it is there.

        Raises:
            SourceError: it cannot be had or is no llama.cpp tree.
            MachineError: the disk is full or may not be written to.
        """
        identity = supply.identity
        if known := self.find(identity):
            return known
        with exclusive(self.folder / ".lock", self.say):
            if known := self.find(identity):
                return known
            with staged(self.folder) as scratch:
                return self._write(supply, identity, scratch)

    def _write(self, supply: Supply, identity: str | None, scratch: Path) -> KeptTree:
        tree = scratch / "tree"
        traces = supply.write(tree)
        with disk_errors(self.folder):
            normalise(tree)
            require_llama_tree(tree, supply.revision.origin)
            contents = digest_tree(tree)
        final = self._place(contents.digest)
        if not self._is_intact(contents.digest):
            with disk_errors(self.folder):
                if final.exists():
                    self.say(f"{final} was changed; making it anew.")
                    final.rename(scratch / "changed")
                tree.rename(final)
            self._note(final.name, asdict(contents))
        if identity:
            committed = traces.committed.isoformat() if traces.committed else None
            self._note(identity, {"digest": contents.digest, "commit": traces.commit, "committed": committed})
        return KeptTree(final, contents.digest, declared_release(final), traces)

    def find(self, identity: str | None) -> KeptTree | None:
        """The tree that is kept under a supply's identity, if it is there and untouched."""
        note = self._noted(identity) if identity else None
        if not note or not self._is_intact(note["digest"]):
            return None
        place = self._place(note["digest"])
        committed = datetime.fromisoformat(note["committed"]) if note["committed"] else None
        return KeptTree(place, note["digest"], declared_release(place), Traces(note["commit"], committed))

    def _is_intact(self, digest: str) -> bool:
        place = self._place(digest)
        note = self._noted(place.name)
        return bool(note) and place.is_dir() and _looks_like(place, note["files"], note["size"])

    def _place(self, digest: str) -> Path:
        return self.folder / digest.removeprefix("sha256:")

    def _note(self, name: str, facts: dict[str, Any]) -> None:
        document = json.dumps({"schema_version": _SCHEMA, **facts}, indent=2)
        write_whole(self.folder / f"{name}.json", document.encode() + b"\n")

    def _noted(self, name: str) -> dict[str, Any]:
        try:
            document = json.loads((self.folder / f"{name}.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return document if isinstance(document, dict) and document.get("schema_version") == _SCHEMA else {}


def normalise(tree: Path) -> None:
    """Leave out what a build context must not hold, and set modes and times to what they always are.

    Gone are every `.git`, the top `.dockerignore`, folders without files, and what is neither file nor link.
    """
    for name in (".dockerignore", ".containerignore"):
        (tree / name).unlink(missing_ok=True)
    _normalise_folder(tree)


def _normalise_folder(folder: Path) -> bool:
    """Whether anything is left in it."""
    left = False
    for entry in list(os.scandir(folder)):
        path = Path(entry.path)
        if entry.name == ".git":
            _remove(path)
        elif entry.is_dir(follow_symlinks=False):
            if _normalise_folder(path):
                left = True
            else:
                path.rmdir()
        elif entry.is_symlink() or entry.is_file():
            _normalise_file(path)
            left = True
        else:
            path.unlink()
    folder.chmod(0o755)
    os.utime(folder, (MODIFIED, MODIFIED))
    return left


def _normalise_file(path: Path) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        path.chmod(0o755 if mode & 0o100 else 0o644)
    os.utime(path, (MODIFIED, MODIFIED), follow_symlinks=False)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _looks_like(tree: Path, files: int, size: int) -> bool:
    """Whether number, sizes, modes and times are those of an untouched tree; contents are not read."""
    for name in walk(tree):
        facts = (tree / name).lstat()
        if facts.st_mtime_ns != MODIFIED * 1_000_000_000:
            return False
        files -= 1
        if stat.S_ISREG(facts.st_mode):
            if stat.S_IMODE(facts.st_mode) not in (0o644, 0o755):
                return False
            size -= facts.st_size
    return files == 0 and size == 0
