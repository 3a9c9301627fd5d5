"""What each kind of clone costs, first and for all that is asked of it later; in plain git."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.history import BRANCH
from benchmarks.llama_shape import HOT_FILE
from benchmarks.measuring import Bench, Sample, disk_usage
from builder.process import Completed
from tests.integration.upstreams import Upstream

KINDS = {"full": (), "blobless": ("--filter=blob:none",), "treeless": ("--filter=tree:0",)}
"""Options of `git fetch` that make each kind."""
_REFS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head")
_WANTED = ("-c", "fetch.negotiationAlgorithm=noop", *_FETCH, "--recurse-submodules=no", "--filter=blob:none", "--stdin")
"""How git itself asks for objects that a partial clone lacks, all in one request. Without the setting it tells the
server which commits it has; the server takes it that their files are there too, and sends none."""
_BACK = 200
"""So many commits before the newest is what a patch was made on."""
_SLOW = 10.0
_GRAPHS = {
    "no commit-graph": None,
    "commit-graph": "--no-changed-paths",
    "with changed paths": "--changed-paths",
}

_ASKED = {
    "rev-list --count": ("rev-list", "--count", BRANCH),
    "rev-list --count, 200 commits": ("rev-list", "--count", f"{BRANCH}~200..{BRANCH}"),
    "log of a folder": ("log", "--format=%H", BRANCH, "--", "ggml/src/ggml-cuda"),
    "log of a rare file": ("log", "--format=%H", BRANCH, "--", "cmake/cache.cmake"),
    "log of a hot file": ("log", "--format=%H", BRANCH, "--", HOT_FILE),
    "dates of all tags, for-each-ref": ("for-each-ref", "--format=%(refname) %(creatordate:unix)", "refs/tags"),
    "dates of all tags, rev-list": ("rev-list", "--no-walk", "--timestamp", "--stdin"),
}
"""What is asked of a mirror with and without a commit-graph; `--stdin` gets the tagged commits."""


@dataclass(frozen=True)
class Clones:
    """Measures clones of one URL.

    Attributes:
        scratch: an empty folder to work in.
        runs: how often each command is repeated, each time on a mirror as it was after the first fetch. What takes more
            than ten seconds is run once.
    """

    bench: Bench
    upstream: Upstream
    url: str
    scratch: Path
    runs: int

    def measure(self) -> None:
        """Add a row for each kind and task."""
        for kind in KINDS:
            self._first(kind)
        for what, task in (
            ("rev-list --count", self._count),
            ("log --name-only, 500 commits", self._log),
            ("walk of one file's history", self._walk),
            ("blobs for one 3-way patch", self._blobs),
            ("write one tree out", self._tree),
        ):
            for kind in KINDS:
                self._repeat(what, kind, task)
        self._fetches()
        self._graphs()

    def _first(self, kind: str) -> None:
        samples = []
        for _ in range(self.runs):
            folder = self._mirror(kind)
            shutil.rmtree(folder, ignore_errors=True)
            self.bench.run(
                ["git", "init", "--quiet", "--bare", "--template=", f"--initial-branch={BRANCH}", str(folder)]
            )
            self._git(folder, "config", "remote.origin.url", self.url)
            samples.append(self._fetch(folder, kind))
        self.bench.add("first mirror", kind, samples, disk_usage(self._mirror(kind)))

    def _fetch(self, folder: Path, kind: str) -> Sample:
        return self._sample(folder, *_FETCH, "--prune", *KINDS[kind], "origin", *_REFS)

    def _fetches(self) -> None:
        """One new commit with its tag, and nothing new, by turns."""
        copies = {kind: self._copy(kind) for kind in KINDS}
        new: dict[str, list[Sample]] = {kind: [] for kind in KINDS}
        none: dict[str, list[Sample]] = {kind: [] for kind in KINDS}
        for _ in range(self.runs):
            self.upstream.build()
            for kind, folder in copies.items():
                new[kind].append(self._fetch(folder, kind))
                none[kind].append(self._fetch(folder, kind))
        for what, samples in (("fetch of one new build", new), ("fetch of nothing new", none)):
            for kind in KINDS:
                self.bench.add(what, kind, samples[kind])

    def _repeat(self, what: str, kind: str, task: Callable[[Path], Sample]) -> None:
        samples = []
        for _ in range(self.runs):
            folder = self._copy(kind)
            samples.append(task(folder))
            if samples[-1].seconds > _SLOW:
                break
        self.bench.add(what, kind, samples)

    def _count(self, folder: Path) -> Sample:
        return self._sample(folder, "rev-list", "--count", BRANCH)

    def _log(self, folder: Path) -> Sample:
        return self._sample(folder, "log", "--name-only", "--max-count=500", "--format=%H %ct %s", BRANCH)

    def _walk(self, folder: Path) -> Sample:
        """A patch names blobs by their first digits; the file's history has the rest."""
        options = ("--raw", "--no-abbrev", "--no-renames", "--format=%H")
        return self._sample(folder, "log", *options, BRANCH, "--", HOT_FILE)

    def _blobs(self, folder: Path) -> Sample:
        names = self._git(
            self._mirror("full"), "rev-parse", f"{BRANCH}~{_BACK}:{HOT_FILE}", f"{BRANCH}:{HOT_FILE}"
        ).stdout
        if folder.name.startswith("full"):
            return self._sample(folder, "cat-file", "--batch", stdin=names.encode())
        return self._sample(folder, *_WANTED, "origin", stdin=names.encode())

    def _tree(self, folder: Path) -> Sample:
        written = folder / "written"
        written.mkdir()
        return self._sample(folder, f"--work-tree={written}", "read-tree", "--reset", "-u", BRANCH, cwd=written)

    def _graphs(self) -> None:
        """Whether a commit-graph pays, on the blobless mirror."""
        tagged = self._git(
            self._mirror("full"), "for-each-ref", "--format=%(objectname)", "refs/tags/b*"
        ).stdout.encode()
        for name, option in _GRAPHS.items():
            folder = self._copy("blobless")
            if option:
                samples = []
                for _ in range(self.runs):
                    shutil.rmtree(folder / "objects" / "info", ignore_errors=True)
                    samples.append(self._sample(folder, "commit-graph", "write", "--reachable", option))
                self.bench.add("write it", name, samples, disk_usage(folder / "objects" / "info"))
            for what, args in _ASKED.items():
                stdin = tagged if "--stdin" in args else None
                self.bench.add(what, name, [self._sample(folder, *args, stdin=stdin) for _ in range(self.runs)])

    def _mirror(self, kind: str) -> Path:
        return self.scratch / f"{kind}.git"

    def _copy(self, kind: str) -> Path:
        """The mirror as it was first; the packs of the copy are links, and what comes later are files of its own."""
        folder = self.scratch / f"{kind}-copy.git"
        shutil.rmtree(folder, ignore_errors=True)
        self.bench.run(["cp", "-a", "--link", str(self._mirror(kind)), str(folder)])
        return folder

    def _sample(self, folder: Path, *args: str, stdin: bytes | None = None, cwd: Path | None = None) -> Sample:
        return self.bench.sample(self._command(folder, *args), stdin=stdin, cwd=cwd)[0]

    def _git(self, folder: Path, *args: str) -> Completed:
        return self.bench.run(self._command(folder, *args))

    @staticmethod
    def _command(folder: Path, *args: str) -> list[str]:
        return ["git", f"--git-dir={folder}", *args]
