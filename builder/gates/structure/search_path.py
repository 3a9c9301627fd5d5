"""What tells the dynamic loader where to look: its cache, ldconfig's configuration, the tokens in a path."""

from __future__ import annotations

import posixpath
import re
import struct
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from builder.gates.structure.files import Files

_CONFIGURATION = "/etc/ld.so.conf"
_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = struct.Struct("<20sII20x")
_ENTRY = struct.Struct("<iIIIQ")
"""Flags, offset of the name, offset of the path, OS version, hardware capabilities."""
_TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB)\}|(ORIGIN|LIB)\b)")
_INCLUDES = 32


def expand(folder: str, origin: str, library_folder: str) -> str:
    """A folder of a search path with `$ORIGIN` and `$LIB` put in.

    Args:
        origin: the folder of who asks.
        library_folder: such as `lib/x86_64-linux-gnu`.
    """
    values = {"ORIGIN": origin, "LIB": library_folder}
    return _TOKEN.sub(lambda match: values[match[1] or match[2]], folder)


def read_cache(content: bytes) -> Mapping[str, tuple[str, ...]]:
    """Paths by library name in ld.so.cache, in its order, without those for particular processors.

    What is not in the form that glibc has written since 2.2 holds nothing.
    """
    start = content.find(_MAGIC)
    if start < 0 or start + _HEADER.size > len(content):
        return {}
    _, count, _ = _HEADER.unpack_from(content, start)
    found: dict[str, list[str]] = {}
    place = start + _HEADER.size
    for number in range(min(count, (len(content) - place) // _ENTRY.size)):
        _, name, path, _, capabilities = _ENTRY.unpack_from(content, place + number * _ENTRY.size)
        if not capabilities:
            found.setdefault(_string(content, start + name), []).append(_string(content, start + path))
    return {name: tuple(paths) for name, paths in found.items()}


def folders_of_configuration(files: Files) -> Iterator[str]:
    """Folders that /etc/ld.so.conf names, files that it includes read in their place."""
    yield from _folders(files, _CONFIGURATION, frozenset())


def _folders(files: Files, file: str, seen: frozenset[str]) -> Iterator[str]:
    if file in seen or len(seen) > _INCLUDES:
        return
    for line in (files.text(file) or "").splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["include"]:
            for pattern in words[1:]:
                absolute = posixpath.join(posixpath.dirname(file), pattern)
                for path in sorted(path for path in files.texts if fnmatchcase(path, absolute)):
                    yield from _folders(files, path, seen | {file})
        elif words and words[0].startswith("/"):
            yield words[0]


def _string(content: bytes, start: int) -> str:
    end = content.find(b"\0", start)
    return content[start : end if end >= 0 else len(content)].decode(errors="replace")
