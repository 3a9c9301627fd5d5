"""One digest over all that a tree holds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TreeDigest:
    """What identifies a tree.

    Attributes:
        digest: `sha256:...` over the sorted paths of files and links, the files' executable bit, links' targets and
            contents. Folders, owners and times do not count.
        files: number of files and links.
        size: bytes in all files.
    """

    digest: str
    files: int
    size: int


def digest_tree(folder: Path) -> TreeDigest:
    """Read a whole tree."""
    outer = hashlib.sha256()
    files = size = 0
    for path in sorted(walk(folder), key=os.fsencode):
        place = folder / path
        files += 1
        if place.is_symlink():
            kind, content = b"l", hashlib.sha256(os.fsencode(place.readlink())).digest()
        else:
            facts = place.stat()
            size += facts.st_size
            kind = b"x" if facts.st_mode & 0o100 else b"f"
            with place.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").digest()
        outer.update(kind + os.fsencode(path) + b"\0" + content)
    return TreeDigest(f"sha256:{outer.hexdigest()}", files, size)


def walk(folder: Path, inside: str = "") -> Iterator[str]:
    """Paths of all files and links, relative to the folder."""
    with os.scandir(folder / inside) as entries:
        for entry in entries:
            path = f"{inside}/{entry.name}" if inside else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from walk(folder, path)
            else:
                yield path
