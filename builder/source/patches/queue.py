"""The patch queue: a folder with a `series` file, one name a line, and the files it names."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.errors import SourceError
from builder.source.patches.patch import Patch, parse_patch
from builder.staging import disk_errors

SERIES = "series"


class BadQueue(SourceError):
    """The queue itself is not in order."""


@dataclass(frozen=True)
class PatchQueue:
    """What is laid on upstream, in order.

    Attributes:
        folder: where `series` is.
        patches: in the order of the series.
        contents: bytes of each file, likewise.
    """

    folder: Path
    patches: tuple[Patch, ...]
    contents: tuple[bytes, ...]

    @classmethod
    def empty(cls) -> PatchQueue:
        """No patches."""
        return cls(Path(), (), ())

    @property
    def digest(self) -> str:
        """`sha256:...` over names and bytes of all patches in order."""
        return digest(list(zip((patch.name for patch in self.patches), self.contents, strict=True)))

    def digest_of(self, names: Sequence[str]) -> str:
        """`sha256:...` over names and diffs of some of them: what a tree has of the queue, whatever the mails say."""
        return digest([(patch.name, patch.diff) for patch in self.patches if patch.name in names])

    def find(self, name: str) -> Patch:
        """The patch of a name, which may be written without its ending or its number's zeros.

        Raises:
            BadQueue: there is none, or more than one.
        """
        ways = (str.__eq__, _has_number, _begins)
        found = ([patch for patch in self.patches if way(patch.name, name)] for way in ways)
        fitting = next(filter(None, found), [])
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise BadQueue(f"`{name}` fits {', '.join(patch.name for patch in fitting)}.", "Write more of the name.")
        names = [patch.name for patch in self.patches]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.3) or names[:3]
        raise BadQueue(
            f"The queue in {self.folder} has no patch `{name}`.",
            f"Nearest: {', '.join(near)}." if near else "It is empty.",
        )


@dataclass(frozen=True)
class QueuePlace:
    """Where a queue is, or will be.

    Attributes:
        required: whether a person named it, so that it must be there.
    """

    folder: Path
    required: bool

    def load(self) -> PatchQueue:
        """The queue as it is now.

        Raises:
            SourceError: it is not in order.
        """
        return load_queue(self.folder, required=self.required)


def _has_number(name: str, asked: str) -> bool:
    number = re.match(r"\d+", name)
    return number is not None and asked.isdecimal() and int(number[0]) == int(asked)


def _begins(name: str, asked: str) -> bool:
    return name.startswith(asked) or name.lstrip("0").startswith(asked)


def digest(files: Sequence[tuple[str, bytes]]) -> str:
    """`sha256:...` over names and contents."""
    outer = hashlib.sha256()
    for name, content in files:
        outer.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return f"sha256:{outer.hexdigest()}"


def load_queue(folder: Path, *, required: bool = False) -> PatchQueue:
    """Read a queue; a folder without a series is an empty one.

    Args:
        required: whether a person named the folder, so that it must be there.

    Raises:
        BadQueue: the series cannot be read as one, or names a file that is not there, one twice, or one outside of the
            folder.
        BadPatch: a file is no patch.
    """
    series = folder / SERIES
    if not os.path.lexists(series):
        if required:
            raise BadQueue(f"There is no patch queue at {folder}: {series} is missing.", "Make it, or name another.")
        return PatchQueue(folder, (), ())
    names = _names(_lines(series), series)
    contents = tuple(_read(folder / name, series) for name in names)
    patches = tuple(parse_patch(name, content) for name, content in zip(names, contents, strict=True))
    return PatchQueue(folder, patches, contents)


def _lines(series: Path) -> list[str]:
    with disk_errors(series.parent):
        if not series.is_file():
            raise BadQueue(f"{series} is no file.", "Write one patch a line into a file of that name.")
        content = series.read_bytes()
    try:
        return content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadQueue(f"Line {line} of {series} is not UTF-8.", "Write it as UTF-8.") from error


def named(line: str) -> str:
    """The name on a line of a series; empty for a comment.

    A comment begins with `#` at the start or after a blank, so that a name may hold one.
    """
    words = line.split()
    return words[0] if words and not words[0].startswith("#") else ""


def _names(lines: Sequence[str], series: Path) -> list[str]:
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not (name := named(line)):
            continue
        rest = line.split()[1:]
        if rest and not rest[0].startswith("#"):
            raise BadQueue(f"Line {number} of {series} has more than a name: {line.strip()!r}.", "One name a line.")
        if name in seen:
            raise BadQueue(
                f"{series} names {name} twice, on lines {seen[name]} and {number}.", "Leave one of them out."
            )
        if "/" in name or name in (".", "..", SERIES):
            raise BadQueue(f"Line {number} of {series}: {name!r} is no file beside it.", "Give the file's name alone.")
        seen[name] = number
    return list(seen)


def _read(file: Path, series: Path) -> bytes:
    with disk_errors(file.parent):
        if file.is_file():
            return file.read_bytes()
        known = [entry.name for entry in file.parent.iterdir() if entry.is_file() and entry.name != SERIES]
    near = difflib.get_close_matches(file.name, known, n=1)
    hint = f"Did you mean {near[0]}?" if near else "Mend the series, or bring the file back."
    raise BadQueue(f"{series} names {file.name}, which is not {'a file' if file.exists() else 'there'}.", hint)
