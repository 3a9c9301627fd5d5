"""What is kept of an image's file system."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from builder.gates.structure.elf import Binary

_LINKS = 40
"""Symbolic links that are followed for one name, as in the kernel."""


class FileKind(StrEnum):
    """What a name in a file system stands for."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "symbolic link"
    OTHER = "special file"


@dataclass(frozen=True)
class File:
    """A name in a file system.

    Attributes:
        path: absolute, without symbolic links in its folders.
        mode: permission bits, with those for set-user-ID, set-group-ID and sticky.
        owner: user ID.
        group: group ID.
        size: bytes.
        target: where a symbolic link points; empty for all else.
        capabilities: whether executing it gives capabilities.
    """

    path: str
    kind: FileKind
    mode: int
    owner: int
    group: int
    size: int
    target: str = ""
    capabilities: bool = False

    @property
    def is_executable(self) -> bool:
        """Whether it is a file that everybody may execute."""
        return self.kind is FileKind.FILE and self.mode & 0o111 == 0o111  # noqa: PLR2004

    @property
    def gives_rights(self) -> bool:
        """Whether executing it gives rights that the caller does not have."""
        return self.kind is FileKind.FILE and (bool(self.mode & 0o6000) or self.capabilities)


def absolute(name: str) -> str:
    """The path of a name in an archive."""
    return "/" + name.strip("/").removeprefix("./")


@dataclass(frozen=True)
class Files:
    """An image's file system.

    Attributes:
        entries: every name, by absolute path.
        texts: contents of configuration, scripts and the build record, by path.
        binaries: programs and libraries that were looked into, by path.
        damaged: why one could not be, by path.
        secrets: files that hold a token, a private key or a password.
        digests: SHA-256 in hexadecimal digits of files where the build puts its own, by path.
    """

    entries: Mapping[str, File]
    texts: Mapping[str, bytes] = field(default_factory=dict)
    binaries: Mapping[str, Binary] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)

    def find(self, path: str) -> File | None:
        """What an absolute path leads to, symbolic links followed inside the image's root; None where to nothing."""
        real = self._real(path)
        return self.entries.get(real) if real else None

    def text(self, path: str) -> str | None:
        """Content of a file that is kept, with replacement characters."""
        found = self.find(path)
        content = self.texts.get(found.path) if found else None
        return None if content is None else content.decode(errors="replace")

    def on_path(self, program: str, search: str) -> File | None:
        """The file that executing a program's name starts.

        Args:
            search: folders, as in the environment variable PATH.
        """
        if "/" in program:
            places = [program] if program.startswith("/") else []
        else:
            places = [posixpath.join(folder, program) for folder in search.split(":") if folder.startswith("/")]
        found = (self.find(place) for place in places)
        return next((file for file in found if file and file.is_executable), None)

    def below(self, folder: str) -> Iterator[File]:
        """Everything in a folder, at any depth, the folder included, sorted by path."""
        prefix = folder.rstrip("/") + "/"
        for path in sorted(self.entries):
            if path.startswith(prefix) or path == folder:
                yield self.entries[path]

    def _real(self, path: str) -> str | None:
        here, links = "/", 0
        parts = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        while parts:
            part = parts.pop()
            if part == "..":
                here = posixpath.dirname(here)
                continue
            step = posixpath.join(here, part)
            entry = self.entries.get(step)
            if entry is None:
                return None
            if entry.kind is FileKind.LINK:
                links += 1
                if links > _LINKS:
                    return None
                here = "/" if entry.target.startswith("/") else here
                parts += [part for part in reversed(entry.target.split("/")) if part not in ("", ".")]
            else:
                here = step
        return here
