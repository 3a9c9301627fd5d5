"""A generated repository with the shape of llama.cpp's: many small commits on one line, a build tag on every third or
so, files of its names and sizes, edits that keep coming back to the same few.

The same shape gives the same object names everywhere. The repository is written as one `git fast-import` stream, packed
as a hosting service packs it, and kept in a cache folder under a name that stands for its shape.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from random import Random

from benchmarks.llama_shape import AREAS, HOT, Area, files_of, header_of, lines, subject
from builder.staging import exclusive, staged

FORMAT = 1
"""Part of the cached name: another number makes every history anew."""
BRANCH = "master"
_LOYALTY = 0.7
"""Share of a commit's further files that belong to its area."""
_GENERATED = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


@dataclass(frozen=True)
class Shape:
    """What a history looks like.

    Attributes:
        commits: on the one line of the default branch; the last one's number is its build number.
        tags: build tags and releases together.
        dense: so many of the last commits carry a build tag each.
        releases: `vX.Y.Z` tags, each beside a build tag, in the newest third of the history.
        files: in the newest tree; a third of them is there from the first commit on.
        branches: side branches of a few commits each.
        ends: time of the last commit.
        days: between the first and the last commit.
    """

    commits: int = 10_000
    tags: int = 3_000
    dense: int = 100
    releases: int = 24
    files: int = 1_200
    branches: int = 40
    ends: datetime = datetime(2026, 10, 1, 12, tzinfo=UTC)
    days: int = 730
    seed: int = 1

    @property
    def name(self) -> str:
        """A folder name that no other shape has."""
        digest = hashlib.sha256(f"{FORMAT}{self!r}".encode()).hexdigest()[:12]
        return f"history-{self.commits}-{digest}.git"


SMALL = Shape(commits=300, tags=110, dense=30, releases=4, files=90, branches=3, days=30)
"""Made in about a second, for tests."""


def repository(shape: Shape, cache: Path) -> Path:
    """The bare repository of a shape; made where the cache does not hold it yet.

    Nobody may write to it: take a copy for that.
    """
    folder = cache / shape.name
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with exclusive(cache / f"{shape.name}.lock", _say):
        if not folder.is_dir():
            with staged(cache, shape.name) as scratch:
                fresh = scratch / "history"
                write(shape, fresh)
                fresh.rename(folder)
    return folder


def write(shape: Shape, folder: Path) -> None:
    """Write the history into a new bare repository that offers partial clones."""
    _git("init", "--quiet", "--bare", "--template=", f"--initial-branch={BRANCH}", str(folder))
    offer_partial_clones(folder)
    command = ["git", "-C", str(folder), "fast-import", "--quiet", "--done"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, **_GENERATED}) as importing:
        assert importing.stdin is not None
        importing.stdin.writelines(stream(shape))
        importing.stdin.close()
    if importing.returncode:
        raise subprocess.CalledProcessError(importing.returncode, command)
    _git("-C", str(folder), "repack", "-a", "-d", "--quiet", "--write-bitmap-index")
    _git("-C", str(folder), "pack-refs", "--all")


def offer_partial_clones(folder: Path) -> None:
    """Let a repository be served without file contents, and single objects of it, as hosting services do."""
    for key in ("allowFilter", "allowAnySHA1InWant"):
        _git("-C", str(folder), "config", f"uploadpack.{key}", "true")


def stream(shape: Shape) -> Iterator[bytes]:
    """The whole history as input of `git fast-import`."""
    return _Writer(shape).stream()


class _Writer:
    """Keeps the newest content of every file while the commits go by."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._random = Random(shape.seed)  # noqa: S311
        self._pool = lines(self._random)
        self._contents: dict[str, list[bytes]] = {}
        self._release = (0, 0, 0)
        self._pull_request = 1_000
        self._names = {area: files_of(area, shape.files) for area in AREAS}
        self._born = self._births()

    def stream(self) -> Iterator[bytes]:
        shape = self._shape
        numbered = self._tagged()
        released = set(self._random.sample(numbered[-len(numbered) // 3 :], shape.releases))
        moments = self._moments()
        yield b"feature done\n"
        for number, moment in enumerate(moments, 1):
            yield from self._commit(number, moment, released=number in released)
        for number in numbered:
            yield f"reset refs/tags/b{number}\nfrom :{number}\n\n".encode()
        self._release = (0, 0, 0)
        for number in sorted(released):
            self._release = _next(self._release)
            yield self._release_tag(number, moments[number - 1])
        yield from self._side_branches(moments)
        yield b"done\n"

    def _births(self) -> dict[int, list[str]]:
        """Which files appear with which commit."""
        names = [name for area in AREAS for name in self._names[area] if name not in HOT]
        self._random.shuffle(names)
        first = len(names) // 3
        born: dict[int, list[str]] = {1: [*HOT, *names[:first]]}
        later = sorted(self._random.choices(range(2, self._shape.commits + 1), k=len(names) - first))
        for number, name in zip(later, names[first:], strict=True):
            born.setdefault(number, []).append(name)
        return born

    def _tagged(self) -> list[int]:
        shape = self._shape
        dense = range(shape.commits - shape.dense + 1, shape.commits + 1)
        sparse = self._random.sample(range(2, dense.start), shape.tags - shape.releases - len(dense))
        return [*sorted(sparse), *dense]

    def _moments(self) -> list[datetime]:
        """Times of the commits: irregular, as people work, and never backwards."""
        steps = list(accumulate(self._random.expovariate(1.0) for _ in range(self._shape.commits)))
        span = timedelta(days=self._shape.days)
        return [self._shape.ends - span * (1 - step / steps[-1]) for step in steps]

    def _commit(self, number: int, moment: datetime, *, released: bool) -> Iterator[bytes]:
        area = self._random.choices(AREAS, weights=[area.weight for area in AREAS])[0]
        changed = list(dict.fromkeys([*self._born.get(number, []), *self._picked(area)]))
        if released:
            self._release = _next(self._release)
            changed.append("CMakeLists.txt")
        self._pull_request += self._random.randrange(1, 4)
        yield _head(f"refs/heads/{BRANCH}", moment, subject(area, self._pull_request, self._random), mark=number)
        for name in dict.fromkeys(changed):
            yield _file(name, header_of(name, self._release) + b"".join(self._edited(name)))
        yield b"\n"

    def _picked(self, area: Area) -> list[str]:
        """The one to four files of a commit, most of them of its area, the first of an area far more often."""
        picked = []
        for turn in range(self._random.choices((1, 2, 3, 4), weights=(45, 30, 15, 10))[0]):
            where = area if turn == 0 or self._random.random() < _LOYALTY else self._random.choice(AREAS)
            there = [name for name in self._names[where] if name in self._contents]
            if there:
                weights = [1 / (rank + 1) for rank in range(len(there))]
                picked.append(self._random.choices(there, weights=weights)[0])
        return picked

    def _edited(self, name: str) -> list[bytes]:
        random = self._random
        if name not in self._contents:
            size = min(60_000, max(2_000, random.lognormvariate(9.2, 0.8))) if name not in HOT else 50_000
            self._contents[name] = random.choices(self._pool, k=int(size / 42))
            return self._contents[name]
        content = self._contents[name]
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            at = random.randrange(len(content))
            content[at : at + random.randrange(4)] = random.choices(self._pool, k=random.randrange(1, 5))
        return content

    def _release_tag(self, number: int, moment: datetime) -> bytes:
        name = "v{}.{}.{}".format(*self._release)
        return f"tag {name}\nfrom :{number}\ntagger {_person(moment)}\ndata {len(name)}\n{name}\n".encode()

    def _side_branches(self, moments: list[datetime]) -> Iterator[bytes]:
        for count in range(1, self._shape.branches + 1):
            start = self._random.randrange(self._shape.commits * 2 // 3, self._shape.commits)
            ref = f"refs/heads/gg/side-{count}"
            for turn in range(self._random.randrange(1, 4)):
                moment = moments[start - 1] + timedelta(minutes=10 * (turn + 1))
                yield _head(ref, moment, f"wip {turn}", parent=None if turn else f":{start}")
                name = f"docs/side-{count}.md"
                yield _file(name, b"".join(self._random.choices(self._pool, k=20))) + b"\n"


def _head(ref: str, moment: datetime, message: str, *, mark: int | None = None, parent: str | None = None) -> bytes:
    person = _person(moment)
    marked = f"mark :{mark}\n" if mark else ""
    started = f"from {parent}\n" if parent else ""
    said = message.encode()
    who = f"author {person}\ncommitter {person}\n"
    return f"commit {ref}\n{marked}{who}data {len(said)}\n".encode() + said + f"\n{started}".encode()


def _person(moment: datetime) -> str:
    return f"A Person <person@example.invalid> {int(moment.timestamp())} +0000"


def _file(name: str, content: bytes) -> bytes:
    return f"M 100644 inline {name}\ndata {len(content)}\n".encode() + content + b"\n"


def _next(release: tuple[int, int, int]) -> tuple[int, int, int]:
    """Twelve patch releases to a minor one, so that `v0.1.10` comes after `v0.1.9`."""
    major, minor, patch = release
    return (major, minor, patch + 1) if minor and patch < 11 else (major, minor + 1, 0)  # noqa: PLR2004


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _git(*args: str) -> None:
    subprocess.run(["git", *args], check=True, env={**os.environ, **_GENERATED})
