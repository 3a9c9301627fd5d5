"""What changed between two commits, and which of it a person who serves models on GPUs should look at.

Everything is read from commits and folders: a mirror without file contents needs nothing fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from builder.console import printable
from builder.upstream.repository import Repository
from builder.upstream.revision import moment

_COMMIT = "%x00%H%x00%ct%x00%at%x00%s"
"""The first NUL makes an empty entry, which no path is, before the four facts of each commit."""
_FACTS = 4
_OTHER_BACKENDS = (
    "amx|blas|cann|cpu|cuda|et|hexagon|hip|kompute|metal|mpi|musa|opencl|openvino|rpc|sycl|virtgpu|vulkan|webgpu|zdnn"
    "|zendnn"
)


class Area(Enum):
    """A part of the tree that matters to a GPU server; the order is that of importance."""

    CUDA = "CUDA"
    SERVER = "server"
    GGML = "ggml core"
    BUILD = "build"


_PATHS = {
    Area.CUDA: re.compile(r"(ggml/(src|include)/)?ggml-cuda[./].*"),
    Area.SERVER: re.compile(r"(tools/server|examples/server|common)/.*"),
    Area.GGML: re.compile(rf"(ggml/(src|include)/)?(ggml|gguf)(?!-({_OTHER_BACKENDS})[-.])[^/]*\.(c|cpp|h|hpp|h\.in)"),
    Area.BUILD: re.compile(
        r"CMakeLists\.txt|CMakePresets\.json|Makefile|(ggml/)?cmake/.*"
        r"|scripts/(build-info.*|get-flags\.mk|[^/]*\.cmake)|common/(cmake/.*|build-info.*)"
        r"|(app|common|examples|ggml|ggml/src|ggml/src/ggml-(cpu|cuda)|src|tools|vendor/[^/]*)/CMakeLists\.txt"
        r"|(examples|tools)/(llama-bench|server|ui)/CMakeLists\.txt"
    ),
}
"""Where each area lies, now and in earlier layouts of the tree."""


@dataclass(frozen=True)
class Commit:
    """One commit.

    Attributes:
        commit: whole object name.
        committed: commit time.
        authored: author time; a change that waited for review is older than its commit.
        subject: first line of its message, control characters left out.
        areas: what it touches, most important first; none of them for other commits.
        paths: files that it changes; a merge tells none.
    """

    commit: str
    committed: datetime
    authored: datetime
    subject: str
    areas: tuple[Area, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Relation:
    """How two commits of one history lie to each other.

    Attributes:
        added: commits of the second that the first does not stand on.
        lost: commits of the first that the second does not stand on.
    """

    added: int
    lost: int


def relation(repository: Repository, first: str, second: str) -> Relation:
    """Count what each of two commits has that the other lacks."""
    counts = repository.read("rev-list", "--left-right", "--count", f"{first}...{second}", "--").split()
    return Relation(added=int(counts[1]), lost=int(counts[0]))


def commits_between(repository: Repository, older: str, newer: str) -> tuple[Commit, ...]:
    """The commits that the newer one stands on and the older one does not, newest first."""
    options = ("--no-show-signature", "--encoding=UTF-8", "--no-renames", "--name-only", "-z")
    listed = repository.read("log", *options, f"--format={_COMMIT}", f"{older}..{newer}", "--")
    return tuple(_commits(listed.split("\0")))


def areas_of(paths: Iterable[str]) -> tuple[Area, ...]:
    """The areas that any of these files belongs to, most important first."""
    names = tuple(paths)
    return tuple(area for area, pattern in _PATHS.items() if any(pattern.fullmatch(name) for name in names))


def _commits(entries: list[str]) -> Iterator[Commit]:
    """Read what git printed: facts, then paths up to the next empty entry; git puts a line end before the first."""
    position, end = 0, len(entries)
    while position < end and not entries[position]:
        position += 1
        if position + _FACTS > end:
            return
        commit, *seconds, subject = entries[position : position + _FACTS]
        position += _FACTS
        start = position
        while position < end and entries[position]:
            position += 1
        paths = tuple(path.removeprefix("\n") if at == 0 else path for at, path in enumerate(entries[start:position]))
        committed, authored = (moment(int(second)) for second in seconds)
        yield Commit(commit, committed, authored, printable(subject), areas_of(paths), paths)
